"""Blobs in files: the contract, and what only files promise."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from contract.blobs_suite import BlobsSuite, content_of, stored
from s3al.errors import IntegrityError
from s3al.store.file_layer import FileLayer
from s3al.store.files import FileBlobs
from s3al.store.layout import create_folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return create_folder(tmp_path / "store").blobs


class TestFileBlobs(BlobsSuite):
    @pytest.fixture(autouse=True)
    def place(self, root: Path) -> None:
        self.root = root

    def open_blobs(self) -> FileBlobs:
        return FileBlobs(self.root)


class CountingLayer(FileLayer):
    """Notes what is synced, by path."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._paths: dict[int, Path] = {}

    def create(self, path: Path) -> int:
        descriptor = super().create(path)
        self._paths[descriptor] = path
        return descriptor

    def sync(self, descriptor: int) -> None:
        super().sync(descriptor)
        self.calls.append(f"file {self._paths[descriptor].name}")

    def sync_folder(self, path: Path) -> None:
        super().sync_folder(path)
        self.calls.append(f"folder {path.name}")


class FixedNames:
    """Random bytes that are not: the incarnation, then one name after the other."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)

    def __call__(self, length: int) -> bytes:
        drawn = bytes.fromhex(self.names.pop(0))
        assert len(drawn) == length
        return drawn


def test_finish_syncs_the_file_then_each_folder_not_yet_durable(root: Path) -> None:
    incarnation, first, second, third = "00" * 8, "aa" * 16, "aa" + "bb" * 15, "cc" * 16
    layer = CountingLayer()
    blobs = FileBlobs(root, layer=layer, random=FixedNames(incarnation, first, second, third))
    for _ in range(3):
        stored(blobs)
    blobs.close()
    assert layer.calls == [
        f"file {first}",
        "folder aa",
        f"folder {incarnation}",
        "folder blobs",
        f"file {second}",
        "folder aa",
        f"file {third}",
        "folder cc",
        f"folder {incarnation}",
    ]


def test_files_and_folders_are_private(root: Path) -> None:
    blobs = FileBlobs(root)
    name = stored(blobs)
    path = root / blobs.incarnation / name[17:19] / name[17:]
    assert path.stat().st_mode & 0o777 == 0o600
    for folder in (path.parent, path.parent.parent):
        assert folder.stat().st_mode & 0o777 == 0o700
    blobs.close()


def test_a_symbolic_link_is_not_followed(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"not ours")
    blobs = FileBlobs(root)
    name = stored(blobs)
    path = root / blobs.incarnation / name[17:19] / name[17:]
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(IntegrityError):
        blobs.open(name)
    blobs.close()


def test_a_reader_keeps_a_blob_that_is_unlinked(root: Path) -> None:
    blobs = FileBlobs(root)
    name = stored(blobs, b"content")
    with blobs.open(name) as reader:
        blobs.remove([name])
        assert reader.read(0, 7) == b"content"
    blobs.close()


def test_a_truncated_blob_is_noticed(root: Path) -> None:
    blobs = FileBlobs(root)
    name = stored(blobs, b"0123456789")
    with blobs.open(name) as reader:
        os.truncate(root / blobs.incarnation / name[17:19] / name[17:], 5)
        with pytest.raises(IntegrityError):
            reader.read(0, 10)
    blobs.close()


def test_names_lists_blobs_in_order_and_nothing_else(root: Path) -> None:
    first, second = FileBlobs(root), FileBlobs(root)
    expected = {
        stored(blobs, bytes(size)): size for size, blobs in enumerate((first, second, first, second, first))
    }
    name = next(iter(expected))
    (root / name[:16] / name[17:19] / "stray").write_bytes(b"")
    (root / name[:16] / "stray").write_bytes(b"")
    (root / "stray").mkdir()
    assert list(first.names()) == sorted(expected.items())
    first.close()
    second.close()


def test_a_sweep_removes_empty_folders_and_their_lock(root: Path) -> None:
    dead, blobs = FileBlobs(root), FileBlobs(root)
    stored(dead)
    dead.close()
    blobs.sweep(lambda _: set())
    assert not (root / dead.incarnation).exists()
    assert not (root / ".locks" / dead.incarnation).exists()
    assert (root / ".locks" / blobs.incarnation).exists()
    blobs.close()


def test_a_sweep_asks_for_at_most_a_thousand_names_at_once(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("s3al.store.files._SWEPT_AT_ONCE", 3)
    dead, blobs = FileBlobs(root), FileBlobs(root)
    names = [stored(dead) for _ in range(8)]
    dead.close()
    asked: list[int] = []

    def is_named(some: object) -> set[str]:
        asked.append(len(list(some)))  # type: ignore[call-overload]
        return {names[0]}

    assert blobs.sweep(is_named).removed_blobs == 7
    assert asked == [3, 3, 2]
    assert content_of(blobs, names[0]) == b"sealed"
    blobs.close()


def test_a_lock_file_swept_away_before_it_was_locked_is_drawn_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweep may come between the making of the lock file and its locking."""
    from s3al.store import files

    real = files._take_lock
    taken: list[Path] = []

    def interrupted(path: Path, *, create: bool) -> int | None:
        descriptor = real(path, create=create)
        taken.append(path)
        if len(taken) == 1:
            path.unlink()
        return descriptor

    monkeypatch.setattr(files, "_take_lock", interrupted)
    blobs = FileBlobs(root)
    assert len(taken) == 2
    assert blobs.incarnation == taken[1].name
    blobs.close()

"""The data folder: who may open it, and what survives."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from s3al.errors import ConfigError, IntegrityError, StoreError
from s3al.store.layout import create_folder, lock_store, open_folder, replace_file


def test_a_new_folder_is_private_and_has_its_rooms(tmp_path: Path) -> None:
    folder = create_folder(tmp_path / "deep" / "store")
    for path in (folder.path, folder.blobs, folder.locks):
        assert path.stat().st_mode & 0o777 == 0o700
    assert not folder.has_document()
    assert not folder.has_catalog()
    assert not folder.has_blobs()
    create_folder(folder.path)


def test_an_empty_folder_that_others_could_read_is_made_private(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir(mode=0o755)
    create_folder(tmp_path / "store")
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700


def test_a_store_that_was_opened_to_others_is_refused(tmp_path: Path) -> None:
    folder = create_folder(tmp_path / "store")
    folder.write_document({})
    folder.path.chmod(0o750)
    for open_it in (create_folder, open_folder):
        with pytest.raises(ConfigError, match="open to others"):
            open_it(folder.path)


def test_a_folder_with_other_files_is_not_made_a_store(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(ConfigError, match="holds other files"):
        create_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_folder_without_a_store_is_not_opened(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(ConfigError, match="holds no store"):
            open_folder(path)
    with pytest.raises(ConfigError, match="holds no store"):
        create_folder(tmp_path / "store").read_document()


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(ConfigError):
        create_folder(tmp_path / "store")


def test_the_document_comes_back_as_it_was_written(tmp_path: Path) -> None:
    folder = create_folder(tmp_path / "store")
    folder.write_document({"a": [1, "é"], "b": {}})
    folder.write_document({"a": [2]})
    assert open_folder(folder.path).read_document() == {"a": [2]}
    assert folder.document.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in folder.path.iterdir()) == ["blobs", "store.json", "trail"]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b"[" * 100_000], ids=["empty", "cut", "list", "binary", "deep"]
)
def test_a_damaged_document_is_an_integrity_error(tmp_path: Path, content: bytes) -> None:
    folder = create_folder(tmp_path / "store")
    folder.document.write_bytes(content)
    with pytest.raises(IntegrityError):
        folder.read_document()


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
def test_a_document_whose_replacement_fails_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    folder = create_folder(tmp_path / "store")
    folder.write_document({"old": 1})

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    target = {"open": "os.open", "fsync": "os.fsync", "replace": "pathlib.Path.replace"}[step]
    with monkeypatch.context() as patched:
        patched.setattr(target, fail)
        with pytest.raises(StoreError, match="No space left"):
            folder.write_document({"new": 1})
    assert folder.read_document() == {"old": 1}
    folder.write_document({"new": 1})
    assert folder.read_document() == {"new": 1}


def test_a_left_over_temporary_link_is_not_written_through(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine")
    (tmp_path / "file.new").symlink_to(outside)
    replace_file(tmp_path / "file", b"content")
    assert outside.read_text() == "mine"
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_second_server_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    folder = create_folder(tmp_path / "store")
    lock = lock_store(folder)
    with pytest.raises(ConfigError, match="in use"):
        lock_store(folder)
    lock.release()
    lock.release()
    lock_store(folder).release()


def test_a_store_whose_lock_cannot_be_made_is_refused(tmp_path: Path) -> None:
    folder = create_folder(tmp_path / "store")
    (folder.locks / "store").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="cannot be locked"):
        lock_store(folder)


def test_blobs_are_noticed_but_locks_and_empty_folders_are_not(tmp_path: Path) -> None:
    folder = create_folder(tmp_path / "store")
    inner = folder.blobs / ("0" * 16) / "aa"
    inner.mkdir(parents=True)
    (folder.locks / "writer").touch()
    assert not folder.has_blobs()
    (inner / "blob").touch()
    assert folder.has_blobs()


def test_copies_of_older_catalogs_get_names_of_their_own(tmp_path: Path) -> None:
    folder = create_folder(tmp_path / "store")
    first = folder.catalog_copy(1)
    first.touch()
    assert folder.catalog_copy(1) != first
    assert os.path.dirname(first) == str(folder.path)

"""Full disks, failing disks and impatient calls under the blobs; and the order in which a PUT becomes durable."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s3al.errors import StoreError
from s3al.store import schema
from s3al.store.file_layer import FileLayer
from s3al.store.files import FileBlobs
from s3al.store.layout import create_folder

from .blob_process import KEY
from .traced import needs_strace, run_traced

CONTENT = b"0123456789" * 1000


class FailingLayer(FileLayer):
    """Fails one kind of call from its `first` (counted from 1) on, until told otherwise."""

    def __init__(self, call: str, error: int, first: int = 1) -> None:
        self.failing, self._error, self._left = call, error, first

    def _pass(self, call: str) -> None:
        if call == self.failing:
            self._left -= 1
            if self._left < 1:
                raise OSError(self._error, "injected", "/a/path/that/must/not/be/told")

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name.startswith("_") or name == "failing":
            return found
        passing: Callable[..., Any] = found

        def call(*arguments: Any) -> Any:
            self._pass(name)
            return passing(*arguments)

        return call


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return create_folder(tmp_path / "store").blobs


def put(blobs: FileBlobs) -> str:
    writer = blobs.create()
    try:
        writer.write(CONTENT[:4000])
        writer.write(CONTENT[4000:])
        writer.finish()
    except StoreError:
        writer.abandon()
        raise
    return writer.name


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize(
    ("call", "first"),
    [
        ("make_folder", 1),
        ("create", 1),
        ("write", 1),
        ("write", 2),
        ("sync", 1),
        ("sync_folder", 1),
        ("sync_folder", 3),
    ],
)
def test_a_failed_put_leaves_nothing_and_the_next_succeeds(
    root: Path, call: str, first: int, error: int
) -> None:
    layer = FailingLayer(call, error, first)
    blobs = FileBlobs(root, layer=layer)
    with pytest.raises(StoreError) as caught:
        put(blobs)
    assert caught.value.retryable
    assert "path" not in f"{caught.value}{caught.value.advice}"
    assert list(blobs.names()) == []
    layer.failing = ""
    name = put(blobs)
    with blobs.open(name) as reader:
        assert reader.read(0, len(CONTENT)) == CONTENT
    blobs.close()


def test_a_full_disk_is_told_from_a_failing_one(root: Path) -> None:
    for error, words in ((errno.ENOSPC, "is full"), (errno.EDQUOT, "is full"), (errno.EIO, "failed")):
        blobs = FileBlobs(root, layer=FailingLayer("write", error))
        with pytest.raises(StoreError, match=words):
            put(blobs)
        blobs.close()


def test_a_folder_whose_sync_failed_is_synced_again(root: Path) -> None:
    """Otherwise the second blob in it would be acknowledged without a durable name."""
    drawn = iter([bytes(8), bytes(16), bytes(15) + b"\x01", bytes(15) + b"\x02"])
    synced: list[str] = []

    class Layer(FailingLayer):
        def sync_folder(self, path: Path) -> None:
            super().sync_folder(path)
            synced.append(path.name)

    layer = Layer("sync_folder", errno.EIO, 2)
    blobs = FileBlobs(root, layer=layer, random=lambda _: next(drawn))
    with pytest.raises(StoreError):
        put(blobs)
    layer.failing = ""
    put(blobs)
    put(blobs)
    assert synced == ["00", "00", "0" * 16, "blobs", "00"]
    blobs.close()


@pytest.mark.parametrize(
    ("call", "error"), [("open", errno.EIO), ("open", errno.EMFILE), ("size", errno.EIO), ("read", errno.EIO)]
)
def test_a_read_that_fails_is_a_store_error_and_may_be_tried_again(root: Path, call: str, error: int) -> None:
    layer = FailingLayer("", error)
    blobs = FileBlobs(root, layer=layer)
    name = put(blobs)
    layer.failing = call
    with pytest.raises(StoreError) as caught, blobs.open(name) as reader:
        reader.read(0, 10)
    assert caught.value.retryable
    layer.failing = ""
    with blobs.open(name) as reader:
        assert reader.read(0, 10) == CONTENT[:10]
    blobs.close()


def test_an_unlink_that_fails_is_a_store_error_and_abandoning_is_silent(root: Path) -> None:
    layer = FailingLayer("unlink", errno.EIO)
    blobs = FileBlobs(root, layer=layer)
    name = put(blobs)
    with pytest.raises(StoreError):
        blobs.remove([name])
    blobs.create().abandon()
    blobs.close()


class ImpatientLayer(FileLayer):
    """Writes and reads at most seven bytes at a time, as the system may."""

    def write(self, descriptor: int, data: bytes | bytearray | memoryview) -> int:
        return super().write(descriptor, memoryview(data)[:7])

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        return super().read(descriptor, min(length, 7), offset)


def test_short_writes_and_reads_are_continued(root: Path) -> None:
    blobs = FileBlobs(root, layer=ImpatientLayer())
    with blobs.open(put(blobs)) as reader:
        assert reader.size_bytes == len(CONTENT)
        assert reader.read(3, 500) == CONTENT[3:503]
    blobs.close()


def test_a_write_that_writes_nothing_is_an_error_and_no_endless_loop(root: Path) -> None:
    class StuckLayer(FileLayer):
        def write(self, descriptor: int, data: bytes | bytearray | memoryview) -> int:
            return 0

    blobs = FileBlobs(root, layer=StuckLayer())
    with pytest.raises(StoreError):
        put(blobs)
    blobs.close()


@needs_strace
def test_a_blob_and_its_folders_are_durable_before_the_row_and_the_row_before_the_answer(
    tmp_path: Path,
) -> None:
    folder = create_folder(tmp_path / "store")
    schema.prepare(folder, KEY)
    log = tmp_path / "trace"
    script = Path(__file__).with_name("blob_process.py")
    run_traced(["-e", "trace=fsync,fdatasync,write"], script, str(folder.path), "3", log=log)
    steps = [step for line in log.read_text().splitlines() if (step := _step(line, folder.path)) is not None]
    puts: list[list[str]] = [[]]
    for step in steps:
        puts[-1].append(step)
        if step == "acknowledged":
            puts.append([])
    first, *others = puts[:3]
    assert first == ["blob", "2 hex", "incarnation", "blobs", "wal", "wal", "acknowledged"]  # a new WAL: header, rows
    for other in others:
        assert other in (
            ["blob", "2 hex", "incarnation", "wal", "acknowledged"],
            ["blob", "2 hex", "wal", "acknowledged"],
        )


_PLACES = [
    ("blob", r"blobs/[0-9a-f]{16}/[0-9a-f]{2}/[0-9a-f]{32}"),
    ("2 hex", r"blobs/[0-9a-f]{16}/[0-9a-f]{2}"),
    ("incarnation", r"blobs/[0-9a-f]{16}"),
    ("blobs", r"blobs"),
    ("wal", r"catalog\.db-wal"),
    ("catalog", r"catalog\.db"),
]


def _step(line: str, folder: Path) -> str | None:
    """What a traced call did: which file or folder it synced, or that it answered."""
    if "acknowledged" in line:
        return "acknowledged"
    synced = re.search(r"f(?:data)?sync\(\d+<" + re.escape(str(folder)) + r"/([^>]+)>\)\s+= 0", line)
    if synced is None:
        return None
    return next(name for name, pattern in _PLACES if re.fullmatch(pattern, synced[1]))

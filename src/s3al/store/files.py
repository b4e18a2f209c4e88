"""Blobs as files: `blobs/<incarnation>/<2 hex>/<32 hex>`, named "<incarnation>/<32 hex>".

What lives here: the `Blobs` port over a local filesystem. What does not: which blobs are garbage (garbage), when to
sweep (app), the system calls (file_layer).

Laws:
- A process holds a lock on its incarnation for its life, whatever ends it. A sweep touches only incarnations whose
  lock it has obtained itself, so that it never removes what a live process is about to name.
- A name from a row is checked before it becomes a path. Symbolic links are not followed.
- `finish` syncs the file, then every folder that is not yet known to be durable, from the file upwards.
- A blob store is opened after a fork, never before.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from s3al.errors import IntegrityError, StoreError
from s3al.store.blobs import SweepReport
from s3al.store.file_layer import FileLayer

_INCARNATION = re.compile(r"[0-9a-f]{16}")
_NAME = re.compile(r"([0-9a-f]{16})/([0-9a-f]{2})([0-9a-f]{30})")
_LOCK = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
_SWEPT_AT_ONCE = 1000  # names asked about in one write transaction


class FileBlobs:
    """root: the `blobs` folder, which exists and has a folder `.locks`. random: n -> n random bytes."""

    def __init__(
        self, root: Path, *, layer: FileLayer | None = None, random: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._root = root
        self._layer = layer or FileLayer()
        self._random = random
        self._durable_folders: set[Path] = set()
        self._doubtful: set[str] = set()
        self.incarnation, lock = _begin_incarnation(root / ".locks", random)
        self._lock: int | None = lock

    def create(self) -> FileWriter:
        name = f"{self.incarnation}/{self._random(16).hex()}"
        path = self._path(name)
        try:
            for folder in (path.parent.parent, path.parent):
                if folder not in self._durable_folders:
                    self._layer.make_folder(folder)
            return FileWriter(self, name, path, self._layer.create(path))
        except OSError as error:
            raise _store_error(error) from error

    def open(self, name: str) -> FileReader:
        path = self._path(name)
        try:
            descriptor = self._layer.open(path)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ELOOP, errno.ENOTDIR}:
                raise IntegrityError("a blob that a row names is missing") from error
            raise _store_error(error) from error
        try:
            return FileReader(self._layer, descriptor, self._layer.size(descriptor))
        except OSError as error:
            self._layer.close(descriptor)
            raise _store_error(error) from error

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            try:
                self._layer.unlink(self._path(name))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise _store_error(error) from error

    def doubt(self, names: Iterable[str]) -> None:
        self._doubtful.update(names)

    def settle_doubts(self, is_named: Callable[[Sequence[str]], set[str]]) -> int:
        names = list(self._doubtful)
        if not names:
            return 0
        garbage = set(names) - is_named(names)
        self.remove(garbage)
        self._doubtful.difference_update(names)
        return len(garbage)

    def sweep(
        self, is_named: Callable[[Sequence[str]], set[str]], *, among: Collection[str] | None = None
    ) -> SweepReport:
        swept: list[str] = []
        blobs = size = 0
        known = _incarnations(self._root) | _incarnations(self._root / ".locks")
        for incarnation in sorted((known if among is None else known.intersection(among)) - {self.incarnation}):
            lock = _take_lock(self._root / ".locks" / incarnation, create=True)
            if lock is None:
                continue
            try:
                removed = self._sweep_incarnation(incarnation, is_named)
                blobs, size = blobs + removed[0], size + removed[1]
                swept.append(incarnation)
            except OSError as error:
                raise _store_error(error) from error
            finally:
                os.close(lock)
        if among is not None:
            swept += sorted(set(among) - known)
        return SweepReport(tuple(swept), blobs, size)

    def live_incarnations(self) -> set[str]:
        live = {self.incarnation}
        for incarnation in _incarnations(self._root / ".locks") - live:
            try:
                lock = _take_lock(self._root / ".locks" / incarnation, create=False)
            except FileNotFoundError:
                continue  # swept meanwhile
            if lock is None:
                live.add(incarnation)
            else:
                os.close(lock)
        return live

    def names(self) -> Iterator[tuple[str, int]]:
        """(name, size in bytes) of every blob in the folder, by name, whether a row names it or not."""
        for incarnation in sorted(_incarnations(self._root)):
            yield from self._names_of(incarnation)

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def make_durable(self, folder: Path) -> None:
        """Sync `folder`, which holds a new name; and upwards each folder whose own name is not known to be durable."""
        self._layer.sync_folder(folder)
        for named in (folder, folder.parent):
            if named not in self._durable_folders:
                self._layer.sync_folder(named.parent)
                self._durable_folders.add(named)

    def _path(self, name: str) -> Path:
        found = _NAME.fullmatch(name)
        if found is None:
            raise IntegrityError("a row names a blob by a name that none has")
        return self._root / found[1] / found[2] / (found[2] + found[3])

    def _names_of(self, incarnation: str) -> Iterator[tuple[str, int]]:
        folder = self._root / incarnation
        for inner in sorted(folder.iterdir()) if folder.is_dir() else ():
            for path in sorted(inner.iterdir()) if inner.is_dir() else ():
                name = f"{incarnation}/{path.name}"
                if _NAME.fullmatch(name) and path.parent.name == path.name[:2] and not path.is_symlink():
                    yield name, path.stat().st_size

    def _sweep_incarnation(
        self, incarnation: str, is_named: Callable[[Sequence[str]], set[str]]
    ) -> tuple[int, int]:
        """Returns (blobs, bytes) removed. The caller holds the incarnation's lock."""
        blobs = size = 0
        names = self._names_of(incarnation)
        while some := dict(itertools.islice(names, _SWEPT_AT_ONCE)):
            garbage = set(some) - is_named(list(some))
            self.remove(sorted(garbage))
            blobs, size = blobs + len(garbage), size + sum(some[name] for name in garbage)
        _remove_empty(self._root / incarnation)
        if not (self._root / incarnation).exists():
            with contextlib.suppress(FileNotFoundError):  # nothing is left that the lock could guard
                (self._root / ".locks" / incarnation).unlink()
        return blobs, size


class FileWriter:
    """See blobs.BlobWriter. Made by `FileBlobs.create`."""

    def __init__(self, blobs: FileBlobs, name: str, path: Path, descriptor: int) -> None:
        self.name = name
        self._blobs = blobs
        self._layer = blobs._layer  # noqa: SLF001  (one implementation in two classes)
        self._path = path
        self._descriptor = descriptor

    def write(self, data: bytes | bytearray | memoryview) -> None:
        view = memoryview(data)
        try:
            while view:
                written = self._layer.write(self._descriptor, view)
                if written <= 0:
                    raise OSError(errno.EIO, "nothing was written")
                view = view[written:]
        except OSError as error:
            raise _store_error(error) from error

    def finish(self) -> None:
        try:
            self._layer.sync(self._descriptor)
            self._close()
            self._blobs.make_durable(self._path.parent)
        except OSError as error:
            raise _store_error(error) from error

    def abandon(self) -> None:
        with contextlib.suppress(OSError):
            self._close()
        with contextlib.suppress(OSError):
            self._layer.unlink(self._path)

    def _close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            self._layer.close(descriptor)


class FileReader:
    """See blobs.BlobReader. Made by `FileBlobs.open`. The file stays readable if it is unlinked meanwhile."""

    def __init__(self, layer: FileLayer, descriptor: int, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self._layer = layer
        self._descriptor = descriptor

    def read(self, offset: int, length: int) -> bytes:
        try:
            data = self._layer.read(self._descriptor, length, offset)
            while len(data) < length:
                more = self._layer.read(self._descriptor, length - len(data), offset + len(data))
                if not more:
                    raise IntegrityError("a blob is shorter than its record says")
                data += more
        except OSError as error:
            raise _store_error(error) from error
        return data

    def close(self) -> None:
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            self._layer.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _take_lock(path: Path, *, create: bool) -> int | None:
    """The descriptor of the lock file, locked; None if another process holds it. Never waits.

    Raises FileNotFoundError unless it may create the file.
    """
    try:
        descriptor = os.open(path, _LOCK | (os.O_CREAT if create else 0), 0o600)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise _store_error(error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _incarnations(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir() if _INCARNATION.fullmatch(entry.name)}


def _begin_incarnation(locks: Path, random: Callable[[int], bytes]) -> tuple[str, int]:
    """(incarnation, descriptor of its lock). Draws again if a sweep came between making the file and locking it."""
    for _ in range(100):
        incarnation = random(8).hex()
        lock = _take_lock(locks / incarnation, create=True)
        if lock is not None:
            if os.fstat(lock).st_nlink:
                return incarnation, lock
            os.close(lock)
    raise StoreError("no lock for this process could be taken")


def _remove_empty(folder: Path) -> None:
    for inner in folder.iterdir() if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            inner.rmdir()
    with contextlib.suppress(OSError):
        folder.rmdir()


def _store_error(error: OSError) -> StoreError:
    """Says which kind of failure, and no path."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return StoreError("the disk of the blobs is full", advice="make room on the disk")
    return StoreError(f"the disk of the blobs failed: {os.strerror(error.errno or errno.EIO)}")

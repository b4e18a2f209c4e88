"""The chain that one worker writes: append, make durable, begin another file.

What lives here: `ChainWriter`. What does not: the format (frames), when records are written and synced (recorder).

Laws: whole records alone stay in a file: what was written in part is cut off, or the file is left for another one; a
record that could not be written is not in the chain. Room is asked of the disk ahead, so that a full one is met
before anything is done. A file whose sync failed is not written to again. Used by several threads: the loop's, the
writer's of the database, those that sync.
"""

from __future__ import annotations

import ctypes
import errno
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from s3al.errors import StoreError
from s3al.store.layout import sync_folder
from s3al.trail.frames import (
    HEAD_BYTES,
    MOST_RECORD_BYTES,
    FileCipher,
    FileHead,
    TrailKeys,
    framed,
    next_head,
    start_of_chain,
)

FILE_BYTES = 8 << 20
_AHEAD_BYTES = 1 << 20
_LEAST_AHEAD_BYTES = 256 << 10
_KEEP_SIZE = 1
_CANNOT_ALLOCATE = (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)


class FileCalls:
    """The calls of the operating system; a port for tests."""

    def pwrite(self, descriptor: int, content: bytes, offset: int) -> int:
        return os.pwrite(descriptor, content, offset)

    def sync(self, descriptor: int) -> None:
        os.fdatasync(descriptor)

    def allocate(self, descriptor: int, offset: int, size: int) -> None:
        """Claim room beyond the end without moving it. Raises OSError; does nothing where that does not exist."""
        if _fallocate(descriptor, _KEEP_SIZE, offset, size):
            code = ctypes.get_errno()
            if code not in _CANNOT_ALLOCATE:
                raise OSError(code, os.strerror(code))


_libc = ctypes.CDLL(None, use_errno=True)


def _fallocate(descriptor: int, mode: int, offset: int, size: int) -> int:
    call = getattr(_libc, "fallocate64", None) or getattr(_libc, "fallocate", None)
    if call is None:
        return 0
    return int(call(descriptor, ctypes.c_int(mode), ctypes.c_int64(offset), ctypes.c_int64(size)))


def file_name(incarnation: str, number: int) -> str:
    return f"{incarnation}.{number:06d}"


class ChainWriter:
    """One worker's chain. incarnation: 16 hex digits, never used before."""

    def __init__(
        self,
        folder: Path,
        keys: TrailKeys,
        store_id: bytes,
        incarnation: str,
        *,
        now_ms: Callable[[], int],
        calls: FileCalls | None = None,
        file_bytes: int = FILE_BYTES,
    ) -> None:
        self._folder, self._keys, self._store_id, self.incarnation = folder, keys, store_id, incarnation
        self._now_ms, self._calls, self._file_bytes = now_ms, calls or FileCalls(), file_bytes
        self._lock, self._sync_lock = threading.Lock(), threading.Lock()
        self.count = 0
        self.head = start_of_chain(store_id, incarnation)
        self._number = 0
        self._descriptor = -1
        self._offset = self._synced_count = self._room_to = 0
        self._spoiled = self._is_closed = False
        self.has_begun = False

    def __repr__(self) -> str:
        return f"ChainWriter({self.incarnation}, count={self.count})"

    @property
    def is_dirty(self) -> bool:
        return self._synced_count < self.count

    def begin(self, enlist: Callable[[], object]) -> None:
        """Make the first file, durably, then list the chain: nothing is recorded before both are done. Raises
        StoreError; may then be called again."""
        with self._lock:
            try:
                if self._descriptor < 0:
                    self._begin_file()
            except OSError as error:
                raise _failed(error) from error
        enlist()
        self.has_begun = True

    def reserve(self) -> None:
        """Cheap unless room runs out. Raises StoreError if the disk has none, or nothing can be written."""
        if self.has_begun and not self._spoiled and self._room_to - self._offset >= _LEAST_AHEAD_BYTES:
            return
        with self._lock:
            try:
                self._make_writable()
                self._claim_room()
            except OSError as error:
                raise _failed(error) from error

    def append(self, records: Sequence[bytes]) -> None:
        """Write records with one call; the operating system has them when this returns. Raises StoreError, also for a
        record that no reader would take: it would hide all that follow."""
        if any(len(record) > MOST_RECORD_BYTES for record in records):
            raise StoreError("a record of the audit trail is too large")
        with self._lock:
            try:
                self._make_writable()
                if self._offset >= self._file_bytes:
                    self._begin_file()
                self._append(records)
            except OSError as error:
                raise _failed(error) from error

    def sync(self) -> None:
        """Make what was appended durable. Raises StoreError. To be called on a thread that may wait."""
        with self._sync_lock:
            with self._lock:
                descriptor, count = os.dup(self._descriptor), self.count
            try:
                if self._synced_count < count:
                    self._calls.sync(descriptor)
                    self._synced_count = count
            except OSError as error:
                self._spoiled = True
                raise _failed(error) from error
            finally:
                os.close(descriptor)

    def close(self) -> None:
        with self._lock:
            if self._descriptor >= 0:
                os.ftruncate(self._descriptor, self._offset)  # gives back the room that was asked for
                os.close(self._descriptor)
                self._descriptor = -1
            self._is_closed = True

    def _append(self, records: Sequence[bytes]) -> None:
        number, head, pieces, heads = self.count, self.head, [], []
        for record in records:
            sealed = self._cipher.seal(record, number=number, before=head)
            head = next_head(head, number, sealed)
            pieces.append(framed(number, sealed))
            heads.append(head)
            number += 1
        content = b"".join(pieces)
        at = self._offset
        try:
            while content:
                written = self._calls.pwrite(self._descriptor, content, at)
                at, content = at + written, content[written:]
        except OSError:
            self._keep_whole(at, pieces, heads)
            raise
        self._offset, self.count, self.head = at, number, head

    def _keep_whole(self, reached: int, pieces: list[bytes], heads: list[bytes]) -> None:
        """After a write that failed: records that are whole stay, as others may have seen them."""
        for piece, head in zip(pieces, heads, strict=True):
            if self._offset + len(piece) > reached:
                break
            self._offset, self.count, self.head = self._offset + len(piece), self.count + 1, head
        try:
            os.ftruncate(self._descriptor, self._offset)
        except OSError:
            self._spoiled = True

    def _make_writable(self) -> None:
        if self._is_closed or not self.has_begun:
            raise OSError(errno.EBADF, "it is closed" if self._is_closed else "it has not begun")
        if self._spoiled:
            self._begin_file()
            self._spoiled = False

    def _claim_room(self) -> None:
        if self._room_to - self._offset < _LEAST_AHEAD_BYTES:
            self._calls.allocate(self._descriptor, self._offset, _AHEAD_BYTES)
            self._room_to = self._offset + _AHEAD_BYTES

    def _begin_file(self) -> None:
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, self._offset)
            if not self._spoiled:
                self._calls.sync(self._descriptor)
                self._synced_count = self.count
        material_id = self._keys.current_material()
        head = FileHead(material_id, self.incarnation, self._number, self.count, self._now_ms(), self.head)
        path = self._folder / file_name(self.incarnation, self._number)
        descriptor = -1
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            if self._calls.pwrite(descriptor, head.encode(), 0) != HEAD_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._calls.allocate(descriptor, HEAD_BYTES, _AHEAD_BYTES)
            self._calls.sync(descriptor)
            sync_folder(self._folder)
        except OSError:
            if descriptor >= 0:
                path.unlink(missing_ok=True)
                os.close(descriptor)
            raise
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._cipher = FileCipher(self._keys, self._store_id, head)
        self._descriptor, self._offset, self._room_to = descriptor, HEAD_BYTES, HEAD_BYTES + _AHEAD_BYTES
        self._number += 1


def _failed(error: OSError) -> StoreError:
    return StoreError(f"the audit trail could not be written: {error.strerror}", advice="free space on its disk")

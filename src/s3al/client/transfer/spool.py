"""Where ciphertext waits for its tag: in memory up to a bound, the rest in a temporary file without a name.

What lives here: `Spool`. What does not: what is in it; it is always ciphertext.

Laws: what is in memory stays there and only what is beyond the bound is written, behind the reader's back, so that a
slow disk and a slow network do not wait for each other. Closing leaves nothing.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Final, Self

_BEHIND: Final = 4  # pieces written behind at most: memory stays bounded when the disk is slower than the network


class Spool:
    """Written once from start to end, then read in any order. Not for several threads at once."""

    def __init__(self, memory_bytes: int, *, expected_bytes: int | None = None) -> None:
        """expected_bytes: no more memory than that is reserved; more may be written all the same."""
        self._memory = _memory(memory_bytes if expected_bytes is None else min(memory_bytes, expected_bytes))
        self._in_memory = 0
        self._file: IO[bytes] | None = None
        self._writer: ThreadPoolExecutor | None = None
        self._behind: deque[Future[int]] = deque()
        self._read = bytearray()
        self.length = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, piece: bytes) -> None:
        """Append. Raises OSError of an earlier piece, if the disk refused it."""
        self.length += len(piece)
        if self._file is None:
            end = self._in_memory + len(piece)
            if end <= len(self._memory):
                self._memory[self._in_memory : end] = piece
                self._in_memory = end
                return
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # closed with the spool
            self._writer = ThreadPoolExecutor(1, thread_name_prefix="s3al-spool")
        assert self._writer is not None
        if len(self._behind) >= _BEHIND:
            self._behind.popleft().result()
        self._behind.append(self._writer.submit(_write_all, self._file, piece))

    def flush(self) -> None:
        """Wait until all is where it can be read."""
        while self._behind:
            self._behind.popleft().result()

    def read(self, offset: int, length: int) -> memoryview:
        """At most `length` bytes from `offset`; nothing past the end. Valid until the next call."""
        self.flush()
        head = self._memory[min(offset, self._in_memory) : min(offset + length, self._in_memory)]
        if self._file is None or len(head) == length:
            return head
        if len(self._read) < length:
            self._read = bytearray(length)
        room = memoryview(self._read)[:length]
        room[: len(head)] = head
        beyond = max(0, offset - self._in_memory)
        return room[: len(head) + os.preadv(self._file.fileno(), [room[len(head) :]], beyond)]

    def close(self) -> None:
        if self._writer is not None:
            self._writer.shutdown(wait=True, cancel_futures=True)
        if self._file is not None:
            self._file.close()
        self._memory = memoryview(b"")


def _memory(size: int) -> memoryview:
    """Memory that costs nothing until it is written to, in large pages where there are some: single ones cost more,
    fault by fault, than the ciphering."""
    if size <= 0:
        return memoryview(b"")
    area = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):
            area.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(area)


def _write_all(file: IO[bytes], piece: bytes) -> int:
    view = memoryview(piece)
    while view:
        view = view[file.write(view) :]
    return len(piece)

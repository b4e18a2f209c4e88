"""Where ciphertext waits for its tag: in memory up to a bound, the rest in a temporary file without a name.

What lives here: `Spool`. What does not: what is in it; it is always ciphertext.

Laws: what is in memory stays there and only what is beyond the bound is written, behind the reader's back, so that a
slow disk and a slow network do not wait for each other. Closing leaves nothing.
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import IO, Final, Self

_BEHIND: Final = 4  # pieces written behind at most: memory stays bounded when the disk is slower than the network


class Spool:
    """Written once from start to end, then read in any order. Not for several threads at once."""

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._writer: ThreadPoolExecutor | None = None
        self._behind: deque[Future[int]] = deque()
        self.length = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def write(self, piece: bytes) -> None:
        """Append. Raises OSError of an earlier piece, if the disk refused it."""
        self.length += len(piece)
        if self._file is None:
            if len(self._memory) + len(piece) <= self._memory_bytes:
                self._memory += piece
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

    def read(self, offset: int, length: int) -> bytes:
        """At most `length` bytes from `offset`; nothing past the end."""
        self.flush()
        in_memory = len(self._memory)
        head = bytes(memoryview(self._memory)[offset : offset + length]) if offset < in_memory else b""
        if self._file is None or len(head) == length:
            return head
        tail = os.pread(self._file.fileno(), length - len(head), max(0, offset - in_memory))
        return head + tail if head else tail

    def close(self) -> None:
        if self._writer is not None:
            self._writer.shutdown(wait=True, cancel_futures=True)
        if self._file is not None:
            self._file.close()
        self._memory = bytearray()


def _write_all(file: IO[bytes], piece: bytes) -> int:
    view = memoryview(piece)
    while view:
        view = view[file.write(view) :]
    return len(piece)

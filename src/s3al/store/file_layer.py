"""The system calls that blobs are made of, in one place so that tests can make them fail.

What lives here: thin calls on descriptors. What does not: when they are made, and what their errors mean (files).
"""

from __future__ import annotations

import os
from pathlib import Path

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
# Without O_NONBLOCK a pipe in the place of a blob would hold the thread for ever.
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class FileLayer:
    """The operating system. A subclass in tests fails, cuts short or counts."""

    def make_folder(self, path: Path) -> bool:
        """Returns False if it was there."""
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            return False
        return True

    def create(self, path: Path) -> int:
        """A new file, for writing. Raises FileExistsError."""
        return os.open(path, _CREATE, 0o600)

    def open(self, path: Path) -> int:
        return os.open(path, _READ)

    def write(self, descriptor: int, data: bytes | bytearray | memoryview) -> int:
        """Returns the number of bytes written, which may be fewer than given."""
        return os.write(descriptor, data)

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        """May return fewer bytes than asked for; none at the end."""
        return os.pread(descriptor, length, offset)

    def size(self, descriptor: int) -> int:
        return os.fstat(descriptor).st_size

    def sync(self, descriptor: int) -> None:
        os.fsync(descriptor)

    def sync_folder(self, path: Path) -> None:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def unlink(self, path: Path) -> None:
        path.unlink()

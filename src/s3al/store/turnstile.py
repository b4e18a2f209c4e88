"""The queue for being the one writer: file locks between processes, granted fairly.

What lives here: two `flock`s in one folder. What does not: what the holder does with its turn (group_commit).

Laws: a process that has just had its turn cannot take the next one from under a process that waits: it would have
to pass `queue`, and whoever holds `queue` already stands next in line for `turn`. The kernel releases both locks
when a process dies, however it dies. A turnstile is opened after a fork, never before: forked descriptors would
share one lock.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from s3al.errors import StoreError

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Turnstile:
    """Used by one thread at a time; each thread of a process opens its own."""

    def __init__(self, folder: Path, name: str) -> None:
        try:
            self._turn = os.open(folder / name, _FLAGS, 0o600)
            self._queue = os.open(folder / f"{name}-queue", _FLAGS, 0o600)
        except OSError as error:
            raise StoreError(f"the lock files cannot be opened: {error.strerror}") from error

    def enter(self) -> None:
        """Wait for the turn, without limit of time."""
        fcntl.flock(self._queue, fcntl.LOCK_EX)
        try:
            fcntl.flock(self._turn, fcntl.LOCK_EX)
        finally:
            fcntl.flock(self._queue, fcntl.LOCK_UN)

    def leave(self) -> None:
        fcntl.flock(self._turn, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._turn)
        os.close(self._queue)

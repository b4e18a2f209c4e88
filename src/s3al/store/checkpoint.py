"""Moving committed pages from the WAL into the database file, without stalling those who commit.

What lives here: the thread that does it. What does not: commits (group_commit).

Laws: at most one process checkpoints at a time; most of the work is done beside the writers (PASSIVE); only the
little that was committed meanwhile is done in a writer's turn, after which the WAL begins anew. Without that second
step a store that is written to without pause would never find its WAL wholly copied, and the WAL would grow for
ever.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable
from enum import Enum
from pathlib import Path

import apsw

from s3al.store.turnstile import Turnstile

# Measured on two cores, four processes writing 4 KiB bodies at 9,000 transactions a second: one checkpoint in 70 ms
# held the writers' turn for 14 ms, 30 at most; p99 of a write was 24 ms, and 8 with one process that had all to itself.
WAL_PAGES = 4000  # 16 MiB: replayed in well under a second after a crash
_READERS_MS = 20  # how long a turn may wait for snapshots that still read the WAL
_PAUSE_S = 1.0  # after a checkpoint that could not end: a backup may read for minutes, and the writers must not feel it


class Outcome(Enum):
    DONE = "done"
    ELSEWHERE = "another process is at it"
    HELD_UP = "a long reader still needs the WAL"


class Checkpointer:
    """One thread, asleep until `wanted`. open_connection: called in that thread."""

    def __init__(self, open_connection: Callable[[], apsw.Connection], locks: Path) -> None:
        self._open_connection = open_connection
        self._locks = locks
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._truncating = False
        self._thread = threading.Thread(target=self._run, name="s3al-checkpoint", daemon=True)
        self._thread.start()

    def wanted(self) -> None:
        self._wake.set()

    def truncate(self) -> None:
        """Empty the WAL once the transaction that runs now has ended; tried until it is done.

        To be called inside a transaction: the thread then waits for its turn to end.
        """
        self._truncating = True
        self._wake.set()

    def close(self) -> None:
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        connection: apsw.Connection | None = None
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._stop.is_set():
                break
            truncating, self._truncating = self._truncating, False
            try:
                connection = connection or self._open_connection()
                is_done = self._checkpointed(connection, truncating)
            except Exception:  # noqa: BLE001  (a full disk; the WAL still holds everything, the next commit asks again)
                is_done = False
            if not is_done:
                if truncating:
                    self.truncate()
                self._stop.wait(_PAUSE_S)
        if connection is not None:
            connection.close()


    def _checkpointed(self, connection: apsw.Connection, truncating: bool) -> bool:
        if truncating:
            return checkpoint(connection, self._locks, mode=apsw.SQLITE_CHECKPOINT_TRUNCATE) is Outcome.DONE
        return checkpoint(connection, self._locks, least_pages=WAL_PAGES) is not Outcome.HELD_UP


def checkpoint(
    connection: apsw.Connection, locks: Path, *, least_pages: int = 0, mode: int = apsw.SQLITE_CHECKPOINT_RESTART
) -> Outcome:
    """least_pages: of the WAL, below which it is left to grow. mode: TRUNCATE leaves an empty file."""
    lock = os.open(locks / "checkpoint", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        wal_pages, _copied = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        if wal_pages < least_pages:
            return Outcome.DONE  # another process was faster
        return _restart(connection, locks, mode)
    except BlockingIOError:
        return Outcome.ELSEWHERE
    finally:
        os.close(lock)


def _restart(connection: apsw.Connection, locks: Path, mode: int) -> Outcome:
    turnstile = Turnstile(locks, "writer")
    turnstile.enter()
    try:
        connection.set_busy_timeout(_READERS_MS)
        connection.wal_checkpoint(mode=mode)
        return Outcome.DONE
    except apsw.BusyError:
        return Outcome.HELD_UP
    finally:
        turnstile.leave()
        turnstile.close()

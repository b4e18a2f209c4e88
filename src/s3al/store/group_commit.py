"""Group commit: one thread per process that applies queued transactions and makes many of them durable with one
sync.

What lives here: `Pending`, a transaction on its way, and the thread. What does not: connections (sqlite_file), the
fair queue between processes (turnstile), the checkpoint.

Laws:
- A turn ends after 64 transactions, or when 2 ms of applying them have passed, or when none waits.
- Each transaction is a savepoint: its exception undoes it alone. All of a turn are settled after the commit, also
  those that failed, because what they saw may not have become durable.
- If the commit fails, all of the turn fail with StoreError and nothing of the turn is visible; the next turn works
  again.
- A transaction is claimed once, either by the thread that applies it or by the caller who withdraws it.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import apsw

from s3al.errors import S3alError, StoreError
from s3al.store.database import Rows
from s3al.store.sqlite_file import translated
from s3al.store.turnstile import Turnstile

TURN_OPERATIONS = 64
TURN_S = 0.002


class Pending:
    """A transaction between `submit` and its outcome. `settled` is run once, in the writer's thread."""

    __slots__ = ("_unclaimed", "error", "fn", "result", "settled")

    def __init__(self, fn: Callable[[Rows], Any], settled: Callable[[Pending], None]) -> None:
        self.fn = fn
        self.settled = settled
        self.result: Any = None
        self.error: BaseException | None = None
        self._unclaimed = [True]

    def claim(self) -> bool:
        """True for exactly one caller, of whatever thread."""
        try:
            return self._unclaimed.pop()
        except IndexError:
            return False


class GroupCommit:
    """The writer of one process.

    open_connection: called in the writer's thread. rows_of: wraps a connection. after_turn: told the pages in the
    WAL.
    """

    def __init__(
        self,
        open_connection: Callable[[], apsw.Connection],
        turnstile: Turnstile,
        *,
        rows_of: Callable[[apsw.Connection], Rows],
        after_turn: Callable[[int], None],
    ) -> None:
        self._open_connection = open_connection
        self._turnstile = turnstile
        self._rows_of = rows_of
        self._after_turn = after_turn
        self._queue: queue.SimpleQueue[Pending | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._closed = False
        self._wal_pages = 0
        self._thread = threading.Thread(target=self._run, name="s3al-writer", daemon=True)
        self._thread.start()

    def submit(self, pending: Pending) -> None:
        if threading.current_thread() is self._thread:
            raise RuntimeError("a write inside a write")
        with self._gate:
            if self._closed:
                raise StoreError("the catalog is closed")
            self._queue.put(pending)

    def close(self) -> None:
        """Finish what was submitted."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        connection: apsw.Connection | None = None
        while (pending := self._queue.get()) is not None:
            settled: list[Pending] = []
            last = False
            try:
                connection = connection or self._connected()
                last = self._turn(connection, pending, settled)
            except BaseException as error:  # noqa: BLE001  (raised again in every caller of this turn)
                _fail(settled or [pending], error)
                _drop(connection)
                connection = None
            for done in settled or [pending]:
                done.settled(done)
            self._after_turn(self._wal_pages)
            if last:
                break
        if connection is not None:
            connection.close()
        self._turnstile.close()

    def _connected(self) -> apsw.Connection:
        connection = self._open_connection()

        def note_pages(_: apsw.Connection, __: str, pages: int) -> int:
            self._wal_pages = pages
            return int(apsw.SQLITE_OK)

        connection.set_wal_hook(note_pages)
        return connection

    def _turn(self, connection: apsw.Connection, first: Pending, settled: list[Pending]) -> bool:
        """Commit `first` and what else waits; `settled` receives what was taken. Returns whether the end was met."""
        self._turnstile.enter()
        try:
            connection.execute("BEGIN IMMEDIATE")
            last = self._apply_waiting(connection, first, settled)
            connection.execute("COMMIT")
            return last
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        finally:
            self._turnstile.leave()

    def _apply_waiting(self, connection: apsw.Connection, first: Pending, settled: list[Pending]) -> bool:
        rows = self._rows_of(connection)
        end = time.monotonic() + TURN_S
        pending: Pending | None = first
        while pending is not None:
            if pending.claim():
                settled.append(pending)
                _apply(connection, rows, pending)
            if len(settled) >= TURN_OPERATIONS or time.monotonic() >= end:
                return False
            try:
                pending = self._queue.get_nowait()
            except queue.Empty:
                return False
        return True


def _apply(connection: apsw.Connection, rows: Rows, pending: Pending) -> None:
    """Run one transaction in its savepoint. Raises only if the turn as a whole is lost."""
    connection.execute("SAVEPOINT operation")
    try:
        pending.result = pending.fn(rows)
    except BaseException as error:
        pending.error = translated(error) if isinstance(error, apsw.Error) else error
        pending.error.__cause__ = pending.error.__cause__ or (error if pending.error is not error else None)
        if not connection.in_transaction:  # SQLite undid everything: full disk, I/O error
            raise
        connection.execute("ROLLBACK TO operation")
    connection.execute("RELEASE operation")


def _fail(pendings: list[Pending], error: BaseException) -> None:
    for pending in pendings:
        pending.claim()
        if isinstance(error, apsw.Error):
            pending.error = translated(error)
        elif isinstance(error, S3alError):
            pending.error = error
        elif pending.error is None:
            pending.error = StoreError("the transaction's turn failed")
        if pending.error is not error:
            pending.error.__cause__ = error


def _drop(connection: apsw.Connection | None) -> None:
    """After a failed turn the next begins with a new connection, whatever state this one is in."""
    if connection is not None:
        with contextlib.suppress(apsw.Error):
            connection.close(True)

"""The `Database` port over one encrypted SQLite file, shared by all workers of a machine.

What lives here: reads, each on the connection of the thread that asks, and writes handed to the group commit. What
does not: connections (sqlite_file), the writer's thread (group_commit), tables (schema).

Laws: see database. Reads run inline, also on the event loop: with the WAL they wait for nobody, and cost
microseconds. A database is opened after a fork, never before.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import apsw

from s3al.errors import StoreError
from s3al.store.checkpoint import WAL_PAGES, Checkpointer
from s3al.store.database import Rows
from s3al.store.group_commit import GroupCommit, Pending
from s3al.store.meta import change_counter
from s3al.store.sqlite_file import backup, connect, translated
from s3al.store.turnstile import Turnstile

T = TypeVar("T")

_KNOWN = 4096  # rows of a thread that are remembered for one value of the change counter
_INTERRUPT_EVERY_S = 0.05


class SqliteRows:
    """Rows over a connection that is inside a transaction."""

    __slots__ = ("_changes", "_execute")

    def __init__(self, connection: apsw.Connection) -> None:
        self._execute = connection.execute
        self._changes = connection.changes

    def one(self, sql: str, params: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._execute(sql, params).fetchone()
        return row

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self._execute(sql, params).fetchall()
        return found

    def run(self, sql: str, params: Sequence[Any] = ()) -> int:
        self._execute(sql, params)
        return int(self._changes())


class SnapshotRows(SqliteRows):
    """Rows of one snapshot after another. Within a snapshot, a statement without parameters is run once."""

    __slots__ = ("_answers", "_known", "_known_as_of")

    def __init__(self, connection: apsw.Connection) -> None:
        super().__init__(connection)
        self._answers: dict[str, tuple[Any, ...] | None] = {}
        self._known: dict[Any, Any] = {}
        self._known_as_of = -1

    def begin(self) -> None:
        self._answers.clear()
        self._execute("BEGIN")

    def end(self) -> None:
        self._execute("ROLLBACK")

    def known(self) -> dict[Any, Any]:
        """What was read under the counter of this snapshot (see settled)."""
        stamp = change_counter(self)
        if stamp != self._known_as_of or len(self._known) >= _KNOWN:
            self._known, self._known_as_of = {}, stamp
        return self._known

    def one(self, sql: str, params: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        if params:
            row: tuple[Any, ...] | None = self._execute(sql, params).fetchone()
            return row
        if sql not in self._answers:
            self._answers[sql] = self._execute(sql).fetchone()
        return self._answers[sql]


class _Reader(threading.local):
    """The connection of one thread, and what it holds while it reads; whether it is inside a read; whether reads share
    a snapshot, and it has begun."""

    connection: apsw.Connection | None = None
    rows: SnapshotRows | None = None
    at_work: threading.Lock
    reading: bool = False
    shared: bool = False
    begun: bool = False


class SqliteDatabase:
    """path: of the database file. locks: folder of the lock files that all workers share. key: 32 bytes."""

    def __init__(self, path: Path, key: bytes, locks: Path) -> None:
        self._path = path
        self._key = key
        self._readers: list[tuple[apsw.Connection, threading.Lock]] = []
        self._readers_gate = threading.Lock()
        self._reads_ended = False
        self._reader = _Reader()
        self._closed = False
        self._wakeups: _Wakeups | None = None
        self._connect_reader()  # a wrong key or a damaged file shows here, in the thread that can report it
        self._checkpointer = Checkpointer(lambda: connect(path, key), locks)
        self._group = GroupCommit(
            lambda: connect(path, key), Turnstile(locks, "writer"), rows_of=SqliteRows, after_turn=self._after_turn
        )

    def __repr__(self) -> str:
        return f"SqliteDatabase({str(self._path)!r})"

    async def read(self, fn: Callable[[Rows], T]) -> T:
        return self.read_now(fn)

    def read_now(self, fn: Callable[[Rows], T]) -> T:
        reader = self._reader
        connection, rows = reader.connection, reader.rows
        if connection is None or rows is None:
            connection, rows = self._connect_reader()
        if reader.reading:  # for a key that a read turns out to need: the same snapshot knows it
            return fn(rows)
        with reader.at_work:
            if self._reads_ended:
                raise StoreError("the catalog is closed")
            reader.reading = True
            try:
                if not reader.begun:
                    rows.begin()
                    reader.begun = reader.shared
                return fn(rows)
            except apsw.Error as error:
                raise translated(error) from error
            finally:
                reader.reading = False
                if not reader.begun and connection.in_transaction:
                    rows.end()

    def share_snapshot(self) -> None:
        self._reader.shared = True

    def end_snapshot(self) -> None:
        reader = self._reader
        reader.shared = False
        if reader.begun:
            reader.begun = False
            if reader.rows and reader.connection and reader.connection.in_transaction:
                reader.rows.end()

    async def write(self, fn: Callable[[Rows], T]) -> T:
        loop = asyncio.get_running_loop()
        if self._wakeups is None or self._wakeups.loop is not loop:
            self._wakeups = _Wakeups(loop)
        write = _AwaitedWrite(fn, self._wakeups)
        self._group.submit(write.pending)
        result: T = await write.outcome()
        return result

    def write_now(self, fn: Callable[[Rows], T]) -> T:
        done = threading.Event()
        pending = Pending(fn, lambda _: done.set())
        self._group.submit(pending)
        done.wait()
        result: T = _outcome(pending)
        return result

    def verify(self) -> list[str]:
        """Read every page in use. Returns what is inconsistent; raises IntegrityError for an altered page."""
        found = self.read_now(lambda rows: rows.all("PRAGMA integrity_check"))
        return [str(row[0]) for row in found if row[0] != "ok"]

    def backup(self, path: Path, key: bytes) -> None:
        """Copy the database, as of one moment, into a new encrypted file."""
        source = connect(self._path, self._key, read_only=True)
        try:
            backup(source, path, key)
        finally:
            source.close()

    def truncate_wal(self) -> None:
        """Inside a write: once it has ended, what it deleted is not kept by the WAL either."""
        self._checkpointer.truncate()

    def close(self) -> None:
        """Finish the writes that wait; break off the statements that other threads still read with."""
        if self._closed:
            return
        self._closed = True
        self._group.close()
        self._checkpointer.close()
        with self._readers_gate:
            self._reads_ended = True
            readers, self._readers = self._readers, []
        for connection, at_work in readers:
            while not at_work.acquire(timeout=_INTERRUPT_EVERY_S):
                connection.interrupt()  # again, as it may have been between two statements
            connection.close()
            at_work.release()

    def _connect_reader(self) -> tuple[apsw.Connection, SnapshotRows]:
        connection, at_work = connect(self._path, self._key, read_only=True), threading.Lock()
        with self._readers_gate:
            if self._reads_ended:
                connection.close()
                raise StoreError("the catalog is closed")
            self._readers.append((connection, at_work))
        self._reader.connection, self._reader.at_work = connection, at_work
        self._reader.rows = SnapshotRows(connection)
        return connection, self._reader.rows

    def _after_turn(self, wal_pages: int) -> None:
        if wal_pages >= WAL_PAGES:
            self._checkpointer.wanted()


def _outcome(pending: Pending) -> Any:
    if pending.error is not None:
        raise pending.error
    return pending.result


class _Wakeups:
    """Wakes the writes of one event loop that a turn has settled: all of them with one call across threads."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._settled: deque[Callable[[], None]] = deque()
        self._called = False

    def add(self, wake: Callable[[], None]) -> None:
        """In the writer's thread."""
        self._settled.append(wake)
        if not self._called:
            self._called = True
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self.loop.call_soon_threadsafe(self._run)

    def _run(self) -> None:
        self._called = False  # first, so that whatever is added from now on calls again
        while self._settled:
            self._settled.popleft()()


class _AwaitedWrite:
    """A write that a task awaits, and the rules of its cancellation (see database)."""

    def __init__(self, fn: Callable[[Rows], Any], wakeups: _Wakeups) -> None:
        self._loop = wakeups.loop
        self._wakeups = wakeups
        self._waiter: asyncio.Future[None] = self._loop.create_future()
        self._is_settled = False
        self.pending = Pending(fn, self._settled)

    async def outcome(self) -> Any:
        try:
            await self._waiter
        except asyncio.CancelledError:
            if self.pending.claim():
                raise  # withdrawn: it will not be applied
            await self._settled_at_last()
            self._cancel_again()
        return _outcome(self.pending)

    async def _settled_at_last(self) -> None:
        while not self._is_settled:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            except asyncio.CancelledError:
                continue  # delivered again below

    def _cancel_again(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.uncancel()  # so that the cancellation counts once
        task.cancel()

    def _settled(self, _: Pending) -> None:
        """In the writer's thread."""
        self._wakeups.add(self._wake)

    def _wake(self) -> None:
        self._is_settled = True
        if not self._waiter.done():
            self._waiter.set_result(None)

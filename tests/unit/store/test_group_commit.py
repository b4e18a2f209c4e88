"""What happens to the others of a turn when one transaction, or the commit, fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import apsw
import pytest

from contract.database_suite import in_loop
from s3al.errors import IntegrityError, StoreError
from s3al.store import group_commit
from s3al.store.database import Rows
from s3al.store.meta import get_meta, put_meta
from s3al.store.sqlite import SqliteDatabase

Write = Callable[[Rows], Any]


def connection_of(rows: Rows) -> apsw.Connection:
    found = rows._execute.__self__  # type: ignore[attr-defined]
    assert isinstance(found, apsw.Connection)
    return found


async def in_one_turn(database: SqliteDatabase, *writes: Write) -> list[Any]:
    """What each write returned or raised, when all were committed together."""
    inside, proceed = threading.Event(), threading.Event()

    def hold(_: Rows) -> None:
        inside.set()
        proceed.wait(30)

    held = asyncio.create_task(database.write(hold))
    await asyncio.to_thread(inside.wait, 30)
    waiting = [asyncio.create_task(database.write(write)) for write in writes]
    await asyncio.sleep(0)
    proceed.set()
    return (await asyncio.gather(held, *waiting, return_exceptions=True))[1:]


@pytest.fixture(autouse=True)
def endless_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A turn ends when nothing waits, however slow the machine is."""
    monkeypatch.setattr(group_commit, "TURN_S", 600)


def put(name: str) -> Write:
    return lambda rows: put_meta(rows, name, "there")


def lose_the_transaction(rows: Rows) -> None:
    """What SQLite does by itself when the disk is full: it undoes the whole transaction, and says so."""
    put_meta(rows, "lost", "there")
    connection_of(rows).execute("ROLLBACK")
    raise apsw.FullError("database or disk is full")


def make_the_commit_fail(error: Exception) -> Write:
    def write(rows: Rows) -> None:
        put_meta(rows, "lost", "there")

        def refuse() -> bool:
            raise error

        connection_of(rows).set_commit_hook(refuse)

    return write


def there(database: SqliteDatabase, *names: str) -> list[str]:
    return [name for name in names if database.read_now(lambda rows, name=name: get_meta(rows, name))]


@in_loop
async def test_a_lost_transaction_fails_its_whole_turn_and_nothing_after(database: SqliteDatabase) -> None:
    results = await in_one_turn(database, put("before"), lose_the_transaction, put("after"))
    assert [type(result) for result in results] == [StoreError, StoreError, type(None)]
    assert all(result.retryable for result in results[:2])
    assert there(database, "before", "lost", "after") == ["after"]


@in_loop
async def test_a_commit_that_fails_fails_its_whole_turn(database: SqliteDatabase) -> None:
    for error, kind in (
        (apsw.IOError("disk I/O error"), StoreError),
        (apsw.CorruptError("image"), IntegrityError),
    ):
        results = await in_one_turn(database, put("before"), make_the_commit_fail(error))
        assert [type(result) for result in results] == [kind, kind]
        assert results[0] is not results[1]
        assert there(database, "before", "lost") == []
    await database.write(put("later"))
    assert there(database, "later") == ["later"]


@in_loop
async def test_an_error_of_the_callers_own_survives_the_failure_of_its_turn(database: SqliteDatabase) -> None:
    class OwnError(Exception):
        pass

    def fail(_: Rows) -> None:
        raise OwnError

    results = await in_one_turn(database, fail, make_the_commit_fail(RuntimeError("a fault of the program")))
    assert [type(result) for result in results] == [OwnError, StoreError]
    assert there(database, "lost") == []


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_no_kind_of_exception_ends_the_writer(database: SqliteDatabase, kind: type[BaseException]) -> None:
    def fail(rows: Rows) -> None:
        put_meta(rows, "undone", "there")
        raise kind

    with pytest.raises(kind):
        database.write_now(fail)
    database.write_now(put("later"))
    assert there(database, "undone", "later") == ["later"]


def test_a_writer_whose_loop_is_closed_goes_on(database: SqliteDatabase) -> None:
    inside, proceed = threading.Event(), threading.Event()

    def hold(rows: Rows) -> None:
        inside.set()
        proceed.wait(30)
        put_meta(rows, "held", "there")

    async def leave_at_once() -> None:
        task: Coroutine[Any, Any, None] = database.write(hold)
        asyncio.get_running_loop().create_task(task)
        await asyncio.to_thread(inside.wait, 30)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(leave_at_once())
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    proceed.set()
    database.write_now(put("later"))
    assert there(database, "held", "later") == ["held", "later"]

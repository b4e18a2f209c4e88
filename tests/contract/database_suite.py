"""What every `Database` must do: one suite, run on each implementation.

A test class per implementation derives from `DatabaseSuite` and gives `open_database`, which opens the same
database each time it is called within one test, with a table `notes (name TEXT PRIMARY KEY, value BLOB)` in it.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from s3al.errors import StoreError
from s3al.store.database import Database, Rows


def put(rows: Rows, name: str, value: bytes = b"") -> int:
    return rows.run(
        "INSERT INTO notes (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )


def names(rows: Rows) -> list[str]:
    return [row[0] for row in rows.all("SELECT name FROM notes ORDER BY name")]


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an asynchronous test on an event loop of its own."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


class OwnError(Exception):
    pass


class DatabaseSuite:
    def open_database(self) -> Database:
        raise NotImplementedError

    @pytest.fixture
    def database(self) -> Iterator[Database]:
        database = self.open_database()
        yield database
        database.close()

    def test_one_gives_the_first_row_or_none(self, database: Database) -> None:
        database.write_now(lambda rows: put(rows, "a", b"\x00\xff"))
        assert database.read_now(lambda rows: rows.one("SELECT name, value FROM notes")) == ("a", b"\x00\xff")
        assert (
            database.read_now(lambda rows: rows.one("SELECT name FROM notes WHERE name = ?", ("b",))) is None
        )

    def test_run_counts_the_rows_it_changed(self, database: Database) -> None:
        def write(rows: Rows) -> list[int]:
            return [
                put(rows, "a"),
                put(rows, "b"),
                rows.run("UPDATE notes SET value = ?", (b"x",)),
                rows.run("UPDATE notes SET value = ? WHERE name = ?", (b"x", "none")),
                rows.run("INSERT INTO notes (name) VALUES (?) ON CONFLICT (name) DO NOTHING", ("a",)),
                rows.run("DELETE FROM notes WHERE name = ?", ("a",)),
            ]

        assert database.write_now(write) == [1, 1, 2, 0, 0, 1]

    def test_returning_gives_rows_of_a_write(self, database: Database) -> None:
        def write(rows: Rows) -> tuple[object, ...] | None:
            put(rows, "a", b"1")
            put(rows, "b", b"2")
            return rows.one("DELETE FROM notes WHERE name <> ? RETURNING name, value", ("b",))

        assert database.write_now(write) == ("a", b"1")
        assert database.read_now(names) == ["b"]

    def test_bytes_sort_bytewise_and_text_by_its_utf_8(self, database: Database) -> None:
        texts = ["Z", "a", "\x7f", "é", "\uffff", "\U0001f600"]
        database.write_now(lambda rows: [put(rows, text, text.encode()) for text in reversed(texts)])
        assert database.read_now(names) == texts
        by_bytes = database.read_now(lambda rows: rows.all("SELECT name FROM notes ORDER BY value"))
        assert [row[0] for row in by_bytes] == texts

    @in_loop
    async def test_a_write_returns_what_its_function_returns(self, database: Database) -> None:
        assert await database.write(lambda rows: put(rows, "a")) == 1
        assert await database.read(names) == ["a"]

    @in_loop
    async def test_an_error_undoes_its_own_transaction_and_is_raised(self, database: Database) -> None:
        def fail(rows: Rows) -> None:
            put(rows, "undone")
            raise OwnError

        results = await asyncio.gather(
            database.write(lambda rows: put(rows, "before")),
            database.write(fail),
            database.write(lambda rows: put(rows, "after")),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [int, OwnError, int]
        assert await database.read(names) == ["after", "before"]

    @in_loop
    async def test_a_failing_statement_is_a_store_error_and_undoes_its_transaction(
        self, database: Database
    ) -> None:
        def fail(rows: Rows) -> None:
            put(rows, "undone")
            rows.run("INSERT INTO notes (name) VALUES (?)", ("undone",))

        with pytest.raises(StoreError):
            await database.write(fail)
        with pytest.raises(StoreError):
            await database.read(lambda rows: rows.all("SELECT nothing FROM nowhere"))
        assert await database.read(names) == []

    @in_loop
    async def test_a_transaction_sees_those_before_it_in_the_same_turn(self, database: Database) -> None:
        def add_one(rows: Rows) -> int:
            count = len(names(rows))
            put(rows, f"{count:03}")
            return count

        counts = await asyncio.gather(*(database.write(add_one) for _ in range(200)))
        assert counts == list(range(200))

    def test_a_read_sees_one_snapshot(self, database: Database) -> None:
        other = self.open_database()
        try:

            def read(rows: Rows) -> tuple[list[str], list[str]]:
                before = names(rows)
                thread = threading.Thread(
                    target=other.write_now, args=(lambda inner: put(inner, "meanwhile"),)
                )
                thread.start()
                thread.join()
                return before, names(rows)

            assert database.read_now(read) == ([], [])
            assert database.read_now(names) == ["meanwhile"]
        finally:
            other.close()

    def test_a_read_does_not_wait_for_a_writer(self, database: Database) -> None:
        other = self.open_database()
        inside, proceed = threading.Event(), threading.Event()

        def slow(rows: Rows) -> None:
            put(rows, "slow")
            inside.set()
            proceed.wait(30)

        writing = threading.Thread(target=other.write_now, args=(slow,))
        writing.start()
        try:
            assert inside.wait(30)
            assert database.read_now(names) == []
        finally:
            proceed.set()
            writing.join()
            other.close()
        assert database.read_now(names) == ["slow"]

    def test_a_read_cannot_write(self, database: Database) -> None:
        with pytest.raises(StoreError):
            database.read_now(lambda rows: put(rows, "a"))
        assert database.read_now(names) == []

    def test_reads_work_in_many_threads_at_once(self, database: Database) -> None:
        database.write_now(lambda rows: [put(rows, f"{number:04}") for number in range(500)])
        found: list[int] = []

        def read() -> None:
            for _ in range(20):
                found.append(len(database.read_now(names)))

        threads = [threading.Thread(target=read) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [500] * 120

    @in_loop
    async def test_a_write_cancelled_while_it_waits_is_not_applied(self, database: Database) -> None:
        inside, proceed = threading.Event(), threading.Event()

        def slow(rows: Rows) -> None:
            inside.set()
            proceed.wait(30)

        first = asyncio.create_task(database.write(slow))
        await asyncio.to_thread(inside.wait, 30)
        second = asyncio.create_task(database.write(lambda rows: put(rows, "cancelled")))
        await asyncio.sleep(0)
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        proceed.set()
        await first
        assert await database.read(names) == []

    @in_loop
    async def test_a_write_cancelled_too_late_returns_and_cancels_afterwards(
        self, database: Database
    ) -> None:
        inside, proceed = threading.Event(), threading.Event()
        steps: list[str] = []

        def slow(rows: Rows) -> str:
            put(rows, "applied")
            inside.set()
            proceed.wait(30)
            return "value"

        async def caller() -> None:
            steps.append(await database.write(slow))
            await asyncio.sleep(0)
            steps.append("not reached")

        task = asyncio.create_task(caller())
        await asyncio.to_thread(inside.wait, 30)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        proceed.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert steps == ["value"]
        assert await database.read(names) == ["applied"]

    @in_loop
    async def test_close_finishes_what_was_queued(self, database: Database) -> None:
        writes = [
            asyncio.create_task(database.write(lambda rows, n=n: put(rows, f"{n:03}"))) for n in range(100)
        ]
        await asyncio.sleep(0)
        await asyncio.to_thread(database.close)
        assert await asyncio.gather(*writes) == [1] * 100
        reopened = self.open_database()
        assert len(reopened.read_now(names)) == 100
        reopened.close()

    def test_a_closed_database_refuses(self, database: Database) -> None:
        database.close()
        database.close()
        with pytest.raises(StoreError):
            database.write_now(lambda rows: put(rows, "late"))

    def test_reads_that_share_a_snapshot_see_one_state_until_it_is_ended(self, database: Database) -> None:
        def count(rows: Rows) -> Any:
            row = rows.one("SELECT count(*) FROM notes")
            assert row is not None
            return row[0]

        database.share_snapshot()
        assert database.read_now(count) == 0
        database.write_now(lambda rows: put(rows, "a"))
        assert (database.read_now(count), database.read_now(names)) == (0, [])
        database.end_snapshot()
        assert (database.read_now(count), database.read_now(names)) == (1, ["a"])

    def test_a_shared_snapshot_begins_with_its_first_read(self, database: Database) -> None:
        database.share_snapshot()
        database.write_now(lambda rows: put(rows, "a"))
        assert database.read_now(names) == ["a"]
        database.end_snapshot()

    def test_a_shared_snapshot_outlives_a_read_that_raises(self, database: Database) -> None:
        def fail(rows: Rows) -> None:
            raise OwnError

        database.share_snapshot()
        assert database.read_now(names) == []
        with pytest.raises(OwnError):
            database.read_now(fail)
        database.write_now(lambda rows: put(rows, "a"))
        assert database.read_now(names) == []
        database.end_snapshot()
        assert database.read_now(names) == ["a"]

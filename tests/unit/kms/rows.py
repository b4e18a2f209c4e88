"""A database port over the standard library's sqlite3, in memory, for the key service's tests."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, TypeVar

from s3al.store.schema import create_tables

T = TypeVar("T")


class SqliteRows:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def one(self, sql: str, params: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
        row = self.connection.execute(sql, params).fetchone()
        return None if row is None else tuple(row)

    def all(self, sql: str, params: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in self.connection.execute(sql, params).fetchall()]

    def run(self, sql: str, params: tuple[Any, ...] = ()) -> int:
        return self.connection.execute(sql, params).rowcount


class MemoryDatabase:
    """Transactions as the port promises them: all or nothing."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self.write_now(create_tables)

    def read_now(self, read: Callable[[Any], T]) -> T:
        return read(SqliteRows(self._connection))

    def write_now(self, write: Callable[[Any], T]) -> T:
        self._connection.execute("SAVEPOINT write")
        try:
            result = write(SqliteRows(self._connection))
        except BaseException:
            self._connection.execute("ROLLBACK TO write")
            raise
        finally:
            self._connection.execute("RELEASE write")
        return result

    async def read(self, read: Callable[[Any], T]) -> T:
        return self.read_now(read)

    async def write(self, write: Callable[[Any], T]) -> T:
        return self.write_now(write)

    def close(self) -> None:
        self._connection.close()

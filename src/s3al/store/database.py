"""The port for rows: snapshots to read, transactions to write.

What lives here: the two protocols that every database of s3al implements. What does not: SQLite (sqlite), the
tables (schema, catalog, accounts, keystore).

Laws of a `Database`:
- A function given to `read` sees one snapshot. One given to `write` is a transaction of its own: it is applied
  whole and durably before `write` returns, or not at all.
- The functions are synchronous, fast, do no other I/O, and may be run in another thread. They are run once.
- What they raise is re-raised as it is; failures of the database itself are StoreError or IntegrityError.
- When `write` raises StoreError because the commit itself failed, the outcome is unknown until the next start: the
  caller must not unlink the blobs that its rows name, but leave them to the sweep.
- When `write` raises CancelledError, nothing was applied. A cancellation that comes too late to withdraw the
  transaction is delivered again after `write` has returned its value.

SQL is what SQLite and PostgreSQL share: `?` placeholders, BLOB, TEXT, INTEGER and BIGINT, ON CONFLICT, RETURNING,
partial indexes. Blobs compare bytewise, and so does TEXT.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Rows(Protocol):
    """The rows of one snapshot or transaction; of no use after it."""

    def one(self, sql: str, params: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """The first row, or None."""
        ...

    def all(self, sql: str, params: Sequence[Any] = ()) -> list[tuple[Any, ...]]: ...

    def run(self, sql: str, params: Sequence[Any] = ()) -> int:
        """Number of rows that the statement inserted, updated or deleted."""
        ...


class Database(Protocol):
    async def read(self, fn: Callable[[Rows], T]) -> T:
        """Run `fn` on one snapshot. Never waits for a writer."""
        ...

    async def write(self, fn: Callable[[Rows], T]) -> T:
        """Run `fn` as one transaction; durable when this returns."""
        ...

    def read_now(self, fn: Callable[[Rows], T]) -> T:
        """`read` for offline commands, start-up and threads without an event loop."""
        ...

    def write_now(self, fn: Callable[[Rows], T]) -> T:
        """`write` for the same; blocks the thread until the commit is durable."""
        ...

    def share_snapshot(self) -> None:
        """Until `end_snapshot`, the reads of this thread see one snapshot, which begins with the first of them."""
        ...

    def end_snapshot(self) -> None: ...

    def close(self) -> None:
        """Finish the writes that were queued, then release everything. Idempotent."""
        ...

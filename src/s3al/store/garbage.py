"""Rows that say which blobs may be unlinked, and when: incarnations, the graveyard, and what names a blob.

What lives here: DDL and functions over `Rows`. What does not: unlinking (blobs, files), who calls when (app).

Laws:
- What replaces or deletes an object buries its streams in the same transaction: rows vanish at once, blobs later.
- A blob is exhumed only when every incarnation has reported readers younger than its burial. A
  reader's time is taken before it reads rows. Clocks of different machines may differ by less than
  `CLOCK_MARGIN_MS`.
- Unlink first, forget afterwards: a crash between the two unlinks again, which does no harm.
- A sweep removes a blob of a dead incarnation only if `blob_names_named`, asked inside a write transaction, does
  not name it.
"""

# ruff: noqa: S608  (SQL text is put together from constants of this file; values are always parameters)
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from s3al.store.database import Rows

CLOCK_MARGIN_MS = 60_000

TABLES = """
CREATE TABLE graveyard (
    blob_name TEXT PRIMARY KEY,
    buried_at BIGINT NOT NULL
);
CREATE INDEX graveyard_by_age ON graveyard (buried_at);
CREATE TABLE incarnations (
    incarnation TEXT PRIMARY KEY,
    started_at BIGINT NOT NULL,
    oldest_reader_at BIGINT
);
"""

_AT_ONCE = 500  # names per statement; SQLite's and PostgreSQL's limits of parameters are far above


@dataclass(frozen=True, slots=True)
class IncarnationRow:
    """One process that writes and reads blobs. oldest_reader_at: None until it has reported. Times: UTC ms."""

    incarnation: str
    started_at: int
    oldest_reader_at: int | None


def bury_object(rows: Rows, object_id: bytes, now_ms: int) -> int:
    """Remove all streams and the manifest of an object; its blobs go to the graveyard. Returns the number of blobs."""
    buried = rows.run(
        "INSERT INTO graveyard (blob_name, buried_at)"
        " SELECT blob_name, ? FROM streams WHERE object_id = ? AND blob_name IS NOT NULL",
        (now_ms, object_id),
    )
    rows.run("DELETE FROM streams WHERE object_id = ?", (object_id,))
    rows.run("DELETE FROM manifests WHERE object_id = ?", (object_id,))
    return buried


def bury_streams(rows: Rows, object_id: bytes, stream_ids: Iterable[bytes], now_ms: int) -> None:
    """Remove some streams of an object: a part that was put again, or that CompleteMultipartUpload left out."""
    for stream_id in stream_ids:
        rows.run(
            "INSERT INTO graveyard (blob_name, buried_at) SELECT blob_name, ? FROM streams"
            " WHERE object_id = ? AND stream_id = ? AND blob_name IS NOT NULL",
            (now_ms, object_id, stream_id),
        )
        rows.run("DELETE FROM streams WHERE object_id = ? AND stream_id = ?", (object_id, stream_id))


def begin_incarnation(rows: Rows, incarnation: str, now_ms: int) -> None:
    """Before the process serves its first read."""
    rows.run(
        "INSERT INTO incarnations (incarnation, started_at, oldest_reader_at) VALUES (?, ?, NULL)",
        (incarnation, now_ms),
    )


def end_incarnation(rows: Rows, incarnation: str) -> None:
    """After it died and its blobs were swept: it reads no more, and nothing will be found to sweep."""
    rows.run("DELETE FROM incarnations WHERE incarnation = ?", (incarnation,))


def list_incarnations(rows: Rows) -> list[IncarnationRow]:
    """Those alive, and those dead that were not swept yet."""
    found = rows.all("SELECT incarnation, started_at, oldest_reader_at FROM incarnations ORDER BY started_at")
    return [IncarnationRow(*row) for row in found]


def report_reader(rows: Rows, incarnation: str, oldest_ms: int | None, *, now_ms: int) -> None:
    """Say since when the oldest reader of this process has been reading; None: nobody reads as of `now_ms`.

    `now_ms` must be taken before the process looked which readers it has.
    """
    rows.run(
        "UPDATE incarnations SET oldest_reader_at = ? WHERE incarnation = ?",
        (now_ms if oldest_ms is None else min(oldest_ms, now_ms), incarnation),
    )


def oldest_reader(rows: Rows) -> int | None:
    """No reader of any incarnation began before this (UTC ms); None if there is no incarnation."""
    row = rows.one("SELECT min(coalesce(oldest_reader_at, started_at)) FROM incarnations")
    return None if row is None or row[0] is None else int(row[0])


def has_graves(rows: Rows) -> bool:
    return rows.one("SELECT 1 FROM graveyard LIMIT 1") is not None


def exhume(rows: Rows, before_ms: int, limit: int) -> list[str]:
    """Names of blobs that may be unlinked now, oldest first: buried before `before_ms` and before every reader.

    Call `forget` with those unlinked.
    """
    readers = oldest_reader(rows)
    bound = before_ms if readers is None else min(before_ms, readers - CLOCK_MARGIN_MS)
    found = rows.all("SELECT blob_name FROM graveyard WHERE buried_at < ? ORDER BY buried_at LIMIT ?", (bound, limit))
    return [str(row[0]) for row in found]


def forget(rows: Rows, blob_names: Sequence[str]) -> None:
    """After unlinking."""
    for some in _some_at_once(blob_names):
        rows.run(f"DELETE FROM graveyard WHERE blob_name IN ({_marks(some)})", some)


def blob_names_named(rows: Rows, blob_names: Sequence[str]) -> set[str]:
    """Those of `blob_names` that a stream names, or that wait in the graveyard for their readers."""
    named: set[str] = set()
    for some in _some_at_once(blob_names):
        found = rows.all(
            f"SELECT blob_name FROM streams WHERE blob_name IN ({_marks(some)})"
            f" UNION ALL SELECT blob_name FROM graveyard WHERE blob_name IN ({_marks(some)})",
            [*some, *some],
        )
        named.update(str(row[0]) for row in found)
    return named


def _some_at_once(names: Sequence[str]) -> Iterable[Sequence[str]]:
    return (names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE))


def _marks(names: Sequence[str]) -> str:
    return ", ".join("?" * len(names))

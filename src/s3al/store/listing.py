"""Listing: pages of current objects, of versions and of uploads, with prefix, delimiter and marker.

What lives here: the skip scan and its three sources. What does not: tokens, encoding, the XML (s3, wire).

Laws:
- Keys, prefixes, delimiters and markers are UTF-8 bytes and compare bytewise.
- The entries of a listing are rows and common prefixes. A key that holds the delimiter beyond the prefix is
  represented by its common prefix: the key up to and with the first such delimiter. Both count towards `max_keys`.
- An entry is on the page if it sorts strictly beyond the marker. A marker inside a common prefix is therefore
  beyond it.
- The scan jumps over a common prefix with one seek, however many keys it holds.
- A version or upload marker that is gone (a client deletes what it lists) begins its key again: nothing is ever
  skipped.

Source: S3 API Reference, ListObjectsV2, ListObjectVersions, ListMultipartUploads.
"""

# ruff: noqa: S608  (SQL text is put together from constants of this file; values are always parameters)
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from s3al.store.database import Rows
from s3al.store.uploads import UploadRow

_FIRST_LOOK = 32  # rows fetched at first where a delimiter may make most of them useless
_LEAST_LOOK = 2


class ListedRow(NamedTuple):
    """One version as a listing shows it. last_modified: UTC ms."""

    object_key: bytes
    version_id: str
    last_modified: int
    is_delete_marker: bool
    is_current: bool
    public_record: bytes
    object_id: bytes


class Keyed(Protocol):
    @property
    def object_key(self) -> bytes: ...


Row = TypeVar("Row", bound=Keyed)
Marker = TypeVar("Marker")


class Page(NamedTuple, Generic[Row, Marker]):
    """Both lists in order. next: the marker of the last entry; None if nothing follows the page."""

    rows: list[Row]
    common_prefixes: list[bytes]
    next: Marker | None


class _Versioned(NamedTuple):
    """A version with its place among those of its key."""

    object_key: bytes
    sequence: int
    row: ListedRow


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a scan goes on: with the first key >= `key`, or within `key` beyond `after`.

    after: the values by which rows of one key are ordered.
    """

    key: bytes
    after: Sequence[Any] | None = None


@dataclass(slots=True)
class _Scan(Generic[Row]):
    """A skip scan over rows in order.

    fetch(place, before, limit): rows from the place on, with keys < before (None: no bound).
    next_place(row): the place right beyond a row.
    """

    fetch: Callable[[_Place, bytes | None, int], list[Row]]
    next_place: Callable[[Row], _Place]
    prefix: bytes
    delimiter: bytes
    max_keys: int
    rows: list[Row] = field(default_factory=list)
    common_prefixes: list[bytes] = field(default_factory=list)
    last: Row | bytes | None = None

    def start(self, marker: bytes, after: Sequence[Any] | None = None) -> _Place | None:
        """The place beyond a marker; None if nothing can follow."""
        rolled = self.common_prefix(marker)
        if rolled is not None:
            beyond = successor(rolled)
            return None if beyond is None else _Place(beyond)
        if marker < self.prefix:
            return _Place(self.prefix)
        if after is None or not marker.startswith(self.prefix):
            return _Place(marker + b"\0")
        return _Place(marker, after)

    def common_prefix(self, key: bytes) -> bytes | None:
        if not self.delimiter or not key.startswith(self.prefix):
            return None
        found = key.find(self.delimiter, len(self.prefix))
        return None if found < 0 else key[: found + len(self.delimiter)]

    def run(self, place: _Place | None) -> bool:
        """Fill the page. Returns whether an entry follows it."""
        before = successor(self.prefix)
        look = _FIRST_LOOK if self.delimiter else self.max_keys + 1
        while place is not None:
            found = self.fetch(place, before, look)
            if not self.delimiter:  # every row is an entry, and one more than a page was looked for
                self.rows = found[: self.max_keys]
                self.last = self.rows[-1] if self.rows else None
                return len(found) > self.max_keys
            skipped = 0
            for row in found:
                rolled = self.common_prefix(row.object_key)
                if rolled is not None and rolled == self.last:
                    skipped += 1
                    continue
                if len(self.rows) + len(self.common_prefixes) >= self.max_keys:
                    return True
                self._add(row, rolled)
            if len(found) < look:
                return False
            look = self._next_look(look, skipped)
            place = self._beyond(found[-1])
        return False

    def _add(self, row: Row, rolled: bytes | None) -> None:
        if rolled is None:
            self.rows.append(row)
            self.last = row
        else:
            self.common_prefixes.append(rolled)
            self.last = rolled

    def _beyond(self, row: Row) -> _Place | None:
        if not isinstance(self.last, bytes):
            return self.next_place(row)
        beyond = successor(self.last)
        return None if beyond is None else _Place(beyond)

    def _next_look(self, look: int, skipped: int) -> int:
        """Fetch fewer where most rows fall under common prefixes, more where none did."""
        if skipped * 2 >= look:
            return max(_LEAST_LOOK, look // 4)
        missing = self.max_keys + 1 - len(self.rows) - len(self.common_prefixes)
        return max(_LEAST_LOOK, min(look * 4, missing))


def successor(prefix: bytes) -> bytes | None:
    """The least byte string beyond all that begin with `prefix`; None if there is none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None


# --- current objects

_LISTED = "object_key, version_id, last_modified, is_delete_marker, is_current, public_record, object_id"
_CURRENT = f"SELECT {_LISTED} FROM versions WHERE bucket_id = ? AND is_current = 1 AND is_delete_marker = 0"


def _listed(row: tuple[Any, ...]) -> ListedRow:
    return ListedRow(row[0], row[1], row[2], row[3] == 1, row[4] == 1, row[5], row[6])


def _bounded(before: bytes | None) -> tuple[str, tuple[bytes, ...]]:
    return ("", ()) if before is None else (" AND object_key < ?", (before,))


def _fetch_current(rows: Rows, bucket_id: bytes, place: _Place, before: bytes | None, limit: int) -> list[ListedRow]:
    bound, params = _bounded(before)
    found = rows.all(
        f"{_CURRENT} AND object_key >= ?{bound} ORDER BY object_key LIMIT ?", (bucket_id, place.key, *params, limit)
    )
    return [_listed(row) for row in found]


def list_page(
    rows: Rows, bucket_id: bytes, *, prefix: bytes, delimiter: bytes, start_after: bytes, max_keys: int
) -> Page[ListedRow, bytes]:
    """Current objects (delete markers excepted). next: the last key or common prefix, to be given as `start_after`."""

    def fetch(place: _Place, before: bytes | None, limit: int) -> list[ListedRow]:
        return _fetch_current(rows, bucket_id, place, before, limit)

    scan = _Scan(fetch, lambda row: _Place(row.object_key + b"\0"), prefix, delimiter, max_keys)
    more = max_keys > 0 and scan.run(scan.start(start_after))
    last = scan.last.object_key if isinstance(scan.last, ListedRow) else scan.last
    return Page(scan.rows, scan.common_prefixes, last if more else None)


def list_current(rows: Rows, bucket_id: bytes, *, prefix: bytes, from_key: bytes, limit: int) -> list[ListedRow]:
    """Current objects with `prefix` from `from_key` (inclusive) on, without delimiter: for jobs that visit all."""
    place = _Place(max(prefix, from_key))
    return _fetch_current(rows, bucket_id, place, successor(prefix), limit)


# --- versions

_VERSIONS = f"SELECT {_LISTED}, sequence FROM versions WHERE bucket_id = ?"


def _fetch_versions(rows: Rows, bucket_id: bytes, place: _Place, before: bytes | None, limit: int) -> list[_Versioned]:
    found: list[tuple[Any, ...]] = []
    key = place.key
    if place.after is not None:
        found = rows.all(
            f"{_VERSIONS} AND object_key = ? AND sequence < ? ORDER BY sequence DESC LIMIT ?",
            (bucket_id, key, *place.after, limit),
        )
        key += b"\0"
    if len(found) < limit:
        bound, params = _bounded(before)
        found += rows.all(
            f"{_VERSIONS} AND object_key >= ?{bound} ORDER BY object_key, sequence DESC LIMIT ?",
            (bucket_id, key, *params, limit - len(found)),
        )
    return [_Versioned(row[0], row[7], _listed(row)) for row in found]


def list_versions_page(
    rows: Rows, bucket_id: bytes, *, prefix: bytes, delimiter: bytes, marker: tuple[bytes, str | None], max_keys: int
) -> Page[ListedRow, tuple[bytes, str | None]]:
    """All versions and delete markers, by key, newest first.

    marker: (key marker, version id marker); without the latter the listing begins beyond all versions of the key.
    next: to be given as `marker`; its version id is None when the last entry is a common prefix.
    """

    def fetch(place: _Place, before: bytes | None, limit: int) -> list[_Versioned]:
        return _fetch_versions(rows, bucket_id, place, before, limit)

    scan = _Scan(fetch, lambda row: _Place(row.object_key, (row.sequence,)), prefix, delimiter, max_keys)
    more = max_keys > 0 and scan.run(scan.start(marker[0], _version_marker(rows, bucket_id, marker)))
    listed = [row.row for row in scan.rows]
    if not more or scan.last is None:
        return Page(listed, scan.common_prefixes, None)
    last = (scan.last, None) if isinstance(scan.last, bytes) else (scan.last.object_key, scan.last.row.version_id)
    return Page(listed, scan.common_prefixes, last)


def _version_marker(rows: Rows, bucket_id: bytes, marker: tuple[bytes, str | None]) -> tuple[int] | None:
    object_key, version_id = marker
    if not version_id:
        return None
    row = rows.one(
        "SELECT sequence FROM versions WHERE bucket_id = ? AND object_key = ? AND version_id = ?",
        (bucket_id, object_key, version_id),
    )
    return (int(row[0]) if row else _BEYOND_ALL,)


_BEYOND_ALL = (1 << 63) - 1


def list_versions(rows: Rows, bucket_id: bytes, object_key: bytes, limit: int) -> list[ListedRow]:
    """The versions of one key, newest first."""
    found = rows.all(
        f"{_VERSIONS} AND object_key = ? ORDER BY sequence DESC LIMIT ?", (bucket_id, object_key, limit)
    )
    return [_listed(row) for row in found]


# --- uploads

_UPLOADS = (
    "SELECT upload_id, bucket_id, object_key, object_id, initiated_at, account_id, record"
    " FROM uploads WHERE bucket_id = ?"
)


def _fetch_uploads(rows: Rows, bucket_id: bytes, place: _Place, before: bytes | None, limit: int) -> list[UploadRow]:
    found: list[tuple[Any, ...]] = []
    key = place.key
    if place.after is not None:
        found = rows.all(
            f"{_UPLOADS} AND object_key = ? AND (initiated_at, upload_id) > (?, ?)"
            " ORDER BY initiated_at, upload_id LIMIT ?",
            (bucket_id, key, *place.after, limit),
        )
        key += b"\0"
    if len(found) < limit:
        bound, params = _bounded(before)
        found += rows.all(
            f"{_UPLOADS} AND object_key >= ?{bound} ORDER BY object_key, initiated_at, upload_id LIMIT ?",
            (bucket_id, key, *params, limit - len(found)),
        )
    return [UploadRow(*row) for row in found]


def list_uploads_page(
    rows: Rows, bucket_id: bytes, *, prefix: bytes, delimiter: bytes, marker: tuple[bytes, str | None], max_keys: int
) -> Page[UploadRow, tuple[bytes, str | None]]:
    """Unfinished uploads by key, then oldest first.

    marker: (key marker, upload id marker); without the latter the listing begins beyond all uploads of the key.
    next: to be given as `marker`; its upload id is None when the last entry is a common prefix.
    """

    def fetch(place: _Place, before: bytes | None, limit: int) -> list[UploadRow]:
        return _fetch_uploads(rows, bucket_id, place, before, limit)

    scan = _Scan(
        fetch, lambda row: _Place(row.object_key, (row.initiated_at, row.upload_id)), prefix, delimiter, max_keys
    )
    more = max_keys > 0 and scan.run(scan.start(marker[0], _upload_marker(rows, bucket_id, marker)))
    if not more or scan.last is None:
        return Page(scan.rows, scan.common_prefixes, None)
    last = (scan.last, None) if isinstance(scan.last, bytes) else (scan.last.object_key, scan.last.upload_id)
    return Page(scan.rows, scan.common_prefixes, last)


def _upload_marker(rows: Rows, bucket_id: bytes, marker: tuple[bytes, str | None]) -> tuple[int, str] | None:
    object_key, upload_id = marker
    if not upload_id:
        return None
    row = rows.one(
        "SELECT initiated_at FROM uploads WHERE bucket_id = ? AND object_key = ? AND upload_id = ?",
        (bucket_id, object_key, upload_id),
    )
    return (int(row[0]), upload_id) if row else (-1, "")

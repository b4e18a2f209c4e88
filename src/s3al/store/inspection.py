"""Looking over a stopped store: what its rows say against each other, and against the blobs in the folder.

What lives here: the findings behind `s3al check`. What does not: opening records to verify bytes (s3), removing
garbage (files.sweep), printing (cli).

Laws: nothing is changed; blobs and rows are merged by name, not gathered, so that a large store can be checked (ids of
objects are gathered by the database, some 30 bytes each). Findings name blobs and ids, never object keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from s3al.store.database import Rows
from s3al.store.files import FileBlobs

_AT_ONCE = 1000

# What is wrong -> what it means. GARBAGE is waste; everything else is damage.
GARBAGE = "blob-unnamed"
MEANINGS = {
    GARBAGE: "a blob that no row names",
    "blob-missing": "a row names a blob that is not there",
    "blob-size": "a blob has not the size that its record implies",
    "version-without-streams": "an object has no stream",
    "streams-without-object": "a stream belongs to no object and no upload",
    "manifest-without-object": "a manifest belongs to no object",
    "part-without-upload": "a part belongs to no upload",
    "part-without-stream": "a part has no stream",
    "not-current": "the newest version of a key is not its current one",
    "bucket-missing": "a version or upload lies in no bucket",
}

_QUERIES = {
    "version-without-streams": (
        "SELECT object_id FROM versions v WHERE is_delete_marker = 0"
        " AND NOT EXISTS (SELECT 1 FROM streams s WHERE s.object_id = v.object_id)"
    ),
    "streams-without-object": (
        "SELECT DISTINCT object_id FROM streams WHERE object_id NOT IN"
        " (SELECT object_id FROM versions UNION ALL SELECT object_id FROM uploads)"
    ),
    "manifest-without-object": (
        "SELECT object_id FROM manifests WHERE object_id NOT IN (SELECT object_id FROM versions)"
    ),
    "part-without-upload": "SELECT stream_id FROM parts WHERE upload_id NOT IN (SELECT upload_id FROM uploads)",
    "part-without-stream": (
        "SELECT p.stream_id FROM parts p JOIN uploads u ON u.upload_id = p.upload_id WHERE NOT EXISTS"
        " (SELECT 1 FROM streams s WHERE s.object_id = u.object_id AND s.stream_id = p.stream_id)"
    ),
    "not-current": (
        "SELECT object_id FROM versions v WHERE is_current <> CASE WHEN sequence = (SELECT max(sequence)"
        " FROM versions w WHERE w.bucket_id = v.bucket_id AND w.object_key = v.object_key) THEN 1 ELSE 0 END"
    ),
    "bucket-missing": (
        "SELECT object_id FROM versions WHERE bucket_id NOT IN (SELECT bucket_id FROM buckets)"
        " UNION ALL SELECT object_id FROM uploads WHERE bucket_id NOT IN (SELECT bucket_id FROM buckets)"
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """what: a word of MEANINGS. where: a blob's name, or an object or stream id in hex."""

    what: str
    where: str
    size_bytes: int = 0

    @property
    def is_garbage(self) -> bool:
        return self.what == GARBAGE


@dataclass(frozen=True, slots=True)
class NamedBlob:
    """A blob as a row names it. A buried one has no ids."""

    name: str
    object_id: bytes = b""
    stream_id: bytes = b""


def inspect_rows(rows: Rows) -> Iterator[Finding]:
    for what, query in _QUERIES.items():
        for (found,) in rows.all(query):
            yield Finding(what, bytes(found).hex())


def inspect_blobs(
    rows: Rows, blobs: FileBlobs, expected_bytes: Callable[[bytes, bytes], int | None] | None = None
) -> Iterator[Finding]:
    """expected_bytes: (object id, stream id) -> size of the blob by its sealed record; None: not known."""
    stored = blobs.names()
    at = next(stored, None)
    for named in named_blobs(rows):
        while at is not None and at[0] < named.name:
            yield Finding(GARBAGE, *at)
            at = next(stored, None)
        if at is None or at[0] != named.name:
            if named.object_id:  # a buried blob may be unlinked already
                yield Finding("blob-missing", named.name)
            continue
        expected = expected_bytes(named.object_id, named.stream_id) if expected_bytes and named.object_id else None
        if expected is not None and expected != at[1]:
            yield Finding("blob-size", *at)
        at = next(stored, None)
    while at is not None:
        yield Finding(GARBAGE, *at)
        at = next(stored, None)


def named_blobs(rows: Rows) -> Iterator[NamedBlob]:
    """Every blob that a stream names or that is buried, by name."""
    after = ""
    while True:
        found = rows.all(
            "SELECT blob_name, object_id, stream_id FROM streams WHERE blob_name IS NOT NULL AND blob_name > ?"
            " UNION ALL SELECT blob_name, NULL, NULL FROM graveyard WHERE blob_name > ? ORDER BY 1 LIMIT ?",
            (after, after, _AT_ONCE),
        )
        for name, object_id, stream_id in found:
            yield NamedBlob(name, object_id or b"", stream_id or b"")
        if len(found) < _AT_ONCE:
            return
        after = str(found[-1][0])

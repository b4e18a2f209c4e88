"""Rows of sealed streams: where the bytes of an object lie, and the manifest that orders many of them.

What lives here: DDL and functions over `Rows`. What does not: sealing (crypto.stream), files (files), which streams
are of no more use to anybody (garbage).

Laws: a stream lies either in its row (`sealed_body`) or in one blob (`blob_name`), never in both; blobs are never
shared. The streams of the parts of an unfinished upload lie here too, under the object id that the upload was
given.
"""


from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from s3al.store.database import Rows

TABLES = """
CREATE TABLE streams (
    object_id BLOB NOT NULL,
    stream_id BLOB NOT NULL,
    blob_name TEXT,
    sealed_body BLOB,
    PRIMARY KEY (object_id, stream_id)
);
CREATE UNIQUE INDEX streams_by_blob ON streams (blob_name) WHERE blob_name IS NOT NULL;
CREATE TABLE manifests (
    object_id BLOB PRIMARY KEY,
    public_manifest BLOB NOT NULL,
    private_manifest BLOB NOT NULL
);
"""


@dataclass(frozen=True, slots=True)
class StreamRow:
    """One sealed stream. Exactly one of blob_name and sealed_body is given."""

    object_id: bytes
    stream_id: bytes
    blob_name: str | None = None
    sealed_body: bytes | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if (self.blob_name is None) == (self.sealed_body is None):
            raise ValueError("a stream lies in its row or in a blob")


def insert_streams(rows: Rows, streams: Sequence[StreamRow]) -> None:
    for stream in streams:
        rows.run(
            "INSERT INTO streams (object_id, stream_id, blob_name, sealed_body) VALUES (?, ?, ?, ?)",
            (stream.object_id, stream.stream_id, stream.blob_name, stream.sealed_body),
        )


def find_stream(rows: Rows, object_id: bytes, stream_id: bytes) -> StreamRow | None:
    row = rows.one(
        "SELECT object_id, stream_id, blob_name, sealed_body FROM streams WHERE object_id = ? AND stream_id = ?",
        (object_id, stream_id),
    )
    return None if row is None else StreamRow(*row)


def streams_of(rows: Rows, object_id: bytes) -> list[StreamRow]:
    """All streams of an object, in no meaningful order (the sealed record or manifest orders them)."""
    found = rows.all(
        "SELECT object_id, stream_id, blob_name, sealed_body FROM streams WHERE object_id = ?", (object_id,)
    )
    return [StreamRow(*row) for row in found]


def count_streams(rows: Rows, object_id: bytes) -> tuple[int, int]:
    """(streams of an object, those of them that lie in blobs)."""
    row = rows.one("SELECT count(*), count(blob_name) FROM streams WHERE object_id = ?", (object_id,))
    return (int(row[0]), int(row[1])) if row else (0, 0)


def put_manifest(rows: Rows, object_id: bytes, public_manifest: bytes, private_manifest: bytes) -> None:
    rows.run(
        "INSERT INTO manifests (object_id, public_manifest, private_manifest) VALUES (?, ?, ?)"
        " ON CONFLICT (object_id) DO UPDATE"
        " SET public_manifest = excluded.public_manifest, private_manifest = excluded.private_manifest",
        (object_id, public_manifest, private_manifest),
    )


def get_manifest(rows: Rows, object_id: bytes) -> tuple[bytes, bytes] | None:
    """(public manifest, private manifest), both sealed."""
    row = rows.one("SELECT public_manifest, private_manifest FROM manifests WHERE object_id = ?", (object_id,))
    return None if row is None else (bytes(row[0]), bytes(row[1]))

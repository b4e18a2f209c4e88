"""Everything of a store that has streams: versions and uploads, a page at a time, their records opened on the way.

What lives here: `pages`. What does not: opening the streams (authenticating).

Law: each page is of one snapshot, so that a server beside is not held up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from s3al.errors import IntegrityError
from s3al.prove.opening import OpenedStore
from s3al.prove.proof import Proof, Seen
from s3al.s3 import sse
from s3al.s3.objects import located
from s3al.s3.ports import S3
from s3al.s3.records import Envelope, split_private_records
from s3al.s3.state import BucketState
from s3al.s3.streams import StreamAt
from s3al.store import catalog
from s3al.store.catalog import BucketRow, UploadRow, VersionRow
from s3al.store.database import Rows

_PAGE: Final = 1000


@dataclass(frozen=True, slots=True)
class Target:
    """An object version or an upload, with where its streams lie. private: (stream id, sealed private record); b"" is
    the id of the whole object's."""

    place: sse.Place
    envelope: Envelope
    streams: tuple[StreamAt, ...]
    private: tuple[tuple[bytes, bytes], ...] = field(default=(), repr=False)

    @property
    def where(self) -> str:
        names = [at.blob_name for at in self.streams if at.blob_name]
        return path_of(names[0]) if names else self.place.object_id.hex()


def path_of(blob_name: str) -> str:
    return f"blobs/{blob_name[:16]}/{blob_name[17:19]}/{blob_name[17:]}"


def pages(store: OpenedStore, proof: Proof) -> Iterator[list[Target]]:
    """Findings about records are added to the proof."""
    database, s3 = store.database, store.s3
    for (bucket_id,) in database.read_now(lambda rows: rows.all("SELECT bucket_id FROM buckets ORDER BY bucket_id")):
        marker: tuple[bytes, str | None] | None = (b"", None)
        while marker is not None:
            at = marker

            def read(rows: Rows) -> tuple[list[Target], tuple[bytes, str | None] | None]:
                return _version_page(rows, s3, bucket_id, at, proof)  # noqa: B023  called at once

            page, marker = database.read_now(read)
            yield page
    yield database.read_now(lambda rows: list(_upload_targets(rows, s3, proof)))


def _version_page(
    rows: Rows, s3: S3, bucket_id: bytes, marker: tuple[bytes, str | None], proof: Proof
) -> tuple[list[Target], tuple[bytes, str | None] | None]:
    bucket = catalog.find_bucket_by_id(rows, bucket_id)
    if bucket is None:
        return [], None
    page = catalog.list_versions_page(rows, bucket_id, prefix=b"", delimiter=b"", marker=marker, max_keys=_PAGE)
    found = []
    for listed in page.rows:
        row = catalog.find_version(rows, bucket_id, listed.object_key, listed.version_id)
        if row is None:
            continue
        proof.versions += 1
        try:
            target = _version_target(rows, s3, bucket, row)
        except IntegrityError:
            proof.findings.append(Seen("record-altered", row.object_id.hex()))
        else:
            found += [target] if target else []
    return found, page.next


def _version_target(rows: Rows, s3: S3, bucket: BucketRow, row: VersionRow) -> Target | None:
    if row.is_delete_marker:
        s3.records.open_marker(row)
        return None
    s3.records.open_tags(row)
    found = located(rows, s3, BucketState(bucket, {}), row, with_streams=True)
    private = [(b"", row.private_record)] if row.private_record else []
    manifest = catalog.get_manifest(rows, row.object_id) if found.record.parts_count else None
    if manifest is not None:
        sealed = split_private_records(manifest[1])
        if len(sealed) != len(found.streams):
            raise IntegrityError("a manifest has not as many private records as streams")
        private += [(at.stream.stream_id, record) for at, record in zip(found.streams, sealed, strict=True) if record]
    return Target(_place(bucket, row), found.record.envelope, tuple(found.streams), tuple(private))


def _upload_targets(rows: Rows, s3: S3, proof: Proof) -> Iterator[Target]:
    for (upload_id,) in rows.all("SELECT upload_id FROM uploads ORDER BY upload_id"):
        upload = catalog.find_upload(rows, upload_id)
        bucket = catalog.find_bucket_by_id(rows, upload.bucket_id) if upload else None
        if upload is None or bucket is None:
            continue
        proof.uploads += 1
        try:
            yield _upload_target(rows, s3, bucket, upload)
        except IntegrityError:
            proof.findings.append(Seen("record-altered", upload.object_id.hex()))


def _upload_target(rows: Rows, s3: S3, bucket: BucketRow, upload: UploadRow) -> Target:
    stored = {stream.stream_id: stream for stream in catalog.streams_of(rows, upload.object_id)}
    streams, private = [], []
    for part in catalog.list_parts(rows, upload.upload_id):
        stream = s3.records.open_part(upload, part).stream
        where = stored.get(stream.stream_id)
        if where is None:
            raise IntegrityError("a part is named by a record but stored nowhere")
        streams.append(StreamAt(stream, where.blob_name, where.sealed_body))
        private += [(part.stream_id, part.private_record)] if part.private_record else []
    envelope = s3.records.open_upload(upload).envelope
    return Target(_place(bucket, upload), envelope, tuple(streams), tuple(private))


def _place(bucket: BucketRow, row: VersionRow | UploadRow) -> sse.Place:
    return sse.Place(bucket, row.object_key.decode("utf-8", "surrogateescape"), row.object_id)

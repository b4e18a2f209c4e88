"""Writing an object whole: PutObject, and the commit that every write of a version shares.

What lives here: `PutObject`, `commit_version` (preconditions, version id, replacing, burying). What does not:
the bytes (streams), parts (multipart), copies (copy), forms (post).

Laws: the row is the commit point, and its blobs are durable before it; what a write replaces is buried in the
same transaction; preconditions are decided inside it; a refused or failed write leaves nothing but garbage
that the sweep removes.

Sources: S3 API Reference, PutObject; S3 User Guide, "Conditional writes".
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError, StoreError
from s3al.s3 import sse
from s3al.s3.access import object_arn
from s3al.s3.lifecycle.rules import Subject, expiration_member
from s3al.s3.limits import PUT_MAX_BYTES
from s3al.s3.names import object_key_bytes
from s3al.s3.object_lock.rules import accept_lock, requested_lock, with_default
from s3al.s3.objects import checksum_members
from s3al.s3.ownership import accept_written
from s3al.s3.payload import checked_length, read_claims, storage_class, stored_headers, stored_metadata
from s3al.s3.ports import S3
from s3al.s3.preconditions import check_write, has_write_precondition
from s3al.s3.records import PublicRecord
from s3al.s3.registry import OPERATIONS
from s3al.s3.state import BucketState
from s3al.s3.streams import StoredStream, store_stream
from s3al.s3.tag_set import parse_tagging_header
from s3al.service.operation import Body, Call, Check, Params, Reply
from s3al.store import catalog
from s3al.store.catalog import StreamRow, VersionRow
from s3al.store.database import Rows


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A version about to be committed. checksums: plaintext digests for the private record."""

    place: sse.Place
    record: PublicRecord
    keys: sse.DataKeys = field(repr=False)
    checksums: Mapping[str, bytes] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


def write_checks(call: Call, rows: Rows, s3: S3) -> Iterable[Check]:
    """s3:PutObject, and the actions of what the request sets besides."""
    resource = object_arn(call.params["Bucket"], call.params["Key"])
    checks = [Check("s3:PutObject", resource)]
    if call.params.get("Tagging"):
        checks.append(Check("s3:PutObjectTagging", resource))
    if call.params.get("ObjectLockMode") or call.params.get("ObjectLockRetainUntilDate"):
        checks.append(Check("s3:PutObjectRetention", resource))
    if call.params.get("ObjectLockLegalHoldStatus"):
        checks.append(Check("s3:PutObjectLegalHold", resource))
    return checks


def refuse_unsupported_headers(params: Params) -> None:
    """Nothing that changes meaning is ignored."""
    if params.get("WriteOffsetBytes") is not None:
        raise RequestError("NotImplemented", Header="x-amz-write-offset-bytes")


def new_etag(s3: S3, mode: str, md5: bytes | None, *, parts: int = 0) -> str:
    """MD5 only for SSE-S3; otherwise random, with a suffix by which clients know that it is no MD5
    (etag_style "s3al")."""
    if mode == sse.SSE_S3 and md5 is not None:
        return md5.hex() + (f"-{parts}" if parts else "")
    suffix = f"-{parts or 1}" if parts or s3.etag_style == "s3al" else ""
    return s3.random(16).hex() + suffix


@OPERATIONS.operation("PutObject", checks=write_checks)
async def put_object(authorized: Authorized, call: Call, s3: S3) -> Reply:
    body = checked_length(call, PUT_MAX_BYTES)
    tags = parse_tagging_header(call.params["Tagging"]) if call.params.get("Tagging") else {}
    return Reply(await write_object(authorized, call, s3, Incoming(body, PUT_MAX_BYTES, tags)))


@dataclass(frozen=True, slots=True)
class Incoming:
    """A body to be stored as an object: PutObject's, or the file of a form. most: bytes beyond which it is
    refused."""

    body: Body
    most: int
    tags: Mapping[str, str] = field(default_factory=dict)


async def write_object(authorized: Authorized, call: Call, s3: S3, incoming: Incoming) -> Params:
    """Store a body as the call's object. Returns PutObject's output members."""
    params = call.params
    refuse_unsupported_headers(params)
    object_key = object_key_bytes(params["Key"])
    claims, lock = read_claims(call), requested_lock(params, call.now_ms)
    headers, metadata, wanted_class = (
        stored_headers(params, call.headers), stored_metadata(params), storage_class(params),
    )  # fmt: skip
    object_id = s3.random(16)

    def prepare(rows: Rows) -> tuple[BucketState, sse.Place, sse.Wish, sse.Sealing]:
        state = s3.buckets.get(rows, params["Bucket"])
        accept_written(rows, call, state)
        accept_lock(state.document("object_lock"), lock, has_digest=claims.says_digest)
        check_preconditions(rows, s3, call, state, object_key)
        place = sse.Place(state.row, params["Key"], object_id)
        wish = sse.choose(params, state, secure=call.secure)
        return state, place, wish, sse.begin(rows, s3, call, place, wish)

    state, place, wish, (envelope, keys) = await sse.prepared(s3, call, prepare)
    digests = claims.digests(etag_is_md5=envelope.mode == sse.SSE_S3)
    stored = await store_stream(
        s3, keys, (place.bucket_id, object_id), aiter(incoming.body), digests=digests, most=incoming.most
    )
    async with discard_on_error(s3, [stored]):
        claims.verify(digests, incoming.body)
        checksums = {claims.algorithm: digests.digest(claims.algorithm)}
        md5 = digests.digest("MD5") if envelope.mode == sse.SSE_S3 else None
        record = PublicRecord(
            size_bytes=stored.stream.size_bytes,
            etag=new_etag(s3, envelope.mode, md5),
            envelope=envelope,
            stream=stored.stream,
            headers=headers,
            metadata=metadata,
            storage_class=wanted_class,
            checksum_algorithms=(claims.algorithm,),
            checksum_type="FULL_OBJECT",
            lock=lock,
        )
        new = NewVersion(place, record, keys, checksums, incoming.tags)
        version_id = await call.commit(s3.db, authorized, lambda rows: commit_version(rows, s3, call, new, [stored]))
    return {
        "ETag": f'"{record.etag}"',
        **version_id,
        **sse.describe(envelope, wish.customer),
        **checksum_members(checksums),
        "ChecksumType": record.checksum_type,
        **announced(s3, state, new),
    }


def announced(s3: S3, state: BucketState, new: NewVersion) -> Params:
    """When a version that has just been written will expire, if a rule of its bucket says so."""
    document = state.document("lifecycle")
    if document is None:
        return {}
    subject = Subject(new.place.object_key, new.record.size_bytes, new.tags)
    return expiration_member(document, subject, s3.now_ms())


class discard_on_error:  # noqa: N801  reads as a statement
    """Removes blobs that no row will name, unless it is unknown whether one does."""

    def __init__(self, s3: S3, stored: Sequence[StoredStream]) -> None:
        self._s3 = s3
        self._names = [stream.blob_name for stream in stored if stream.blob_name]

    async def __aenter__(self) -> None:
        return

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None or not self._names:
            return
        if isinstance(error, StoreError):  # whether the commit took place is unknown: a later look at the rows decides
            self._s3.blobs.doubt(self._names)
            return
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._s3.executor, self._s3.blobs.remove, self._names)


def check_preconditions(rows: Rows, s3: S3, call: Call, state: BucketState, object_key: bytes) -> None:
    """If-Match and If-None-Match of a write, as of `rows`."""
    if not has_write_precondition(call.params):
        return
    current = catalog.current_version(rows, state.row.bucket_id, object_key)
    etag = None
    if current is not None and not current.is_delete_marker:
        etag = s3.records.open_public(state.row.bucket_id, object_key, current).etag
    check_write(call.params, etag)


def commit_version(rows: Rows, s3: S3, call: Call, new: NewVersion, streams: Sequence[StoredStream]) -> Params:
    """Insert the version as current and bury what it replaces. Returns the VersionId member, which the answer to a
    write shows only where versioning is enabled."""
    place, object_key = new.place, new.place.object_key.encode()
    state = fresh_state(rows, place)
    check_preconditions(rows, s3, call, state, object_key)
    now_ms, record = s3.now_ms(), new.record
    version_id = new_version_id(s3) if state.versioning == "Enabled" else catalog.NULL_VERSION
    lock = with_default(record.lock, state.document("object_lock"), now_ms)
    if lock is not record.lock:
        record = replace(record, lock=lock)
    where = (place.bucket_id, object_key, version_id, place.object_id)
    private = b""
    if new.checksums:
        private = s3.records.seal_private(new.keys.record_key, place.bucket_id, place.object_id, b"", new.checksums)
    replaced = catalog.put_version(
        rows,
        VersionRow(
            bucket_id=place.bucket_id,
            object_key=object_key,
            version_id=version_id,
            last_modified=now_ms,
            object_id=place.object_id,
            public_record=s3.records.seal_public(*where, record),
            private_record=private,
            tag_record=s3.records.seal_tags_at(*where, new.tags) if new.tags else None,
        ),
    )
    rows_of_streams = [StreamRow(place.object_id, at.stream.stream_id, at.blob_name, at.sealed_body) for at in streams]
    catalog.insert_streams(rows, rows_of_streams)
    for row in replaced:
        catalog.bury_object(rows, row.object_id, now_ms)
    return {"VersionId": version_id} if state.versioning == "Enabled" else {}


def fresh_state(rows: Rows, place: sse.Place) -> BucketState:
    """The bucket inside a write transaction, past the cache. Raises NoSuchBucket if it is gone or another
    bears its name."""
    row = catalog.find_bucket_by_id(rows, place.bucket_id)
    if row is None:
        raise RequestError("NoSuchBucket", BucketName=place.bucket.name)
    settings: dict[str, bytes] = {}
    for setting in ("versioning", "object_lock"):  # there is no Object Lock without versioning
        document = catalog.get_setting(rows, place.bucket_id, setting)
        if document is None:
            break
        settings[setting] = document
    return BucketState(row, settings)


def new_version_id(s3: S3) -> str:
    """32 opaque characters."""
    return s3.random(16).hex()

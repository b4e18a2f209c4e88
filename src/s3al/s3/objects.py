"""Reading objects: GetObject, HeadObject, GetObjectAttributes; and locating a version for everything else.

What lives here: `locate` (row, record and streams of one version in one snapshot), the read operations and
the output members that describe an object. What does not: writing (put, copy, multipart), deleting (delete).

Laws: a missing object is NoSuchKey only to who may list the bucket, AccessDenied to others; no byte is
released before it is authenticated; checksums of the plaintext are shown only where the data key opened.

Sources: S3 API Reference, GetObject, HeadObject, GetObjectAttributes.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from s3al.auth.authorized import Authorized
from s3al.errors import AccessError, IntegrityError, RequestError
from s3al.s3 import sse
from s3al.s3.access import authorize_check, bucket_arn, existing_tags_context, object_arn
from s3al.s3.lifecycle.rules import Subject, expiration_member
from s3al.s3.names import object_key_bytes
from s3al.s3.object_lock.rules import NO_LOCK
from s3al.s3.ports import S3
from s3al.s3.preconditions import check_read
from s3al.s3.ranges import resolve
from s3al.s3.records import PublicRecord, Stream, split_private_records
from s3al.s3.registry import OPERATIONS
from s3al.s3.state import BucketState
from s3al.s3.streams import ObjectReader, StreamAt, read_spans, spans_for
from s3al.service.operation import Call, Check, Checks, Params, Reply
from s3al.store import catalog
from s3al.store.catalog import VersionRow
from s3al.store.database import Rows

_OVERRIDES = {
    "ResponseCacheControl": "CacheControl",
    "ResponseContentDisposition": "ContentDisposition",
    "ResponseContentEncoding": "ContentEncoding",
    "ResponseContentLanguage": "ContentLanguage",
    "ResponseContentType": "ContentType",
    "ResponseExpires": "Expires",
}


@dataclass(frozen=True, slots=True)
class Located:
    """One version with all that is needed to read it. streams: in order, with where each lies."""

    state: BucketState
    row: VersionRow
    record: PublicRecord
    streams: Sequence[StreamAt] = ()

    @property
    def place(self) -> sse.Place:
        return sse.Place(self.state.row, self.row.object_key.decode(), self.row.object_id)

    @property
    def last_modified(self) -> datetime:
        return datetime.fromtimestamp(self.row.last_modified / 1000, UTC)


def find_row(rows: Rows, state: BucketState, object_key: str, version_id: str | None) -> VersionRow | None:
    key = object_key_bytes(object_key)
    if version_id is None:
        return catalog.current_version(rows, state.row.bucket_id, key)
    return catalog.find_version(rows, state.row.bucket_id, key, version_id)


def locate(rows: Rows, s3: S3, call: Call, *, with_streams: bool) -> Located:
    """The version that the request names. Raises NoSuchKey, NoSuchVersion, or MethodNotAllowed for a delete
    marker."""
    version_id = call.params.get("VersionId")
    state = s3.buckets.get(rows, call.params["Bucket"])
    row = find_row(rows, state, call.params["Key"], version_id)
    if row is None:
        raise missing(rows, s3, call, version_id)
    if row.is_delete_marker:
        s3.records.open_marker(row)
        raise _delete_marker(call, row, version_id)
    return located(rows, s3, state, row, with_streams=with_streams)


def located(rows: Rows, s3: S3, state: BucketState, row: VersionRow, *, with_streams: bool) -> Located:
    record = s3.records.open_public(row.bucket_id, row.object_key, row)
    streams: Sequence[StreamAt] = _streams(rows, s3, row, record) if with_streams else ()
    return Located(state, row, record, streams)


def _streams(rows: Rows, s3: S3, row: VersionRow, record: PublicRecord) -> list[StreamAt]:
    named: Sequence[Stream] = [record.stream] if record.stream else open_manifest(rows, s3, row, record)
    stored = {stream.stream_id: stream for stream in catalog.streams_of(rows, row.object_id)}
    found = []
    for stream in named:
        place = stored.get(stream.stream_id)
        if place is None:
            raise IntegrityError("a stream is named by a record but stored nowhere")
        found.append(StreamAt(stream, place.blob_name, place.sealed_body))
    return found


def open_manifest(rows: Rows, s3: S3, row: VersionRow, record: PublicRecord) -> list[Stream]:
    manifest = catalog.get_manifest(rows, row.object_id)
    if manifest is None:
        raise IntegrityError("an object's manifest is missing")
    return s3.records.open_manifest(row.bucket_id, row.object_id, manifest[0], record.manifest_digest)


def missing(rows: Rows, s3: S3, call: Call, version_id: str | None) -> RequestError:
    """NoSuchKey or NoSuchVersion, or AccessDenied to a requester who may not list and so may not know."""
    check = Check("s3:ListBucket", bucket_arn(call.params["Bucket"]), {"s3:prefix": call.params["Key"]})
    authorize_check(rows, call, check, s3)
    if version_id is not None:
        return RequestError("NoSuchVersion", Key=call.params["Key"], VersionId=version_id)
    return RequestError("NoSuchKey", Key=call.params["Key"])


def _delete_marker(call: Call, row: VersionRow, version_id: str | None) -> RequestError:
    headers = {"x-amz-delete-marker": "true", "x-amz-version-id": row.version_id}
    if version_id is None:
        return RequestError("NoSuchKey", Key=call.params["Key"]).with_headers(headers)
    moment = datetime.fromtimestamp(row.last_modified / 1000, UTC)
    headers |= {"last-modified": format_datetime(moment, usegmt=True), "allow": "DELETE"}
    return RequestError("MethodNotAllowed", Method=call.method, ResourceType="DeleteMarker").with_headers(headers)


def on_stored_object(action: str, versioned_action: str) -> Checks[S3]:
    """A check on an object that may carry s3:ExistingObjectTag conditions."""

    def checks(call: Call, rows: Rows, s3: S3) -> Iterable[Check]:
        bucket, object_key, version_id = call.params["Bucket"], call.params["Key"], call.params.get("VersionId")
        state = s3.buckets.get(rows, bucket)

        def tags() -> Mapping[str, str]:
            row = find_row(rows, state, object_key, version_id)
            return s3.records.open_tags(row) if row else {}

        context = existing_tags_context(rows, call, s3, state=state, tags=tags)
        return (Check(versioned_action if version_id else action, object_arn(bucket, object_key), context),)

    return checks


def shown_version(state: BucketState, version_id: str) -> Params:
    """VersionId as answers show it: only where the bucket has known versioning."""
    return {"VersionId": version_id} if state.versioning else {}


def checksum_members(checksums: Mapping[str, bytes], *, parts: int = 0) -> Params:
    """Checksum<ALGORITHM> members; a composite one carries its number of parts."""
    suffix = f"-{parts}" if parts else ""
    return {f"Checksum{name}": b64encode(value).decode() + suffix for name, value in checksums.items()}


def describe(found: Located, *, tags: int, customer: sse.CustomerKey | None) -> Params:
    """The output members that GetObject and HeadObject share."""
    record = found.record
    output: Params = {
        "AcceptRanges": "bytes",
        "LastModified": found.last_modified,
        "ETag": f'"{record.etag}"',
        "Metadata": dict(record.metadata),
        **record.headers,
        **shown_version(found.state, found.row.version_id),
        **sse.describe(record.envelope, customer),
    }
    if tags:
        output["TagCount"] = tags
    if record.storage_class != "STANDARD":
        output["StorageClass"] = record.storage_class
    return output


def _shown_rules(rows: Rows, s3: S3, call: Call, found: Located) -> Params:
    """Retention and legal hold, each to who may read it; and when a lifecycle rule expires the object."""
    lock, document = found.record.lock or NO_LOCK, found.state.document("lifecycle")
    shown: Params = {}
    if document is not None and found.row.is_current:
        subject = Subject(call.params["Key"], found.record.size_bytes, s3.records.open_tags(found.row))
        shown |= expiration_member(document, subject, found.row.last_modified)
    if lock.mode and _may(rows, s3, call, "s3:GetObjectRetention"):
        shown |= {"ObjectLockMode": lock.mode, "ObjectLockRetainUntilDate": lock.until}
    if lock.hold and _may(rows, s3, call, "s3:GetObjectLegalHold"):
        shown["ObjectLockLegalHoldStatus"] = lock.hold
    return shown


def _may(rows: Rows, s3: S3, call: Call, action: str) -> bool:
    try:
        authorize_check(rows, call, Check(action, object_arn(call.params["Bucket"], call.params["Key"])), s3)
    except AccessError:
        return False
    return True


def apply_overrides(call: Call, output: Params) -> None:
    """response-* query parameters, for signed requests only."""
    wanted = {member: name for member, name in _OVERRIDES.items() if call.params.get(member) is not None}
    if wanted and call.principal.kind == "anonymous":
        raise RequestError(
            "InvalidRequest", "Request specific response headers cannot be used for anonymous GET requests."
        )
    for member, name in wanted.items():
        value = call.params[member]
        output[name] = format_datetime(value, usegmt=True) if isinstance(value, datetime) else value


@dataclass(frozen=True, slots=True)
class _Window:
    """The bytes that an answer covers. partial: whether it is a 206."""

    offset: int
    length: int
    partial: bool
    parts_count: int = 0


def _window(call: Call, record: PublicRecord, streams: Sequence[Stream]) -> _Window:
    part_number = call.params.get("PartNumber")
    if part_number is None:
        found = resolve(call.params.get("Range"), record.size_bytes)
        return _Window(*found, partial=True) if found else _Window(0, record.size_bytes, partial=False)
    if call.params.get("Range"):
        raise RequestError("InvalidRequest", "Cannot specify both Range header and partNumber query parameter")
    if not record.parts_count:
        if part_number != 1:
            raise RequestError("InvalidPartNumber", PartNumberRequested=str(part_number), ActualPartCount="1")
        return _Window(0, record.size_bytes, partial=True)
    offset = 0
    for stream in streams:
        if stream.part_number == part_number:
            return _Window(offset, stream.size_bytes, partial=True, parts_count=record.parts_count)
        offset += stream.size_bytes
    raise RequestError(
        "InvalidPartNumber", PartNumberRequested=str(part_number), ActualPartCount=str(record.parts_count)
    )


def _cover(output: Params, window: _Window, size_bytes: int) -> None:
    output["ContentLength"] = window.length
    if window.partial and size_bytes:
        output["ContentRange"] = f"bytes {window.offset}-{window.offset + window.length - 1}/{size_bytes}"
    if window.parts_count:
        output["PartsCount"] = window.parts_count


def _open_checksums(s3: S3, found: Located, keys: sse.DataKeys) -> Params:
    row, record = found.row, found.record
    if not row.private_record:
        if record.checksum_algorithms:
            raise IntegrityError("an object's private record is missing")
        return {}
    checksums = s3.records.open_private(keys.record_key, row.bucket_id, row.object_id, b"", row.private_record)
    composite = record.parts_count if record.checksum_type == "COMPOSITE" else 0
    return checksum_members(checksums, parts=composite) | {"ChecksumType": record.checksum_type}


def _open_part_checksums(rows: Rows, s3: S3, found: Located, keys: sse.DataKeys, part_number: int) -> Params:
    """The checksum of one part, of the algorithm that the object has."""
    row, record = found.row, found.record
    manifest = catalog.get_manifest(rows, row.object_id)
    if manifest is None or not record.checksum_algorithms:
        return {}
    streams = s3.records.open_manifest(row.bucket_id, row.object_id, manifest[0], record.manifest_digest)
    for stream, sealed in zip(streams, split_private_records(manifest[1]), strict=True):
        if stream.part_number == part_number and sealed:
            opened = s3.records.open_private(keys.record_key, row.bucket_id, row.object_id, stream.stream_id, sealed)
            shown = {name: value for name, value in opened.items() if name in record.checksum_algorithms}
            return checksum_members(shown) | {"ChecksumType": record.checksum_type}
    return {}


def _shown_checksums(rows: Rows, s3: S3, call: Call, found: Located, keys: sse.DataKeys) -> Params:
    """What x-amz-checksum-mode asks for: of the object, or of the part that the request names."""
    if call.params.get("ChecksumMode") != "ENABLED" or call.params.get("Range"):
        return {}
    part_number = call.params.get("PartNumber")
    if part_number is None or not found.record.parts_count:
        return _open_checksums(s3, found, keys)
    return _open_part_checksums(rows, s3, found, keys, part_number)


def _validators(found: Located) -> dict[str, str]:
    headers = {"etag": f'"{found.record.etag}"', "last-modified": format_datetime(found.last_modified, usegmt=True)}
    if found.state.versioning:
        headers["x-amz-version-id"] = found.row.version_id
    return headers


def _check_conditions(call: Call, found: Located) -> None:
    try:
        check_read(call.params, found.record.etag, found.last_modified)
    except RequestError as refused:
        if refused.code == "NotModified":
            refused.with_headers(_validators(found))
        raise


@OPERATIONS.operation("GetObject", checks=on_stored_object("s3:GetObject", "s3:GetObjectVersion"))
async def get_object(authorized: Authorized, call: Call, s3: S3) -> Reply:
    customer = sse.customer_key(call.params, secure=call.secure)

    def read(rows: Rows) -> tuple[Located, sse.DataKeys, Params]:
        found = locate(rows, s3, call, with_streams=True)
        sse.require_customer(found.record.envelope.mode, customer)
        _check_conditions(call, found)
        keys = sse.open_keys(rows, s3, call, found.place, found.record.envelope, customer=customer)
        described = describe(found, tags=len(s3.records.open_tags(found.row)), customer=customer)
        described |= _shown_rules(rows, s3, call, found)
        return found, keys, described | _shown_checksums(rows, s3, call, found, keys)

    found, keys, output = await s3.db.read(read)
    apply_overrides(call, output)
    window = _window(call, found.record, [at.stream for at in found.streams])
    _cover(output, window, found.record.size_bytes)
    reader = ObjectReader(s3, keys, found.row.bucket_id, found.row.object_id)
    body = await read_spans(s3, reader, spans_for(found.streams, window.offset, window.length))
    return Reply(output, body=body, body_bytes=window.length, status=206 if window.partial else 200)


@OPERATIONS.operation("HeadObject", checks=on_stored_object("s3:GetObject", "s3:GetObjectVersion"))
async def head_object(authorized: Authorized, call: Call, s3: S3) -> Reply:
    customer = sse.customer_key(call.params, secure=call.secure)
    wants_checksum = call.params.get("ChecksumMode") == "ENABLED"

    def read(rows: Rows) -> tuple[Located, Params, list[Stream]]:
        found = locate(rows, s3, call, with_streams=False)
        envelope = found.record.envelope
        sse.require_customer(envelope.mode, customer)
        keys = None
        if wants_checksum or customer:
            keys = sse.open_keys(rows, s3, call, found.place, envelope, customer=customer)
        _check_conditions(call, found)
        described = describe(found, tags=len(s3.records.open_tags(found.row)), customer=customer)
        described |= _shown_rules(rows, s3, call, found)
        if keys:
            described |= _shown_checksums(rows, s3, call, found, keys)
        named: list[Stream] = []
        if call.params.get("PartNumber") is not None and found.record.manifest_digest:
            named = open_manifest(rows, s3, found.row, found.record)
        return found, described, named

    found, output, named = await s3.db.read(read)
    apply_overrides(call, output)
    window = _window(call, found.record, named)
    _cover(output, window, found.record.size_bytes)
    return Reply(output, status=206 if window.partial else 200)

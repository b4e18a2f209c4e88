"""Copying: CopyObject and UploadPartCopy.

What lives here: naming the source, what a copy keeps and what it replaces. What does not: writing the result
(put, multipart).

Laws: a copy is decrypted and encrypted anew under a data key of its own, also onto itself; blobs are never
shared. The requester needs the right to read the source and to write the target, and the key of each.

Sources: S3 API Reference, CopyObject, UploadPartCopy.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import unquote

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.s3 import sse
from s3al.s3.access import authorize_check, bucket_arn, existing_tags_context, object_arn
from s3al.s3.limits import COPY_SOURCE_MAX_BYTES, PART_MAX_BYTES
from s3al.s3.multipart import NewPart, OpenUpload, checked_part_number, commit_part, on_upload, open_for_part
from s3al.s3.names import object_key_bytes
from s3al.s3.object_lock.rules import accept_lock, requested_lock
from s3al.s3.objects import Located, checksum_members, find_row, located
from s3al.s3.ownership import accept_written
from s3al.s3.payload import DEFAULT_ALGORITHM, storage_class, stored_headers, stored_metadata
from s3al.s3.ports import S3
from s3al.s3.preconditions import check_copy_source
from s3al.s3.put import (
    NewVersion,
    announced,
    check_preconditions,
    commit_version,
    discard_on_error,
    new_etag,
    refuse_unsupported_headers,
    write_checks,
)
from s3al.s3.ranges import resolve_copy
from s3al.s3.records import PublicRecord
from s3al.s3.registry import OPERATIONS
from s3al.s3.state import BucketState
from s3al.s3.streams import ObjectReader, read_spans, spans_for, store_stream
from s3al.s3.tag_set import parse_tagging_header
from s3al.service.operation import Call, Check, Params, Reply
from s3al.store.database import Rows
from s3al.wire.checksums import Digests


@dataclass(frozen=True, slots=True)
class CopySource:
    bucket: str
    object_key: str
    version_id: str | None


def copy_source(params: Params) -> CopySource:
    """x-amz-copy-source: `[/]bucket/key[?versionId=id]`, percent-encoded. Raises InvalidArgument."""
    path, _, query = str(params["CopySource"]).partition("?versionId=")
    try:
        bucket, _, object_key = unquote(path.removeprefix("/"), errors="strict").partition("/")
    except UnicodeDecodeError:
        bucket = object_key = ""
    if not bucket or not object_key:
        raise RequestError(
            "InvalidArgument",
            "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            ArgumentName="x-amz-copy-source",
            ArgumentValue=str(params["CopySource"]),
        )
    return CopySource(bucket, object_key, unquote(query) or None)


def _copy_checks(call: Call, rows: Rows, s3: S3) -> Iterable[Check]:
    source = copy_source(call.params)
    state = s3.buckets.get(rows, source.bucket)

    def tags() -> Mapping[str, str]:
        row = find_row(rows, state, source.object_key, source.version_id)
        return s3.records.open_tags(row) if row else {}

    action = "s3:GetObjectVersion" if source.version_id else "s3:GetObject"
    resource = object_arn(source.bucket, source.object_key)
    yield Check(action, resource, existing_tags_context(rows, call, s3, state=state, tags=tags))
    yield from write_checks(call, rows, s3)


def _part_copy_checks(call: Call, rows: Rows, s3: S3) -> Iterable[Check]:
    source = copy_source(call.params)
    action = "s3:GetObjectVersion" if source.version_id else "s3:GetObject"
    yield Check(action, object_arn(source.bucket, source.object_key))
    yield from on_upload("s3:PutObject")(call, rows, s3)


@dataclass(frozen=True, slots=True)
class OpenSource:
    found: Located
    tags: Mapping[str, str]
    keys: sse.DataKeys = field(repr=False)


def open_source(rows: Rows, s3: S3, call: Call) -> OpenSource:
    """Locate the source and open its data key, with the copy-source headers checked."""
    source = copy_source(call.params)
    state = s3.buckets.get(rows, source.bucket)
    row = find_row(rows, state, source.object_key, source.version_id)
    if row is None:
        check = Check("s3:ListBucket", bucket_arn(source.bucket), {"s3:prefix": source.object_key})
        authorize_check(rows, call, check, s3)
        if source.version_id:
            raise RequestError("NoSuchVersion", Key=source.object_key, VersionId=source.version_id)
        raise RequestError("NoSuchKey", Key=source.object_key)
    if row.is_delete_marker:
        if source.version_id:
            raise RequestError(
                "InvalidRequest",
                "The source of a copy request may not specifically refer to a delete marker by version id.",
            )
        raise RequestError("NoSuchKey", Key=source.object_key)
    found = located(rows, s3, state, row, with_streams=True)
    customer = sse.customer_key(call.params, secure=call.secure, source=True)
    sse.require_customer(found.record.envelope.mode, customer)
    check_copy_source(call.params, found.record.etag, found.last_modified)
    keys = sse.open_keys(rows, s3, call, found.place, found.record.envelope, customer=customer)
    return OpenSource(found, s3.records.open_tags(row), keys)


async def _body(s3: S3, source: OpenSource, offset: int, length: int) -> AsyncIterator[bytes]:
    row = source.found.row
    reader = ObjectReader(s3, source.keys, row.bucket_id, row.object_id)
    body = await read_spans(s3, reader, spans_for(source.found.streams, offset, length))
    if isinstance(body, bytes):
        yield body
        return
    async for piece in body:
        yield piece


@OPERATIONS.operation("CopyObject", checks=_copy_checks)
async def copy_object(authorized: Authorized, call: Call, s3: S3) -> Reply:
    params = call.params
    refuse_unsupported_headers(params)
    lock = requested_lock(params, call.now_ms)
    object_key = object_key_bytes(params["Key"])
    object_id = s3.random(16)

    def prepare(rows: Rows) -> tuple[BucketState, OpenSource, sse.Place, sse.Wish, sse.Sealing]:
        source = open_source(rows, s3, call)
        state = s3.buckets.get(rows, params["Bucket"])
        accept_written(rows, call, state)
        accept_lock(state.document("object_lock"), lock)
        check_preconditions(rows, s3, call, state, object_key)
        _refuse_pointless(params, source)
        place = sse.Place(state.row, params["Key"], object_id)
        wish = sse.choose(params, state, secure=call.secure)
        return state, source, place, wish, sse.begin(rows, s3, call, place, wish)

    state, source, place, wish, (envelope, keys) = await sse.prepared(s3, call, prepare)
    size = source.found.record.size_bytes
    if size > COPY_SOURCE_MAX_BYTES:
        raise RequestError(
            "InvalidRequest",
            "The specified copy source is larger than the maximum allowable size for a copy source: "
            f"{COPY_SOURCE_MAX_BYTES}",
        )
    algorithm = _algorithm(params, source.found.record)
    digests = Digests({algorithm} | ({"MD5"} if envelope.mode == sse.SSE_S3 else set()))
    body = _body(s3, source, 0, size)
    stored = await store_stream(s3, keys, (place.bucket_id, object_id), body, digests=digests, most=size)
    async with discard_on_error(s3, [stored]):
        checksums = {algorithm: digests.digest(algorithm)}
        md5 = digests.digest("MD5") if envelope.mode == sse.SSE_S3 else None
        record = PublicRecord(
            size_bytes=size,
            etag=new_etag(s3, envelope.mode, md5),
            envelope=envelope,
            stream=stored.stream,
            checksum_algorithms=(algorithm,),
            checksum_type="FULL_OBJECT",
            storage_class=storage_class(params),
            lock=lock,
            **_kept(call, source),
        )
        new = NewVersion(place, record, keys, checksums, _tags(params, source))
        version_id = await call.commit(s3.db, authorized, lambda rows: commit_version(rows, s3, call, new, [stored]))
    result: Params = {
        "ETag": f'"{record.etag}"',
        "LastModified": datetime.fromtimestamp(s3.now_ms() // 1000, UTC),
        **checksum_members(checksums),
        "ChecksumType": "FULL_OBJECT",
    }
    output: Params = {"CopyObjectResult": result, **version_id, **sse.describe(envelope, wish.customer)}
    output |= announced(s3, state, new)
    if source.found.state.versioning:
        output["CopySourceVersionId"] = source.found.row.version_id
    return Reply(output)


def _refuse_pointless(params: Params, source: OpenSource) -> None:
    """Onto itself, a copy must change something: AWS refuses it otherwise."""
    named = copy_source(params)
    changes = ("StorageClass", "WebsiteRedirectLocation", "ServerSideEncryption", "SSECustomerAlgorithm")
    if (
        (named.bucket, named.object_key) == (params["Bucket"], params["Key"])
        and named.version_id is None
        and params.get("MetadataDirective") != "REPLACE"
        and not any(params.get(member) for member in changes)
    ):
        raise RequestError(
            "InvalidRequest",
            "This copy request is illegal because it is trying to copy an object to itself without "
            "changing the object's "
            "metadata, storage class, website redirect location or encryption attributes.",
        )


def _algorithm(params: Params, source: PublicRecord) -> str:
    wanted = params.get("ChecksumAlgorithm")
    if wanted:
        return str(wanted)
    return source.checksum_algorithms[0] if source.checksum_algorithms else DEFAULT_ALGORITHM


def _kept(call: Call, source: OpenSource) -> Params:
    """Headers and metadata: the source's, or the request's with MetadataDirective REPLACE."""
    if call.params.get("MetadataDirective") == "REPLACE":
        return {"headers": stored_headers(call.params, call.headers), "metadata": stored_metadata(call.params)}
    headers = {name: value for name, value in source.found.record.headers.items() if name != "WebsiteRedirectLocation"}
    if call.params.get("WebsiteRedirectLocation"):
        headers["WebsiteRedirectLocation"] = call.params["WebsiteRedirectLocation"]
    return {"headers": headers, "metadata": source.found.record.metadata}


def _tags(params: Params, source: OpenSource) -> Mapping[str, str]:
    if params.get("TaggingDirective") == "REPLACE":
        return parse_tagging_header(params["Tagging"]) if params.get("Tagging") else {}
    return source.tags


@OPERATIONS.operation("UploadPartCopy", checks=_part_copy_checks)
async def upload_part_copy(authorized: Authorized, call: Call, s3: S3) -> Reply:
    params = call.params
    part_number = checked_part_number(params)

    def prepare(rows: Rows) -> tuple[OpenSource, tuple[int, int], tuple[OpenUpload, sse.DataKeys]]:
        source = open_source(rows, s3, call)
        window = resolve_copy(params.get("CopySourceRange"), source.found.record.size_bytes)
        return source, window, open_for_part(rows, s3, call)

    source, (offset, length), (upload, keys) = await sse.prepared(s3, call, prepare)
    if length > PART_MAX_BYTES:
        raise RequestError("EntityTooLarge", ProposedSize=str(length), MaxSizeAllowed=str(PART_MAX_BYTES))
    algorithm = upload.record.checksum_algorithm or DEFAULT_ALGORITHM
    envelope = upload.record.envelope
    digests = Digests({algorithm} | ({"MD5"} if envelope.mode == sse.SSE_S3 else set()))
    body = _body(s3, source, offset, length)
    row = upload.row
    stored = await store_stream(s3, keys, (row.bucket_id, row.object_id), body, digests=digests, most=length)
    async with discard_on_error(s3, [stored]):
        md5 = digests.digest("MD5") if envelope.mode == sse.SSE_S3 else None
        part = NewPart(upload, part_number, stored, new_etag(s3, envelope.mode, md5), keys)
        checksums = {algorithm: digests.digest(algorithm)}
        moment = await call.commit(s3.db, authorized, lambda rows: commit_part(rows, s3, part, checksums))
    result: Params = {
        "ETag": f'"{part.etag}"',
        "LastModified": datetime.fromtimestamp(moment // 1000, UTC),
        **checksum_members(checksums),
    }
    customer = sse.customer_key(params, secure=call.secure)
    output: Params = {"CopyPartResult": result, **sse.describe(envelope, customer)}
    if source.found.state.versioning:
        output["CopySourceVersionId"] = source.found.row.version_id
    return Reply(output)

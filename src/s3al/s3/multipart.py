"""Multipart uploads: create, upload parts, abort.

What lives here: the life of an upload until it is completed or aborted. What does not: completing
(completion), its lists (listing), UploadPartCopy (copy), the bytes (streams).

Laws: one data key serves the whole object and is chosen when the upload begins; every part attempt is a
stream of its own with a random id and salt, so that sending a part again never reuses a nonce; a part that is
replaced is buried in the same transaction.

Sources: S3 API Reference, CreateMultipartUpload, UploadPart; S3 User Guide, "Checking object integrity",
table of checksum types. An upload that names no algorithm gives its object CRC64NVME, so its parts have
that besides what the client claims of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from s3al.auth.authorized import Authorized
from s3al.errors import AccessError, RequestError
from s3al.s3 import sse
from s3al.s3.access import object_arn, on_object
from s3al.s3.lifecycle.rules import abort_members
from s3al.s3.limits import PART_MAX_BYTES, PARTS_MAX
from s3al.s3.names import object_key_bytes
from s3al.s3.object_lock.rules import accept_lock, no_digest, requested_lock
from s3al.s3.objects import checksum_members
from s3al.s3.ownership import accept_written
from s3al.s3.payload import (
    DEFAULT_ALGORITHM,
    checked_length,
    read_claims,
    storage_class,
    stored_headers,
    stored_metadata,
)
from s3al.s3.ports import S3
from s3al.s3.put import (
    discard_on_error,
    new_etag,
    refuse_unsupported_headers,
    write_checks,
)
from s3al.s3.records import PartRecord, UploadRecord
from s3al.s3.registry import OPERATIONS
from s3al.s3.state import BucketState
from s3al.s3.streams import StoredStream, store_stream
from s3al.s3.tag_set import parse_tagging_header
from s3al.service.operation import Call, Check, Checks, Params, Reply
from s3al.store import catalog
from s3al.store.catalog import PartRow, StreamRow, UploadRow
from s3al.store.database import Rows

FULL_OBJECT, COMPOSITE = "FULL_OBJECT", "COMPOSITE"
_TYPES: Mapping[str, tuple[str, ...]] = {  # algorithm -> the types it may have, its default first
    "CRC32": (COMPOSITE, FULL_OBJECT),
    "CRC32C": (COMPOSITE, FULL_OBJECT),
    "CRC64NVME": (FULL_OBJECT,),
    "SHA1": (COMPOSITE,),
    "SHA256": (COMPOSITE,),
}


@dataclass(frozen=True, slots=True)
class OpenUpload:
    """An upload as one request sees it. keys: None until they were asked for."""

    state: BucketState
    row: UploadRow
    record: UploadRecord

    @property
    def place(self) -> sse.Place:
        return sse.Place(self.state.row, self.row.object_key.decode(), self.row.object_id)


def find_upload(rows: Rows, s3: S3, params: Params) -> OpenUpload:
    """The upload that a request names by bucket, key and id. Raises NoSuchUpload."""
    state = s3.buckets.get(rows, params["Bucket"])
    row = catalog.find_upload(rows, params["UploadId"])
    if row is None or row.bucket_id != state.row.bucket_id or row.object_key != object_key_bytes(params["Key"]):
        raise RequestError("NoSuchUpload", UploadId=params["UploadId"])
    return OpenUpload(state, row, s3.records.open_upload(row))


@OPERATIONS.operation("CreateMultipartUpload", checks=write_checks)
async def create_multipart_upload(authorized: Authorized, call: Call, s3: S3) -> Reply:
    params = call.params
    refuse_unsupported_headers(params)
    object_key = object_key_bytes(params["Key"])
    algorithm, checksum_type = _upload_checksum(params)
    lock = requested_lock(params, call.now_ms)
    object_id, upload_id = s3.random(16), s3.random(24).hex()

    def prepare(rows: Rows) -> tuple[BucketState, sse.Place, sse.Wish, sse.Sealing]:
        state = s3.buckets.get(rows, params["Bucket"])
        accept_written(rows, call, state)
        accept_lock(state.document("object_lock"), lock)
        place = sse.Place(state.row, params["Key"], object_id)
        wish = sse.choose(params, state, secure=call.secure)
        return state, place, wish, sse.begin(rows, s3, call, place, wish)

    state, place, wish, (envelope, _) = await sse.prepared(s3, call, prepare)
    record = UploadRecord(
        envelope=envelope,
        headers=stored_headers(params, call.headers),
        metadata=stored_metadata(params),
        tags=parse_tagging_header(params["Tagging"]) if params.get("Tagging") else {},
        storage_class=storage_class(params),
        checksum_algorithm=algorithm,
        checksum_type=checksum_type,
        lock=lock,
    )

    def write(rows: Rows) -> None:
        if catalog.find_bucket_by_id(rows, place.bucket_id) is None:
            raise RequestError("NoSuchBucket", BucketName=place.bucket.name)
        sealed = s3.records.seal_upload(place.bucket_id, object_key, upload_id, object_id, record)
        account_id = call.principal.account_id or ""
        catalog.insert_upload(
            rows, UploadRow(upload_id, place.bucket_id, object_key, object_id, s3.now_ms(), account_id, sealed)
        )

    await call.commit(s3.db, authorized, write)
    output: Params = {"Bucket": place.bucket.name, "Key": params["Key"], "UploadId": upload_id}
    if algorithm:
        output |= {"ChecksumAlgorithm": algorithm, "ChecksumType": checksum_type}
    output |= abort_members(state.document("lifecycle"), params["Key"], s3.now_ms())
    return Reply(output | sse.describe(envelope, wish.customer))


def _upload_checksum(params: Params) -> tuple[str | None, str | None]:
    """(algorithm, type) that CreateMultipartUpload fixes; (None, None) when it names none."""
    algorithm, checksum_type = params.get("ChecksumAlgorithm"), params.get("ChecksumType")
    if algorithm is None:
        if checksum_type is not None:
            raise RequestError(
                "InvalidRequest",
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.",
            )
        return None, None
    if algorithm not in _TYPES:
        raise RequestError(
            "InvalidRequest",
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: "
            "[CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
        )
    if checksum_type is not None and checksum_type not in _TYPES[algorithm]:
        raise RequestError(
            "InvalidRequest",
            f"The {checksum_type} checksum type cannot be used with the {algorithm.lower()} checksum algorithm.",
        )
    return algorithm, checksum_type or _TYPES[algorithm][0]


def on_upload(action: str) -> Checks[S3]:
    """A check on the object of an upload, with the encryption condition keys that the upload began with."""

    def checks(call: Call, rows: Rows, s3: S3) -> Iterable[Check]:
        resource = object_arn(call.params["Bucket"], call.params["Key"])
        return (Check(action, resource, _encryption_context(call, rows, s3)),)

    return checks


def _encryption_context(call: Call, rows: Rows, s3: S3) -> dict[str, str | list[str]]:
    """Read only where the bucket's policy asks for it; an upload that does not exist adds nothing."""
    policy = s3.buckets.get(rows, call.params["Bucket"]).settings.get("policy", b"")
    if b"x-amz-server-side-encryption" not in policy.lower():
        return {}
    try:
        envelope = find_upload(rows, s3, call.params).record.envelope
    except RequestError:
        return {}
    if envelope.mode == sse.SSE_C:
        return {"s3:x-amz-server-side-encryption-customer-algorithm": sse.SSE_S3}
    context: dict[str, str | list[str]] = {"s3:x-amz-server-side-encryption": envelope.mode}
    if envelope.kms_key_arn:
        context["s3:x-amz-server-side-encryption-aws-kms-key-id"] = envelope.kms_key_arn
    return context


@OPERATIONS.operation("UploadPart", checks=on_upload("s3:PutObject"))
async def upload_part(authorized: Authorized, call: Call, s3: S3) -> Reply:
    params = call.params
    part_number = checked_part_number(params)
    body = checked_length(call, PART_MAX_BYTES)
    upload, keys = await s3.db.read(lambda rows: open_for_part(rows, s3, call))
    claims = read_claims(call, upload.record.checksum_algorithm or DEFAULT_ALGORITHM)
    if upload.record.lock is not None and not claims.says_digest:
        raise RequestError("InvalidRequest", no_digest("Put Part"))
    _check_part_algorithm(upload.record, claims.algorithm, declared=claims.value is not None or claims.in_trailer)
    envelope = upload.record.envelope
    also = DEFAULT_ALGORITHM if upload.record.checksum_algorithm is None else None
    digests = claims.digests(etag_is_md5=envelope.mode == sse.SSE_S3, also=also)
    stored = await store_stream(
        s3, keys, (upload.row.bucket_id, upload.row.object_id), aiter(body), digests=digests, most=PART_MAX_BYTES
    )
    async with discard_on_error(s3, [stored]):
        claims.verify(digests, body)
        md5 = digests.digest("MD5") if envelope.mode == sse.SSE_S3 else None
        part = NewPart(upload, part_number, stored, new_etag(s3, envelope.mode, md5), keys)
        shown = {claims.algorithm: digests.digest(claims.algorithm)}
        stored_checksums = shown | ({also: digests.digest(also)} if also else {})
        await call.commit(s3.db, authorized, lambda rows: commit_part(rows, s3, part, stored_checksums))
    customer = sse.customer_key(params, secure=call.secure)
    return Reply({"ETag": f'"{part.etag}"', **sse.describe(envelope, customer), **checksum_members(shown)})


@dataclass(frozen=True, slots=True)
class NewPart:
    upload: OpenUpload
    part_number: int
    stored: StoredStream
    etag: str
    keys: sse.DataKeys = field(repr=False)


def checked_part_number(params: Params) -> int:
    part_number: int = params["PartNumber"]
    if not 1 <= part_number <= PARTS_MAX:
        raise RequestError(
            "InvalidArgument",
            f"Part number must be an integer between 1 and {PARTS_MAX}, inclusive",
            ArgumentName="partNumber",
            ArgumentValue=str(part_number),
        )
    return part_number


def open_for_part(rows: Rows, s3: S3, call: Call) -> tuple[OpenUpload, sse.DataKeys]:
    """The upload and its data key, for a request that adds a part."""
    upload = find_upload(rows, s3, call.params)
    customer = sse.customer_key(call.params, secure=call.secure)
    mode = upload.record.envelope.mode
    if mode == sse.SSE_C and customer is None:
        raise RequestError(
            "InvalidRequest",
            "The multipart upload initiate requested encryption. Subsequent part requests must include the "
            "appropriate encryption parameters.",
        )
    if mode != sse.SSE_C and customer is not None:
        raise RequestError(
            "InvalidRequest",
            "The multipart upload initiate did not request encryption. Please resend the request without sending "
            "encryption parameters.",
        )
    return upload, open_upload_keys(rows, s3, call, upload)


def open_upload_keys(rows: Rows, s3: S3, call: Call, upload: OpenUpload) -> sse.DataKeys:
    """The data keys of an upload, for a request that continues it. Another customer key than it began with is
    InvalidRequest, where reading an object with a wrong one is AccessDenied."""
    envelope = upload.record.envelope
    customer = sse.customer_key(call.params, secure=call.secure)
    try:
        return sse.open_keys(rows, s3, call, upload.place, envelope, customer=customer)
    except AccessError:
        if envelope.mode != sse.SSE_C:
            raise
        raise RequestError(
            "InvalidRequest", "The provided encryption parameters did not match the ones used originally."
        ) from None


def _check_part_algorithm(record: UploadRecord, algorithm: str, *, declared: bool) -> None:
    expected = record.checksum_algorithm
    if declared and expected and algorithm != expected:
        raise RequestError(
            "InvalidRequest",
            f"Checksum Type mismatch occurred, expected checksum Type: {expected.lower()}, "
            f"actual checksum Type: {algorithm.lower()}",
        )


def commit_part(rows: Rows, s3: S3, part: NewPart, checksums: Mapping[str, bytes]) -> int:
    """Insert or replace the part. Returns the time it was stored (UTC ms). Raises NoSuchUpload if the upload
    has ended."""
    row, stream = part.upload.row, part.stored.stream
    if catalog.find_upload(rows, row.upload_id) is None:
        raise RequestError("NoSuchUpload", UploadId=row.upload_id)
    now_ms = s3.now_ms()
    record = PartRecord(stream.size_bytes, part.etag, stream, next(iter(checksums), None))
    private = s3.records.seal_private(part.keys.record_key, row.bucket_id, row.object_id, stream.stream_id, checksums)
    sealed = s3.records.seal_part(row, part.part_number, record)
    replaced = catalog.put_part(
        rows, PartRow(row.upload_id, part.part_number, stream.stream_id, now_ms, sealed, private)
    )
    if replaced is not None:
        catalog.bury_streams(rows, row.object_id, [replaced.stream_id], now_ms)
    at = part.stored
    catalog.insert_streams(rows, [StreamRow(row.object_id, stream.stream_id, at.blob_name, at.sealed_body)])
    return now_ms


@OPERATIONS.operation("AbortMultipartUpload", checks=on_object("s3:AbortMultipartUpload"))
async def abort_multipart_upload(authorized: Authorized, call: Call, s3: S3) -> Reply:
    def write(rows: Rows) -> None:
        upload = find_upload(rows, s3, call.params)
        catalog.delete_upload(rows, upload.row.upload_id)
        catalog.bury_object(rows, upload.row.object_id, s3.now_ms())

    await call.commit(s3.db, authorized, write)
    return Reply()

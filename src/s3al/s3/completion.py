"""Completing a multipart upload: the parts become an object.

What lives here: `CompleteMultipartUpload`. What does not: creating uploads and storing parts (multipart), the
commit of a version (put).

Laws: completing moves no data. The private records of the parts are carried into the object as they are, so
that completing needs the data key only where a checksum of the whole object must be formed or compared. What
is left out is buried in the same transaction. Completing again answers as the first time.

Sources: S3 API Reference, CompleteMultipartUpload; S3 User Guide, "Checking object integrity", table of
checksum types.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.s3 import sse
from s3al.s3.limits import OBJECT_MAX_BYTES, PART_MIN_BYTES
from s3al.s3.multipart import COMPOSITE, FULL_OBJECT, OpenUpload, find_upload, on_upload, open_upload_keys
from s3al.s3.names import object_key_bytes, object_url
from s3al.s3.objects import checksum_members
from s3al.s3.payload import DEFAULT_ALGORITHM
from s3al.s3.ports import S3
from s3al.s3.preconditions import has_write_precondition
from s3al.s3.put import NewVersion, announced, check_preconditions, commit_version, new_etag
from s3al.s3.records import PartRecord, PublicRecord, join_private_records
from s3al.s3.registry import OPERATIONS
from s3al.service.operation import Call, Params, Reply
from s3al.store import catalog
from s3al.store.catalog import PartRow
from s3al.store.database import Rows
from s3al.wire.checksums import ALGORITHMS, combine_crc, composite


@dataclass(frozen=True, slots=True)
class _Completion:
    """A completion that was checked: the chosen parts in order, and what the object will be."""

    record: PublicRecord
    upload: OpenUpload | None = None
    parts: Sequence[tuple[PartRow, PartRecord]] = ()
    keys: sse.DataKeys | None = field(default=None, repr=False)
    checksums: Mapping[str, bytes] = field(default_factory=dict)


@OPERATIONS.operation("CompleteMultipartUpload", checks=on_upload("s3:PutObject"))
async def complete_multipart_upload(authorized: Authorized, call: Call, s3: S3) -> Reply:
    params = call.params

    def write(rows: Rows) -> tuple[_Completion, Params]:
        repeated = _already_completed(rows, s3, call)
        if repeated is not None:
            return repeated
        completion = _plan(rows, s3, call)
        return completion, _commit_completion(rows, s3, call, completion)

    completion, version_id = await call.commit(s3.db, authorized, write)
    record = completion.record
    host = call.headers.get("host", "")
    composite_parts = record.parts_count if record.checksum_type == COMPOSITE else 0
    output: Params = {
        "Location": object_url(params["Bucket"], params["Key"], host=host, secure=call.secure),
        "Bucket": params["Bucket"],
        "Key": params["Key"],
        "ETag": f'"{record.etag}"',
        **version_id,
        **(sse.describe(record.envelope) if record.envelope.mode != sse.SSE_C else {}),  # as AWS: nothing of SSE-C
        **checksum_members(completion.checksums, parts=composite_parts),
    }
    if completion.checksums:
        output["ChecksumType"] = record.checksum_type
    return Reply(output)


def _already_completed(rows: Rows, s3: S3, call: Call) -> tuple[_Completion, Params] | None:
    """Completing again answers as the first time while the object it made is current: clients retry after a
    lost answer."""
    params = call.params
    state = s3.buckets.get(rows, params["Bucket"])
    if catalog.find_upload(rows, params["UploadId"]) is not None:
        return None
    row = catalog.current_version(rows, state.row.bucket_id, object_key_bytes(params["Key"]))
    if row is None or row.is_delete_marker:
        return None
    record = s3.records.open_public(row.bucket_id, row.object_key, row)
    if record.upload_id != params["UploadId"]:
        return None
    version_id = {"VersionId": row.version_id} if state.versioning == "Enabled" else {}
    customer = sse.customer_key(params, secure=call.secure)
    if not row.private_record or (record.envelope.mode == sse.SSE_C and customer is None):
        return _Completion(record), version_id
    place = sse.Place(state.row, params["Key"], row.object_id)
    keys = sse.open_keys(rows, s3, call, place, record.envelope, customer=customer)
    checksums = s3.records.open_private(keys.record_key, row.bucket_id, row.object_id, b"", row.private_record)
    return _Completion(record, checksums=checksums), version_id


def _plan(rows: Rows, s3: S3, call: Call) -> _Completion:
    params = call.params
    upload = find_upload(rows, s3, params)
    wanted: list[Mapping[str, Any]] = (params.get("MultipartUpload") or {}).get("Parts") or []
    if not wanted:
        raise RequestError("MalformedXML")
    parts = _chosen_parts(rows, s3, upload, wanted)
    size = sum(record.size_bytes for _, record in parts)
    _check_sizes(params, parts, size)
    md5 = None
    if upload.record.envelope.mode == sse.SSE_S3:
        md5 = hashlib.md5(b"".join(bytes.fromhex(record.etag) for _, record in parts), usedforsecurity=False).digest()
    algorithm, checksum_type = upload.record.checksum_algorithm, upload.record.checksum_type
    if algorithm is None and upload.record.envelope.mode != sse.SSE_C:
        algorithm, checksum_type = DEFAULT_ALGORITHM, FULL_OBJECT
    _check_claimed_type(params, checksum_type)
    keys, checksums = _object_checksum(rows, s3, call, upload, parts, kind=(algorithm, checksum_type))
    record = PublicRecord(
        size_bytes=size,
        etag=new_etag(s3, upload.record.envelope.mode, md5, parts=len(parts)),
        envelope=upload.record.envelope,
        parts_count=len(parts),
        headers=upload.record.headers,
        metadata=upload.record.metadata,
        storage_class=upload.record.storage_class,
        checksum_algorithms=tuple(checksums),
        checksum_type=checksum_type if checksums else None,
        upload_id=upload.row.upload_id,
        lock=upload.record.lock,
    )
    return _Completion(record, upload, parts, keys, checksums)


def _chosen_parts(
    rows: Rows, s3: S3, upload: OpenUpload, wanted: Sequence[Mapping[str, Any]]
) -> list[tuple[PartRow, PartRecord]]:
    numbers = [part.get("PartNumber") or 0 for part in wanted]
    if any(later <= earlier for earlier, later in pairwise(numbers)):
        raise RequestError("InvalidPartOrder", UploadId=upload.row.upload_id)
    stored = catalog.find_parts(rows, upload.row.upload_id, numbers)
    chosen = []
    for part, number in zip(wanted, numbers, strict=True):
        row = stored.get(number)
        record = s3.records.open_part(upload.row, row) if row else None
        named = str(part.get("ETag") or "").strip('"')
        if row is None or record is None or named != record.etag:
            raise RequestError("InvalidPart", UploadId=upload.row.upload_id, PartNumber=str(number), ETag=named)
        chosen.append((row, record))
    return chosen


def _check_sizes(params: Params, parts: Sequence[tuple[PartRow, PartRecord]], size: int) -> None:
    for row, record in parts[:-1]:
        if record.size_bytes < PART_MIN_BYTES:
            raise RequestError(
                "EntityTooSmall",
                ProposedSize=str(record.size_bytes),
                MinSizeAllowed=str(PART_MIN_BYTES),
                PartNumber=str(row.part_number),
                ETag=record.etag,
            )
    if size > OBJECT_MAX_BYTES:
        raise RequestError("EntityTooLarge", ProposedSize=str(size), MaxSizeAllowed=str(OBJECT_MAX_BYTES))
    announced = params.get("MpuObjectSize")
    if announced is not None and int(announced) != size:
        raise RequestError(
            "InvalidRequest",
            f"The provided 'x-amz-mp-object-size' header value {announced} does not match what was computed: {size}",
        )


def _check_claimed_type(params: Params, checksum_type: str | None) -> None:
    claimed = params.get("ChecksumType")
    if claimed is not None and checksum_type is not None and claimed != checksum_type:
        raise RequestError(
            "BadDigest",
            f"The upload was created using the {checksum_type} checksum mode. The complete request must "
            "use the same checksum mode.",
        )


def _object_checksum(
    rows: Rows,
    s3: S3,
    call: Call,
    upload: OpenUpload,
    parts: Sequence[tuple[PartRow, PartRecord]],
    *,
    kind: tuple[str | None, str | None],
) -> tuple[sse.DataKeys | None, dict[str, bytes]]:
    """The object's checksum from its parts', each compared with what the request says of it."""
    algorithm, checksum_type = kind
    wanted: Sequence[Mapping[str, Any]] = call.params["MultipartUpload"]["Parts"]
    if algorithm is None:
        return None, {}
    keys = open_upload_keys(rows, s3, call, upload)
    values = []
    for part, (row, record) in zip(wanted, parts, strict=True):
        opened = s3.records.open_private(
            keys.record_key, upload.row.bucket_id, upload.row.object_id, row.stream_id, row.private_record
        )
        value = opened.get(algorithm)
        if value is None or not _agrees(part, opened):
            raise RequestError(
                "InvalidPart", UploadId=upload.row.upload_id, PartNumber=str(row.part_number), ETag=record.etag
            )
        values.append((value, record.size_bytes))
    if checksum_type == FULL_OBJECT:
        result = values[0][0]
        for value, size in values[1:]:
            result = combine_crc(algorithm, result, value, size)
    else:
        result = composite(algorithm, [value for value, _ in values])
    _check_claimed_object_checksum(call.params, algorithm, result, len(parts))
    return keys, {algorithm: result}


def _agrees(part: Mapping[str, Any], checksums: Mapping[str, bytes]) -> bool:
    """Whether every checksum that the request says of a part is the one it was stored with."""
    claimed = {name: part.get(f"Checksum{name}") for name in ALGORITHMS}
    return all(_decoded(value) == checksums.get(name) for name, value in claimed.items() if value is not None)


def _check_claimed_object_checksum(params: Params, algorithm: str, computed: bytes, parts: int) -> None:
    claimed = params.get(f"Checksum{algorithm}")
    if claimed is None:
        return
    value = str(claimed).partition("-")[0]
    if _decoded(value) != computed:
        raise RequestError("BadDigest", f"The {algorithm.lower()} you specified did not match the calculated checksum.")


def _decoded(value: str) -> bytes:
    try:
        return b64decode(value, validate=True)
    except (Base64Error, ValueError):
        return b""


def _commit_completion(rows: Rows, s3: S3, call: Call, completion: _Completion) -> Params:
    upload = completion.upload
    assert upload is not None
    row = upload.row
    if has_write_precondition(call.params):
        check_preconditions(rows, s3, call, upload.state, row.object_key)
    streams = [record.stream for _, record in completion.parts]
    manifest, digest = s3.records.seal_manifest(row.bucket_id, row.object_id, streams)
    private = join_private_records(part.private_record for part, _ in completion.parts)
    chosen = {stream.stream_id for stream in streams}
    left_out = [part.stream_id for part in catalog.list_parts(rows, row.upload_id) if part.stream_id not in chosen]
    catalog.put_manifest(rows, row.object_id, manifest, private)
    catalog.bury_streams(rows, row.object_id, left_out, s3.now_ms())
    catalog.delete_upload(rows, row.upload_id)
    new = NewVersion(
        place=upload.place,
        record=replace(completion.record, manifest_digest=digest),
        keys=completion.keys or sse.DataKeys(()),
        checksums=completion.checksums,
        tags=upload.record.tags,
    )
    return commit_version(rows, s3, call, new, []) | announced(s3, upload.state, new)

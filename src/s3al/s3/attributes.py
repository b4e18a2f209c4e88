"""GetObjectAttributes: what HEAD says and more, in one answer.

Source: S3 API Reference, GetObjectAttributes.
"""

from __future__ import annotations

from collections.abc import Iterable

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.s3 import sse
from s3al.s3.access import object_arn
from s3al.s3.limits import LIST_PAGE_MAX
from s3al.s3.names import bounded_integer
from s3al.s3.objects import Located, checksum_members, locate, open_manifest, shown_version
from s3al.s3.ports import S3
from s3al.s3.records import Stream, split_private_records
from s3al.s3.registry import OPERATIONS
from s3al.service.operation import Call, Check, Params, Reply
from s3al.store import catalog
from s3al.store.database import Rows

_KNOWN = ("ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize")


def _checks(call: Call, rows: Rows, s3: S3) -> Iterable[Check]:
    resource = object_arn(call.params["Bucket"], call.params["Key"])
    suffix = "Version" if call.params.get("VersionId") else ""
    yield Check(f"s3:GetObject{suffix}", resource)
    yield Check(f"s3:GetObject{suffix}Attributes", resource)


@OPERATIONS.operation("GetObjectAttributes", checks=_checks)
async def get_object_attributes(authorized: Authorized, call: Call, s3: S3) -> Reply:
    wanted = _wanted(call.params["ObjectAttributes"])
    customer = sse.customer_key(call.params, secure=call.secure)

    def read(rows: Rows) -> Params:
        found = locate(rows, s3, call, with_streams=False)
        envelope = found.record.envelope
        sse.require_customer(envelope.mode, customer)
        keys = sse.open_keys(rows, s3, call, found.place, envelope, customer=customer)
        output = _simple(found, wanted)
        if "Checksum" in wanted and found.row.private_record:
            output["Checksum"] = _checksum(s3, found, keys)
        if "ObjectParts" in wanted and found.record.parts_count:
            output["ObjectParts"] = _parts(rows, s3, call, found, keys)
        return output

    return Reply(await s3.db.read(read))


def _wanted(attributes: list[str]) -> frozenset[str]:
    for attribute in attributes:
        if attribute not in _KNOWN:
            raise RequestError(
                "InvalidArgument",
                "Invalid attribute name specified.",
                ArgumentName="x-amz-object-attributes",
                ArgumentValue=attribute,
            )
    return frozenset(attributes)


def _simple(found: Located, wanted: frozenset[str]) -> Params:
    record = found.record
    output: Params = {"LastModified": found.last_modified, **shown_version(found.state, found.row.version_id)}
    values = {"ETag": record.etag, "StorageClass": record.storage_class, "ObjectSize": record.size_bytes}
    return output | {name: value for name, value in values.items() if name in wanted}


def _checksum(s3: S3, found: Located, keys: sse.DataKeys) -> Params:
    row, record = found.row, found.record
    opened = s3.records.open_private(keys.record_key, row.bucket_id, row.object_id, b"", row.private_record)
    composite = record.parts_count if record.checksum_type == "COMPOSITE" else 0
    return checksum_members(opened, parts=composite) | {"ChecksumType": record.checksum_type}


def _parts(rows: Rows, s3: S3, call: Call, found: Located, keys: sse.DataKeys) -> Params:
    """Parts are listed one by one only where they have checksums, as in S3; otherwise only their number is
    told."""
    streams = open_manifest(rows, s3, found.row, found.record)
    if not found.record.checksum_algorithms:
        return {"TotalPartsCount": len(streams)}
    marker = call.params.get("PartNumberMarker") or 0
    most = bounded_integer(call.params.get("MaxParts"), name="max-parts", maximum=LIST_PAGE_MAX)
    manifest = catalog.get_manifest(rows, found.row.object_id)
    sealed = split_private_records(manifest[1]) if manifest else []
    pairs = [(stream, record) for stream, record in zip(streams, sealed, strict=True) if stream.part_number > marker]
    page = pairs[:most]
    output: Params = {
        "TotalPartsCount": len(streams),
        "PartNumberMarker": marker,
        "MaxParts": most,
        "IsTruncated": len(pairs) > len(page),
        "Parts": [_part(s3, found, keys, stream, record) for stream, record in page],
    }
    if page:
        output["NextPartNumberMarker"] = page[-1][0].part_number
    return output


def _part(s3: S3, found: Located, keys: sse.DataKeys, stream: Stream, sealed: bytes) -> Params:
    row = found.row
    opened = s3.records.open_private(keys.record_key, row.bucket_id, row.object_id, stream.stream_id, sealed)
    return {"PartNumber": stream.part_number, "Size": stream.size_bytes, **checksum_members(opened)}

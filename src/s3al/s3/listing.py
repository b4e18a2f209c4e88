"""Lists of objects, versions, uploads and parts.

What lives here: the five operations: parameters in, one page out. What does not: the scan over rows
(store.listing), tokens (tokens), how EncodingType=url encodes a name (wire.values).

Laws: keys are in the order of their UTF-8 bytes; keys and common prefixes count alike towards the page; a
page of size 0 is empty and not truncated; dates are whole seconds, as HEAD shows them.

Source: S3 API Reference, ListObjects, ListObjectsV2, ListObjectVersions, ListMultipartUploads, ListParts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.s3 import sse
from s3al.s3.access import bucket_state, on_bucket, on_object
from s3al.s3.limits import LIST_PAGE_MAX
from s3al.s3.multipart import OpenUpload, find_upload
from s3al.s3.names import bounded_integer
from s3al.s3.objects import checksum_members
from s3al.s3.ownership import owner_of
from s3al.s3.ports import S3
from s3al.s3.records import UploadRecord
from s3al.s3.registry import OPERATIONS
from s3al.s3.tokens import make_token, read_token
from s3al.service.operation import Call, Params, Reply
from s3al.store import catalog
from s3al.store.catalog import BucketRow, ListedRow, Page, PartRow, UploadRow
from s3al.store.database import Rows
from s3al.wire.protocols.elements import Kept
from s3al.wire.values import url_encode_listing

# What EncodingType=url encodes: members of the output, and a member of each entry of a list.
_ENCODED = ("Prefix", "Delimiter", "Marker", "NextMarker", "StartAfter", "KeyMarker", "NextKeyMarker")
_ENCODED_IN = {
    "Contents": "Key",
    "Versions": "Key",
    "DeleteMarkers": "Key",
    "Uploads": "Key",
    "CommonPrefixes": "Prefix",
}


@OPERATIONS.operation("ListObjectsV2", checks=on_bucket("s3:ListBucket"))
async def list_objects_v2(authorized: Authorized, call: Call, s3: S3) -> Reply:
    params = call.params

    def read(rows: Rows) -> Params:
        bucket = bucket_state(rows, params["Bucket"], s3).row
        after = _bytes(params.get("StartAfter"))
        token = params.get("ContinuationToken")
        if token:  # an empty one is none
            after = read_token(token, "ListObjectsV2", scope=bucket.bucket_id)
        page, output = _objects_page(rows, params, bucket, after=after)
        owner = owner_of(rows, bucket.account_id) if params.get("FetchOwner") else None
        output["Contents"] = _objects(s3, bucket, page.rows, owner)
        output["KeyCount"] = len(page.rows) + len(page.common_prefixes)
        if page.next is not None:
            output["NextContinuationToken"] = make_token("ListObjectsV2", scope=bucket.bucket_id, position=page.next)
        return output

    output = await s3.db.read(read)
    for echoed in ("ContinuationToken", "StartAfter"):
        if params.get(echoed) is not None:
            output[echoed] = params[echoed]
    return _reply(params, output)


@OPERATIONS.operation("ListObjects", checks=on_bucket("s3:ListBucket"))
async def list_objects(authorized: Authorized, call: Call, s3: S3) -> Reply:
    params = call.params

    def read(rows: Rows) -> Params:
        bucket = bucket_state(rows, params["Bucket"], s3).row
        page, output = _objects_page(rows, params, bucket, after=_bytes(params.get("Marker")))
        owner = owner_of(rows, bucket.account_id)
        output["Contents"] = _objects(s3, bucket, page.rows, owner)
        output["Marker"] = params.get("Marker") or ""
        if page.next is not None and params.get("Delimiter"):
            output["NextMarker"] = page.next.decode()
        return output

    return _reply(params, await s3.db.read(read))


def _objects_page(
    rows: Rows, params: Params, bucket: BucketRow, *, after: bytes
) -> tuple[Page[ListedRow, bytes], Params]:
    """The page, and the members that both versions of the operation show."""
    max_keys = bounded_integer(params.get("MaxKeys"), name="maxKeys", maximum=LIST_PAGE_MAX)
    page = catalog.list_page(
        rows,
        bucket.bucket_id,
        prefix=_bytes(params.get("Prefix")),
        delimiter=_bytes(params.get("Delimiter")),
        start_after=after,
        max_keys=max_keys,
    )
    output = {"Name": bucket.name, "MaxKeys": max_keys} | _common(params, page.common_prefixes)
    return page, output | {"IsTruncated": page.next is not None}


@OPERATIONS.operation("ListObjectVersions", checks=on_bucket("s3:ListBucketVersions"))
async def list_object_versions(authorized: Authorized, call: Call, s3: S3) -> Reply:
    params = call.params
    max_keys = bounded_integer(params.get("MaxKeys"), name="maxKeys", maximum=LIST_PAGE_MAX)
    marker = _version_marker(params)

    def read(rows: Rows) -> Params:
        bucket = bucket_state(rows, params["Bucket"], s3).row
        page = catalog.list_versions_page(
            rows,
            bucket.bucket_id,
            prefix=_bytes(params.get("Prefix")),
            delimiter=_bytes(params.get("Delimiter")),
            marker=marker,
            max_keys=max_keys,
        )
        owner = owner_of(rows, bucket.account_id)
        output = _common(params, page.common_prefixes)
        output["Name"] = bucket.name
        versions = [row for row in page.rows if not row.is_delete_marker]
        listed = _objects(s3, bucket, versions, owner)
        output["Versions"] = [entry | _version(row) for entry, row in zip(listed, versions, strict=True)]
        output["DeleteMarkers"] = [_marker(row, owner) for row in page.rows if row.is_delete_marker]
        return output | _next(page.next, "NextKeyMarker", "NextVersionIdMarker")

    output = await s3.db.read(read)
    echoed = {name: params.get(name) or "" for name in ("KeyMarker", "VersionIdMarker")}
    return _reply(params, output | echoed | {"MaxKeys": max_keys})


@OPERATIONS.operation("ListMultipartUploads", checks=on_bucket("s3:ListBucketMultipartUploads"))
async def list_multipart_uploads(authorized: Authorized, call: Call, s3: S3) -> Reply:
    params = call.params
    max_uploads = bounded_integer(params.get("MaxUploads"), name="max-uploads", maximum=LIST_PAGE_MAX)
    key_marker = params.get("KeyMarker") or ""
    upload_marker = (params.get("UploadIdMarker") or None) if key_marker else None

    def read(rows: Rows) -> Params:
        bucket = bucket_state(rows, params["Bucket"], s3).row
        page = catalog.list_uploads_page(
            rows,
            bucket.bucket_id,
            prefix=_bytes(params.get("Prefix")),
            delimiter=_bytes(params.get("Delimiter")),
            marker=(_bytes(key_marker), upload_marker),
            max_keys=max_uploads,
        )
        owner = owner_of(rows, bucket.account_id)
        output = _common(params, page.common_prefixes)
        output["Bucket"] = bucket.name
        output["Uploads"] = [_upload(rows, s3, row, owner) for row in page.rows]
        return output | _next(page.next, "NextKeyMarker", "NextUploadIdMarker")

    output = await s3.db.read(read)
    output |= {"KeyMarker": key_marker, "UploadIdMarker": params.get("UploadIdMarker") or ""}
    return _reply(params, output | {"MaxUploads": max_uploads})


@OPERATIONS.operation("ListParts", checks=on_object("s3:ListMultipartUploadParts"))
async def list_parts(authorized: Authorized, call: Call, s3: S3) -> Reply:
    params = call.params
    most = bounded_integer(params.get("MaxParts"), name="max-parts", maximum=LIST_PAGE_MAX)
    marker = params.get("PartNumberMarker") or 0
    if not 0 <= marker <= 2**31 - 1:
        message = "Argument part-number-marker must be an integer between 0 and 2147483647"
        raise RequestError("InvalidArgument", message, ArgumentName="part-number-marker", ArgumentValue=str(marker))

    def read(rows: Rows) -> Params:
        upload = find_upload(rows, s3, params)
        record, owner_id = upload.record, upload.state.row.account_id
        found = catalog.list_parts(rows, params["UploadId"], after=marker, limit=most + 1) if most else []
        keys = _upload_keys(rows, call, s3, upload)
        parts = [_part(s3, upload.row, row, keys) for row in found[:most]]
        output = {
            "Bucket": upload.state.row.name,
            "Initiator": owner_of(rows, upload.row.account_id),
            "Owner": owner_of(rows, owner_id),
            "StorageClass": record.storage_class,
            "Parts": parts,
            "NextPartNumberMarker": parts[-1]["PartNumber"] if parts else 0,
            "IsTruncated": len(found) > most,
        }
        return output | _upload_checksum(record)

    output = await s3.db.read(read)
    output |= {"Key": params["Key"], "UploadId": params["UploadId"]}
    return Reply(output | {"PartNumberMarker": marker, "MaxParts": most})


def _common(params: Params, common_prefixes: Sequence[bytes]) -> Params:
    """What every listing with a delimiter shows."""
    output: Params = {
        "Prefix": params.get("Prefix") or "",
        "CommonPrefixes": [{"Prefix": prefix.decode()} for prefix in common_prefixes],
    }
    if params.get("Delimiter"):
        output["Delimiter"] = params["Delimiter"]
    return output


def _reply(params: Params, output: Params) -> Reply:
    """The output, its names percent-encoded if the request asks so. Raises InvalidArgument for another
    encoding."""
    encoding = params.get("EncodingType")
    if encoding is None:
        return Reply(output)
    if encoding != "url":
        message = "Invalid Encoding Method specified in Request"
        raise RequestError("InvalidArgument", message, ArgumentName="encoding-type", ArgumentValue=encoding)
    for member in _ENCODED:
        if output.get(member):
            output[member] = url_encode_listing(output[member])
    for members, name in _ENCODED_IN.items():
        if members in output:
            output[members] = [_encoded(entry, name) for entry in output[members]]
    return Reply(output | {"EncodingType": encoding})


def _encoded(entry: Params, name: str) -> Params:
    plain = entry[name]
    text = url_encode_listing(plain)
    return entry if text == plain else {**entry, name: text}


def _next(marker: tuple[bytes, str | None] | None, key_member: str, id_member: str) -> Params:
    if marker is None:
        return {"IsTruncated": False}
    output: Params = {"IsTruncated": True, key_member: marker[0].decode()}
    return output | ({id_member: marker[1]} if marker[1] else {})


def _version_marker(params: Params) -> tuple[bytes, str | None]:
    key_marker, version_marker = params.get("KeyMarker") or "", params.get("VersionIdMarker")
    if version_marker is not None and not (key_marker and version_marker):
        missing = "cannot be empty." if key_marker else "cannot be specified without a key marker."
        raise RequestError(
            "InvalidArgument",
            f"A version-id marker {missing}",
            ArgumentName="version-id-marker",
            ArgumentValue=version_marker,
        )
    return _bytes(key_marker), version_marker


def _objects(s3: S3, bucket: BucketRow, rows: Iterable[ListedRow], owner: Params | None) -> list[Params]:
    """The entries of objects. Written for speed: a page has a thousand. They are shared: add to copies."""
    entries: list[Params] = s3.records.listed(bucket.bucket_id, rows, _entry)
    return entries if owner is None else [{**entry, "Owner": owner} for entry in entries]


def _entry(row: ListedRow, record: dict[str, Any]) -> Params:
    entry: Params = {
        "Key": row.object_key.decode(),
        "LastModified": _time(row.last_modified),
        "ETag": f'"{record["etag"]}"',
        "Size": record["size"],
        "StorageClass": record["class"],
    }
    if "checksums" in record:
        entry["ChecksumAlgorithm"] = record["checksums"]
        entry["ChecksumType"] = record["checksum_type"]
    return Kept(entry)


def _version(row: ListedRow) -> Params:
    return {"VersionId": row.version_id, "IsLatest": row.is_current}


def _marker(row: ListedRow, owner: Params) -> Params:
    marker = {"Owner": owner, "Key": row.object_key.decode(), "LastModified": _time(row.last_modified)}
    return marker | _version(row)


def _upload(rows: Rows, s3: S3, row: UploadRow, owner: Params) -> Params:
    record = s3.records.open_upload(row)
    listed = {
        "UploadId": row.upload_id,
        "Key": row.object_key.decode(),
        "Initiated": _time(row.initiated_at),
        "StorageClass": record.storage_class,
        "Owner": owner,
        "Initiator": owner_of(rows, row.account_id),
    }
    return listed | _upload_checksum(record)


def _upload_checksum(record: UploadRecord) -> Params:
    if not record.checksum_algorithm:
        return {}
    return {"ChecksumAlgorithm": record.checksum_algorithm, "ChecksumType": record.checksum_type}


def _upload_keys(rows: Rows, call: Call, s3: S3, upload: OpenUpload) -> sse.DataKeys | None:
    """The keys that open the parts' checksums; None if the customer's key was not sent.

    The requester must be allowed to use the KMS key of the upload even to list its parts, as on AWS.
    """
    customer = sse.customer_key(call.params, secure=call.secure)
    if upload.record.envelope.mode == sse.SSE_C and customer is None:
        return None
    return sse.open_keys(rows, s3, call, upload.place, upload.record.envelope, customer=customer)


def _part(s3: S3, upload: UploadRow, row: PartRow, keys: sse.DataKeys | None) -> Params:
    record = s3.records.open_part(upload, row)
    listed: Params = {
        "PartNumber": row.part_number,
        "LastModified": _time(row.last_modified),
        "ETag": f'"{record.etag}"',
        "Size": record.size_bytes,
    }
    if keys is None or not row.private_record:
        return listed
    checksums = s3.records.open_private(
        keys.record_key, upload.bucket_id, upload.object_id, row.stream_id, row.private_record
    )
    shown = {name: value for name, value in checksums.items() if name == (record.checksum_algorithm or name)}
    return listed | checksum_members(shown)


def _bytes(text: str | None) -> bytes:
    return (text or "").encode()


def _time(milliseconds: int) -> datetime:
    return _second(milliseconds // 1000)


@lru_cache(maxsize=4096)  # what was written together is listed together
def _second(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

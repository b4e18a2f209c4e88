"""UpdateObjectEncryption: another KMS key for an object that exists, without moving its data.

What lives here: the operation. What does not: wrapping (sse).

Laws: the data key, the object id, the bytes, ETag, checksums, metadata and last-modified time stay; only the
envelope in the public record changes, and only if nobody changed it since it was read. The requester must be
allowed to open the old and to use the new. What Object Lock protects stays as it is.

Source: S3 API Reference, UpdateObjectEncryption.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from s3al.auth.authorized import Authorized
from s3al.errors import AccessError, RequestError
from s3al.s3 import sse
from s3al.s3.objects import Located, locate, on_stored_object
from s3al.s3.ports import S3
from s3al.s3.registry import OPERATIONS
from s3al.service.operation import Call, Params, Reply
from s3al.store import catalog
from s3al.store.database import Rows

_KEY_ARN = re.compile(r"arn:aws[-a-z0-9]*:kms:[-a-z0-9]*:([0-9]{12}):key/.+")
_ACTION = "s3:UpdateObjectEncryption"
_LOCKED = (
    "The encryption type for the specified object can't be updated because that object is protected by S3 Object Lock. "
    "If the object has a governance-mode retention period or a legal hold, you must first remove the Object Lock "
    "status on the object before you issue your UpdateObjectEncryption request. You can't use the "
    "UpdateObjectEncryption operation with objects that have an Object Lock compliance mode retention period applied "
    "to them."
)


@OPERATIONS.operation("UpdateObjectEncryption", checks=on_stored_object(_ACTION, _ACTION))
async def update_object_encryption(authorized: Authorized, call: Call, s3: S3) -> Reply:
    target = _target(call.params.get("ObjectEncryption"))

    def prepare(rows: Rows) -> tuple[Located, bytes]:
        found = locate(rows, s3, call, with_streams=False)
        _check_owner(target, found)
        if found.record.lock and found.record.lock.protects(s3.now_ms()):
            raise AccessError("AccessDenied", _LOCKED)
        if found.record.envelope.mode not in (sse.SSE_S3, sse.SSE_KMS):
            raise RequestError(
                "InvalidRequest",
                "The UpdateObjectEncryption operation doesn't support source objects with the encryption "
                "type DSSE-KMS or "
                "SSE-C. Only source objects encrypted with SSE-S3 or SSE-KMS are supported.",
            )
        keys = sse.open_keys(rows, s3, call, found.place, found.record.envelope, customer=None)
        envelope = sse.rewrapped(rows, s3, call, found.place, wish=target, data_key=keys.record_key)
        row = found.row
        sealed = s3.records.seal_public(
            row.bucket_id, row.object_key, row.version_id, row.object_id, replace(found.record, envelope=envelope)
        )
        return found, sealed

    found, sealed = await sse.prepared(s3, call, prepare)

    def write(rows: Rows) -> None:
        expected = found.row.public_record
        if not catalog.put_records(rows, replace(found.row, public_record=sealed), expected_public_record=expected):
            raise RequestError("ConditionalRequestConflict")

    await call.commit(s3.db, authorized, write)
    return Reply()


def _target(encryption: Params | None) -> sse.Wish:
    """The wish of the request's document. Raises InvalidRequest in AWS's words."""
    wanted: dict[str, Any] | None = (encryption or {}).get("SSEKMS")
    if wanted is None:
        raise RequestError(
            "InvalidRequest",
            "Requests that modify an object encryption configuration require a valid new encryption "
            "type. Valid values are "
            "SSEKMS. Modify the request to specify SSE-KMS for the updated encryption type, and then try again.",
        )
    key_arn = wanted.get("KMSKeyArn")
    if not key_arn:
        raise RequestError(
            "InvalidRequest",
            "Requests that modify an object's encryption type to SSE-KMS require an Amazon Web Services KMS key Amazon "
            "Resource Name (ARN). Modify the request to specify a KMS key ARN, and then try again.",
        )
    if not _KEY_ARN.fullmatch(key_arn):
        raise RequestError(
            "InvalidRequest",
            "Requests that modify an object's encryption type to SSE-KMS require a valid Amazon Web "
            "Services KMS key Amazon "
            "Resource Name (ARN). Confirm that you have a correctly formatted KMS key ARN in your "
            "request, and then try again.",
        )
    return sse.Wish(sse.SSE_KMS, kms_key=key_arn, bucket_key=bool(wanted.get("BucketKeyEnabled")))


def _check_owner(target: sse.Wish, found: Located) -> None:
    owner = _KEY_ARN.fullmatch(target.kms_key or "")
    if owner is None or owner[1] != found.state.row.account_id:
        raise AccessError(
            "AccessDenied",
            "The Amazon Web Services KMS key in the request must be owned by the same account as the "
            "bucket. Modify the "
            "request to specify a KMS key from the same account, and then try again.",
        )

"""Default encryption of a bucket, and the ways of encrypting that it blocks.

What lives here: the setting, its validation, what a new bucket has. What does not: choosing and opening keys
(sse).

Laws: there is no "none": without the setting the default is AES256. A change that does not mention
BlockedEncryptionTypes leaves them as they are, so that a client which has never heard of them cannot unblock
SSE-C; deleting the setting resets the default and keeps them, for the same reason. As on AWS the KMS key is
not looked up here: a key that cannot be used fails the writes.

Source: S3 API Reference, PutBucketEncryption, ServerSideEncryptionRule, BlockedEncryptionTypes; S3 User
Guide, "Blocking or unblocking SSE-C for a general purpose bucket".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.s3.access import on_bucket
from s3al.s3.ports import S3
from s3al.s3.registry import OPERATIONS
from s3al.s3.settings import change_bucket, encode, read_bucket, setting_in
from s3al.s3.sse import DSSE_KMS, SSE_C, SSE_KMS, SSE_S3
from s3al.service.operation import Call, Reply
from s3al.store import catalog
from s3al.store.catalog import BucketRow
from s3al.store.database import Rows

MODES = (SSE_S3, SSE_KMS, DSSE_KMS)
NOTHING_BLOCKED = "NONE"


def encryption_document(
    mode: str = SSE_S3,
    *,
    kms_key: str | None = None,
    bucket_key: bool = False,
    blocked: Sequence[str] = (NOTHING_BLOCKED,),
) -> dict[str, Any]:
    """The setting, which is also what GetBucketEncryption shows."""
    default = {"SSEAlgorithm": mode} | ({"KMSMasterKeyID": kms_key} if kms_key else {})
    rule = {
        "ApplyServerSideEncryptionByDefault": default,
        "BucketKeyEnabled": bucket_key,
        "BlockedEncryptionTypes": {"EncryptionType": list(blocked)},
    }
    return {"Rules": [rule]}


def parse_encryption(configuration: Mapping[str, Any] | None, *, blocked: Sequence[str]) -> dict[str, Any]:
    """The setting that a PutBucketEncryption asks for. blocked: those in force, kept when it names none."""
    rules = (configuration or {}).get("Rules") or []
    if len(rules) != 1:
        raise RequestError("MalformedXML")
    rule = rules[0]
    default = rule.get("ApplyServerSideEncryptionByDefault")
    if default is None and rule.get("BlockedEncryptionTypes") is None:
        raise RequestError("MalformedXML")
    mode, kms_key = _default_mode({"SSEAlgorithm": SSE_S3} if default is None else default)
    named = _blocked_types(rule.get("BlockedEncryptionTypes"))
    bucket_key = bool(rule.get("BucketKeyEnabled", False))
    return encryption_document(mode, kms_key=kms_key, bucket_key=bucket_key, blocked=named or blocked)


def blocked_types(document: Mapping[str, Any] | None) -> Sequence[str]:
    """The types that a stored setting blocks; ("NONE",) when none is."""
    rule = document["Rules"][0] if document else {}
    types: list[str] = rule.get("BlockedEncryptionTypes", {}).get("EncryptionType") or [NOTHING_BLOCKED]
    return types


@OPERATIONS.operation("PutBucketEncryption", checks=on_bucket("s3:PutEncryptionConfiguration"))
async def put_bucket_encryption(authorized: Authorized, call: Call, s3: S3) -> Reply:
    configuration = call.params.get("ServerSideEncryptionConfiguration")

    def change(rows: Rows, bucket: BucketRow) -> None:
        blocked = blocked_types(setting_in(rows, bucket, "encryption"))
        document = parse_encryption(configuration, blocked=blocked)
        catalog.put_setting(rows, bucket.bucket_id, "encryption", encode(document))

    await change_bucket(authorized, call, s3=s3, change=change)
    return Reply()


@OPERATIONS.operation("GetBucketEncryption", checks=on_bucket("s3:GetEncryptionConfiguration"))
async def get_bucket_encryption(authorized: Authorized, call: Call, s3: S3) -> Reply:
    state = await read_bucket(call, s3)
    document = state.document("encryption") or encryption_document()
    return Reply({"ServerSideEncryptionConfiguration": document})


@OPERATIONS.operation("DeleteBucketEncryption", checks=on_bucket("s3:PutEncryptionConfiguration"))
async def delete_bucket_encryption(authorized: Authorized, call: Call, s3: S3) -> Reply:
    def change(rows: Rows, bucket: BucketRow) -> None:
        document = encryption_document(blocked=blocked_types(setting_in(rows, bucket, "encryption")))
        catalog.put_setting(rows, bucket.bucket_id, "encryption", encode(document))

    await change_bucket(authorized, call, s3=s3, change=change)
    return Reply()


def _default_mode(default: Mapping[str, Any]) -> tuple[str, str | None]:
    mode, kms_key = default.get("SSEAlgorithm"), default.get("KMSMasterKeyID")
    if mode not in MODES:
        raise RequestError("MalformedXML")
    if kms_key is not None and mode == SSE_S3:
        message = "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse"
        raise RequestError("InvalidArgument", message, ArgumentName="ApplyServerSideEncryptionByDefault")
    if kms_key == "":
        raise RequestError("MalformedXML")
    return mode, kms_key


def _blocked_types(blocked: Mapping[str, Any] | None) -> list[str]:
    """Empty when the request does not say."""
    types = list((blocked or {}).get("EncryptionType") or ())
    if blocked is not None and not types:
        raise RequestError("MalformedXML")
    if any(name not in (SSE_C, NOTHING_BLOCKED) for name in types) or len(types) > 1:
        raise RequestError("MalformedXML")
    return types

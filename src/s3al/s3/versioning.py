"""Bucket versioning: unset, Enabled, Suspended.

What lives here: the setting. What does not: what a version is (objects, store.catalog).

Law: a bucket never returns to unset, and one with Object Lock stays enabled.

Source: S3 User Guide, "Retaining multiple versions of objects with S3 Versioning".
"""

from __future__ import annotations

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.s3.access import on_bucket
from s3al.s3.ports import S3
from s3al.s3.registry import OPERATIONS
from s3al.s3.settings import change_bucket, encode, read_bucket, setting_in
from s3al.service.operation import Call, Reply
from s3al.store import catalog
from s3al.store.catalog import BucketRow
from s3al.store.database import Rows

_STATUSES = ("Enabled", "Suspended")
_LOCKED = "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."


@OPERATIONS.operation("PutBucketVersioning", checks=on_bucket("s3:PutBucketVersioning"))
async def put_bucket_versioning(authorized: Authorized, call: Call, s3: S3) -> Reply:
    configuration = call.params.get("VersioningConfiguration") or {}
    status = configuration.get("Status")
    if status is None:
        message = "The Versioning element must be specified"
        raise RequestError("IllegalVersioningConfigurationException", message)
    if status not in _STATUSES:
        raise RequestError("MalformedXML")
    if call.params.get("MFA") or configuration.get("MFADelete") not in (None, "Disabled"):
        raise RequestError("NotImplemented", "MFA delete is not implemented")

    def change(rows: Rows, bucket: BucketRow) -> None:
        if status != "Enabled" and setting_in(rows, bucket, "object_lock") is not None:
            raise RequestError("InvalidBucketState", _LOCKED, BucketName=bucket.name)
        catalog.put_setting(rows, bucket.bucket_id, "versioning", encode({"Status": status}))

    await change_bucket(authorized, call, s3=s3, change=change)
    return Reply()


@OPERATIONS.operation("GetBucketVersioning", checks=on_bucket("s3:GetBucketVersioning"))
async def get_bucket_versioning(authorized: Authorized, call: Call, s3: S3) -> Reply:
    status = (await read_bucket(call, s3)).versioning
    return Reply({"Status": status} if status else {})

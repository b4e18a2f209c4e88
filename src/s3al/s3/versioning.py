"""Bucket versioning: unset, Enabled, Suspended.

What lives here: the setting. What does not: what a version is (objects, store.catalog).

Law: a bucket never returns to unset.

Source: S3 User Guide, "Retaining multiple versions of objects with S3 Versioning".
"""

from __future__ import annotations

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.s3.access import on_bucket
from s3al.s3.ports import S3
from s3al.s3.registry import OPERATIONS
from s3al.s3.settings import put_setting, read_bucket
from s3al.service.operation import Call, Reply

_STATUSES = ("Enabled", "Suspended")


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
    await put_setting(authorized, call, s3=s3, setting="versioning", document={"Status": status})
    return Reply()


@OPERATIONS.operation("GetBucketVersioning", checks=on_bucket("s3:GetBucketVersioning"))
async def get_bucket_versioning(authorized: Authorized, call: Call, s3: S3) -> Reply:
    status = (await read_bucket(call, s3)).versioning
    return Reply({"Status": status} if status else {})

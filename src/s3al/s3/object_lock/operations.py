"""Object Lock: a bucket's configuration, retention and legal hold of a version, and whether a version may be removed.

What lives here: the operations, and `check_removable`, which stands before every removal of a version. What does not:
what a lock forbids (rules), the lock of a new version (put).

Laws: Object Lock is never switched off again, and its bucket's versioning stays enabled, so that no write replaces a
version; a lock lies in the version's public record and changes only if nobody changed the record since it was read;
bypassing governance takes the header and s3:BypassGovernanceRetention, and is asked for only where something has to be
bypassed.

Source: S3 API Reference, PutObjectLockConfiguration, PutObjectRetention, PutObjectLegalHold; S3 User Guide, "Locking
objects with Object Lock".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from s3al.auth.authorized import Authorized
from s3al.errors import AccessError, RequestError
from s3al.s3.access import authorize_check, object_arn, on_bucket, on_object
from s3al.s3.object_lock.rules import (
    HOLDS,
    MISSING,
    NO_LOCK,
    Lock,
    Verdict,
    check_default,
    lock_context,
    retention_of,
    verdict_on_change,
)
from s3al.s3.objects import Located, locate
from s3al.s3.ports import S3
from s3al.s3.registry import OPERATIONS
from s3al.s3.settings import change_bucket, encode, read_setting, setting_in
from s3al.s3.sse import Place
from s3al.service.operation import Call, Check, Params, Reply
from s3al.store import catalog
from s3al.store.catalog import BucketRow
from s3al.store.database import Rows

SETTING = "object_lock"
ENABLED: Mapping[str, Any] = {"ObjectLockEnabled": "Enabled"}
_PROTECTED = "Access Denied because object protected by object lock."
_BYPASS = "s3:BypassGovernanceRetention"


def check_removable(rows: Rows, s3: S3, call: Call, *, place: Place, version_id: str) -> None:
    """Raises AccessDenied if the version is locked and the call may not, or does not ask to, bypass that."""
    row = catalog.find_version(rows, place.bucket_id, place.object_key.encode(), version_id)
    if row is None or row.is_delete_marker:
        return
    lock, now_ms = s3.records.open_public(row.bucket_id, row.object_key, row).lock or NO_LOCK, s3.now_ms()
    if not lock.protects(now_ms):
        return
    if not (call.params.get("BypassGovernanceRetention") and lock.may_be_bypassed(now_ms)):
        raise AccessError("AccessDenied", _PROTECTED)
    authorize_check(rows, call, Check(_BYPASS, object_arn(place.bucket.name, place.object_key)), s3)


@OPERATIONS.operation("PutObjectLockConfiguration", checks=on_bucket("s3:PutBucketObjectLockConfiguration"))
async def put_object_lock_configuration(authorized: Authorized, call: Call, s3: S3) -> Reply:
    document = _configuration(call.params.get("ObjectLockConfiguration") or {})

    def change(rows: Rows, bucket: BucketRow) -> None:
        if (setting_in(rows, bucket, "versioning") or {}).get("Status") != "Enabled":
            message = "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration"
            raise RequestError("InvalidBucketState", message, BucketName=bucket.name)
        catalog.put_setting(rows, bucket.bucket_id, SETTING, encode(document))

    await change_bucket(authorized, call, s3=s3, change=change)
    return Reply()


@OPERATIONS.operation("GetObjectLockConfiguration", checks=on_bucket("s3:GetBucketObjectLockConfiguration"))
async def get_object_lock_configuration(authorized: Authorized, call: Call, s3: S3) -> Reply:
    document = await read_setting(call, s3, setting=SETTING, unset="ObjectLockConfigurationNotFoundError")
    return Reply({"ObjectLockConfiguration": document})


def _configuration(wanted: Params) -> Params:
    if wanted.get("ObjectLockEnabled") != "Enabled":
        raise RequestError("MalformedXML")
    if wanted.get("Rule") is None:
        return dict(ENABLED)
    default = wanted["Rule"].get("DefaultRetention")
    if default is None:
        raise RequestError("MalformedXML")
    check_default(default)
    return {**ENABLED, "Rule": {"DefaultRetention": default}}


def _retention_checks(call: Call, rows: Rows, s3: S3) -> Iterable[Check]:
    wanted = retention_of(call.params.get("Retention"), call.now_ms)
    resource = object_arn(call.params["Bucket"], call.params["Key"])
    return (Check("s3:PutObjectRetention", resource, lock_context(wanted, call.now_ms)),)


@OPERATIONS.operation("PutObjectRetention", checks=_retention_checks)
async def put_object_retention(authorized: Authorized, call: Call, s3: S3) -> Reply:
    wanted = retention_of(call.params.get("Retention"), call.now_ms)

    def change(rows: Rows, found: Located, old: Lock) -> Lock:
        verdict = verdict_on_change(old, wanted, s3.now_ms())
        if verdict is Verdict.BYPASS_NEEDED and call.params.get("BypassGovernanceRetention"):
            resource = object_arn(found.state.row.name, call.params["Key"])
            authorize_check(rows, call, Check(_BYPASS, resource, lock_context(wanted, call.now_ms)), s3)
        elif verdict is not Verdict.ALLOWED:
            raise AccessError("AccessDenied", _PROTECTED)
        return replace(wanted, hold=old.hold)

    return await _change_lock(authorized, call, s3=s3, change=change)


def _hold_checks(call: Call, rows: Rows, s3: S3) -> Iterable[Check]:
    context = lock_context(Lock(hold=_hold(call.params)), call.now_ms)
    return (Check("s3:PutObjectLegalHold", object_arn(call.params["Bucket"], call.params["Key"]), context),)


@OPERATIONS.operation("PutObjectLegalHold", checks=_hold_checks)
async def put_object_legal_hold(authorized: Authorized, call: Call, s3: S3) -> Reply:
    hold = _hold(call.params)
    return await _change_lock(authorized, call, s3=s3, change=lambda _rows, _found, old: replace(old, hold=hold))


def _hold(params: Params) -> str:
    status: str = (params.get("LegalHold") or {}).get("Status") or ""
    if status not in HOLDS:
        raise RequestError("MalformedXML")
    return status


async def _change_lock(
    authorized: Authorized, call: Call, *, s3: S3, change: Callable[[Rows, Located, Lock], Lock]
) -> Reply:
    def write(rows: Rows) -> None:
        found = _lockable(rows, s3, call)
        lock = change(rows, found, found.record.lock or NO_LOCK)
        row, record = found.row, replace(found.record, lock=None if lock == NO_LOCK else lock)
        sealed = s3.records.seal_public(row.bucket_id, row.object_key, row.version_id, row.object_id, record)
        catalog.put_records(rows, replace(row, public_record=sealed), expected_public_record=row.public_record)

    await call.commit(s3.db, authorized, write)
    return Reply()


@OPERATIONS.operation("GetObjectRetention", checks=on_object("s3:GetObjectRetention"))
async def get_object_retention(authorized: Authorized, call: Call, s3: S3) -> Reply:
    lock = await _read_lock(call, s3)
    if not lock.mode:
        raise RequestError("NoSuchObjectLockConfiguration", Key=call.params["Key"])
    return Reply({"Retention": {"Mode": lock.mode, "RetainUntilDate": lock.until}})


@OPERATIONS.operation("GetObjectLegalHold", checks=on_object("s3:GetObjectLegalHold"))
async def get_object_legal_hold(authorized: Authorized, call: Call, s3: S3) -> Reply:
    lock = await _read_lock(call, s3)
    if not lock.hold:
        raise RequestError("NoSuchObjectLockConfiguration", Key=call.params["Key"])
    return Reply({"LegalHold": {"Status": lock.hold}})


async def _read_lock(call: Call, s3: S3) -> Lock:
    found = await s3.db.read(lambda rows: _lockable(rows, s3, call))
    return found.record.lock or NO_LOCK


def _lockable(rows: Rows, s3: S3, call: Call) -> Located:
    found = locate(rows, s3, call, with_streams=False)
    if SETTING not in found.state.settings:
        raise RequestError("InvalidRequest", MISSING)
    return found

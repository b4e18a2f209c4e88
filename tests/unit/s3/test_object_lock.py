"""Object Lock: configuration, retention, legal hold, and that no path removes or changes what they protect."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import md5
from typing import Any

import pytest

from s3al.s3.object_lock.rules import COMPLIANCE, DAY_MS, GOVERNANCE, Lock, Verdict, verdict_on_change
from unit.s3.world import ANONYMOUS, NOW_MS, OWNER, World, refused, user_of

_NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)
_SOON, _LATER = _NOW + timedelta(days=1), _NOW + timedelta(days=30)
_BODY = b"not to be lost"
_MD5 = {"content-md5": b64encode(md5(_BODY).digest()).decode()}
_NAMED = {"Bucket": "bucket", "Key": "key"}
_PROTECTED = "Access Denied because object protected by object lock."


@pytest.fixture
def locked(world: World) -> World:
    world.bucket(ObjectLockEnabledForBucket=True)
    return world


def _put(world: World, **params: Any) -> str:
    version_id: str = world.output("PutObject", body=_BODY, headers=_MD5, **_NAMED, **params)["VersionId"]
    return version_id


def _retain(world: World, mode: str, until: datetime, **params: Any) -> None:
    world.call("PutObjectRetention", Retention={"Mode": mode, "RetainUntilDate": until}, **_NAMED, **params)


def _configure(world: World, **default: Any) -> None:
    document = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": default}}
    world.call("PutObjectLockConfiguration", Bucket="bucket", ObjectLockConfiguration=document)


def _exists(world: World, version_id: str) -> bool:
    versions = world.output("ListObjectVersions", Bucket="bucket").get("Versions", [])
    return version_id in [version["VersionId"] for version in versions]


def _later(world: World, moment: datetime) -> None:
    """The server's clock goes on."""
    world.now_ms = int(moment.timestamp() * 1000)
    world.s3 = replace(world.s3, now_ms=lambda: world.now_ms)


def _admit(world: World, *actions: str) -> None:
    ann = world.know(user_of(OWNER))
    statement = {"Effect": "Allow", "Principal": {"AWS": ann.arn}, "Action": list(actions)}
    document = {"Version": "2012-10-17", "Statement": [{**statement, "Resource": "arn:aws:s3:::bucket/*"}]}
    world.call("PutBucketPolicy", Bucket="bucket", Policy=json.dumps(document))


# --- the bucket


def test_bucket_with_object_lock_is_versioned_and_stays_so(locked: World) -> None:
    assert locked.output("GetObjectLockConfiguration", Bucket="bucket") == {
        "ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}
    }
    assert locked.output("GetBucketVersioning", Bucket="bucket") == {"Status": "Enabled"}
    with refused("InvalidBucketState"):
        locked.call("PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": "Suspended"})
    assert locked.output("GetBucketVersioning", Bucket="bucket") == {"Status": "Enabled"}
    locked.call("PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})


def test_object_lock_comes_to_a_bucket_whose_versioning_is_enabled(world: World) -> None:
    world.bucket()
    with refused("ObjectLockConfigurationNotFoundError"):
        world.call("GetObjectLockConfiguration", Bucket="bucket")
    for status in ("", "Suspended"):
        if status:
            world.call("PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": status})
        with refused("InvalidBucketState"):
            _configure(world, Mode=GOVERNANCE, Days=1)
    world.call("PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    _configure(world, Mode=GOVERNANCE, Days=1)
    _put(world)
    assert world.output("GetObjectRetention", **_NAMED)["Retention"]["Mode"] == GOVERNANCE


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (None, "MalformedXML"),
        ({}, "MalformedXML"),
        ({"ObjectLockEnabled": "Disabled"}, "MalformedXML"),
        ({"ObjectLockEnabled": "Enabled", "Rule": {}}, "MalformedXML"),
        ({"Mode": "governance", "Days": 1}, "MalformedXML"),
        ({"Days": 1}, "MalformedXML"),
        ({"Mode": GOVERNANCE}, "MalformedXML"),
        ({"Mode": GOVERNANCE, "Days": 1, "Years": 1}, "MalformedXML"),
        ({"Mode": GOVERNANCE, "Days": 0}, "InvalidArgument"),
        ({"Mode": GOVERNANCE, "Years": -1}, "InvalidArgument"),
        ({"Mode": GOVERNANCE, "Days": 36_501}, "InvalidArgument"),
        ({"Mode": GOVERNANCE, "Years": 101}, "InvalidArgument"),
        ({"Mode": GOVERNANCE, "Days": 1, "DefaultEventHold": {"Days": 1}}, "NotImplemented"),
    ],
)
def test_other_configurations_are_refused_and_change_nothing(
    locked: World, document: dict[str, Any] | None, code: str
) -> None:
    if document and not document.keys() <= {"ObjectLockEnabled", "Rule"}:
        document = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": document}}
    with refused(code):
        locked.call("PutObjectLockConfiguration", Bucket="bucket", ObjectLockConfiguration=document)
    assert "Rule" not in locked.output("GetObjectLockConfiguration", Bucket="bucket")["ObjectLockConfiguration"]


def test_creating_a_bucket_with_object_lock_takes_the_rights_of_what_it_sets(world: World) -> None:
    with refused("AccessDenied"):
        world.bucket(as_=user_of(OWNER), ObjectLockEnabledForBucket=True)


# --- setting a lock


@pytest.mark.parametrize("operation", ["PutObjectRetention", "PutObjectLegalHold"])
def test_bucket_without_object_lock_locks_nothing(world: World, operation: str) -> None:
    world.bucket()
    world.call("PutObject", body=_BODY, **_NAMED)
    document = {
        "Retention": {"Mode": GOVERNANCE, "RetainUntilDate": _SOON},
        "LegalHold": {"Status": "ON"},
    }
    with refused("InvalidRequest", "Bucket is missing Object Lock Configuration"):
        world.call(operation, **_NAMED, **document)
    for headers in ({"ObjectLockLegalHoldStatus": "ON"}, _headers(GOVERNANCE, _SOON)):
        with refused("InvalidRequest", "Bucket is missing Object Lock Configuration"):
            world.call("PutObject", body=_BODY, headers=_MD5, **_NAMED, **headers)
        with refused("InvalidRequest", "Bucket is missing Object Lock Configuration"):
            world.call("CreateMultipartUpload", **_NAMED, **headers)
        with refused("InvalidRequest", "Bucket is missing Object Lock Configuration"):
            world.call("CopyObject", CopySource="bucket/key", MetadataDirective="REPLACE", **_NAMED, **headers)


def _headers(mode: str, until: datetime) -> dict[str, Any]:
    return {"ObjectLockMode": mode, "ObjectLockRetainUntilDate": until}


@pytest.mark.parametrize(
    "headers",
    [
        {"ObjectLockMode": GOVERNANCE},
        {"ObjectLockRetainUntilDate": _SOON},
        _headers(GOVERNANCE, _NOW - timedelta(seconds=1)),
        {"ObjectLockMode": "governance", "ObjectLockRetainUntilDate": _SOON},
        {"ObjectLockMode": GOVERNANCE, "ObjectLockRetainUntilDate": "soon"},
        {"ObjectLockLegalHoldStatus": "on"},
    ],
)
def test_lock_that_is_no_lock_stores_nothing(locked: World, headers: dict[str, Any]) -> None:
    with refused("InvalidArgument"):
        _put(locked, **headers)
    assert locked.output("ListObjectVersions", Bucket="bucket").get("Versions", []) == []


def test_event_holds_are_refused_and_not_ignored(locked: World) -> None:
    with refused("NotImplemented"):
        _put(locked, ObjectLockEventHold="ON")


@pytest.mark.parametrize(
    ("retention", "code"),
    [
        (None, "MalformedXML"),
        ({"Mode": GOVERNANCE}, "MalformedXML"),
        ({"RetainUntilDate": _SOON}, "MalformedXML"),
        ({"Mode": "governance", "RetainUntilDate": _SOON}, "MalformedXML"),
        ({"Mode": GOVERNANCE, "RetainUntilDate": _NOW}, "InvalidArgument"),
        ({"Mode": GOVERNANCE, "RetainUntilDate": _SOON, "EventHold": "ON"}, "NotImplemented"),
    ],
)
def test_other_retentions_are_refused(locked: World, retention: dict[str, Any] | None, code: str) -> None:
    _put(locked)
    with refused(code):
        locked.call("PutObjectRetention", Retention=retention, **_NAMED)
    with refused("NoSuchObjectLockConfiguration"):
        locked.call("GetObjectRetention", **_NAMED)


@pytest.mark.parametrize("hold", [None, {}, {"Status": "abc"}])
def test_other_holds_are_refused(locked: World, hold: dict[str, Any] | None) -> None:
    _put(locked)
    with refused("MalformedXML"):
        locked.call("PutObjectLegalHold", LegalHold=hold, **_NAMED)
    with refused("NoSuchObjectLockConfiguration"):
        locked.call("GetObjectLegalHold", **_NAMED)


def test_lock_of_a_version_is_shown_by_each_read(locked: World) -> None:
    first = _put(locked, ObjectLockLegalHoldStatus="ON", **_headers(COMPLIANCE, _SOON))
    second = _put(locked)
    named = {**_NAMED, "VersionId": first}
    assert locked.output("GetObjectRetention", **named) == {
        "Retention": {"Mode": COMPLIANCE, "RetainUntilDate": _SOON}
    }
    assert locked.output("GetObjectLegalHold", **named) == {"LegalHold": {"Status": "ON"}}
    for operation in ("HeadObject", "GetObject"):
        shown = locked.output(operation, **named)
        assert (shown["ObjectLockMode"], shown["ObjectLockLegalHoldStatus"]) == (COMPLIANCE, "ON")
        assert shown["ObjectLockRetainUntilDate"] == _SOON
        assert not [name for name in locked.output(operation, VersionId=second, **_NAMED) if "Lock" in name]


def test_lock_is_shown_to_who_may_read_it(locked: World) -> None:
    _put(locked, ObjectLockLegalHoldStatus="ON", **_headers(COMPLIANCE, _SOON))
    _admit(locked, "s3:GetObject", "s3:GetObjectLegalHold")
    shown = locked.output("HeadObject", as_=user_of(OWNER), **_NAMED)
    assert shown["ObjectLockLegalHoldStatus"] == "ON"
    assert "ObjectLockMode" not in shown


def test_writing_a_lock_takes_its_rights(locked: World) -> None:
    _admit(locked, "s3:PutObject", "s3:PutObjectLegalHold")
    _put(locked, as_=user_of(OWNER), ObjectLockLegalHoldStatus="ON")
    with refused("AccessDenied"):
        _put(locked, as_=user_of(OWNER), **_headers(GOVERNANCE, _SOON))


def test_what_will_be_locked_says_its_digest(locked: World) -> None:
    with refused("InvalidRequest"):
        locked.call("PutObject", body=_BODY, ObjectLockLegalHoldStatus="ON", **_NAMED)
    locked.call("PutObject", body=_BODY, **_NAMED)
    _configure(locked, Mode=GOVERNANCE, Days=1)
    with refused("InvalidRequest"):
        locked.call("PutObject", body=_BODY, **_NAMED)
    upload_id = locked.output("CreateMultipartUpload", ObjectLockLegalHoldStatus="ON", **_NAMED)["UploadId"]
    with refused("InvalidRequest"):
        locked.call("UploadPart", body=_BODY, UploadId=upload_id, PartNumber=1, **_NAMED)


# --- a bucket's default


@pytest.mark.parametrize(("period", "days"), [({"Days": 3}, 3), ({"Years": 2}, 730)])
def test_default_retention_is_that_of_each_new_version(locked: World, period: dict[str, int], days: int) -> None:
    before = _put(locked)
    _configure(locked, Mode=COMPLIANCE, **period)
    with refused("NoSuchObjectLockConfiguration"):
        locked.call("GetObjectRetention", VersionId=before, **_NAMED)
    until = datetime.fromtimestamp((NOW_MS + days * DAY_MS) / 1000, UTC)
    expected = {"Mode": COMPLIANCE, "RetainUntilDate": until}
    _put(locked)
    assert locked.output("GetObjectRetention", **_NAMED)["Retention"] == expected
    locked.call("CopyObject", CopySource=f"bucket/key?versionId={before}", Bucket="bucket", Key="copy")
    assert locked.output("GetObjectRetention", Bucket="bucket", Key="copy")["Retention"] == expected
    _uploaded(locked)
    assert locked.output("GetObjectRetention", **_NAMED)["Retention"] == expected


def test_what_a_write_says_overrides_the_default(locked: World) -> None:
    _configure(locked, Mode=COMPLIANCE, Days=3)
    version_id = _put(locked, ObjectLockLegalHoldStatus="OFF", **_headers(GOVERNANCE, _SOON))
    assert locked.output("GetObjectRetention", **_NAMED)["Retention"]["Mode"] == GOVERNANCE
    locked.call("DeleteObject", VersionId=version_id, BypassGovernanceRetention=True, **_NAMED)
    _put(locked, ObjectLockLegalHoldStatus="ON")
    assert locked.output("GetObjectRetention", **_NAMED)["Retention"]["Mode"] == COMPLIANCE


def _uploaded(world: World, **lock: Any) -> str:
    upload = {**_NAMED, "UploadId": world.output("CreateMultipartUpload", **_NAMED, **lock)["UploadId"]}
    part = world.output("UploadPart", body=_BODY, headers=_MD5, PartNumber=1, **upload)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    version_id: str = world.output("CompleteMultipartUpload", MultipartUpload=parts, **upload)["VersionId"]
    return version_id


def test_copy_has_the_lock_it_asks_for_and_none_of_its_source(locked: World) -> None:
    _put(locked, ObjectLockLegalHoldStatus="ON")
    copy = {"Bucket": "bucket", "Key": "copy"}
    locked.call("CopyObject", CopySource="bucket/key", **copy)
    with refused("NoSuchObjectLockConfiguration"):
        locked.call("GetObjectLegalHold", **copy)
    locked.call("CopyObject", CopySource="bucket/key", **_headers(COMPLIANCE, _SOON), **copy)
    assert locked.output("GetObjectRetention", **copy)["Retention"]["Mode"] == COMPLIANCE


# --- what a lock forbids


@pytest.mark.parametrize("written", ["put", "uploaded", "set afterwards"])
@pytest.mark.parametrize("mode", [GOVERNANCE, COMPLIANCE])
def test_retained_version_outlives_every_delete_until_its_time(locked: World, mode: str, written: str) -> None:
    if written == "put":
        version_id = _put(locked, **_headers(mode, _SOON))
    elif written == "uploaded":
        version_id = _uploaded(locked, **_headers(mode, _SOON))
    else:
        version_id = _put(locked)
        _retain(locked, mode, _SOON)
    with refused("AccessDenied", _PROTECTED):
        locked.call("DeleteObject", VersionId=version_id, **_NAMED)
    wanted = {"Objects": [{"Key": "key", "VersionId": version_id}, {"Key": "other"}]}
    answer = locked.output("DeleteObjects", Bucket="bucket", Delete=wanted)
    assert [(error["Code"], error["Message"]) for error in answer["Errors"]] == [("AccessDenied", _PROTECTED)]
    assert [deleted["Key"] for deleted in answer["Deleted"]] == ["other"]
    _put(locked)  # an overwrite
    locked.call("DeleteObject", **_NAMED)  # a delete marker
    assert _exists(locked, version_id)
    _later(locked, _SOON)
    locked.call("DeleteObject", VersionId=version_id, **_NAMED)
    assert not _exists(locked, version_id)


def test_compliance_gives_way_to_nobody(locked: World) -> None:
    version_id = _put(locked, **_headers(COMPLIANCE, _SOON))
    with refused("AccessDenied", _PROTECTED):
        locked.call("DeleteObject", VersionId=version_id, BypassGovernanceRetention=True, **_NAMED)
    for mode, until in ((COMPLIANCE, _SOON - timedelta(hours=1)), (GOVERNANCE, _LATER)):
        with refused("AccessDenied", _PROTECTED):
            _retain(locked, mode, until, BypassGovernanceRetention=True)
    with refused("AccessDenied", _PROTECTED):
        locked.call("PutObjectRetention", Retention={}, BypassGovernanceRetention=True, **_NAMED)
    _retain(locked, COMPLIANCE, _LATER)
    _later(locked, _SOON)
    with refused("AccessDenied", _PROTECTED):
        locked.call("DeleteObject", VersionId=version_id, **_NAMED)


def test_governance_gives_way_to_who_may_bypass_it_and_says_so(locked: World) -> None:
    version_id = _put(locked, **_headers(GOVERNANCE, _SOON))
    ann, named = user_of(OWNER), {**_NAMED, "VersionId": version_id}
    _admit(locked, "s3:DeleteObjectVersion", "s3:PutObjectRetention")
    with refused("AccessDenied"):
        locked.call("DeleteObject", as_=ann, BypassGovernanceRetention=True, **named)
    with refused("AccessDenied"):
        _retain(locked, COMPLIANCE, _SOON, as_=ann, BypassGovernanceRetention=True)
    _retain(locked, GOVERNANCE, _SOON + timedelta(hours=1), as_=ann)
    _admit(locked, "s3:DeleteObjectVersion", "s3:PutObjectRetention", "s3:BypassGovernanceRetention")
    with refused("AccessDenied", _PROTECTED):
        locked.call("DeleteObject", as_=ann, **named)
    with refused("AccessDenied", _PROTECTED):
        _retain(locked, GOVERNANCE, _SOON, as_=ann)
    _retain(locked, GOVERNANCE, _SOON, as_=ann, BypassGovernanceRetention=True)
    locked.call("DeleteObject", as_=ann, BypassGovernanceRetention=True, **named)
    assert not _exists(locked, version_id)


def test_bypass_that_nothing_needs_takes_no_right(locked: World) -> None:
    version_id = _put(locked)
    _admit(locked, "s3:DeleteObjectVersion")
    locked.call("DeleteObject", as_=user_of(OWNER), VersionId=version_id, BypassGovernanceRetention=True, **_NAMED)
    assert not _exists(locked, version_id)


def test_legal_hold_gives_way_to_its_removal_alone(locked: World) -> None:
    version_id = _put(locked, ObjectLockLegalHoldStatus="ON", **_headers(GOVERNANCE, _SOON))
    _later(locked, _LATER)
    with refused("AccessDenied", _PROTECTED):
        locked.call("DeleteObject", VersionId=version_id, BypassGovernanceRetention=True, **_NAMED)
    locked.call("PutObjectLegalHold", LegalHold={"Status": "OFF"}, **_NAMED)
    assert locked.output("GetObjectLegalHold", **_NAMED) == {"LegalHold": {"Status": "OFF"}}
    locked.call("DeleteObject", VersionId=version_id, **_NAMED)
    assert not _exists(locked, version_id)


def test_retention_ends_by_an_empty_document_where_nothing_retains(locked: World) -> None:
    _put(locked, **_headers(GOVERNANCE, _SOON))
    with refused("AccessDenied", _PROTECTED):
        locked.call("PutObjectRetention", Retention={}, **_NAMED)
    locked.call("PutObjectRetention", Retention={}, BypassGovernanceRetention=True, **_NAMED)
    with refused("NoSuchObjectLockConfiguration"):
        locked.call("GetObjectRetention", **_NAMED)


@pytest.mark.parametrize("write", ["put", "uploaded", "copied"])
def test_locked_null_version_of_before_versioning_is_replaced_by_no_write(world: World, write: str) -> None:
    world.bucket()
    world.call("PutObject", body=_BODY, **_NAMED)
    upload = {**_NAMED, "UploadId": world.output("CreateMultipartUpload", **_NAMED)["UploadId"]}
    part = world.output("UploadPart", body=_BODY, PartNumber=1, **upload)
    world.call("PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    _configure(world, Mode=COMPLIANCE, Days=1)
    _retain(world, COMPLIANCE, _SOON, VersionId="null")
    if write == "put":
        version_id = _put(world)
    elif write == "uploaded":  # begun before there was any versioning
        parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        version_id = world.output("CompleteMultipartUpload", MultipartUpload=parts, **upload)["VersionId"]
    else:
        version_id = world.output("CopyObject", CopySource="bucket/key?versionId=null", **_NAMED)["VersionId"]
    for each in (version_id, "null"):
        with refused("AccessDenied", _PROTECTED):
            world.call("DeleteObject", VersionId=each, **_NAMED)
    assert _exists(world, "null") and version_id != "null"


def test_bypass_is_asked_for_each_key_of_many(locked: World) -> None:
    _configure(locked, Mode=GOVERNANCE, Days=1)
    ann = locked.know(user_of(OWNER))
    whole = {"Effect": "Allow", "Principal": {"AWS": ann.arn}, "Action": "s3:*", "Resource": "arn:aws:s3:::bucket/*"}
    part = {**whole, "Effect": "Deny", "Action": "s3:BypassGovernanceRetention", "Resource": "arn:aws:s3:::bucket/no*"}
    document = {"Version": "2012-10-17", "Statement": [whole, part]}
    locked.call("PutBucketPolicy", Bucket="bucket", Policy=json.dumps(document))
    put = {"body": _BODY, "headers": _MD5, "Bucket": "bucket"}
    wanted = [{"Key": key, "VersionId": locked.output("PutObject", Key=key, **put)["VersionId"]}
              for key in ("yes-1", "no-1", "yes-2", "no-2")]  # fmt: skip
    asked: dict[str, Any] = {"Bucket": "bucket", "Delete": {"Objects": wanted}, "as_": ann}
    assert len(locked.output("DeleteObjects", **asked)["Errors"]) == 4
    answer = locked.output("DeleteObjects", BypassGovernanceRetention=True, **asked)
    assert [one["Key"] for one in answer["Deleted"]] == ["yes-1", "yes-2"]
    assert [one["Key"] for one in answer["Errors"]] == ["no-1", "no-2"]
    assert [_exists(locked, one["VersionId"]) for one in wanted] == [False, True, False, True]


def test_encryption_of_a_locked_version_is_not_changed(locked: World) -> None:
    _put(locked, ObjectLockLegalHoldStatus="ON")
    target = {"SSEKMS": {"KMSKeyArn": f"arn:aws:kms:us-east-1:{OWNER}:key/one"}}
    with refused("AccessDenied") as caught:
        locked.call("UpdateObjectEncryption", ObjectEncryption=target, **_NAMED)
    assert "protected by S3 Object Lock" in (caught[0].message or "")


def test_condition_keys_of_a_lock_decide(locked: World) -> None:
    limit = {"NumericGreaterThan": {"s3:object-lock-remaining-retention-days": "10"}}
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*Retention", "Resource": "arn:aws:s3:::bucket/*"}
    document = {"Version": "2012-10-17", "Statement": [{**deny, "Condition": limit}]}
    locked.call("PutBucketPolicy", Bucket="bucket", Policy=json.dumps(document))
    _put(locked, **_headers(GOVERNANCE, _SOON))
    with refused("AccessDenied"):
        _put(locked, **_headers(GOVERNANCE, _LATER))
    with refused("AccessDenied"):
        _retain(locked, GOVERNANCE, _LATER)
    _retain(locked, GOVERNANCE, _SOON + timedelta(days=5))


def test_nobody_locks_anonymously(locked: World) -> None:
    _put(locked)
    with refused("AccessDenied"):
        locked.call("PutObjectLegalHold", as_=ANONYMOUS, LegalHold={"Status": "ON"}, **_NAMED)


_SOON_MS, _LATER_MS = NOW_MS + DAY_MS, NOW_MS + 2 * DAY_MS


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        (Lock(), Lock(GOVERNANCE, _SOON_MS), Verdict.ALLOWED),
        (Lock(COMPLIANCE, NOW_MS), Lock(), Verdict.ALLOWED),  # expired
        (Lock(GOVERNANCE, _SOON_MS), Lock(GOVERNANCE, _SOON_MS), Verdict.ALLOWED),
        (Lock(GOVERNANCE, _SOON_MS), Lock(GOVERNANCE, _LATER_MS), Verdict.ALLOWED),
        (Lock(GOVERNANCE, _LATER_MS), Lock(GOVERNANCE, _SOON_MS), Verdict.BYPASS_NEEDED),
        (Lock(GOVERNANCE, _SOON_MS), Lock(COMPLIANCE, _LATER_MS), Verdict.BYPASS_NEEDED),
        (Lock(GOVERNANCE, _SOON_MS), Lock(), Verdict.BYPASS_NEEDED),
        (Lock(COMPLIANCE, _SOON_MS), Lock(COMPLIANCE, _LATER_MS), Verdict.ALLOWED),
        (Lock(COMPLIANCE, _LATER_MS), Lock(COMPLIANCE, _SOON_MS), Verdict.REFUSED),
        (Lock(COMPLIANCE, _SOON_MS), Lock(GOVERNANCE, _LATER_MS), Verdict.REFUSED),
        (Lock(COMPLIANCE, _SOON_MS), Lock(), Verdict.REFUSED),
    ],
)
def test_retention_changes_as_its_mode_has_it(old: Lock, new: Lock, verdict: Verdict) -> None:
    assert verdict_on_change(old, new, NOW_MS) is verdict

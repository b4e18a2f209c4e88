"""Lifecycle configurations: what they may say, and what answers announce."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from s3al.s3.lifecycle.rules import Rule, Subject, end_of_days, expiration_member
from s3al.s3.object_lock.rules import DAY_MS
from unit.s3.world import NOW_MS, STRANGER, World, refused, root_of

_MIDNIGHT = datetime(2030, 1, 1, tzinfo=UTC)
_RULE: dict[str, Any] = {"ID": "one", "Status": "Enabled", "Filter": {}, "Expiration": {"Days": 1}}
_NAMED = {"Bucket": "bucket", "Key": "logs/key"}


def _put(world: World, *rules: dict[str, Any], **params: Any) -> None:
    world.call(
        "PutBucketLifecycleConfiguration", Bucket="bucket", LifecycleConfiguration={"Rules": list(rules)}, **params
    )


def test_configuration_is_shown_as_it_was_given(world: World) -> None:
    world.bucket()
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}]
    rules = [
        {**_RULE, "Filter": {"And": {"Prefix": "p", "Tags": tags, "ObjectSizeGreaterThan": 1}}},
        {"ID": "two", "Status": "Disabled", "Prefix": "", "Expiration": {"Date": _MIDNIGHT}},
        {"ID": "three", "Status": "Enabled", "Filter": {"Prefix": "x"}, "NoncurrentVersionExpiration": _noncurrent(3)},
        {"ID": "four", "Status": "Enabled", "Filter": {}, "Expiration": {"ExpiredObjectDeleteMarker": True}},
        {"ID": "five", "Status": "Enabled", "Filter": {}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7}},
    ]
    before = world.stamp()
    _put(world, *rules)
    assert world.stamp() > before
    shown = world.output("GetBucketLifecycleConfiguration", Bucket="bucket")
    assert shown == {"Rules": rules, "TransitionDefaultMinimumObjectSize": "all_storage_classes_128K"}
    world.call("DeleteBucketLifecycle", Bucket="bucket")
    with refused("NoSuchLifecycleConfiguration"):
        world.call("GetBucketLifecycleConfiguration", Bucket="bucket")


def _noncurrent(days: int, **more: int) -> dict[str, int]:
    return {"NoncurrentDays": days, **more}


def test_rule_without_a_name_is_given_one(world: World) -> None:
    world.bucket()
    _put(world, {name: value for name, value in _RULE.items() if name != "ID"})
    [rule] = world.output("GetBucketLifecycleConfiguration", Bucket="bucket")["Rules"]
    assert rule["ID"]


_NO_ACTION = {"ID": "one", "Status": "Enabled", "Filter": {}}
_TAG = {"Key": "a", "Value": "1"}


@pytest.mark.parametrize(
    ("rules", "code"),
    [
        ([], "MalformedXML"),
        ([_RULE] * 1001, "MalformedXML"),
        ([_RULE, _RULE], "InvalidArgument"),
        ([{**_RULE, "ID": "a" * 256}], "InvalidArgument"),
        ([{**_RULE, "Status": "enabled"}], "MalformedXML"),
        ([{**_RULE, "Prefix": ""}], "MalformedXML"),
        ([{"ID": "one", "Status": "Enabled", "Expiration": {"Days": 1}}], "MalformedXML"),
        ([{**_RULE, "Filter": {"Prefix": "a", "Tag": _TAG}}], "MalformedXML"),
        ([{**_RULE, "Filter": {"And": {"Prefix": "a"}}}], "MalformedXML"),
        ([{**_RULE, "Filter": {"And": {"Tags": [_TAG, _TAG]}}}], "InvalidTag"),
        ([{**_RULE, "Filter": {"ObjectSizeGreaterThan": -1}}], "InvalidArgument"),
        ([{**_RULE, "Filter": {"And": {"ObjectSizeGreaterThan": 5, "ObjectSizeLessThan": 5}}}], "InvalidRequest"),
        ([_NO_ACTION], "InvalidRequest"),
        ([{**_RULE, "Expiration": {}}], "MalformedXML"),
        ([{**_RULE, "Expiration": {"Days": 1, "Date": _MIDNIGHT}}], "MalformedXML"),
        ([{**_RULE, "Expiration": {"Days": 1, "ExpiredObjectDeleteMarker": True}}], "MalformedXML"),
        ([{**_RULE, "Expiration": {"Days": 0}}], "InvalidArgument"),
        ([{**_RULE, "Expiration": {"Date": _MIDNIGHT + timedelta(hours=1)}}], "InvalidArgument"),
        ([{**_RULE, "Filter": {"Tag": _TAG}, "Expiration": {"ExpiredObjectDeleteMarker": True}}], "InvalidRequest"),
        ([{**_NO_ACTION, "NoncurrentVersionExpiration": {}}], "MalformedXML"),
        ([{**_NO_ACTION, "NoncurrentVersionExpiration": _noncurrent(0)}], "InvalidArgument"),
        (
            [{**_NO_ACTION, "NoncurrentVersionExpiration": _noncurrent(1, NewerNoncurrentVersions=101)}],
            "InvalidArgument",
        ),
        ([{**_NO_ACTION, "AbortIncompleteMultipartUpload": {}}], "MalformedXML"),
        ([{**_NO_ACTION, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 0}}], "InvalidArgument"),
        (
            [{**_RULE, "Filter": {"Tag": _TAG}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}],
            "InvalidRequest",
        ),
        (
            [
                {
                    **_RULE,
                    "Filter": {"ObjectSizeLessThan": 1},
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
                }
            ],
            "InvalidRequest",
        ),
        ([{**_RULE, "Transitions": [{"Date": _MIDNIGHT + timedelta(hours=1)}]}], "InvalidArgument"),
        ([{**_RULE, "Transitions": [{"Days": 1, "StorageClass": "GLACIER"}]}], "NotImplemented"),
        (
            [{**_RULE, "NoncurrentVersionTransitions": [{"NoncurrentDays": 1, "StorageClass": "GLACIER"}]}],
            "NotImplemented",
        ),
    ],
)
def test_other_configurations_are_refused_and_change_nothing(
    world: World, rules: list[dict[str, Any]], code: str
) -> None:
    world.bucket()
    _put(world, _RULE)
    before = world.stamp()
    with refused(code):
        _put(world, *rules)
    assert world.stamp() == before


def test_configuration_is_its_owners(world: World) -> None:
    world.bucket()
    for operation in ("GetBucketLifecycleConfiguration", "DeleteBucketLifecycle"):
        with refused("AccessDenied"):
            world.call(operation, as_=root_of(STRANGER), Bucket="bucket")
    with refused("AccessDenied"):
        _put(world, _RULE, as_=root_of(STRANGER))


_AT = (NOW_MS // DAY_MS + 2) * DAY_MS
_SAID = f'expiry-date="{datetime.fromtimestamp(_AT / 1000, UTC):%a, %d %b %Y %H:%M:%S GMT}", rule-id="one"'


def test_answers_about_the_current_version_announce_its_end(world: World) -> None:
    world.bucket()
    world.call("PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    _put(world, {**_RULE, "Filter": {"Prefix": "logs/"}})
    first = world.output("PutObject", body=b"x", **_NAMED)
    assert first["Expiration"] == _SAID
    assert world.output("GetObject", **_NAMED)["Expiration"] == _SAID
    copy = {"CopySource": "bucket/logs/key", "Bucket": "bucket", "Key": "logs/copy"}
    assert world.output("CopyObject", **copy)["Expiration"] == _SAID
    upload = {**_NAMED, "UploadId": world.output("CreateMultipartUpload", **_NAMED)["UploadId"]}
    part = world.output("UploadPart", body=b"x", PartNumber=1, **upload)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    assert world.output("CompleteMultipartUpload", MultipartUpload=parts, **upload)["Expiration"] == _SAID
    assert world.output("HeadObject", **_NAMED)["Expiration"] == _SAID
    assert "Expiration" not in world.output("HeadObject", VersionId=first["VersionId"], **_NAMED)
    assert "Expiration" not in world.output("PutObject", body=b"x", Bucket="bucket", Key="elsewhere")


def test_announcement_follows_tags_and_size(world: World) -> None:
    world.bucket()
    _put(world, {**_RULE, "Filter": {"And": {"Tags": [_TAG], "ObjectSizeLessThan": 2}}})
    assert "Expiration" in world.output("PutObject", body=b"x", Tagging="a=1&b=2", **_NAMED)
    assert "Expiration" in world.output("HeadObject", **_NAMED)
    world.call("DeleteObjectTagging", **_NAMED)
    assert "Expiration" not in world.output("HeadObject", **_NAMED)
    assert "Expiration" not in world.output("PutObject", body=b"xx", Tagging="a=1", **_NAMED)


def test_new_upload_announces_when_it_will_be_aborted(world: World) -> None:
    world.bucket()
    abort = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}}
    _put(world, {**_NO_ACTION, "ID": "a b", **abort}, {**_NO_ACTION, "Filter": {"Prefix": "x"}, **abort})
    begun = world.output("CreateMultipartUpload", **_NAMED)
    assert (begun["AbortDate"], begun["AbortRuleId"]) == (datetime.fromtimestamp(_AT / 1000, UTC), "a%20b")


def test_days_end_at_the_midnight_after_them() -> None:
    assert end_of_days(0, 1) == end_of_days(DAY_MS - 1, 1) == 2 * DAY_MS


def test_days_beyond_all_dates_end_with_them(world: World) -> None:
    world.bucket()
    most = 2**31 - 1
    abort = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": most}}
    _put(world, {**_RULE, "Expiration": {"Days": most}, **abort})
    assert "31 Dec 9999" in world.output("PutObject", body=b"x", **_NAMED)["Expiration"]
    assert "31 Dec 9999" in world.output("HeadObject", **_NAMED)["Expiration"]
    assert world.output("CreateMultipartUpload", **_NAMED)["AbortDate"].year == 9999


def test_earliest_rule_speaks() -> None:
    rules = [{**_RULE, "ID": "late", "Expiration": {"Days": 3}}, _RULE, {**_RULE, "ID": "off", "Status": "Disabled"}]
    assert 'rule-id="one"' in expiration_member({"Rules": rules}, Subject("key"), NOW_MS)["Expiration"]
    assert expiration_member(None, Subject("key"), NOW_MS) == {}


@pytest.mark.parametrize(
    ("subject", "matches"),
    [
        (Subject("logs/a", 6, {"a": "1", "b": "2"}), True),
        (Subject("log", 6, {"a": "1"}), False),
        (Subject("logs/a", 5, {"a": "1"}), False),
        (Subject("logs/a", 10, {"a": "1"}), False),
        (Subject("logs/a", 6, {"a": "2"}), False),
        (Subject("logs/a"), False),  # a delete marker
    ],
)
def test_filter_asks_for_all_it_names(subject: Subject, matches: bool) -> None:
    rule = Rule("one", prefix="logs/", tags={"a": "1"}, larger_than=5, smaller_than=10)
    assert rule.matches(subject) is matches

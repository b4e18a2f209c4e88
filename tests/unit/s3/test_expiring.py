"""Lifecycle rules are carried out: what goes, what stays, and that a visit can be cut off and shared."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import md5
from typing import Any

import pytest

from s3al.s3.lifecycle import expiring
from s3al.s3.object_lock.rules import DAY_MS
from s3al.store import catalog
from unit.s3.world import NOW_MS, World

_ENABLED = {"ID": "one", "Status": "Enabled", "Filter": {}}


def rule(world: World, **members: Any) -> None:
    document = {"Rules": [{**_ENABLED, **members}]}
    world.call("PutBucketLifecycleConfiguration", Bucket="bucket", LifecycleConfiguration=document)


def versioned(world: World, status: str = "Enabled") -> None:
    world.call("PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": status})


def set_days(world: World, days: int) -> None:
    """The server's clock, in days after the objects were put."""
    world.s3 = replace(world.s3, now_ms=lambda: NOW_MS + days * DAY_MS)


def visit(world: World, days: int = 0) -> int:
    """A whole visit. Returns how many steps it took."""
    set_days(world, days)
    steps = 0
    while expiring.step(world.s3):
        steps += 1
        assert steps < 1000
    return steps


def put(world: World, object_key: str = "key", body: bytes = b"x", **params: Any) -> str | None:
    return world.output("PutObject", Bucket="bucket", Key=object_key, body=body, **params).get("VersionId")


def keys(world: World) -> list[str]:
    return [entry["Key"] for entry in world.output("ListObjectsV2", Bucket="bucket").get("Contents", [])]


def versions(world: World, kind: str = "Versions") -> list[str]:
    return [entry["VersionId"] for entry in world.output("ListObjectVersions", Bucket="bucket").get(kind, [])]


def test_object_goes_at_the_midnight_after_its_days(world: World) -> None:
    world.bucket()
    rule(world, Filter={"Prefix": "logs/"}, Expiration={"Days": 2})
    put(world, "logs/a")
    put(world, "other")
    visit(world, 2)
    assert keys(world) == ["logs/a", "other"]
    visit(world, 3)
    assert keys(world) == ["other"]
    assert world.rows(lambda rows: rows.one("SELECT count(*) FROM streams"))[0] == 1


@pytest.mark.parametrize(
    ("filter_", "left"),
    [
        ({"Tag": {"Key": "a", "Value": "1"}}, ["big", "small"]),
        ({"ObjectSizeGreaterThan": 1}, ["small", "tagged"]),
        ({"ObjectSizeLessThan": 2}, ["big"]),
        ({"And": {"Prefix": "t", "Tags": [{"Key": "a", "Value": "1"}], "ObjectSizeLessThan": 2}}, ["big", "small"]),
        ({"And": {"Prefix": "s", "ObjectSizeGreaterThan": 1}}, ["big", "small", "tagged"]),
    ],
)
def test_filters_choose(world: World, filter_: dict[str, Any], left: list[str]) -> None:
    world.bucket()
    rule(world, Filter=filter_, Expiration={"Days": 1})
    put(world, "tagged", Tagging="a=1")
    put(world, "small")
    put(world, "big", b"xx")
    visit(world, 5)
    assert keys(world) == left


def test_date_that_has_come_takes_what_is_there_and_what_comes(world: World) -> None:
    world.bucket()
    date = datetime.fromtimestamp((NOW_MS // DAY_MS + 1) * DAY_MS / 1000, UTC)
    rule(world, Expiration={"Date": date})
    put(world)
    visit(world)
    assert keys(world) == ["key"]
    visit(world, 1)
    assert keys(world) == []


def test_disabled_rule_does_nothing(world: World) -> None:
    world.bucket()
    rule(world, Status="Disabled", Expiration={"Days": 1})
    put(world)
    visit(world, 9)
    assert keys(world) == ["key"]


def test_expired_current_version_is_kept_behind_a_delete_marker(world: World) -> None:
    world.bucket()
    versioned(world)
    rule(world, Expiration={"Days": 1})
    version_id = put(world)
    visit(world, 2)
    assert (keys(world), versions(world)) == ([], [version_id])
    assert len(versions(world, "DeleteMarkers")) == 1
    visit(world, 9)
    assert len(versions(world, "DeleteMarkers")) == 1  # not lone: the version is still there


def test_suspended_versioning_gives_the_null_version_for_a_null_marker(world: World) -> None:
    world.bucket()
    versioned(world)
    kept = put(world)
    versioned(world, "Suspended")
    rule(world, Expiration={"Days": 1})
    put(world)
    visit(world, 2)
    assert (versions(world), versions(world, "DeleteMarkers")) == ([kept], ["null"])


@pytest.mark.parametrize(("newer", "left"), [(None, 1), (1, 2), (2, 3), (9, 4)])
def test_noncurrent_versions_go_after_their_days_but_for_the_newest_of_them(
    world: World, newer: int | None, left: int
) -> None:
    world.bucket()
    versioned(world)
    more = {} if newer is None else {"NewerNoncurrentVersions": newer}
    rule(world, NoncurrentVersionExpiration={"NoncurrentDays": 2, **more})
    put_ids = [put(world) for _ in range(4)]
    visit(world, 2)
    assert len(versions(world)) == 4
    visit(world, 3)
    assert versions(world) == put_ids[::-1][:left]


def test_time_of_a_noncurrent_version_begins_with_its_successor(world: World) -> None:
    world.bucket()
    versioned(world)
    rule(world, NoncurrentVersionExpiration={"NoncurrentDays": 1})
    put(world)
    set_days(world, 5)
    current = put(world)
    visit(world, 6)
    assert len(versions(world)) == 2
    visit(world, 7)
    assert versions(world) == [current]


@pytest.mark.parametrize("expiration", [{"ExpiredObjectDeleteMarker": True}, {"Days": 1}])
def test_lone_delete_markers_go(world: World, expiration: dict[str, Any]) -> None:
    world.bucket()
    versioned(world)
    rule(world, Expiration=expiration)
    world.call("DeleteObject", Bucket="bucket", Key="lone")
    put(world, "kept")
    world.call("DeleteObject", Bucket="bucket", Key="kept")
    visit(world, 2)
    assert len(versions(world, "DeleteMarkers")) == 1
    assert len(versions(world)) == 1


def test_marker_has_neither_tags_nor_size(world: World) -> None:
    world.bucket()
    versioned(world)
    rule(world, Filter={"ObjectSizeLessThan": 100}, Expiration={"Days": 1})
    world.call("DeleteObject", Bucket="bucket", Key="lone")
    visit(world, 9)
    assert len(versions(world, "DeleteMarkers")) == 1


def test_locked_versions_stay_until_their_time(world: World) -> None:
    world.bucket(ObjectLockEnabledForBucket=True)
    rule(world, Expiration={"Days": 1}, NoncurrentVersionExpiration={"NoncurrentDays": 1})
    default = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 30}}}
    version_id = put(world)
    world.call("PutObjectLegalHold", Bucket="bucket", Key="key", LegalHold={"Status": "ON"})
    world.call("PutObjectLockConfiguration", Bucket="bucket", ObjectLockConfiguration=default)
    headers = {"content-md5": b64encode(md5(b"x").digest()).decode()}
    retained = put(world, "retained", headers=headers)
    visit(world, 2)
    visit(world, 9)
    assert (keys(world), sorted(versions(world))) == ([], sorted([version_id, retained]))
    visit(world, 40)
    assert versions(world) == [version_id]


def test_unfinished_uploads_are_aborted(world: World) -> None:
    world.bucket()
    rule(world, Filter={"Prefix": "a"}, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})
    upload = world.output("CreateMultipartUpload", Bucket="bucket", Key="a")["UploadId"]
    world.call("UploadPart", Bucket="bucket", Key="a", UploadId=upload, PartNumber=1, body=b"x")
    world.call("CreateMultipartUpload", Bucket="bucket", Key="b")
    visit(world, 1)
    assert len(world.output("ListMultipartUploads", Bucket="bucket")["Uploads"]) == 2
    visit(world, 2)
    assert [found["Key"] for found in world.output("ListMultipartUploads", Bucket="bucket")["Uploads"]] == ["b"]
    assert world.rows(lambda rows: rows.one("SELECT count(*) FROM streams"))[0] == 0


def test_every_bucket_with_rules_is_visited_once_a_day(world: World) -> None:
    for name in ("other", "bucket", "third"):
        world.bucket(name)
        world.call("PutObject", Bucket=name, Key="key", body=b"x")
    document = {"Rules": [{**_ENABLED, "Expiration": {"Days": 1}}]}
    for name in ("bucket", "third"):
        world.call("PutBucketLifecycleConfiguration", Bucket=name, LifecycleConfiguration=document)
    assert visit(world, 2) > 0
    assert visit(world, 2) == 0
    left = [name for name in ("other", "bucket", "third") if world.output("ListObjectsV2", Bucket=name).get("Contents")]
    assert left == ["other"]
    put(world)
    world.call("PutBucketLifecycleConfiguration", Bucket="bucket", LifecycleConfiguration=document)
    assert visit(world, 2) > 0  # a new configuration is looked at at once


def test_long_visit_goes_in_steps_and_on_after_a_break(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiring, "_LOOKED_AT", 3)
    monkeypatch.setattr(expiring, "_ACTED_ON", 2)
    world.bucket()
    versioned(world)
    rule(world, Expiration={"Days": 1}, NoncurrentVersionExpiration={"NoncurrentDays": 1})
    for _ in range(7):
        put(world, "many")
    for number in range(7):
        put(world, f"{number}")
    for _ in range(5):
        world.call("CreateMultipartUpload", Bucket="bucket", Key="u")
    set_days(world, 2)
    for _ in range(3):
        assert expiring.step(world.s3)
    assert visit(world, 2) > 5
    assert keys(world) == []
    assert len(versions(world)) == 8  # the current ones, behind their markers
    assert len(versions(world, "DeleteMarkers")) == 8
    visit(world, 4)
    assert versions(world) == []


def test_a_key_with_more_versions_than_a_step_looks_at_is_seen_in_parts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expiring, "_LOOKED_AT", 3)
    monkeypatch.setattr(expiring, "_ACTED_ON", 2)
    world.bucket()
    versioned(world)
    kept = [put(world, "key", Tagging="keep=1") for _ in range(4)]
    gone = [put(world, "key") for _ in range(7)]
    newest = [put(world, "key") for _ in range(3)]
    for name in ("a", "z"):
        put(world, name)
    rule(
        world,
        Filter={"And": {"Prefix": "key", "ObjectSizeLessThan": 2}},
        NoncurrentVersionExpiration={"NoncurrentDays": 1, "NewerNoncurrentVersions": 2},
    )
    looked_at: list[int] = []
    of_key = catalog.oldest_versions
    monkeypatch.setattr(
        catalog, "oldest_versions", lambda *args, **more: looked_at.append(more["limit"]) or of_key(*args, **more)
    )
    monkeypatch.setattr(expiring, "_is_locked", lambda _rows, _s3, _ruled, version: version.version_id in kept)
    visit(world, 2)
    shown = world.output("ListObjectVersions", Bucket="bucket", Prefix="key")["Versions"]
    left = [entry["VersionId"] for entry in shown]
    assert left == [*reversed(newest), *reversed(kept)]
    assert set(looked_at) == {3}
    assert not set(gone) & set(left)
    assert keys(world) == ["a", "key", "z"]


def test_many_uploads_are_aborted_in_steps(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiring, "_ACTED_ON", 2)
    world.bucket()
    rule(world, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})
    for number in range(5):
        world.call("CreateMultipartUpload", Bucket="bucket", Key=f"{number}")
    visit(world, 2)
    assert world.output("ListMultipartUploads", Bucket="bucket").get("Uploads", []) == []


def test_what_was_found_is_judged_again_when_it_is_acted_on(world: World) -> None:
    world.bucket()
    rule(world, Expiration={"Days": 1})
    put(world)
    set_days(world, 2)
    assert expiring.step(world.s3)  # the day begins
    found = world.rows(lambda rows: expiring._look(rows, world.s3))
    assert found.keys == [b"key"]
    put(world)  # by a clock that is two days later: young
    assert world.change(lambda rows: expiring._act(rows, world.s3, found))
    assert keys(world) == ["key"]
    assert not world.change(lambda rows: expiring._act(rows, world.s3, found))  # another worker was there before


def test_damaged_record_stops_nothing(world: World) -> None:
    world.bucket()
    rule(world, Filter={"ObjectSizeLessThan": 9}, Expiration={"Days": 1})
    put(world, "a")
    put(world, "b")
    damage = "UPDATE versions SET public_record = substr(public_record, 1, 40) WHERE object_key = ?"
    world.change(lambda rows: rows.run(damage, (b"a",)))
    visit(world, 2)
    left = world.rows(lambda rows: catalog.aged_versions(rows, world.bucket_id("bucket"), after=b"", limit=9))
    assert [version.object_key for version in left] == [b"a"]

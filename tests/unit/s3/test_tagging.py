"""Tags of buckets and objects."""

from __future__ import annotations

import json
from typing import Any

import pytest

from s3al.errors import IntegrityError
from s3al.s3.limits import BUCKET_TAGS_MAX, OBJECT_TAGS_MAX
from s3al.s3.tag_set import parse_tagging_header
from s3al.store import catalog
from unit.s3.world import STRANGER, World, refused, root_of


def tagging(*tags: tuple[str, str]) -> dict[str, Any]:
    return {"TagSet": [{"Key": name, "Value": value} for name, value in tags]}


def numbered(count: int) -> dict[str, Any]:
    return tagging(*[(f"name{number}", "value") for number in range(count)])


@pytest.fixture
def stored(world: World) -> World:
    world.bucket()
    world.put("bucket", "key")
    return world


def test_bucket_tags_come_back_in_order_and_are_replaced_as_a_whole(world: World) -> None:
    world.bucket()
    world.call("PutBucketTagging", Bucket="bucket", Tagging=tagging(("z", "1"), ("a", "2"), ("ü", "")))
    assert world.output("GetBucketTagging", Bucket="bucket") == tagging(("z", "1"), ("a", "2"), ("ü", ""))
    world.call("PutBucketTagging", Bucket="bucket", Tagging=tagging(("new", "3")))
    assert world.output("GetBucketTagging", Bucket="bucket") == tagging(("new", "3"))


def test_object_tags_come_back_and_are_deleted(stored: World) -> None:
    assert stored.output("GetObjectTagging", Bucket="bucket", Key="key") == {"TagSet": []}
    stored.call("PutObjectTagging", Bucket="bucket", Key="key", Tagging=tagging(("a", "1"), ("b", "")))
    assert stored.output("GetObjectTagging", Bucket="bucket", Key="key") == tagging(("a", "1"), ("b", ""))
    stored.call("DeleteObjectTagging", Bucket="bucket", Key="key")
    assert stored.output("GetObjectTagging", Bucket="bucket", Key="key") == {"TagSet": []}


def test_putting_no_tags_removes_them(stored: World) -> None:
    stored.call("PutObjectTagging", Bucket="bucket", Key="key", Tagging=tagging(("a", "1")))
    stored.call("PutObjectTagging", Bucket="bucket", Key="key", Tagging=tagging())
    assert stored.output("GetObjectTagging", Bucket="bucket", Key="key") == {"TagSet": []}


@pytest.mark.parametrize(
    ("operation", "most"), [("PutBucketTagging", BUCKET_TAGS_MAX), ("PutObjectTagging", OBJECT_TAGS_MAX)]
)
def test_most_tags_are_taken_and_one_more_refused(stored: World, operation: str, most: int) -> None:
    where = {"Bucket": "bucket"} | ({"Key": "key"} if "Object" in operation else {})
    stored.call(operation, **where, Tagging=numbered(most))
    with refused("BadRequest"):
        stored.call(operation, **where, Tagging=numbered(most + 1))
    assert len(stored.output(operation.replace("Put", "Get"), **where)["TagSet"]) == most


@pytest.mark.parametrize(
    "tags",
    [
        [("", "value")],
        [("k" * 129, "value")],
        [("key", "v" * 257)],
        [("key", "one"), ("key", "two")],
        [("aws:system", "value")],
        [("AWS:system", "value")],
        [("a&b", "value")],
        [("key", "a\nb?")],
    ],
)
@pytest.mark.parametrize("operation", ["PutBucketTagging", "PutObjectTagging"])
def test_tag_against_the_rules_is_invalid_and_the_old_ones_stay(stored: World, operation: str, tags: Any) -> None:
    where = {"Bucket": "bucket"} | ({"Key": "key"} if "Object" in operation else {})
    stored.call(operation, **where, Tagging=tagging(("old", "tag")))
    with refused("InvalidTag"):
        stored.call(operation, **where, Tagging=tagging(*tags))
    assert stored.output(operation.replace("Put", "Get"), **where)["TagSet"] == tagging(("old", "tag"))["TagSet"]


def test_longest_tag_is_taken(stored: World) -> None:
    longest = tagging(("k" * 128, "v" * 256))
    stored.call("PutObjectTagging", Bucket="bucket", Key="key", Tagging=longest)
    assert stored.output("GetObjectTagging", Bucket="bucket", Key="key") == longest


@pytest.mark.parametrize("operation", ["GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging"])
def test_tags_of_what_is_not_there_are_refused(stored: World, operation: str) -> None:
    stored.put("bucket", "gone", version_id="marker", marker=True)
    body = {"Tagging": tagging(("a", "1"))} if operation == "PutObjectTagging" else {}
    for params, code in (
        ({"Key": "missing"}, "NoSuchKey"),
        ({"Key": "key", "VersionId": "other"}, "NoSuchVersion"),
        ({"Key": "gone"}, "NoSuchKey"),
        ({"Key": "gone", "VersionId": "marker"}, "MethodNotAllowed"),
    ):
        with refused(code):
            stored.call(operation, Bucket="bucket", **params, **body)


def test_tags_hang_on_one_version(world: World) -> None:
    world.bucket()
    world.call("PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    for version_id in ("one", "two"):
        world.put("bucket", "key", version_id=version_id)
    put = world.output("PutObjectTagging", Bucket="bucket", Key="key", VersionId="one", Tagging=tagging(("v", "1")))
    assert put == {"VersionId": "one"}
    assert world.output("PutObjectTagging", Bucket="bucket", Key="key", Tagging=tagging(("v", "2"))) == {
        "VersionId": "two"
    }
    for version_id, value in (("one", "1"), ("two", "2")):
        shown = world.output("GetObjectTagging", Bucket="bucket", Key="key", VersionId=version_id)
        assert shown == tagging(("v", value)) | {"VersionId": version_id}


def test_tags_are_sealed_and_bound_to_their_object(stored: World) -> None:
    stored.put("bucket", "other")
    for object_key in ("key", "other"):
        stored.call("PutObjectTagging", Bucket="bucket", Key=object_key, Tagging=tagging(("secret", object_key)))
    bucket_id = stored.bucket_id("bucket")
    row = stored.rows(lambda rows: catalog.current_version(rows, bucket_id, b"key"))
    other = stored.rows(lambda rows: catalog.current_version(rows, bucket_id, b"other"))
    assert b"secret" not in row.tag_record
    stored.change(lambda rows: catalog.put_tag_record(rows, row, other.tag_record))
    with pytest.raises(IntegrityError):
        stored.call("GetObjectTagging", Bucket="bucket", Key="key")


def test_present_tags_are_a_condition_of_changing_them(stored: World) -> None:
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": STRANGER},
                "Action": ["s3:GetObjectTagging", "s3:PutObjectTagging"],
                "Resource": "arn:aws:s3:::bucket/*",
                "Condition": {"StringEquals": {"s3:ExistingObjectTag/team": "blue"}},
            }
        ],
    }
    stored.call("PutBucketPolicy", Bucket="bucket", Policy=json.dumps(policy))
    stranger = root_of(STRANGER)
    with refused("AccessDenied"):
        stored.call("GetObjectTagging", as_=stranger, Bucket="bucket", Key="key")
    stored.call("PutObjectTagging", Bucket="bucket", Key="key", Tagging=tagging(("team", "blue")))
    stored.call("GetObjectTagging", as_=stranger, Bucket="bucket", Key="key")
    stored.call("PutObjectTagging", as_=stranger, Bucket="bucket", Key="key", Tagging=tagging(("team", "red")))
    with refused("AccessDenied"):
        stored.call("GetObjectTagging", as_=stranger, Bucket="bucket", Key="key")


@pytest.mark.parametrize(
    ("header", "tags"),
    [("a=b&c=d", {"a": "b", "c": "d"}), ("foo=bar&bar", {"foo": "bar", "bar": ""}), ("a=", {"a": ""}), ("", {})],
)
def test_tagging_header_takes_a_bare_name_as_an_empty_value(header: str, tags: dict[str, str]) -> None:
    assert parse_tagging_header(header) == tags


@pytest.mark.parametrize(
    ("header", "code"), [("a=1&a=2", "InvalidArgument"), ("=b", "InvalidTag"), ("a=%FF", "InvalidArgument")]
)
def test_tagging_header_with_a_twice_named_or_nameless_tag_is_refused(header: str, code: str) -> None:
    with refused(code):
        parse_tagging_header(header)

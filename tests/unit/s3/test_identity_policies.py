"""Bucket policy and identity policies together: what users and sessions may do in S3."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from s3al.auth.principal import Principal
from s3al.store import identities
from s3al.store.identities import UserRow
from support.people import allow, deny, document, give
from unit.s3.world import NOW_MS, OWNER, STRANGER, World, canonical_id, refused, user_of

BUCKET, KEYS = "arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"


@pytest.fixture
def ann(world: World) -> Principal:
    return person(world, OWNER)


@pytest.fixture
def eve(world: World) -> Principal:
    return person(world, STRANGER)


def person(world: World, account_id: str) -> Principal:
    made = replace(user_of(account_id), canonical_id=canonical_id(account_id))
    row = UserRow(made.arn, made.user_id + account_id, account_id, "ann", "/", NOW_MS)
    world.change(lambda rows: identities.put_identity(rows, row))
    return made


def let(world: World, who: Principal, *statements: dict[str, Any]) -> None:
    world.change(lambda rows: give(rows, who.arn, *statements))


def bucket_policy(world: World, *statements: dict[str, Any]) -> None:
    world.call("PutBucketPolicy", Bucket="bucket", Policy=document(*statements))


def test_a_user_has_what_a_policy_of_his_gives(world: World, ann: Principal) -> None:
    world.bucket()
    with refused("AccessDenied") as told:
        world.call("HeadBucket", Bucket="bucket", as_=ann)
    assert told[0].message == (
        f'User: {ann.arn} is not authorized to perform: s3:ListBucket on resource: "{BUCKET}" '
        "because no identity-based policy allows the s3:ListBucket action"
    )
    let(world, ann, allow("s3:ListBucket", BUCKET))
    world.call("HeadBucket", Bucket="bucket", as_=ann)
    with refused("AccessDenied"):
        world.call("GetBucketTagging", Bucket="bucket", as_=ann)


@pytest.mark.parametrize("resource", ["*", "arn:aws:s3:::*"])
def test_listing_buckets_is_on_all_of_them(world: World, ann: Principal, resource: str) -> None:
    world.bucket()
    with refused("AccessDenied") as told:
        world.call("ListBuckets", as_=ann)
    assert told[0].message == (
        f"User: {ann.arn} is not authorized to perform: s3:ListAllMyBuckets "
        "because no identity-based policy allows the s3:ListAllMyBuckets action"
    )
    let(world, ann, allow("s3:ListAllMyBuckets", "arn:aws:s3:::bucket"))
    with refused("AccessDenied"):
        world.call("ListBuckets", as_=ann)
    let(world, ann, allow("s3:ListAllMyBuckets", resource))
    assert len(world.output("ListBuckets", as_=ann)["Buckets"]) == 1


def test_a_bucket_is_made_by_whom_a_policy_lets_make_one_of_this_name(world: World, ann: Principal) -> None:
    let(world, ann, allow("s3:CreateBucket", "arn:aws:s3:::team-*"))
    world.call("CreateBucket", Bucket="team-a", as_=ann)
    with refused("AccessDenied") as told:
        world.call("CreateBucket", Bucket="other", as_=ann)
    assert '"arn:aws:s3:::other"' in (told[0].message or "")
    with refused("AccessDenied"):
        world.call("CreateBucket", Bucket="team-b", ObjectOwnership="BucketOwnerEnforced", as_=ann)


@pytest.mark.parametrize(
    ("of_bucket", "of_user", "allowed"),
    [
        ([], [], False),
        ([allow("s3:ListBucket", BUCKET)], [], True),
        ([], [allow("s3:*")], True),
        ([allow("s3:ListBucket", BUCKET)], [deny("s3:ListBucket")], False),
        ([deny("s3:ListBucket", BUCKET)], [allow("s3:*")], False),
        ([], [allow("s3:*", Condition={"StringEquals": {"aws:username": "ann"}})], True),
        ([], [allow("s3:*", Condition={"StringEquals": {"s3:ResourceAccount": STRANGER}})], False),
        ([], [allow("s3:ListBucket", "arn:aws:s3:::${aws:username}*")], False),
    ],
)
def test_within_the_account_either_side_allows_and_any_denies(
    world: World, ann: Principal, of_bucket: Any, of_user: Any, allowed: bool
) -> None:
    world.bucket()
    if of_bucket:
        bucket_policy(world, *({**one, "Principal": {"AWS": ann.arn}} for one in of_bucket))
    if of_user:
        let(world, ann, *of_user)
    if allowed:
        world.call("HeadBucket", Bucket="bucket", as_=ann)
        return
    with refused("AccessDenied"):
        world.call("HeadBucket", Bucket="bucket", as_=ann)


@pytest.mark.parametrize(
    ("named", "of_user", "allowed"),
    [
        (None, True, False),
        ("user", False, False),
        ("account", False, False),
        ("user", True, True),
        ("account", True, True),
    ],
)
def test_across_accounts_both_sides_must_allow_and_no_reason_is_told(
    world: World, eve: Principal, named: str | None, of_user: bool, allowed: bool
) -> None:
    world.bucket()
    if named:
        whom = {"user": eve.arn, "account": STRANGER}[named]
        bucket_policy(world, allow("s3:ListBucket", BUCKET) | {"Principal": {"AWS": whom}})
    if of_user:
        let(world, eve, allow("s3:*"))
    if allowed:
        world.call("HeadBucket", Bucket="bucket", as_=eve)
        return
    with refused("AccessDenied") as told:
        world.call("HeadBucket", Bucket="bucket", as_=eve)
    assert told[0].message is None


def test_tags_of_stored_objects_count_in_identity_policies(world: World, ann: Principal) -> None:
    world.bucket()
    world.put("bucket", "open", "shut")
    for object_key, value in (("open", "public"), ("shut", "secret")):
        tags = {"TagSet": [{"Key": "class", "Value": value}]}
        world.call("PutObjectTagging", Bucket="bucket", Key=object_key, Tagging=tags)
    condition = {"StringEquals": {"s3:ExistingObjectTag/class": "public"}}
    let(world, ann, allow("s3:GetObjectTagging", KEYS, Condition=condition))
    assert world.output("GetObjectTagging", Bucket="bucket", Key="open", as_=ann)["TagSet"]
    with refused("AccessDenied"):
        world.call("GetObjectTagging", Bucket="bucket", Key="shut", as_=ann)


def test_a_right_taken_away_before_the_commit_refuses_the_write(world: World, ann: Principal) -> None:
    world.bucket()
    let(world, ann, allow("s3:*"))
    world.call("PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": "Enabled"}, as_=ann)
    let(world, ann, allow("s3:*"), deny("s3:PutBucketVersioning"))
    with refused("AccessDenied"):
        world.call("PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": "Suspended"}, as_=ann)


def test_deleting_many_asks_for_each(world: World, ann: Principal) -> None:
    world.bucket()
    world.put("bucket", "mine/1", "mine/2", "other")
    let(world, ann, allow("s3:DeleteObject", "arn:aws:s3:::bucket/mine/*"))
    wanted = {"Objects": [{"Key": object_key} for object_key in ("mine/1", "other", "mine/2")]}
    output = world.output("DeleteObjects", Bucket="bucket", Delete=wanted, as_=ann)
    assert [one["Key"] for one in output["Deleted"]] == ["mine/1", "mine/2"]
    assert [(one["Key"], one["Code"]) for one in output["Errors"]] == [("other", "AccessDenied")]

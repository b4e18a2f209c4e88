"""The policy of a bucket and its safeguards."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from s3al.s3.state import BucketStates
from s3al.store import catalog
from unit.s3.world import ANONYMOUS, OWNER, STRANGER, World, canonical_id, refused, root_of, user_of

_ACTIONS = ("PutBucketPolicy", "GetBucketPolicy", "DeleteBucketPolicy")


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def statement(effect: str, principal: Any, action: Any, resource: str = "arn:aws:s3:::bucket") -> dict[str, Any]:
    return {"Effect": effect, "Principal": principal, "Action": action, "Resource": resource}


PUBLIC = policy(statement("Allow", "*", "s3:GetObject", "arn:aws:s3:::bucket/*"))
PRIVATE = policy(statement("Allow", {"AWS": f"arn:aws:iam::{STRANGER}:root"}, "s3:GetObject", "arn:aws:s3:::bucket/*"))
DENY_ALL = policy(statement("Deny", "*", "s3:*"))


@pytest.fixture
def open_bucket(world: World) -> World:
    """A bucket without Block Public Access."""
    world.bucket()
    world.call("DeletePublicAccessBlock", Bucket="bucket")
    return world


def test_policy_is_kept_as_sent_until_deleted(world: World) -> None:
    world.bucket()
    text = json.dumps(json.loads(PRIVATE), indent=3) + "\n"
    before = world.stamp()
    world.call("PutBucketPolicy", Bucket="bucket", Policy=text)
    assert world.output("GetBucketPolicy", Bucket="bucket") == {"Policy": text}
    assert world.stamp() > before
    world.call("DeleteBucketPolicy", Bucket="bucket")
    for operation in ("GetBucketPolicy", "GetBucketPolicyStatus"):
        with refused("NoSuchBucketPolicy"):
            world.call(operation, Bucket="bucket")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"Version":"2012-10-17"}',
        policy(statement("Allow", "*", "s3:GetObject", "arn:aws:s3:::other/*")),
    ],
)
def test_malformed_policy_is_refused_and_the_old_one_kept(world: World, text: str) -> None:
    world.bucket()
    world.call("PutBucketPolicy", Bucket="bucket", Policy=PRIVATE)
    with refused("MalformedPolicy"):
        world.call("PutBucketPolicy", Bucket="bucket", Policy=text)
    assert world.output("GetBucketPolicy", Bucket="bucket")["Policy"] == PRIVATE


def test_policy_of_20_kib_is_taken_and_one_byte_more_refused(world: World) -> None:
    world.bucket()
    padded = PRIVATE + " " * (20 * 1024 - len(PRIVATE))
    world.call("PutBucketPolicy", Bucket="bucket", Policy=padded)
    with refused("PolicyTooLarge"):
        world.call("PutBucketPolicy", Bucket="bucket", Policy=padded + " ")
    assert world.output("GetBucketPolicy", Bucket="bucket")["Policy"] == padded


def test_policy_takes_effect_for_the_next_request(world: World) -> None:
    world.bucket()
    with refused("AccessDenied"):
        world.call("GetBucketLocation", as_=root_of(STRANGER), Bucket="bucket")
    allow = policy(statement("Allow", {"AWS": STRANGER}, "s3:GetBucketLocation"))
    world.call("PutBucketPolicy", Bucket="bucket", Policy=allow)
    world.call("GetBucketLocation", as_=root_of(STRANGER), Bucket="bucket")
    world.call("DeleteBucketPolicy", Bucket="bucket")
    with refused("AccessDenied"):
        world.call("GetBucketLocation", as_=root_of(STRANGER), Bucket="bucket")


def test_what_was_decided_without_a_policy_is_forgotten_on_every_worker(world: World) -> None:
    world.bucket()
    other = World(replace(world.s3, buckets=BucketStates()), world.runner)
    for worker in (world, other):
        worker.call("GetBucketLocation", Bucket="bucket")
    world.call("PutBucketPolicy", Bucket="bucket", Policy=DENY_ALL)
    for worker in (other, world):
        with refused("AccessDenied"):
            worker.call("GetBucketLocation", Bucket="bucket")
    other.call("DeleteBucketPolicy", Bucket="bucket")
    for worker in (world, other):
        worker.call("GetBucketLocation", Bucket="bucket")
        with refused("AccessDenied"):
            worker.call("GetBucketLocation", as_=root_of(STRANGER), Bucket="bucket")
        with refused("AccessDenied"):
            worker.call("GetBucketLocation", as_=ANONYMOUS, Bucket="bucket")


def test_owner_can_always_repair_a_policy_that_denies_everybody(world: World) -> None:
    world.bucket()
    world.call("PutBucketPolicy", Bucket="bucket", Policy=DENY_ALL)
    with refused("AccessDenied"):
        world.call("HeadBucket", Bucket="bucket")
    assert world.output("GetBucketPolicy", Bucket="bucket")["Policy"] == DENY_ALL
    world.call("PutBucketPolicy", Bucket="bucket", Policy=DENY_ALL)
    world.call("DeleteBucketPolicy", Bucket="bucket")
    world.call("HeadBucket", Bucket="bucket")


def test_only_the_root_of_the_owning_account_repairs(world: World) -> None:
    world.bucket()
    world.call("PutBucketPolicy", Bucket="bucket", Policy=DENY_ALL)
    for who in (root_of(STRANGER), user_of(OWNER)):
        for operation in _ACTIONS:
            with refused("AccessDenied"):
                world.call(operation, as_=who, Bucket="bucket", Policy=PRIVATE)
    assert world.output("GetBucketPolicy", Bucket="bucket")["Policy"] == DENY_ALL


def test_repairing_owner_must_still_be_the_expected_one(world: World) -> None:
    world.bucket()
    with refused("AccessDenied"):
        world.call("DeleteBucketPolicy", Bucket="bucket", ExpectedBucketOwner=STRANGER)


def test_other_account_allowed_by_the_policy_may_not_touch_it(world: World) -> None:
    world.bucket()
    text = policy(statement("Allow", {"AWS": STRANGER}, [f"s3:{name}" for name in _ACTIONS]))
    world.call("PutBucketPolicy", Bucket="bucket", Policy=text)
    for operation in _ACTIONS:
        with refused("MethodNotAllowed"):
            world.call(operation, as_=root_of(STRANGER), Bucket="bucket", Policy=PRIVATE)
    assert world.output("GetBucketPolicy", Bucket="bucket")["Policy"] == text


def test_user_does_not_lock_itself_out_unless_it_confirms(world: World) -> None:
    world.bucket()
    ann = world.know(user_of(OWNER))
    allow = statement("Allow", {"AWS": ann.arn}, "s3:PutBucketPolicy")
    deny = statement("Deny", "*", "s3:PutBucketPolicy")
    world.call("PutBucketPolicy", Bucket="bucket", Policy=policy(allow))
    with refused("AccessDenied"):
        world.call("PutBucketPolicy", as_=ann, Bucket="bucket", Policy=policy(deny))
    world.call("PutBucketPolicy", as_=ann, Bucket="bucket", Policy=policy(deny), ConfirmRemoveSelfBucketAccess=True)
    with refused("AccessDenied"):
        world.call("PutBucketPolicy", as_=ann, Bucket="bucket", Policy=policy(allow))


@pytest.mark.parametrize(
    "principal",
    [
        {"AWS": f"arn:aws:iam::{OWNER}:user/nobody"},
        {"AWS": [OWNER, f"arn:aws:iam::{OWNER}:role/none"]},
        {"AWS": "000000000009"},
        {"AWS": "arn:aws:sts::000000000009:assumed-role/r/s"},
        {"CanonicalUser": "0" * 64},
    ],
)
def test_whom_a_policy_names_must_exist(world: World, principal: Any) -> None:
    world.bucket()
    world.call("PutBucketPolicy", Bucket="bucket", Policy=PRIVATE)
    for effect in ("Allow", "Deny"):
        with refused("MalformedPolicy", "Invalid principal in policy"):
            text = policy(statement(effect, principal, "s3:ListBucket"))
            world.call("PutBucketPolicy", Bucket="bucket", Policy=text)
    assert world.output("GetBucketPolicy", Bucket="bucket")["Policy"] == PRIVATE


def test_accounts_sessions_services_and_owners_of_canonical_ids_may_be_named(world: World) -> None:
    world.bucket()
    session = f"arn:aws:sts::{STRANGER}:assumed-role/any/any"
    for principal in ({"AWS": STRANGER}, {"AWS": session}, {"Service": "logging.s3.amazonaws.com"},
                      {"CanonicalUser": canonical_id(STRANGER)}):  # fmt: skip
        world.call("PutBucketPolicy", Bucket="bucket", Policy=policy(statement("Allow", principal, "s3:ListBucket")))


def test_public_policy_is_refused_where_it_is_blocked(world: World) -> None:
    world.bucket()
    with refused("AccessDenied") as caught:
        world.call("PutBucketPolicy", Bucket="bucket", Policy=PUBLIC)
    assert "BlockPublicPolicy" in str(caught[0])
    world.call("PutBucketPolicy", Bucket="bucket", Policy=PRIVATE)
    off = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "RestrictPublicBuckets": True}
    world.call("PutPublicAccessBlock", Bucket="bucket", PublicAccessBlockConfiguration=off)
    world.call("PutBucketPolicy", Bucket="bucket", Policy=PUBLIC)


@pytest.mark.parametrize(("text", "public"), [(PUBLIC, True), (PRIVATE, False), (DENY_ALL, False)])
def test_policy_status_says_whether_it_is_public(open_bucket: World, text: str, public: bool) -> None:
    open_bucket.call("PutBucketPolicy", Bucket="bucket", Policy=text)
    if text == DENY_ALL:
        with refused("AccessDenied"):
            open_bucket.call("GetBucketPolicyStatus", Bucket="bucket")
    else:
        status = open_bucket.output("GetBucketPolicyStatus", Bucket="bucket")
        assert status == {"PolicyStatus": {"IsPublic": public}}


def test_restrict_public_buckets_shuts_a_public_policy_to_other_accounts(open_bucket: World) -> None:
    text = policy(statement("Allow", "*", "s3:ListBucket"))
    open_bucket.call("PutBucketPolicy", Bucket="bucket", Policy=text)
    open_bucket.call("HeadBucket", as_=root_of(STRANGER), Bucket="bucket")
    only = {"RestrictPublicBuckets": True}
    open_bucket.call("PutPublicAccessBlock", Bucket="bucket", PublicAccessBlockConfiguration=only)
    with refused("AccessDenied"):
        open_bucket.call("HeadBucket", as_=root_of(STRANGER), Bucket="bucket")
    open_bucket.call("HeadBucket", Bucket="bucket")


def test_stored_policy_that_no_longer_parses_shuts_out_all_but_the_owner_and_is_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.bucket()
    world.put("bucket", "key")
    bucket_id = world.bucket_id("bucket")
    unreadable = b'{"Version":"2012-10-17","Statement":[{"Effect":"Perhaps"}]}'
    world.change(lambda rows: catalog.put_setting(rows, bucket_id, "policy", unreadable))
    world.call("ListObjectsV2", Bucket="bucket")
    assert bucket_id.hex() in caplog.text
    for stranger in (user_of(OWNER), root_of(STRANGER), ANONYMOUS):
        with refused("AccessDenied"):
            world.call("ListObjectsV2", Bucket="bucket", as_=stranger)
    assert world.output("GetBucketPolicy", Bucket="bucket")["Policy"].encode() == unreadable
    world.call("DeleteBucketPolicy", Bucket="bucket")
    world.call("ListObjectsV2", Bucket="bucket")

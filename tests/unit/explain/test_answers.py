"""Our own API about decisions: who may ask, and how much he is told."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from support.people import Person, allow, deny
from unit.explain.test_decisions import arn
from unit.explain.world import World


def named(world: World, *statements: dict[str, Any], there: bool = False) -> Person:
    place = world.there if there else world.here
    return place.user(f"u-{secrets.token_hex(4)}", *statements)


def test_the_root_of_an_account_and_whom_its_policies_let_ask_about_it(world: World) -> None:
    here, key = world.here, world.here.key()
    let, not_let = named(world, allow("s3al:WhoMayUseKey", key), allow("s3al:Can")), named(world, allow("kms:*"))
    for keys in (None, here.root_keys, let.keys):
        assert world.own("WhoMayUseKey", by=keys, key=key)["key"] == key
        assert world.can(let.arn, "kms:Decrypt", key, by=keys)["allowed"] is False
    assert world.own("WhoMayUseKey", by=not_let.keys, key=key)["status"] == 403
    assert world.can(let.arn, "kms:Decrypt", key, by=not_let.keys)["status"] == 403
    other = here.key()
    assert world.own("WhoMayUseKey", by=let.keys, key=other)["status"] == 403  # its policy names one key


def test_a_key_of_another_account_is_answered_like_one_that_does_not_exist(world: World) -> None:
    key = world.here.key()
    absent = key[:-36] + "00000000-0000-4000-8000-000000000000"
    stranger = named(world, allow("s3al:*"), there=True)
    for keys in (world.there.root_keys, stranger.keys):
        told = [world.own("WhoMayUseKey", by=keys, key=name) for name in (key, absent)]
        assert told[0] == told[1] and told[0]["status"] == 404
        asked = [world.can(stranger.arn, "kms:Decrypt", name, by=keys) for name in (key, absent)]
        for answer in asked:
            answer["verdicts"][0].pop("resource")
        assert asked[0] == asked[1] and not asked[0]["allowed"]


def test_of_another_account_nothing_is_told_but_the_answer(world: World) -> None:
    here, there = world.here, world.there
    bucket = here.bucket()
    secret = deny("s3:GetObject", arn(bucket, "*"), Sid="SecretSid", Principal={"AWS": there.root})
    here.bucket_policy(bucket, secret)
    guest = named(world, allow("s3:*", Sid="OwnSid"), there=True)
    answer = world.can(guest.arn, "s3:GetObject", arn(bucket, "k"), by=there.root_keys)
    assert not answer["allowed"] and "SecretSid" not in str(answer)
    assert answer["verdicts"][0]["effect"] == "implicit-deny" and not answer["verdicts"][0]["complete"]
    [change] = answer["remedy"]["changes"]
    assert (change["policy"], change["edits"], change["document"]) == (None, [], None)
    assert world.can(guest.arn, "s3:GetObject", arn(bucket, "k"))["verdicts"][0]["effect"] == "explicit-deny"
    # and the bucket's account is not told what the guest's own account allows
    here.bucket_policy(bucket, allow("s3:GetObject", arn(bucket, "*"), Sid="Guests", Principal={"AWS": there.root}))
    barred = named(world, deny("s3:*", Sid="OwnSid"), there=True)
    told = []
    for person in (guest.arn, barred.arn, f"arn:aws:iam::{there.account_id}:user/nobody"):
        answer = world.can(person, "s3:GetObject", arn(bucket, "k"), by=here.root_keys)
        assert "OwnSid" not in str(answer) and not answer["verdicts"][0]["complete"]
        told.append(str(answer).replace(person, "P"))
    assert len(set(told)) == 1 and "'allowed': True" in told[0]


def test_what_a_foreign_object_is_under_and_that_it_is_there_is_not_told(world: World) -> None:
    here, there = world.here, world.there
    bucket, guest = here.bucket(), named(world, allow(["s3:*", "kms:*"]), there=True)
    key = here.key()
    here.client().put_object(Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    for allowed in (False, True):
        if allowed:
            here.bucket_policy(bucket, allow("s3:GetObject", arn(bucket, "*"), Principal={"AWS": there.root}))
        told = [world.can(guest.arn, "s3:GetObject", arn(bucket, name), by=there.root_keys) for name in ("k", "none")]
        assert str(told[0]).replace("/k'", "/none'") == str(told[1]) and key not in str(told[0])
        assert [(one["allowed"], one["complete"]) for one in told[0]["verdicts"]] == [(allowed, False)]
    owner = world.can(guest.arn, "s3:GetObject", arn(bucket, "k"), by=here.root_keys)
    assert [one["action"] for one in owner["verdicts"]] == ["s3:GetObject", "kms:Decrypt"]


def test_the_change_that_is_told_tells_nothing_of_another_accounts_policies(world: World) -> None:
    here, there, bucket = world.here, world.there, world.here.bucket()
    with_policy, without = named(world, allow("s3:*"), there=True), named(world, there=True)
    told = set()
    for person in (with_policy.arn, without.arn, f"arn:aws:iam::{there.account_id}:user/nobody"):
        answer = world.can(person, "s3:GetObject", arn(bucket, "k"), by=here.root_keys)
        assert [change["kind"] for change in answer["remedy"]["changes"]] == ["bucket-policy"]
        told.add(str(answer).replace(person, "P"))
    assert len(told) == 1
    here.bucket_policy(
        bucket,
        deny("s3:*", arn(bucket, "*"), Principal={"AWS": there.root},
             Condition={"StringNotEquals": {"aws:UserAgent": "hidden-agent"}}),
        allow("s3:*", arn(bucket, "*"), Principal={"AWS": there.root},
              Condition={"StringEquals": {"aws:UserAgent": "hidden-agent"}}),
    )  # fmt: skip
    answer = world.can(with_policy.arn, "s3:GetObject", arn(bucket, "k"), by=there.root_keys)
    assert not answer["allowed"] and "hidden-agent" not in str(answer)
    assert "hidden-agent" in str(world.can(with_policy.arn, "s3:GetObject", arn(bucket, "k")))


def test_who_is_asked_about_and_about_what_must_be_ones_own(world: World) -> None:
    ours, bucket = named(world), world.here.bucket()
    answer = world.can(ours.arn, "s3:GetObject", arn(bucket, "k"), by=world.there.root_keys)
    assert answer["status"] == 404


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({}, 400),
        ({"principal": "root", "action": "s3:Fly", "resource": "*"}, 400),
        ({"principal": "\u202eroot", "action": "s3:ListAllMyBuckets", "resource": "*"}, 400),
        ({"principal": "user/none", "action": "s3:ListAllMyBuckets", "resource": "*"}, 404),
        ({"principal": "root", "action": "s3:ListBucket", "resource": "s3://no-such-bucket-here"}, 404),
        ({"principal": "root", "action": "s3:ListAllMyBuckets", "resource": "*", "context": []}, 400),
        ({"principal": "root", "action": "s3:ListAllMyBuckets", "resource": "*", "context": {"a": 1}}, 400),
        ({"principal": "root", "action": "s3:ListAllMyBuckets", "resource": "*", "context": {"": "x"}}, 400),
        ({"principal": "root", "action": "s3:ListAllMyBuckets", "resource": "*", "context": {"a:b": "x" * 9999}}, 400),
        ({"principal": "root", "action": "kms:Decrypt", "resource": "alias/none"}, 404),
    ],
)
def test_bad_questions_are_refused(world: World, members: dict[str, Any], status: int) -> None:
    assert world.own("Can", **members)["status"] == status
    assert world.own("Can", by=world.here.root_keys, **members)["status"] == status


@pytest.mark.parametrize(
    ("members", "status"),
    [({}, 400), ({"key": "alias/none"}, 404), ({"key": "x" * 300}, 404), ({"actions": []}, 400),
     ({"actions": ["kms:Sign"]}, 400), ({"after": 7}, 400), ({"bucket": []}, 400)],
)  # fmt: skip
def test_bad_questions_about_a_key_are_refused(world: World, members: dict[str, Any], status: int) -> None:
    key = world.here.key()
    members = members if "key" in members or not members else {"key": key} | members
    assert world.own("WhoMayUseKey", by=world.here.root_keys, **members)["status"] == status


def test_a_key_is_named_by_alias_and_an_object_by_uri(world: World) -> None:
    here = world.here
    key, alias, bucket = here.key(), f"alias/n-{secrets.token_hex(4)}", here.bucket()
    here.client("kms").create_alias(AliasName=alias, TargetKeyId=key)
    assert world.own("WhoMayUseKey", by=here.root_keys, key=alias)["key"] == key
    answer = world.can("root", "kms:Decrypt", alias, by=here.root_keys)
    assert answer["allowed"] and answer["verdicts"][0]["resource"] == key
    assert world.can("root", "s3:GetObject", f"s3://{bucket}/a b", by=here.root_keys)["allowed"]
    put = world.can("root", "s3:PutObject", f"s3://{bucket}/k", by=here.root_keys,
                    **{"s3_x-amz-server-side-encryption": "aws:kms",
                       "s3_x-amz-server-side-encryption-aws-kms-key-id": key})  # fmt: skip
    assert [one["action"] for one in put["verdicts"]] == ["s3:PutObject", "kms:GenerateDataKey"]


def test_only_the_columns_that_are_wanted_are_shown(world: World) -> None:
    key = world.here.key()
    found = world.own("WhoMayUseKey", key=key, actions=["kms:Decrypt"])
    columns = [(one["action"], one["via"]) for one in found["columns"]]
    assert columns == [("kms:Decrypt", "direct"), ("kms:Decrypt", "s3")]
    assert all(len(row["cells"]) == 2 for row in found["rows"])


def test_conditions_of_another_account_s_policy_are_not_found_by_trying(world: World) -> None:
    here, there = world.here, world.there
    bucket = here.bucket()
    resource = f"arn:aws:s3:::{bucket}/object"
    near = {"IpAddress": {"aws:SourceIp": "10.1.2.0/24"}}
    allowing = {"Effect": "Allow", "Principal": {"AWS": there.root}, "Action": "s3:GetObject", "Resource": resource}
    here.bucket_policy(bucket, allowing | {"Condition": near})
    asked = {"principal": there.root, "action": "s3:GetObject", "resource": resource}
    for name in ("aws:SourceIp", "AWS:sourceip", "aws:userid"):
        context = {"s3:VersionId": "v", name: "10.1.2.3"}
        found = world.own("Can", by=there.root_keys, **asked, context=context)
        assert (found["status"], found["code"]) == (400, "ValidationError")
    assert not world.own("Can", by=there.root_keys, **asked, context={"s3:VersionId": "v"})["allowed"]
    for keys in (here.root_keys, None):  # the owner, and the operator
        assert world.own("Can", by=keys, **asked, context={"aws:SourceIp": "10.1.2.3"})["allowed"]
    creating = {"principal": there.root, "action": "s3al:CreateAccount", "resource": "*"}
    found = world.own("Can", by=there.root_keys, **creating, context={"aws:ResourceAccount": there.account_id})
    assert found["status"] == 400

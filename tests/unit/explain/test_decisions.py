"""A decision that is explained is the decision that requests meet, and says by what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from s3al.errors import RequestError
from support.people import allow, deny, trust
from unit.explain.world import World


def refused_by_the_server(ask: Callable[[], Any]) -> bool:
    try:
        ask()
    except ClientError as error:
        if "AccessDenied" in error.response["Error"]["Code"]:
            return True
    return False


def arn(bucket: str, object_key: str = "") -> str:
    return f"arn:aws:s3:::{bucket}" + (f"/{object_key}" if object_key else "")


# --- the same answer as the server's


def test_the_verdict_on_s3_is_the_servers(world: World) -> None:
    here, there = world.here, world.there
    bucket = here.bucket()
    here.client().put_object(Bucket=bucket, Key="k", Body=b"x")
    people = {
        "let": here.user("s3-let", allow("s3:GetObject", arn(bucket, "*"))),
        "shut": here.user("s3-shut", allow("s3:*"), deny("s3:GetObject", arn(bucket, "*"))),
        "nothing": here.user("s3-nothing"),
        "outsider": there.user("s3-outsider", allow("s3:*")),
        "outsider-without": there.user("s3-outsider-without"),
    }
    named = [people["nothing"].arn, people["outsider"].arn, people["outsider-without"].arn]
    policies: list[list[Any]] = [
        [],
        [allow("s3:GetObject", arn(bucket, "*"), Sid="Named", Principal={"AWS": named})],
        [deny("s3:GetObject", arn(bucket, "*"), Sid="Nobody", Principal="*")],
    ]
    seen = set()
    for statements in policies:
        if statements:
            here.bucket_policy(bucket, *statements)
        for person in people.values():
            place = there if person.arn.startswith(f"arn:aws:iam::{there.account_id}") else here
            verdict = world.decide(person.arn, "s3:GetObject", arn(bucket, "k"))
            s3 = place.client("s3", person)
            assert verdict.allowed is not refused_by_the_server(lambda s3=s3: s3.get_object(Bucket=bucket, Key="k"))
            seen.add((verdict.effect, verdict.by.kind if verdict.by else None))
    assert seen == {
        ("allow", "identity-policy"), ("allow", "bucket-policy"), ("implicit-deny", None),
        ("explicit-deny", "identity-policy"), ("explicit-deny", "bucket-policy"),
    }  # fmt: skip


def test_the_verdict_on_a_key_is_the_servers_with_grants_and_through_s3(world: World) -> None:
    here, there = world.here, world.there
    direct, granted = here.user("kms-direct", allow("kms:*")), here.user("kms-granted", allow("s3:*"))
    outside, through = there.user("kms-outside", allow("kms:*")), here.user("kms-through", allow("s3:*"))
    via = {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}}
    key = here.key()
    world.key_policy(
        key,
        {
            "Version": "2012-10-17",
            "Statement": [
                allow("kms:*", Sid="Account", Principal={"AWS": here.root}),
                allow("kms:Decrypt", Sid="Through", Principal={"AWS": through.arn}, Condition=via),
            ],
        },
    )
    here.client("kms").create_grant(KeyId=key, GranteePrincipal=granted.arn, Operations=["Decrypt", "DescribeKey"])
    for place, person, by in (
        (here, direct, "key-policy"), (here, granted, "grant"), (there, outside, None), (here, through, None),
    ):  # fmt: skip
        kms = place.client("kms", person)
        verdict = world.decide(person.arn, "kms:DescribeKey", key)
        assert verdict.allowed is not refused_by_the_server(lambda kms=kms: kms.describe_key(KeyId=key))
        assert verdict.allowed is (by is not None)
        if by == "grant":
            assert verdict.by and verdict.by.kind == "grant" and verdict.by.index is None
    s3 = "s3.us-east-1.amazonaws.com"
    assert not world.decide(through.arn, "kms:Decrypt", key).allowed
    used = world.decide(through.arn, "kms:Decrypt", key, kms_ViaService=s3)
    assert used.allowed and used.by and (used.by.sid, used.by.index) == ("Through", 1)
    assert used.by.statement and used.by.statement["Condition"] == via
    bucket = here.bucket()
    for person, allowed in ((through, True), (granted, True), (direct, False)):
        here.client("s3").put_object(
            Bucket=bucket, Key="k", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key
        )
        s3_client = here.client("s3", person)
        refused = refused_by_the_server(lambda c=s3_client: c.get_object(Bucket=bucket, Key="k"))
        both = [
            world.decide(person.arn, "s3:GetObject", arn(bucket, "k")),
            world.decide(person.arn, "kms:Decrypt", key, kms_ViaService=s3),
        ]
        assert all(verdict.allowed for verdict in both) is allowed is not refused


def test_an_operation_of_the_keys_own_account_is_nobody_elses(world: World) -> None:
    outside, key = world.there.user("manager", allow("kms:*")), world.here.key()
    world.key_policy(key, {"Version": "2012-10-17", "Statement": [allow("kms:*", Principal={"AWS": outside.arn})]})
    assert world.decide(outside.arn, "kms:Decrypt", key).allowed
    verdict = world.decide(outside.arn, "kms:DisableKey", key)
    assert not verdict.allowed and "own account alone" in verdict.reason
    assert refused_by_the_server(lambda: world.there.client("kms", outside).disable_key(KeyId=key))


def test_identities_roles_and_our_own_api_are_asked_too(world: World) -> None:
    here = world.here
    boss = here.user("boss", allow("iam:CreateUser"), allow("s3al:*"))
    role = here.role("taken", trust({"AWS": boss.arn}))
    assert world.decide(boss.arn, "iam:CreateUser", "*").allowed
    assert not world.decide(boss.arn, "iam:DeleteUser", "*").allowed
    assert world.decide(boss.arn, "sts:AssumeRole", role.arn).by.kind == "trust-policy"  # type: ignore[union-attr]
    assert not world.decide(boss.arn, "s3al:CreateAccount", "*").allowed  # the operator's account alone
    assert world.decide("root", "sts:GetCallerIdentity", "*").allowed
    assert world.decide("root", "cloudtrail:LookupEvents", "*").allowed
    assert not world.decide(boss.arn, "cloudtrail:LookupEvents", "*").allowed
    rooted = world.decide("root", "sts:AssumeRole", role.arn)
    assert not rooted.allowed and "root accounts" in rooted.reason
    assert world.decide(f"{role.arn}", "s3:ListAllMyBuckets", "*").effect == "implicit-deny"
    assert world.decide("anonymous", "s3:ListAllMyBuckets", "*").effect == "implicit-deny"


def test_the_root_may_put_a_bucket_policy_whatever_it_says(world: World) -> None:
    here = world.here
    bucket = here.bucket()
    here.bucket_policy(bucket, deny("s3:*", arn(bucket), Principal="*"))
    assert world.decide("root", "s3:PutBucketPolicy", arn(bucket)).allowed
    assert not world.decide("root", "s3:ListBucket", arn(bucket)).allowed


def test_a_public_policy_that_is_restricted_says_so(world: World) -> None:
    here = world.here
    bucket = here.bucket()
    here.bucket_policy(bucket, allow("s3:GetObject", arn(bucket, "*"), Principal="*"))
    assert world.decide("anonymous", "s3:GetObject", arn(bucket, "k")).allowed
    here.client().put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration={"RestrictPublicBuckets": True}
    )
    shut = world.decide("anonymous", "s3:GetObject", arn(bucket, "k"))
    assert shut.effect == "explicit-deny" and "RestrictPublicBuckets" in shut.reason


# --- what missed


def test_what_nearly_matched_says_which_element_missed_and_by_what(world: World) -> None:
    here = world.here
    bucket, person = here.bucket(), here.user("near")
    here.bucket_policy(
        bucket,
        allow("s3:GetObject", arn(bucket, "*"), Sid="Office", Principal={"AWS": person.arn},
              Condition={"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}),
        allow("s3:GetObject", arn(bucket, "other/*"), Sid="Elsewhere", Principal={"AWS": person.arn}),
        allow("s3:GetObject", arn(bucket, "*"), Sid="Root", Principal={"AWS": here.root}),
        allow("s3:GetObject", arn(bucket, "*"), Sid="Other", Principal={"AWS": world.there.root}),
        allow("s3:PutObject", arn(bucket, "*"), Sid="Unrelated", Principal={"AWS": person.arn}),
        deny("s3:GetObject", arn(bucket, "*"), Sid="Tls", Principal="*",
             Condition={"Bool": {"aws:SecureTransport": "false"}}),
    )  # fmt: skip
    verdict = world.decide(person.arn, "s3:GetObject", arn(bucket, "k"), aws_sourceip="198.51.100.7")
    misses = {miss.by.sid: miss for miss in verdict.mismatches}
    # The statement for the account matches: it leaves it to the account, whose identity policies are silent.
    elements = {sid: miss.element for sid, miss in misses.items()}
    assert elements == {"Office": "condition", "Elsewhere": "resource", "Tls": "condition", "Other": "principal"}
    office = misses["Office"]
    assert (office.operator, office.condition_key) == ("IpAddress", "aws:SourceIp")
    assert (office.wanted, office.found) == (("192.0.2.0/24",), ("198.51.100.7",))
    assert misses["Tls"].effect == "Deny" and misses["Tls"].found == ("true",)
    assert world.decide(person.arn, "s3:GetObject", arn(bucket, "k"), aws_SourceIp="192.0.2.9").allowed
    plain = world.decide(
        person.arn, "s3:GetObject", arn(bucket, "k"), aws_SourceIp="192.0.2.9", aws_SecureTransport="false"
    )
    assert plain.by and plain.by.sid == "Tls"


# --- bad input


@pytest.mark.parametrize(
    ("principal", "code"),
    [
        ("arn:aws:iam::000000000000:user/x", "NoSuchEntity"),
        ("user/nobody-has-this-name", "NoSuchEntity"),
        ("role/nobody-has-this-name", "NoSuchEntity"),
        ("assumed-role/none/session", "NoSuchEntity"),
        ("arn:aws:iam::123:user/x", "ValidationError"),
        ("arn:aws:s3:::bucket", "ValidationError"),
        ("group/x", "ValidationError"),
        ("\x1b[31mred", "ValidationError"),
        ("", "ValidationError"),
    ],
)
def test_principals_that_are_none_are_refused(world: World, principal: str, code: str) -> None:
    with pytest.raises(RequestError) as refused:
        world.decide(principal, "s3:ListAllMyBuckets", "*")
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("action", "resource", "code"),
    [
        ("s3:Fly", "*", "ValidationError"),
        ("s3:*", "*", "ValidationError"),
        ("ec2:RunInstances", "*", "ValidationError"),
        ("GetObject", "*", "ValidationError"),
        ("kms:decrypt", "*", "ValidationError"),
        ("s3:GetObject", "arn:aws:s3:::bucket", "ValidationError"),
        ("s3:GetObject", "*", "ValidationError"),
        ("s3:ListBucket", "arn:aws:s3:::bucket/key", "ValidationError"),
        ("s3:ListBucket", "bucket", "ValidationError"),
        ("s3:ListBucket", "arn:aws:s3:::no-such-bucket-at-all", "NoSuchEntity"),
        ("kms:Decrypt", "*", "ValidationError"),
        ("kms:Decrypt", "arn:aws:kms:us-east-1:000000000000:key/none", "NoSuchEntity"),
        ("kms:Decrypt", "arn:aws:kms:us-east-1:x:key/none", "ValidationError"),
        ("sts:AssumeRole", "*", "ValidationError"),
        ("iam:CreateUser", "user", "ValidationError"),
        ("s3al:Fly", "*", "ValidationError"),
    ],
)
def test_actions_and_resources_that_are_none_are_refused(
    world: World, action: str, resource: str, code: str
) -> None:
    with pytest.raises(RequestError) as refused:
        world.decide("root", action, resource)
    assert refused.value.code == code


def test_the_servers_own_key_does_not_exist(world: World) -> None:
    sql = "SELECT key_id, region, account_id FROM kms_keys WHERE manager = 'SERVICE'"
    found = world.read(lambda rows: rows.one(sql))
    with pytest.raises(RequestError) as refused:
        world.decide("root", "kms:Decrypt", f"arn:aws:kms:{found[1]}:{found[2]}:key/{found[0]}")
    assert refused.value.code in ("NoSuchEntity", "ValidationError")

"""The smallest change: put as it is told, through the services' own operations, it allows what was refused."""

from __future__ import annotations

import json
import secrets
from typing import Any

import pytest

from support.people import Person, allow, deny, give, trust
from unit.explain.test_decisions import arn, refused_by_the_server
from unit.explain.world import Place, World


def put(place: Place, change: dict[str, Any]) -> None:
    """Do what the change's command says."""
    words, document = change["command"].split(), json.dumps(change["document"])
    flags = [at for at, word in enumerate(words) if word.startswith("--")]
    options = {words[at][2:]: words[at + 1] for at in flags if at + 1 < len(words)}
    client = place.client({"s3api": "s3"}.get(words[1], words[1]))
    match words[2]:
        case "put-bucket-policy":
            client.put_bucket_policy(Bucket=options["bucket"], Policy=document)
        case "put-key-policy":
            client.put_key_policy(KeyId=options["key-id"], PolicyName="default", Policy=document)
        case "put-user-policy":
            client.put_user_policy(
                UserName=options["user-name"], PolicyName=options["policy-name"], PolicyDocument=document
            )
        case "put-role-policy":
            client.put_role_policy(
                RoleName=options["role-name"], PolicyName=options["policy-name"], PolicyDocument=document
            )
        case "create-policy-version":
            client.create_policy_version(
                PolicyArn=options["policy-arn"], PolicyDocument=document, SetAsDefault=True
            )
        case "update-assume-role-policy":
            client.update_assume_role_policy(RoleName=options["role-name"], PolicyDocument=document)
        case other:
            raise AssertionError(other)


def heal(world: World, answer: Any) -> None:
    assert answer["remedy"]["verified"], answer
    for change in answer["remedy"]["changes"]:
        owner = world.here
        for place in (world.here, world.there):
            if place.account_id in change["command"] or place.account_id in (change["policy"] or ""):
                owner = place
        put(owner, change)


def got(place: Place, person: Person, bucket: str) -> bool:
    s3 = place.client("s3", person)
    return not refused_by_the_server(lambda: s3.get_object(Bucket=bucket, Key="k"))


def stored(place: Place, **more: Any) -> str:
    bucket = place.bucket()
    place.client().put_object(Bucket=bucket, Key="k", Body=b"x", **more)
    return bucket


def test_nothing_allows_a_statement_of_his_own_is_added(world: World) -> None:
    here = world.here
    bucket, person = stored(here), here.user(f"u-{secrets.token_hex(4)}")
    answer = world.can(person.arn, "s3:GetObject", arn(bucket, "k"))
    [change] = answer["remedy"]["changes"]
    [edit] = change["edits"]
    assert (change["kind"], edit["do"]) == ("identity-policy", "add")
    assert edit["statement"] == {
        "Sid": "AllowGetObject", "Effect": "Allow", "Action": "s3:GetObject", "Resource": arn(bucket, "k")
    }  # fmt: skip
    assert not got(here, person, bucket)
    heal(world, answer)
    assert got(here, person, bucket)
    assert world.can(person.arn, "s3:GetObject", arn(bucket, "k"))["allowed"]


def test_a_deny_is_narrowed_and_what_else_the_policy_says_stays(world: World) -> None:
    here = world.here
    bucket, person = stored(here), here.user(f"u-{secrets.token_hex(4)}", allow("s3:*"))
    other = here.user(f"o-{secrets.token_hex(4)}", allow("s3:*"))
    kept = allow("s3:PutObject", arn(bucket, "*"), Sid="Kept", Principal={"AWS": other.arn})
    here.bucket_policy(bucket, deny("s3:GetObject", arn(bucket, "*"), Sid="Shut", Principal="*"), kept)
    answer = world.can(person.arn, "s3:GetObject", arn(bucket, "k"))
    [change] = answer["remedy"]["changes"]
    [edit] = change["edits"]
    assert (change["kind"], edit["do"]) == ("bucket-policy", "narrow")
    assert edit["replaces"]["Sid"] == edit["statement"]["Sid"] == "Shut"
    assert change["document"]["Statement"][1] == kept
    heal(world, answer)
    assert got(here, person, bucket) and not got(here, other, bucket)
    again = world.can(other.arn, "s3:GetObject", arn(bucket, "k"))
    heal(world, again)
    assert got(here, person, bucket) and got(here, other, bucket)


def test_denies_in_two_policies_and_a_missing_allow_are_all_mended(world: World) -> None:
    here = world.here
    bucket, person = stored(here), here.user(f"u-{secrets.token_hex(4)}", deny("s3:Get*"))
    here.bucket_policy(
        bucket,
        deny("s3:GetObject", arn(bucket, "*"), Sid="One", Principal="*"),
        deny("s3:*", arn(bucket, "*"), Sid="Two", Principal={"AWS": person.arn}),
    )
    answer = world.can(person.arn, "s3:GetObject", arn(bucket, "k"))
    edits = [(change["kind"], [edit["do"] for edit in change["edits"]]) for change in answer["remedy"]["changes"]]
    assert edits == [
        ("bucket-policy", ["narrow", "narrow"]), ("identity-policy", ["narrow"]), ("identity-policy", ["add"])
    ]  # fmt: skip
    heal(world, answer)
    assert got(here, person, bucket)


def test_a_boundary_is_widened_beside_the_allow(world: World) -> None:
    here = world.here
    iam, name = here.client("iam"), f"u-{secrets.token_hex(4)}"
    bucket, person = stored(here), here.user(name)
    text = json.dumps({"Version": "2012-10-17", "Statement": [allow("s3:ListBucket")]})
    boundary = iam.create_policy(PolicyName=f"b-{name}", PolicyDocument=text)["Policy"]["Arn"]
    iam.put_user_permissions_boundary(UserName=name, PermissionsBoundary=boundary)
    answer = world.can(person.arn, "s3:GetObject", arn(bucket, "k"))
    # A bucket policy that names a user is not limited by his boundary, so that one document is enough.
    assert [change["kind"] for change in answer["remedy"]["changes"]] == ["bucket-policy"]
    heal(world, answer)
    assert got(here, person, bucket)
    listed = world.can(person.arn, "s3:ListAllMyBuckets", "*")
    assert {change["kind"] for change in listed["remedy"]["changes"]} == {"identity-policy", "permissions-boundary"}
    heal(world, listed)
    assert not refused_by_the_server(here.client("s3", person).list_buckets)


def test_across_accounts_both_sides_are_changed(world: World) -> None:
    bucket, person = stored(world.here), world.there.user(f"u-{secrets.token_hex(4)}")
    answer = world.can(person.arn, "s3:GetObject", arn(bucket, "k"))
    assert {change["kind"] for change in answer["remedy"]["changes"]} == {"identity-policy", "bucket-policy"}
    heal(world, answer)
    assert got(world.there, person, bucket)


def test_the_key_of_an_object_is_asked_too_and_opened_through_s3_alone(world: World) -> None:
    here = world.here
    key = here.key()
    bucket = stored(here, ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    person = here.user(f"u-{secrets.token_hex(4)}", allow("s3:*"))
    admin = here.user(f"a-{secrets.token_hex(4)}", allow("kms:*"))
    here.client("kms").put_key_policy(
        KeyId=key,
        PolicyName="default",
        Policy=json.dumps(
            {"Version": "2012-10-17", "Statement": [allow("kms:*", Sid="Root", Principal={"AWS": here.root})]}
        ),
    )
    answer = world.can(person.arn, "s3:GetObject", arn(bucket, "k"))
    assert not answer["allowed"]
    assert [(one["action"], one["allowed"]) for one in answer["verdicts"]] == [
        ("s3:GetObject", True), ("kms:Decrypt", False)
    ]  # fmt: skip
    heal(world, answer)
    assert got(here, person, bucket)
    kms = here.client("kms", person)
    blob = here.client("kms").encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
    assert refused_by_the_server(lambda: kms.decrypt(CiphertextBlob=blob, KeyId=key))
    assert world.can(admin.arn, "kms:Decrypt", key)["allowed"]
    # and a key that does not leave it to the account: the key policy itself must say it
    shut = {"Version": "2012-10-17", "Statement": [allow("kms:*", Principal={"AWS": admin.arn})]}
    world.key_policy(key, shut)
    answer = world.can(person.arn, "kms:Decrypt", key)
    assert [change["kind"] for change in answer["remedy"]["changes"]] == ["key-policy"]


def test_a_trust_policy_is_widened_for_whoever_should_take_the_role(world: World) -> None:
    here = world.here
    person, name = here.user(f"u-{secrets.token_hex(4)}"), f"r-{secrets.token_hex(4)}"
    role = here.role(name, trust({"AWS": world.there.root}))
    answer = world.can(person.arn, "sts:AssumeRole", role.arn)
    assert [change["kind"] for change in answer["remedy"]["changes"]] == ["trust-policy"]
    heal(world, answer)
    here.client("sts", person).assume_role(RoleArn=role.arn, RoleSessionName="work")


@pytest.mark.parametrize("denied", [False, True])
def test_everybody_is_let_in_only_where_public_policies_are(world: World, denied: bool) -> None:
    bucket = stored(world.here)
    if denied:
        world.here.bucket_policy(bucket, deny("s3:GetObject", arn(bucket, "*"), Principal="*"))
    answer = world.can("anonymous", "s3:GetObject", arn(bucket, "k"))
    heal(world, answer)
    assert world.can("anonymous", "s3:GetObject", arn(bucket, "k"))["allowed"]
    world.here.client().put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicPolicy": True, "RestrictPublicBuckets": True}
    )
    shut = world.can("anonymous", "s3:GetObject", arn(bucket, "k"))
    assert not shut["allowed"] and not shut["remedy"]["verified"] and shut["remedy"]["changes"] == []
    assert shut["remedy"]["otherwise"]


def test_what_no_policy_can_allow_is_said_in_words(world: World) -> None:
    here, outside = world.here, world.there.user(f"u-{secrets.token_hex(4)}", allow("kms:*"))
    answer = world.can(outside.arn, "kms:DisableKey", here.key())
    assert answer["remedy"] == {
        "changes": [], "verified": False,
        "otherwise": [
            "No policy alone can allow it, because this operation is for principals of the key's own account alone."
        ],
    }  # fmt: skip


def test_a_request_that_would_do_is_named(world: World) -> None:
    here = world.here
    bucket, person = stored(here), here.user(f"u-{secrets.token_hex(4)}", allow("s3:*"))
    here.bucket_policy(
        bucket,
        deny("s3:*", arn(bucket, "*"), Sid="Tls", Principal="*", Condition={"Bool": {"aws:SecureTransport": "false"}}),
    )
    answer = world.can(person.arn, "s3:GetObject", arn(bucket, "k"), aws_SecureTransport="false")
    assert "Bool aws:SecureTransport false" in answer["remedy"]["otherwise"][0]
    through = {"Bool": {"aws:ViaAWSService": "true"}}
    other = here.user(f"o-{secrets.token_hex(4)}", allow("s3:GetObject", Condition=through))
    answer = world.can(other.arn, "s3:GetObject", arn(bucket, "k"))
    assert "meets Bool aws:ViaAWSService true" in answer["remedy"]["otherwise"][0]


def test_a_change_that_would_not_fit_is_not_told(world: World) -> None:
    """A user's inline policies have 2048 characters together."""
    here = world.here
    bucket, person = stored(here), here.user(f"u-{secrets.token_hex(4)}")
    long = deny("s3:PutObject", [arn(bucket, f"{n:04}{'x' * 150}") for n in range(10)])
    world.write(lambda rows: give(rows, person.arn, long))
    answer = world.can(person.arn, "s3:GetObject", arn(bucket, "k"))
    assert [change["kind"] for change in answer["remedy"]["changes"]] == ["bucket-policy"]
    heal(world, answer)
    assert got(here, person, bucket)

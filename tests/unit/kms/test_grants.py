"""Grants: who may do what by one, constraints, derived grants, tokens, and their end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from s3al.auth.principal import Principal
from s3al.errors import AccessError, RequestError
from s3al.kms.grants import EQUALS, SUBSET, Constraint
from s3al.kms.operations import grants
from s3al.store import key_grants
from unit.kms.world import (
    ALICE,
    BUCKET,
    MALLORY,
    OTHER_ROOT,
    OURS,
    ROOT,
    THEIRS,
    World,
    policy,
    refusal,
    statement,
    user_of,
)

BOB = user_of(OURS, "bob")
CAROL = user_of(OURS, "carol")
DATA_KEY = {"KeySpec": "AES_256"}
ROLE = f"arn:aws:iam::{OURS}:role/reader"
SESSION = Principal(
    "assumed-role", OURS, f"arn:aws:sts::{OURS}:assumed-role/reader/s1", "AROA:s1", session_name="s1", issuer_arn=ROLE
)


def give(world: World, key_id: str, *operations: str, to: str = ALICE.arn, by: Principal = ROOT, **more: Any) -> Any:
    return world.do("CreateGrant", by=by, KeyId=key_id, GranteePrincipal=to, Operations=list(operations), **more)


def refuses(world: World, operation: str, **params: Any) -> str:
    with pytest.raises(RequestError) as raised:
        world.do(operation, **params)
    return refusal(raised)[0]


def test_a_grantee_may_do_what_the_grant_names_and_nothing_else(world: World) -> None:
    key_id = world.create_key()
    assert refuses(world, "GenerateDataKey", by=ALICE, KeyId=key_id, **DATA_KEY) == "AccessDeniedException"
    give(world, key_id, "GenerateDataKey", "DescribeKey")
    made = world.do("GenerateDataKey", by=ALICE, KeyId=key_id, **DATA_KEY)
    assert world.do("DescribeKey", by=ALICE, KeyId=key_id)
    assert refuses(world, "Decrypt", by=ALICE, CiphertextBlob=made["CiphertextBlob"]) == "AccessDeniedException"
    assert refuses(world, "GenerateDataKey", by=BOB, KeyId=key_id, **DATA_KEY) == "AccessDeniedException"
    other = world.create_key()
    assert refuses(world, "GenerateDataKey", by=ALICE, KeyId=other, **DATA_KEY) == "AccessDeniedException"


def test_a_grant_ends_at_once_when_it_is_revoked(world: World) -> None:
    key_id = world.create_key()
    granted = give(world, key_id, "Encrypt")
    assert world.do("Encrypt", by=ALICE, KeyId=key_id, Plaintext=b"x")
    world.do("RevokeGrant", KeyId=key_id, GrantId=granted["GrantId"])
    assert refuses(world, "Encrypt", by=ALICE, KeyId=key_id, Plaintext=b"x") == "AccessDeniedException"
    assert world.do("ListGrants", KeyId=key_id)["Grants"] == []


def test_an_explicit_deny_wins_over_a_grant(world: World) -> None:
    key_id = world.create_key(Policy=policy(statement("Deny", {"AWS": ALICE.arn}, "kms:Encrypt")))
    give(world, key_id, "Encrypt", "DescribeKey")
    assert refuses(world, "Encrypt", by=ALICE, KeyId=key_id, Plaintext=b"x") == "AccessDeniedException"
    assert world.do("DescribeKey", by=ALICE, KeyId=key_id)


def test_a_grant_to_a_role_reaches_its_sessions_and_one_to_another_account_its_user(world: World) -> None:
    key_id = world.create_key()
    arn = world.row(key_id).arn
    give(world, key_id, "Encrypt", to=ROLE)
    assert world.do("Encrypt", by=SESSION, KeyId=key_id, Plaintext=b"x")
    assert refuses(world, "Encrypt", by=MALLORY, KeyId=arn, Plaintext=b"x") == "AccessDeniedException"
    give(world, key_id, "Encrypt", to=MALLORY.arn)
    assert world.do("Encrypt", by=MALLORY, KeyId=arn, Plaintext=b"x")["KeyId"] == arn
    give(world, key_id, "Encrypt", to=THEIRS)
    assert world.do("Encrypt", by=OTHER_ROOT, KeyId=arn, Plaintext=b"x")


def test_s3_uses_a_key_by_the_requesters_grant(world: World) -> None:
    key_id = world.create_key()
    call = world.s3(ALICE)

    def generate() -> Any:
        return world.database.read_now(
            lambda rows: world.data_keys.generate(rows, call, bucket=BUCKET, kms_key=key_id, context={"a": "b"})
        )

    with pytest.raises(AccessError):
        generate()
    give(world, key_id, "GenerateDataKey", Constraints={SUBSET: {"a": "c"}})
    with pytest.raises(AccessError):
        generate()
    give(world, key_id, "GenerateDataKey", Constraints={SUBSET: {"a": "b"}})
    assert generate().key_id == key_id


MEETS = [
    ("equal", EQUALS, {"a": "1", "b": "2"}, {"b": "2", "a": "1"}, True),
    ("a pair more than equal", EQUALS, {"a": "1"}, {"a": "1", "b": "2"}, False),
    ("a pair less than equal", EQUALS, {"a": "1", "b": "2"}, {"a": "1"}, False),
    ("no context", EQUALS, {"a": "1"}, {}, False),
    ("a name in another case", EQUALS, {"Team": "x"}, {"tEAM": "x"}, True),
    ("a value in another case", EQUALS, {"team": "x"}, {"team": "X"}, False),
    ("a superset", SUBSET, {"a": "1"}, {"a": "1", "b": "2"}, True),
    ("just the subset", SUBSET, {"a": "1"}, {"a": "1"}, True),
    ("a pair of the subset missing", SUBSET, {"a": "1", "b": "2"}, {"a": "1"}, False),
    ("another value than the subset's", SUBSET, {"a": "1"}, {"a": "2"}, False),
    ("one name in two cases, to one pair", EQUALS, {"a": "1"}, {"a": "1", "A": "1"}, False),
]


@pytest.mark.parametrize(("kind", "pairs", "context", "allowed"), [m[1:] for m in MEETS], ids=[m[0] for m in MEETS])
def test_a_constraint_is_met_or_not(
    world: World, kind: str, pairs: dict[str, str], context: dict[str, str], allowed: bool
) -> None:
    key_id = world.create_key()
    give(world, key_id, "Encrypt", "DescribeKey", Constraints={kind: pairs})
    assert world.do("DescribeKey", by=ALICE, KeyId=key_id)  # has no context: constraints do not apply
    asked = {"KeyId": key_id, "Plaintext": b"x", "EncryptionContext": context}
    if allowed:
        assert world.do("Encrypt", by=ALICE, **asked)
    else:
        assert refuses(world, "Encrypt", by=ALICE, **asked) == "AccessDeniedException"


NONE, ONE, TWO = Constraint(), {"a": "1"}, {"a": "1", "b": "2"}
STRICTER = [
    (NONE, NONE, True),
    (NONE, Constraint(SUBSET, ONE), True),
    (Constraint(SUBSET, ONE), NONE, False),
    (Constraint(SUBSET, ONE), Constraint(SUBSET, ONE), True),
    (Constraint(SUBSET, ONE), Constraint(SUBSET, TWO), True),
    (Constraint(SUBSET, TWO), Constraint(SUBSET, ONE), False),
    (Constraint(SUBSET, ONE), Constraint(EQUALS, TWO), True),
    (Constraint(SUBSET, ONE), Constraint(EQUALS, {"b": "2"}), False),
    (Constraint(EQUALS, ONE), Constraint(SUBSET, ONE), False),
    (Constraint(EQUALS, ONE), Constraint(EQUALS, ONE), True),
    (Constraint(EQUALS, ONE), Constraint(EQUALS, TWO), False),
]


@pytest.mark.parametrize(("parent", "child", "allowed"), STRICTER)
def test_who_grants_by_a_grant_passes_on_a_constraint_as_strict_or_stricter(
    world: World, parent: Constraint, child: Constraint, allowed: bool
) -> None:
    key_id = world.create_key()

    def written(constraint: Constraint) -> dict[str, Any]:
        return {"Constraints": {constraint.kind: constraint.pairs}} if constraint.kind else {}

    give(world, key_id, "CreateGrant", "Encrypt", **written(parent))
    if allowed:
        assert give(world, key_id, "Encrypt", to=BOB.arn, by=ALICE, **written(child))["GrantId"]
    else:
        with pytest.raises(AccessError):
            give(world, key_id, "Encrypt", to=BOB.arn, by=ALICE, **written(child))


def test_who_grants_by_a_grant_passes_on_no_operation_he_has_not(world: World) -> None:
    key_id = world.create_key()
    give(world, key_id, "CreateGrant", "Encrypt")
    with pytest.raises(AccessError):
        give(world, key_id, "Decrypt", to=BOB.arn, by=ALICE)
    give(world, key_id, "Encrypt", to=BOB.arn, by=ALICE)
    assert world.do("Encrypt", by=BOB, KeyId=key_id, Plaintext=b"x")


def test_who_grants_by_policy_need_not_have_what_he_grants(world: World) -> None:
    key_id = world.create_key(Policy=policy(statement(principal={"AWS": ALICE.arn}, action="kms:CreateGrant")))
    give(world, key_id, "Decrypt", to=BOB.arn, by=ALICE)
    blob = world.do("Encrypt", KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    assert world.do("Decrypt", by=BOB, CiphertextBlob=blob)["Plaintext"] == b"x"
    assert refuses(world, "Decrypt", by=ALICE, CiphertextBlob=blob) == "AccessDeniedException"


def test_equal_grants_of_one_name_are_one_with_a_fresh_token_each_time(world: World) -> None:
    key_id = world.create_key()
    first, again = (give(world, key_id, "Encrypt", Name="n") for _ in range(2))
    assert first["GrantId"] == again["GrantId"]
    assert first["GrantToken"] != again["GrantToken"]
    assert give(world, key_id, "Decrypt", Name="n")["GrantId"] != first["GrantId"]
    assert give(world, key_id, "Encrypt", Name="m")["GrantId"] != first["GrantId"]
    assert give(world, key_id, "Encrypt")["GrantId"] != give(world, key_id, "Encrypt")["GrantId"]
    for granted in (first, again):
        tokens = {"GrantTokens": [granted["GrantToken"]]}
        assert world.do("Encrypt", by=ALICE, KeyId=key_id, Plaintext=b"x", **tokens)


@pytest.mark.parametrize(
    "change", [lambda t: t[:-4] + "AAAA", lambda t: t[8:], lambda t: "", lambda t: "é" * 9, lambda t: "x"]
)
def test_a_token_that_was_not_issued_is_refused(world: World, change: Any) -> None:
    key_id = world.create_key()
    token = change(give(world, key_id, "Encrypt")["GrantToken"])
    asked = {"KeyId": key_id, "Plaintext": b"x", "GrantTokens": [token]}
    assert refuses(world, "Encrypt", by=ALICE, **asked) == "InvalidGrantTokenException"


def test_a_token_is_no_permission(world: World) -> None:
    key_id = world.create_key()
    token = give(world, key_id, "Encrypt")["GrantToken"]
    asked = {"KeyId": key_id, "Plaintext": b"x", "GrantTokens": [token]}
    assert refuses(world, "Encrypt", by=BOB, **asked) == "AccessDeniedException"
    assert refuses(world, "RetireGrant", by=BOB, GrantToken=token) == "AccessDeniedException"


RETIRES = [
    ("the retiring principal", {"RetiringPrincipal": BOB.arn}, BOB, True),
    ("the grantee whom the grant lets", {"more": "RetireGrant"}, ALICE, True),
    ("the grantee whom it does not let", {}, ALICE, False),
    ("the root of the issuing account", {}, ROOT, True),
    ("a retiring principal of another account", {"RetiringPrincipal": MALLORY.arn}, MALLORY, True),
    ("somebody else", {"RetiringPrincipal": BOB.arn}, CAROL, False),
    ("the root of another account", {}, OTHER_ROOT, False),
]


@pytest.mark.parametrize("by_token", [True, False])
@pytest.mark.parametrize(("more", "by", "allowed"), [r[1:] for r in RETIRES], ids=[r[0] for r in RETIRES])
def test_a_grant_is_retired_by(world: World, more: dict[str, Any], by: Any, allowed: bool, by_token: bool) -> None:
    # A policy that allows kms:RetireGrant to everybody gives nobody that right.
    key_id = world.create_key(Policy=policy(statement(action="kms:RetireGrant")))
    operations = ["Encrypt", more["more"]] if "more" in more else ["Encrypt"]
    granted = give(world, key_id, *operations, **{name: v for name, v in more.items() if name != "more"})
    arn = world.row(key_id).arn
    named = {"GrantToken": granted["GrantToken"]} if by_token else {"KeyId": arn, "GrantId": granted["GrantId"]}
    if allowed:
        assert refuses(world, "RetireGrant", by=by, DryRun=True, **named) == "DryRunOperationException"
        world.do("RetireGrant", by=by, **named)
        assert world.do("ListGrants", KeyId=key_id)["Grants"] == []
    else:
        assert refuses(world, "RetireGrant", by=by, **named) == "AccessDeniedException"


def test_a_policy_can_deny_retiring(world: World) -> None:
    key_id = world.create_key(Policy=policy(statement("Deny", {"AWS": BOB.arn}, "kms:RetireGrant")))
    granted = give(world, key_id, "Encrypt", RetiringPrincipal=BOB.arn)
    assert refuses(world, "RetireGrant", by=BOB, GrantToken=granted["GrantToken"]) == "AccessDeniedException"


def test_grants_are_listed_as_aws_lists_them(world: World) -> None:
    key_id = world.create_key()
    arn = world.row(key_id).arn
    more = {"Name": "n", "RetiringPrincipal": BOB.arn, "Constraints": {EQUALS: {"a": "b"}}}
    granted = give(world, key_id, "Encrypt", "Decrypt", **more)
    (entry,) = world.do("ListGrants", KeyId=key_id)["Grants"]
    assert entry.pop("CreationDate")
    assert entry == {
        "KeyId": arn,
        "GrantId": granted["GrantId"],
        "Name": "n",
        "GranteePrincipal": ALICE.arn,
        "RetiringPrincipal": BOB.arn,
        "IssuingAccount": f"arn:aws:iam::{OURS}:root",
        "Operations": ["Decrypt", "Encrypt"],
        "Constraints": {EQUALS: {"a": "b"}},
    }
    give(world, key_id, "Encrypt", to=BOB.arn)
    assert len(world.do("ListGrants", KeyId=key_id, GranteePrincipal=BOB.arn)["Grants"]) == 1
    assert len(world.do("ListGrants", KeyId=key_id, GrantId=granted["GrantId"])["Grants"]) == 1
    assert [g["GrantId"] for g in world.do("ListRetirableGrants", RetiringPrincipal=BOB.arn)["Grants"]] == [
        granted["GrantId"]
    ]
    assert refuses(world, "ListRetirableGrants", RetiringPrincipal=MALLORY.arn) == "AccessDeniedException"


def test_grants_are_listed_in_pages(world: World) -> None:
    key_id = world.create_key()
    made = sorted(give(world, key_id, "Encrypt", RetiringPrincipal=BOB.arn)["GrantId"] for _ in range(5))
    for operation, named in (
        ("ListGrants", {"KeyId": key_id}),
        ("ListRetirableGrants", {"RetiringPrincipal": BOB.arn}),
    ):
        found, marker = [], {}
        while True:
            answer = world.do(operation, Limit=2, **named, **marker)
            found += [grant["GrantId"] for grant in answer["Grants"]]
            if not answer["Truncated"]:
                break
            marker = {"Marker": answer["NextMarker"]}
        assert found == made


CONDITIONS = [
    ("the operations it may grant", {"ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt"]}}, True),
    ("other operations", {"ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt"]}}, False),
    ("for a service alone", {"Bool": {"kms:GrantIsForAWSResource": "true"}}, False),
    ("not for a service", {"Bool": {"kms:GrantIsForAWSResource": "false"}}, True),
    ("the grantee", {"StringEquals": {"kms:GranteePrincipal": CAROL.arn}}, True),
    ("another grantee", {"StringEquals": {"kms:GranteePrincipal": ALICE.arn}}, False),
    ("the retiring principal", {"StringEquals": {"kms:RetiringPrincipal": BOB.arn}}, True),
    ("constrained equally", {"StringEquals": {"kms:GrantConstraintType": EQUALS}}, True),
    ("constrained by a subset", {"StringEquals": {"kms:GrantConstraintType": SUBSET}}, False),
    ("the pair of the constraint", {"StringEquals": {"kms:EncryptionContext:a": "b"}}, True),
]


@pytest.mark.parametrize(("condition", "allowed"), [c[1:] for c in CONDITIONS], ids=[c[0] for c in CONDITIONS])
def test_policies_say_which_grants_may_be_made(world: World, condition: dict[str, Any], allowed: bool) -> None:
    may = statement(principal={"AWS": ALICE.arn}, action="kms:CreateGrant", **condition)
    key_id = world.create_key(Policy=policy(may))
    asked = {"to": CAROL.arn, "by": ALICE, "RetiringPrincipal": BOB.arn, "Constraints": {EQUALS: {"a": "b"}}}
    if allowed:
        assert give(world, key_id, "Encrypt", **asked)
    else:
        with pytest.raises(AccessError):
            give(world, key_id, "Encrypt", **asked)


REFUSED = [
    ("an account that is not here", {"GranteePrincipal": "999999999999"}, "InvalidArnException"),
    ("no principal", {"GranteePrincipal": "alice"}, "InvalidArnException"),
    ("a retiring principal of nowhere", {"RetiringPrincipal": "arn:aws:iam::9:root"}, "InvalidArnException"),
    ("no grantee", {"GranteePrincipal": None}, "ValidationException"),
    ("an operation of other keys", {"Operations": ["Sign"]}, "ValidationException"),
    ("two constraints", {"Constraints": {EQUALS: {"a": "b"}, SUBSET: {"a": "b"}}}, "ValidationException"),
    ("nine pairs", {"Constraints": {EQUALS: {str(n): "b" for n in range(9)}}}, "ValidationException"),
    ("a long value", {"Constraints": {EQUALS: {"a": "b" * 385}}}, "ValidationException"),
    ("a service", {"GranteeServicePrincipal": "s3.amazonaws.com"}, "UnsupportedOperationException"),
    ("the ARN of a source", {"Constraints": {"SourceArn": "arn:aws:s3:::b"}}, "UnsupportedOperationException"),
    ("an alias for the key", {"KeyId": "alias/a"}, "NotFoundException"),
    ("a dry run", {"DryRun": True}, "DryRunOperationException"),
]


@pytest.mark.parametrize(("changed", "code"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED])
def test_create_grant_refuses(world: World, changed: dict[str, Any], code: str) -> None:
    key_id = world.create_key()
    params = {"KeyId": key_id, "GranteePrincipal": ALICE.arn, "Operations": ["Encrypt"]} | changed
    assert refuses(world, "CreateGrant", **params) == code
    assert world.do("ListGrants", KeyId=key_id)["Grants"] == []


def test_ends_of_grants_that_are_not_there(world: World) -> None:
    key_id, other = world.create_key(), world.create_key()
    granted = give(world, key_id, "Encrypt")
    assert refuses(world, "RevokeGrant", KeyId=key_id, GrantId="x") == "InvalidGrantIdException"
    assert refuses(world, "ListGrants", KeyId=key_id, GrantId="x") == "InvalidGrantIdException"
    assert refuses(world, "RevokeGrant", KeyId=key_id, GrantId="0" * 64) == "NotFoundException"
    assert refuses(world, "RevokeGrant", KeyId=other, GrantId=granted["GrantId"]) == "NotFoundException"
    assert refuses(world, "RetireGrant", KeyId=key_id) == "ValidationException"
    assert refuses(world, "RetireGrant", GrantToken="x") == "InvalidGrantTokenException"
    revoke = {"KeyId": key_id, "GrantId": granted["GrantId"]}
    assert refuses(world, "RevokeGrant", DryRun=True, **revoke) == "DryRunOperationException"
    assert len(world.do("ListGrants", KeyId=key_id)["Grants"]) == 1
    world.do("RevokeGrant", **revoke)
    assert refuses(world, "RetireGrant", GrantToken=granted["GrantToken"]) == "InvalidGrantTokenException"


def test_another_account_does_not_learn_which_keys_and_grants_there_are(world: World) -> None:
    key_id = world.create_key()
    arn, granted = world.row(key_id).arn, give(world, key_id, "Encrypt")
    elsewhere = give(world, world.create_key(), "Encrypt")["GrantId"]
    absent = arn.replace(key_id, "00000000-0000-4000-8000-000000000000")
    for key, grant_id in (
        (arn, elsewhere),
        (arn, granted["GrantId"]),
        (arn, "0" * 64),
        (absent, "0" * 64),
        (absent, granted["GrantId"]),
    ):
        asked = {"by": OTHER_ROOT, "KeyId": key, "GrantId": grant_id}
        assert refuses(world, "RetireGrant", **asked) == "AccessDeniedException"


def test_a_key_has_so_many_grants_and_no_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "MAX_GRANTS", 2)
    key_id = world.create_key()
    give(world, key_id, "Encrypt", Name="n")
    give(world, key_id, "Encrypt")
    assert give(world, key_id, "Encrypt", Name="n")  # none is added
    params = {"KeyId": key_id, "GranteePrincipal": ALICE.arn, "Operations": ["Encrypt"]}
    assert refuses(world, "CreateGrant", **params) == "LimitExceededException"


def test_nothing_that_is_shown_of_a_grant_holds_its_token_key(world: World) -> None:
    key_id = world.create_key()
    give(world, key_id, "Encrypt")
    (row,) = world.database.read_now(lambda rows: key_grants.list_grants(rows, key_id, BUCKET.region))
    assert repr(replace(row, token_key=b"secret")).count("secret") == 0

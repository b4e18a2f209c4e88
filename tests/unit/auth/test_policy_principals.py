"""Whom a Principal element reaches, and whom a NotPrincipal element exempts."""

from __future__ import annotations

import pytest

from s3al.auth.policy_principals import Principals, Reach, read_principals
from s3al.auth.principal import ANONYMOUS, Principal, principal_context

A, B = "111122223333", "999988887777"
CANONICAL = "ab" * 32
ROOT = Principal("root", A, f"arn:aws:iam::{A}:root", A, canonical_id=CANONICAL)
BOB = Principal("user", A, f"arn:aws:iam::{A}:user/team/bob", "AIDABOB", canonical_id=CANONICAL)
ROLE = f"arn:aws:iam::{A}:role/team/auditor"
SESSION = Principal(
    "assumed-role", A, f"arn:aws:sts::{A}:assumed-role/auditor/ann", "AROA1:ann", CANONICAL, issuer_arn=ROLE
)
FEDERATED = Principal("federated", A, f"arn:aws:sts::{A}:federated-user/bob", f"{A}:bob", issuer_arn=BOB.arn)
WEB = Principal("federated", None, "", "web", provider="accounts.google.com")
TRAIL = Principal("service", None, "cloudtrail.amazonaws.com", "cloudtrail")
NONE, ACCOUNT, ISSUER, DIRECT = Reach


def texts(values: object) -> list[str]:
    return [values] if isinstance(values, str) else list(values)  # type: ignore[call-overload]


def principals(element: object) -> Principals:
    return read_principals(element, texts, canonical=True)


@pytest.mark.parametrize(
    ("element", "principal", "expected"),
    [
        ("*", ANONYMOUS, DIRECT),
        ("*", BOB, DIRECT),
        ("*", TRAIL, DIRECT),
        ({"AWS": "*"}, ANONYMOUS, DIRECT),
        ({"AWS": A}, ROOT, DIRECT),
        ({"AWS": ROOT.arn}, ROOT, DIRECT),
        ({"AWS": A}, BOB, ACCOUNT),
        ({"AWS": ROOT.arn}, SESSION, ACCOUNT),
        ({"AWS": A}, ANONYMOUS, NONE),
        ({"AWS": A}, TRAIL, NONE),
        ({"AWS": B}, BOB, NONE),
        ({"AWS": BOB.arn}, BOB, DIRECT),
        ({"AWS": BOB.arn.upper().replace("ARN:AWS:IAM", "arn:aws:iam").replace("USER", "user")}, BOB, NONE),
        ({"AWS": [B, BOB.arn]}, BOB, DIRECT),
        ({"AWS": BOB.arn}, ROOT, NONE),
        ({"AWS": BOB.arn}, FEDERATED, ISSUER),
        ({"AWS": FEDERATED.arn}, FEDERATED, DIRECT),
        ({"AWS": FEDERATED.arn}, BOB, NONE),
        ({"AWS": ROLE}, SESSION, ISSUER),
        ({"AWS": SESSION.arn}, SESSION, DIRECT),
        ({"AWS": [ROLE, SESSION.arn]}, SESSION, DIRECT),
        ({"AWS": [A, ROLE]}, SESSION, ISSUER),
        ({"CanonicalUser": CANONICAL}, ROOT, DIRECT),
        ({"CanonicalUser": CANONICAL}, BOB, ACCOUNT),
        ({"CanonicalUser": "cd" * 32}, BOB, NONE),
        ({"Service": "cloudtrail.amazonaws.com"}, TRAIL, DIRECT),
        ({"Service": "s3.amazonaws.com"}, TRAIL, NONE),
        ({"Service": "cloudtrail.amazonaws.com"}, BOB, NONE),
        ({"Federated": "accounts.google.com"}, WEB, DIRECT),
        ({"Federated": "www.amazon.com"}, WEB, NONE),
        ({"Federated": "accounts.google.com"}, ANONYMOUS, NONE),
    ],
)
def test_principal_reaches_a_caller_as_directly_as_it_names_them(element, principal, expected):
    assert principals(element).reach(principal) is expected


@pytest.mark.parametrize(
    ("element", "principal", "expected"),
    [
        ("*", ANONYMOUS, True),
        ({"AWS": A}, ROOT, True),
        ({"AWS": A}, BOB, False),
        ({"AWS": BOB.arn}, BOB, False),
        ({"AWS": [BOB.arn, A]}, BOB, True),
        ({"AWS": [BOB.arn, ROOT.arn]}, BOB, True),
        ({"AWS": BOB.arn, "CanonicalUser": CANONICAL}, BOB, True),
        ({"AWS": [ROLE, A]}, SESSION, False),
        ({"AWS": [SESSION.arn, A]}, SESSION, False),
        ({"AWS": [SESSION.arn, ROLE]}, SESSION, False),
        ({"AWS": [SESSION.arn, ROLE, A]}, SESSION, True),
        ({"AWS": [FEDERATED.arn, BOB.arn, A]}, FEDERATED, True),
        ({"AWS": [BOB.arn, A]}, ANONYMOUS, False),
        ({"Service": "cloudtrail.amazonaws.com"}, TRAIL, True),
        ({"AWS": A}, TRAIL, False),
        ({"Federated": "accounts.google.com"}, WEB, True),
    ],
)
def test_not_principal_exempts_only_who_is_named_in_every_layer(element, principal, expected):
    assert principals(element).exempts(principal) is expected


@pytest.mark.parametrize("kind", ["root", "user", "assumed-role"])
def test_a_principal_of_an_account_names_it(kind):
    with pytest.raises(ValueError):
        Principal(kind, None, "arn", "id", issuer_arn=ROLE)


def test_a_role_session_names_its_role():
    with pytest.raises(ValueError):
        Principal("assumed-role", A, "arn", "id")


def test_condition_keys_of_a_principal_are_those_of_the_guide():
    assert principal_context(BOB) == {
        "aws:PrincipalType": "User",
        "aws:PrincipalIsAWSService": "false",
        "aws:userid": "AIDABOB",
        "aws:PrincipalAccount": A,
        "aws:PrincipalArn": BOB.arn,
        "aws:username": "bob",
    }
    assert principal_context(SESSION)["aws:PrincipalArn"] == ROLE
    assert principal_context(ANONYMOUS) == {
        "aws:PrincipalType": "Anonymous",
        "aws:PrincipalIsAWSService": "false",
        "aws:userid": "anonymous",
    }
    assert principal_context(TRAIL)["aws:PrincipalServiceName"] == "cloudtrail.amazonaws.com"
    tagged = Principal("root", A, ROOT.arn, A, tags={"team": "red"})
    assert principal_context(tagged)["aws:PrincipalTag/team"] == "red"

"""What S3 calls public."""

from __future__ import annotations

import json

import pytest

from s3al.auth.policy import Policy, PolicyKind
from s3al.auth.publicness import is_public, public_statements

A = "111122223333"
KMS_KEY = f"arn:aws:kms:us-east-1:{A}:key/k"


def policy(*statements: dict[str, object], kind: PolicyKind = PolicyKind.BUCKET) -> Policy:
    base = {"Effect": "Allow", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::bucket/*"}
    merged = [{name: value for name, value in (base | one).items() if value is not None} for one in statements]
    text = json.dumps({"Version": "2012-10-17", "Statement": merged})
    return Policy.parse(text, kind=kind, max_bytes=20480, bucket_name="bucket" if kind is PolicyKind.BUCKET else None)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"AWS": [A, "*"]}}, True),
        ({"Principal": {"Federated": "graph.facebook.com"}}, True),
        ({"Principal": {"AWS": A}}, False),
        ({"Principal": {"AWS": f"arn:aws:iam::{A}:role/r"}}, False),
        ({"Principal": {"Service": "cloudtrail.amazonaws.com"}}, False),
        ({"Principal": {"CanonicalUser": "ab" * 32}}, False),
        ({"Effect": "Deny"}, False),
        ({"Effect": "Deny", "Principal": None, "NotPrincipal": {"AWS": A}}, False),
    ],
)
def test_a_grant_is_public_unless_its_principals_are_fixed(changes, expected):
    assert is_public(policy(changes)) is expected


@pytest.mark.parametrize(
    ("operator", "key", "value", "expected"),
    [
        ("StringEquals", "aws:SourceVpc", "vpc-91237329", False),
        ("StringEquals", "AWS:SOURCEVPC", "vpc-91237329", False),
        ("StringLike", "aws:SourceVpc", "vpc-91237329", False),
        ("StringLike", "aws:SourceVpc", "vpc-*", True),
        ("StringLike", "aws:SourceVpc", ["vpc-91237329", "vpc-?"], True),
        ("StringEquals", "aws:SourceVpc", "${aws:username}", True),
        ("StringEqualsIfExists", "aws:SourceVpc", "vpc-91237329", True),
        ("StringNotEquals", "aws:SourceVpc", "vpc-91237329", True),
        ("StringEqualsIgnoreCase", "aws:SourceVpce", "vpce-1", False),
        ("ForAnyValue:StringEquals", "aws:PrincipalOrgPaths", "o-1/r-1/ou-1/", False),
        ("ForAllValues:StringEquals", "aws:PrincipalOrgPaths", "o-1/r-1/ou-1/", True),
        ("Null", "aws:SourceVpc", "false", True),
        ("StringEquals", "aws:PrincipalOrgID", "o-1", False),
        ("StringEquals", "aws:PrincipalAccount", A, False),
        ("ArnEquals", "aws:PrincipalArn", f"arn:aws:iam::{A}:role/r", False),
        ("ArnLike", "aws:PrincipalArn", f"arn:aws:iam::{A}:role/*", True),
        ("ArnEquals", "aws:SourceArn", "arn:aws:s3:::source", False),
        ("ArnLike", "aws:SourceArn", "arn:aws:s3:::source-*", True),
        ("StringEquals", "aws:SourceAccount", A, False),
        ("StringEquals", "aws:SourceOwner", A, False),
        ("StringLike", "aws:userid", "AIDAEXAMPLE", False),
        ("StringLike", "aws:userid", "AROAEXAMPLE:*", True),
        ("StringEquals", "aws:userid", "AROAEXAMPLE:session", True),
        ("StringEquals", "s3:x-amz-server-side-encryption-aws-kms-key-id", KMS_KEY, False),
        ("StringEquals", "s3:x-amz-server-side-encryption", "aws:kms", True),
        ("StringEquals", "aws:Referer", "https://example.com/", True),
        ("Bool", "aws:SecureTransport", "true", True),
        ("ArnLike", "s3:DataAccessPointArn", f"arn:aws:s3:us-west-2:{A}:accesspoint/*", False),
        ("ArnLike", "s3:DataAccessPointArn", "arn:aws:s3:us-west-2:*:accesspoint/mine", True),
        ("StringEquals", "s3:DataAccessPointAccount", A, False),
        ("IpAddress", "aws:SourceIp", "203.0.113.0/24", False),
        ("IpAddress", "aws:SourceIp", "203.0.113.7", False),
        ("IpAddress", "aws:SourceIp", "10.0.0.0/8", False),
        ("IpAddress", "aws:SourceIp", "11.0.0.0/8", False),
        ("IpAddress", "aws:SourceIp", "10.0.0.0/7", True),
        ("IpAddress", "aws:SourceIp", "0.0.0.0/1", True),
        ("IpAddress", "aws:SourceIp", "0.0.0.0/0", True),
        ("IpAddress", "aws:SourceIp", ["203.0.113.0/24", "128.0.0.0/1"], True),
        ("IpAddress", "aws:SourceIp", "2001:db8::/32", False),
        ("IpAddress", "aws:SourceIp", "2001:db8::/31", True),
        ("IpAddress", "aws:SourceIp", "::ffff:0.0.0.0/96", True),
        ("IpAddressIfExists", "aws:SourceIp", "203.0.113.0/24", True),
        ("NotIpAddress", "aws:SourceIp", "203.0.113.0/24", True),
        ("StringEquals", "aws:SourceIp", "203.0.113.7", True),
        ("IpAddress", "aws:VpcSourceIp", "203.0.113.0/24", True),
    ],
)
def test_a_grant_to_everyone_is_public_unless_a_condition_admits_fixed_values_only(operator, key, value, expected):
    assert is_public(policy({"Condition": {operator: {key: value}}})) is expected


def test_one_fixing_condition_among_others_suffices():
    conditions = {
        "Bool": {"aws:SecureTransport": "true"},
        "StringEquals": {"aws:Referer": "x", "aws:SourceVpc": "vpc-1"},
    }
    assert not is_public(policy({"Condition": conditions}))


def test_one_public_statement_makes_the_policy_public_and_is_named():
    mixed = policy(
        {"Sid": "Trail", "Principal": {"Service": "cloudtrail.amazonaws.com"}},
        {"Sid": "Account", "Principal": {"AWS": A}},
        {"Sid": "World"},
        {"Sid": "No", "Effect": "Deny"},
    )
    assert is_public(mixed)
    assert [statement.sid for statement in public_statements(mixed)] == ["World"]


def test_the_policy_of_a_managed_key_is_not_public():
    condition = {"StringEquals": {"kms:CallerAccount": A, "kms:ViaService": "s3.us-east-1.amazonaws.com"}}
    changes = {"Action": "kms:Decrypt", "Resource": "*", "Principal": {"AWS": "*"}}
    assert not is_public(policy(changes | {"Condition": condition}, kind=PolicyKind.KEY))
    assert is_public(policy(changes, kind=PolicyKind.KEY))

"""Whether a policy grants access to the public, as S3 defines it.

What lives here: the definition that GetBucketPolicyStatus, BlockPublicPolicy and RestrictPublicBuckets
share. What does not: what follows from it (the S3 room).

Laws: a policy is public until each of its grants is seen to go to fixed values only; a value with a wildcard
or a policy variable is not fixed; Deny statements do not make a policy less public; in doubt it is public.

Source: S3 User Guide, "Blocking public access to your Amazon S3 storage", The meaning of "public".
"""

from __future__ import annotations

import re

from s3al.auth.conditions import Condition, read_network
from s3al.auth.decision import DecidedBy
from s3al.auth.policy import Policy, Statement

# Lower case. A grant conditioned on fixed values of one of these is not public.
_FIXING_KEYS = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceorgid",
        "aws:sourceorgpaths",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "kms:calleraccount",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
    }
)
_FIXING_OPERATORS = frozenset({"StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike"})
_UNFIXED = re.compile(r"[*?]|\$\{")
_ROLE_SESSION = re.compile(r"AROA[A-Z0-9]*:.*", re.DOTALL)
_ACCESS_POINTS_OF_ACCOUNT = re.compile(r"arn:aws[a-z-]*:s3:[a-z0-9-]*:[0-9]{12}:accesspoint/[^$]*")
_NARROWEST_PUBLIC = {4: 8, 6: 32}  # prefix length, by IP version, from which a range counts as fixed


def is_public(policy: Policy) -> bool:
    return any(True for statement in policy.statements if _is_public(statement))


def public_statements(policy: Policy) -> tuple[DecidedBy, ...]:
    """The statements that make the policy public."""
    return tuple(statement.decided_by for statement in policy.statements if _is_public(statement))


def _is_public(statement: Statement) -> bool:
    principals = statement.principals
    if not statement.allows or principals is None:
        return False
    if not (principals.anyone or principals.providers or statement.not_principals):
        return False
    return not any(_fixes(condition) for condition in statement.conditions)


def _fixes(condition: Condition) -> bool:
    """Whether the condition admits fixed values only; one that a missing key satisfies does not."""
    name = condition.operator
    if name.if_exists or name.quantifier == "ForAllValues":
        return False
    key = condition.key.lower()
    if key == "aws:sourceip":
        return name.base == "IpAddress" and all(_is_narrow(value) for value in condition.values)
    if key not in _FIXING_KEYS or name.base not in _FIXING_OPERATORS:
        return False
    return all(_is_fixed(key, value) for value in condition.values)


def _is_narrow(cidr: str) -> bool:
    network = read_network(cidr)
    return network.prefixlen >= _NARROWEST_PUBLIC[network.version]


def _is_fixed(key: str, value: str) -> bool:
    if key == "s3:dataaccesspointarn" and _ACCESS_POINTS_OF_ACCOUNT.fullmatch(value):
        return True
    if key == "aws:userid" and _ROLE_SESSION.fullmatch(value):
        return False
    return not _UNFIXED.search(value)

"""The proof of authorization cannot be had for a refusal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import s3al
from s3al.auth.authorized import Authorized, grant
from s3al.auth.decision import AccessRequest, DecidedBy, Decision, refusal_message
from s3al.auth.principal import ANONYMOUS
from s3al.errors import AccessError

ALLOW = Decision("allow", DecidedBy("bucket-policy", "Read", 0))
REFUSALS = [Decision("explicit-deny"), Decision("implicit-deny")]


def test_grant_keeps_who_why_and_when():
    authorized = grant(ANONYMOUS, (ALLOW, ALLOW), 7)
    assert authorized == Authorized(ANONYMOUS, (ALLOW, ALLOW), 7)


def test_an_operation_that_needs_no_permission_is_granted():
    assert grant(ANONYMOUS, (), 0).decisions == ()


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("make", [grant, Authorized])
def test_one_refusal_among_many_refuses(make, refusal):
    with pytest.raises(AccessError) as caught:
        make(ANONYMOUS, (ALLOW, refusal, ALLOW), 0)
    assert caught.value.code == "AccessDenied"


def test_an_authorized_value_cannot_be_altered():
    with pytest.raises(AttributeError):
        grant(ANONYMOUS, (ALLOW,), 0).stamp = 9  # type: ignore[misc]


def test_only_grant_makes_authorized_values():
    """Python cannot seal a constructor; this looks for other uses."""
    package = Path(next(iter(s3al.__path__)))
    calls = re.compile(r"(?<!class )\bAuthorized\(")
    found = [path.name for path in package.rglob("*.py") if calls.search(path.read_text())]
    assert found == ["authorized.py"]


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (DecidedBy("bucket-policy", "Read", 0), "statement 1 'Read' of bucket-policy"),
        (DecidedBy("ReadOnly", None, 4), "statement 5 of ReadOnly"),
    ],
)
def test_the_statement_that_decided_is_told_in_words(statement, expected):
    assert str(statement) == expected


def test_a_refusal_is_told_in_the_words_of_aws():
    request = AccessRequest(ANONYMOUS, "s3:GetObject", "arn:aws:s3:::b/k")
    decision = Decision("implicit-deny", reason="because no resource-based policy allows the s3:GetObject action")
    assert refusal_message(request, decision) == (
        "User: anonymous is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/k "
        "because no resource-based policy allows the s3:GetObject action"
    )

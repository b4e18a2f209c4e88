"""What policies learn of a caller from the caller alone."""

from __future__ import annotations

from dataclasses import replace

from s3al.auth.principal import ANONYMOUS, Principal, Session, principal_context

A = "111122223333"
ROLE = f"arn:aws:iam::{A}:role/team/auditor"
SESSION = Principal(
    "assumed-role",
    A,
    f"arn:aws:sts::{A}:assumed-role/auditor/ann",
    "AROA1:ann",
    tags={"team": "blue"},
    session_name="ann",
    issuer_arn=ROLE,
    session=Session(1_700_000_000_123, 1_700_000_900_123),
)


def test_a_session_is_known_by_its_role_and_when_it_began():
    context = principal_context(SESSION)
    assert context["aws:PrincipalArn"] == ROLE and context["aws:userid"] == "AROA1:ann"
    assert context["aws:PrincipalType"] == "AssumedRole" and context["aws:PrincipalTag/team"] == "blue"
    assert context["aws:TokenIssueTime"] == "2023-11-14T22:13:20.123Z"
    assert not {"aws:username", "aws:SourceIdentity", "aws:FederatedProvider"} & context.keys()


def test_a_session_of_a_web_identity_keeps_its_claims():
    session = Session(0, 1, source_identity="ann", provider="arn:p", claims=(("idp.example:sub", "ann@example"),))
    context = principal_context(replace(SESSION, session=session))
    assert context["aws:SourceIdentity"] == "ann" and context["aws:FederatedProvider"] == "arn:p"
    assert context["idp.example:sub"] == "ann@example"


def test_nobody_has_a_second_factor():
    for principal in (SESSION, ANONYMOUS, Principal("user", A, f"arn:aws:iam::{A}:user/x/bob", "AIDA")):
        assert "aws:MultiFactorAuthPresent" not in principal_context(principal)
        assert "aws:PrincipalOrgID" not in principal_context(principal)


def test_a_user_is_known_by_name_without_path_and_has_no_issue_time():
    context = principal_context(Principal("user", A, f"arn:aws:iam::{A}:user/x/bob", "AIDA"))
    assert context["aws:username"] == "bob" and "aws:TokenIssueTime" not in context


def test_only_session_policies_narrow_a_session():
    assert not Session(0, 1).is_narrowed
    assert Session(0, 1, policy="{}").is_narrowed and Session(0, 1, policy_arns=("arn:x",)).is_narrowed

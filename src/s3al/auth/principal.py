"""Who makes a request, as policies see it.

What lives here: `Principal`, `Session`, and the condition keys that describe them. What does not: credentials and
secrets (store, service), what a principal may do (evaluate).

Law: a principal says nothing of how it was authenticated and carries no secret. aws:MultiFactorAuthPresent is left
out, as there is no second factor; a condition that demands it is not met.

Source: IAM User Guide, "AWS JSON policy elements: Principal"; "AWS global condition context keys"
(aws:PrincipalType table).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

PrincipalKind = Literal["root", "user", "assumed-role", "federated", "service", "anonymous"]

_PRINCIPAL_TYPES: Mapping[PrincipalKind, str] = {
    "root": "Account",
    "user": "User",
    "assumed-role": "AssumedRole",
    "federated": "FederatedUser",
    "service": "AWSService",
    "anonymous": "Anonymous",
}


@dataclass(frozen=True, slots=True)
class Session:
    """What temporary credentials say of their holder beside who it is.

    issued_at_ms, expires_at_ms: UTC ms. policy: the session policy as JSON. policy_arns: managed policies that narrow
    the session too. transitive_tags: names of tags that a further role takes over. claims: condition keys of a web
    identity, by their whole name.
    """

    issued_at_ms: int
    expires_at_ms: int
    policy: str | None = None
    policy_arns: tuple[str, ...] = ()
    transitive_tags: tuple[str, ...] = ()
    source_identity: str | None = None
    provider: str | None = None
    claims: tuple[tuple[str, str], ...] = ()

    @property
    def is_narrowed(self) -> bool:
        return self.policy is not None or bool(self.policy_arns)


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller of one request.

    account_id: 12 digits; None only for services and anonymous callers. arn: of the session for assumed roles and
    federated users; a service's DNS name for services. canonical_id: that of the account.
    issuer_arn: the role behind an assumed-role session, or the user who began a federated session.
    provider: the identity provider of a web or SAML identity that is not yet a session of an account.
    session: None where the caller signed with a long-term key. tags: of the user, or of role and session.
    """

    kind: PrincipalKind
    account_id: str | None
    arn: str
    user_id: str
    canonical_id: str | None = None
    access_key_id: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)
    session_name: str | None = None
    issuer_arn: str | None = None
    provider: str | None = None
    session: Session | None = None

    def __post_init__(self) -> None:
        if self.account_id is None and self.kind not in {"service", "anonymous", "federated"}:
            raise ValueError(f"a principal of kind {self.kind} belongs to an account")
        if self.kind == "assumed-role" and self.issuer_arn is None:
            raise ValueError("an assumed-role session names its role in issuer_arn")


ANONYMOUS = Principal(kind="anonymous", account_id=None, arn="", user_id="anonymous")


def principal_context(principal: Principal) -> dict[str, str | list[str]]:
    """The condition keys that follow from the principal alone; a key that AWS leaves out is left out."""
    context: dict[str, str | list[str]] = {
        "aws:PrincipalType": _PRINCIPAL_TYPES[principal.kind],
        "aws:PrincipalIsAWSService": "true" if principal.kind == "service" else "false",
        "aws:userid": principal.user_id,
    }
    if principal.kind == "service":
        context["aws:PrincipalServiceName"] = principal.arn
    elif principal.account_id is not None:
        context["aws:PrincipalAccount"] = principal.account_id
        context["aws:PrincipalArn"] = _policy_arn(principal)
    if principal.kind == "user":
        context["aws:username"] = principal.arn.rpartition("/")[2]
    for name, value in principal.tags.items():
        context[f"aws:PrincipalTag/{name}"] = value
    if principal.session is not None:
        context |= _session_context(principal.session)
    return context


def _session_context(session: Session) -> dict[str, str]:
    issued_at = datetime.fromtimestamp(session.issued_at_ms / 1000, UTC)
    context = {"aws:TokenIssueTime": issued_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    if session.source_identity is not None:
        context["aws:SourceIdentity"] = session.source_identity
    if session.provider is not None:
        context["aws:FederatedProvider"] = session.provider
    return context | dict(session.claims)


def _policy_arn(principal: Principal) -> str:
    """aws:PrincipalArn of an assumed-role session is the ARN of the role, not of the session."""
    if principal.kind == "assumed-role" and principal.issuer_arn is not None:
        return principal.issuer_arn
    return principal.arn

"""The decision: what all policies together say of one request, and why.

What lives here: `evaluate`, `explain`, and the one function that tests a statement. What does not: loading
policies, the condition keys of a request (the services), grants on keys (kms).

Laws: an explicit deny in any policy wins; nothing is allowed by default but, where the service says so
(`owner_allows`), to the root of the account that owns the resource; across accounts both sides must allow;
`explain` runs the same tests as `evaluate`.

Source: IAM User Guide, "Policy evaluation logic", "Cross-account policy evaluation logic"; KMS Developer
Guide, "Key policies".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from s3al.auth.decision import AccessRequest, DecidedBy, Decision
from s3al.auth.policy import Policy, PolicyKind, Statement
from s3al.auth.policy_principals import Reach
from s3al.auth.principal import Principal
from s3al.auth.variables import Context

__all__ = [
    "AccessRequest",
    "DecidedBy",
    "Decision",
    "Explanation",
    "Mismatch",
    "StatementReport",
    "evaluate",
    "evaluate_resource_policy",
    "explain",
    "limited",
]

_CALLED = {
    PolicyKind.BUCKET: "resource-based policy",
    PolicyKind.KEY: "resource-based policy",
    PolicyKind.TRUST: "role trust policy",
    PolicyKind.IDENTITY: "identity-based policy",
    PolicyKind.BOUNDARY: "permissions boundary",
    PolicyKind.SESSION: "session policy",
}


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The first element of a statement that a request does not meet. operator, key: of the condition, if it is one."""

    element: Literal["action", "principal", "resource", "condition"]
    operator: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class StatementReport:
    """What one statement had to say of a request. failed: None where it matched."""

    statement: DecidedBy
    effect: Literal["Allow", "Deny"]
    failed: Mismatch | None

    @property
    def matched(self) -> bool:
        return self.failed is None


@dataclass(frozen=True, slots=True)
class Explanation:
    decision: Decision
    statements: tuple[StatementReport, ...]


_ACTION = Mismatch("action")
_PRINCIPAL = Mismatch("principal")
_RESOURCE = Mismatch("resource")


@dataclass(slots=True)
class _Question:
    """One request, with what every statement asks of it worked out once."""

    principal: Principal
    action: str
    written_action: str
    resource: str
    context: Context
    bounded: bool


@dataclass(frozen=True, slots=True)
class _Policies:
    """Every policy that has a say. sessions: None where the caller is no session with policies of its own."""

    resource: Policy | None
    resource_account: str | None
    identity: Sequence[Policy]
    boundary: Policy | None
    sessions: Sequence[Policy] | None
    owner_allows: bool

    def __iter__(self) -> Iterator[Policy]:
        if self.resource is not None:
            yield self.resource
        yield from self.identity
        if self.boundary is not None:
            yield self.boundary
        yield from self.sessions or ()


def evaluate(
    request: AccessRequest,
    *,
    resource_policy: Policy | None,
    resource_account: str | None,
    identity_policies: Sequence[Policy] = (),
    boundary: Policy | None = None,
    session_policies: Sequence[Policy] | None = None,
    owner_allows: bool = False,
) -> Decision:
    """Decide one request.

    resource_account: the account that owns the resource. session_policies: None for callers without any; an empty
    sequence allows nothing. owner_allows: the root of the owning account, and identity policies of that account, need
    no resource policy (S3 and most services; not KMS keys or role trust).
    """
    policies = _Policies(resource_policy, resource_account, identity_policies, boundary, session_policies, owner_allows)
    return _decide(_question(request, policies), policies)


def evaluate_resource_policy(policy: Policy, request: AccessRequest, *, resource_account: str | None) -> Decision:
    """What a resource policy says by itself, without the caller's own policies."""
    return evaluate(request, resource_policy=policy, resource_account=resource_account)


def limited(
    request: AccessRequest, *, boundary: Policy | None, session_policies: Sequence[Policy] | None
) -> Decision | None:
    """The refusal of a boundary or of session policies that do not allow what something else does; None if neither
    stands in the way. Explicit denies are `evaluate`'s."""
    policies = _Policies(None, None, (), boundary, session_policies, owner_allows=False)
    return _limited(_question(request, policies), policies)


def explain(
    request: AccessRequest,
    *,
    resource_policy: Policy | None,
    resource_account: str | None,
    identity_policies: Sequence[Policy] = (),
    boundary: Policy | None = None,
    session_policies: Sequence[Policy] | None = None,
    owner_allows: bool = False,
) -> Explanation:
    """The decision, and of every statement whether it matched or which element did not. Arguments as `evaluate`."""
    policies = _Policies(resource_policy, resource_account, identity_policies, boundary, session_policies, owner_allows)
    question = _question(request, policies)
    reports = tuple(
        StatementReport(statement.decided_by, "Allow" if statement.allows else "Deny", _mismatch(statement, question))
        for policy in policies
        for statement in policy.statements
    )
    return Explanation(_decide(question, policies), reports)


def _question(request: AccessRequest, policies: _Policies) -> _Question:
    return _Question(
        request.principal,
        request.action.lower(),
        request.action,
        request.resource,
        Context(request.context),
        bounded=policies.boundary is not None,
    )


def _mismatch(statement: Statement, question: _Question) -> Mismatch | None:
    if not statement.covers_action(question.action):
        return _ACTION
    return _mismatch_beyond_action(statement, question)


def _mismatch_beyond_action(statement: Statement, question: _Question) -> Mismatch | None:
    """None if the statement, which covers the action, matches the request."""
    principals = statement.principals
    if principals is not None:
        if statement.not_principals:
            # AWS: Deny with NotPrincipal always denies a principal that has a permissions boundary.
            if principals.exempts(question.principal) and not (question.bounded and not principals.anyone):
                return _PRINCIPAL
        elif not principals.reach(question.principal):
            return _PRINCIPAL
    resources = statement.resources
    if resources is None or resources.match(question.resource, question.context) is statement.not_resources:
        return _RESOURCE
    for condition in statement.conditions:
        if not condition.holds(question.context):
            return Mismatch("condition", condition.operator.written, condition.key)
    return None


def _decide(question: _Question, policies: _Policies) -> Decision:
    denied = _explicit_deny(question, policies)
    if denied is not None:
        return denied
    reach, named_by = _resource_allow(question, policies.resource)
    principal = question.principal
    if principal.account_id is None:
        if named_by is None:
            return _not_named(question, policies)
        return _allow(named_by)
    if principal.account_id == policies.resource_account:
        return _within_account(question, policies, reach, named_by)
    return _across_accounts(question, policies, named_by)


def _explicit_deny(question: _Question, policies: _Policies) -> Decision | None:
    for policy in policies:
        for statement in policy.on_action(question.action).denies.near(question.resource):
            if _mismatch_beyond_action(statement, question) is None:
                called = _CALLED[policy.kind]
                article = "an" if called.startswith("i") else "a"
                reason = f"with an explicit deny in {article} {called}"
                return Decision("explicit-deny", statement.decided_by, reason)
    return None


def _resource_allow(question: _Question, policy: Policy | None) -> tuple[Reach, Statement | None]:
    """The allowing statement that reaches the caller most directly."""
    best, named_by = Reach.NONE, None
    if policy is None:
        return best, named_by
    for statement in policy.on_action(question.action).allows.near(question.resource):
        reach = Reach.NONE if statement.principals is None else statement.principals.reach(question.principal)
        if reach > best and _mismatch_beyond_action(statement, question) is None:
            best, named_by = reach, statement
            if best is Reach.DIRECT:
                break
    return best, named_by


def _within_account(question: _Question, policies: _Policies, reach: Reach, named_by: Statement | None) -> Decision:
    if reach is Reach.DIRECT and named_by is not None:
        return _allow(named_by)
    if reach is Reach.ISSUER and named_by is not None:
        return _limited(question, policies) or _allow(named_by)
    if not policies.owner_allows and named_by is None:
        return _not_named(question, policies)
    if question.principal.kind == "root":
        return Decision("allow", reason="as the root user of the account that owns the resource")
    allowed_by = _any_allow(question, policies.identity)
    if allowed_by is None:
        return _implicit("identity-based policy", question)
    return _limited(question, policies) or _allow(allowed_by)


def _across_accounts(question: _Question, policies: _Policies, named_by: Statement | None) -> Decision:
    if named_by is None:
        return _not_named(question, policies)
    if question.principal.kind != "root":
        if _any_allow(question, policies.identity) is None:
            return _implicit("identity-based policy", question)
        limited = _limited(question, policies)
        if limited is not None:
            return limited
    return _allow(named_by)


def _limited(question: _Question, policies: _Policies) -> Decision | None:
    """The refusal of a permissions boundary or of session policies that do not allow; None if nothing limits."""
    if policies.boundary is not None and _any_allow(question, (policies.boundary,)) is None:
        return _implicit("permissions boundary", question)
    sessions = policies.sessions
    if sessions is None and question.principal.kind == "federated":
        sessions = ()  # GetFederationToken without a policy grants nothing
    if sessions is not None and _any_allow(question, sessions) is None:
        return _implicit("session policy", question)
    return None


def _any_allow(question: _Question, policies: Sequence[Policy]) -> Statement | None:
    for policy in policies:
        for statement in policy.on_action(question.action).allows.near(question.resource):
            if _mismatch_beyond_action(statement, question) is None:
                return statement
    return None


def _allow(statement: Statement) -> Decision:
    return Decision("allow", statement.decided_by)


def _not_named(question: _Question, policies: _Policies) -> Decision:
    kind = PolicyKind.BUCKET if policies.resource is None else policies.resource.kind
    return _implicit(_CALLED[kind], question)


def _implicit(missing: str, question: _Question) -> Decision:
    return Decision("implicit-deny", reason=f"because no {missing} allows the {question.written_action} action")

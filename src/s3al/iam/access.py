"""Who may call the identity operations, STS and our own API.

What lives here: `authorizer`, which makes a service's `authorize`, and the decision for each of these services. What
does not: evaluation (auth.evaluate), loading a caller's policies (service.identities), which checks an operation needs
(beside the operation).

Laws: nobody acts on another account's identities; to take a role needs its trust policy and, unless that names the
caller itself, a policy of the caller; a role that is not there is answered as one that refuses; the operations of our
own API (`s3al:*`) belong to the root of the operator's account, and to those of that account whom a policy lets; those
about one account's own things also to that account, in the same way. What a
session token without a second factor may not do (IAM, most of STS) stands here too.

Sources: STS API Reference; IAM User Guide, "Policy evaluation logic", "Compare AWS STS credentials".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from s3al.auth.authorized import Authorized, grant
from s3al.auth.decision import AccessRequest, Decision, Weighed, refusal_message
from s3al.auth.policy import Policy, PolicyKind
from s3al.errors import AccessError, RequestError
from s3al.iam.ports import Iam
from s3al.service.identities import Identities, Identity, compiled
from s3al.service.operation import Call, Check, Operation, Ports
from s3al.service.request_context import global_context
from s3al.store import accounts, catalog, identities
from s3al.store.database import Rows
from s3al.store.identities import NamedDocument

T = TypeVar("T")

# Anybody may send these; who he is follows from a token that is not a signature.
UNSIGNED = frozenset({"AssumeRoleWithWebIdentity"})
# All that credentials of GetSessionToken may do with STS.
_WITH_SESSION_TOKEN = frozenset({"AssumeRole", "GetCallerIdentity"})


def no_checks(call: Call, rows: Rows, iam: Iam) -> Iterable[Check]:
    return ()


def authorizer(
    operations: Mapping[str, Operation[Ports]], known: Identities | None = None
) -> Callable[[Rows, Call, Ports], Authorized]:
    """For a service made of these operations. known: the worker's cache, or one of its own."""
    cache = known or Identities()

    def authorize(rows: Rows, call: Call, ports: Ports) -> Authorized:
        if call.principal.kind == "anonymous" and call.operation not in UNSIGNED:
            raise RequestError("MissingAuthenticationToken")
        _refuse_session_token(call)
        checks = operations[call.operation].checks(call, rows, ports)
        decisions = tuple(_decide(rows, call, check, cache.of(rows, call.principal)) for check in checks)
        return grant(call.principal, decisions, catalog.change_counter(rows))

    return authorize


def _refuse_session_token(call: Call) -> None:
    if call.principal.session is None or call.principal.kind not in ("user", "root"):
        return
    if call.service == "iam":
        raise RequestError("InvalidClientTokenId")
    if call.service == "sts" and call.operation not in _WITH_SESSION_TOKEN:
        raise AccessError("AccessDenied", f"Cannot call {call.operation} with session credentials")


def _decide(rows: Rows, call: Call, check: Check, identity: Identity) -> Decision:
    """Raises AccessError unless allowed."""
    weighed = weigh(rows, call, check, identity)
    if not weighed.decision.allows:
        message = refusal_message(weighed.request, weighed.decision)
        raise AccessError("AccessDenied", message).with_weighed(weighed)
    return weighed.decision


def weigh(rows: Rows, call: Call, check: Check, identity: Identity) -> Weighed:
    """The decision, whatever it is. Raises AccessError where a root asks for a role."""
    context = {**global_context(call), **check.context}
    request = AccessRequest(call.principal, check.action, check.resource, context)
    by_service = _BY_SERVICE.get(check.action.partition(":")[0], _decide_account)
    return Weighed(request, by_service(rows, request, identity), account_of(check.resource) or None)


def _decide_account(rows: Rows, request: AccessRequest, identity: Identity) -> Decision:
    """Users, roles, policies: an account's own business. What is AWS's own may be looked at by every account."""
    owner = account_of(request.resource)
    if owner in ("", "aws"):
        owner = request.principal.account_id or ""
    return identity.evaluate(request, resource_policy=None, resource_account=owner, owner_allows=True)


def _decide_own(rows: Rows, request: AccessRequest, identity: Identity) -> Decision:
    """An operation that is about something of the caller's own account names that account in its check."""
    owner = request.context.get("aws:ResourceAccount")
    if owner != request.principal.account_id:
        operator = accounts.find_operator(rows)
        owner = operator.account_id if operator else None
    return identity.evaluate(request, resource_policy=None, resource_account=owner, owner_allows=True)


def _decide_sts(rows: Rows, request: AccessRequest, identity: Identity) -> Decision:
    if ":role/" not in request.resource:
        return _decide_account(rows, request, identity)
    if request.principal.kind == "root":
        raise AccessError("AccessDenied", "Roles may not be assumed by root accounts.")
    role = identities.find_role_by_arn(rows, request.resource)
    if role is None:
        return Decision("implicit-deny")
    decision = identity.evaluate(
        request,
        resource_policy=trust_policy(role.trust_policy),
        resource_account=account_of(request.resource),
        owner_allows=False,
    )
    foreign = request.principal.account_id != account_of(request.resource)
    return Decision(decision.effect) if foreign and not decision.allows else decision


_BY_SERVICE: Mapping[str, Callable[[Rows, AccessRequest, Identity], Decision]] = {
    "s3al": _decide_own,
    "sts": _decide_sts,
}


def trust_policy(text: str) -> Policy:
    return compiled(NamedDocument("trust-policy", text), PolicyKind.TRUST)


def account_of(arn: str) -> str:
    """The account id in an ARN; "" where it has none."""
    parts = arn.split(":", 5)
    return parts[4] if len(parts) == 6 else ""


async def read(authorized: Authorized, call: Call, iam: Iam, reader: Callable[[Rows], T]) -> T:
    """Run `reader` on one snapshot, authorized as of that snapshot."""
    return await call.read(iam.db, authorized, reader)

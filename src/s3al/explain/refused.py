"""WhyDenied of our own API: the explanation of a refusal, by the id of its request.

What lives here: the operation, and how much each is told. What does not: the memory of refusals (service.refusals),
decisions (decisions).

Laws: the operator's people whom a policy lets, and those of the account that owns the resource or the principal, are
told what Can would tell them; the refused principal himself, without any permission, what he was told already, and whom
to ask; whoever has no part in it is answered as if there were no such request. What decided then is told beside what
would be decided now.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.explain.answers import Asked, answer, check_on, is_operators
from s3al.explain.decisions import Question
from s3al.explain.observed import Trial
from s3al.explain.ports import OPERATIONS, Explaining
from s3al.explain.principals import ANYONE, Person
from s3al.explain.verdicts import RESOURCE_KINDS
from s3al.iam import access as iam_access
from s3al.service.operation import Call, Check, Params, Reply
from s3al.service.own import text
from s3al.service.refusals import Remembered
from s3al.store.database import Rows


def _absent() -> RequestError:
    return RequestError("NoSuchEntity", "No refused request of this id is remembered, or it is none of yours.")


def _found(rows: Rows, call: Call, ports: Explaining) -> Remembered:
    found = ports.refusals.find(rows, text(call.params, "request_id")) if ports.refusals else None
    if found is None:
        raise _absent()
    return found


def _on_refusal(call: Call, rows: Rows, ports: Explaining) -> Iterable[Check]:
    found, asker = _found(rows, call, ports), call.principal
    check = _check(rows, call, found)
    himself = asker.kind != "anonymous" and (asker.arn, asker.user_id) == (found.principal.arn, found.principal.user_id)
    if check is None or (himself and not _is_let(rows, call, ports, check)):
        if himself:
            return ()
        raise _absent()
    return (check,)


def _check(rows: Rows, call: Call, found: Remembered) -> Check | None:
    """None for whoever belongs to none of the accounts that it concerns."""
    asker = call.principal
    if is_operators(rows, asker):
        return check_on(call, "*", None)
    if asker.account_id in (found.row.owner, found.row.account_id):
        return check_on(call, "*", asker.account_id)
    return None


def _is_let(rows: Rows, call: Call, ports: Explaining, check: Check) -> bool:
    identity = ports.s3.identities.of(rows, call.principal)
    return iam_access.weigh(rows, call, check, identity).decision.allows


@OPERATIONS.operation("WhyDenied", checks=_on_refusal)
async def why_denied(authorized: Authorized, call: Call, ports: Explaining) -> Reply:
    """Parameters: request_id. Answers: what was refused, what decided then, and what would be decided now
    (docs/reference/decisions.md)."""
    whole = bool(authorized.decisions)

    def reader(rows: Rows) -> Params:
        found = _found(rows, call, ports)
        shown = _shown(found)
        return shown | (_explained(rows, call, ports, found) if whole else _NOT_TOLD)

    return Reply(await iam_access.read(authorized, call, ports.iam, reader))


_NOT_TOLD: Params = {
    "detail": "own",
    "then": None,
    "now": None,
    "hint": "The operator, and the root of the account that owns the resource, are told by which statement.",
}


def _shown(found: Remembered) -> Params:
    return {
        "request_id": found.row.request_id,
        "refused_at_ms": found.row.refused_at,
        "principal": found.row.principal or ANYONE,
        "service": found.service,
        "operation": found.operation,
        "message": found.message,
    }


def _explained(rows: Rows, call: Call, ports: Explaining, found: Remembered) -> Params:
    request = found.request
    if not is_operators(rows, call.principal) and _would_tell_too_much(found, call.principal.account_id):
        return _NOT_TOLD
    if request is None:
        return {"detail": "full", "then": None, "now": None, "hint": "No policy was asked: the message says why."}
    account = None if is_operators(rows, call.principal) else call.principal.account_id
    asked = Asked(
        Person(found.row.principal or ANYONE, found.principal),
        Question(found.principal, request.action, request.resource, request.context),
        account,
        found.row.owner or None,
    )
    if account is not None and account != found.row.account_id:
        asked = replace(asked, question=replace(asked.question, trial=Trial(assumed=True)))
    try:
        now: Any = answer(rows, ports, asked, with_key=False)
    except RequestError as error:
        now, hint = None, f"It cannot be decided again: {error}"
    else:
        hint = "It would be allowed now." if now["allowed"] else ""
    return {"detail": "full", "then": _then(found, account), "now": now, "hint": hint}


def _would_tell_too_much(found: Remembered, account: str | None) -> bool:
    """Of another account's resource: that a key is there, that an object is, or what it is under, follows from which
    permission was asked for last."""
    if account == found.row.owner:
        return False
    action = "" if found.request is None else found.request.action.partition(":")[2]
    return found.service == "kms" or (found.request is not None and action != found.operation)


def _then(found: Remembered, account: str | None) -> Params:
    """What decided when the request was refused, as far as it is the asker's account's business."""
    assert found.request is not None
    then: Params = {"action": found.request.action, "resource": found.request.resource}
    statement = found.statement
    resource_side = statement is not None and statement["policy"] in RESOURCE_KINDS
    known = account is None or account == (found.row.owner if resource_side else found.row.account_id)
    if found.row.owner == found.row.account_id == account:
        known = True
    if not known:
        return then | {"context": {}, "effect": "implicit-deny", "reason": "", "statement": None}
    own = account is None or account == found.row.account_id
    context = dict(found.request.context) if own else {}
    return then | {
        "context": context,
        "effect": found.effect,
        "reason": found.reason,
        "statement": dict(statement) if statement else None,
    }

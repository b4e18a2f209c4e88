"""What policies would decide, and which condition keys they ask for: nothing is done, and nothing changes.

What lives here: the four operations, and what their parameters mean. What does not: the decision, which is the one that
requests meet (auth.evaluate).

Laws: without a resource policy the simulated resource belongs to the simulated caller's account, so that identity
policies alone decide; a parameter that would change the outcome and is not understood is refused, never ignored.

Source: IAM API Reference, SimulateCustomPolicy, SimulatePrincipalPolicy, GetContextKeysForCustomPolicy,
GetContextKeysForPrincipalPolicy.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, product
from typing import Any, Final

from s3al.auth.authorized import Authorized
from s3al.auth.decision import AccessRequest
from s3al.auth.evaluate import Explanation, StatementReport, explain
from s3al.auth.policy import Policy, PolicyKind
from s3al.auth.principal import Principal, principal_context
from s3al.errors import RequestError
from s3al.iam import access, entities
from s3al.iam.checks import on_nothing
from s3al.iam.entities import account_of
from s3al.iam.ports import Iam
from s3al.iam.registry import OPERATIONS
from s3al.service.operation import Call, Check, Checks, Params, Reply
from s3al.store import identities
from s3al.store.database import Rows
from s3al.store.identities import NamedDocument

_MAX_BYTES: Final = 131_072
_MOST_STATEMENTS: Final = 20_000  # looked at for a page
_MOST_DIGITS: Final = 18
_ACTION: Final = re.compile(r"[A-Za-z0-9-]+:[A-Za-z0-9]+")
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z0-9-]+:[^},]+)(?:,[^}]*)?\}")
_REFUSED: Final = ("PolicyExclusionList", "OrderedOrganizationPolicyInputList", "ResourceHandlingOption")
_DECISIONS: Final = {"allow": "allowed", "explicit-deny": "explicitDeny", "implicit-deny": "implicitDeny"}


@dataclass(frozen=True, slots=True)
class _Source:
    """Whose policies are simulated."""

    arn: str | None = None
    documents: tuple[NamedDocument, ...] = ()
    boundary: NamedDocument | None = None


@dataclass(frozen=True, slots=True)
class _World:
    """caller: who is simulated. context: of every request. asked: condition keys that the policies name and that
    nothing provides."""

    caller: Principal
    policies: tuple[Policy, ...]
    boundary: Policy | None
    resource: Policy | None
    owner: str | None
    context: dict[str, str | list[str]]
    asked: tuple[str, ...]


def _invalid(reason: str) -> RequestError:
    return RequestError("InvalidInput", reason)


# --- whose policies


def _source(rows: Rows, call: Call) -> _Source:
    """The user, group or role in PolicySourceArn, with its policies. Raises NoSuchEntity."""
    arn = call.params.get("PolicySourceArn")
    if arn is None:
        return _Source()
    name = arn.rpartition("/")[2]
    found: Any = identities.find_user_by_arn(rows, arn) or identities.find_role_by_arn(rows, arn)
    if found is None and ":group/" in arn:
        group = identities.find_group(rows, account_of(call), name)
        found = group if group is not None and group.arn == arn else None
    if found is None or found.account_id != account_of(call):
        raise RequestError("NoSuchEntity", f"The entity {arn} cannot be found.")
    return _Source(arn, tuple(identities.identity_policies(rows, arn)), identities.boundary_of(rows, arn))


def _inputs(call: Call, member: str) -> list[NamedDocument]:
    return [NamedDocument(f"{member}.{number}", text) for number, text in enumerate(call.params.get(member) or (), 1)]


def _documents(call: Call, source: _Source) -> tuple[list[NamedDocument], NamedDocument | None]:
    """What is simulated, and its permissions boundary."""
    boundaries = _inputs(call, "PermissionsBoundaryPolicyInputList")
    if len(boundaries) > 1:
        raise _invalid("An entity has one permissions boundary at most.")
    boundary = boundaries[0] if boundaries else source.boundary
    return [*source.documents, *_inputs(call, "PolicyInputList")], boundary


def _parsed(document: NamedDocument, kind: PolicyKind) -> Policy:
    try:
        return Policy.parse(document.text, kind=kind, max_bytes=_MAX_BYTES, name=document.name)
    except RequestError as refused:
        raise _invalid(f"{document.name}: {refused.message or 'the policy does not parse'}") from None


# --- condition keys that policies name


def _keys_of(text: str) -> Iterator[str]:
    """Condition keys and policy variables, as they are written."""
    document = json.loads(text)
    statements = document["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        for of_operator in statement.get("Condition", {}).values():
            yield from of_operator
    yield from _VARIABLE.findall(text)


def _distinct(names: Iterable[str]) -> list[str]:
    """By name; of those that differ in case alone, one."""
    return sorted({name.lower(): name for name in names}.values(), key=str.lower)


# --- the simulated world


def _caller(call: Call, source: _Source) -> tuple[Principal, bool]:
    """Who is simulated, and whether the request or its source says who that is."""
    named: str | None = call.params.get("CallerArn")
    if named and ":user/" not in named:
        raise _invalid("CallerArn must be the ARN of an IAM user.")
    arn = named or source.arn or ""
    if not arn or ":group/" in arn:
        nobody = f"arn:aws:iam::{account_of(call)}:user/simulated"
        return Principal("user", account_of(call), nobody, "simulated"), False
    if ":role/" in arn:
        session = arn.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + "/simulated"
        principal = Principal("assumed-role", access.account_of(arn), session, "simulated", issuer_arn=arn)
        return principal, True
    return Principal("user", access.account_of(arn), arn, "simulated"), True


def _resource_policy(call: Call) -> Policy | None:
    text = call.params.get("ResourcePolicy")
    if text is None:
        return None
    arns = call.params.get("ResourceArns") or ()
    on_keys = bool(arns) and all(arn.startswith("arn:aws:kms:") for arn in arns)
    return _parsed(NamedDocument("ResourcePolicy", text), PolicyKind.KEY if on_keys else PolicyKind.BUCKET)


def _entries(call: Call) -> dict[str, str | list[str]]:
    context: dict[str, str | list[str]] = {}
    for entry in call.params.get("ContextEntries") or ():
        name, values = entry.get("ContextKeyName"), list(entry.get("ContextKeyValues") or ())
        if not name or not values:
            raise _invalid("A context entry has a name and at least one value.")
        is_list = (entry.get("ContextKeyType") or "").endswith("List")
        if len(values) > 1 and not is_list:
            raise _invalid(f"Context key {name} has several values; its type must be a list.")
        context[name] = values if is_list else values[0]
    return context


def _world(call: Call, source: _Source) -> _World:
    documents, boundary = _documents(call, source)
    caller, known = _caller(call, source)
    resource = _resource_policy(call)
    if resource is not None and not known:
        raise _invalid("CallerArn is required with ResourcePolicy.")
    context = (principal_context(caller) if known else {}) | _entries(call)
    texts = [document.text for document in (*documents, *((boundary,) if boundary else ()))]
    texts += [call.params["ResourcePolicy"]] if resource else []
    policies = tuple(_parsed(document, PolicyKind.IDENTITY) for document in documents)
    limit = _parsed(boundary, PolicyKind.BOUNDARY) if boundary else None
    provided = {name.lower() for name in context}
    named = _distinct(key for text in texts for key in _keys_of(text))
    owner = call.params.get("ResourceOwner")
    return _World(
        caller,
        policies,
        limit,
        resource,
        access.account_of(owner) or owner if owner else None,
        context,
        tuple(name for name in named if name.lower() not in provided),
    )


# --- one decision


def _owner(world: _World, resource: str) -> str | None:
    """The account of a resource. ResourceOwner is for those whose ARN names none."""
    if world.resource is None:
        return world.caller.account_id
    return access.account_of(resource) or world.owner or world.caller.account_id


def _explained(world: _World, action: str, resource: str) -> Explanation:
    return explain(
        AccessRequest(world.caller, action, resource, world.context),
        resource_policy=world.resource,
        resource_account=_owner(world, resource),
        identity_policies=world.policies,
        boundary=world.boundary,
        owner_allows=world.resource is None or world.resource.kind is not PolicyKind.KEY,
    )


def _source_type(policy: str) -> str:
    if policy.startswith("arn:aws:iam::aws:policy/"):
        return "aws-managed"
    if ":policy/" in policy:
        return "user-managed"
    for kind in ("user", "group", "role"):
        if f":{kind}/" in policy:
            return kind
    return "resource" if policy == "ResourcePolicy" else "none"


def _matched(world: _World, found: Explanation) -> list[Params]:
    """The statements that decided: all that deny, or all that allow; of a boundary none."""
    if found.decision.effect == "implicit-deny":
        return []
    effect = "Allow" if found.decision.allows else "Deny"
    bounding = world.boundary.name if world.boundary else None

    def decides(report: StatementReport) -> bool:
        return report.matched and report.effect == effect and (effect == "Deny" or report.statement.policy != bounding)

    names = dict.fromkeys(report.statement.policy for report in found.statements if decides(report))
    return [{"SourcePolicyId": name.rpartition("/")[2], "SourcePolicyType": _source_type(name)} for name in names]


def _by_boundary(world: _World, found: Explanation) -> Params:
    if world.boundary is None:
        return {}
    mine = [report for report in found.statements if report.statement.policy == world.boundary.name and report.matched]
    allowed = any(report.effect == "Allow" for report in mine) and all(report.effect == "Allow" for report in mine)
    return {"PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": allowed}}


def _result(world: _World, action: str, resource: str, *, named: bool) -> Params:
    """named: whether the request names its resources, so that AWS answers per resource."""
    found = _explained(world, action, resource)
    decision, matched = _DECISIONS[found.decision.effect], _matched(world, found)
    missing = list(world.asked)
    shown: Params = {
        "EvalActionName": action,
        "EvalResourceName": resource,
        "EvalDecision": decision,
        "MatchedStatements": matched,
        "MissingContextValues": [] if named else missing,
        **_by_boundary(world, found),
    }
    if named:
        of_resource = {"EvalResourceName": resource, "EvalResourceDecision": decision, "MatchedStatements": matched}
        of_resource |= {"MissingContextValues": missing, **_by_boundary(world, found)}
        shown["ResourceSpecificResults"] = [of_resource]
    return shown


# --- the operations


def _on_source(action: str) -> Checks[Iam]:
    def checks(call: Call, rows: Rows, iam: Iam) -> Iterable[Check]:
        return (Check(action, call.params["PolicySourceArn"]),)

    return checks


def _pairs(call: Call) -> Iterator[tuple[str, str]]:
    """Never all at once: a request can name more pairs than there is memory for."""
    for member in _REFUSED:
        if call.params.get(member):
            raise RequestError("ValidationError", f"{member} is not supported.")
    for action in call.params["ActionNames"]:
        if not _ACTION.fullmatch(action):
            raise _invalid(f"Invalid action: {action} (an action has the form service:Name, without wildcards)")
    resources = call.params.get("ResourceArns") or ["*"]
    return product(call.params["ActionNames"], resources)


def _after(call: Call) -> int:
    marker = entities.after(call) or "0"
    if not marker.isdecimal():
        raise RequestError("ValidationError", "Invalid Marker.")
    return int(marker[:_MOST_DIGITS])


async def _simulate(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    pairs, first = _pairs(call), _after(call)
    source = await access.read(authorized, call, iam, lambda rows: _source(rows, call))
    return Reply(await asyncio.to_thread(_simulated, call, source, islice(enumerate(pairs, 1), first, None)))


def _simulated(call: Call, source: _Source, pairs: Iterator[tuple[int, tuple[str, str]]]) -> Params:
    """A page, which ends sooner where there are many statements: AWS too may answer fewer results than were asked for.
    pairs: those beyond the marker, numbered."""
    world = _world(call, source)
    policies = (*world.policies, *(policy for policy in (world.boundary, world.resource) if policy))
    statements = sum(len(policy.statements) for policy in policies)
    most = min(entities.wanted(call), max(1, _MOST_STATEMENTS // max(1, statements)))
    shown, ending = entities.page(call, list(islice(pairs, most + 1)), lambda entry: str(entry[0]), most=most)
    named = bool(call.params.get("ResourceArns"))
    return {"EvaluationResults": [_result(world, *pair, named=named) for _, pair in shown]} | ending


async def _context_keys(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    documents, _ = _documents(call, await access.read(authorized, call, iam, lambda rows: _source(rows, call)))
    for document in documents:
        _parsed(document, PolicyKind.IDENTITY)
    return Reply({"ContextKeyNames": _distinct(key for document in documents for key in _keys_of(document.text))})


OPERATIONS.operation("SimulateCustomPolicy", on_nothing("iam:SimulateCustomPolicy"))(_simulate)
OPERATIONS.operation("SimulatePrincipalPolicy", _on_source("iam:SimulatePrincipalPolicy"))(_simulate)
OPERATIONS.operation("GetContextKeysForCustomPolicy", on_nothing("iam:GetContextKeysForCustomPolicy"))(_context_keys)
OPERATIONS.operation("GetContextKeysForPrincipalPolicy", _on_source("iam:GetContextKeysForPrincipalPolicy"))(
    _context_keys
)

"""The smallest change that would allow what was refused, tried before it is told.

What lives here: `smallest_change`. What does not: the documents and how to put them (documents), decisions (decisions).

Laws: a change is told only after the same question, asked of the policies with the change made, was allowed; nothing is
stored for that. One statement for one principal, one action and one resource is added, and a deny is narrowed by
exempting that principal, or taken out where he has no name; of the ways that suffice, the one with the fewest
documents, and among those the one that stays nearest to the principal. What no policy can allow is said in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, Final

from s3al.auth.policy import Policy, PolicyKind
from s3al.auth.principal import Principal
from s3al.auth.publicness import is_public
from s3al.errors import RequestError
from s3al.explain.decisions import VIA_SERVICE, Finding, Question, weigh
from s3al.explain.documents import Place, identity_places, resource_place
from s3al.explain.observed import Trial
from s3al.explain.ports import Explaining
from s3al.explain.verdicts import RESOURCE_KINDS, Verdict
from s3al.store.database import Rows

_MAX_DENIES: Final = 16
_PRINCIPAL_ARN: Final = "aws:PrincipalArn"
_ABOUT_THE_PRINCIPAL: Final = ("aws:principal", "aws:userid", "aws:username")


@dataclass(frozen=True, slots=True)
class Edit:
    """One statement. do: add, narrow or remove. statement: as it is to be; replaces: as it was."""

    do: str
    statement: Mapping[str, Any] | None = None
    replaces: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "do": self.do,
            "statement": None if self.statement is None else dict(self.statement),
            "replaces": None if self.replaces is None else dict(self.replaces),
        }


@dataclass(frozen=True, slots=True)
class Change:
    """One document changed. document: the whole, ready to be put by the command of its place."""

    place: Place
    document: Mapping[str, Any]
    edits: tuple[Edit, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.place.kind.value,
            "policy": self.place.name,
            "edits": [edit.to_json() for edit in self.edits],
            "document": dict(self.document),
            "command": self.place.command,
        }


@dataclass(frozen=True, slots=True)
class Remedy:
    """changes: all are needed; empty where no change of policies is enough: hopeless says why."""

    changes: tuple[Change, ...] = ()
    hopeless: str = ""

    def to_json(self, told: Verdict, account: str | None, owner: str | None) -> dict[str, Any]:
        """told: the verdict as it is told. account: whose policies are told; None for all. owner: of the resource."""
        otherwise = list(_otherwise(told))
        if self.hopeless and account in (None, owner):
            otherwise.append(self.hopeless)
        changes = [
            change.to_json() if account in (None, change.place.account) else _elsewhere(change)
            for change in self.changes
        ]
        return {"changes": changes, "otherwise": otherwise, "verified": bool(self.changes)}


def _elsewhere(change: Change) -> dict[str, Any]:
    whose = "the account that owns the resource" if change.place.kind.value in RESOURCE_KINDS else "its own account"
    return {
        "kind": change.place.kind.value,
        "policy": None,
        "edits": [],
        "document": None,
        "command": f"ask {whose}",
    }


@dataclass(slots=True)
class _Drafts:
    """Documents as changed so far."""

    rows: Rows
    ports: Explaining
    question: Question
    places: list[Place]
    changes: dict[tuple[PolicyKind, str], Change] = field(default_factory=dict)
    policies: dict[tuple[PolicyKind, str], Policy] = field(default_factory=dict)

    def weigh(self, more: Mapping[tuple[PolicyKind, str], Policy] | None = None) -> Finding:
        trial = Trial({**self.policies, **(more or {})}, assumed=self.question.trial.assumed)
        return weigh(self.rows, self.ports, replace(self.question, trial=trial))

    def document(self, place: Place) -> dict[str, Any]:
        change = self.changes.get((place.kind, place.name))
        if change is None:
            return place.document()
        return {**change.document, "Statement": [*change.document["Statement"]]}

    def place(self, kind: str, name: str) -> Place | None:
        return next((place for place in self.places if (place.kind.value, place.name) == (kind, name)), None)

    def keep(self, change: Change, policy: Policy) -> None:
        """One edit more of its document."""
        name = (change.place.kind, change.place.name)
        before = self.changes[name].edits if name in self.changes else ()
        self.changes[name] = replace(change, edits=(*before, *change.edits))
        self.policies[name] = policy


def smallest_change(rows: Rows, ports: Explaining, question: Question) -> Remedy:
    """For a question whose verdict is a refusal."""
    finding = weigh(rows, ports, question)
    drafts = _Drafts(rows, ports, question, list(_places(rows, ports, question, finding)))
    for _ in range(_MAX_DENIES):
        if finding.verdict.effect != "explicit-deny":
            break
        why_not = _lift(drafts, finding)
        if why_not:
            return Remedy(hopeless=why_not)
        finding = drafts.weigh()
    if finding.verdict.allowed:
        return Remedy(tuple(drafts.changes.values()))
    if finding.asked is None:
        return Remedy(hopeless=finding.verdict.reason)
    added = _additions(drafts)
    for count in range(1, len(added) + 1):
        for chosen in combinations(added, count):
            tried = {(change.place.kind, change.place.name): policy for change, policy in chosen}
            if drafts.weigh(tried).verdict.allowed:
                for change, policy in chosen:
                    drafts.keep(change, policy)
                return Remedy(tuple(drafts.changes.values()))
    return Remedy(hopeless=_hopeless(drafts))


def _places(rows: Rows, ports: Explaining, question: Question, finding: Finding) -> Iterator[Place]:
    """Every document that may be changed, those nearest to the principal first."""
    principal = question.principal
    if principal.kind in ("user", "assumed-role") and not question.trial.assumed:
        yield from identity_places(rows, principal.issuer_arn or principal.arn, principal.account_id)
    service = question.action.partition(":")[0]
    resource = resource_place(rows, ports, service, question.resource, finding.verdict.owner)
    if resource is not None:
        yield resource


# --- denies


def _lift(drafts: _Drafts, finding: Finding) -> str:
    """Exempt the principal from the statement that denies. Returns why that cannot be, or ""."""
    by = finding.verdict.by
    if by is None or by.index is None:
        return f"No policy alone can allow it, {finding.verdict.reason}."
    place = drafts.place(by.kind, by.policy)
    if place is None:
        return f"The deny stands in the {by.kind.replace('-', ' ')}, which ends with the session: begin another."
    if place.fixed:
        return f"It cannot be allowed: {place.fixed}."
    document = drafts.document(place)
    old = document["Statement"][by.index]
    new = _exempting(old, drafts.question.principal)
    if new is None:
        del document["Statement"][by.index]
    else:
        document["Statement"][by.index] = new
    try:
        policy = place.parsed(document)
    except RequestError as refused:
        return f"The changed {place.kind.value.replace('-', ' ')} would be refused: {refused}"
    drafts.keep(Change(place, document, (Edit("remove" if new is None else "narrow", new, old),)), policy)
    return ""


def _exempting(statement: Mapping[str, Any], principal: Principal) -> dict[str, Any] | None:
    """The statement with a condition that leaves this principal out; None where no condition can: it must go."""
    name = principal.issuer_arn or principal.arn
    if not name:
        return None
    conditions = {operator: dict(keys) for operator, keys in statement.get("Condition", {}).items()}
    line = conditions.setdefault("ArnNotEquals", {})
    written = next((key for key in line if key.lower() == _PRINCIPAL_ARN.lower()), _PRINCIPAL_ARN)
    values = line.get(written, [])
    values = values if isinstance(values, list) else [values]
    if name in values:
        return None
    line[written] = [*values, name] if values else name
    return {**statement, "Condition": conditions}


# --- allows


def _additions(drafts: _Drafts) -> list[tuple[Change, Policy]]:
    """A new statement for each document that could take one: boundary, one identity policy, resource policy."""
    found = []
    identity = [place for place in drafts.places if place.kind is PolicyKind.IDENTITY]
    for place in drafts.places:
        if place.kind is PolicyKind.IDENTITY and place is not identity[-1]:
            continue  # a new inline policy disturbs none that others may share
        if place.fixed:
            continue
        document = drafts.document(place)
        statement = _allowing(place, drafts.question, document)
        document["Statement"] = [*document["Statement"], statement]
        try:
            policy = place.parsed(document)
        except RequestError:
            continue
        if place.kind is PolicyKind.BUCKET and is_public(policy) and _blocks_public(drafts, place):
            continue
        found.append((Change(place, document, (Edit("add", statement),)), policy))
    return found


def _allowing(place: Place, question: Question, document: Mapping[str, Any]) -> dict[str, Any]:
    statement: dict[str, Any] = {"Sid": _sid(question.action, document), "Effect": "Allow"}
    if place.kind.value in RESOURCE_KINDS:
        name = question.principal.issuer_arn or question.principal.arn
        statement["Principal"] = {"AWS": name} if name else "*"
    statement["Action"] = question.action
    if place.kind is PolicyKind.KEY:
        statement["Resource"] = "*"
    elif place.kind is not PolicyKind.TRUST:
        statement["Resource"] = question.resource
    via = next((value for key, value in question.context.items() if key.lower() == VIA_SERVICE.lower()), None)
    if via is not None:
        statement["Condition"] = {"StringEquals": {VIA_SERVICE: via}}
    return statement


def _sid(action: str, document: Mapping[str, Any]) -> str:
    taken = {statement.get("Sid") for statement in document["Statement"]}
    plain = "Allow" + re.sub("[^A-Za-z0-9]", "", action.partition(":")[2])
    number, sid = 2, plain
    while sid in taken:
        sid, number = f"{plain}{number}", number + 1
    return sid


def _blocks_public(drafts: _Drafts, place: Place) -> bool:
    state = drafts.ports.s3.buckets.get(drafts.rows, place.bucket_name or "")
    block = state.document("public_access_block") or {}
    return bool(block.get("BlockPublicPolicy"))


# --- words


def _otherwise(verdict: Verdict) -> Iterator[str]:
    """Requests that would be allowed under the policies as they are."""
    if verdict.effect == "explicit-deny" and verdict.by and verdict.by.statement:
        for operator, keys in verdict.by.statement.get("Condition", {}).items():
            for key, values in keys.items():
                if not key.lower().startswith(_ABOUT_THE_PRINCIPAL):
                    yield f"A request to which {operator} {key} {_values(values)} does not apply is not denied by it."
    for miss in verdict.mismatches:
        if verdict.effect == "implicit-deny" and miss.effect == "Allow" and miss.element == "condition":
            wanted = f"{miss.operator} {miss.condition_key} {_values(miss.wanted)}"
            yield f"{miss.by.label} allows a request that meets {wanted}."


def _values(values: Any) -> str:
    texts = values if isinstance(values, list | tuple) else [values]
    return " or ".join(str(text) for text in texts)


def _hopeless(drafts: _Drafts) -> str:
    place = drafts.places[-1] if drafts.places else None
    if place is not None and place.bucket_name and _blocks_public(drafts, place):
        return "The bucket's BlockPublicPolicy setting refuses a policy that would let everybody."
    fixed = next((place.fixed for place in drafts.places if place.fixed), "")
    if fixed:
        return f"It cannot be allowed: {fixed}."
    return "No change of one statement in each policy allows it; the session itself may be limited."

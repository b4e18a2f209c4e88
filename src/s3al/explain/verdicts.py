"""What is said of one decision: the answer, what gave it, and what missed by how much.

What lives here: the values, and their JSON. What does not: how they are come by (decisions), how they are shown
(shown, tables).

Laws: a verdict names the statement or grant that decided, or says in `reason` why none did; what the asker may not know
is left out by `for_account`, never by whoever prints it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from s3al.auth.decision import Effect
from s3al.auth.policy import PolicyKind

GRANT: Final = "grant"
RESOURCE_KINDS: Final = frozenset({PolicyKind.BUCKET.value, PolicyKind.KEY.value, PolicyKind.TRUST.value})


@dataclass(frozen=True, slots=True)
class By:
    """What decided. kind: of the policy, as PolicyKind's value, or GRANT. policy: its ARN, holder and name, or kind.
    index: of the statement, from 0. statement: as JSON; None for a grant."""

    kind: str
    policy: str
    sid: str | None = None
    index: int | None = None
    statement: Mapping[str, Any] | None = None

    @property
    def label(self) -> str:
        """Short, for tables."""
        if self.index is None:
            return f"{self.kind} {self.policy}"
        return f"{self.policy} {self.sid or f'statement {self.index + 1}'}"

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "policy": self.policy,
            "sid": self.sid,
            "index": self.index,
            "statement": None if self.statement is None else dict(self.statement),
        }


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A statement that names the action, and the first of its elements that the request does not meet. effect: Allow or
    Deny. operator, condition_key: where that element is a condition; wanted: its values; found: the request's."""

    by: By
    effect: str
    element: str
    operator: str = ""
    condition_key: str = ""
    wanted: tuple[str, ...] = ()
    found: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return self.by.to_json() | {
            "effect": self.effect,
            "element": self.element,
            "operator": self.operator,
            "condition_key": self.condition_key,
            "wanted": list(self.wanted),
            "found": list(self.found),
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """One decision, explained. principal: ARN, or "anonymous". owner: the account that owns the resource, if it is
    known. complete: False where part of the reason is another account's business and was left out.
    """

    principal: str
    account: str | None
    action: str
    resource: str
    effect: Effect
    by: By | None = None
    reason: str = ""
    mismatches: tuple[NearMiss, ...] = ()
    owner: str | None = None
    complete: bool = True

    @property
    def allowed(self) -> bool:
        return self.effect == "allow"

    def to_json(self) -> dict[str, Any]:
        return {
            "principal": self.principal,
            "action": self.action,
            "resource": self.resource,
            "allowed": self.allowed,
            "effect": self.effect,
            "by": self.by.to_json() if self.by else None,
            "reason": self.reason,
            "mismatches": [miss.to_json() for miss in self.mismatches],
            "complete": self.complete,
        }

    def for_account(self, account: str) -> Verdict:
        """What somebody of this account may know: statements of resource policies and grants if it owns the resource,
        those of identity policies, boundaries and sessions if it is the principal's. Who owns neither learns nothing:
        this is for callers who were let ask."""
        sides = {True: self.owner == account, False: self.account == account}

        def known(by: By) -> bool:
            return sides[by.kind in RESOURCE_KINDS or by.kind == GRANT]

        if all(sides.values()):
            return self
        misses = tuple(miss for miss in self.mismatches if known(miss.by))
        if self.by is not None and known(self.by):
            return replace(self, mismatches=misses, complete=False)
        reason = "allowed" if self.allowed else "denied, by a policy of another account or for want of one"
        effect = self.effect if self.allowed else "implicit-deny"  # not even that a statement denies
        return replace(self, effect=effect, by=None, reason=reason, mismatches=misses, complete=False)


@lru_cache(maxsize=1024)
def statement_of(text: str) -> Mapping[str, Any] | None:
    """A statement's JSON as the policy keeps it; not to be changed."""
    found: Any = json.loads(text) if text else None
    return found if isinstance(found, dict) else None

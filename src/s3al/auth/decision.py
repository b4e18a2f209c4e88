"""What was asked of the policies, and what they answered.

What lives here: `AccessRequest`, its `ConditionKeys`, `Decision`, both as `Weighed`, and the statement that decided.
What does not: how it is decided (evaluate).

Law: a decision names the statement that decided, or says in `reason` why none did.

Source: IAM User Guide, "Policy evaluation logic"; "Troubleshoot access denied error messages" (the wording
of `reason`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from s3al.auth.principal import Principal

Effect = Literal["allow", "explicit-deny", "implicit-deny"]
ContextValue = str | list[str]


class ConditionKeys(Mapping[str, ContextValue]):
    """The condition keys of a request, gathered when one of them is first asked for, as most policies ask for none.

    was_asked: whether anything that was decided so far may hang on them.
    """

    __slots__ = ("_found", "_gather")

    def __init__(self, gather: Callable[[], Mapping[str, ContextValue]]) -> None:
        self._gather = gather
        self._found: Mapping[str, ContextValue] | None = None

    def __repr__(self) -> str:
        return f"ConditionKeys(was_asked={self.was_asked})"

    @property
    def was_asked(self) -> bool:
        return self._found is not None

    def __getitem__(self, name: str) -> ContextValue:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> Mapping[str, ContextValue]:
        if self._found is None:
            self._found = self._gather()
        return self._found


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """One question: may this principal do this to that.

    action: as in `s3:GetObject`. resource: an ARN, or "*" where the action has no resource.
    context: condition keys (compared without case); a list is a multivalued key.
    """

    principal: Principal
    action: str
    resource: str
    context: Mapping[str, ContextValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DecidedBy:
    """The statement that decided. index: from 0. text: the statement as JSON."""

    policy: str
    sid: str | None
    index: int
    text: str = field(default="", repr=False)

    def __str__(self) -> str:
        name = f" {self.sid!r}" if self.sid else ""
        return f"statement {self.index + 1}{name} of {self.policy}"


@dataclass(frozen=True, slots=True)
class Decision:
    """statement: None where no statement decided: nothing matched, the root of the owning account asked, or a grant on
    a KMS key allows: grant_id."""

    effect: Effect
    statement: DecidedBy | None = None
    reason: str = ""
    grant_id: str | None = None

    @property
    def allows(self) -> bool:
        return self.effect == "allow"


@dataclass(frozen=True, slots=True)
class Weighed:
    """A question with its answer, before anybody words it. owner: the account that owns the resource."""

    request: AccessRequest
    decision: Decision
    owner: str | None = None


def refusal_message(request: AccessRequest, decision: Decision) -> str:
    """AWS's sentence for a refusal, for callers who may know the reason (those of the resource's own account)."""
    who = request.principal.arn or "anonymous"
    what = f"{request.action} on resource: {request.resource}"
    return f"User: {who} is not authorized to perform: {what} {decision.reason}".rstrip()

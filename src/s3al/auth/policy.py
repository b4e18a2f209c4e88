"""A policy as the evaluator sees it: statements, compiled once.

What lives here: `Policy`, `Statement`, the kinds of policy. What does not: reading JSON (policy_json), the
grammar (policy_grammar), the decision (evaluate).

Laws: a policy is immutable; statements are found by action, and of many those whose resources begin as the one asked
for, so that what a policy says of other actions and places costs next to nothing.

Source: IAM User Guide, "IAM JSON policy elements reference".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from s3al.auth.conditions import Condition
from s3al.auth.decision import DecidedBy
from s3al.auth.policy_patterns import Patterns
from s3al.auth.policy_principals import Principals

_SEARCHED_STATEMENTS = 2  # up to here, looking at each is quicker than an index
_INDEXED_ACTIONS = 1024  # actions come from the operations a server knows; the bound only guards


class PolicyKind(Enum):
    """value: how a policy of this kind is called where it decides."""

    BUCKET = "bucket-policy"
    KEY = "key-policy"
    IDENTITY = "identity-policy"
    TRUST = "trust-policy"
    SESSION = "session-policy"
    BOUNDARY = "permissions-boundary"


@dataclass(frozen=True, slots=True)
class Statement:
    """actions, resources: None where a key policy leaves the element out; the statement then has no effect.

    principals: None where the kind of policy has none. not_*: the element was written in its Not- form.
    """

    allows: bool
    actions: Patterns | None
    resources: Patterns | None
    principals: Principals | None
    conditions: tuple[Condition, ...]
    decided_by: DecidedBy
    not_actions: bool = False
    not_resources: bool = False
    not_principals: bool = False

    def covers_action(self, action: str) -> bool:
        """action: in lower case."""
        return self.actions is not None and self.actions.match(action) is not self.not_actions


    def resource_prefixes(self) -> frozenset[str]:
        """How the resources that this statement can concern begin; "" for any. Empty: it has no effect."""
        if self.resources is None:
            return frozenset()
        return frozenset({""}) if self.not_resources else self.resources.prefixes


class _ByResource:
    """Statements in their order, found by the resource that a request names."""

    __slots__ = ("_at", "_lengths", "_statements")

    def __init__(self, statements: tuple[Statement, ...]) -> None:
        self._statements = statements
        self._at: dict[str, tuple[int, ...]] = {}
        if len(statements) > _SEARCHED_STATEMENTS:
            for index, statement in enumerate(statements):
                for prefix in statement.resource_prefixes():
                    self._at[prefix] = (*self._at.get(prefix, ()), index)
        self._lengths = sorted({len(prefix) for prefix in self._at})

    def __len__(self) -> int:
        return len(self._statements)

    def near(self, resource: str) -> tuple[Statement, ...]:
        """Those that may concern `resource`, and possibly others."""
        if not self._lengths:
            return self._statements
        found: tuple[int, ...] = ()
        for length in self._lengths:
            if length > len(resource):
                break
            found += self._at.get(resource[:length], ())
        if len(found) > 1:
            return tuple(self._statements[index] for index in sorted(set(found)))
        return (self._statements[found[0]],) if found else ()


@dataclass(frozen=True, slots=True)
class Relevant:
    """The statements of one policy that cover one action."""

    denies: _ByResource
    allows: _ByResource


@dataclass(frozen=True, slots=True)
class Policy:
    kind: PolicyKind
    name: str
    version: str
    statements: tuple[Statement, ...]
    _by_action: dict[str, Relevant] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def parse(
        cls,
        text: str | bytes,
        *,
        kind: PolicyKind,
        max_bytes: int,
        bucket_name: str | None = None,
        name: str | None = None,
    ) -> Policy:
        """Raises RequestError: the code and message that the service of this kind of policy answers.

        bucket_name: for bucket policies, the bucket that every resource must lie in.
        name: what decisions call the policy; the kind's if None.
        """
        from s3al.auth.policy_grammar import read_policy  # the grammar builds what this module defines

        return read_policy(text, kind=kind, max_bytes=max_bytes, bucket_name=bucket_name, name=name)

    def on_action(self, action: str) -> Relevant:
        """action: in lower case."""
        relevant = self._by_action.get(action)
        if relevant is None:
            covering = [statement for statement in self.statements if statement.covers_action(action)]
            relevant = Relevant(
                denies=_ByResource(tuple(statement for statement in covering if not statement.allows)),
                allows=_ByResource(tuple(statement for statement in covering if statement.allows)),
            )
            if len(self._by_action) < _INDEXED_ACTIONS:
                self._by_action[action] = relevant
        return relevant

    def principal_names(self) -> Iterator[tuple[str, str]]:
        """Every principal named, as (type, value): for services that check that principals exist."""
        for statement in self.statements:
            if statement.principals is not None:
                yield from statement.principals.names

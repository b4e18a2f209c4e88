"""A caller's policies, watched while they are asked, and changed on trial.

What lives here: `Watch`, which services take for their `Identities`; what it noted; and the policies that it puts in
place of those that are stored. What does not: evaluation (auth.evaluate), what to change (remedies).

Law: the service's own function asks, and the answer is `auth.evaluate`'s; a watched decision is the decision.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from s3al.auth.decision import AccessRequest, Decision
from s3al.auth.evaluate import StatementReport, explain
from s3al.auth.policy import Policy, PolicyKind
from s3al.auth.principal import Principal
from s3al.auth.publicness import is_public
from s3al.s3.state import BucketState, BucketStates
from s3al.service.identities import Identities, Identity, compiled
from s3al.store.database import Rows
from s3al.store.identities import NamedDocument

_EVERYTHING = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'
_ALLOWING = compiled(NamedDocument("assumed", _EVERYTHING), PolicyKind.IDENTITY)


@dataclass(frozen=True, slots=True)
class Trial:
    """Policies put in place of those of the same kind and name, or added. assumed: the caller's own account is taken to
    allow everything, so that the answer is the resource's side alone."""

    policies: Mapping[tuple[PolicyKind, str], Policy] = field(default_factory=dict)
    assumed: bool = False

    def of_resource(self, stored: Policy | None) -> Policy | None:
        """A question without one has none on trial either: what a bucket says is put on trial by TrialBuckets."""
        return stored and self.policies.get((stored.kind, stored.name), stored)

    def of_caller(self, kind: PolicyKind, stored: Sequence[Policy]) -> tuple[Policy, ...]:
        mine = {name: policy for (of, name), policy in self.policies.items() if of is kind}
        kept = tuple(mine.pop(policy.name, policy) for policy in stored)
        return (*kept, *mine.values())


@dataclass(frozen=True, slots=True)
class Asked:
    """One question that a service put to the policies, with all that had a say."""

    request: AccessRequest
    decision: Decision
    reports: tuple[StatementReport, ...]
    policies: tuple[Policy, ...]


@dataclass(frozen=True, slots=True)
class Watched(Identity):
    """An identity that notes what it is asked. near: and what every other statement had to say."""

    trial: Trial = field(default_factory=Trial)
    noted: list[Asked] = field(default_factory=list, compare=False)
    near: bool = True

    def evaluate(
        self,
        request: AccessRequest,
        *,
        resource_policy: Policy | None,
        resource_account: str | None,
        owner_allows: bool,
    ) -> Decision:
        resource_policy = self.trial.of_resource(resource_policy)
        reports: tuple[StatementReport, ...] = ()
        if self.near:
            explained = explain(
                request,
                resource_policy=resource_policy,
                resource_account=resource_account,
                identity_policies=self.policies,
                boundary=self.boundary,
                session_policies=self.sessions,
                owner_allows=owner_allows,
            )
            decision, reports = explained.decision, explained.statements
        else:
            decision = Identity.evaluate(
                self,
                request,
                resource_policy=resource_policy,
                resource_account=resource_account,
                owner_allows=owner_allows,
            )
        own = (*self.policies, *((self.boundary,) if self.boundary else ()), *(self.sessions or ()))
        policies = own if resource_policy is None else (resource_policy, *own)
        self.noted.append(Asked(request, decision, reports, policies))
        return decision


class Watch(Identities):
    """In place of a worker's cache of identities, for one question."""

    def __init__(self, known: Identities, trial: Trial, *, near: bool = True) -> None:
        super().__init__()
        self._stored, self._trial, self._near = known, trial, near
        self.noted: list[Asked] = []

    def of(self, rows: Rows, principal: Principal) -> Identity:
        stored, trial = self._stored.of(rows, principal), self._trial
        if trial.assumed:
            return Watched((_ALLOWING,), trial=trial, noted=self.noted, near=self._near)
        boundary = stored.boundary
        if boundary is not None:
            boundary = trial.policies.get((PolicyKind.BOUNDARY, boundary.name), boundary)
        return Watched(
            trial.of_caller(PolicyKind.IDENTITY, stored.policies),
            boundary,
            stored.sessions,
            stored.asks_object_tags,
            trial,
            self.noted,
            self._near,
        )


class TrialBuckets(BucketStates):
    """Buckets under the policy on trial."""

    def __init__(self, stored: BucketStates, trial: Trial) -> None:
        super().__init__()
        self._stored, self._trial = stored, trial

    def get(self, rows: Rows, name: str) -> BucketState:
        state = self._stored.get(rows, name)
        tried = self._trial.policies.get((PolicyKind.BUCKET, PolicyKind.BUCKET.value))
        if tried is None:
            return state
        return replace(state, policy=tried, policy_is_public=is_public(tried), policy_unreadable=False)

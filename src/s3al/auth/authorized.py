"""The proof that a request was authorized, which every handler takes as its first argument.

What lives here: `Authorized` and `grant`. What does not: the decision (evaluate), which checks an operation
needs (service.operation).

Laws: `grant` is the only place that makes an `Authorized` (Python cannot seal a constructor; a test looks
for others); one that holds a refusal cannot exist, whoever constructs it.
"""

from __future__ import annotations

from dataclasses import dataclass

from s3al.auth.decision import Decision
from s3al.auth.principal import Principal
from s3al.errors import AccessError


@dataclass(frozen=True, slots=True)
class Authorized:
    """decisions: one for each check of the operation, all of them allowing. stamp: the change counter then.

    No decisions at all means an operation that needs no permission (GetCallerIdentity).
    """

    principal: Principal
    decisions: tuple[Decision, ...]
    stamp: int

    def __post_init__(self) -> None:
        for decision in self.decisions:
            if decision.effect != "allow":
                raise AccessError("AccessDenied")


def grant(principal: Principal, decisions: tuple[Decision, ...], stamp: int) -> Authorized:
    """Raises AccessError("AccessDenied") unless every decision allows."""
    return Authorized(principal, tuple(decisions), stamp)

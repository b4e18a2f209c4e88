"""Explaining tells no more than the caller may know: what one must be allowed to do to be told a thing.

What lives here: that question, asked of the services as the caller. What does not: the decision (s3.access,
kms.access).

Laws: the caller is asked for as if he had sent the S3 or KMS operation himself, with parameters of ours alone; what may
not be known is left out and named, with the action that it takes; an object that may not be read is answered as one
that is not there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from s3al.errors import RequestError
from s3al.explain.decisions import decide
from s3al.explain.ports import Explaining
from s3al.kms.access import authorize as authorize_kms
from s3al.s3.access import authorize as authorize_s3
from s3al.service.operation import Call, Params
from s3al.service.request_context import global_context
from s3al.store.database import Rows

ABSENT: Final = "There is no such object version, or you may not read it."


@dataclass(slots=True)
class Visible:
    """What the caller of one request may know, as of one snapshot. withheld: what was left out, and why."""

    rows: Rows
    call: Call
    ports: Explaining
    withheld: list[Params] = field(default_factory=list)

    def may_s3(self, operation: str, **params: Any) -> bool:
        """params: as botocore names them; None is left out."""
        call = self._as(f"s3:{operation}", params)
        return _allowed(lambda: authorize_s3(self.rows, call, self.ports.s3))

    def may_kms(self, operation: str, key_arn: str) -> bool:
        call = self._as(f"kms:{operation}", {"KeyId": key_arn})
        call.region = key_arn.split(":")[3]
        return _allowed(lambda: authorize_kms(self.rows, call, self.ports.kms))

    def may_describe(self, key_arn: str) -> bool:
        """What a KMS key is; noted as withheld if the caller may not know."""
        if self.may_kms("DescribeKey", key_arn):
            return True
        self.withhold("kms-key", ["kms:DescribeKey"])
        return False

    def may_own(self, action: str, resource: str) -> bool:
        """An action of our own API, on what is of the caller's account."""
        principal = self.call.principal
        context = global_context(self.call) | {"aws:ResourceAccount": principal.account_id or ""}
        return decide(self.rows, self.ports, principal, action, resource, context=context).allowed

    def may_know_seals(self) -> bool:
        """Seals are the store's, not an account's; noted as withheld if the caller may not know."""
        context = global_context(self.call)
        action = "s3al:GetSealStatus"
        if decide(self.rows, self.ports, self.call.principal, action, "*", context=context).allowed:
            return True
        self.withhold("seals", [action])
        return False

    def withhold(self, part: str, needs: Iterable[str]) -> None:
        left_out = {"part": part, "needs": list(needs)}
        if left_out not in self.withheld:
            self.withheld.append(left_out)

    def _as(self, action: str, params: Params) -> Call:
        service, _, operation = action.partition(":")
        given = {name: value for name, value in params.items() if value is not None}
        return replace(self.call, service=service, operation=operation, params=given, reauthorize=None)


def _allowed(authorize: Any) -> bool:
    try:
        authorize()
    except RequestError:  # AccessError among them: refused, absent, in another region
        return False
    return True


def absent() -> RequestError:
    """One answer for whatever may not be known to be there."""
    return RequestError("NoSuchKey", ABSENT)

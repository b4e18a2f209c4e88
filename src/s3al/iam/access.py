"""Who may call the identity operations.

What lives here: `authorize` for STS and for our own API. What does not: policies (auth.evaluate).

Laws: GetCallerIdentity needs no permission, only a signature; the operations of our own API (`s3al:*`) belong
to the root of the operator's account.

Source: STS API Reference, GetCallerIdentity ("No permissions are required").
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from s3al.auth.authorized import Authorized, grant
from s3al.auth.decision import Decision
from s3al.errors import AccessError, RequestError
from s3al.iam.ports import Iam
from s3al.service.operation import Call, Check, Operation, Ports
from s3al.store import accounts, catalog
from s3al.store.database import Rows


def no_checks(call: Call, rows: Rows, iam: Iam) -> Iterable[Check]:
    return ()


def authorizer(operations: Mapping[str, Operation[Ports]]) -> Callable[[Rows, Call, Ports], Authorized]:
    """For a service made of these operations."""

    def authorize(rows: Rows, call: Call, ports: Ports) -> Authorized:
        if call.principal.kind == "anonymous":
            raise RequestError("MissingAuthenticationToken")
        decisions = tuple(_decide(rows, call, check) for check in operations[call.operation].checks(call, rows, ports))
        return grant(call.principal, decisions, catalog.change_counter(rows))

    return authorize


def _decide(rows: Rows, call: Call, check: Check) -> Decision:
    operator = accounts.find_operator(rows)
    if operator and call.principal.kind == "root" and call.principal.account_id == operator.account_id:
        return Decision("allow", None, "because the root of the operator's account asks")
    raise AccessError(
        "AccessDenied",
        f"User: {call.principal.arn} is not authorized to perform: {check.action}; only the operator's root is.",
    )

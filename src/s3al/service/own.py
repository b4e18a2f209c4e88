"""What the operations of our own API share, whichever room they live in.

What lives here: their check, and readers of their parameters. What does not: the operations (each room's `own`),
their wire (server.own_api), who is allowed (iam.access).

Law: an action of our own API is `s3al:<Operation>`; members are snake case.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from s3al.errors import RequestError
from s3al.service.operation import Call, Check, Params
from s3al.store.database import Rows


def own_check(call: Call, rows: Rows, ports: Any) -> Iterable[Check]:
    """The action on everything; operations about one resource declare a check of their own."""
    return (Check(f"s3al:{call.operation}", "*"),)


def text(params: Params, member: str) -> str:
    """Raises ValidationError unless the member is a text that is not empty."""
    value: Any = params.get(member)
    if not isinstance(value, str) or not value:
        raise RequestError("ValidationError", f"The member {member} must be a text.")
    return value

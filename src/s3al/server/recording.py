"""What the trail is told of a request that is about to be answered.

What lives here: from an exchange to `Answered`. What does not: records (trail), when one is due (gateway).

Law: whoever did not prove who he is counts as nobody: a request whose signature fails names no principal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any

from s3al.auth.principal import ANONYMOUS
from s3al.service.auditing import Answered, Auditor

if TYPE_CHECKING:
    from s3al.server.gateway import Exchange


def record(
    auditor: Auditor,
    exchange: Exchange,
    *,
    output: Mapping[str, Any] | None = None,
    error_code: str | None = None,
    error_message: str | None = None,
) -> Awaitable[None] | None:
    """Something to wait for when the record must be durable. Raises StoreError: then nothing may be answered but that.
    Nothing is made, and nothing costs, where nothing is recorded."""
    operation = exchange.route.operation_name if exchange.route else ""
    if not operation or not auditor.concerns(exchange.service, operation, exchange.request_id):
        return None
    request = exchange.request
    answered = Answered(
        service=exchange.service,
        operation=operation,
        request_id=exchange.request_id,
        principal=exchange.principal or ANONYMOUS,
        source_ip=request.client_ip,
        user_agent=request.headers.get("user-agent", ""),
        call=exchange.call,
        output=output,
        error_code=error_code,
        error_message=error_message,
    )
    return auditor.record(answered)

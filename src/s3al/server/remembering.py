"""From a refusal in the gateway to what is remembered of it.

What lives here: which refusals are remembered. What does not: the memory (service.refusals), who is told
(explain.refused).

Law: those alone that say AccessDenied of a known request; what was wrong with a signature, a key id or a token is
remembered for nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3al.auth.decision import Weighed
from s3al.errors import AccessError, RequestError
from s3al.service.refusals import Refusals, Refused

if TYPE_CHECKING:
    from s3al.server.gateway import Exchange

_CODES = frozenset({"AccessDenied", "AccessDeniedException"})


def remember(refusals: Refusals, exchange: Exchange, error: RequestError, message: str) -> None:
    """message: as it is answered."""
    call = exchange.call
    if call is None or not isinstance(error, AccessError) or error.code not in _CODES:
        return
    refusals.note(
        Refused(
            request_id=exchange.request_id,
            at_ms=call.now_ms,
            service=call.service,
            operation=call.operation,
            principal=call.principal,
            message=message,
            weighed=_weighed(error),
        )
    )


def _weighed(error: BaseException | None) -> Weighed | None:
    """What a service says in words of its own was decided further down: S3 answers for a key, the KMS hides one."""
    while error is not None:
        if isinstance(error, AccessError) and isinstance(error.weighed, Weighed):
            return error.weighed
        error = error.__cause__ or error.__context__
    return None

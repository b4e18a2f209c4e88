"""The condition keys that every request has, whichever service it is for.

What lives here: the global keys that follow from a call. What does not: keys of one service (its `access`), keys that
follow from the caller alone (auth.principal).

Source: IAM User Guide, "AWS global condition context keys".
"""

from __future__ import annotations

from datetime import UTC, datetime

from s3al.auth.principal import principal_context
from s3al.service.operation import Call

_HEADERS = (("user-agent", "aws:UserAgent"), ("referer", "aws:Referer"))


def global_context(call: Call) -> dict[str, str | list[str]]:
    """A key that the request does not have is left out."""
    now = datetime.fromtimestamp(call.now_ms / 1000, UTC)
    context: dict[str, str | list[str]] = {
        "aws:SecureTransport": "true" if call.secure else "false",
        "aws:CurrentTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "aws:EpochTime": str(call.now_ms // 1000),
        "aws:RequestedRegion": call.region,
    }
    if call.source_ip:
        context["aws:SourceIp"] = call.source_ip
    for header, name in _HEADERS:
        if header in call.headers:
            context[name] = call.headers[header]
    context |= principal_context(call.principal)
    context |= call.signature_context()
    return context

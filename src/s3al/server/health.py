"""The three pages that ask nothing of the caller: live, ready, metrics.

What lives here: their paths and answers. What does not: what "ready" means, which `app` says by handing in a probe.

Laws: they need no signature, and therefore say nothing of accounts, names or keys; `live` touches nothing, so that a
slow disk does not get the process killed; `ready` is asked of the worker that answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from s3al.server.asgi import Request, Response
from s3al.server.metrics import CONTENT_TYPE, Metrics

LIVE = "/_s3al/health/live"
READY = "/_s3al/health/ready"
METRICS = "/_s3al/metrics"

# Returns None when the store answers, else one word that says what does not.
ReadyProbe = Callable[[], Awaitable[str | None]]


async def health_page(request: Request, *, ready: ReadyProbe, metrics: Metrics) -> Response | None:
    """The answer if `request` is for one of the pages, else None."""
    if not request.raw_path.startswith("/_s3al/") or request.raw_path not in (LIVE, READY, METRICS):
        return None
    if request.method not in ("GET", "HEAD"):
        return _text(405, "method not allowed", ("allow", "GET, HEAD"))
    if request.raw_path == LIVE:
        return _text(200, "live")
    if request.raw_path == METRICS:
        return Response(200, [("content-type", CONTENT_TYPE)], metrics.exposition().encode())
    trouble = await ready()
    return _text(200, "ready") if trouble is None else _text(503, trouble, ("retry-after", "1"))


def _text(status: int, text: str, *headers: tuple[str, str]) -> Response:
    plain = ("content-type", "text/plain; charset=utf-8")
    return Response(status, [plain, ("cache-control", "no-store"), *headers], f"{text}\n".encode())

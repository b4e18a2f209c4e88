"""What answers while the store is sealed: its root cannot be reached, so that not even the catalog can be opened.

What lives here: one process that takes the workers' place at the socket, says 503 to everything, and is alive. What
does not: trying again (root_keeper), what is served once the store is open (app).

Laws: it has neither keys nor the store, and reads nothing of a request but what tells which protocol it speaks; every
refusal is one that clients try again. It ends before the first worker starts, and with the main process.

Source: S3 API reference, "Error responses" (ServiceUnavailable); KMS API reference, "Common errors".
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from typing import Final

from s3al.server.asgi import Edge, Request, Response
from s3al.server.hardening import die_with, forbid_dumps, name_process
from s3al.server.health import health_page
from s3al.server.logs import Log, capture_foreign_records
from s3al.server.metrics import Metrics
from s3al.server.tls import TlsPair
from s3al.server.worker import HttpSettings, serve_forever

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_STOP_S: Final = 5.0
_REASON: Final = "The store is sealed: its root key cannot be reached. Please try again."


@contextlib.contextmanager
def sealed_server(listener: socket.socket, log: Log, tls: TlsPair | None) -> Iterator[None]:
    """Answers at `listener` until the block ends. The caller has one thread."""
    lifeline = os.pipe()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        supervisor_pid, pid = os.getpid(), os.fork()
        if pid == 0:
            _serve(listener, log, tls, supervisor_pid, lifeline)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        yield
    finally:
        _end(pid)
        for descriptor in lifeline:
            os.close(descriptor)


async def respond(request: Request) -> Response:
    """503 in the words of the protocol that is spoken; the health pages as ever."""

    async def sealed() -> str:
        return "sealed"

    page = await health_page(request, ready=sealed, metrics=Metrics(1))
    if page is not None:
        return page
    again = [("retry-after", "5"), ("cache-control", "no-store")]
    if "x-amz-target" in request.headers or request.raw_path.startswith("/_s3al/"):
        document = {"__type": "DependencyTimeoutException", "message": _REASON}
        return Response(503, [("content-type", "application/x-amz-json-1.1"), *again], json.dumps(document).encode())
    text = f"<Error><Code>ServiceUnavailable</Code><Message>{_REASON}</Message></Error>"
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode()
    return Response(503, [("content-type", "application/xml"), *again], body)


def _serve(
    listener: socket.socket, log: Log, tls: TlsPair | None, supervisor_pid: int, lifeline: tuple[int, int]
) -> None:
    try:
        os.close(lifeline[1])
        die_with(supervisor_pid, lifeline[0])
        forbid_dumps()
        name_process("s3al sealed")
        capture_foreign_records(log)
        serve_forever(listener, lambda: Edge(respond, log), tls=tls, settings=HttpSettings(), ready=lambda: None)
    except BaseException as exc:  # noqa: BLE001 - the end of this process; nobody above could be told
        log.failure("sealed_server_failed", exc)
    finally:
        os._exit(0)


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_S
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(pid, os.WNOHANG) == (0, 0):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

"""What runs in a worker process: Granian's ASGI server on a socket it inherited.

What lives here: every touch of Granian, with its settings and their reasons. What does not: forking and watching
(supervisor), how it ends (drain), the application (`app` hands in a loader).

Laws: HTTP/1.1 only, as S3 itself, which leaves the attack surface of HTTP/2 out. All workers share one listening
socket rather than having one each (SO_REUSEPORT, Granian's own way on Linux): what waits in its queue survives the
death of a worker, port 0 is one port, and a second server on the port is refused instead of taking part of the traffic.
Granian's own access log, metrics, respawning and signals of the main process are not used.

Source: granian/server/{common,mp}.py, 2.8.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from s3al.server.asgi import AsgiApp, Message, Receive, Scope, Send
from s3al.server.drain import Drain
from s3al.server.hardening import descriptor_limit
from s3al.server.tls import TlsPair

# Its records go to the root logger, which `logs` has made ours; the default would print to standard output.
_QUIET: dict[str, Any] = {"handlers": {}, "formatters": {}, "loggers": {"_granian": {"propagate": True}}}


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Bounds of the HTTP layer of one worker.

    connections: open at once, idle ones included; more wait in the listening socket's queue, behind which nobody is
    answered, not even a health check. An idle one takes some 5 KiB, so there may be many; how many of them may ask for
    something at the same time is for the edge to say. At most half of the process's descriptors, for blobs take some
    too. head_read_s: for the head of a request to arrive, and for an idle connection to stay. buffer_bytes: largest
    piece of a body, and more than any head (Granian answers 431 beyond it or beyond 100 headers).
    """

    connections: int = 16384
    backlog: int = 2048
    head_read_s: int = 30
    buffer_bytes: int = 8192 + 4096 * 100


def serve_forever(
    listener: socket.socket,
    load: Callable[[], AsgiApp],
    *,
    tls: TlsPair | None,
    settings: HttpSettings,
    ready: Callable[[], None],
) -> None:
    """Serve until SIGTERM, then end gracefully. Signals are expected blocked and are unblocked once they are handled.

    ready: called when the application has started. Raises what `load` or the application's start raises.
    """
    # Typed as Any: Granian's stubs lag behind, and what follows is how it hands sockets to workers elsewhere.
    server: Any = _granian(tls, settings)
    holder: Any = SocketHolder
    server._ssp, server._shd, server._sso = None, holder(listener.fileno(), False, settings.backlog), None
    drain = Drain(listener, tls=tls is not None)
    process = server._spawn_worker(0, server._spawn_asgi_lifespan_worker, lambda: _announcing(load(), ready, drain))
    process.inner.run()  # runs the target here; the process it would start is this one


def _granian(tls: TlsPair | None, settings: HttpSettings) -> MPServer:
    return MPServer(
        "s3al",
        interface=Interfaces.ASGI,
        workers=1,
        runtime_mode=RuntimeModes.mt,
        loop=Loops.asyncio,
        http=HTTPModes.http1,
        websockets=False,
        backlog=settings.backlog,
        backpressure=min(settings.connections, descriptor_limit() // 2),
        http1_settings=HTTP1Settings(
            header_read_timeout=settings.head_read_s * 1000, max_buffer_size=settings.buffer_bytes
        ),
        log_level=LogLevels.warning,
        log_dictconfig=_QUIET,
        ssl_cert=tls.certificate if tls else None,
        ssl_key=tls.key if tls else None,
        ssl_protocol_min=SSLProtocols.tls12,
    )


def _announcing(app: AsgiApp, ready: Callable[[], None], drain: Drain) -> AsgiApp:
    """`app`, which takes signals from the moment it has started, and then says so."""

    async def announcing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, drain.closing(send) if drain.begun else send)
            return

        async def send_and_tell(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                # Granian has set its handlers by now. What came earlier was blocked and arrives now.
                drain.install(asyncio.get_running_loop())
                signal.pthread_sigmask(signal.SIG_SETMASK, [])
                ready()

        await app(scope, receive, send_and_tell)

    return announcing

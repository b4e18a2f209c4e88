"""How a worker stops without leaving a request unanswered.

What lives here: SIGTERM's handler of a worker: it takes no more connections, lets those it has get their answers, and
only then tells the HTTP server to end. What does not: that server (worker), who sends the signal (supervisor).

Why: on its own signal Granian closes every connection from which nothing has been read yet, and drops those within
their TLS handshake: a client that had just connected would be cut off, though another worker could have answered it.

Laws
- From the signal on, this process accepts nothing: what comes waits in the queue that all workers share.
- Answers say `Connection: close`, so that busy clients change to another worker between two requests.
- A connection on which nothing has arrived for `quiet_s` has not asked for anything and may be closed.
- It takes at most `limit_s`; requests in flight have the supervisor's `stop_s`, and are Granian's to finish.

Linux only, as it needs the kernel's view of sockets; elsewhere the worker ends as Granian does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
import struct
import sys
import time
from dataclasses import dataclass, field

from s3al.server.asgi import Message, Send

_LOOK_S = 0.02
# struct tcp_info of linux/tcp.h: offsets of tcpi_state, tcpi_last_data_recv (ms), tcpi_bytes_sent
_STATE, _LAST_RECEIVED, _BYTES_SENT, _INFO_BYTES = 0, 52, 200, 208
_ESTABLISHED, _CLOSE_WAIT = 1, 8


@dataclass(slots=True)
class Drain:
    """One worker's end.

    listener: the shared listening socket, under the number by which the HTTP server uses it. tls: a handshake looks
    like an answer to the kernel, so that there even connections that were answered must have been quiet.
    """

    listener: socket.socket
    tls: bool
    quiet_s: float = 0.5
    limit_s: float = 2
    begun: bool = field(default=False, init=False)
    _deadline: float = field(default=0, init=False)
    _port: int = field(default=0, init=False)

    def install(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take SIGTERM from the HTTP server, in whose loop this runs. SIGINT is left as its way to be told to end."""
        # SIGINT of a terminal reaches every process of the group: only the supervisor acts on it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if sys.platform == "linux":
            loop.add_signal_handler(signal.SIGTERM, self._begin, loop)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self.begun:
            self.begun = True
            self._deadline = time.monotonic() + self.limit_s
            self._port = self.listener.getsockname()[1]
            stop_accepting(self.listener)
            self._look(loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        begun = time.monotonic()
        if begun < self._deadline and awaiting_answer(self._port, tls=self.tls, quiet_s=self.quiet_s):
            # The loop has answers to give: among ten thousand connections a look takes some 0.1 s of it.
            loop.call_later(max(_LOOK_S, 4 * (time.monotonic() - begun)), self._look, loop)
            return
        # asyncio hears of a signal from the interpreter's own handler, whichever function stands behind it.
        signal.signal(signal.SIGINT, lambda _number, _frame: None)
        signal.raise_signal(signal.SIGINT)

    def closing(self, send: Send) -> Send:
        """`send`, whose response is the last of its connection."""

        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [pair for pair in message["headers"] if pair[0].lower() != b"connection"]
                message = {**message, "headers": [*headers, (b"connection", b"close")]}
            await send(message)

        return send_last


def stop_accepting(listener: socket.socket) -> None:
    """Take `listener` from the event loops of this process, and put a socket that nobody knows under its number.

    The other processes keep theirs. In this order: an event loop that is told of a socket after its owner has closed
    it would follow a pointer to what no longer is.
    """
    for number in _numbers("anon_inode:[eventpoll]"):
        # An event loop that does not know the listener, or one that was closed meanwhile.
        with contextlib.suppress(OSError), select.epoll.fromfd(os.dup(number)) as events:
            events.unregister(listener.fileno())
    host = "::1" if listener.family == socket.AF_INET6 else "127.0.0.1"
    with socket.socket(listener.family, socket.SOCK_STREAM) as nobody:
        # It listens, as Granian tries again at once, for ever, where accepting is an error.
        nobody.setblocking(False)
        nobody.bind((host, 0))
        nobody.listen(0)
        os.dup2(nobody.fileno(), listener.fileno(), inheritable=False)


def awaiting_answer(port: int, *, tls: bool, quiet_s: float) -> bool:
    """Whether a client of this process's `port` may have asked for something, or be about to, and got no answer."""
    for number in _numbers("socket:"):
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as connection:
            if connection.family not in (socket.AF_INET, socket.AF_INET6) or connection.getsockname()[1] != port:
                continue
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
            fresh = tls or len(info) < _INFO_BYTES or struct.unpack_from("=Q", info, _BYTES_SENT)[0] == 0
            quiet = struct.unpack_from("=I", info, _LAST_RECEIVED)[0] >= quiet_s * 1000
            if info[_STATE] in (_ESTABLISHED, _CLOSE_WAIT) and fresh and not quiet:
                return True
    return False


def _numbers(kind: str) -> list[int]:
    """This process's descriptors whose link begins with `kind`."""
    numbers = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):  # closed meanwhile
            if os.readlink(f"/proc/self/fd/{name}").startswith(kind):
                numbers.append(int(name))
    return numbers

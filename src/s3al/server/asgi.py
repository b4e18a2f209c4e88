"""The edge to ASGI: a scope becomes a `Request`, a `Response` becomes messages, and unread bodies are dealt with.

What lives here: the two values, the body as an iterator, drain, HEAD, abnormal ends, the lifespan of a worker's
application. What does not: meaning of any kind (gateway), sockets and HTTP framing (Granian), who the client is behind
a proxy (`proxies`), log lines (whoever sets `Response.ended`).

Laws
- A refused upload must reach the client as its error, not as a broken pipe: the answer is sent at once and the rest of
  the body is then read and dropped, up to a bound, while the client finishes sending. A client that waits for
  100-continue is told at once and never invited to send; what it sends without waiting is dropped all the same.
- A stream that fails, or is shorter or longer than announced, ends the response abnormally: a body that arrives whole
  is a body that was sent whole. Hence every body has a Content-Length.
- Header values are UTF-8 where they can be, else Latin-1, so that a signature over UTF-8 metadata verifies.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote_plus

from s3al.errors import RequestError, S3alError
from s3al.server.logs import Log
from s3al.server.proxies import IpNetwork, client_of

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Headers = Mapping[str, str]

SERVER_NAME: Final = b"s3al"


@dataclass(frozen=True, slots=True)
class EdgeLimits:
    """Bounds of the HTTP edge.

    drain_bytes: of a body nobody wants; covers the part sizes of common clients that do not wait for 100-continue.
    drain_s: for all of the drain. impatience_s: for a byte from a client that said it would wait for 100-continue and
    was refused; once the answer is on its way, reading invites nobody.
    idle_s: without a byte in, or without one accepted by a reader of ours.
    head_bytes: names and values of all headers, path and query; S3 allows 8 KiB of headers, and presigned URLs with
    session tokens come on top. requests: being answered at the same time by one worker; more are refused with SlowDown,
    so that memory, of which each takes some, has a bound.
    """

    drain_bytes: int = 64 * 1024 * 1024
    drain_s: float = 30
    impatience_s: float = 0.5
    idle_s: float = 60
    head_bytes: int = 32 * 1024
    requests: int = 1024


class ClientGone(S3alError):  # noqa: N818 - an event, not a fault
    """The client closed the connection before its request or our response was complete."""


class RequestBody:
    """The payload as it comes off the wire, framing of HTTP removed, to be iterated once.

    Raises ClientGone when the connection ends early, RequestError("RequestTimeout") when nothing comes for too long.
    """

    __slots__ = ("_idle_s", "_receive", "complete", "received_bytes", "touched")

    def __init__(self, receive: Receive, *, complete: bool, idle_s: float) -> None:
        self._receive = receive
        self._idle_s = idle_s
        self.complete = complete
        self.touched = False
        self.received_bytes = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        while not self.complete:
            self.touched = True
            try:
                async with asyncio.timeout(self._idle_s):
                    message = await self._receive()
            except TimeoutError:
                raise RequestError("RequestTimeout") from None
            if message["type"] != "http.request":
                raise ClientGone("the client closed the connection within its request")
            self.complete = not message.get("more_body", False)
            chunk: bytes = message.get("body", b"")
            if chunk:
                self.received_bytes += len(chunk)
                return chunk
        raise StopAsyncIteration

    async def read(self, max_bytes: int) -> bytes:
        """The whole body; RequestError("EntityTooLarge") beyond `max_bytes`."""
        parts: list[bytes] = []
        size = 0
        async for chunk in self:
            size += len(chunk)
            if size > max_bytes:
                raise RequestError("EntityTooLarge")
            parts.append(chunk)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def drain(self, limits: EdgeLimits, *, unless_idle_s: float | None = None) -> bool:
        """Read and drop what is left, within bounds. Whether the end was reached.

        unless_idle_s: give up sooner, when no byte has come for so long.
        """
        stop_at = self.received_bytes + limits.drain_bytes
        self._idle_s = min(self._idle_s, unless_idle_s or self._idle_s)
        try:
            async with asyncio.timeout(limits.drain_s):
                async for _ in self:
                    if self.received_bytes > stop_at:
                        return False
        except (TimeoutError, ClientGone, RequestError):
            return False
        return True


@dataclass(slots=True)
class Request:
    """One HTTP request.

    raw_path: as sent, percent-encoded, without the query. query: decoded pairs in order, "" where there is no value.
    headers: lower-case names; repeated ones joined with ",". client_ip and secure: as a trusted proxy says, if there
    is one. refusal: why this request must be answered with an error whatever it asks; the pipeline raises it first.
    """

    method: str
    raw_path: str
    raw_query: str = field(repr=False)
    query: Sequence[tuple[str, str]] = field(repr=False)
    headers: Headers = field(repr=False)
    client_ip: str
    secure: bool
    body: RequestBody
    started: float
    refusal: RequestError | None = None

    @property
    def content_length(self) -> int | None:
        text = self.headers.get("content-length", "")
        return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None


@dataclass(slots=True)
class Ending:
    """How a request ended. aborted: one word if not regularly: `client-gone`, `idle`, `stream-failed`."""

    status: int
    received_bytes: int
    sent_bytes: int
    ms: float
    aborted: str | None = None


@dataclass(slots=True)
class Response:
    """What to answer. body_bytes: exact length of a streamed body; a stream without it is refused.

    ended: called once when all is over. An iterator that has `aclose` is closed in every case.
    """

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | AsyncIterator[bytes] = b""
    body_bytes: int | None = None
    ended: Callable[[Ending], None] | None = None


class AbnormalEnd(S3alError):  # noqa: N818 - an event, not a fault
    """Raised into the server so that it cuts the connection: the response must not look complete."""


Respond = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Edge:
    """The ASGI application of one worker.

    respond: the pipeline; it answers every error it foresees. start and stop: run once, before the first request and
    after the last one's `ended`.
    """

    respond: Respond
    log: Log
    trusted_proxies: tuple[IpNetwork, ...] = ()
    limits: EdgeLimits = EdgeLimits()
    start: Callable[[], Awaitable[None]] | None = None
    stop: Callable[[], Awaitable[None]] | None = None
    _exchanges: set[asyncio.Task[Any]] = field(default_factory=set, init=False, repr=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            task = asyncio.current_task()
            assert task is not None
            self._exchanges.add(task)
            try:
                await self._http(scope, receive, send)
            finally:
                self._exchanges.discard(task)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        if self.start:
            try:
                await self.start()
            except Exception as exc:
                self.log.failure("start_failed", exc)
                await send({"type": "lifespan.startup.failed", "message": ""})
                raise
        await send({"type": "lifespan.startup.complete"})
        await receive()
        if self._exchanges:
            # Their clients are served, but the code behind the last byte has not run yet; the supervisor's patience
            # bounds the wait.
            await asyncio.wait(self._exchanges)
        if self.stop:
            await self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = request_of(scope, receive, trusted_proxies=self.trusted_proxies, limits=self.limits)
        if len(self._exchanges) > self.limits.requests:
            request.refusal = request.refusal or RequestError("SlowDown")
        try:
            response = await self.respond(request)
        except ClientGone:
            return
        except Exception as exc:  # noqa: BLE001 - the last net: logged, answered, and nothing was sent before
            self.log.failure("unforeseen", exc)
            response = _internal_error()
        # The body is judged now: what the answer says of the connection must be decided before its head is sent.
        unread = not request.body.complete
        waits_for_invitation = False
        if unread or "expect" in request.headers:
            waits_for_invitation = self._judge_body(request, response)
        exchange = _Exchange(request, response, receive, send, self.limits.idle_s)
        try:
            await exchange.run()
        except AbnormalEnd as end:
            if end.__cause__ is not None:
                self.log.failure("response_aborted", end.__cause__)
            raise AbnormalEnd("") from None
        if unread:
            # Some clients announce that they wait and do not (the Go SDK); whoever does wait sends nothing now.
            await request.body.drain(
                self.limits, unless_idle_s=self.limits.impatience_s if waits_for_invitation else None
            )


    def _judge_body(self, request: Request, response: Response) -> bool:
        """Whether the client waits to be told to send its body. Ends the connection where it cannot be used again."""
        unread = not request.body.complete
        expects = request.headers.get("expect", "").lower() == "100-continue"
        waits_for_invitation = expects and unread and not request.body.touched
        # botocore misreads the next response of a connection on which it was answered without 100, as it is when the
        # announced body is empty: such a connection is not used again.
        never_invited = waits_for_invitation or (expects and not unread and not request.body.received_bytes)
        left_bytes = (request.content_length or 0) - request.body.received_bytes
        if never_invited or (unread and left_bytes > self.limits.drain_bytes):
            response.headers.append(("connection", "close"))
        return waits_for_invitation


class _Exchange:
    """Sends one response and reports how it ended."""

    __slots__ = ("_idle_s", "_receive", "_request", "_response", "_send_message", "_sent_bytes")

    def __init__(self, request: Request, response: Response, receive: Receive, send: Send, idle_s: float) -> None:
        self._request = request
        self._response = response
        self._receive = receive
        self._send_message = send
        self._idle_s = idle_s
        self._sent_bytes = 0

    async def run(self) -> None:
        response = self._response
        aborted: str | None = None
        try:
            if isinstance(response.body, bytes):
                await self._send_whole(response.body, self._announced(response.body))
            elif response.body_bytes is None:
                raise AbnormalEnd("a streamed body needs its length")
            elif self._request.method == "HEAD" or response.body_bytes == 0:
                await self._send_whole(b"", response.body_bytes)
            else:
                await self._send_stream(response.body, response.body_bytes)
        except ClientGone:
            aborted = "client-gone"
        except TimeoutError:
            aborted = "idle"
            raise AbnormalEnd("") from None
        except BaseException as exc:
            aborted = "stream-failed"
            raise AbnormalEnd("") from exc
        finally:
            await self._close(aborted)

    async def _send_whole(self, body: bytes, announced: int) -> None:
        is_head = self._request.method == "HEAD"
        await self._send_head(announced)
        await self._send_message({"type": "http.response.body", "body": b"" if is_head else body, "more_body": False})
        self._sent_bytes = 0 if is_head else len(body)

    def _announced(self, body: bytes) -> int:
        """Length to announce with a whole body; to HEAD that of the body a GET would bring, as far as it is known."""
        if self._request.method != "HEAD":
            return len(body)
        if self._response.body_bytes is not None:
            return self._response.body_bytes
        given = [value for name, value in self._response.headers if name.lower() == "content-length"]
        return int(given[0]) if given else len(body)

    async def _send_stream(self, chunks: AsyncIterator[bytes], total_bytes: int) -> None:
        # Granian swallows what is sent to a client that has gone; only `receive` tells.
        gone = asyncio.ensure_future(self._until_gone())
        try:
            head_sent = False
            async for chunk in chunks:
                if gone.done():
                    raise ClientGone("the client closed the connection within the response")
                if self._sent_bytes + len(chunk) > total_bytes:
                    raise AbnormalEnd("more bytes than announced")
                if not head_sent:
                    await self._send_head(total_bytes)
                    head_sent = True
                await self._send_chunk(chunk, last=self._sent_bytes + len(chunk) == total_bytes)
            if self._sent_bytes != total_bytes:
                raise AbnormalEnd("fewer bytes than announced")
        finally:
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gone

    async def _send_chunk(self, chunk: bytes, *, last: bool) -> None:
        # Granian takes anything but bytes for an empty body.
        body = chunk if type(chunk) is bytes else bytes(chunk)
        async with asyncio.timeout(self._idle_s):
            await self._send_message({"type": "http.response.body", "body": body, "more_body": not last})
        self._sent_bytes += len(body)

    async def _until_gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def _send_head(self, length: int) -> None:
        response = self._response
        headers = [(_NAMES.get(name) or _name_bytes(name), value.encode()) for name, value in response.headers]
        headers = [header for header in headers if header[0] != b"content-length"]  # exactly one, and it is ours
        headers.append((b"server", SERVER_NAME))
        if response.status not in (204, 304):
            headers.append((b"content-length", b"%d" % length))
        await self._send_message({"type": "http.response.start", "status": response.status, "headers": headers})

    async def _close(self, aborted: str | None) -> None:
        body = self._response.body
        if not isinstance(body, bytes) and hasattr(body, "aclose"):
            await body.aclose()
        if self._response.ended:
            elapsed_ms = (time.perf_counter() - self._request.started) * 1000
            received = self._request.body.received_bytes
            self._response.ended(Ending(self._response.status, received, self._sent_bytes, elapsed_ms, aborted))


def request_of(
    scope: Scope, receive: Receive, *, trusted_proxies: Sequence[IpNetwork] = (), limits: EdgeLimits = EdgeLimits()
) -> Request:
    """The request that a scope describes. Never raises: what is wrong with it stands in `refusal`."""
    headers, head_bytes = _headers_of(scope["headers"])
    raw_path = scope["raw_path"].decode("latin-1")
    raw_query = scope["query_string"].decode("latin-1")
    head_bytes += len(raw_path) + len(raw_query)
    refusal = RequestError("RequestHeaderSectionTooLarge") if head_bytes > limits.head_bytes else None
    if headers.get("transfer-encoding", "chunked").lower() != "chunked":
        refusal = refusal or RequestError("NotImplemented", Header="Transfer-Encoding")
    query: list[tuple[str, str]] = []
    try:
        query = parse_query(raw_query)
    except RequestError as exc:
        refusal = refusal or exc
    client_ip, secure = client_of(scope["client"][0], scope["scheme"] == "https", headers, trusted_proxies)
    has_body = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
    return Request(
        method=scope["method"],
        raw_path=raw_path,
        raw_query=raw_query,
        query=query,
        headers=headers,
        client_ip=client_ip,
        secure=secure,
        body=RequestBody(receive, complete=not has_body, idle_s=limits.idle_s),
        started=time.perf_counter(),
        refusal=refusal,
    )


def parse_query(raw_query: str) -> list[tuple[str, str]]:
    """Decoded pairs in order. "+" is a space, as S3 reads it; RequestError("InvalidURI") if it is not UTF-8."""
    if not raw_query:
        return []
    try:
        pairs = (part.partition("=") for part in raw_query.split("&") if part)
        return [
            (unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")) for name, _, value in pairs
        ]
    except UnicodeDecodeError:
        raise RequestError("InvalidURI") from None


def _headers_of(raw_headers: Sequence[tuple[bytes, bytes]]) -> tuple[dict[str, str], int]:
    headers: dict[str, str] = {}
    size = 0
    for raw_name, raw_value in raw_headers:
        size += len(raw_name) + len(raw_value)
        name = raw_name.decode("latin-1").lower()
        try:
            value = raw_value.decode()
        except UnicodeDecodeError:
            value = raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers, size


_NAMES: dict[str, bytes] = {}  # of headers sent so far, and no more than a few hundred: metadata may be named anything
_MAX_NAMES = 512


def _name_bytes(name: str) -> bytes:
    """Lower case, as HTTP/2 wants it and HTTP/1 allows it."""
    encoded = name.lower().encode("latin-1")
    if len(_NAMES) < _MAX_NAMES:
        _NAMES[name] = encoded
    return encoded


def _internal_error() -> Response:
    document = (
        b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>InternalError</Code>'
        b"<Message>We encountered an internal error. Please try again.</Message></Error>"
    )
    return Response(500, [("content-type", "application/xml"), ("connection", "close")], document)

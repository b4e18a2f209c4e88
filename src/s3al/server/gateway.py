"""The one pipeline: route, authenticate, parse, authorize, handle, record, serialize; then metrics and log.

What lives here: the order of the steps and the mapping of every failure to an answer. What does not: HTTP
(asgi), any step itself (wire, auth, service), what operations mean (s3, kms, iam).

Laws: a handler runs only with the `Authorized` that its service's `authorize` returned for this very call;
nothing is parsed for an unknown caller beyond what the signature covers; every failure is an error answer in
the protocol of the service, and what is not foreseen is logged by type and place, never by message. Integrity
failures are events of their own.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from s3al.auth.authorized import Authorized
from s3al.auth.chunks import ChunkVerifier
from s3al.auth.principal import ANONYMOUS, Principal
from s3al.auth.sigv4 import Seed, SignedRequest, parse_authorization, verify
from s3al.auth.sigv4_reading import claimed_service
from s3al.errors import IntegrityError, RequestError, StoreError
from s3al.server import metrics as families
from s3al.server import own_api
from s3al.server.asgi import ClientGone, Ending, Request, Response
from s3al.server.logs import Log, RequestLine
from s3al.server.metrics import Metrics
from s3al.server.payload import DecodedBody
from s3al.server.recording import record
from s3al.server.refusals import worded
from s3al.server.remembering import remember
from s3al.service.auditing import Auditor
from s3al.service.clock import wall_ms
from s3al.service.credentials import Credential, Credentials, require_unchanged
from s3al.service.in_flight import InFlight
from s3al.service.operation import Call, Reply, Service
from s3al.service.refusals import Refusals
from s3al.service.stretches import in_stretches
from s3al.store.database import Database, Rows
from s3al.wire import plan as wire
from s3al.wire.plan import OperationPlan, Route
from s3al.wire.router import Router
from s3al.wire.serialize import serialize_error

_SMALL_BODY_BYTES = 1 << 20
_LONG_DOCUMENT_BYTES = 32 * 1024  # longer ones are read in a thread: 10,000 parts held everybody up for a second


@dataclass(slots=True)
class Exchange:
    """What is known so far of one request; error answers and the log line are made from it."""

    request: Request
    request_id: str
    service: str = "s3"
    route: Route | None = None
    principal: Principal | None = None
    credential: Credential | None = None
    call: Call | None = None
    error_code: str | None = None


@dataclass(frozen=True, slots=True)
class Gateway:
    """The pipeline of one worker.

    special: handlers of operations that no model has (PostObject, Preflight), by name. decorate: adds headers
    that depend on the bucket (CORS) to a finished answer.
    """

    router: Router
    services: Mapping[str, Service[Any]]
    own_plans: dict[str, OperationPlan]
    credentials: Credentials
    db: Database
    now_ms: Callable[[], int]
    in_flight: InFlight
    metrics: Metrics
    log: Log
    host_id: str
    auditor: Auditor
    special: Mapping[str, Callable[[Gateway, Exchange], Any]] = field(default_factory=dict)
    decorate: Callable[[Gateway, Exchange, Response], None] | None = None
    begin: Callable[[Rows], None] = lambda _: None
    refusals: Refusals | None = None

    async def respond(self, request: Request) -> Response:
        exchange = Exchange(request, f"{int.from_bytes(secrets.token_bytes(8)):016X}")
        self.in_flight.begin(exchange.request_id, self.now_ms())
        self.metrics.request_begun()
        try:
            response = await self._answer_or_refuse(exchange)
            if self.decorate:
                self.decorate(self, exchange, response)
        except BaseException:  # nobody will be answered, and whoever waits for this request to end must not wait
            self._ended(exchange, Ending(0, request.body.received_bytes, 0, 0.0, "client-gone"))
            raise
        response.ended = partial(self._ended, exchange)
        return response

    async def _answer_or_refuse(self, exchange: Exchange) -> Response:
        try:
            return await in_stretches(self.db, self._answer(exchange))
        except RequestError as refused:
            return self._refusal(exchange, refused)
        except IntegrityError as error:
            self.integrity(exchange, error)
            return self._refusal(exchange, RequestError("InternalError", _INTEGRITY_MESSAGE))
        except StoreError as error:
            self.log.failure("store", error, request_id=exchange.request_id)
            return self._refusal(exchange, _unavailable(error))
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001  the last net: logged by type and place, answered as InternalError
            self.log.failure("unforeseen", error, request_id=exchange.request_id)
            return self._refusal(exchange, RequestError("InternalError"))

    async def _answer(self, exchange: Exchange) -> Response:
        request = exchange.request
        own = request.raw_path.startswith(own_api.PREFIX)
        claimed = own_api.SERVICE if own else claimed_service(request.headers, request.query)
        exchange.service = own_api.SERVICE if own else self.router.service_of(request.method, request.headers, claimed)
        if request.refusal:
            raise request.refusal
        signed = parse_authorization(request.headers, request.query, service_hint=own_api.SERVICE if own else None)
        if own:
            exchange.route = own_api.route(request.raw_path, request.method, self.own_plans)
        else:
            exchange.route = self._route(exchange, signed)
        route = exchange.route
        special = self.special.get(route.operation_name) if route.plan is None and not route.unresolved else None
        if special:
            return await special(self, exchange)  # type: ignore[no-any-return]
        if exchange.service == "s3" and not route.unresolved:
            return await self.perform(exchange, signed, await self._authenticate_streaming(exchange, signed))
        return await self.perform(exchange, signed, await self._authenticate_whole(exchange, signed))

    def _route(self, exchange: Exchange, signed: SignedRequest | None) -> Route:
        request = exchange.request
        scope_service = signed.scope.service if signed else None
        exchange.service = self.router.service_of(request.method, request.headers, scope_service)
        route = self.router.route(
            request.method,
            request.headers.get("host", ""),
            request.raw_path,
            request.query,
            request.headers,
            service=scope_service,
        )
        exchange.service = route.service or exchange.service
        return route

    async def _principal(self, exchange: Exchange, signed: SignedRequest | None) -> tuple[Principal, Seed | None]:
        request = exchange.request
        if signed is None:
            await self.db.read(self.begin)
            return ANONYMOUS, None
        credential = await self.look_up(exchange, signed.scope.access_key_id, signed.session_token)
        seed = verify(
            signed,
            credential.secret,
            method=request.method,
            raw_path=request.raw_path,
            query=request.query,
            headers=request.headers,
            now=datetime.fromtimestamp(wall_ms() / 1000, UTC),
        )
        return credential.principal, seed

    async def look_up(self, exchange: Exchange, access_key_id: str, session_token: str | None) -> Credential:
        """The credential that signed. Raises InvalidAccessKeyId, InvalidToken or ExpiredToken."""

        def read(rows: Rows) -> Credential:
            self.begin(rows)
            return self.credentials.find(rows, access_key_id, session_token, now_ms=self.now_ms())

        exchange.credential = await self.db.read(read)
        return exchange.credential

    async def _authenticate_streaming(self, exchange: Exchange, signed: SignedRequest | None) -> DecodedBody:
        """S3: the signature covers the head; the body is verified as it is consumed."""
        exchange.principal, seed = await self._principal(exchange, signed)
        request = exchange.request
        verifier = ChunkVerifier(seed) if seed else None
        return DecodedBody(request, signed.payload_hash if signed else None, verifier)

    async def _authenticate_whole(self, exchange: Exchange, signed: SignedRequest | None) -> bytes:
        """The other services: the signature covers the body, which is small."""
        body = await exchange.request.body.read(_SMALL_BODY_BYTES)
        if signed is not None:
            digest = hashlib.sha256(body).hexdigest()
            claimed = exchange.request.headers.get("x-amz-content-sha256", digest)
            if not hmac.compare_digest(claimed, digest):
                raise RequestError("SignatureDoesNotMatch")
            signed = replace(signed, payload_hash=digest)
        exchange.principal, _ = await self._principal(exchange, signed)
        route = exchange.route
        if route and route.unresolved:
            exchange.route = self.router.resolve(route, body)
            exchange.service = exchange.route.service
        return body

    async def perform(self, exchange: Exchange, signed: SignedRequest | None, body: DecodedBody | bytes) -> Response:
        """Parse, authorize, handle and serialize, for an authenticated caller."""
        route, request = exchange.route, exchange.request
        assert route is not None
        plan = route.plan
        assert plan is not None
        document = body if isinstance(body, bytes) else None
        if isinstance(body, DecodedBody) and not plan.streaming_input and plan.body_limit:
            document = await body.read_verified(plan.body_limit, route.operation_name)
        if document is not None and len(document) > _LONG_DOCUMENT_BYTES:
            params = await asyncio.to_thread(plan.parse, route, request.query, request.headers, document)
        else:
            params = plan.parse(route, request.query, request.headers, document)
        call = self.new_call(exchange, params, signed)
        call.body = body if isinstance(body, DecodedBody) else None
        reply = await self.handle(exchange, call)
        return self._response(exchange, plan, reply)

    def new_call(self, exchange: Exchange, params: dict[str, Any], signed: SignedRequest | None) -> Call:
        request, route = exchange.request, exchange.route
        assert route is not None
        exchange.call = Call(
            service=exchange.service,
            operation=route.operation_name,
            params=params,
            principal=exchange.principal or ANONYMOUS,
            request_id=exchange.request_id,
            now_ms=self.now_ms(),
            region=signed.scope.region if signed else "us-east-1",
            method=request.method,
            headers=request.headers,
            query=request.query,
            secure=request.secure,
            source_ip=request.client_ip,
            signature_context=partial(_signature_context, signed) if signed else dict,
        )
        return exchange.call

    async def handle(self, exchange: Exchange, call: Call) -> Reply:
        service = self.services[exchange.service]
        operation = service.operations.get(call.operation)
        if operation is None:
            raise RequestError(_NOT_BUILT.get(exchange.service, "NotImplemented"))

        def authorize(rows: Rows) -> Authorized:
            return service.authorize(rows, call, service.ports)

        def reauthorize(rows: Rows) -> Authorized:
            if exchange.credential:
                call.principal = require_unchanged(rows, exchange.credential)
            return authorize(rows)

        call.reauthorize = reauthorize
        authorized = await self.db.read(authorize)
        self.auditor.reserve(call)
        reply = await operation.handle(authorized, call, service.ports)
        durable = record(self.auditor, exchange, output=reply.output)
        if durable:
            await durable
        return reply

    def _response(self, exchange: Exchange, plan: OperationPlan, reply: Reply) -> Response:
        answer = plan.serialize(reply.output, request_id=exchange.request_id, host_id=self.host_id)
        status = reply.status if reply.status is not None else answer.status
        headers = answer.headers + reply.headers
        if not plan.streaming_output:
            if exchange.request.method == "HEAD":
                return Response(status, headers, body_bytes=reply.output.get("ContentLength"))
            return Response(status, headers, answer.body)
        headers = [header for header in headers if header[0] != "content-length"]
        body = reply.body
        if not isinstance(body, bytes):
            body = self._watched(exchange, body)
        return Response(status, headers, body, reply.body_bytes)

    async def _watched(self, exchange: Exchange, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """A failure after the head was sent ends the response abnormally; here it is told apart and counted."""
        try:
            async for piece in body:
                yield piece
        except IntegrityError as error:
            self.integrity(exchange, error)
            raise
        finally:
            close = getattr(body, "aclose", None)
            if close:
                await close()

    def integrity(self, exchange: Exchange, error: IntegrityError) -> None:
        self.metrics.add(families.INTEGRITY, kind=exchange.route.operation_name if exchange.route else "unknown")
        self.log.failure("integrity", error, request_id=exchange.request_id)

    def _refusal(self, exchange: Exchange, refused: RequestError) -> Response:
        refused, (code, status, message) = _recorded(self, exchange, refused)
        exchange.error_code = code
        if self.refusals:
            remember(self.refusals, exchange, refused, message)
        if exchange.service == own_api.SERVICE:
            answer = own_api.serialize_error(code, status, message, exchange.request_id)
        else:
            fields = refused.fields if code == refused.code else {}
            answer = _error_answer(self, exchange, (code, status, message), fields)
        return Response(answer.status, answer.headers + list(refused.headers.items()), answer.body)

    def _ended(self, exchange: Exchange, ending: Ending) -> None:
        self.auditor.settle(exchange.request_id)
        self.in_flight.end(exchange.request_id)
        _count(self.metrics, exchange, ending)
        self.log.request(_line(exchange, ending))


def _recorded(
    gateway: Gateway, exchange: Exchange, refused: RequestError
) -> tuple[RequestError, tuple[str, int, str]]:
    """A refusal in its service's words, or the one of a trail that could not record it."""
    service, errors = exchange.service, gateway.services[exchange.service].errors
    code, status, message = worded(refused, service, errors)
    try:
        record(gateway.auditor, exchange, error_code=code, error_message=message)
    except StoreError as error:
        gateway.log.failure("trail", error, request_id=exchange.request_id)
        refused = _unavailable(error)
        return refused, worded(refused, service, errors)
    return refused, (code, status, message)


def _error_answer(
    gateway: Gateway, exchange: Exchange, refusal: tuple[str, int, str], fields: Mapping[str, str]
) -> wire.Response:
    code, status, message = refusal
    request, service = exchange.request, exchange.service
    return serialize_error(
        gateway.router.plan_of(service),
        code=code,
        status=status,
        message=message,
        fields=fields,
        request_id=exchange.request_id,
        host_id=gateway.host_id,
        resource=request.raw_path if service == "s3" else None,
        head=request.method == "HEAD",
    )


def _count(metrics: Metrics, exchange: Exchange, ending: Ending) -> None:
    metrics.request_ended(
        exchange.service,
        (exchange.route.operation_name if exchange.route else "") or "unknown",
        ending.status,
        received_bytes=ending.received_bytes,
        sent_bytes=ending.sent_bytes,
        microseconds=int(ending.ms * 1000),
    )
    if ending.aborted:
        metrics.add(families.ABORTED, reason=ending.aborted)


def _line(exchange: Exchange, ending: Ending) -> RequestLine:
    params = exchange.call.params if exchange.call else {}
    operation = exchange.route.operation_name if exchange.route else "unknown"
    return RequestLine(
        request_id=exchange.request_id,
        account=exchange.principal.account_id if exchange.principal else None,
        service=exchange.service,
        operation=operation or None,
        status=ending.status,
        received_bytes=ending.received_bytes,
        sent_bytes=ending.sent_bytes,
        ms=ending.ms,
        error_code=exchange.error_code,
        aborted=ending.aborted,
        bucket=params.get("Bucket"),
        object_key=params.get("Key"),
    )


_INTEGRITY_MESSAGE = (
    "What is stored cannot be trusted: it was altered, truncated or moved. Nothing of it is sent. "
    "Run `s3al check` on the stopped store."
)
_NOT_BUILT = {
    "kms": "UnsupportedOperationException",
    "cloudtrail": "UnsupportedOperationException",
    "sts": "InvalidAction",
    "iam": "InvalidAction",
}


def _unavailable(error: StoreError) -> RequestError:
    return RequestError("ServiceUnavailable" if error.retryable else "InternalError")


def _signature_context(signed: SignedRequest) -> dict[str, str]:
    """Condition keys that follow from how the request was signed.

    Source: S3 API Reference, "Amazon S3 Signature Version 4 authentication specific policy keys".
    """
    kinds = {"header": "REST-HEADER", "query": "REST-QUERY-STRING", "post": "POST"}
    age_ms = max(0, wall_ms() - int(signed.signed_at.timestamp() * 1000))
    context = {
        "s3:signatureversion": "AWS4-HMAC-SHA256",
        "s3:authType": kinds[signed.kind],
        "s3:signatureAge": str(age_ms),
    }
    if signed.payload_hash:
        context["s3:x-amz-content-sha256"] = signed.payload_hash
    return context

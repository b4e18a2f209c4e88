"""What browsers need beside the API: form uploads, CORS preflights, and CORS headers on answers.

What lives here: the two operations that no service model has, brought into the pipeline's shape. What does
not: reading a form (wire.form), its signed policy (auth.post_policy), its meaning (s3.post), CORS rules
(s3.cors).

Laws: a form is authenticated by the signature over its policy document, before a byte of its file is stored;
without a policy it is an anonymous request.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from s3al.auth.post_policy import PostPolicy, parse_form_authorization, verify_post_policy
from s3al.auth.principal import ANONYMOUS
from s3al.errors import RequestError, S3alError
from s3al.s3 import post
from s3al.s3.cors import response_headers
from s3al.server.asgi import Request, Response
from s3al.service.clock import wall_ms
from s3al.service.operation import Service
from s3al.wire.form import Form
from s3al.wire.operations import POST_OBJECT, PREFLIGHT

if TYPE_CHECKING:
    from s3al.server.gateway import Exchange, Gateway


class FormFile:
    """The file of a form as a body. Its size is known only at its end, where a too small one is refused."""

    decoded_bytes = None
    payload_sha256 = None
    trailers: Mapping[str, str] = {}

    def __init__(self, request: Request, form: Form, first: list[bytes], policy: PostPolicy | None) -> None:
        self._request, self._form, self._first, self._policy = request, form, first, policy

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        for piece in self._first:
            size += len(piece)
            yield piece
        async for chunk in self._request.body:
            for piece in self._form.feed(chunk):
                size += len(piece)
                yield piece
        self._form.finish()
        if self._policy:
            self._policy.check_length(size)


async def post_object(gateway: Gateway, exchange: Exchange) -> Response:
    request, route = exchange.request, exchange.route
    assert route is not None
    form, first = await _read_fields(request)
    policy = await _authenticate(gateway, exchange, form)
    params = post.parameters(route.bucket or "", form.fields, form.file_name)
    if policy:
        policy.check_fields({**form.fields, "bucket": route.bucket or "", "key": params["Key"]})
    params |= {"Form": form.fields, "Most": policy.largest_bytes if policy else None}
    call = gateway.new_call(exchange, params, None)
    call.headers = {**request.headers, **post.headers(form.fields)}
    call.body = FormFile(request, form, first, policy)
    reply = await gateway.handle(exchange, call)
    plan = gateway.router.plan_of("s3").operations["PutObject"]
    shown = {name: value for name, value in reply.output.items() if name in plan.output_members}
    answer = plan.serialize(shown, request_id=exchange.request_id, host_id=gateway.host_id)
    body = reply.body if isinstance(reply.body, bytes) else b""
    return Response(reply.status or 204, answer.headers + reply.headers, body)


async def _read_fields(request: Request) -> tuple[Form, list[bytes]]:
    """The form up to its file, and the file's first bytes."""
    form = Form(request.headers.get("content-type", ""))
    async for chunk in request.body:
        first = form.feed(chunk)
        if form.file_begun:
            return form, first
    form.finish()
    raise RequestError("IncorrectNumberOfFilesInPostRequest")


async def _authenticate(gateway: Gateway, exchange: Exchange, form: Form) -> PostPolicy | None:
    scope = parse_form_authorization(form.fields)
    if scope is None:
        exchange.principal = ANONYMOUS
        return None
    credential = await gateway.look_up(exchange, scope.access_key_id, form.fields.get("x-amz-security-token"))
    now = datetime.fromtimestamp(wall_ms() / 1000, UTC)
    policy = verify_post_policy(form.fields, credential.secret, now=now)
    exchange.principal = credential.principal
    return policy


async def preflight(gateway: Gateway, exchange: Exchange) -> Response:
    route = exchange.route
    assert route is not None
    if route.bucket is None:
        raise RequestError("BadRequest", "Insufficient information. Origin request header needed.")
    exchange.principal = ANONYMOUS
    call = gateway.new_call(exchange, {"Bucket": route.bucket, "Key": route.object_key}, None)
    reply = await gateway.handle(exchange, call)
    headers = [(name.lower(), value) for name, value in reply.headers]
    return Response(reply.status or 200, [("x-amz-request-id", exchange.request_id), *headers])


def add_cors_headers(gateway: Gateway, exchange: Exchange, response: Response) -> None:
    """On every answer about a bucket whose rules allow the request's origin, errors included."""
    route = exchange.route
    if "origin" not in exchange.request.headers or route is None or not route.bucket or exchange.service != "s3":
        return
    if route.operation_name == PREFLIGHT:
        return
    service: Service[Any] = gateway.services["s3"]
    bucket = route.bucket
    try:
        state = gateway.db.read_now(lambda rows: service.ports.buckets.get(rows, bucket))
    except S3alError:  # the answer itself says what is wrong
        return
    found = response_headers(state, method=exchange.request.method, headers=exchange.request.headers)
    response.headers += [(name.lower(), value) for name, value in found]


SPECIAL = {POST_OBJECT: post_object, PREFLIGHT: preflight}

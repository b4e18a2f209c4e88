"""The wire of our own API: `POST /_s3al/v1/<Operation>`, a JSON object each way.

What lives here: routing, parsing and serializing it, in the shape of the plans that `wire` compiles from
models. What does not: the operations (iam.admin).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from s3al.errors import RequestError
from s3al.wire.plan import Headers, OperationPlan, Params, Query, Response, Route

SERVICE = "s3al"
PREFIX = "/_s3al/v1/"
_BODY_LIMIT_BYTES = 1 << 20


def route(raw_path: str, method: str, plans: dict[str, OperationPlan]) -> Route:
    name = raw_path.removeprefix(PREFIX)
    if name not in plans:
        raise RequestError("InvalidAction", f"There is no operation {name[:64]!r} in this API.")
    if method != "POST":
        raise RequestError("InvalidAction", "Operations of this API are called with POST.")
    return Route(plans[name], name, SERVICE)


def plans(names: Iterable[str]) -> dict[str, OperationPlan]:
    return {name: _plan(name) for name in names}


def _plan(name: str) -> OperationPlan:
    return OperationPlan(
        name=name,
        service=SERVICE,
        method="POST",
        success_status=200,
        parse=_parse,
        serialize=_serialize,
        streaming_input=False,
        streaming_output=False,
        input_members=frozenset(),
        output_members=frozenset(),
        body_limit=_BODY_LIMIT_BYTES,
    )


def _parse(route: Route, query: Query, headers: Headers, body: bytes | None) -> Params:
    try:
        document: Any = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise RequestError("MalformedInput", "The body must be a JSON object.")
    return document


def _serialize(output: Params, *, request_id: str, host_id: str = "") -> Response:
    headers = [("content-type", "application/json"), ("x-amzn-requestid", request_id)]
    return Response(200, headers, orjson.dumps(output))


def serialize_error(code: str, status: int, message: str, request_id: str) -> Response:
    document = {"error": {"code": code, "message": message}, "request_id": request_id}
    headers = [("content-type", "application/json"), ("x-amzn-requestid", request_id)]
    return Response(status, headers, orjson.dumps(document))

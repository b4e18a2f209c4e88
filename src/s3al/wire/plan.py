"""What the compiler makes and the pipeline uses: plans of services and operations, routes and responses.

What lives here: the value types only. What does not: how they are made (model, router) and what the compiled
functions do (parse, serialize, protocols.aws_json, protocols.aws_query).

Laws: a plan is immutable after start and holds no request state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Params = dict[str, Any]
Headers = Mapping[str, str]
"""Names in lower case; repeated values joined with ","; values as text, which the server decodes from UTF-8."""
Query = Sequence[tuple[str, str]]
"""Percent-decoded pairs in the order sent; "" where no value was."""


@dataclass(frozen=True, slots=True)
class Response:
    """Header names are lower case, values text without control characters, which the server sends as UTF-8."""

    status: int
    headers: list[tuple[str, str]] = field(repr=False)
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes.

    plan: None for the operations no model has (PostObject, Preflight), whose params the caller makes, and while
    `unresolved`: the action then stands in the form body, and `Router.resolve` finishes.
    """

    plan: OperationPlan | None
    operation_name: str
    service: str
    bucket: str | None = None
    object_key: str | None = None
    virtual_host: bool = False
    unresolved: bool = False


ParseRequest = Callable[[Route, Query, Headers, bytes | None], Params]


class SerializeOutput(Protocol):
    def __call__(self, output: Params, *, request_id: str, host_id: str = "") -> Response: ...


@dataclass(frozen=True, slots=True)
class OperationPlan:
    """One operation, compiled.

    parse: raises RequestError with the service's code. serialize: raises ValueError on a member the model does not
    have, which is a mistake of the handler. body_limit: bytes of payload that parse needs, 0 if it needs none
    (a streamed payload goes to the handler instead).
    """

    name: str
    service: str
    method: str
    success_status: int
    parse: ParseRequest = field(repr=False)
    serialize: SerializeOutput = field(repr=False)
    streaming_input: bool
    streaming_output: bool
    input_members: frozenset[str] = field(repr=False)
    output_members: frozenset[str] = field(repr=False)
    body_limit: int


@dataclass(frozen=True, slots=True)
class RoutePattern:
    """One operation's place in the URL space, allow-listed or not, as the model states it.

    flags: query names without value in the request URI (`?acl`). query: names that must be present, with the value
    the URI fixes, or None for any. headers: required header names. known: every query name the operation reads.
    """

    operation_name: str
    method: str
    level: str
    flags: tuple[str, ...]
    query: Mapping[str, str | None]
    headers: tuple[str, ...]
    known: frozenset[str]


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """One service, compiled.

    protocol: rest-xml, json or query. missing: allow-listed names the model lacks. known: every operation of the
    model. target_prefix: of X-Amz-Target. xml_namespace: of XML answers and errors.
    """

    service: str
    protocol: str
    api_version: str
    operations: Mapping[str, OperationPlan] = field(repr=False)
    missing: tuple[str, ...]
    known: frozenset[str] = field(repr=False)
    patterns: tuple[RoutePattern, ...] = field(default=(), repr=False)
    target_prefix: str = ""
    xml_namespace: str = ""
    json_version: str = "1.1"

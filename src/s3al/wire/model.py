"""From a service model to a plan: which operations, and for each its parser and serializer.

What lives here: the compiler. What does not: loading the documents (app), the protocols themselves (parse,
serialize, protocols.aws_json, protocols.aws_query).

Laws: an operation is compiled only if it is allow-listed; the others are remembered by name and place, so that they
route to NotImplemented and nothing else is taken for them. An allow-listed name that the model lacks is reported,
not an error: an older botocore serves fewer operations.

Source: botocore's service-2.json documents.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from s3al.wire.parse import compile_rest_parser
from s3al.wire.plan import OperationPlan, ParseRequest, RoutePattern, SerializeOutput, ServicePlan
from s3al.wire.protocols.aws_json import compile_json_parser, compile_json_serializer
from s3al.wire.protocols.aws_query import compile_query_parser, compile_query_serializer
from s3al.wire.quirks import NO_QUIRKS, Quirks
from s3al.wire.serialize import compile_rest_serializer
from s3al.wire.shapes import Document, Shape, shape_of


def compile_service(document: Document, *, operations: Collection[str], quirks: Quirks = NO_QUIRKS) -> ServicePlan:
    """operations: the allow-list. Raises ValueError for a protocol that wire does not speak."""
    metadata = document["metadata"]
    protocol = metadata["protocol"]
    if protocol not in _COMPILERS:
        raise ValueError(f"protocol {protocol} is not spoken")
    service = metadata["endpointPrefix"]
    known: dict[str, Any] = document["operations"]
    plans = {
        name: _operation(document, known[name], service=service, protocol=protocol, quirks=quirks)
        for name in operations
        if name in known
    }
    return ServicePlan(
        service=service,
        protocol=protocol,
        api_version=metadata["apiVersion"],
        operations=plans,
        missing=tuple(name for name in operations if name not in known),
        known=frozenset(known),
        patterns=_patterns(document, quirks) if protocol == "rest-xml" else (),
        target_prefix=metadata.get("targetPrefix", ""),
        xml_namespace=metadata.get("xmlNamespace", ""),
        json_version=metadata.get("jsonVersion", "1.1"),
    )


def _operation(
    document: Document, operation: Document, *, service: str, protocol: str, quirks: Quirks
) -> OperationPlan:
    name = operation["name"]
    given, answered = shape_of(document, operation, "input"), shape_of(document, operation, "output")
    parse, serialize = _COMPILERS[protocol](document, operation, given, answered, quirks)
    streaming_input = _streams(given)
    return OperationPlan(
        name=name,
        service=service,
        method=operation["http"]["method"],
        success_status=_status(operation, quirks),
        parse=parse,
        serialize=serialize,
        streaming_input=streaming_input,
        streaming_output=_streams(answered),
        input_members=frozenset(given.members if given else ()),
        output_members=frozenset(answered.members if answered else ()),
        body_limit=_body_limit(name, given, quirks, rest=protocol == "rest-xml"),
    )


def _status(operation: Document, quirks: Quirks) -> int:
    status: int = quirks.statuses.get(operation["name"], operation["http"].get("responseCode", 200))
    return status


def _streams(shape: Shape | None) -> bool:
    return shape is not None and shape.payload is not None and shape.members[shape.payload].streaming


def _body_limit(name: str, given: Shape | None, quirks: Quirks, *, rest: bool) -> int:
    if rest and (given is None or given.payload is None or _streams(given)):
        return 0
    return quirks.body_limits.get(name, quirks.body_limit)


def _rest_xml(
    document: Document, operation: Document, given: Shape | None, answered: Shape | None, quirks: Quirks
) -> tuple[ParseRequest, SerializeOutput]:
    name = operation["name"]
    parse = compile_rest_parser(name, given, quirks)
    return parse, compile_rest_serializer(name, answered, _status(operation, quirks), quirks)


def _json(
    document: Document, operation: Document, given: Shape | None, answered: Shape | None, quirks: Quirks
) -> tuple[ParseRequest, SerializeOutput]:
    parse = compile_json_parser(given, quirks.validation_code)
    version = document["metadata"].get("jsonVersion", "1.1")
    return parse, compile_json_serializer(operation["name"], answered, _status(operation, quirks), version)


def _query(
    document: Document, operation: Document, given: Shape | None, answered: Shape | None, quirks: Quirks
) -> tuple[ParseRequest, SerializeOutput]:
    parse = compile_query_parser(given, quirks.validation_code)
    namespace = document["metadata"].get("xmlNamespace", "")
    return parse, compile_query_serializer(operation["name"], answered, _status(operation, quirks), namespace)


_COMPILERS = {"rest-xml": _rest_xml, "json": _json, "query": _query}


def _patterns(document: Document, quirks: Quirks) -> tuple[RoutePattern, ...]:
    """Where every operation of the model stands; deprecated ones share their place with a successor."""
    return tuple(
        _pattern(name, operation, shape_of(document, operation, "input"))
        for name, operation in document["operations"].items()
        if name not in quirks.unrouted and not operation.get("deprecated")
    )


def _pattern(name: str, operation: Document, given: Shape | None) -> RoutePattern:
    path, _, query_text = operation["http"]["requestUri"].partition("?")
    fixed = [item.partition("=") for item in query_text.split("&") if item]
    members = given.members if given else {}
    required = given.required if given else ()
    query: dict[str, str | None] = {flag: value for flag, equals, value in fixed if equals}
    headers = []
    for member_name in required:
        member = members[member_name]
        if member.location == "querystring":
            query[member.wire_name(member_name)] = None
        elif member.location == "header":
            headers.append(member.wire_name(member_name).lower())
    return RoutePattern(
        operation_name=name,
        method=operation["http"]["method"],
        level="object" if "{Key+}" in path else "bucket" if "{Bucket}" in path else "service",
        flags=tuple(flag for flag, equals, _ in fixed if not equals),
        query=query,
        headers=tuple(headers),
        known=frozenset(shape.wire_name(each) for each, shape in members.items() if shape.location == "querystring"),
    )

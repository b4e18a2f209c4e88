"""Requests of the rest-xml protocol: route, query, headers and body to parameters.

What lives here: the parser of one operation, compiled from its input shape. What does not: the conversions of
arguments and of XML payloads (protocols); the json and query protocols.

Laws: the loops run over what was sent, not over the model, so a request pays for its own arguments only; an argument
sent twice is refused, because signer, policy and handler must all see one value; an argument the model does not have
is ignored, as S3 does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from s3al.errors import RequestError
from s3al.wire.plan import Headers, Params, ParseRequest, Query, Route
from s3al.wire.protocols.rest_arguments import ABSENT, Convert, argument, refuse, refused
from s3al.wire.protocols.rest_payload import document_reader
from s3al.wire.quirks import ArgumentFault, Quirks
from s3al.wire.shapes import Shape

Table = dict[str, tuple[str, Convert | None]]
Finish = Callable[[Params, bytes | None], None]

_NO_BODY = ArgumentFault("MissingRequestBodyError", named=False)
_NO_ARGUMENT = ArgumentFault("MissingParameter", named=False)


def compile_rest_parser(operation: str, shape: Shape | None, quirks: Quirks) -> ParseRequest:
    """The parser of `operation`, whose input is `shape`."""
    if shape is None:
        return _parse_nothing
    from_headers, from_query, prefix = _argument_tables(shape, quirks)
    uri = [(name, member.wire_name(name)) for name, member in shape.members.items() if member.location == "uri"]
    takes_bucket = any(place == "Bucket" for _, place in uri)
    takes_key = any(place == "Key" for _, place in uri)
    check_required = _required_arguments(shape, quirks)
    read_payload = _payload(operation, shape, quirks)

    def parse(route: Route, query: Query, headers: Headers, body: bytes | None) -> Params:
        params: Params = {}
        if takes_bucket:
            params["Bucket"] = route.bucket
        if takes_key:
            params["Key"] = route.object_key
        if query:
            _take_query(params, from_query, query)
        _take_headers(params, from_headers, headers, prefix)
        check_required(params)
        if read_payload is not None:
            read_payload(params, body)
        return params

    return parse


def _parse_nothing(route: Route, query: Query, headers: Headers, body: bytes | None) -> Params:
    return {}


def _argument_tables(shape: Shape, quirks: Quirks) -> tuple[Table, Table, tuple[str, str] | None]:
    """By header, by query name, and the member and prefix of a header map."""
    from_headers: Table = {}
    from_query: Table = {}
    prefix: tuple[str, str] | None = None
    for name, member in shape.members.items():
        wire_name = member.wire_name(name)
        if member.location == "header":
            from_headers[wire_name.lower()] = (name, argument(member, wire_name, quirks))
        elif member.location == "querystring":
            from_query[wire_name] = (name, argument(member, wire_name, quirks))
        elif member.location == "headers":
            prefix = (name, wire_name.lower())
    for name, fault in quirks.refused_headers.items():
        from_headers.setdefault(name, (name, refused(name, fault)))
    return from_headers, from_query, prefix


def _take_query(params: Params, table: Table, query: Query) -> None:
    for name, text in query:
        entry = table.get(name)
        if entry is None:
            continue
        member, convert = entry
        if member in params:
            message = f"{name} was given more than once."
            raise RequestError("InvalidArgument", message, ArgumentName=name, ArgumentValue=text)
        value = text if convert is None else convert(text)
        if value is not ABSENT:
            params[member] = value


def _take_headers(params: Params, table: Table, headers: Headers, prefix: tuple[str, str] | None) -> None:
    mapped: dict[str, str] = {}
    start = prefix[1] if prefix else None
    for name, text in headers.items():
        entry = table.get(name)
        if entry is not None:
            member, convert = entry
            value = text if convert is None else convert(text)
            if value is not ABSENT:
                params[member] = value
        elif start is not None and name.startswith(start):
            mapped[name[len(start) :]] = text
    if mapped and prefix is not None:
        params[prefix[0]] = mapped


def _required_arguments(shape: Shape, quirks: Quirks) -> Callable[[Params], None]:
    required: list[tuple[str, str, ArgumentFault]] = []
    for name, member in shape.members.items():
        if name in shape.required and member.location in ("header", "querystring"):
            wire_name = member.wire_name(name)
            required.append((name, wire_name, quirks.missing.get(wire_name, _NO_ARGUMENT)))

    def check(params: Params) -> None:
        for name, wire_name, fault in required:
            if name not in params:
                raise refuse(fault, wire_name, "")

    return check


def _payload(operation: str, shape: Shape, quirks: Quirks) -> Finish | None:
    """How the body becomes params; None if nothing but a stream or no body is expected."""
    name = shape.payload
    if name is None:
        return None
    member = shape.members[name]
    if member.streaming:
        return None
    fault = quirks.required_payloads.get(operation)
    if fault is None and name in shape.required:
        fault = _NO_BODY
    read: Callable[[bytes], Any]
    if member.kind == "structure":
        read = document_reader(member, member.wire_name(name), quirks)
    else:
        read = _text_payload if member.kind == "string" else bytes

    def finish(params: Params, body: bytes | None) -> None:
        if body:
            params[name] = read(body)
        elif fault is not None:
            raise refuse(fault, name, "")

    return finish


def _text_payload(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise RequestError("InvalidArgument", "The request body is not UTF-8 text.") from None

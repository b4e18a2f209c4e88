"""Answers of the rest-xml protocol, and error documents of all protocols.

What lives here: the serializer of one operation, compiled from its output shape; `serialize_error`. What does not:
streamed bodies (the server sends them after these headers), XML escaping (xml), element writing (protocols).

Laws: members are written in the order the handler gives them, None is left out, and a member the model does not have
is a ValueError. Header values hold no control characters: user metadata that cannot be sent is counted in
x-amz-missing-meta instead, anything else is a ValueError, so no value can add a header.

Sources: S3 API Reference, "Error responses"; AWS JSON 1.1 and AWS Query protocols (Smithy).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from s3al.wire.plan import Params, Response, SerializeOutput, ServicePlan
from s3al.wire.protocols.elements import WriteElement, element_writer
from s3al.wire.quirks import Quirks
from s3al.wire.shapes import Shape
from s3al.wire.values import boolean_text, http_date, iso8601, unix_text
from s3al.wire.xml import DECLARATION, escape, escape_readable

HeaderList = list[tuple[str, str]]
WriteHeader = Callable[[Any, HeaderList], None]
WriteBody = Callable[[Params], bytes]

S3_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_UNSENDABLE = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_XML = ("content-type", "application/xml")


def compile_rest_serializer(
    operation: str, shape: Shape | None, status: int, quirks: Quirks, namespace: str = S3_NAMESPACE
) -> SerializeOutput:
    members = shape.members if shape is not None else {}
    in_headers = {name: _header(name, member) for name, member in members.items() if member.location in _HEADERS}
    write_body, content_type, in_body = _body(operation, shape, quirks, namespace)

    def serialize(output: Params, *, request_id: str, host_id: str = "") -> Response:
        headers: HeaderList = [("x-amz-request-id", request_id), ("x-amz-id-2", host_id)]
        for name, value in output.items():
            if value is None:
                continue
            write = in_headers.get(name)
            if write is not None:
                write(value, headers)
            elif name not in in_body:
                raise ValueError(f"{operation} has no output member {name}")
        if write_body is None:
            return Response(status, headers)
        headers.append(content_type)
        return Response(status, headers, write_body(output))

    return serialize


_HEADERS = ("header", "headers")


def _header(name: str, shape: Shape) -> WriteHeader:
    wire_name = shape.wire_name(name).lower()
    if shape.location == "headers":
        return _header_map(wire_name)
    text_of = _header_text(shape)

    def write(value: Any, headers: HeaderList) -> None:
        headers.append((wire_name, sendable(wire_name, text_of(value))))

    return write


def _header_map(prefix: str) -> WriteHeader:
    def write(value: Mapping[str, str], headers: HeaderList) -> None:
        missing = 0
        for name, text in value.items():
            lowered = name.lower()
            if _TOKEN.fullmatch(lowered) and not _UNSENDABLE.search(text):
                headers.append((prefix + lowered, text))
            else:
                missing += 1
        if missing:
            headers.append(("x-amz-missing-meta", str(missing)))

    return write


def sendable(name: str, text: str) -> str:
    """`text` as a header value. Raises ValueError where it would break the header section."""
    if not text.isprintable() and _UNSENDABLE.search(text):
        raise ValueError(f"header {name} holds a control character")
    return text


def _header_text(shape: Shape) -> Callable[[Any], str]:
    if shape.kind == "timestamp":
        write = {"iso8601": iso8601, "unixTimestamp": unix_text}.get(shape.trait("timestampFormat"), http_date)
        return lambda value: value if isinstance(value, str) else write(value)
    if shape.kind == "boolean":
        return boolean_text
    if shape.kind == "list":
        return ",".join
    return str


def _body(
    operation: str, shape: Shape | None, quirks: Quirks, namespace: str
) -> tuple[WriteBody | None, tuple[str, str], frozenset[str]]:
    """The writer of the body, its Content-Type, and the members it takes."""
    if shape is None:
        return None, _XML, frozenset()
    members = shape.members
    if shape.payload is not None:
        return _payload_body(operation, shape.payload, members[shape.payload], quirks, namespace)
    in_body = {name: member for name, member in members.items() if member.location is None}
    if not in_body:
        return None, _XML, frozenset()
    root = quirks.roots.get(operation, f"{operation}Result")
    if operation in quirks.bare_roots:
        (name,) = in_body
        return _bare_root(root, name, namespace), _XML, frozenset(in_body)
    writers = {name: element_writer(member.wire_name(name), member) for name, member in in_body.items()}
    return _document(root, writers, namespace), _XML, frozenset(in_body)


def _document(root: str, writers: Mapping[str, WriteElement], namespace: str) -> WriteBody:
    start, end = f'{DECLARATION}<{root} xmlns="{namespace}">', f"</{root}>"

    def write(output: Params) -> bytes:
        parts = [start]
        append = parts.append
        for name, value in output.items():
            if value is not None and (write_member := writers.get(name)) is not None:
                write_member(value, append)
        append(end)
        return "".join(parts).encode("utf-8")

    return write


def _bare_root(root: str, name: str, namespace: str) -> WriteBody:
    def write(output: Params) -> bytes:
        text = escape(output.get(name) or "")
        return f'{DECLARATION}<{root} xmlns="{namespace}">{text}</{root}>'.encode()

    return write


def _payload_body(
    operation: str, name: str, member: Shape, quirks: Quirks, namespace: str
) -> tuple[WriteBody | None, tuple[str, str], frozenset[str]]:
    if member.streaming:
        return None, _XML, frozenset()
    taken = frozenset((name,))
    if member.kind == "structure":
        root = quirks.roots.get(operation, member.wire_name(name))
        write_root = element_writer(root, member, f' xmlns="{namespace}"')
        return _structure_payload(name, write_root), _XML, taken
    content_type = quirks.text_types.get(operation, "application/octet-stream")
    return _text_payload(name), ("content-type", content_type), taken


def _structure_payload(name: str, write_root: WriteElement) -> WriteBody:
    def write(output: Params) -> bytes:
        parts = [DECLARATION]
        write_root(output.get(name) or {}, parts.append)
        return "".join(parts).encode("utf-8")

    return write


def _text_payload(name: str) -> WriteBody:
    def write(output: Params) -> bytes:
        value = output.get(name) or ""
        return value.encode("utf-8") if isinstance(value, str) else bytes(value)

    return write


def serialize_error(
    service: ServicePlan | str,
    *,
    code: str,
    status: int,
    message: str,
    fields: Mapping[str, str] | None = None,
    request_id: str,
    host_id: str = "",
    resource: str | None = None,
    head: bool = False,
) -> Response:
    """The error answer of a service, or of a protocol by name.

    fields: further elements of the document. head: the request was HEAD, so the answer has no body. 304 and 204
    never have one.
    """
    protocol = service if isinstance(service, str) else service.protocol
    silent = head or status in (204, 304)
    if protocol == "json":
        version = "1.1" if isinstance(service, str) else service.json_version
        return _json_error(code, status, message, fields, request_id=request_id, version=version)
    if protocol == "query":
        namespace = "" if isinstance(service, str) else service.xml_namespace
        return _query_error(code, status, message, request_id, namespace)
    headers: HeaderList = [("x-amz-request-id", request_id), ("x-amz-id-2", host_id)]
    if silent:
        return Response(status, headers)
    elements = {"Code": code, "Message": message, **(fields or {})}
    if resource is not None:
        elements["Resource"] = resource
    elements |= {"RequestId": request_id, "HostId": host_id}
    headers.append(_XML)
    return Response(status, headers, f"{DECLARATION}<Error>{_flat(elements)}</Error>".encode())


def _flat(elements: Mapping[str, str]) -> str:
    return "".join(f"<{name}>{escape_readable(str(text))}</{name}>" for name, text in elements.items())


def _json_error(
    code: str, status: int, message: str, fields: Mapping[str, str] | None, *, request_id: str, version: str
) -> Response:
    document = {"__type": code, "message": message, **(fields or {})}
    headers = [
        ("x-amzn-requestid", request_id),
        ("content-type", f"application/x-amz-json-{version}"),
    ]
    return Response(status, headers, json.dumps(document, separators=(",", ":")).encode())


def _query_error(code: str, status: int, message: str, request_id: str, namespace: str) -> Response:
    fault = "Receiver" if status >= 500 else "Sender"
    error = _flat({"Type": fault, "Code": code, "Message": message})
    xmlns = f' xmlns="{namespace}"' if namespace else ""
    body = f"<ErrorResponse{xmlns}><Error>{error}</Error><RequestId>{escape(request_id)}</RequestId></ErrorResponse>\n"
    headers = [("x-amzn-requestid", request_id), ("content-type", "text/xml")]
    return Response(status, headers, body.encode())

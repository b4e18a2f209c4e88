"""The query protocol: STS and IAM. Form fields in, XML out.

What lives here: compiled parsers and serializers. What does not: the choice of the operation by Action (router),
constraints (constraints), errors (serialize).

Laws: fields come from the query string or from the form body, never a mixture: a request with a body that also
names its action in the URL is read from the URL. Lists are `Name.member.N`, maps `Name.entry.N.key` and `.value`,
N counting from 1; a gap ends nothing, entries are taken in the order of N.

Source: Smithy, "AWS Query protocol".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from s3al.errors import RequestError
from s3al.wire.plan import Headers, Params, ParseRequest, Query, Response, Route, SerializeOutput
from s3al.wire.protocols.constraints import compile_validator
from s3al.wire.protocols.elements import element_writer
from s3al.wire.protocols.forms import form_fields
from s3al.wire.shapes import Shape
from s3al.wire.values import blob_of, boolean_of, integer_of, timestamp_of
from s3al.wire.xml import escape

Fields = dict[str, Any]
"""Form fields by the first label of their dotted names; a leaf is under the empty name."""
Reader = Callable[[Fields], Any]

MAX_DEPTH = 16


def compile_query_parser(shape: Shape | None, validation_code: str) -> ParseRequest:
    read = _structure(shape) if shape is not None else None
    validate = compile_validator(shape, validation_code) if shape is not None else None

    def parse(route: Route, query: Query, headers: Headers, body: bytes | None) -> Params:
        fields = dict(query)
        if "Action" not in fields:
            fields = form_fields(body or b"")
        if read is None or validate is None:
            return {}
        params: Params = read(_tree(fields))
        validate(params)
        return params

    return parse


def _tree(fields: dict[str, str]) -> Fields:
    tree: Fields = {}
    for name, text in fields.items():
        labels = name.split(".")
        if len(labels) > MAX_DEPTH or "" in labels:  # the empty label is where a node keeps its own text
            raise RequestError("MalformedInput")
        node = tree
        for label in labels:
            node = node.setdefault(label, {})
        node[""] = text
    return tree


def _reader(shape: Shape) -> Reader:
    if shape.kind == "structure":
        return _structure(shape)
    if shape.kind == "list":
        return _list(shape)
    if shape.kind == "map":
        return _map(shape)
    return _scalar(shape.kind)


def _structure(shape: Shape) -> Reader:
    readers = {member.wire_name(name): (name, _reader(member)) for name, member in shape.members.items()}

    def read(fields: Fields) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for label, below in fields.items():
            if label and label in readers:
                name, read_member = readers[label]
                value[name] = read_member(below)
        return value

    return read


def _numbered(fields: Fields) -> list[Fields]:
    """The entries under labels 1, 2, ... in order."""
    try:
        numbers = sorted((int(label), label) for label in fields if label)
    except ValueError:
        raise RequestError("MalformedInput") from None
    return [fields[label] for _, label in numbers]


def _list(shape: Shape) -> Reader:
    read_entry = _reader(shape.element)
    flattened, label = shape.flattened, shape.element_name

    def read(fields: Fields) -> list[Any]:
        entries = fields if flattened else fields.get(label, {})
        return [read_entry(entry) for entry in _numbered(entries)]

    return read


def _map(shape: Shape) -> Reader:
    flattened = shape.flattened
    key_label, value_label = shape.map_key.wire_name("key"), shape.map_value.wire_name("value")
    read_key, read_value = _reader(shape.map_key), _reader(shape.map_value)

    def read(fields: Fields) -> dict[str, Any]:
        entries = fields if flattened else fields.get("entry", {})
        return {
            read_key(entry.get(key_label, {})): read_value(entry.get(value_label, {})) for entry in _numbered(entries)
        }

    return read


def _scalar(kind: str) -> Reader:
    convert = _SCALARS[kind]

    def read(fields: Fields) -> Any:
        try:
            return convert(fields.get("", ""))
        except ValueError:
            raise RequestError("MalformedInput") from None

    return read


_SCALARS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "integer": lambda text: integer_of(text, "integer"),
    "long": integer_of,
    "boolean": boolean_of,
    "timestamp": timestamp_of,
    "blob": blob_of,
}


def compile_query_serializer(operation: str, shape: Shape | None, status: int, namespace: str) -> SerializeOutput:
    wrapper = shape.trait("resultWrapper") if shape is not None else None
    write = element_writer(wrapper or f"{operation}Result", shape) if shape is not None else None
    start = f'<{operation}Response xmlns="{namespace}">'
    end = f"</{operation}Response>\n"

    def serialize(output: Params, *, request_id: str, host_id: str = "") -> Response:
        parts = [start]
        if write is not None:
            write(output, parts.append)
        elif output:
            raise ValueError(f"{operation} has no output")
        parts.append(f"<ResponseMetadata><RequestId>{escape(request_id)}</RequestId></ResponseMetadata>{end}")
        headers = [("x-amzn-requestid", request_id), ("content-type", "text/xml")]
        return Response(status, headers, "".join(parts).encode("utf-8"))

    return serialize

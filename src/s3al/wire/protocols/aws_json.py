"""The json protocol (AWS JSON 1.0 and 1.1): KMS and CloudTrail.

What lives here: compiled parsers and serializers. What does not: constraints of values (constraints), routing by
X-Amz-Target (router), errors (serialize).

Laws: a value of the wrong JSON type is SerializationException, before any constraint is looked at; unknown members
and nulls are ignored; a name given twice is refused, because the last one would win here and the first elsewhere.
Binary values are standard base64, times are seconds since 1970.

Source: Smithy, "AWS JSON 1.1 protocol".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from s3al.errors import RequestError
from s3al.wire.plan import Headers, Params, ParseRequest, Query, Response, Route, SerializeOutput
from s3al.wire.protocols.constraints import compile_validator
from s3al.wire.shapes import Shape
from s3al.wire.values import blob_of, blob_text, timestamp_of, unix_seconds

Convert = Callable[[Any], Any]

_JSON_NAMES = {str: "STRING_VALUE", bool: "BOOLEAN_VALUE", int: "NUMBER_VALUE", float: "NUMBER_VALUE"}
_JAVA_NAMES = {"string": "String", "integer": "Integer", "long": "Long", "boolean": "Boolean", "blob": "Blob"}


def compile_json_parser(shape: Shape | None, validation_code: str) -> ParseRequest:
    read = _structure_reader(shape) if shape is not None else None
    validate = compile_validator(shape, validation_code) if shape is not None else None

    def parse(route: Route, query: Query, headers: Headers, body: bytes | None) -> Params:
        document = _document(body or b"{}")
        if read is None or validate is None:
            return {}
        params: Params = read(document)
        validate(params)
        return params

    return parse


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = _DECODER.decode(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise RequestError("SerializationException") from None
    if not isinstance(document, dict):
        raise RequestError("SerializationException", "Start of structure or map found where not expected.")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a name is given twice")
    return document


def _no_constant(text: str) -> float:
    raise ValueError("not a JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)
_ENCODER = json.JSONEncoder(separators=(",", ":"))


def _reader(shape: Shape) -> Convert:
    if shape.kind == "structure":
        return _structure_reader(shape)
    if shape.kind == "list":
        return _list_reader(shape)
    if shape.kind == "map":
        return _map_reader(shape)
    return _scalar_reader(shape.kind)


def _structure_reader(shape: Shape) -> Convert:
    readers = {member.wire_name(name): (name, _reader(member)) for name, member in shape.members.items()}

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise RequestError("SerializationException", "Unexpected field type")
        return {
            readers[name][0]: readers[name][1](item)
            for name, item in value.items()
            if item is not None and name in readers
        }

    return read


def _list_reader(shape: Shape) -> Convert:
    read_entry = _reader(shape.element)

    def read(value: Any) -> list[Any]:
        if not isinstance(value, list):
            raise RequestError("SerializationException", "Unexpected field type")
        return [read_entry(item) for item in value if item is not None]

    return read


def _map_reader(shape: Shape) -> Convert:
    read_value = _reader(shape.map_value)

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise RequestError("SerializationException", "Unexpected field type")
        return {name: read_value(item) for name, item in value.items() if item is not None}

    return read


def _scalar_reader(kind: str) -> Convert:
    convert = _SCALARS[kind]

    def read(value: Any) -> Any:
        try:
            return convert(value)
        except (TypeError, ValueError, OverflowError):
            raise RequestError("SerializationException", _mismatch(kind, value)) from None

    return read


def _mismatch(kind: str, value: Any) -> str:
    found = _JSON_NAMES.get(type(value))
    if found is None:
        return "Start of structure or map found where not expected."
    return f"{found} can not be converted to a{'n' if kind == 'integer' else ''} {_JAVA_NAMES.get(kind, kind.title())}"


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode("utf-8")  # a lone surrogate is no text
    return value


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise TypeError
    if not -(2**63) <= value < 2**63:
        raise ValueError
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError
    return float(value)


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _timestamp(value: Any) -> datetime:
    if isinstance(value, str):
        return timestamp_of(value)
    try:
        return datetime.fromtimestamp(_number(value), UTC)
    except OSError as exc:
        raise ValueError from exc


_SCALARS: dict[str, Convert] = {
    "string": _string,
    "integer": _integer,
    "long": _integer,
    "float": _number,
    "double": _number,
    "boolean": _boolean,
    "timestamp": _timestamp,
    "blob": lambda value: blob_of(_string(value)),
}


def compile_json_serializer(operation: str, shape: Shape | None, status: int, version: str) -> SerializeOutput:
    write = _writer(shape) if shape is not None else None
    content_type = ("content-type", f"application/x-amz-json-{version}")

    def serialize(output: Params, *, request_id: str, host_id: str = "") -> Response:
        headers = [("x-amzn-requestid", request_id), content_type]
        if write is None:
            if output:
                raise ValueError(f"{operation} has no output")
            return Response(status, headers)
        body = _ENCODER.encode(write(output)).encode("ascii")
        return Response(status, headers, body)

    return serialize


def _writer(shape: Shape) -> Convert:
    if shape.kind == "structure":
        return _structure_writer(shape)
    if shape.kind == "list":
        write_entry = _writer(shape.element)
        return lambda value: [write_entry(item) for item in value]
    if shape.kind == "map":
        write_value = _writer(shape.map_value)
        return lambda value: {name: write_value(item) for name, item in value.items()}
    if shape.kind == "blob":
        return blob_text
    if shape.kind == "timestamp":
        return unix_seconds
    return lambda value: value


def _structure_writer(shape: Shape) -> Convert:
    writers = {name: (member.wire_name(name), _writer(member)) for name, member in shape.members.items()}

    def write(value: dict[str, Any]) -> dict[str, Any]:
        document: dict[str, Any] = {}
        for name, item in value.items():
            if item is None:
                continue
            if name not in writers:
                raise ValueError(f"{shape.name} has no member {name}")
            wire_name, write_member = writers[name]
            document[wire_name] = write_member(item)
        return document

    return write

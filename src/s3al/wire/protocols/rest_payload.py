"""XML payloads of rest-xml requests: compiled readers, one per shape.

What lives here: element to value. What does not: reading the document (xml), headers and query (rest_arguments).

Laws: elements are known by local name; unknown elements and attributes are ignored, as S3 does, but in structures that
the quirks call closed; everything else that the model does not allow (a missing or repeated member, a value outside the
enum, a number that is none) is MalformedXML.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from s3al.errors import RequestError
from s3al.wire.quirks import Quirks
from s3al.wire.shapes import Shape
from s3al.wire.values import blob_of, boolean_of, integer_of, timestamp_of
from s3al.wire.xml import XSI, Element, local_name, read_document

ReadElement = Callable[[Element], Any]


def document_reader(shape: Shape, root_name: str, quirks: Quirks) -> Callable[[bytes], Any]:
    """Reads a whole body whose root must be `root_name`."""
    read = _reader(shape, quirks)

    def read_body(body: bytes) -> Any:
        root = read_document(body)
        if local_name(root.tag) != root_name:
            raise RequestError("MalformedXML")
        return read(root)

    return read_body


def _reader(shape: Shape, quirks: Quirks) -> ReadElement:
    if shape.kind == "structure":
        read = _structure(shape, quirks)
        return _closed(shape, read) if shape.name in quirks.closed else read
    if shape.kind == "list":
        return _wrapped_list(shape, quirks)
    return _scalar(shape, quirks)


def _structure(shape: Shape, quirks: Quirks) -> ReadElement:
    scalars: dict[str, tuple[str, ReadElement]] = {}
    lists: dict[str, tuple[str, ReadElement]] = {}
    attributes: list[tuple[str, str]] = []
    for name, member in shape.members.items():
        tag = member.wire_name(name)
        if member.trait("xmlAttribute"):
            prefix, _, plain = tag.rpartition(":")
            attributes.append((name, f"{{{XSI}}}{plain}" if prefix else plain))
        elif member.kind == "list" and member.flattened:
            lists[tag] = (name, _reader(member.element, quirks))
        else:
            scalars[tag] = (name, _reader(member, quirks))
    check = _structure_check(shape)

    def read(element: Element) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for child in element:
            tag = local_name(child.tag)
            if entry := scalars.get(tag):
                name, read_member = entry
                if name in value:
                    raise RequestError("MalformedXML")
                value[name] = read_member(child)
            elif entry := lists.get(tag):
                name, read_member = entry
                value.setdefault(name, []).append(read_member(child))
        for name, attribute in attributes:
            if (text := element.get(attribute)) is not None:
                value[name] = text
        check(value)
        return value

    return read


def _closed(shape: Shape, read: ReadElement) -> ReadElement:
    """Nothing else stands in it."""
    known = {member.wire_name(name) for name, member in shape.members.items()}

    def read_closed(element: Element) -> Any:
        texts = (element.text, *(child.tail for child in element))
        if any((text or "").strip() for text in texts) or not {local_name(child.tag) for child in element} <= known:
            raise RequestError("MalformedXML")
        return read(element)

    return read_closed


def _structure_check(shape: Shape) -> Callable[[dict[str, Any]], None]:
    required = shape.required
    union = bool(shape.trait("union"))

    def check(value: dict[str, Any]) -> None:
        for name in required:
            if name not in value:
                raise RequestError("MalformedXML")
        if union and len(value) != 1:
            raise RequestError("MalformedXML")

    return check


def _wrapped_list(shape: Shape, quirks: Quirks) -> ReadElement:
    tag = shape.element_name
    read_entry = _reader(shape.element, quirks)

    def read(element: Element) -> list[Any]:
        return [read_entry(child) for child in element if local_name(child.tag) == tag]

    return read


def _scalar(shape: Shape, quirks: Quirks) -> ReadElement:
    if shape.kind == "string" and shape.name not in quirks.verbatim:
        return _text(frozenset(shape.enum) if shape.name not in quirks.open_enums else frozenset())
    convert = _CONVERSIONS[shape.kind]

    def read(element: Element) -> Any:
        try:
            return convert(_leaf_text(element))
        except ValueError:
            raise RequestError("MalformedXML") from None

    return read


def _text(allowed: frozenset[str]) -> ReadElement:
    def read(element: Element) -> str:
        text = _leaf_text(element)
        if allowed and text not in allowed:
            raise RequestError("MalformedXML")
        return text

    return read


def _leaf_text(element: Element) -> str:
    if len(element):
        raise RequestError("MalformedXML")
    return element.text or ""


def _integer(text: str) -> int:
    return integer_of(text, "integer")


_CONVERSIONS: dict[str, Callable[[str], Any]] = {
    "integer": _integer,
    "long": integer_of,
    "boolean": boolean_of,
    "timestamp": timestamp_of,
    "blob": blob_of,
    "string": str,
}

"""Header and query arguments of rest-xml requests: text to value, with S3's error for each kind of bad text.

What lives here: one conversion per shape and name, made at start. What does not: XML payloads (rest_payload), the order
of parsing (parse).

Laws: a conversion of None means the text itself; a bad argument is InvalidArgument naming it, unless quirks say
otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from s3al.errors import RequestError
from s3al.wire.quirks import ArgumentFault, IntegerRange, Quirks
from s3al.wire.shapes import Shape
from s3al.wire.values import boolean_of, integer_of, timestamp_of

Convert = Callable[[str], Any]

_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_PLAIN = ArgumentFault()
ABSENT: Any = object()
"""What a conversion returns for an argument to be taken as not sent."""


def refuse(fault: ArgumentFault, name: str, value: str) -> RequestError:
    if not fault.named:
        return RequestError(fault.code, fault.message)
    return RequestError(fault.code, fault.message, ArgumentName=name, ArgumentValue=value)


def argument(shape: Shape, name: str, quirks: Quirks) -> Convert | None:
    """The conversion of an argument called `name` on the wire."""
    if name in quirks.never_empty:
        return _non_empty(name, quirks.never_empty[name])
    if name.startswith("response-"):
        return _header_text(name)
    if shape.name in quirks.verbatim:
        return None
    if shape.kind == "list":
        return _list(shape, name, quirks)
    if shape.kind in ("integer", "long"):
        return _integer(shape.kind, name, quirks.ranges.get(name))
    if shape.kind == "boolean":
        return _converted(boolean_of, name)
    if shape.kind == "timestamp":
        return _timestamp(name, ignore=shape.name in quirks.ignored_if_malformed)
    if shape.enum and shape.name not in quirks.open_enums:
        return _enum(frozenset(shape.enum), name, quirks.enum_faults.get(shape.name, _PLAIN))
    return None


def refused(name: str, fault: ArgumentFault) -> Convert:
    """For an argument that must not be sent to this operation."""

    def convert(text: str) -> Any:
        raise refuse(fault, name, text)

    return convert


def _non_empty(name: str, message: str) -> Convert:
    def convert(text: str) -> str:
        if not text:
            raise RequestError("InvalidArgument", message, ArgumentName=name, ArgumentValue=text)
        return text

    return convert


def _header_text(name: str) -> Convert:
    """A query argument that comes back as a response header: no line breaks, which would add headers."""

    def convert(text: str) -> str:
        if _CONTROL.search(text):
            raise refuse(_PLAIN, name, text)
        return text

    return convert


def _list(shape: Shape, name: str, quirks: Quirks) -> Convert:
    element = shape.element
    allowed = frozenset(element.enum)
    fault = quirks.enum_faults.get(element.name, _PLAIN)

    def convert(text: str) -> Any:
        values = [stripped for item in text.split(",") if (stripped := item.strip().strip('"'))]
        for value in values:
            if allowed and value not in allowed:
                raise refuse(fault, name, value)
        return values or ABSENT

    return convert


def _integer(kind: str, name: str, bounds: IntegerRange | None) -> Convert:
    def convert(text: str) -> Any:
        if not text:
            return ABSENT
        try:
            number = integer_of(text, kind)
        except ValueError:
            message = f"Provided {name} not an integer or within integer range"
            raise RequestError("InvalidArgument", message, ArgumentName=name, ArgumentValue=text) from None
        if bounds is not None and not bounds.least <= number <= bounds.most:
            raise RequestError("InvalidArgument", bounds.message, ArgumentName=name, ArgumentValue=text)
        return number

    return convert


def _converted(of_text: Convert, name: str) -> Convert:
    def convert(text: str) -> Any:
        try:
            return of_text(text)
        except ValueError:
            raise refuse(_PLAIN, name, text) from None

    return convert


def _timestamp(name: str, *, ignore: bool) -> Convert:
    def convert(text: str) -> Any:
        try:
            return timestamp_of(text)
        except ValueError:
            if ignore:
                return ABSENT
            raise refuse(_PLAIN, name, text) from None

    return convert


def _enum(allowed: frozenset[str], name: str, fault: ArgumentFault) -> Convert:
    def convert(text: str) -> str:
        if text not in allowed:
            raise refuse(fault, name, text)
        return text

    return convert

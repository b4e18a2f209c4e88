"""Writing values as XML elements: compiled writers, one per shape and tag.

What lives here: value to text parts, for rest-xml and query answers. What does not: roots and headers (serialize,
aws_query).

Laws: a writer appends text to a list and never builds a tree, so a listing of 1,000 entries costs a few
milliseconds; a member the model does not have is a ValueError.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from s3al.wire.shapes import Shape
from s3al.wire.values import blob_text, boolean_text, http_date, iso8601, unix_text
from s3al.wire.xml import escape

Append = Callable[[str], None]
WriteElement = Callable[[Any, Append], None]

class Kept(dict[str, Any]):
    """Members of a structure that will be written again, unchanged. written: the writer that did, and its text."""

    __slots__ = ("written",)
    written: tuple[object, str]


_TEMPLATES = 32  # of one shape: handlers give few sets of members, in few orders
_WORDS = 1024


def element_writer(tag: str, shape: Shape, attributes: str = "") -> WriteElement:
    """Writes `shape` as element `tag`; a flattened list as one element per entry. attributes: of the opening tag."""
    if shape.kind == "structure":
        return _structure(tag, shape, attributes)
    if shape.kind == "list":
        return _list(tag, shape)
    if shape.kind == "map":
        return _map(tag, shape)
    return _scalar(tag, shape)


Scalars = dict[str, tuple[str, str, Callable[[Any], str]]]


def _structure(tag: str, shape: Shape, attributes: str) -> WriteElement:
    writers, scalars, in_tag = _members(shape)
    if namespace := shape.trait("xmlNamespace"):
        prefix = f":{namespace['prefix']}" if "prefix" in namespace else ""
        attributes = attributes or f' xmlns{prefix}="{namespace["uri"]}"'
    start, end = f"<{tag}{attributes}>", f"</{tag}>"
    templates: dict[tuple[str, ...], _Template] = {}  # entries of a list have the same members, a thousand times

    def write(value: dict[str, Any], append: Append) -> None:
        members = tuple(value)
        template = templates.get(members)
        if template is None and len(templates) < _TEMPLATES and writers.keys() | scalars.keys() >= value.keys():
            template = templates[members] = _template(members, (start, end), scalars, writers)
        if template is None or None in value.values():
            write_slowly(value, append)
        else:
            form, texts = template
            append(form % tuple([text_of(item) for text_of, item in zip(texts, value.values(), strict=True)]))

    def write_slowly(value: dict[str, Any], append: Append) -> None:
        append(start)
        for name, item in value.items():
            if item is None:
                continue
            scalar = scalars.get(name)
            if scalar is not None:
                opening, closing, text_of = scalar
                append(f"{opening}{text_of(item)}{closing}")
            elif name in writers:
                writers[name](item, append)
            else:
                raise ValueError(f"{shape.name} has no member {name}")
        append(end)

    return _with_attributes(tag, attributes, in_tag, write_slowly) if in_tag else _keeping(write)


def _keeping(write_members: WriteElement) -> WriteElement:
    text_of = _written(write_members)

    def write(value: dict[str, Any], append: Append) -> None:
        if type(value) is not Kept:
            write_members(value, append)
            return
        written = getattr(value, "written", None)
        if written is None or written[0] is not write:
            written = value.written = (write, text_of(value))
        append(written[1])

    return write


def _members(shape: Shape) -> tuple[dict[str, WriteElement], Scalars, dict[str, str]]:
    """Writers of structured members, tags and text of plain ones, and names of those that are attributes."""
    writers: dict[str, WriteElement] = {}
    scalars: Scalars = {}  # written on the spot: most members of long lists
    in_tag: dict[str, str] = {}
    for name, member in shape.members.items():
        if member.trait("xmlAttribute"):
            in_tag[name] = member.wire_name(name)
        elif member.kind in ("structure", "list", "map"):
            writers[name] = element_writer(member.wire_name(name), member)
        else:
            scalars[name] = (f"<{member.wire_name(name)}>", f"</{member.wire_name(name)}>", _text_of(member))
    return writers, scalars, in_tag


_Template = tuple[str, tuple[Callable[[Any], str], ...]]


def _template(
    members: tuple[str, ...], tags: tuple[str, str], scalars: Scalars, writers: dict[str, WriteElement]
) -> _Template:
    """The element with a place for each member's text, and what makes the texts."""
    parts, texts = [], []
    for name in members:
        opening, closing, text_of = scalars[name] if name in scalars else ("", "", _written(writers[name]))
        parts.append(f"{_verbatim(opening)}%s{_verbatim(closing)}")
        texts.append(text_of)
    return _verbatim(tags[0]) + "".join(parts) + _verbatim(tags[1]), tuple(texts)


def _verbatim(text: str) -> str:
    return text.replace("%", "%%")


def _written(write: WriteElement) -> Callable[[Any], str]:
    def text_of(value: Any) -> str:
        parts: list[str] = []
        write(value, parts.append)
        return "".join(parts)

    return text_of


def _with_attributes(tag: str, attributes: str, in_tag: dict[str, str], write: WriteElement) -> WriteElement:
    """Wraps a structure writer so that some members become attributes of its opening tag."""

    def write_tagged(value: dict[str, Any], append: Append) -> None:
        inside = {name: item for name, item in value.items() if name not in in_tag}
        given = [(tag_name, value[name]) for name, tag_name in in_tag.items() if value.get(name) is not None]
        written = "".join(f' {tag_name}="{escape(text)}"' for tag_name, text in given)
        parts: list[str] = []
        write(inside, parts.append)
        append(f"<{tag}{attributes}{written}>")
        for part in parts[1:]:
            append(part)

    return write_tagged


def _list(tag: str, shape: Shape) -> WriteElement:
    write_entry = element_writer(tag if shape.flattened else shape.element_name, shape.element)

    def write_flat(value: list[Any], append: Append) -> None:
        for item in value:
            write_entry(item, append)

    def write_wrapped(value: list[Any], append: Append) -> None:
        append(f"<{tag}>")
        write_flat(value, append)
        append(f"</{tag}>")

    return write_flat if shape.flattened else write_wrapped


def _map(tag: str, shape: Shape) -> WriteElement:
    write_key = element_writer(shape.map_key.wire_name("key"), shape.map_key)
    write_value = element_writer(shape.map_value.wire_name("value"), shape.map_value)
    entry = tag if shape.flattened else "entry"

    def write_entries(value: dict[str, Any], append: Append) -> None:
        for key, item in value.items():
            append(f"<{entry}>")
            write_key(key, append)
            write_value(item, append)
            append(f"</{entry}>")

    def write_wrapped(value: dict[str, Any], append: Append) -> None:
        append(f"<{tag}>")
        write_entries(value, append)
        append(f"</{tag}>")

    return write_entries if shape.flattened else write_wrapped


def _scalar(tag: str, shape: Shape) -> WriteElement:
    start, end, text_of = f"<{tag}>", f"</{tag}>", _text_of(shape)

    def write(value: Any, append: Append) -> None:
        append(f"{start}{text_of(value)}{end}")

    return write


def _text_of(shape: Shape) -> Callable[[Any], str]:
    if shape.kind == "string":
        text_of: Callable[[Any], str] = _word if shape.enum else escape
        return text_of
    return _timestamp_text(shape) if shape.kind == "timestamp" else _TEXTS[shape.kind]


@lru_cache(maxsize=_WORDS)
def _word(text: str) -> str:
    """A value out of a small set."""
    return escape(text)


def _timestamp_text(shape: Shape) -> Callable[[Any], str]:
    writers = {"iso8601": iso8601, "rfc822": http_date, "unixTimestamp": unix_text}
    return writers[shape.trait("timestampFormat", "iso8601")]


_TEXTS: dict[str, Callable[[Any], str]] = {
    "integer": str,
    "long": str,
    "float": str,
    "double": str,
    "boolean": boolean_text,
    "blob": blob_text,
}

"""Reading botocore's service-2.json: shapes with the traits of the reference that leads to them.

What lives here: access to the document. What does not: any protocol.

Laws: a trait of the referring member overrides the shape's own, as in botocore.model.ShapeResolver. Used at start
only; no request walks a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Document = Mapping[str, Any]


class Shape:
    """One shape as seen from one reference."""

    __slots__ = ("_definition", "_reference", "_shapes", "kind", "name")

    def __init__(self, shapes: Document, reference: Document) -> None:
        self.name: str = reference["shape"]
        self._shapes = shapes
        self._reference = reference
        self._definition: Document = shapes[self.name]
        self.kind: str = self._definition["type"]

    def trait(self, name: str, default: Any = None) -> Any:
        return self._reference.get(name, self._definition.get(name, default))

    @property
    def location(self) -> str | None:
        """uri, querystring, header, headers, statusCode, or None for the body. Never inherited from the shape."""
        place: str | None = self._reference.get("location")
        return place

    @property
    def members(self) -> dict[str, Shape]:
        return {name: Shape(self._shapes, ref) for name, ref in self._definition.get("members", {}).items()}

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(self._definition.get("required", ()))

    @property
    def element(self) -> Shape:
        return Shape(self._shapes, self._definition["member"])

    @property
    def map_key(self) -> Shape:
        return Shape(self._shapes, self._definition["key"])

    @property
    def map_value(self) -> Shape:
        return Shape(self._shapes, self._definition["value"])

    @property
    def enum(self) -> tuple[str, ...]:
        return tuple(self._definition.get("enum", ()))

    @property
    def payload(self) -> str | None:
        """The member that is the whole body."""
        member: str | None = self._definition.get("payload")
        return member

    @property
    def streaming(self) -> bool:
        return bool(self.trait("streaming")) or bool(self.trait("eventstream"))

    @property
    def flattened(self) -> bool:
        return bool(self.trait("flattened"))

    def wire_name(self, member_name: str) -> str:
        """The name on the wire of this shape when it is member `member_name`."""
        name: str = self.trait("locationName", member_name)
        return name

    @property
    def element_name(self) -> str:
        """The tag of the entries of a wrapped list."""
        return self.element.wire_name("member")


def shape_of(document: Document, operation: Document, side: str) -> Shape | None:
    """side: "input" or "output"."""
    reference = operation.get(side)
    return None if reference is None else Shape(document["shapes"], reference)


def with_extras(document: Document, extras: Document) -> dict[str, Any]:
    """Apply the `merge` of a service-2.sdk-extras.json document, as botocore's loader does."""
    return _merged(document, extras.get("merge", {}))


def _merged(base: Document, change: Document) -> dict[str, Any]:
    result = dict(base)
    for name, value in change.items():
        current = result.get(name)
        both = isinstance(value, Mapping) and isinstance(current, Mapping)
        result[name] = _merged(current, value) if both else value  # type: ignore[arg-type]
    return result

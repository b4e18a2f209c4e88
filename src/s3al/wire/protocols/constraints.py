"""Validation of json and query requests against the constraints of the model, in AWS's words.

What lives here: required members, lengths, patterns, enums and ranges. What does not: S3, whose faults have codes of
their own (rest_arguments, rest_payload).

Laws: all violations are collected into one error, in the order of the model; patterns run only on values whose
length is within bounds; the value of a sensitive or binary member is never repeated.

Source: answers of AWS KMS and AWS STS ("2 validation errors detected: Value '...' at '...' failed to satisfy
constraint: ...").
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from s3al.errors import RequestError
from s3al.wire.shapes import Shape

Violations = list[str]
Check = Callable[[Any, str, Violations], None]

# Inside a character class. \w is L and N here, because patterns with \p are compiled for Unicode.
_JAVA_CLASSES = {
    r"\p{L}": r"\w",
    r"\p{N}": "",
    r"\p{Z}": r" \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
    r"\uD800\uDC00-\uDBFF\uDFFF": r"\U00010000-\U0010FFFF",
}

MAX_REPORTED = 10
MAX_ECHOED = 256


def compile_validator(shape: Shape, code: str) -> Callable[[dict[str, Any]], None]:
    """A check of all params of an operation. code: of the error."""
    check = _structure(shape)

    def validate(params: dict[str, Any]) -> None:
        found: Violations = []
        check(params, "", found)
        if found:
            errors = "error" if len(found) == 1 else "errors"
            listed = "; ".join(found[:MAX_REPORTED])
            raise RequestError(code, f"{len(found)} validation {errors} detected: {listed}")

    return validate


def _check(shape: Shape) -> Check | None:
    if shape.kind == "structure":
        return _structure(shape)
    if shape.kind == "list":
        return _list(shape)
    if shape.kind == "map":
        return _map(shape)
    return _scalar(shape)


def _structure(shape: Shape) -> Check:
    required = tuple((name, _spoken(name)) for name in shape.required)
    checks = {name: (_spoken(name), check) for name, member in shape.members.items() if (check := _check(member))}

    def check_structure(value: dict[str, Any], path: str, found: Violations) -> None:
        for name, spoken in required:
            if name not in value:
                found.append(f"Value null at '{path}{spoken}' failed to satisfy constraint: Member must not be null")
        for name, item in value.items():
            if entry := checks.get(name):
                entry[1](item, path + entry[0], found)

    return _under(check_structure)


def _under(check: Check) -> Check:
    """Members of a nested structure are named after a dot."""

    def check_under(value: Any, path: str, found: Violations) -> None:
        check(value, path + "." if path else "", found)

    return check_under


def _spoken(name: str) -> str:
    """KeyId is reported as keyId."""
    return name[:1].lower() + name[1:]


def _list(shape: Shape) -> Check:
    bounds = _length_rules(shape)
    check_entry = _check(shape.element)

    def check(value: list[Any], path: str, found: Violations) -> None:
        for broken in _broken_lengths(bounds, len(value)):
            found.append(_violation(_shown(value), path, broken))
        if check_entry is not None:
            for index, item in enumerate(value, 1):
                check_entry(item, f"{path}.{index}.member", found)

    return check


def _map(shape: Shape) -> Check:
    bounds = _length_rules(shape)
    check_key, check_value = _check(shape.map_key), _check(shape.map_value)

    def check(value: dict[str, Any], path: str, found: Violations) -> None:
        for broken in _broken_lengths(bounds, len(value)):
            found.append(_violation(_shown(value), path, broken))
        for key, item in value.items():
            if check_key is not None:
                check_key(key, path, found)
            if check_value is not None:
                check_value(item, f"{path}.{key[:MAX_ECHOED]}.member", found)

    return check


def _scalar(shape: Shape) -> Check | None:
    if shape.kind in ("integer", "long", "float", "double"):
        return _number(shape)
    if shape.kind in ("string", "blob"):
        return _string(shape)
    return None


def _number(shape: Shape) -> Check | None:
    least, most = shape.trait("min"), shape.trait("max")
    if least is None and most is None:
        return None

    def check(value: float, path: str, found: Violations) -> None:
        if least is not None and value < least:
            found.append(_violation(f"'{value}' ", path, f"have value greater than or equal to {least}"))
        if most is not None and value > most:
            found.append(_violation(f"'{value}' ", path, f"have value less than or equal to {most}"))

    return check


def _string(shape: Shape) -> Check | None:
    bounds = _length_rules(shape)
    pattern = compiled_pattern(shape.trait("pattern"))
    enum = frozenset(shape.enum)
    if not (bounds or pattern or enum):
        return None
    hidden = bool(shape.trait("sensitive")) or shape.kind == "blob"
    listed = f"satisfy enum value set: [{', '.join(shape.enum)}]"

    def check(value: Any, path: str, found: Violations) -> None:
        broken = _broken_lengths(bounds, len(value))
        if enum and value not in enum:
            broken.append(listed)
        elif not broken and pattern is not None and not pattern.fullmatch(value):
            broken.append(f"satisfy regular expression pattern: {shape.trait('pattern')}")
        found.extend(_violation("" if hidden else _shown(value), path, rule) for rule in broken)

    return check


def compiled_pattern(java: str | None) -> re.Pattern[str] | None:
    """A pattern of the model, which is written for Java. None if there is none, or Python cannot express it.

    A pattern that a later model brings must not keep the server from starting; lengths and enums still hold.
    """
    if java is None:
        return None
    flags = re.UNICODE if "\\p{" in java else re.ASCII
    for written, meant in _JAVA_CLASSES.items():
        java = java.replace(written, meant)
    try:
        return re.compile(java, flags)
    except re.error:
        return None


def _length_rules(shape: Shape) -> tuple[int | None, int | None] | None:
    least, most = shape.trait("min"), shape.trait("max")
    return None if least is None and most is None else (least, most)


def _broken_lengths(bounds: tuple[int | None, int | None] | None, length: int) -> list[str]:
    if bounds is None:
        return []
    least, most = bounds
    broken = []
    if most is not None and length > most:
        broken.append(f"have length less than or equal to {most}")
    if least is not None and length < least:
        broken.append(f"have length greater than or equal to {least}")
    return broken


def _shown(value: Any) -> str:
    if isinstance(value, (list, dict)):
        return f"'{'[...]' if value else '[]'}' "
    return f"'{value[:MAX_ECHOED]}' "


def _violation(shown: str, path: str, rule: str) -> str:
    return f"Value {shown}at '{path}' failed to satisfy constraint: Member must {rule}"

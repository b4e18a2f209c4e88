"""From AWS's models: a valid request of each operation, and every way to break one constraint of it.

Each violation changes one member. Values that satisfy a pattern are typed here by shape; all else follows from the
model.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.model import Shape

Path = tuple[str | int, ...]

# Values of shapes whose pattern nothing else of this file satisfies.
SAMPLES: dict[str, Any] = {
    "AccountIdType": "111111111111",
    "BackingKeyIdType": "0" * 64,
    "CloudHsmClusterIdType": "cluster-2abc23defghijk",
    "CustomKeyStoreIdType": "cks-1234567890abcdef0",
    "GrantConstraintSourceArnType": "arn:aws:s3:us-east-1:111111111111:bucket",
    "PrincipalIdType": "arn:aws:iam::111111111111:root",
    "RegionType": "eu-west-1",
    "ServicePrincipalType": "s3.amazonaws.com",
    "XksProxyAuthenticationAccessKeyIdType": "A" * 20,
    "XksProxyAuthenticationRawSecretAccessKeyType": "A" * 43,
    "XksProxyUriEndpointType": "https://example.com",
    "XksProxyUriPathType": "/kms/xks/v1",
    "XksProxyVpcEndpointServiceNameType": "com.amazonaws.vpce.us-east-1.vpce-svc-example",
    **dict.fromkeys(("pathType", "policyPathType", "pathPrefixType"), "/"),
    "policyVersionIdType": "v1",
    "tokenCodeType": "000000",
}
BAD_CHARACTERS = "\u2603 \n"  # in no pattern of identifiers


@dataclass(frozen=True, slots=True)
class Violation:
    """member: as the error names it. constraint: a piece of what the error says."""

    name: str
    member: str
    constraint: str
    request: dict[str, Any] = field(repr=False)


def valid(shape: Shape, *, required_only: bool = False) -> Any:
    """A value that satisfies the model."""
    kind, bounds = shape.type_name, shape.metadata
    if kind == "structure":
        names = shape.required_members if required_only else list(shape.members)
        return {name: valid(shape.members[name], required_only=required_only) for name in names}
    if kind == "list":
        return [valid(shape.member, required_only=required_only) for _ in range(max(1, bounds.get("min", 0)))]
    if kind == "map":
        return {valid(shape.key): valid(shape.value)}
    if kind == "string":
        return _string(shape)
    if kind == "blob":
        return b"x" * max(1, bounds.get("min", 0))
    if kind in ("integer", "long"):
        return max(1, bounds.get("min", 1))
    return datetime(2030, 1, 1, tzinfo=UTC) if kind == "timestamp" else False


def _string(shape: Shape) -> str:
    if shape.name in SAMPLES:
        return str(SAMPLES[shape.name])
    if shape.metadata.get("enum"):
        return str(shape.metadata["enum"][0])
    return "a" * max(1, int(shape.metadata.get("min", 1)))


def violations(shape: Shape) -> Iterator[Violation]:
    """Of the input of one operation."""
    base = valid(shape)
    yield from _broken(shape, base, (), "")


def _broken(shape: Shape, base: dict[str, Any], path: Path, spoken: str) -> Iterator[Violation]:
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            called = f"{spoken}.{_lower(name)}" if spoken else _lower(name)
            if name in shape.required_members:
                request = _without(base, (*path, name))
                yield Violation(f"{called} missing", called, "Member must not be null", request)
            yield from _broken(member, base, (*path, name), called)
        return
    for name, value, constraint in _wrong_values(shape):
        yield Violation(f"{spoken} {name}", spoken, constraint, _with(base, path, value))
    if shape.type_name == "list":
        yield from _broken(shape.member, base, (*path, 0), f"{spoken}.1.member")


def _wrong_values(shape: Shape) -> Iterator[tuple[str, Any, str]]:
    kind, bounds = shape.type_name, shape.metadata
    least, most = bounds.get("min"), bounds.get("max")
    if kind in ("integer", "long"):
        if least is not None:
            yield "too small", least - 1, f"greater than or equal to {least}"
        if most is not None:
            yield "too great", most + 1, f"less than or equal to {most}"
    if kind == "string" and bounds.get("enum"):
        yield "not of the enum", "NoSuchValue", "enum value set"
        return
    make = {"string": "a".__mul__, "blob": b"a".__mul__, "list": lambda n: [valid(shape.member)] * n}.get(kind)
    if make is None:
        return
    if least:
        yield "too short", make(least - 1), f"length greater than or equal to {least}"
    if most is not None:
        yield "too long", make(most + 1), f"length less than or equal to {most}"
    if kind == "string" and bounds.get("pattern") and not _meets(bounds["pattern"], BAD_CHARACTERS):
        value = (BAD_CHARACTERS * 40)[: max(least or 1, min(3, most or 3))]
        yield "out of pattern", value, "regular expression pattern"


# Java's classes of characters, as far as they tell ours apart: a snowman is neither letter nor number nor space.
_CLASSES = {r"\p{L}": "A-Za-z", r"\p{N}": "0-9", r"\p{Z}": " "}


def _meets(pattern: str, text: str) -> bool:
    for java, python in _CLASSES.items():
        pattern = pattern.replace(java, python)
    return re.fullmatch(pattern, text) is not None


def _lower(name: str) -> str:
    return name[0].lower() + name[1:]


def _with(base: dict[str, Any], path: Path, value: Any) -> dict[str, Any]:
    request = copy.deepcopy(base)
    target: Any = request
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    return request


def _without(base: dict[str, Any], path: Path) -> dict[str, Any]:
    request = copy.deepcopy(base)
    target: Any = request
    for step in path[:-1]:
        target = target[step]
    del target[path[-1]]
    return request

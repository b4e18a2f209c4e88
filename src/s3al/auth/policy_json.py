"""Policy documents as strict JSON, and the errors of a bad one.

What lives here: bytes to Python values, bounded; `Faults`, which knows what each service answers. What does
not: what the elements mean (policy_grammar).

Laws: duplicate names, trailing text, NaN, lone surrogates, nesting beyond what a policy can need, and bytes
over the limit are refused before anything is interpreted; nothing but RequestError leaves.

Source: IAM User Guide, "Grammar of the IAM JSON policy language"; messages as S3, IAM and KMS answer them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from s3al.auth.policy import PolicyKind
from s3al.errors import RequestError

_MAX_DEPTH = 8  # policy, statement list, statement, condition, operator, key's values: six, and a little room
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_BRACKETS = re.compile(r"[\[\]{}]")
_IAM_TEXT = re.compile(r"[\t\n\r\u0020-\u00ff]*")


class Number(str):
    """A JSON number as written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class _Service:
    malformed: str
    too_large: str
    counts_white_space: bool
    latin_only: bool
    general_message: str | None


_S3 = _Service("MalformedPolicy", "PolicyTooLarge", counts_white_space=True, latin_only=False, general_message=None)
_KMS = _Service(
    "MalformedPolicyDocumentException",
    "LimitExceededException",
    counts_white_space=True,
    latin_only=True,
    general_message=None,
)
_IAM = _Service(
    "MalformedPolicyDocument",
    "LimitExceeded",
    counts_white_space=False,
    latin_only=True,
    general_message="Syntax errors in policy.",
)
_STS = _Service(
    "MalformedPolicyDocument",
    "PackedPolicyTooLarge",
    counts_white_space=False,
    latin_only=True,
    general_message="Syntax errors in policy.",
)
_SERVICES: Mapping[PolicyKind, _Service] = {
    PolicyKind.BUCKET: _S3,
    PolicyKind.KEY: _KMS,
    PolicyKind.IDENTITY: _IAM,
    PolicyKind.TRUST: _IAM,
    PolicyKind.BOUNDARY: _IAM,
    PolicyKind.SESSION: _STS,
}


class Faults:
    """What the service behind a kind of policy answers to a bad document."""

    def __init__(self, kind: PolicyKind) -> None:
        self.kind = kind
        self.service = _SERVICES[kind]

    def malformed(self, message: str) -> NoReturn:
        """A fault of the grammar: S3 and KMS name it, IAM and STS answer one message for all of them."""
        raise RequestError(self.service.malformed, self.service.general_message or message)

    def explained(self, message: str, iam_message: str) -> NoReturn:
        """A fault that IAM and STS also name."""
        raise RequestError(self.service.malformed, iam_message if self.service.general_message else message)

    def too_large(self, max_bytes: int) -> NoReturn:
        if self.kind is PolicyKind.BUCKET:
            raise RequestError(self.service.too_large)
        raise RequestError(self.service.too_large, f"Maximum policy size of {max_bytes} bytes exceeded")


def read_json(text: str | bytes, max_bytes: int, faults: Faults) -> dict[str, Any]:
    decoded = _decode(text, max_bytes, faults)
    if not decoded.lstrip(" \t\r\n").startswith("{"):
        faults.malformed("Policies must be valid JSON and the first byte must be '{'")
    if _depth(decoded) > _MAX_DEPTH:
        faults.malformed("This policy contains invalid Json")
    try:
        document = json.loads(
            decoded,
            object_pairs_hook=_unique,
            parse_int=Number,
            parse_float=Number,
            parse_constant=_refuse_constant,
        )
    except (ValueError, RecursionError):
        faults.malformed("This policy contains invalid Json")
    if not isinstance(document, dict):
        faults.malformed("This policy contains invalid Json")
    return document


def _decode(text: str | bytes, max_bytes: int, faults: Faults) -> str:
    try:
        raw = text.encode() if isinstance(text, str) else text
        if len(raw) > max_bytes:
            counted = raw if faults.service.counts_white_space else b"".join(raw.split())
            if len(counted) > max_bytes:
                faults.too_large(max_bytes)
        decoded = raw.decode()
    except UnicodeError:
        faults.malformed("This policy contains invalid Json")
    if faults.service.latin_only and not _IAM_TEXT.fullmatch(decoded):
        faults.malformed("The policy contains characters that are not allowed.")
    return decoded


def _depth(text: str) -> int:
    """The deepest nesting, counted without recursion; text that is not JSON may count wrongly and fails later."""
    deepest = depth = 0
    for bracket in _BRACKETS.findall(_STRINGS.sub("", text)):
        if bracket in "[{":
            depth += 1
            deepest = max(deepest, depth)
        else:
            depth -= 1
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        raise ValueError("duplicate name")
    return unique


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")

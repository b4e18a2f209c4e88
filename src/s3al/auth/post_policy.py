"""The signed policy of a browser's form upload: reading it, verifying it, holding a form to it.

What lives here: the fields that carry the signature, the policy document, its conditions. What does not:
reading the form (wire.form), what its fields mean (s3.post).

Laws: nothing of a document counts before its signature is verified. Every field of the form must be named by
a condition, save those exempt below and `x-ignore-*`. Condition names are compared without case. A
condition on a field that the form lacks fails. The key is judged as it will be stored, after `${filename}` is
replaced: the caller hands in the fields so.

Source: S3 API Reference, "POST Policy" and "Authenticating Requests in Browser-Based Uploads Using POST".
"""

from __future__ import annotations

import binascii
import hmac
import json
import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from s3al.auth.sigv4 import Scope
from s3al.auth.sigv4_canonical import ALGORITHM, parse_timestamp, signature_of, signing_key
from s3al.auth.sigv4_faults import fault
from s3al.auth.sigv4_reading import parse_scope
from s3al.errors import AccessError, RequestError

POLICY_MAX_BYTES = 20 * 1024
_REQUIRED = ("policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature")
_V2_FIELDS = frozenset({"awsaccesskeyid", "signature"})
# Of no condition's concern. content-type: wire.form takes the file's own, which every browser sends, for a field.
_EXEMPT = frozenset({"file", "policy", "x-amz-signature"})
_IGNORED_PREFIX = "x-ignore-"
_UNSUPPORTED = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
_SECOND = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"
_EXPIRATION = re.compile(rf"({_SECOND})(?:\.[0-9]{{1,9}})?(Z|[+-][0-9]{{2}}:[0-9]{{2}})")
_INTEGER = re.compile(r"[0-9]{1,18}")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_SHOWN = 256


@dataclass(frozen=True, slots=True)
class Condition:
    """operation: `eq` or `starts-with`. field: lower case. text: as the document words it, for messages."""

    operation: str
    field: str
    value: str
    text: str

    def holds(self, given: str | None) -> bool:
        if given is None:
            return False
        if self.operation == "eq":
            return given == self.value
        if self.field == "content-type" and "," in given:
            return all(part.strip().startswith(self.value) for part in given.split(","))
        return given.startswith(self.value)


@dataclass(frozen=True, slots=True)
class PostPolicy:
    """A policy document whose signature was right. smallest_bytes, largest_bytes: the file's size, None where
    not limited.
    """

    expires_at: datetime
    conditions: tuple[Condition, ...]
    smallest_bytes: int | None = None
    largest_bytes: int | None = None

    def check(self, fields: Mapping[str, str], content_length: int) -> None:
        """fields: with `bucket`, and `key` as it will be stored. Raises AccessDenied, EntityTooLarge or
        EntityTooSmall.
        """
        self.check_fields(fields)
        self.check_length(content_length)

    def check_fields(self, fields: Mapping[str, str]) -> None:
        """fields: lower-case names, with `bucket`, and `key` as it will be stored. Raises AccessDenied."""
        named = {condition.field for condition in self.conditions}
        extra = [name for name in fields if name not in named and not _exempt(name)]
        if extra:
            raise _violated(f"Extra input fields: {', '.join(extra)[:_SHOWN]}")
        for condition in self.conditions:
            if not condition.holds(fields.get(condition.field)):
                raise _violated(f"Policy Condition failed: {condition.text[:_SHOWN]}")

    def check_length(self, content_length: int) -> None:
        """content_length: of the file, not of the form. Raises EntityTooLarge or EntityTooSmall."""
        if self.largest_bytes is not None and content_length > self.largest_bytes:
            raise RequestError(
                "EntityTooLarge", ProposedSize=str(content_length), MaxSizeAllowed=str(self.largest_bytes)
            )
        if self.smallest_bytes is not None and content_length < self.smallest_bytes:
            raise RequestError(
                "EntityTooSmall", ProposedSize=str(content_length), MinSizeAllowed=str(self.smallest_bytes)
            )


def _violated(reason: str) -> AccessError:
    return AccessError("AccessDenied", f"Invalid according to Policy: {reason}")


def _exempt(name: str) -> bool:
    return name in _EXEMPT or name.startswith(_IGNORED_PREFIX)


def parse_form_authorization(fields: Mapping[str, str]) -> Scope | None:
    """Who claims to have signed the form; None if nobody does. fields: lower-case names."""
    if not _V2_FIELDS.isdisjoint(fields):
        raise RequestError("InvalidRequest", _UNSUPPORTED)
    if not any(name in fields for name in _REQUIRED):
        return None
    for name in _REQUIRED:
        if not fields.get(name):
            sentence = f"Bucket POST must contain a field named '{name}'.  If it is specified, "
            raise _argument(name, "", sentence + "please check the order of the fields.")
    algorithm, date = fields["x-amz-algorithm"], fields["x-amz-date"]
    if algorithm != ALGORITHM:
        raise _argument("X-Amz-Algorithm", algorithm, f"Only {ALGORITHM} is supported")
    scope = parse_scope(fields["x-amz-credential"], "post", "s3")
    if parse_timestamp(date) is None:
        raise _argument("X-Amz-Date", date, "X-Amz-Date must be formated via ISO8601 Long format")
    if date[:8] != scope.date:
        raise fault("date differs", "s3", "post", value=scope.date, expected=date[:8])
    return scope


def _argument(name: str, value: str, sentence: str) -> RequestError:
    return RequestError("InvalidArgument", sentence, ArgumentName=name, ArgumentValue=value[:_SHOWN])


def verify_post_policy(fields: Mapping[str, str], secret: str, *, now: datetime) -> PostPolicy:
    """The policy that the form carries, if the owner of `secret` signed it and it has not expired.

    fields: lower-case names. Raises SignatureDoesNotMatch, InvalidPolicyDocument or AccessDenied.
    """
    scope = parse_form_authorization(fields)
    if scope is None:
        raise AccessError("AccessDenied")
    document = fields["policy"]
    key = signing_key(secret, scope.date, scope.region, scope.service)
    expected = signature_of(key, document)
    if not hmac.compare_digest(expected.encode(), fields["x-amz-signature"].encode()):
        raise RequestError("SignatureDoesNotMatch", AWSAccessKeyId=scope.access_key_id)
    policy = _parse(document)
    if policy.expires_at < now:
        raise _violated("Policy expired.")
    return policy


def _invalid(reason: str) -> RequestError:
    return RequestError("InvalidPolicyDocument", f"Invalid Policy: {reason}")


def _parse(document: str) -> PostPolicy:
    policy = _load(document)
    for name in policy:
        if name not in ("expiration", "conditions"):
            raise _invalid(f"Unexpected: '{name[:_SHOWN]}'")
    if "expiration" not in policy:
        raise _invalid("Policy missing expiration.")
    if "conditions" not in policy:
        raise _invalid("Policy missing conditions.")
    if not isinstance(policy["conditions"], list):
        raise _invalid("Invalid 'conditions' value: must be a List.")
    conditions: list[Condition] = []
    smallest = largest = None
    for item in policy["conditions"]:
        parsed = _condition(item)
        if isinstance(parsed, Condition):
            conditions.append(parsed)
        else:  # of several ranges, all hold
            smallest = max(parsed[0], smallest or 0)
            largest = parsed[1] if largest is None else min(parsed[1], largest)
    return PostPolicy(_expiration(policy["expiration"]), tuple(conditions), smallest, largest)


def _load(document: str) -> dict[str, Any]:
    if len(document) > POLICY_MAX_BYTES:
        raise _invalid("Invalid JSON.")
    try:
        text = b64decode("".join(document.split()), validate=True).decode()
    except (binascii.Error, ValueError):
        raise _invalid("invalid Base64 encoding.") from None
    try:
        policy = json.loads(_ESCAPE.sub(_json_escape, text), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise _invalid("Invalid JSON.") from None
    if not isinstance(policy, dict):
        raise _invalid("Invalid JSON.")
    return policy


def _json_escape(match: re.Match[str]) -> str:
    """S3 adds `\\$` and `\\v` to the escapes of JSON."""
    return {"$": "$", "v": "\\u000b"}.get(match[1], match[0])


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)


def _expiration(value: Any) -> datetime:
    match = _EXPIRATION.fullmatch(value) if isinstance(value, str) else None
    if match:
        try:
            return datetime.fromisoformat(match[1] + match[2].replace("Z", "+00:00")).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    raise _invalid(f"Invalid 'expiration' value: '{str(value)[:_SHOWN]}'")


def _condition(item: Any) -> Condition | tuple[int, int]:
    """A condition on a field, or a range of sizes."""
    if isinstance(item, dict):
        if len(item) != 1:
            raise _invalid("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
        [(name, value)] = item.items()
        if not isinstance(value, str):
            raise _invalid("Invalid Simple-Condition: value must be a string.")
        return Condition("eq", name.lower(), value, json.dumps(["eq", f"${name}", value]))
    if not isinstance(item, list):
        raise _invalid("Invalid condition test: must be a List or Object.")
    if not item or not isinstance(item[0], str):
        raise _invalid("Invalid Condition: missing operation identifier.")
    operation = item[0].lower()
    if operation not in ("eq", "starts-with", "content-length-range"):
        raise _invalid(f"Invalid Condition: unknown operation '{operation[:_SHOWN]}'.")
    if len(item) != 3:
        raise _invalid(f"Invalid {operation}: wrong number of arguments.")
    if operation == "content-length-range":
        return _size(item[1]), _size(item[2])
    name, value = item[1], item[2]
    if not isinstance(name, str) or not isinstance(value, str):
        raise _invalid("Invalid JSON.")
    text = json.dumps(item)
    if not name.startswith("$") or len(name) == 1:
        raise _violated(f"Policy Condition failed: {text[:_SHOWN]}")
    return Condition(operation, name[1:].lower(), value, text)


def _size(value: Any) -> int:
    """S3 takes a number or its digits as a string."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    raise _invalid("Invalid content-length-range: the limits must be whole numbers.")

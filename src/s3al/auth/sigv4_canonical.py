"""The canonical request, the string to sign and the signing key of Signature Version 4.

What lives here: the arithmetic that a signer and a verifier share. What does not: reading a request's
signature and judging it (sigv4), making one (sigv4_sign).

Laws: a function of its arguments alone. S3 signs the path as it is, encoded once; the other services sign the
normalised path with its encoding encoded again. Derived keys are remembered in a small bounded table, because
deriving one costs four HMACs.

Source: IAM User Guide, "Create a signed AWS API request"; S3 API Reference, "Signature Calculations for the
Authorization Header".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import quote, unquote_to_bytes

from s3al.crypto.mac import hmac_sha256

Headers = Mapping[str, str]
Query = Sequence[tuple[str, str]]

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
_KEYS_REMEMBERED = 512
_MOMENTS_REMEMBERED = 64  # requests of one second share theirs

_PLAIN_PATH = re.compile(r"[A-Za-z0-9/._~-]*")
_PLAIN_WORD = re.compile(r"[A-Za-z0-9._~-]*")
_BLANKS = re.compile(r"[ \t\r\n\f\v]+")
_TIMESTAMP = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z")


@lru_cache(maxsize=_KEYS_REMEMBERED)
def signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = hmac_sha256(f"AWS4{secret}".encode(), date.encode())
    for part in (region, service, TERMINATOR):
        key = hmac_sha256(key, part.encode())
    return key


def signature_of(key: bytes, text: str) -> str:
    return hmac_sha256(key, text.encode()).hex()


def string_to_sign(timestamp: str, scope: str, canonical: str) -> str:
    """scope: `YYYYMMDD/region/service/aws4_request`."""
    return f"{ALGORITHM}\n{timestamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"


def canonical_paths(service: str, raw_path: str) -> tuple[str, ...]:
    """The canonical forms that stand for `raw_path` (as sent, one character per byte), the regular one first.

    For S3 the path as sent is a second form: clients that leave "+" or "%2F" unlike our encoding sign what
    they send. Each form decodes to the same path, so accepting both lets no signature stand for another
    object.
    """
    raw = raw_path or "/"
    if service != "s3":
        return (quote(_without_dots(raw).encode("latin-1", "replace"), safe="/~"),)
    if _PLAIN_PATH.fullmatch(raw):
        return (raw,)
    regular = quote(unquote_to_bytes(raw.encode("latin-1", "replace")), safe="/~")
    return (regular,) if regular == raw else (regular, raw)


def _without_dots(path: str) -> str:
    """RFC 3986 section 5.2.4, and empty segments removed."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    return "/" + "/".join(kept) + ("/" if kept and path.endswith("/") else "")


def canonical_query(query: Query, *, without: str | None = None) -> str:
    """Pairs encoded, then sorted by name and value. without: the name to leave out (a presigned URL's
    signature).
    """
    if not query:
        return ""
    pairs = sorted((_encoded(name), _encoded(value)) for name, value in query if name != without)
    return "&".join([f"{name}={value}" for name, value in pairs])


def _encoded(text: str) -> str:
    return text if _PLAIN_WORD.fullmatch(text) else quote(text, safe="~")


def canonical_headers(headers: Headers, names: Sequence[str]) -> str:
    """One line per name; a signed header that is absent counts as empty. names: lower case, in the order
    signed.
    """
    lines = []
    for name in names:
        value = headers.get(name, "").strip()
        if "  " in value or "\t" in value:
            value = _BLANKS.sub(" ", value)
        lines.append(f"{name}:{value}\n")
    return "".join(lines)


@lru_cache(maxsize=_MOMENTS_REMEMBERED)
def timestamp_of(moment: datetime) -> str:
    """`YYYYMMDDTHHMMSSZ`."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


@lru_cache(maxsize=_MOMENTS_REMEMBERED)
def parse_timestamp(text: str) -> datetime | None:
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None

"""Single values as text: timestamps, integers, booleans, blobs, and the encoding of listings.

What lives here: conversions that every protocol shares. What does not: errors of a protocol (ValueError is raised,
and mapped where the argument's name is known), XML escaping (xml).

Laws: times are aware datetimes in UTC; formats are AWS's and do not depend on the locale.

Sources: RFC 9110 section 5.6.7 (HTTP dates); RFC 3339; Smithy, "Timestamp serialization formats"; S3 API Reference,
ListObjectsV2, encoding-type.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from urllib.parse import quote

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,9})?", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9_.~/*-]*", re.ASCII)  # most keys; `quote` takes ten times as long to see it
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_LEAST = {"integer": -(2**31), "long": -(2**63)}
_MOST = {"integer": 2**31 - 1, "long": 2**63 - 1}


def integer_of(text: str, kind: str = "long") -> int:
    """kind: "integer" (32 bits) or "long" (64 bits). Raises ValueError."""
    stripped = text.strip()
    if not _INTEGER.fullmatch(stripped):
        raise ValueError("not an integer")
    number = int(stripped)
    if not _LEAST[kind] <= number <= _MOST[kind]:
        raise ValueError("integer out of range")
    return number


def boolean_of(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered == "true":
        return True
    if lowered == "false":
        return False
    raise ValueError("not a boolean")


def blob_of(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise ValueError("not base64") from exc


def timestamp_of(text: str) -> datetime:
    """ISO 8601, HTTP date or seconds since 1970. Raises ValueError."""
    stripped = text.strip()
    try:
        if _NUMBER.fullmatch(stripped):
            return datetime.fromtimestamp(float(stripped), UTC)
        if stripped[:1].isdigit() and "," not in stripped and stripped[4:5] == "-":
            moment = datetime.fromisoformat(stripped)
        else:
            moment = parsedate_to_datetime(stripped)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError, OSError) as exc:
        raise ValueError("not a timestamp") from exc


def iso8601(moment: datetime) -> str:
    """2009-10-12T17:50:30.000Z, as S3 writes it."""
    return _iso8601(moment)


@lru_cache(maxsize=4096)  # the entries of a listing share few
def _iso8601(moment: datetime) -> str:
    utc = moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    return utc.isoformat("T", "milliseconds")[:23] + "Z"


def http_date(moment: datetime) -> str:
    """Mon, 12 Oct 2009 17:50:30 GMT (IMF-fixdate)."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return (
        f"{day}, {moment.day:02d} {month} {moment.year:04d} "
        f"{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d} GMT"
    )


def unix_seconds(moment: datetime) -> float:
    """Seconds with three decimals, as the JSON services write them."""
    return round(moment.timestamp(), 3)


def unix_text(moment: datetime) -> str:
    return f"{unix_seconds(moment):.15g}"


def boolean_text(value: bool) -> str:
    return "true" if value else "false"


def blob_text(value: bytes | bytearray | memoryview | str) -> str:
    raw = value.encode() if isinstance(value, str) else value
    return base64.b64encode(raw).decode("ascii")


def url_encode_listing(text: str) -> str:
    """A key, prefix, delimiter or marker of a listing with EncodingType=url.

    A space becomes %20, which clients that decode by the rule of forms and clients that do not both read as a space;
    "/" and "*" stay. Apply it once, to each value the API Reference lists under encoding-type; the serializer does not.
    """
    return text if _PLAIN.fullmatch(text) else quote(text, safe="/*")

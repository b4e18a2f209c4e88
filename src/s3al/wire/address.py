"""From host and path to bucket and object key; from a raw query string to pairs.

What lives here: decoding of the URL, path style and virtual-host style. What does not: which operation (router),
the rules of bucket names (s3.names).

Laws: a path is decoded once, never normalised ("." and ".." are characters of a key); it must be well-formed
percent-encoding of UTF-8, else InvalidURI. In a query "+" is a space, as S3 reads it.

Source: S3 User Guide, "Virtual hosting of buckets"; RFC 3986 section 2.1.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from s3al.errors import RequestError

_BAD_PERCENT = re.compile("%(?![0-9A-Fa-f]{2})")


def decode_component(raw: str) -> str:
    """Percent-decoded text. `raw` holds ASCII, or one character per byte (latin-1). Raises ValueError."""
    if "%" not in raw:
        return raw if raw.isascii() else raw.encode("latin-1").decode("utf-8")
    if _BAD_PERCENT.search(raw):
        raise ValueError("bad percent-encoding")
    return unquote_to_bytes(raw if raw.isascii() else raw.encode("latin-1")).decode("utf-8")


def decode_query(raw_query: str) -> list[tuple[str, str]]:
    """The pairs of a raw query string, in order. Raises InvalidURI."""
    pairs = []
    for item in raw_query.split("&"):
        if item:
            name, _, value = item.replace("+", " ").partition("=")
            try:
                pairs.append((decode_component(name), decode_component(value)))
            except ValueError:
                raise RequestError("InvalidURI") from None
    return pairs


def split_address(host: str, raw_path: str, domain_suffix: str | None) -> tuple[str | None, str | None, bool]:
    """Bucket, object key, and whether the bucket came from the host.

    domain_suffix: "." and the server's domain in lower case, or None for path style only.
    """
    if not raw_path.startswith("/"):
        raise RequestError("InvalidURI")
    try:
        if domain_suffix is not None:
            bucket = _host_bucket(host, domain_suffix)
            if bucket is not None:
                return bucket, decode_component(raw_path[1:]) or None, True
        raw_bucket, slash, raw_key = raw_path[1:].partition("/")
        if not raw_bucket:
            if slash:
                raise RequestError("InvalidURI")
            return None, None, False
        return decode_component(raw_bucket), decode_component(raw_key) or None, False
    except ValueError:
        raise RequestError("InvalidURI") from None


def _host_bucket(host: str, domain_suffix: str) -> str | None:
    name = host.lower()
    if not name.endswith(domain_suffix):
        name, colon, port = name.rpartition(":")
        if not colon or not port.isdigit() or not name.endswith(domain_suffix):
            return None
    return name[: -len(domain_suffix)] or None

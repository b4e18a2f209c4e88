"""application/x-www-form-urlencoded bodies of the query services.

What lives here: the decoding, bounded. What does not: multipart forms (s3.post).

Laws: ASCII with percent-encoded UTF-8; a name given twice is refused.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from s3al.errors import RequestError

MAX_FIELDS = 4096


def form_fields(body: bytes) -> dict[str, str]:
    """Raises MalformedInput."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise RequestError("MalformedInput") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise RequestError("MalformedInput")
    return fields

"""Text in metadata and instruction files: JSON of strings, base64, and what S3 makes of non-ASCII.

What lives here: strict readers and the writers. What does not: which entries there must be (envelope).

Laws: an empty value is an absent one. A name twice, a value that is no string, or nested values are errors. What we
write is ASCII (JSON escapes), so that S3 has nothing to encode.

Source: Amazon S3 Encryption Client specification, object metadata ("double encoding"); RFC 2047.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from email.errors import MessageError
from email.header import decode_header, make_header
from typing import Final

from s3al.client.errors import EnvelopeError

MAX_DESCRIPTION_BYTES: Final = 64 * 1024
MAX_INSTRUCTION_FILE_BYTES: Final = 128 * 1024
# PHP writes these as JSON numbers.
_NUMERIC: Final = frozenset({"x-amz-unencrypted-content-length", "x-amz-tag-len"})


def encode_binary(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def decode_binary(name: str, value: str) -> bytes:
    """Standard base64 with padding. Raises EnvelopeError that names the entry, never its value."""
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise EnvelopeError(f"the metadata entry {name} is not base64") from None


def encode_description(description: Mapping[str, str]) -> str:
    return json.dumps(dict(description), separators=(",", ":"))


def decode_description(name: str, value: str) -> dict[str, str]:
    """A JSON object of strings; an empty text is an empty object. Raises EnvelopeError."""
    if not value.strip():
        return {}
    decoded = _json_object(name, _undo_header_encoding(value), MAX_DESCRIPTION_BYTES)
    if not all(isinstance(item, str) for item in decoded.values()):
        raise EnvelopeError(f"the metadata entry {name} holds something that is not a string")
    return {key: str(item) for key, item in decoded.items()}


def decode_instruction_file(body: bytes) -> dict[str, str]:
    """The entries of an instruction file, names in lower case. Raises EnvelopeError."""
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise EnvelopeError("the instruction file is not UTF-8") from None
    entries = {}
    for name, value in _json_object("instruction file", text, MAX_INSTRUCTION_FILE_BYTES).items():
        lower = name.lower()
        if isinstance(value, int) and not isinstance(value, bool) and lower in _NUMERIC:
            value = str(value)
        if lower in entries or not isinstance(value, str):
            raise EnvelopeError("the instruction file is not a JSON object of strings")
        entries[lower] = value
    return entries


def _json_object(name: str, text: str, limit: int) -> dict[str, object]:
    if len(text) > limit:
        raise EnvelopeError(f"{name} is longer than {limit} bytes")
    try:
        decoded = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):
        raise EnvelopeError(f"{name} is not JSON") from None
    if not isinstance(decoded, dict):
        raise EnvelopeError(f"{name} is not a JSON object")
    return decoded


def _without_duplicates(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    out: dict[str, object] = {}
    for key, value in pairs:
        if key in out:
            raise ValueError("a name stands twice")
        out[key] = value
    return out


def _undo_header_encoding(value: str) -> str:
    """S3 answers non-ASCII metadata as RFC 2047 of UTF-8 taken for Latin-1; HTTP libraries may take it so once more."""
    if value.lstrip().startswith("=?"):
        try:
            value = str(make_header(decode_header(value)))
        except (MessageError, ValueError, LookupError):
            raise EnvelopeError("a metadata entry is encoded in a way that cannot be undone") from None
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return value

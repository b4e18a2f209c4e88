"""The fixed inputs of all vectors: bytes that depend on a name alone, and the plaintext of streams."""

from __future__ import annotations

import hashlib


def fixed(name: str, length: int = 32) -> bytes:
    """Bytes that depend on the name alone."""
    return hashlib.shake_256(b"s3al vectors: " + name.encode()).digest(length)


def plain(length: int) -> bytes:
    """The plaintext of streams: byte i is i mod 251."""
    return bytes(i % 251 for i in range(length))


STORE, BUCKET, OTHER_BUCKET = fixed("store", 16), fixed("bucket", 16), fixed("other bucket", 16)
OBJECT, OTHER_OBJECT = fixed("object", 16), fixed("other object", 16)
STREAM, OTHER_STREAM = fixed("stream", 16), fixed("other stream", 16)

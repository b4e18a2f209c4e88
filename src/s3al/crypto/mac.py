"""HMAC-SHA256 in one step.

What lives here: the one function. What does not: what is authenticated or derived with it (keys, sigv4_canonical).

`hmac.digest` of the standard library gives the same bytes, but asks OpenSSL 3 for the algorithm at each call: 3.9 us
for a short message where this takes 1.5, and a request needs seven.

Source: RFC 2104; FIPS 198-1.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

_SHA256 = SHA256()


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """32 bytes. key: of any length."""
    mac = HMAC(key, _SHA256)
    mac.update(message)
    return mac.finalize()

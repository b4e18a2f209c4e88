"""Signatures of the chunks of a body, and of its trailers.

What lives here: the chain in which each signature covers the one before it, from the head's on. What does
not: the framing that the chunks arrive in and the digest of their bytes (wire.body).

Laws: chunks are verified in the order they came; the first that is wrong ends the chain for good, so nothing
after it can pass.

Source: S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in
Multiple Chunks", and the same "Including Trailing Headers".
"""

from __future__ import annotations

import hashlib
import hmac

from s3al.auth.sigv4 import Seed
from s3al.crypto.mac import hmac_sha256
from s3al.errors import RequestError

_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


def chunk_signature(seed: Seed, previous: str, data_sha256_hex: str) -> str:
    return _signature(seed, "AWS4-HMAC-SHA256-PAYLOAD", previous, f"{_EMPTY_SHA256}\n{data_sha256_hex}")


def trailer_signature(seed: Seed, previous: str, canonical_trailers: bytes) -> str:
    """canonical_trailers: a line `name:value\\n` for each trailer, in the order sent."""
    return _signature(seed, "AWS4-HMAC-SHA256-TRAILER", previous, hashlib.sha256(canonical_trailers).hexdigest())


def _signature(seed: Seed, label: str, previous: str, digests: str) -> str:
    text = f"{label}\n{seed.timestamp}\n{seed.scope_string}\n{previous}\n{digests}"
    return hmac_sha256(seed.signing_key, text.encode()).hex()


class ChunkVerifier:
    """Each method raises SignatureDoesNotMatch unless the signature is the next in the chain."""

    def __init__(self, seed: Seed) -> None:
        self._seed = seed
        self._previous: str | None = seed.signature

    def chunk(self, signature: str, data_sha256_hex: str) -> None:
        """Also called for the empty chunk that ends the data."""
        previous = self._take()
        self._settle(signature, chunk_signature(self._seed, previous, data_sha256_hex))

    def trailer(self, signature: str, canonical_trailers: bytes) -> None:
        previous = self._take()
        self._settle(signature, trailer_signature(self._seed, previous, canonical_trailers))

    def _take(self) -> str:
        if self._previous is None:
            raise RequestError("SignatureDoesNotMatch")
        previous, self._previous = self._previous, None
        return previous

    def _settle(self, provided: str, expected: str) -> None:
        if not hmac.compare_digest(provided.encode(), expected.encode()):
            raise RequestError("SignatureDoesNotMatch")
        self._previous = expected

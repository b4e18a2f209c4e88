"""The payload of an S3 request: HTTP's body, freed of `aws-chunked` framing, with its signatures and claims
checked.

What lives here: `DecodedBody`, which handlers consume once. What does not: framing (wire.body), chunk
signatures (auth.chunks), digests that handlers compute as they go (wire.checksums).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import AsyncIterator, Mapping
from typing import Any

from s3al.auth.chunks import ChunkVerifier
from s3al.errors import RequestError
from s3al.server.asgi import Request
from s3al.wire.body import decode, framing_of
from s3al.wire.checksums import Digests, content_md5, declared_checksum, trailer_checksum

# The x-amz-checksum-* headers of these speak of the object to be, not of the document that is sent.
_CHECKSUMS_OF_THE_OBJECT = frozenset({"CompleteMultipartUpload"})
_SHA256 = re.compile(r"[0-9a-f]{64}")
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()


class DecodedBody:
    """See service.operation.Body. Chunks are verified as they arrive; the payload hash of the head is left to
    the consumer."""

    def __init__(self, request: Request, payload_hash: str | None, verifier: ChunkVerifier | None) -> None:
        self._request = request
        self._framing = framing_of(request.headers)
        self._decoder: Any = decode(self._framing, verifier)
        self.payload_sha256 = payload_hash if payload_hash and _SHA256.fullmatch(payload_hash) else None

    @property
    def decoded_bytes(self) -> int | None:
        if self._framing.decoded_bytes is not None:
            return self._framing.decoded_bytes
        return self._request.content_length

    @property
    def trailers(self) -> Mapping[str, str]:
        trailers: Mapping[str, str] = self._decoder.trailers
        return trailers

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._request.body:
            for piece in self._decoder.feed(chunk):
                yield piece if type(piece) is bytes else bytes(piece)
        self._decoder.finish()

    async def read_verified(self, most: int, operation: str = "") -> bytes:
        """The whole of a small body, with every claim of the head verified. Raises MaxMessageLengthExceeded
        and digest errors."""
        headers = self._request.headers
        parts: list[bytes] = []
        size = 0
        async for piece in self:
            size += len(piece)
            if size > most:
                raise RequestError("MaxMessageLengthExceeded", MaxMessageLengthBytes=str(most))
            parts.append(piece)
        body = b"".join(parts)
        if self.payload_sha256 is not None:
            computed = hashlib.sha256(body).hexdigest()
            if not hmac.compare_digest(computed, self.payload_sha256):
                raise RequestError(
                    "XAmzContentSHA256Mismatch",
                    ClientComputedContentSHA256=self.payload_sha256,
                    S3ComputedContentSHA256=computed,
                )
        if operation not in _CHECKSUMS_OF_THE_OBJECT:
            self._verify_checksums(headers, body)
        return body

    def _verify_checksums(self, headers: Mapping[str, str], body: bytes) -> None:
        md5 = content_md5(headers)
        if md5 is not None and not hmac.compare_digest(hashlib.md5(body, usedforsecurity=False).digest(), md5):
            raise RequestError("BadDigest")
        declared = declared_checksum(headers)
        if declared is None:
            return
        claimed = trailer_checksum(declared.algorithm, self.trailers) if declared.in_trailer else declared.value
        digests = Digests({declared.algorithm})
        digests.update(body)
        if claimed is not None and not hmac.compare_digest(digests.digest(declared.algorithm), claimed):
            raise RequestError(
                "BadDigest", f"The {declared.algorithm} you specified did not match the calculated checksum."
            )

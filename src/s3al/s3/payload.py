"""What a client says about the bytes it sends, and whether it was true.

What lives here: `Claims` (payload hash, Content-MD5, checksum in header or trailer), the digests they need,
the verdict, and the headers of an object that a request sets. What does not: computing digests
(wire.checksums), framing (wire.body).

Laws: every claim is verified before anything is committed; at most one checksum algorithm per request; an
object for which the client names none gets CRC64NVME, as AWS does.

Source: S3 User Guide, "Checking object integrity in Amazon S3"; S3 API Reference, PutObject.
"""

from __future__ import annotations

import hmac
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from s3al.errors import RequestError
from s3al.s3.limits import METADATA_MAX_BYTES
from s3al.service.operation import Body, Call, Params
from s3al.wire.body import stored_content_encoding
from s3al.wire.checksums import Digests, content_md5, declared_checksum, trailer_checksum

DEFAULT_ALGORITHM = "CRC64NVME"
_STORED_HEADERS = (
    "CacheControl", "ContentDisposition", "ContentLanguage", "ContentType", "WebsiteRedirectLocation",
)  # fmt: skip
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f]")
_STORAGE_CLASSES = frozenset({"STANDARD"})
_KNOWN_CLASSES = frozenset(
    {
        "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE", "OUTPOSTS",
        "GLACIER_IR", "SNOW", "EXPRESS_ONEZONE", "FSX_OPENZFS", "FSX_ONTAP",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Claims:
    """What the request's head claims. algorithm: the checksum to store; value: as claimed in a header, None
    if in a trailer or absent."""

    payload_sha256: str | None
    md5: bytes | None
    algorithm: str
    value: bytes | None
    in_trailer: bool

    @property
    def says_digest(self) -> bool:
        """Whether Content-MD5 or a checksum came with the request."""
        return self.md5 is not None or self.value is not None or self.in_trailer

    def digests(self, *, etag_is_md5: bool, also: str | None = None) -> Digests:
        """The digests to compute in one pass. also: an algorithm wanted besides the claimed one."""
        names = {self.algorithm} | ({also} if also else set())
        if self.payload_sha256 is not None:
            names.add("SHA256")
        if self.md5 is not None or etag_is_md5:
            names.add("MD5")
        return Digests(names)

    def verify(self, digests: Digests, body: Body) -> None:
        """Raises XAmzContentSHA256Mismatch or BadDigest."""
        if self.payload_sha256 is not None:
            computed = digests.digest("SHA256").hex()
            if not hmac.compare_digest(computed, self.payload_sha256):
                raise RequestError(
                    "XAmzContentSHA256Mismatch",
                    ClientComputedContentSHA256=self.payload_sha256,
                    S3ComputedContentSHA256=computed,
                )
        if self.md5 is not None and not hmac.compare_digest(digests.digest("MD5"), self.md5):
            raise RequestError(
                "BadDigest",
                ExpectedDigest=b64encode(self.md5).decode(),
                CalculatedDigest=b64encode(digests.digest("MD5")).decode(),
            )
        claimed = trailer_checksum(self.algorithm, body.trailers) if self.in_trailer else self.value
        if claimed is not None and not hmac.compare_digest(digests.digest(self.algorithm), claimed):
            raise RequestError(
                "BadDigest", f"The {self.algorithm} you specified did not match the calculated checksum."
            )


def read_claims(call: Call, default_algorithm: str = DEFAULT_ALGORITHM) -> Claims:
    """From the head of a request with a streamed body. Raises InvalidDigest or InvalidRequest for malformed
    claims."""
    declared = declared_checksum(call.headers)
    return Claims(
        payload_sha256=call.body.payload_sha256 if call.body else None,
        md5=content_md5(call.headers),
        algorithm=declared.algorithm if declared else default_algorithm,
        value=declared.value if declared else None,
        in_trailer=bool(declared and declared.in_trailer),
    )


def checked_length(call: Call, most: int) -> Body:
    """The body, if its announced length is within `most` bytes. Raises MissingContentLength or
    EntityTooLarge."""
    if call.body is None or call.body.decoded_bytes is None:
        raise RequestError("MissingContentLength")
    if call.body.decoded_bytes > most:
        raise RequestError("EntityTooLarge", ProposedSize=str(call.body.decoded_bytes), MaxSizeAllowed=str(most))
    return call.body


def stored_headers(params: Params, headers: Mapping[str, str]) -> dict[str, str]:
    """The response headers that an object keeps, by member name."""
    kept = {name: params[name] for name in _STORED_HEADERS if params.get(name)}
    encoding = stored_content_encoding(headers)
    if encoding:
        kept["ContentEncoding"] = encoding
    if headers.get("expires"):
        kept["Expires"] = headers["expires"]
    kept.setdefault("ContentType", "binary/octet-stream")
    for name, value in kept.items():
        if _CONTROL.search(value):  # of a form's field, say: no answer could show it
            raise RequestError("InvalidArgument", "A header value holds a control character.", ArgumentName=name)
    return kept


def stored_metadata(params: Params) -> dict[str, str]:
    """User metadata, within S3's 2 KB of names and values."""
    metadata: dict[str, Any] = {name.lower(): value for name, value in (params.get("Metadata") or {}).items()}
    size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    if size > METADATA_MAX_BYTES:
        raise RequestError("MetadataTooLarge", Size=str(size), MaxSizeAllowed=str(METADATA_MAX_BYTES))
    return metadata


def storage_class(params: Params) -> str:
    wanted = params.get("StorageClass") or "STANDARD"
    if wanted in _STORAGE_CLASSES:
        return str(wanted)
    if wanted in _KNOWN_CLASSES:
        raise RequestError(
            "NotImplemented", f"Storage class {wanted} is not implemented; s3al keeps every object as STANDARD."
        )
    raise RequestError("InvalidStorageClass", StorageClassRequested=str(wanted))

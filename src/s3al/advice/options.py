"""The ways to encrypt an S3 object, as a table, simplest first.

What lives here: `Option` and `OPTIONS`. What does not: what they meet (requirements).

Source: S3 User Guide, "Protecting data with encryption" and the pages below it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Option:
    """option_id: stable, as in JSON. summary: who encrypts, and who holds the key that opens the data key."""

    option_id: str
    name: str
    summary: str


SSE_S3: Final = "sse-s3"
SSE_KMS: Final = "sse-kms"
DSSE_KMS: Final = "dsse-kms"
SSE_C: Final = "sse-c"
CLIENT_KMS: Final = "client-kms"
CLIENT_OWN_KEY: Final = "client-own-key"
CLIENT_S3_MANAGED: Final = "client-s3-managed"

OPTIONS: Final[Mapping[str, Option]] = {
    option.option_id: option
    for option in (
        Option(SSE_S3, "SSE-S3", "the server encrypts; the server owns the key"),
        Option(SSE_KMS, "SSE-KMS", "the server encrypts; a KMS key of yours opens the data key"),
        Option(DSSE_KMS, "DSSE-KMS", "the server encrypts twice, under a KMS key of yours and a key of its own"),
        Option(SSE_C, "SSE-C", "the server encrypts; you send the key with each request"),
        Option(CLIENT_KMS, "client-side, KMS key", "the client encrypts; a KMS key of yours opens the data key"),
        Option(CLIENT_OWN_KEY, "client-side, own key", "the client encrypts; the application keeps the master key"),
        Option(CLIENT_S3_MANAGED, "client-side, S3-managed key", "does not exist"),
    )
}

SERVER_SIDE: Final = (SSE_S3, SSE_KMS, DSSE_KMS, SSE_C)
CLIENT_SIDE: Final = (CLIENT_KMS, CLIENT_OWN_KEY, CLIENT_S3_MANAGED)

# Names of metadata that a client's envelope leaves on an object: S3 Encryption Client V1, V2, V3, and streams of s3al.
ENVELOPE_MARKS: Final = frozenset({"x-amz-key", "x-amz-key-v2", "x-amz-i", "s3al-id"})

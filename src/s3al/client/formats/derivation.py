"""Keys of the V3 format: encryption key and commitment from data key and message id.

What lives here: the HKDF of the specification. What does not: comparing (content), generating (keyrings).

Laws: the salt is the message id, 28 bytes and never all zero; the data key is 32 bytes; one label per use.

Source: Amazon S3 Encryption Client specification, key derivation; RFC 5869.
"""

from __future__ import annotations

import hmac
from typing import Final

from s3al.client.errors import EnvelopeError

SUITE_ID: Final = b"\x00\x73"
MESSAGE_ID_BYTES: Final = 28
COMMITMENT_BYTES: Final = 28
DATA_KEY_BYTES: Final = 32
# The derived key encrypts one message, so its IV may be fixed: the message id makes the key unique.
FIXED_IV: Final = b"\x01" * 12


def derive(data_key: bytes, message_id: bytes) -> tuple[bytes, bytes]:
    """(content key 32 bytes, commitment 28 bytes). Raises EnvelopeError for a message id that cannot be one."""
    if len(message_id) != MESSAGE_ID_BYTES or not any(message_id):
        raise EnvelopeError("the message id of the object is not one")
    if len(data_key) != DATA_KEY_BYTES:
        raise EnvelopeError("data keys have 32 bytes")
    pseudo_random_key = hmac.digest(message_id, data_key, "sha512")
    # Both outputs are at most one block of SHA-512, so HKDF-Expand is one HMAC with counter 1.
    content_key = hmac.digest(pseudo_random_key, SUITE_ID + b"DERIVEKEY\x01", "sha512")[:32]
    commitment = hmac.digest(pseudo_random_key, SUITE_ID + b"COMMITKEY\x01", "sha512")[:COMMITMENT_BYTES]
    return content_key, commitment

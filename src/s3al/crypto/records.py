"""Sealed records: small documents in database rows.

What lives here: the sealing of one record. What does not: what records say (s3.records), which key seals them, and the
place that is bound as associated data (context).

Laws: the cipher is AES-256-GCM-SIV (RFC 8452), because one record key seals every record of a bucket, again at each
change, for years, under random 96-bit nonces. With plain GCM that would have to end after 2^32 messages (SP 800-38D,
8.3), and a repeated nonce, from a cloned virtual machine for instance, would give away the authentication key. Here a
repeated nonce shows no more than that two equal records in one place are equal.
Not detected: that a former record is put back into its own place.

Source: spec/object-format.md, Records.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from s3al.errors import IntegrityError

NONCE_BYTES = 12
TAG_BYTES = 16
OVERHEAD_BYTES = 1 + NONCE_BYTES + TAG_BYTES

_VERSION = b"\x01"
_KEY_BYTES = 32
_HEAD_BYTES = 1 + NONCE_BYTES
_CANNOT_OPEN = "a stored record does not open in this place"


class RecordCipher:
    """Seals and opens records under one key. Keep it: preparing the key costs as much as opening a record."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        if len(key) != _KEY_BYTES:
            raise ValueError("record keys are 32 bytes")
        self._cipher = AESGCMSIV(key)

    def seal(self, plaintext: bytes, *, associated_data: bytes, nonce: bytes) -> bytes:
        """version 1 (1 byte) | nonce 12 | ciphertext | tag 16. The version byte precedes the associated data.

        nonce: 12 fresh random bytes.
        """
        return _VERSION + nonce + self._cipher.encrypt(nonce, plaintext, _VERSION + associated_data)

    def open(self, sealed: bytes, *, associated_data: bytes) -> bytes:
        """Raises IntegrityError: altered, sealed for another place, or under another key."""
        if len(sealed) < OVERHEAD_BYTES or sealed[:1] != _VERSION:
            raise IntegrityError(_CANNOT_OPEN)
        try:
            return self._cipher.decrypt(sealed[1:_HEAD_BYTES], sealed[_HEAD_BYTES:], _VERSION + associated_data)
        except InvalidTag:
            raise IntegrityError(_CANNOT_OPEN) from None


def seal_record(key: bytes, plaintext: bytes, *, associated_data: bytes, nonce: bytes) -> bytes:
    """`RecordCipher.seal` for a key that is used once."""
    return RecordCipher(key).seal(plaintext, associated_data=associated_data, nonce=nonce)


def open_record(key: bytes, sealed: bytes, *, associated_data: bytes) -> bytes:
    """`RecordCipher.open` for a key that is used once. Raises IntegrityError."""
    return RecordCipher(key).open(sealed, associated_data=associated_data)

"""Keys from keys: derive, wrap, the children of a data key, and the ciphertext that KMS operations return.

What lives here: the one key derivation function, the one wrapping, `KmsBlob`. What does not: which key wraps which
(kms, s3), and what is bound as associated data (context).

Laws: every key is 256 bits. A wrapping key never encrypts: each message has a key of its own, derived over a random
salt, so that one wrapping key has no practical limit of messages. Labels are stored format and never change.
Not detected: that a wrapped key was replaced by another that was wrapped for the same place; that is caught by the
record which names it.

Source: spec/key-hierarchy.md; NIST SP 800-108r1, section 4.1 (counter mode); SP 800-38D (GCM).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from s3al.crypto.encoding import canonical, canonical_map
from s3al.crypto.mac import hmac_sha256
from s3al.errors import IntegrityError

KEY_BYTES = 32
SALT_BYTES = 16
IV_BYTES = 12
TAG_BYTES = 16
WRAP_RANDOM_BYTES = SALT_BYTES + IV_BYTES
MATERIAL_ID_BYTES = 32
MAX_WRAPPED_PLAINTEXT_BYTES = 64 * 1024  # wrapped are keys and credentials; whatever is larger belongs into a stream
MAX_KMS_PLAINTEXT_BYTES = 4096  # as AWS KMS: Encrypt, Plaintext
MAX_KMS_BLOB_BYTES = 6144  # as AWS KMS: Decrypt, CiphertextBlob

_DIGEST_BYTES = 32
_WRAP_VERSION = b"\x01"
_WRAP_LABEL = b"s3al wrap v1"
_WRAP_HEAD_BYTES = 1 + WRAP_RANDOM_BYTES
_KMS_LABEL = b"s3al kms wrap v1"
_KMS_MAGIC = b"s3al\x01"
_KMS_KEY_ID = re.compile(rb"[0-9A-Za-z_-]{1,64}")  # a UUID or mrk-...; no ':' or '/': never an ARN, never a region
_NOT_FIELDS = "not the fields of a KMS ciphertext"
_KEPT_HEADERS = 1024
_CANNOT_OPEN = "the ciphertext does not open with this key in this place"


def derive(key: bytes, label: bytes, context: bytes = b"", length: int = KEY_BYTES) -> bytes:
    """SP 800-108r1 KDF in counter mode with HMAC-SHA256: 32-bit counter before, 32-bit length in bits after.

    label: not empty, without zero bytes, because a zero byte ends it. length: bytes, at most 8,160.
    """
    if len(key) != KEY_BYTES:
        raise ValueError("keys are 32 bytes")  # HMAC would take a key and the same with zeros appended for one
    if not label or 0 in label or not 0 < length <= 255 * _DIGEST_BYTES:
        raise ValueError("a label without zero bytes and a length of 1 to 8160 bytes are needed")
    fixed = label + b"\x00" + context + (length * 8).to_bytes(4, "big")
    if length <= _DIGEST_BYTES:
        return hmac_sha256(key, b"\x00\x00\x00\x01" + fixed)[:length]
    blocks = range(1, -(-length // _DIGEST_BYTES) + 1)
    return b"".join([hmac_sha256(key, i.to_bytes(4, "big") + fixed) for i in blocks])[:length]


def hkdf_sha256(key: bytes, salt: bytes, info: bytes) -> bytes:
    """RFC 5869 HKDF-SHA256 with 32 bytes of output. Only for published formats that ask for it (Tink's streams)."""
    pseudorandom_key = hmac_sha256(salt, key)
    return hmac_sha256(pseudorandom_key, info + b"\x01")


def wrap(wrapping_key: bytes, plaintext: bytes, *, associated_data: bytes, random: bytes) -> bytes:
    """version 1 (1 byte) | salt 16 | iv 12 | ciphertext | tag 16, in AES-256-GCM under a key of its own.

    random: 28 fresh random bytes, salt and iv.
    """
    if len(random) != WRAP_RANDOM_BYTES or len(plaintext) > MAX_WRAPPED_PLAINTEXT_BYTES:
        raise ValueError("wrap takes 28 random bytes and at most 64 KiB of plaintext")
    message_key = derive(wrapping_key, _WRAP_LABEL, random[:SALT_BYTES])
    return _WRAP_VERSION + random + AESGCM(message_key).encrypt(random[SALT_BYTES:], plaintext, associated_data)


def unwrap(wrapping_key: bytes, wrapped: bytes, *, associated_data: bytes) -> bytes:
    """Raises IntegrityError: altered, wrapped for another place, or under another key. Which of these is not told."""
    if len(wrapped) < _WRAP_HEAD_BYTES + TAG_BYTES or wrapped[:1] != _WRAP_VERSION:
        raise IntegrityError(_CANNOT_OPEN)
    message_key = derive(wrapping_key, _WRAP_LABEL, wrapped[1 : 1 + SALT_BYTES])
    iv = wrapped[1 + SALT_BYTES : _WRAP_HEAD_BYTES]
    return _open_gcm(message_key, iv, wrapped[_WRAP_HEAD_BYTES:], associated_data)


def stream_key(data_key: bytes, stream_id: bytes) -> bytes:
    """The key of one sealed stream (one part attempt)."""
    return derive(data_key, b"s3al stream key v1", _identifier(stream_id))


def private_record_key(data_key: bytes) -> bytes:
    """The key of the private records of one object."""
    return derive(data_key, b"s3al private record key v1")


def commitment(data_key: bytes, object_id: bytes) -> bytes:
    """32 bytes that only this data key gives for this object.

    It stands in the public record and is compared (hmac.compare_digest) before the data key is used: GCM alone lets one
    ciphertext open under two keys that were made for it.
    """
    return derive(data_key, b"s3al commitment v1", _identifier(object_id))


@dataclass(frozen=True, slots=True)
class KmsBlob:
    """The ciphertext of a KMS operation, taken apart. Nothing in it is secret, nothing proven before `open_kms`.

    key_id: the KMS key's id, never an ARN. material_id: 32 bytes. sealed: ciphertext and tag.
    """

    key_id: str
    material_id: bytes
    salt: bytes = field(repr=False)
    iv: bytes = field(repr=False)
    sealed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _kms_header(self.key_id, self.material_id)
        if (len(self.salt), len(self.iv)) != (SALT_BYTES, IV_BYTES):
            raise ValueError(_NOT_FIELDS)

    @property
    def header(self) -> bytes:
        """Magic, format version, key id with its length, material id: what the associated data binds."""
        return _kms_header(self.key_id, self.material_id)

    def format(self) -> bytes:
        """The blob's bytes; `parse_kms_blob` gives back an equal blob."""
        return self.header + self.salt + self.iv + self.sealed


@lru_cache(maxsize=_KEPT_HEADERS)
def _kms_header(key_id: str, material_id: bytes) -> bytes:
    """Raises ValueError for what is no KMS key's id or no material's."""
    named = key_id.encode()
    if len(material_id) != MATERIAL_ID_BYTES or not _KMS_KEY_ID.fullmatch(named):
        raise ValueError(_NOT_FIELDS)
    return _KMS_MAGIC + bytes((len(named),)) + named + material_id


def seal_kms(
    material: bytes, *, key_id: str, material_id: bytes, context: Mapping[str, str], plaintext: bytes, random: bytes
) -> bytes:
    """A KMS ciphertext blob of 1 to 4,096 bytes of plaintext, bound to key id, material id and encryption context.

    random: 28 fresh random bytes, salt and iv.
    """
    if not 0 < len(plaintext) <= MAX_KMS_PLAINTEXT_BYTES or len(random) != WRAP_RANDOM_BYTES:
        raise ValueError("a KMS ciphertext holds 1 to 4096 bytes and takes 28 random bytes")
    salt, iv = random[:SALT_BYTES], random[SALT_BYTES:]
    header = _kms_header(key_id, material_id)
    message_key = derive(material, _KMS_LABEL, salt)
    associated_data = canonical(header, canonical_map(context))
    return header + random + AESGCM(message_key).encrypt(iv, plaintext, associated_data)


def open_kms(material: bytes, blob: KmsBlob, context: Mapping[str, str]) -> bytes:
    """material: the one that `blob.material_id` names; no other is ever tried. Raises IntegrityError."""
    message_key = derive(material, _KMS_LABEL, blob.salt)
    return _open_gcm(message_key, blob.iv, blob.sealed, canonical(blob.header, canonical_map(context)))


def parse_kms_blob(raw: bytes) -> KmsBlob:
    """Raises IntegrityError: foreign, of an unknown format version, truncated or oversize."""
    magic_bytes = len(_KMS_MAGIC)
    if not magic_bytes < len(raw) <= MAX_KMS_BLOB_BYTES or raw[:magic_bytes] != _KMS_MAGIC:
        raise IntegrityError(_CANNOT_OPEN)
    key_id_end = magic_bytes + 1 + raw[magic_bytes]
    salt_at = key_id_end + MATERIAL_ID_BYTES
    iv_at = salt_at + SALT_BYTES
    sealed_at = iv_at + IV_BYTES
    key_id = raw[magic_bytes + 1 : key_id_end]
    if len(raw) <= sealed_at + TAG_BYTES or not _KMS_KEY_ID.fullmatch(key_id):
        raise IntegrityError(_CANNOT_OPEN)
    material_id, salt, iv = raw[key_id_end:salt_at], raw[salt_at:iv_at], raw[iv_at:sealed_at]
    return KmsBlob(key_id.decode("ascii"), material_id, salt, iv, raw[sealed_at:])


def _open_gcm(key: bytes, iv: bytes, sealed: bytes, associated_data: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(iv, sealed, associated_data)
    except InvalidTag:
        raise IntegrityError(_CANNOT_OPEN) from None


def _identifier(identifier: bytes) -> bytes:
    if len(identifier) != 16:
        raise ValueError("identifiers are 16 bytes")
    return identifier

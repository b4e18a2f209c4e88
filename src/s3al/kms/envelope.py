"""Sealing and opening under a KMS key, once it is settled that the caller may and the key's state allows it.

What lives here: from a key's row to ciphertext blobs and back. What does not: permission and state (access,
states), which callers settle first; the blob's bytes (crypto.keys).

Laws: new ciphertext is made under the current material, old ciphertext opens under the material that it names
and under no other; every failure to open is the same InvalidCiphertextException without a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from s3al.crypto.keys import WRAP_RANDOM_BYTES, KmsBlob, open_kms, parse_kms_blob, seal_kms
from s3al.errors import IntegrityError, RequestError
from s3al.kms.ports import Kms
from s3al.store.database import Rows
from s3al.store.keystore import KeyRow

Pairs = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A ciphertext blob and the id (32 bytes) of the material that made it."""

    blob: bytes
    material_id: bytes


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key, in the clear for the length of one request, and under its KMS key for storing."""

    key_arn: str
    key_id: str
    material_id: bytes
    plaintext: bytes = field(repr=False)
    blob: bytes = b""


def parse_blob(raw: bytes) -> KmsBlob:
    """Raises InvalidCiphertextException for bytes that are no blob of this KMS."""
    try:
        return parse_kms_blob(raw)
    except IntegrityError:
        raise RequestError("InvalidCiphertextException") from None


def current_material(rows: Rows, kms: Kms, key: KeyRow) -> bytes:
    """The material that the key uses now."""
    if key.current_material is None:
        raise IntegrityError("a key that may be used has no material")
    return kms.materials.open(rows, key.key_id, bytes(key.current_material))


def seal(rows: Rows, kms: Kms, key: KeyRow, plaintext: bytes, pairs: Pairs) -> Sealed:
    """plaintext: 1 to 4,096 bytes. pairs: the encryption context."""
    if key.current_material is None:
        raise IntegrityError("a key that may be used has no material")
    material_id = bytes(key.current_material)
    blob = seal_kms(
        kms.materials.open(rows, key.key_id, material_id),
        key_id=key.key_id,
        material_id=material_id,
        context=checked_context(pairs),
        plaintext=plaintext,
        random=kms.random(WRAP_RANDOM_BYTES),
    )
    return Sealed(blob, material_id)


def open_sealed(rows: Rows, kms: Kms, key: KeyRow, blob: KmsBlob, pairs: Pairs) -> bytes:
    """Raises InvalidCiphertextException: altered, another context, or a material that this key does not have."""
    if blob.key_id != key.key_id or not kms.materials.has(rows, key.key_id, blob.material_id):
        raise RequestError("InvalidCiphertextException")
    material = kms.materials.open(rows, key.key_id, blob.material_id)
    try:
        return open_kms(material, blob, checked_context(pairs))
    except IntegrityError:
        raise RequestError("InvalidCiphertextException") from None


def new_data_key(rows: Rows, kms: Kms, key: KeyRow, pairs: Pairs, length_bytes: int = 32) -> DataKey:
    plaintext = kms.random(length_bytes)
    sealed = seal(rows, kms, key, plaintext, pairs)
    return DataKey(key.arn, key.key_id, sealed.material_id, plaintext, sealed.blob)


def checked_context(pairs: Pairs) -> Pairs:
    """JSON can carry lone surrogates, which have no bytes that could be authenticated."""
    try:
        for name, value in pairs.items():
            name.encode("utf-8")
            value.encode("utf-8")
    except UnicodeEncodeError:
        raise RequestError("ValidationException", "The encryption context is not valid UTF-8 text.") from None
    return pairs

"""Imported material: tokens and wrapping keys, ids of materials, and until when a key may be used.

What lives here: what the import operations work with. What does not: the operations (operations.imports), rows
(store.keystore), what becomes of a key whose material is missing (states).

Laws: a token holds its wrapping key, sealed under a secret of the KMS key, so that nothing is stored until material
comes, and a token of another key, another store or after its 24 hours opens nothing; a material's id is derived
from it under the same secret, so that the same material has the same id, and an id tells nothing to whoever guesses
at the material. RSAES_PKCS1_V1_5 is refused, as AWS does since 2023.

Sources: KMS Developer Guide, "Importing key material"; PKCS #11 v2.40, CKM_RSA_AES_KEY_WRAP; RFC 5649.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import cast

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap_with_padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_private_key

from s3al.crypto.encoding import canonical
from s3al.crypto.keys import WRAP_RANDOM_BYTES, derive, unwrap, wrap
from s3al.errors import IntegrityError, RequestError
from s3al.kms.key_specs import SYMMETRIC
from s3al.kms.materials import MATERIAL_BYTES
from s3al.kms.private_keys import generate, imported, rsa_decrypt
from s3al.kms.seals.port import Random
from s3al.store import keystore
from s3al.store.database import Rows
from s3al.store.keystore import KeyRow, MaterialRow

TOKEN_MS = 24 * 60 * 60 * 1000
_WRAPPING = {
    "RSAES_OAEP_SHA_1": "RSAES_OAEP_SHA_1",
    "RSAES_OAEP_SHA_256": "RSAES_OAEP_SHA_256",
    "RSA_AES_KEY_WRAP_SHA_1": "RSAES_OAEP_SHA_1",
    "RSA_AES_KEY_WRAP_SHA_256": "RSAES_OAEP_SHA_256",
}
_TOKEN_LABEL = b"s3al import token v1"
_ID_LABEL = b"s3al imported material v1"


@dataclass(frozen=True, slots=True)
class ImportToken:
    """What GetParametersForImport hands out and ImportKeyMaterial takes back. wrapping_key: PKCS #8. Times: UTC ms."""

    algorithm: str
    valid_to: int
    wrapping_key: bytes = field(repr=False)

    @classmethod
    def issue(cls, algorithm: str, wrapping_spec: str, *, now_ms: int, random: Random) -> ImportToken:
        return cls(algorithm, now_ms + TOKEN_MS, generate(wrapping_spec, random))

    def public_key(self) -> bytes:
        """SubjectPublicKeyInfo in DER."""
        key = cast("rsa.RSAPrivateKey", load_der_private_key(self.wrapping_key, None))
        return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    def seal(self, secret: bytes, key: KeyRow, random: Random) -> bytes:
        words = {"alg": self.algorithm, "to": self.valid_to, "key": b64encode(self.wrapping_key).decode("ascii")}
        plain = json.dumps(words).encode("ascii")
        return wrap(secret, plain, associated_data=_token_place(key), random=random(WRAP_RANDOM_BYTES))

    @classmethod
    def open(cls, token: bytes, secret: bytes, key: KeyRow, *, now_ms: int) -> ImportToken:
        """Raises InvalidImportTokenException, ExpiredImportTokenException."""
        try:
            words = json.loads(unwrap(secret, token, associated_data=_token_place(key)))
        except IntegrityError:
            raise RequestError("InvalidImportTokenException") from None
        opened = cls(words["alg"], words["to"], b64decode(words["key"]))
        if opened.valid_to <= now_ms:
            raise RequestError("ExpiredImportTokenException")
        return opened

    def unwrap(self, encrypted: bytes) -> bytes:
        """The material, whatever it is. Raises InvalidCiphertextException."""
        if not self.algorithm.startswith("RSA_AES"):
            return rsa_decrypt(self.wrapping_key, _WRAPPING[self.algorithm], encrypted)
        modulus_bytes = cast("rsa.RSAPrivateKey", load_der_private_key(self.wrapping_key, None)).key_size // 8
        aes_key = rsa_decrypt(self.wrapping_key, _WRAPPING[self.algorithm], encrypted[:modulus_bytes])
        try:
            return aes_key_unwrap_with_padding(aes_key, encrypted[modulus_bytes:])
        except (InvalidUnwrap, ValueError):
            raise RequestError("InvalidCiphertextException") from None


def check_wrapping(algorithm: str, wrapping_spec: str) -> None:
    """Raises UnsupportedOperationException."""
    if algorithm not in _WRAPPING or not wrapping_spec.startswith("RSA_"):
        raise RequestError(
            "UnsupportedOperationException", f"Wrapping by {algorithm} under {wrapping_spec} is not supported."
        )


def checked_material(key: KeyRow, plain: bytes) -> bytes:
    """The material as it will be kept. Raises IncorrectKeyMaterialException if it is not of the key's spec."""
    if key.key_spec == SYMMETRIC:
        if len(plain) != MATERIAL_BYTES:
            raise RequestError("IncorrectKeyMaterialException", "The key material is not a 256-bit symmetric key.")
        return plain
    try:
        return imported(key.key_spec, plain)
    except ValueError:
        raise RequestError(
            "IncorrectKeyMaterialException", f"The key material is not a key of spec {key.key_spec}."
        ) from None


def material_id_of(secret: bytes, material: bytes) -> bytes:
    """32 bytes. The secret is this one KMS key's, so that the id depends on the key too."""
    return derive(secret, _ID_LABEL, hashlib.sha256(material).digest())


def usable_until(rows: Rows, key: KeyRow) -> int | None:
    """When the first of the key's materials expires; 0 while one is missing; None if none expires. A material that
    waits for a rotation does not count."""
    first: int | None = None
    associated = [row for row in keystore.list_materials(rows, key.key_id) if not waits(rows, key, row)]
    if not associated:
        return 0
    for row in associated:
        until = row.valid_to if row.wrapped else 0
        if until is not None:
            first = until if first is None else min(first, until)
    return first


def waits(rows: Rows, key: KeyRow, row: MaterialRow) -> bool:
    """Whether a material is newer than the current one: imported, and not rotated to."""
    if key.current_material is None or row.material_id == key.current_material:
        return False
    current = keystore.material_sequence(rows, key.key_id, key.current_material)
    return row.sequence > current


def pending_material(rows: Rows, key: KeyRow) -> MaterialRow | None:
    return next((row for row in keystore.list_materials(rows, key.key_id) if waits(rows, key, row)), None)


def _token_place(key: KeyRow) -> bytes:
    return canonical(_TOKEN_LABEL, key.key_id.encode("ascii"))

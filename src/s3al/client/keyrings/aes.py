"""Data keys wrapped by an AES key of the application.

What lives here: `AesKeyring`. What does not: choosing among several keys (several).

Laws: written is AES-256-GCM over the data key, bound to the content algorithm. The wrappings without authentication
(`AES`, ECB) or binding (`AESWrap`) are read behind the switch, and fail as everything fails.

Source: Amazon S3 Encryption Client specification, AES keyring; RFC 3394.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap
from cryptography.hazmat.primitives.padding import PKCS7

from s3al.client.errors import ClientConfigError, DecryptionError, EncryptionContextError
from s3al.client.formats.derivation import DATA_KEY_BYTES
from s3al.client.formats.suites import AlgorithmSuite, WrapAlgorithm
from s3al.client.keyrings.port import DataKey, WrappedKey, require_modern, require_wrap

_ACCEPTED: Final = frozenset({WrapAlgorithm.AES_GCM, WrapAlgorithm.AES, WrapAlgorithm.AES_WRAP})
_IV_BYTES: Final = 12
_GCM_WRAPPED_BYTES: Final = _IV_BYTES + DATA_KEY_BYTES + 16


class AesKeyring:
    """Writes and reads under one 256-bit key. materials_description: stored beside the wrapped key, in the clear."""

    waits = False

    def __init__(
        self,
        wrapping_key: bytes,
        *,
        materials_description: Mapping[str, str] | None = None,
        enable_legacy_wrapping_algorithms: bool = False,
    ) -> None:
        if not isinstance(wrapping_key, bytes | bytearray) or len(wrapping_key) != 32:
            raise ClientConfigError("an AES wrapping key has 32 bytes", advice="`s3al cse keygen` makes one.")
        self._key = bytes(wrapping_key)
        self._cipher = AESGCM(self._key)
        self._legacy_enabled = enable_legacy_wrapping_algorithms
        self.materials_description = dict(materials_description or {})

    def __repr__(self) -> str:
        return f"AesKeyring(materials_description={self.materials_description!r})"

    def generate(self, suite: AlgorithmSuite, context: Mapping[str, str] | None) -> DataKey:
        data_key = os.urandom(DATA_KEY_BYTES)
        return DataKey(data_key, self.wrap(suite, data_key, context))

    def wrap(self, suite: AlgorithmSuite, data_key: bytes, context: Mapping[str, str] | None = None) -> WrappedKey:
        """A data key that exists, wrapped with this key: to rotate instruction files."""
        refuse_context(context)
        iv = os.urandom(_IV_BYTES)
        wrapped = iv + self._cipher.encrypt(iv, data_key, suite.binding.encode("ascii"))
        return WrappedKey(WrapAlgorithm.AES_GCM, wrapped, self.materials_description)

    def unwrap(self, suite: AlgorithmSuite, wrapped: WrappedKey, context: Mapping[str, str] | None) -> bytes:
        require_wrap(wrapped, _ACCEPTED, "an AES keyring")
        require_modern(wrapped, legacy_enabled=self._legacy_enabled)
        refuse_context(context)
        try:
            return self._unwrap(suite, wrapped)
        except (InvalidTag, InvalidUnwrap, ValueError):
            raise DecryptionError from None

    def _unwrap(self, suite: AlgorithmSuite, wrapped: WrappedKey) -> bytes:
        blob = wrapped.ciphertext
        if wrapped.wrap is WrapAlgorithm.AES_WRAP:
            return aes_key_unwrap(self._key, blob)
        if wrapped.wrap is WrapAlgorithm.AES:
            decryptor = Cipher(AES(self._key), ECB()).decryptor()  # noqa: S305  # how V1 wrapped; read only
            unpadder = PKCS7(128).unpadder()
            padded = unpadder.update(decryptor.update(blob) + decryptor.finalize())
            return checked_length(padded + unpadder.finalize())
        if len(blob) != _GCM_WRAPPED_BYTES:
            raise DecryptionError
        return self._cipher.decrypt(blob[:_IV_BYTES], blob[_IV_BYTES:], suite.binding.encode("ascii"))


def checked_length(data_key: bytes) -> bytes:
    """Raises DecryptionError for what cannot be an AES key."""
    if len(data_key) not in {16, 24, 32}:
        raise DecryptionError
    return data_key


def refuse_context(context: Mapping[str, str] | None) -> None:
    """An encryption context needs a KMS that checks it: with an own key it would promise what nobody keeps."""
    if context:
        raise EncryptionContextError(
            "an encryption context needs a KMS keyring", advice="With an own key use materials_description."
        )

"""Data keys wrapped by an RSA key pair of the application.

What lives here: `RsaKeyring`. What does not: making or storing key pairs (`s3al cse keygen`).

Laws: written is RSA-OAEP with SHA-1, as all clients write it; length and content algorithm are wrapped along and
compared in constant time. Whatever is wrong with a padding ends as a random data key, so that the object fails at its
content like any other: a reader of errors and times learns nothing about paddings. Legacy wrappings need the switch.

Source: Amazon S3 Encryption Client specification, RSA keyring; RFC 8017; RFC 3218 (implicit rejection).
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from s3al.client.errors import ClientConfigError
from s3al.client.formats.derivation import DATA_KEY_BYTES
from s3al.client.formats.suites import AlgorithmSuite, WrapAlgorithm
from s3al.client.keyrings.aes import refuse_context
from s3al.client.keyrings.port import DataKey, WrappedKey, require_modern, require_wrap

_ACCEPTED: Final = frozenset({WrapAlgorithm.RSA_OAEP, WrapAlgorithm.RSA, WrapAlgorithm.RSA_OAEP_SHA256})
_MIN_BITS: Final = 2048
# OAEP needs no collision resistance of its hash; SHA-1 is the format.
_OAEP: Final = padding.OAEP(mgf=padding.MGF1(SHA1()), algorithm=SHA1(), label=None)  # noqa: S303
# The JCE name says SHA-256 for both, but JCE's default MGF1 is SHA-1, and that is what objects hold.
_OAEP_SHA256: Final = padding.OAEP(mgf=padding.MGF1(SHA1()), algorithm=SHA256(), label=None)  # noqa: S303


class RsaKeyring:
    """Writes with the public key, reads with the private one; either alone does its half. Keys: objects or PEM."""

    waits = False

    def __init__(
        self,
        private_key: RSAPrivateKey | bytes | None = None,
        public_key: RSAPublicKey | bytes | None = None,
        *,
        materials_description: Mapping[str, str] | None = None,
        enable_legacy_wrapping_algorithms: bool = False,
    ) -> None:
        self._private = _private_key(private_key)
        self._public = _public_key(public_key)
        if self._private is None and self._public is None:
            raise ClientConfigError("an RSA keyring needs a private key, a public key, or both")
        for key in (self._private, self._public):
            if key is not None and key.key_size < _MIN_BITS:
                raise ClientConfigError(f"RSA keys have at least {_MIN_BITS} bits")
        if self._private is not None and self._public is None:
            self._public = self._private.public_key()
        self._legacy_enabled = enable_legacy_wrapping_algorithms
        self.materials_description = dict(materials_description or {})

    def __repr__(self) -> str:
        return f"RsaKeyring(materials_description={self.materials_description!r})"

    def generate(self, suite: AlgorithmSuite, context: Mapping[str, str] | None) -> DataKey:
        data_key = os.urandom(DATA_KEY_BYTES)
        return DataKey(data_key, self.wrap(suite, data_key, context))

    def wrap(self, suite: AlgorithmSuite, data_key: bytes, context: Mapping[str, str] | None = None) -> WrappedKey:
        """A data key that exists, wrapped with this key: to rotate instruction files."""
        refuse_context(context)
        assert self._public is not None
        pseudo_key = bytes((len(data_key),)) + data_key + suite.binding.encode("ascii")
        wrapped = self._public.encrypt(pseudo_key, _OAEP)
        return WrappedKey(WrapAlgorithm.RSA_OAEP, wrapped, self.materials_description)

    def unwrap(self, suite: AlgorithmSuite, wrapped: WrappedKey, context: Mapping[str, str] | None) -> bytes:
        require_wrap(wrapped, _ACCEPTED, "an RSA keyring")
        require_modern(wrapped, legacy_enabled=self._legacy_enabled)
        refuse_context(context)
        if self._private is None:
            raise ClientConfigError("reading needs the private key of the pair")
        instead = os.urandom(DATA_KEY_BYTES)
        if wrapped.wrap is WrapAlgorithm.RSA:
            opened = self._decrypt(wrapped.ciphertext, padding.PKCS1v15())
            return opened if len(opened) in {16, 24, 32} else instead
        if wrapped.wrap is WrapAlgorithm.RSA_OAEP_SHA256:
            opened = self._decrypt(wrapped.ciphertext, _OAEP_SHA256)
            return opened if len(opened) in {16, 24, 32} else instead
        return _data_key_of(self._decrypt(wrapped.ciphertext, _OAEP), suite.binding.encode("ascii")) or instead

    def _decrypt(self, blob: bytes, scheme: padding.AsymmetricPadding) -> bytes:
        """What the blob holds; nothing if its padding is wrong."""
        assert self._private is not None
        try:
            return self._private.decrypt(blob, scheme)
        except (ValueError, UnsupportedAlgorithm):
            return b""


def _data_key_of(pseudo_key: bytes, binding: bytes) -> bytes:
    """The data key in length | data key | content algorithm; nothing if it is not that."""
    length = pseudo_key[0] if pseudo_key else 0
    data_key, named = pseudo_key[1 : 1 + length], pseudo_key[1 + length :]
    fits = (length in {16, 24, 32}) & (len(data_key) == length) & hmac.compare_digest(named, binding)
    return data_key if fits else b""


def _private_key(given: RSAPrivateKey | bytes | None) -> RSAPrivateKey | None:
    if not isinstance(given, bytes):
        return given
    try:
        key = serialization.load_pem_private_key(given, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ClientConfigError("the private key is not an unencrypted PEM key") from None
    if not isinstance(key, RSAPrivateKey):
        raise ClientConfigError("the private key is not an RSA key")
    return key


def _public_key(given: RSAPublicKey | bytes | None) -> RSAPublicKey | None:
    if not isinstance(given, bytes):
        return given
    try:
        key = serialization.load_pem_public_key(given)
    except (ValueError, UnsupportedAlgorithm):
        raise ClientConfigError("the public key is not a PEM key") from None
    if not isinstance(key, RSAPublicKey):
        raise ClientConfigError("the public key is not an RSA key")
    return key

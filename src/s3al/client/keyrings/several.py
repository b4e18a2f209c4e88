"""Several keys: one writes, the materials description says which one reads.

What lives here: `KeyringSet`. What does not: any cryptography.

Laws: exactly one key is asked for an object; nothing is tried in turn. An object whose description names none of the
others is asked of the writing keyring.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from s3al.client.errors import ClientConfigError
from s3al.client.formats.suites import AlgorithmSuite
from s3al.client.keyrings.aes import AesKeyring
from s3al.client.keyrings.port import DataKey, Keyring, WrappedKey
from s3al.client.keyrings.rsa import RsaKeyring


class KeyringSet:
    """`writing` writes; of `reading`, the one with the object's kind of wrapping and materials description reads."""

    def __init__(self, writing: Keyring, reading: Sequence[Keyring]) -> None:
        self._writing = writing
        self._by_description: dict[tuple[type, frozenset[tuple[str, str]]], Keyring] = {}
        self._others: list[Keyring] = []
        for keyring in (writing, *reading):
            if not isinstance(keyring, AesKeyring | RsaKeyring):
                self._others.append(keyring)
                continue
            name = (type(keyring), frozenset(keyring.materials_description.items()))
            if self._by_description.setdefault(name, keyring) is not keyring:
                raise ClientConfigError("two keys of a set have the same materials description")
        self.waits = any(keyring.waits for keyring in (writing, *reading))

    def generate(self, suite: AlgorithmSuite, context: Mapping[str, str] | None) -> DataKey:
        return self._writing.generate(suite, context)

    def unwrap(self, suite: AlgorithmSuite, wrapped: WrappedKey, context: Mapping[str, str] | None) -> bytes:
        return self._chosen(wrapped).unwrap(suite, wrapped, context)

    def _chosen(self, wrapped: WrappedKey) -> Keyring:
        if wrapped.wrap.with_kms:
            return self._others[0] if self._others else self._writing
        kind = AesKeyring if wrapped.wrap.name.startswith("AES") else RsaKeyring
        found = self._by_description.get((kind, frozenset(wrapped.description.items())))
        return found or self._writing

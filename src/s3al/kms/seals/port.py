"""The port of all seals, and what they share.

What lives here: `Seal`, the seals whose key is in this process (`KeyedSeal`), types. What does not: single kinds.

Laws: a seal wraps root keys and nothing else, each bound to its place; a wrong key is told apart from a damaged
record by the check value; a seal whose key cannot be reached raises a retryable StoreError, and nothing is lost by
asking it again. Contract: tests/contract/seal_suite.py.

Source: spec/key-hierarchy.md, Seals.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import Protocol

from s3al.crypto.keys import derive, unwrap, wrap

SEAL_KEY_BYTES = 32
_CHECK_LABEL = b"s3al seal check v1"
CHECK_PLACE = b"s3al sealed check v1"  # of a check value that is sealed, by a key that is not here
_WRAP_RANDOM_BYTES = 28
_WRAP_LABEL = b"s3al seal wrap v1"

Random = Callable[[int], bytes]
# What store.json keeps of a seal beside what it sealed; nothing of it is secret.
Parameters = Mapping[str, str | int]


class Seal(Protocol):
    """Wraps root keys outside the store's own hierarchy. `place` binds what is sealed to store and root version.

    Every method but `describe` raises a retryable StoreError while the seal's key cannot be reached.
    """

    @property
    def kind(self) -> str:
        """Word that names this kind of seal in store.json and in `--root-key KIND:...`."""
        ...

    @property
    def parameters(self) -> Parameters:
        """What must be stored so that the seal can be opened again."""
        ...

    def seal(self, root_key: bytes, *, place: bytes, random: Random) -> bytes: ...

    def unseal(self, sealed: bytes, *, place: bytes) -> bytes:
        """Raises IntegrityError if `sealed` was altered or sealed elsewhere."""
        ...

    def check_value(self, store_id: bytes, *, random: Random) -> bytes:
        """At least 32 bytes by which `recognises` finds out later whether it is the same key and store."""
        ...

    def recognises(self, check_value: bytes, store_id: bytes) -> bool:
        """Whether a check value of this store was made with this seal's key."""
        ...

    def describe(self) -> str:
        """What this seal is, for a person: never a secret."""
        ...


class KeyedSeal:
    """A seal whose 32-byte key is in this process: it seals by itself. A kind derives from it and gives `_key`."""

    __slots__ = ()
    _key: bytes

    def seal(self, root_key: bytes, *, place: bytes, random: Random) -> bytes:
        return wrap(self._wrapping_key(), root_key, associated_data=place, random=random(_WRAP_RANDOM_BYTES))

    def unseal(self, sealed: bytes, *, place: bytes) -> bytes:
        return unwrap(self._wrapping_key(), sealed, associated_data=place)

    def check_value(self, store_id: bytes, *, random: Random) -> bytes:  # noqa: ARG002  (nothing random in it)
        return derive(self._key, _CHECK_LABEL, store_id)

    def recognises(self, check_value: bytes, store_id: bytes) -> bool:
        return hmac.compare_digest(check_value, derive(self._key, _CHECK_LABEL, store_id))

    def _wrapping_key(self) -> bytes:
        return derive(self._key, _WRAP_LABEL)

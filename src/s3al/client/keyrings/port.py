"""The port of keyrings: make a data key for a new object, open that of an old one.

What lives here: the protocol that one's own keyring implements, and the values that pass through it. What does not: any
keyring.

Laws: a keyring gets the suite with both questions, so that it can bind the wrapped key to it. `description` is what is
stored beside the wrapped key: the encryption context with KMS, the materials description otherwise. A keyring raises
DecryptionError for whatever does not open, without saying why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from s3al.client.errors import ClientConfigError, EncryptionContextError, EnvelopeError, PolicyError
from s3al.client.formats.derivation import DATA_KEY_BYTES
from s3al.client.formats.suites import AlgorithmSuite, WrapAlgorithm

CONTEXT_BINDING: Final = "aws:x-amz-cek-alg"
CONTEXT_V1_KEY: Final = "kms_cmk_id"
RESERVED_CONTEXT: Final = frozenset({CONTEXT_BINDING, CONTEXT_V1_KEY})


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A wrapped data key and what is stored beside it."""

    wrap: WrapAlgorithm
    ciphertext: bytes = field(repr=False)
    description: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DataKey:
    """A data key of 32 bytes, plain and wrapped."""

    plaintext: bytes = field(repr=False)
    wrapped: WrappedKey

    def __post_init__(self) -> None:
        if len(self.plaintext) != DATA_KEY_BYTES:
            raise ClientConfigError("a keyring must give data keys of 32 bytes")


class Keyring(Protocol):
    """What the client asks. `waits`: whether the questions go over a network (then async clients use a thread)."""

    waits: bool

    def generate(self, suite: AlgorithmSuite, context: Mapping[str, str] | None) -> DataKey:
        """A new data key for an object of `suite`. context: the caller's encryption context, if any."""

    def unwrap(self, suite: AlgorithmSuite, wrapped: WrappedKey, context: Mapping[str, str] | None) -> bytes:
        """The data key. context: what the caller expects; None expects nothing beyond what the keyring demands."""


def require_modern(wrapped: WrappedKey, *, legacy_enabled: bool) -> None:
    """Refuse legacy wrappings behind their switch. Raises PolicyError."""
    if wrapped.wrap.legacy and not legacy_enabled:
        raise PolicyError(
            f"the object's data key is wrapped with {wrapped.wrap.value}, a legacy algorithm",
            advice="enable_legacy_wrapping_algorithms=True of the keyring reads it.",
        )


def require_wrap(wrapped: WrappedKey, accepted: frozenset[WrapAlgorithm], keyring: str) -> None:
    """Raises EnvelopeError if this is not a wrapping of this kind of keyring."""
    if wrapped.wrap not in accepted:
        raise EnvelopeError(
            f"the object's data key is wrapped with {wrapped.wrap.value}, which {keyring} does not open",
            advice="Give the client a keyring of the kind that the object was written with.",
        )


def check_context(context: Mapping[str, str] | None) -> dict[str, str]:
    """A caller's context as a dict of its own. Raises EncryptionContextError for reserved names and non-strings."""
    given = dict(context or {})
    if not all(isinstance(name, str) and isinstance(value, str) for name, value in given.items()):
        raise EncryptionContextError("an encryption context maps strings to strings")
    reserved = sorted(given.keys() & RESERVED_CONTEXT)
    if reserved:
        raise EncryptionContextError(f"the encryption context may not name {reserved[0]}, which is reserved")
    return given

"""The passphrase seal: a key derived from what a person knows.

What lives here: the derivation and its cost. What does not: sealing (port), asking for the passphrase
(secret_source).

Laws: salt and cost stand in store.json and are taken from there, within bounds, so that an altered file cannot make a
start take all memory; the passphrase itself is kept nowhere, also not in this object. A thief of the data folder can
try passphrases: the cost slows each try down, and a guessable passphrase is found all the same.

Source: RFC 9106, sections 3 and 4 (second recommended choice); spec/key-hierarchy.md, Seals. RFC 8265, 4.2 (NFC).
"""

from __future__ import annotations

import unicodedata
from base64 import b64decode, b64encode
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from s3al.errors import ConfigError, IntegrityError
from s3al.kms.seals.port import SEAL_KEY_BYTES, KeyedSeal, Parameters, Random

SALT_BYTES = 16
LEAST_CHARACTERS = 12
_MOST = {"iterations": 64, "lanes": 64, "memory_kib": 4 << 20}


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one derivation. memory_kib: KiB of memory."""

    iterations: int = 3
    lanes: int = 4
    memory_kib: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class PassphraseSeal(KeyedSeal):
    _key: bytes = field(repr=False)
    _parameters: Parameters

    @property
    def kind(self) -> str:
        return "passphrase"

    @property
    def parameters(self) -> Parameters:
        return self._parameters

    @classmethod
    def create(cls, passphrase: str, *, random: Random, cost: Cost | None = None) -> PassphraseSeal:
        """With a salt of its own. Raises ConfigError for a passphrase that is too short to be one."""
        if len(passphrase) < LEAST_CHARACTERS:
            raise ConfigError(
                f"a passphrase needs at least {LEAST_CHARACTERS} characters", advice="several random words are best"
            )
        cost = cost or Cost()
        salt = b64encode(random(SALT_BYTES)).decode("ascii")
        parameters: Parameters = {
            "salt": salt,
            "iterations": cost.iterations,
            "lanes": cost.lanes,
            "memory_kib": cost.memory_kib,
        }
        return cls.open(passphrase, parameters)

    @classmethod
    def open(cls, passphrase: str, parameters: Parameters) -> PassphraseSeal:
        """Whether it is the right one, `recognises` tells. Raises IntegrityError for parameters that are none."""
        try:
            salt = b64decode(str(parameters["salt"]), validate=True)
            numbers = {name: _bounded(parameters[name], most) for name, most in _MOST.items()}
            derivation = Argon2id(
                salt=salt,
                length=SEAL_KEY_BYTES,
                iterations=numbers["iterations"],
                lanes=numbers["lanes"],
                memory_cost=numbers["memory_kib"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise IntegrityError("the passphrase seal in store.json is damaged") from error
        return cls(derivation.derive(unicodedata.normalize("NFC", passphrase).encode("utf-8")), dict(parameters))

    def describe(self) -> str:
        return "passphrase"


def _bounded(value: str | int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        raise ValueError("out of bounds")
    return value

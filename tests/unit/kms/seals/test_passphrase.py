from __future__ import annotations

import secrets
from base64 import b64encode
from typing import Any

import pytest

from contract.seal_suite import STORE_ID, SealSuite
from s3al.errors import ConfigError, IntegrityError
from s3al.kms.seals.passphrase import Cost, PassphraseSeal
from s3al.kms.seals.port import Seal

CHEAP = Cost(iterations=1, lanes=1, memory_kib=8)
PASSPHRASE = "correct horse battery staple"


def made(passphrase: str = PASSPHRASE) -> PassphraseSeal:
    return PassphraseSeal.create(passphrase, random=secrets.token_bytes, cost=CHEAP)


class TestPassphraseSeal(SealSuite):
    def make_seal(self) -> Seal:
        return made(secrets.token_hex(16))

    def secrets_of(self, seal: Seal) -> list[bytes]:
        assert isinstance(seal, PassphraseSeal)
        return [seal._key]


def test_one_passphrase_makes_two_seals_with_two_salts() -> None:
    value = made().check_value(STORE_ID, random=secrets.token_bytes)
    assert not made().recognises(value, STORE_ID)


def test_stored_parameters_and_the_passphrase_open_it_again() -> None:
    seal = made()
    sealed = seal.seal(b"r" * 32, place=b"p", random=secrets.token_bytes)
    assert PassphraseSeal.open(PASSPHRASE, seal.parameters).unseal(sealed, place=b"p") == b"r" * 32
    wrong = PassphraseSeal.open(PASSPHRASE + " ", seal.parameters)
    assert not wrong.recognises(seal.check_value(STORE_ID, random=secrets.token_bytes), STORE_ID)


def test_composed_and_decomposed_letters_are_the_same_passphrase() -> None:
    seal = made("größer als gedacht")
    again = PassphraseSeal.open("gro\u0308\u00dfer als gedacht", seal.parameters)
    assert again._key == seal._key


def test_the_key_is_argon2id_of_the_passphrase_with_exactly_the_stored_parameters() -> None:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    parameters = {"salt": b64encode(b"salt" * 4).decode(), "iterations": 1, "lanes": 1, "memory_kib": 8}
    expected = Argon2id(salt=b"salt" * 4, length=32, iterations=1, lanes=1, memory_cost=8).derive(PASSPHRASE.encode())
    assert PassphraseSeal.open(PASSPHRASE, parameters)._key == expected


def test_a_short_passphrase_makes_no_seal() -> None:
    with pytest.raises(ConfigError, match="12 characters"):
        made("hunter2")


@pytest.mark.parametrize(
    "change",
    [
        {"memory_kib": 1 << 40},
        {"iterations": 10**9},
        {"lanes": 0},
        {"memory_kib": "64"},
        {"iterations": True},
        {"salt": "*"},
        {"salt": ""},
        {"salt": None},
    ],
)
def test_parameters_that_would_harm_or_mean_nothing_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError):
        PassphraseSeal.open(PASSPHRASE, {**made().parameters, **change})


def test_the_usual_cost_is_the_second_choice_of_rfc_9106() -> None:
    assert Cost() == Cost(iterations=3, lanes=4, memory_kib=65536)

"""The PKCS#11 seal on a real SoftHSM token."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path

import pytest

from contract.seal_suite import ROOT_KEY, SealSuite
from s3al.errors import ConfigError, StoreError
from s3al.kms.seals.addresses import TokenAddress, parse_address
from s3al.kms.seals.pkcs11 import Pkcs11Seal
from s3al.kms.seals.port import Seal
from support.tokens import Token


def address(token: Token, key_label: str) -> TokenAddress:
    found = parse_address(token.option(key_label), store_id=bytes(16), config_home=Path("/"))
    assert isinstance(found, TokenAddress)
    return found


def made(token: Token, *, prefers_key_wrap: bool = False) -> Pkcs11Seal:
    seal = Pkcs11Seal(address(token, secrets.token_hex(4)), token.pin, prefers_key_wrap=prefers_key_wrap)
    seal.ensure_key()
    return seal


class OnAToken(SealSuite):
    prefers_key_wrap = False

    @pytest.fixture(autouse=True)
    def _token(self, token: Token) -> None:
        self.token = token

    def make_seal(self) -> Seal:
        return made(self.token, prefers_key_wrap=self.prefers_key_wrap)

    def secrets_of(self, seal: Seal) -> list[bytes]:
        return [self.token.pin.encode()]


class TestPkcs11Seal(OnAToken):
    pass


class TestPkcs11SealOnATokenWithoutGcm(OnAToken):
    prefers_key_wrap = True


def test_either_way_opens_what_the_other_sealed(token: Token) -> None:
    seal = made(token)
    other = replace(seal, prefers_key_wrap=True)
    for sealing, opening in ((seal, other), (other, seal)):
        sealed = sealing.seal(ROOT_KEY, place=b"p", random=secrets.token_bytes)
        assert opening.unseal(sealed, place=b"p") == ROOT_KEY


def test_the_key_cannot_leave_its_token_and_is_made_once(token: Token) -> None:
    import pkcs11

    seal = made(token)
    sealed = seal.seal(ROOT_KEY, place=b"p", random=secrets.token_bytes)
    seal.ensure_key()
    assert seal.unseal(sealed, place=b"p") == ROOT_KEY
    with seal._session() as session:
        (key,) = session.get_objects({pkcs11.Attribute.LABEL: seal.address.key_label})
        assert key[pkcs11.Attribute.SENSITIVE]
        assert not key[pkcs11.Attribute.EXTRACTABLE]
        with pytest.raises(pkcs11.exceptions.AttributeSensitive):
            key[pkcs11.Attribute.VALUE]


def test_a_key_that_could_leave_is_refused(token: Token) -> None:
    import pkcs11

    seal = Pkcs11Seal(address(token, "loose"), token.pin)
    with seal._session(writable=True) as session:
        loose = {pkcs11.Attribute.SENSITIVE: False, pkcs11.Attribute.EXTRACTABLE: True}
        session.generate_key(pkcs11.KeyType.AES, 256, label="loose", store=True, template=loose)
    with pytest.raises(ConfigError, match="can leave its token"):
        seal.seal(ROOT_KEY, place=b"p", random=secrets.token_bytes)


def test_what_is_wrong_is_said_by_who_must_act(token: Token) -> None:
    seal = made(token)
    wrong_pin = replace(seal, pin="000000")
    with pytest.raises(ConfigError, match="refuses the PIN") as caught:
        wrong_pin.unseal(b"", place=b"p")
    assert "000000" not in str(caught.value)
    with pytest.raises(ConfigError, match="does not have one AES key none"):
        replace(seal, address=replace(seal.address, key_label="none")).unseal(b"", place=b"p")
    for gone in ({"token": "unplugged"}, {"module": Path("/nowhere.so")}):
        with pytest.raises(StoreError) as unreachable:
            replace(seal, address=replace(seal.address, **gone)).unseal(b"", place=b"p")  # type: ignore[arg-type]
        assert unreachable.value.retryable

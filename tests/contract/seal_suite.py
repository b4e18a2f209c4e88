"""What every seal must do: one suite, run on each implementation.

A test class per implementation derives from `SealSuite` and gives `make_seal`, which returns a seal with a key
of its own each time it is called.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import pytest

from s3al.errors import IntegrityError
from s3al.kms.root import add_root_version, create_store_keys, open_store_keys
from s3al.kms.seals.keyfile import KeyfileSeal
from s3al.kms.seals.port import Seal

STORE_ID = bytes(range(16))
ROOT_KEY = bytes(range(32))


class SealSuite:
    def make_seal(self) -> Seal:
        raise NotImplementedError

    @pytest.fixture
    def seal(self) -> Seal:
        return self.make_seal()

    def test_what_was_sealed_opens_in_its_place(self, seal: Seal) -> None:
        sealed = seal.seal(ROOT_KEY, place=b"here", random=secrets.token_bytes)
        assert seal.unseal(sealed, place=b"here") == ROOT_KEY

    def test_sealing_twice_gives_different_bytes(self, seal: Seal) -> None:
        sealed = {seal.seal(ROOT_KEY, place=b"here", random=secrets.token_bytes) for _ in range(8)}
        assert len(sealed) == 8

    def test_a_sealed_root_does_not_contain_the_root(self, seal: Seal) -> None:
        assert ROOT_KEY[:8] not in seal.seal(ROOT_KEY, place=b"here", random=secrets.token_bytes)

    def test_a_sealed_root_does_not_open_in_another_place(self, seal: Seal) -> None:
        sealed = seal.seal(ROOT_KEY, place=b"here", random=secrets.token_bytes)
        with pytest.raises(IntegrityError):
            seal.unseal(sealed, place=b"there")

    def test_every_flipped_bit_is_noticed(self, seal: Seal) -> None:
        sealed = seal.seal(ROOT_KEY, place=b"here", random=secrets.token_bytes)
        for at in range(len(sealed)):
            altered = bytes((*sealed[:at], sealed[at] ^ 1, *sealed[at + 1 :]))
            with pytest.raises(IntegrityError):
                seal.unseal(altered, place=b"here")

    @pytest.mark.parametrize("keep", [0, 1, 16, -1])
    def test_a_truncated_root_is_noticed(self, seal: Seal, keep: int) -> None:
        sealed = seal.seal(ROOT_KEY, place=b"here", random=secrets.token_bytes)
        with pytest.raises(IntegrityError):
            seal.unseal(sealed[:keep], place=b"here")

    def test_another_seal_does_not_open_it(self, seal: Seal) -> None:
        sealed = seal.seal(ROOT_KEY, place=b"here", random=secrets.token_bytes)
        with pytest.raises(IntegrityError):
            self.make_seal().unseal(sealed, place=b"here")

    def test_the_check_value_tells_seals_and_stores_apart(self, seal: Seal) -> None:
        value = seal.check_value(STORE_ID, random=secrets.token_bytes)
        assert len(value) >= 32
        assert seal.recognises(value, STORE_ID)
        assert not seal.recognises(value, bytes(16))
        assert not self.make_seal().recognises(value, STORE_ID)
        assert not seal.recognises(bytes(len(value)), STORE_ID)

    def test_what_is_stored_of_it_is_plain_and_not_secret(self, seal: Seal) -> None:
        stored = json.dumps(dict(seal.parameters))
        for secret in self.secrets_of(seal):
            assert secret.hex() not in stored
            assert secret.decode("latin-1") not in stored

    def test_a_store_opens_with_it_and_follows_a_rotation_of_the_root(self, seal: Seal) -> None:
        other = KeyfileSeal(Path("other"), secrets.token_bytes(32))
        keys = create_store_keys(STORE_ID, [other, seal], now_ms=1, random=secrets.token_bytes)
        document = json.loads(json.dumps(keys.document.to_json()))
        opened = open_store_keys(document, seal, random=secrets.token_bytes)
        assert opened.catalog_key == keys.catalog_key
        rotated = add_root_version(opened, [seal, other], now_ms=2, random=secrets.token_bytes).to_json()
        assert open_store_keys(rotated, seal, random=secrets.token_bytes).document.versions == (1, 2)

    def test_nothing_that_is_shown_holds_the_key(self, seal: Seal) -> None:
        shown = repr(seal) + seal.describe() + str(seal)
        for secret in self.secrets_of(seal):
            assert secret.hex() not in shown
            assert repr(secret) not in shown

    def secrets_of(self, seal: Seal) -> list[bytes]:
        """The secret bytes that must never be shown."""
        raise NotImplementedError

from __future__ import annotations

import copy
import json
import secrets
from pathlib import Path
from typing import Any

import pytest

from s3al.errors import ConfigError, IntegrityError
from s3al.kms.root import StoreKeys, Wrapped, create_store_keys, open_store_keys
from s3al.kms.seals.keyfile import KeyfileSeal

STORE_ID = bytes(range(16))
NOW = 1_700_000_000_000
PLACE = b"somewhere"


@pytest.fixture
def seal() -> KeyfileSeal:
    return KeyfileSeal(Path("daily"), secrets.token_bytes(32))


@pytest.fixture
def keys(seal: KeyfileSeal) -> StoreKeys:
    return create_store_keys(STORE_ID, [seal], now_ms=NOW, random=secrets.token_bytes)


def stored(keys: StoreKeys) -> dict[str, Any]:
    """Without the checksum, as whoever alters it would compute it anew."""
    document: dict[str, Any] = json.loads(json.dumps(keys.document.to_json()))
    del document["sha256"]
    return document


def reopen(document: dict[str, Any], seal: KeyfileSeal) -> StoreKeys:
    return open_store_keys(document, seal, random=secrets.token_bytes)


def test_a_created_store_opens_with_its_seal(keys: StoreKeys, seal: KeyfileSeal) -> None:
    wrapped = keys.root.wrap(b"material", version=1, place=PLACE)
    opened = reopen(stored(keys), seal)
    assert opened.store_id == STORE_ID
    assert opened.catalog_key == keys.catalog_key
    assert len(opened.catalog_key) == 32
    assert opened.root.unwrap(wrapped, place=PLACE) == b"material"


def test_two_stores_have_nothing_in_common(seal: KeyfileSeal, keys: StoreKeys) -> None:
    other = create_store_keys(bytes(16), [seal], now_ms=NOW, random=secrets.token_bytes)
    assert other.catalog_key != keys.catalog_key
    wrapped = keys.root.wrap(b"material", version=1, place=PLACE)
    with pytest.raises(IntegrityError):
        other.root.unwrap(wrapped, place=PLACE)


def test_either_of_two_seals_opens_the_store(seal: KeyfileSeal) -> None:
    recovery = KeyfileSeal(Path("recovery"), secrets.token_bytes(32))
    keys = create_store_keys(STORE_ID, [seal, recovery], now_ms=NOW, random=secrets.token_bytes)
    assert [record.name for record in keys.document.seals] == ["primary", "recovery"]
    assert reopen(stored(keys), seal).catalog_key == reopen(stored(keys), recovery).catalog_key


def test_a_wrong_key_is_told_apart_from_a_damaged_document(keys: StoreKeys, seal: KeyfileSeal) -> None:
    with pytest.raises(ConfigError, match="not one of this store's"):
        reopen(stored(keys), KeyfileSeal(Path("other"), secrets.token_bytes(32)))
    damaged = stored(keys)
    sealed = damaged["seals"][0]["sealed_roots"]
    sealed["1"] = sealed["1"][:-6] + ("AAAAA=" if not sealed["1"].endswith("AAAAA=") else "BBBBB=")
    with pytest.raises(IntegrityError):
        reopen(damaged, seal)


DAMAGE = {
    "another store id": lambda d: d.update(store_id=bytes(16).hex()),
    "short store id": lambda d: d.update(store_id="00"),
    "store id not hex": lambda d: d.update(store_id="zz"),
    "no store id": lambda d: d.pop("store_id"),
    "no format": lambda d: d.pop("format"),
    "format 0": lambda d: d.update(format=0),
    "unknown current root": lambda d: d.update(current_root=2),
    "current root is no number": lambda d: d.update(current_root="1"),
    "current root is true": lambda d: d.update(current_root=True),
    "no roots": lambda d: d.update(roots=[]),
    "the same root twice": lambda d: d["roots"].append(d["roots"][0]),
    "a root that no seal holds": lambda d: d["roots"].append({**d["roots"][0], "version": 2}),
    "no seals": lambda d: d.update(seals=[]),
    "the same seal twice": lambda d: d["seals"].append(d["seals"][0]),
    "seals are no list": lambda d: d.update(seals=3),
    "roots are text": lambda d: d.update(roots="12"),
    "sealed roots are a list": lambda d: d["seals"][0].update(sealed_roots=[1]),
    "not base64": lambda d: d["seals"][0]["sealed_roots"].update({"1": "*"}),
    "short check value": lambda d: d["seals"][0].update(check_value="AAAA"),
    "catalog key of nothing": lambda d: d["roots"][0].update(catalog_key="AAAA"),
    "created at of nothing": lambda d: d["roots"][0].update(created_at=None),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_document_that_was_altered_does_not_open(name: str, keys: StoreKeys, seal: KeyfileSeal) -> None:
    document = copy.deepcopy(stored(keys))
    DAMAGE[name](document)
    with pytest.raises((IntegrityError, ConfigError)):
        reopen(document, seal)


def test_a_newer_format_is_refused_with_advice(keys: StoreKeys, seal: KeyfileSeal) -> None:
    with pytest.raises(ConfigError, match="format 2") as caught:
        reopen({**stored(keys), "format": 2}, seal)
    assert caught.value.advice


def test_wrapping_binds_place_version_and_bytes(keys: StoreKeys) -> None:
    wrapped = keys.root.wrap(b"material", version=1, place=PLACE)
    for altered, place in (
        (wrapped, b"elsewhere"),
        (Wrapped(1, wrapped.sealed[:-1]), PLACE),
        (Wrapped(1, wrapped.sealed[:-1] + bytes((wrapped.sealed[-1] ^ 1,))), PLACE),
        (Wrapped(2, wrapped.sealed), PLACE),
    ):
        with pytest.raises(IntegrityError):
            keys.root.unwrap(altered, place=place)


def test_nothing_that_is_shown_holds_a_key(keys: StoreKeys) -> None:
    shown = repr(keys) + repr(keys.root) + repr(keys.root.wrap(b"secret material", version=1, place=b""))
    assert keys.catalog_key.hex() not in shown
    assert repr(keys.catalog_key) not in shown
    assert "secret material" not in shown
    assert keys.catalog_key.hex() not in json.dumps(stored(keys))


def test_damage_is_told_apart_from_a_wrong_key_by_the_checksum(keys: StoreKeys, seal: KeyfileSeal) -> None:
    document = keys.document.to_json()
    assert reopen(document, seal).catalog_key == keys.catalog_key
    document["seals"][0]["check_value"] = document["roots"][0]["catalog_key"]
    with pytest.raises(IntegrityError, match="damaged"):
        reopen(document, seal)


def test_a_check_value_that_was_replaced_is_damage_and_not_a_wrong_key(keys: StoreKeys, seal: KeyfileSeal) -> None:
    document = stored(keys)
    document["seals"][0]["check_value"] = document["roots"][0]["catalog_key"]
    with pytest.raises(IntegrityError, match="primary seal"):
        reopen(document, seal)

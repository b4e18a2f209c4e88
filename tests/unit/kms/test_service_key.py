from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from s3al.errors import IntegrityError
from s3al.kms.root import StoreKeys, create_store_keys
from s3al.kms.seals.keyfile import KeyfileSeal
from s3al.kms.service_key import ServiceKeys, ensure_service_key
from s3al.store import keystore
from unit.kms.rows import MemoryDatabase

STORE_ID = bytes(range(16))
BUCKET = bytes(range(16, 32))
NOW = 1_700_000_000_000


@pytest.fixture
def keys() -> StoreKeys:
    seal = KeyfileSeal(Path("daily"), secrets.token_bytes(32))
    return create_store_keys(STORE_ID, [seal], now_ms=NOW, random=secrets.token_bytes)


@pytest.fixture
def database(keys: StoreKeys) -> MemoryDatabase:
    database = MemoryDatabase()
    database.write_now(lambda rows: ensure_service_key(rows, keys.root, now_ms=NOW, random=secrets.token_bytes))
    return database


def worker(database: MemoryDatabase, keys: StoreKeys, store_id: bytes = STORE_ID) -> ServiceKeys:
    return ServiceKeys(database, keys.root, store_id=store_id, random=secrets.token_bytes)


def test_a_second_start_keeps_the_service_key(database: MemoryDatabase, keys: StoreKeys) -> None:
    before = worker(database, keys).current_material()
    database.write_now(lambda rows: ensure_service_key(rows, keys.root, now_ms=NOW + 1, random=secrets.token_bytes))
    assert worker(database, keys).current_material() == before


def test_a_store_without_service_key_fails_closed(keys: StoreKeys) -> None:
    with pytest.raises(IntegrityError):
        worker(MemoryDatabase(), keys).current_material()


def test_workers_derive_the_same_bucket_key(database: MemoryDatabase, keys: StoreKeys) -> None:
    one, two = worker(database, keys), worker(database, keys)
    material = one.current_material()
    assert one.bucket_key(BUCKET, material) == two.bucket_key(BUCKET, material)
    assert len(one.bucket_key(BUCKET, material)) == 32


def test_children_differ_by_bucket_store_label_and_material(database: MemoryDatabase, keys: StoreKeys) -> None:
    service = worker(database, keys)
    first = service.current_material()
    children = [
        service.bucket_key(BUCKET, first),
        service.bucket_key(bytes(16), first),
        service.server_key(b"secrets", first),
        service.server_key(b"sessions", first),
        worker(database, keys, bytes(16)).bucket_key(BUCKET, first),
        worker(database, keys, bytes(16)).server_key(b"secrets", first),
    ]
    database.write_now(lambda rows: service.rotate(rows, now_ms=NOW))
    second = database.read_now(service.current)
    children += [service.bucket_key(BUCKET, second), service.server_key(b"secrets", second)]
    assert len(set(children)) == len(children)


def test_rotation_changes_what_is_current_and_never_what_opens(database: MemoryDatabase, keys: StoreKeys) -> None:
    service = worker(database, keys)
    sealed = [service.seal(b"secrets", b"number 0", place=b"here")]
    for number in range(1, 20):
        assert database.write_now(lambda rows: service.rotate(rows, now_ms=NOW))
        database.read_now(service.load)
        sealed.append(service.seal(b"secrets", b"number %d" % number, place=b"here"))
    assert len({one[:32] for one in sealed}) == 20
    fresh = worker(database, keys)
    assert [fresh.open(b"secrets", one, place=b"here") for one in sealed] == [b"number %d" % n for n in range(20)]


def test_another_worker_opens_what_a_new_material_sealed(database: MemoryDatabase, keys: StoreKeys) -> None:
    one, two = worker(database, keys), worker(database, keys)
    old = two.current_material()
    database.write_now(lambda rows: one.rotate(rows, now_ms=NOW))
    database.read_now(one.load)
    assert two.open(b"secrets", one.seal(b"secrets", b"new", place=b"p"), place=b"p") == b"new"
    assert two.current_material() == old
    database.read_now(lambda rows: two.follow(rows, 2))
    assert two.current_material() == one.current_material() != old


def test_two_schedulers_cannot_rotate_twice(database: MemoryDatabase, keys: StoreKeys) -> None:
    service = worker(database, keys)
    key_id = database.read_now(keystore.find_service_key).key_id  # type: ignore[union-attr]
    current = service.current_material()
    add = service._materials.add
    assert database.write_now(lambda rows: add(rows, key_id, replaces=current, now_ms=NOW)) is not None
    assert database.write_now(lambda rows: add(rows, key_id, replaces=current, now_ms=NOW)) is None
    assert len(database.read_now(lambda rows: keystore.list_materials(rows, key_id))) == 2


def test_an_unknown_material_id_fails_and_nothing_is_tried_in_turn(database: MemoryDatabase, keys: StoreKeys) -> None:
    with pytest.raises(IntegrityError):
        worker(database, keys).bucket_key(BUCKET, bytes(32))


@pytest.mark.parametrize(
    ("label", "place", "change"),
    [
        (b"other", b"here", lambda sealed: sealed),
        (b"secrets", b"there", lambda sealed: sealed),
        (b"secrets", b"here", lambda sealed: sealed[:-1]),
        (b"secrets", b"here", lambda sealed: sealed[:31]),
        (b"secrets", b"here", lambda sealed: sealed[:32]),
        (b"secrets", b"here", lambda sealed: b""),
        (b"secrets", b"here", lambda sealed: sealed[:-1] + bytes((sealed[-1] ^ 1,))),
        (b"secrets", b"here", lambda sealed: bytes((sealed[0] ^ 1,)) + sealed[1:]),
    ],
    ids=["label", "place", "cut", "short id", "id alone", "empty", "flipped", "flipped id"],
)
def test_a_record_of_the_server_opens_only_as_it_was_sealed(
    database: MemoryDatabase, keys: StoreKeys, label: bytes, place: bytes, change
) -> None:
    service = worker(database, keys)
    sealed = service.seal(b"secrets", b"the secret", place=b"here")
    assert service.open(b"secrets", sealed, place=b"here") == b"the secret"
    with pytest.raises(IntegrityError):
        service.open(label, change(sealed), place=place)


def test_the_service_key_is_in_no_list(database: MemoryDatabase, keys: StoreKeys) -> None:
    service = database.read_now(keystore.find_service_key)
    assert service is not None
    assert database.read_now(lambda rows: keystore.find_key(rows, service.key_id, "")) is None
    assert database.read_now(lambda rows: keystore.list_keys(rows, "", "", now_ms=0)) == []
    database.write_now(lambda rows: keystore.set_state(rows, service, "Disabled", 1))
    assert database.read_now(keystore.find_service_key) == service
    assert database.write_now(lambda rows: keystore.purge_keys(rows, 1 << 60)) == []


def test_nothing_that_is_shown_holds_a_key(database: MemoryDatabase, keys: StoreKeys) -> None:
    service = worker(database, keys)
    child = service.bucket_key(BUCKET, service.current_material())
    shown = repr(service) + repr(database.read_now(keystore.find_service_key))
    assert child.hex() not in shown
    assert repr(child) not in shown

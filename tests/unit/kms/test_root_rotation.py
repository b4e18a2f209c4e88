from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import pytest

from s3al.errors import ConfigError, IntegrityError, StoreError
from s3al.kms import root_rotation
from s3al.kms.materials import Materials
from s3al.kms.root import StoreKeys, create_store_keys, open_store_keys
from s3al.kms.root_rotation import RootRotation, rotate_root
from s3al.kms.seals.keyfile import KeyfileSeal
from s3al.kms.service_key import ensure_service_key
from s3al.store import keystore
from s3al.store.keystore import MaterialRow
from unit.kms.rows import MemoryDatabase

STORE_ID = bytes(range(16))
NOW = 1_700_000_000_000


class Killed(BaseException):
    """The process died here."""


class Store:
    """A folder and a database that outlive processes; each `process` is one that starts anew."""

    def __init__(self) -> None:
        self.seal = KeyfileSeal(Path("daily"), secrets.token_bytes(32))
        keys = create_store_keys(STORE_ID, [self.seal], now_ms=NOW, random=secrets.token_bytes)
        self.document = keys.document.to_json()
        self.database = MemoryDatabase()
        self.writes_left: int | None = None
        self.publishes_left: int | None = None
        self.write_now(lambda rows: ensure_service_key(rows, keys.root, now_ms=NOW, random=secrets.token_bytes))
        service = self.database.read_now(keystore.find_service_key)
        assert service is not None
        self.key_id = service.key_id
        materials = Materials(keys.root, random=secrets.token_bytes)
        current = service.current_material
        for _ in range(9):
            replaced = current
            current = self.write_now(
                lambda rows, replaced=replaced: materials.add(rows, self.key_id, replaces=replaced, now_ms=NOW)
            )
        self.expected = self.opened(self.process())

    def process(self) -> StoreKeys:
        return open_store_keys(
            self.document, self.seal, random=secrets.token_bytes, read_document=lambda: self.document
        )

    def rows(self) -> list[MaterialRow]:
        return self.database.read_now(lambda rows: keystore.list_materials(rows, self.key_id))

    def opened(self, keys: StoreKeys) -> dict[bytes, bytes]:
        materials = Materials(keys.root, random=secrets.token_bytes)
        return {
            row.material_id: self.database.read_now(
                lambda rows, row=row: materials.open(rows, self.key_id, row.material_id)
            )
            for row in self.rows()
        }

    def write_now(self, write: Any) -> Any:
        if self.writes_left == 0:
            raise Killed
        if self.writes_left is not None:
            self.writes_left -= 1
        return self.database.write_now(write)

    def publish(self, document: Any) -> None:
        if self.publishes_left == 0:
            raise Killed
        if self.publishes_left is not None:
            self.publishes_left -= 1
        self.document = document

    def rotate(self) -> StoreKeys:
        rotation = RootRotation(self, [self.seal], self.publish, secrets.token_bytes)  # type: ignore[arg-type]
        return rotate_root(rotation, self.process(), now_ms=NOW)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setattr(root_rotation, "BATCH_ROWS", 3)
    monkeypatch.setattr(root_rotation.rewrap_some, "__defaults__", (3,))
    return Store()


def test_rotation_rewraps_every_material_and_drops_the_old_version(store: Store) -> None:
    before = {row.material_id: row.wrapped for row in store.rows()}
    keys = store.rotate()
    assert keys.document.versions == (2,)
    assert {row.root_version for row in store.rows()} == {2}
    assert all(before[row.material_id] != row.wrapped for row in store.rows())
    assert store.opened(keys) == store.opened(store.process()) == store.expected
    assert len(store.expected) == 10


def test_the_catalog_key_and_the_store_id_stay(store: Store) -> None:
    before = store.process()
    after = store.rotate()
    assert after.catalog_key == before.catalog_key == store.process().catalog_key
    assert after.store_id == before.store_id


def test_twenty_rotations_in_a_row_leave_one_version(store: Store) -> None:
    for _ in range(20):
        store.rotate()
    assert store.process().document.versions == (21,)
    assert store.opened(store.process()) == store.expected


@pytest.mark.parametrize("publishes", [0, 1, None])
@pytest.mark.parametrize("writes", range(8))
def test_a_store_killed_between_any_two_steps_opens_and_the_rotation_ends(
    store: Store, writes: int, publishes: int | None
) -> None:
    store.writes_left, store.publishes_left = writes, publishes
    try:
        store.rotate()
    except Killed:
        assert store.opened(store.process()) == store.expected
    store.writes_left = store.publishes_left = None
    ended = store.rotate()
    assert len(ended.document.versions) == 1
    assert {row.root_version for row in store.rows()} == {ended.document.current_root}
    assert store.opened(store.process()) == store.expected


def test_a_running_process_follows_a_rotation_of_another(store: Store) -> None:
    running = store.process()
    store.rotate()
    assert store.opened(running) == store.expected
    materials = Materials(running.root, random=secrets.token_bytes)
    added = store.write_now(
        lambda rows: materials.add(rows, store.key_id, replaces=store.rows()[-1].material_id, now_ms=NOW)
    )
    assert added is not None
    assert store.rows()[-1].root_version == 2


def test_a_process_that_cannot_read_the_document_again_fails_closed(store: Store) -> None:
    running = open_store_keys(store.document, store.seal, random=secrets.token_bytes)
    store.rotate()
    with pytest.raises(IntegrityError):
        store.opened(running)


def test_a_material_wrapped_under_an_old_version_is_not_inserted(store: Store) -> None:
    row = store.rows()[-1]
    store.rotate()
    late = MaterialRow(bytes(32), row.key_id, 99, 1, b"wrapped under version 1")
    with pytest.raises(StoreError):
        store.write_now(lambda rows: keystore.add_material(rows, late, replaces=row.material_id))
    assert all(found.material_id != bytes(32) for found in store.rows())


def test_rotation_needs_every_seal(store: Store) -> None:
    recovery = KeyfileSeal(Path("recovery"), secrets.token_bytes(32))
    keys = create_store_keys(STORE_ID, [store.seal, recovery], now_ms=NOW, random=secrets.token_bytes)
    rotation = RootRotation(store, [store.seal], store.publish, secrets.token_bytes)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="recovery seal"):
        rotate_root(rotation, keys, now_ms=NOW)


def test_the_old_version_is_kept_while_a_row_names_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root_rotation, "rewrap_some", lambda *arguments: 0)
    with pytest.raises(StoreError):
        store.rotate()
    assert store.process().document.versions == (1, 2)
    assert store.opened(store.process()) == store.expected

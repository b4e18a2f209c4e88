"""Promises about stored key records: confidentiality, integrity, move-integrity, uniqueness.

On the real store: the records are changed as whoever holds the catalog key could change them, the strongest that a
writer of the data folder can become. What storage errors leave is in test_storage_errors (rotate, import, delete) and
test_store_seals (rotation of the root).
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from s3al.errors import IntegrityError
from s3al.kms.materials import Materials
from s3al.kms.root import CATALOG_KEY_BYTES
from s3al.kms.store_seals import rotate
from s3al.store import keystore
from s3al.store.sqlite_file import connect
from support.key_store import NOW, KeyStoreFolder

ONE, OTHER = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"


@pytest.fixture
def store(tmp_path: Path) -> KeyStoreFolder:
    store = KeyStoreFolder(tmp_path)
    store.add_key(ONE, materials=2)
    store.add_key(OTHER)
    return store


def change(store: KeyStoreFolder, sql: str, *params: Any) -> None:
    with store.database() as database:
        assert database.write_now(lambda rows: rows.run(sql, params)) > 0


def stored(store: KeyStoreFolder, key_id: str) -> list[keystore.MaterialRow]:
    with store.database() as database:
        return database.read_now(lambda rows: keystore.list_materials(rows, key_id))


def put(store: KeyStoreFolder, row: keystore.MaterialRow, wrapped: bytes, **columns: Any) -> None:
    columns = {"wrapped": wrapped} | columns
    names = ", ".join(f"{name} = ?" for name in columns)
    change(store, f"UPDATE kms_materials SET {names} WHERE material_id = ?", *columns.values(), row.material_id)


def refused(store: KeyStoreFolder, key_id: str, material_id: bytes) -> bool:
    keys = store.keys()
    materials = Materials(keys.root, random=secrets.token_bytes)
    with store.database(keys) as database:
        try:
            database.read_now(lambda rows: materials.open(rows, key_id, material_id))
        except IntegrityError:
            return True
    return False


def forms(secret: bytes) -> list[bytes]:
    """As a program might keep it."""
    return [secret, secret.hex().encode(), secret.hex().upper().encode(), base64.b64encode(secret)[:42]]


class TestConfidentiality:
    def test_no_material_stands_in_the_catalog_even_for_whoever_has_its_key(self, store: KeyStoreFolder) -> None:
        connection = connect(store.folder.catalog, store.keys().catalog_key, read_only=True)
        pages = bytes(connection.serialize("main"))
        connection.close()
        assert ONE.encode() in pages, "the search must be able to find"
        assert len(store.expected) == 3
        for material in store.expected.values():
            assert not [form for form in forms(material) if form in pages]

    def test_the_files_hold_no_key_and_no_name(self, store: KeyStoreFolder) -> None:
        keys = store.keys()
        roots = [keys.root._versions[version] for version in keys.root.versions]
        content = b"".join(file.read_bytes() for file in store.folder.path.rglob("*") if file.is_file())
        assert keys.store_id.hex().encode() in content, "the search must be able to find"
        for secret in (*store.expected.values(), *roots, keys.catalog_key, ONE.encode(), b"SYMMETRIC_DEFAULT"):
            assert not [form for form in forms(secret) if form in content]

    def test_one_material_wrapped_twice_is_not_the_same_bytes(self, store: KeyStoreFolder) -> None:
        root = store.keys().root
        wrapped = {root.wrap(b"m" * 32, version=1, place=b"p").sealed for _ in range(64)}
        assert len(wrapped) == 64


class TestIntegrity:
    def test_every_altered_byte_of_a_record_is_noticed(self, store: KeyStoreFolder) -> None:
        row = stored(store, ONE)[0]
        for at in range(len(row.wrapped)):
            altered = bytes((*row.wrapped[:at], row.wrapped[at] ^ 0x10, *row.wrapped[at + 1 :]))
            put(store, row, altered)
            assert refused(store, ONE, row.material_id), at
        put(store, row, row.wrapped)
        assert store.opened() == store.expected

    @pytest.mark.parametrize("length", [1, 16, 28, 29, 45, 76])
    def test_a_record_cut_short_or_made_longer_is_noticed(self, store: KeyStoreFolder, length: int) -> None:
        row = stored(store, ONE)[0]
        for wrapped in (row.wrapped[:length], row.wrapped + bytes(length)):
            put(store, row, wrapped)
            assert refused(store, ONE, row.material_id)

    def test_random_bytes_are_no_record(self, store: KeyStoreFolder) -> None:
        row = stored(store, ONE)[0]
        put(store, row, secrets.token_bytes(len(row.wrapped)))
        assert refused(store, ONE, row.material_id)

    def test_an_altered_catalog_key_or_root_in_the_document_is_noticed(self, store: KeyStoreFolder) -> None:
        document = store.folder.read_document()
        del document["sha256"]
        for holder, name in ((document["roots"][0], "catalog_key"), (document["seals"][0]["sealed_roots"], "1")):
            whole = holder[name]
            sealed = bytearray(base64.b64decode(whole))
            sealed[-1] ^= 1
            holder[name] = base64.b64encode(sealed).decode()
            store.folder.write_document(document)
            with pytest.raises(IntegrityError):
                store.keys()
            holder[name] = whole
        store.folder.write_document(document)
        assert len(store.keys().catalog_key) == CATALOG_KEY_BYTES


def to_another_key(store: KeyStoreFolder) -> tuple[str, bytes]:
    """The material of one key as that of another."""
    one, other = stored(store, ONE)[0], stored(store, OTHER)[0]
    put(store, other, one.wrapped)
    return OTHER, other.material_id


def whole_row_to_another_key(store: KeyStoreFolder) -> tuple[str, bytes]:
    one = stored(store, ONE)[0]
    change(store, "UPDATE kms_materials SET key_id = ?, sequence = 9 WHERE material_id = ?", OTHER, one.material_id)
    return OTHER, one.material_id


def to_another_generation(store: KeyStoreFolder) -> tuple[str, bytes]:
    """An old material as the current one: what a rotation was to end."""
    old, current = stored(store, ONE)
    put(store, current, old.wrapped)
    return ONE, current.material_id


def under_another_id(store: KeyStoreFolder) -> tuple[str, bytes]:
    row, material_id = stored(store, ONE)[0], secrets.token_bytes(32)
    put(store, row, row.wrapped, material_id=material_id)
    return ONE, material_id


def from_another_store(store: KeyStoreFolder) -> tuple[str, bytes]:
    """Of a store with the same key id and the same seal."""
    another = KeyStoreFolder(store.place / "another", store.option)
    another.add_key(ONE)
    theirs, ours = stored(another, ONE)[0], stored(store, ONE)[0]
    put(store, ours, theirs.wrapped)
    return ONE, ours.material_id


def as_of_another_root(store: KeyStoreFolder) -> tuple[str, bytes]:
    """A record of before a rotation of the root, put back."""
    before = stored(store, ONE)[0]
    rotate(store.folder, [store.choice], now_ms=NOW, random=secrets.token_bytes)
    put(store, before, before.wrapped)
    return ONE, before.material_id


def as_of_another_root_as_it_was(store: KeyStoreFolder) -> tuple[str, bytes]:
    """The same, with the root version that its row named then."""
    before = stored(store, ONE)[0]
    rotate(store.folder, [store.choice], now_ms=NOW, random=secrets.token_bytes)
    put(store, before, before.wrapped, root_version=1)
    return ONE, before.material_id


MOVES: list[Callable[[KeyStoreFolder], tuple[str, bytes]]] = [
    to_another_key,
    whole_row_to_another_key,
    to_another_generation,
    under_another_id,
    from_another_store,
    as_of_another_root,
    as_of_another_root_as_it_was,
]


class TestMoveIntegrity:
    @pytest.mark.parametrize("move", MOVES, ids=[move.__name__.replace("_", " ") for move in MOVES])
    def test_a_record_does_not_open_where_it_was_not_stored(
        self, store: KeyStoreFolder, move: Callable[[KeyStoreFolder], tuple[str, bytes]]
    ) -> None:
        moved = move(store)
        assert refused(store, *moved)

    def test_what_was_not_moved_opens(self, store: KeyStoreFolder) -> None:
        to_another_key(store)
        assert not refused(store, ONE, stored(store, ONE)[0].material_id)

    def test_the_catalog_key_is_no_material_and_a_material_no_catalog_key(self, store: KeyStoreFolder) -> None:
        document = store.folder.read_document()
        row = stored(store, ONE)[0]
        put(store, row, base64.b64decode(document["roots"][0]["catalog_key"]))
        assert refused(store, ONE, row.material_id)
        del document["sha256"]
        document["roots"][0]["catalog_key"] = base64.b64encode(row.wrapped).decode()
        store.folder.write_document(document)
        with pytest.raises(IntegrityError):
            store.keys()

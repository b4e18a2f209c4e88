from __future__ import annotations

import secrets
from functools import partial

import pytest

from s3al.errors import IntegrityError
from s3al.kms.materials import Materials
from unit.kms.world import NOW, World


def stored(world: World, key_id: str) -> tuple[bytes, bytes]:
    """(material id, wrapped material) of a key that was never rotated."""
    sql = "SELECT material_id, wrapped FROM kms_materials WHERE key_id = ?"
    found = world.database.read_now(lambda rows: rows.one(sql, (key_id,)))
    assert found is not None
    return bytes(found[0]), bytes(found[1])


def open_anew(world: World, key_id: str, material_id: bytes) -> bytes:
    materials = Materials(world.keys.root, random=secrets.token_bytes)
    return world.database.read_now(lambda rows: materials.open(rows, key_id, material_id))


def change(world: World, sql: str, *parameters: object) -> None:
    world.database.write_now(lambda rows: rows.run(sql, parameters))


def test_a_material_lies_wrapped_and_opens_as_its_keys_own(world: World) -> None:
    key_id = world.create_key()
    material_id, wrapped = stored(world, key_id)
    material = open_anew(world, key_id, material_id)
    assert len(material) == 32
    assert material not in wrapped


def test_a_material_moved_to_another_key_does_not_open(world: World) -> None:
    one, two = world.create_key(), world.create_key()
    material_id = world.row(one).current_material or b""
    change(world, "UPDATE kms_materials SET key_id = ?, sequence = 9 WHERE key_id = ?", two, one)
    with pytest.raises(IntegrityError):
        open_anew(world, two, material_id)
    with pytest.raises(IntegrityError):
        open_anew(world, one, material_id)


def test_two_materials_swapped_between_rows_do_not_open(world: World) -> None:
    one, two = world.create_key(), world.create_key()
    first, second = stored(world, one), stored(world, two)
    change(world, "UPDATE kms_materials SET wrapped = ? WHERE key_id = ?", second[1], one)
    change(world, "UPDATE kms_materials SET wrapped = ? WHERE key_id = ?", first[1], two)
    for key_id in (one, two):
        with pytest.raises(IntegrityError):
            open_anew(world, key_id, world.row(key_id).current_material or b"")


@pytest.mark.parametrize("alter", [lambda w: w[:-1], lambda w: b"", lambda w: bytes((w[0] ^ 1,)) + w[1:]])
def test_an_altered_material_does_not_open(world: World, alter) -> None:  # type: ignore[no-untyped-def]
    key_id = world.create_key()
    _, wrapped = stored(world, key_id)
    change(world, "UPDATE kms_materials SET wrapped = ? WHERE key_id = ?", alter(wrapped), key_id)
    with pytest.raises(IntegrityError):
        open_anew(world, key_id, world.row(key_id).current_material or b"")


def test_a_material_under_an_unknown_root_version_does_not_open(world: World) -> None:
    key_id = world.create_key()
    change(world, "UPDATE kms_materials SET root_version = 7 WHERE key_id = ?", key_id)
    with pytest.raises(IntegrityError):
        open_anew(world, key_id, world.row(key_id).current_material or b"")


def test_forgetting_drops_what_was_opened(world: World) -> None:
    key_id = world.create_key()
    material_id = world.row(key_id).current_material or b""
    materials = Materials(world.keys.root, random=secrets.token_bytes)
    assert materials.known(key_id, material_id) is None
    opened = world.database.read_now(lambda rows: materials.open(rows, key_id, material_id))
    assert materials.known(key_id, material_id) == opened
    assert opened.hex() not in repr(materials)
    materials.forget()
    assert materials.known(key_id, material_id) is None


def test_material_ids_say_nothing_of_the_material(world: World) -> None:
    """Two keys with the very same material bytes have different ids."""
    ids, opened = set(), set()
    for _ in range(2):
        key_id = world.create_key()
        draws = iter((secrets.token_bytes(32), bytes(32)))  # the id, then the material
        materials = Materials(world.keys.root, random=lambda _, draws=draws: next(draws))
        replaced = world.row(key_id).current_material
        added = world.database.write_now(partial(materials.add, key_id=key_id, replaces=replaced, now_ms=NOW))
        assert added is not None
        ids.add(added)
        opened.add(open_anew(world, key_id, added))
    assert len(ids) == 2
    assert opened == {bytes(32)}

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from s3al.errors import StoreError
from s3al.store import key_labels, keystore
from s3al.store.key_labels import AliasRow
from s3al.store.keystore import KeyRow, MaterialRow
from unit.kms.rows import MemoryDatabase

KEY = KeyRow(
    key_id="k1",
    account_id="111111111111",
    region="us-east-1",
    manager="CUSTOMER",
    state="Enabled",
    key_spec="SYMMETRIC_DEFAULT",
    key_usage="ENCRYPT_DECRYPT",
    origin="AWS_KMS",
    description="d",
    policy="the policy",
    created_at=5,
)


@pytest.fixture
def database() -> MemoryDatabase:
    database = MemoryDatabase()
    database.write_now(lambda rows: keystore.set_current_root(rows, 1))
    return database


def do(database: MemoryDatabase, function: Any, *arguments: Any, **keywords: Any) -> Any:
    return database.write_now(lambda rows: function(rows, *arguments, **keywords))


def material(number: int, key_id: str = "k1", root_version: int = 1) -> MaterialRow:
    return MaterialRow(bytes((number,)) * 32, key_id, number, root_version, b"wrapped %d" % number, number)


def test_a_key_comes_back_as_it_went_in(database: MemoryDatabase) -> None:
    for key in (KEY, replace(KEY, key_id="k2", deletion_at=9, rotation_period_days=90, rotation_from=1)):
        do(database, keystore.insert_key, key)
        assert do(database, keystore.find_key, key.key_id, key.region) == key
    assert KEY.arn == "arn:aws:kms:us-east-1:111111111111:key/k1"
    assert "the policy" not in repr(KEY)


def test_a_service_key_is_seen_by_its_own_function_alone(database: MemoryDatabase) -> None:
    service = replace(KEY, key_id="s", manager="SERVICE", rotation_period_days=1, rotation_from=1)
    do(database, keystore.insert_key, service)
    assert do(database, keystore.find_service_key) == service
    assert do(database, keystore.find_key, "s", KEY.region) is None
    assert do(database, keystore.list_keys, KEY.account_id, KEY.region, now_ms=0) == []
    assert do(database, keystore.count_keys, KEY.account_id, KEY.region) == 0
    assert do(database, keystore.keys_with_rotation) == []
    do(database, keystore.set_state, service, "Disabled", 1)
    do(database, keystore.set_policy, service, "open")
    do(database, keystore.set_description, service, "x")
    do(database, keystore.set_rotation, "s", None, None)
    assert do(database, keystore.purge_keys, 1 << 60) == []
    assert do(database, keystore.find_service_key) == service


def test_there_is_one_service_key(database: MemoryDatabase) -> None:
    do(database, keystore.insert_key, replace(KEY, key_id="s", manager="SERVICE"))
    with pytest.raises(Exception, match="UNIQUE"):
        do(database, keystore.insert_key, replace(KEY, key_id="t", manager="SERVICE"))


def test_policy_and_description_of_a_managed_key_do_not_change(database: MemoryDatabase) -> None:
    managed = replace(KEY, manager="AWS")
    do(database, keystore.insert_key, managed)
    do(database, keystore.set_policy, managed, "open")
    do(database, keystore.set_description, managed, "x")
    assert do(database, keystore.find_key, "k1", KEY.region) == managed


def test_keys_are_listed_by_id_within_account_region_and_time(database: MemoryDatabase) -> None:
    rows = [
        replace(KEY, key_id="b"),
        replace(KEY, key_id="a"),
        replace(KEY, key_id="c", deletion_at=10),
        replace(KEY, key_id="d", region="eu-west-1"),
        replace(KEY, key_id="e", account_id="222222222222"),
    ]
    for row in rows:
        do(database, keystore.insert_key, row)

    def listed(**keywords: Any) -> list[str]:
        found = do(database, keystore.list_keys, KEY.account_id, KEY.region, **keywords)
        return [row.key_id for row in found]

    assert listed(now_ms=9) == ["a", "b", "c"]
    assert listed(now_ms=10) == ["a", "b"]
    assert listed(now_ms=9, after="a", limit=1) == ["b"]


def test_a_material_becomes_current_only_if_the_expected_one_still_is(database: MemoryDatabase) -> None:
    do(database, keystore.insert_key, KEY)
    add = keystore.add_material
    assert do(database, add, material(1), replaces=None)
    assert not do(database, add, material(2), replaces=None)
    assert do(database, add, material(2), replaces=material(1).material_id)
    assert not do(database, add, material(3), replaces=material(1).material_id)
    assert do(database, keystore.find_key, "k1", KEY.region).current_material == material(2).material_id
    assert do(database, keystore.list_materials, "k1") == [material(1), material(2)]
    assert do(database, keystore.list_materials, "k1", after=1, limit=5) == [material(2)]
    assert do(database, keystore.last_sequence, "k1") == 2
    assert do(database, keystore.last_sequence, "none") == 0


def test_a_material_is_found_under_its_own_key_alone(database: MemoryDatabase) -> None:
    do(database, keystore.insert_key, KEY)
    do(database, keystore.add_material, material(1), replaces=None)
    assert do(database, keystore.find_material, "k1", material(1).material_id) == material(1)
    assert do(database, keystore.find_material, "k2", material(1).material_id) is None


def test_a_material_under_another_root_version_than_the_current_is_not_added(
    database: MemoryDatabase,
) -> None:
    do(database, keystore.insert_key, KEY)
    do(database, keystore.set_current_root, 2)
    with pytest.raises(StoreError):
        do(database, keystore.add_material, material(1), replaces=None)
    assert do(database, keystore.find_key, "k1", KEY.region).current_material is None
    assert do(database, keystore.add_material, material(1, root_version=2), replaces=None)


def test_materials_are_rewrapped_once_and_those_left_are_found(database: MemoryDatabase) -> None:
    do(database, keystore.insert_key, KEY)
    do(database, keystore.add_material, material(1), replaces=None)
    do(database, keystore.add_material, material(2), replaces=material(1).material_id)
    assert len(do(database, keystore.materials_under_other_roots, 2, 9)) == 2
    assert len(do(database, keystore.materials_under_other_roots, 2, 1)) == 1
    rewrap = keystore.rewrap_material
    assert do(database, rewrap, material(1), root_version=2, wrapped=b"anew")
    assert not do(database, rewrap, material(1), root_version=2, wrapped=b"again")
    assert do(database, keystore.find_material, "k1", material(1).material_id).wrapped == b"anew"
    assert do(database, keystore.materials_under_other_roots, 2, 9) == [material(2)]


def test_a_key_past_its_date_is_purged_with_all_that_hangs_on_it(database: MemoryDatabase) -> None:
    kept = replace(KEY, key_id="k2", deletion_at=11)
    for key in (replace(KEY, deletion_at=10), kept):
        do(database, keystore.insert_key, key)
        do(database, key_labels.put_tag, key, "a", "b")
        alias = AliasRow(KEY.account_id, KEY.region, f"alias/{key.key_id}", key.key_id, 1, 1)
        do(database, key_labels.insert_alias, alias)
    do(database, keystore.add_material, material(1), replaces=None)
    assert do(database, keystore.purge_keys, 9) == []
    assert do(database, keystore.purge_keys, 10) == [
        replace(KEY, deletion_at=10, current_material=material(1).material_id)
    ]
    assert do(database, keystore.find_key, "k1", KEY.region) is None
    assert do(database, keystore.list_materials, "k1") == []
    assert do(database, key_labels.get_tags, KEY) == {}
    assert do(database, key_labels.aliases_of, KEY) == []
    assert do(database, keystore.find_key, "k2", KEY.region) == kept
    assert do(database, key_labels.aliases_of, kept) == ["alias/k2"]


def test_aliases_are_unique_in_account_and_region_and_can_point_elsewhere(database: MemoryDatabase) -> None:
    alias = AliasRow("1", "r", "alias/a", "k1", 1, 1)
    assert do(database, key_labels.insert_alias, alias)
    assert not do(database, key_labels.insert_alias, replace(alias, key_id="k2"))
    assert do(database, key_labels.insert_alias, replace(alias, region="s"))
    assert do(database, key_labels.insert_alias, replace(alias, account_id="2"))
    do(database, key_labels.point_alias, alias, "k9", 7)
    assert do(database, key_labels.find_alias, "1", "r", "alias/a") == replace(alias, key_id="k9", updated_at=7)
    do(database, key_labels.delete_alias, alias)
    assert do(database, key_labels.find_alias, "1", "r", "alias/a") is None
    assert do(database, key_labels.find_alias, "1", "s", "alias/a")
    assert alias.arn == "arn:aws:kms:r:1:alias/a"


def test_tags_are_replaced_and_removed_by_name(database: MemoryDatabase) -> None:
    for name, value in (("b", "1"), ("a", "2"), ("b", "3")):
        do(database, key_labels.put_tag, KEY, name, value)
    assert do(database, key_labels.get_tags, KEY) == {"a": "2", "b": "3"}
    do(database, key_labels.delete_tag, KEY, "b")
    assert do(database, key_labels.get_tags, KEY) == {"a": "2"}

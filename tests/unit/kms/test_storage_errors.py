"""Promise: a storage error at any step of rotating, importing, deleting, granting, replicating or setting the policy,
and at the commit itself, changes nothing; the key works."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from s3al.errors import StoreError
from s3al.kms.keys import tidy
from s3al.kms.rotation import rotate_all_due
from unit.kms.rows import MemoryDatabase
from unit.kms.test_imports import FIRST, FOREVER, NEW, SECOND, bring, wrapped
from unit.kms.world import ALICE, DAY, World, policy, statement

T = TypeVar("T")


class FailingRows:
    """Rows whose writes fail from one of them on."""

    def __init__(self, rows: Any, left: list[int]) -> None:
        self._rows, self._left = rows, left
        self.one, self.all = rows.one, rows.all

    def run(self, sql: str, params: tuple[Any, ...] = ()) -> int:
        if self._left[0] == 0:
            raise StoreError("the disk is full", retryable=True)
        self._left[0] -= 1
        return int(self._rows.run(sql, params))


class FailingDatabase(MemoryDatabase):
    """writes_left: how many single writes succeed before one fails; -1 for no end. commits: whether a transaction, all
    of whose writes have succeeded, does too."""

    writes_left = -1
    commits = True

    def write_now(self, write: Callable[[Any], T]) -> T:
        left = [self.writes_left]

        def transaction(rows: Any) -> T:
            result = write(FailingRows(rows, left))
            if not self.commits:
                raise StoreError("the log cannot be synced", retryable=True)
            return result

        return super().write_now(transaction)


def everything(world: World) -> list[Any]:
    names = [row[0] for row in world.database.read_now(lambda rows: rows.all("SELECT name FROM sqlite_master"))]
    tables = sorted(name for name in names if name.startswith("kms_") and "_by_" not in name and "_one_" not in name)
    return [world.database.read_now(lambda rows, table=table: rows.all(f"SELECT * FROM {table}")) for table in tables]


def rotate(world: World, key_id: str) -> Callable[[], Any]:
    return lambda: world.do("RotateKeyOnDemand", KeyId=key_id)


def rotate_by_clock(world: World, key_id: str) -> Callable[[], Any]:
    world.do("EnableKeyRotation", KeyId=key_id)
    world.now += 366 * DAY
    return lambda: world.database.write_now(lambda rows: rotate_all_due(rows, world.kms, world.now))


def schedule_deletion(world: World, key_id: str) -> Callable[[], Any]:
    return lambda: world.do("ScheduleKeyDeletion", KeyId=key_id)


def delete_another(world: World, key_id: str) -> Callable[[], Any]:
    other = world.create_key(Tags=[{"TagKey": "a", "TagValue": "b"}])
    world.do("CreateAlias", AliasName="alias/a", TargetKeyId=other)
    world.do("ScheduleKeyDeletion", KeyId=other, PendingWindowInDays=7)
    world.now += 8 * DAY
    return lambda: world.database.write_now(lambda rows: tidy(rows, world.now))


def grant(world: World, key_id: str) -> Callable[[], Any]:
    return lambda: world.do("CreateGrant", KeyId=key_id, GranteePrincipal=ALICE.arn, Operations=["Decrypt"])


def import_again(world: World, key_id: str) -> Callable[[], Any]:
    request = wrapped(world, key_id, FIRST)
    return lambda: world.do("ImportKeyMaterial", **request, **FOREVER)


def import_new(world: World, key_id: str) -> Callable[[], Any]:
    request = wrapped(world, key_id, SECOND)
    return lambda: world.do("ImportKeyMaterial", **request, **FOREVER, **NEW)


def rotate_to_imported(world: World, key_id: str) -> Callable[[], Any]:
    bring(world, key_id, SECOND, **NEW)
    return rotate(world, key_id)


def delete_material(world: World, key_id: str) -> Callable[[], Any]:
    return lambda: world.do("DeleteImportedKeyMaterial", KeyId=key_id)


def put_policy(world: World, key_id: str) -> Callable[[], Any]:
    return lambda: world.do("PutKeyPolicy", KeyId=key_id, Policy=policy(statement(principal={"AWS": ALICE.arn})))


def replicate(world: World, key_id: str) -> Callable[[], Any]:
    return lambda: world.do("ReplicateKey", KeyId=key_id, ReplicaRegion="eu-west-1")


def move_primary(world: World, key_id: str) -> Callable[[], Any]:
    world.do("ReplicateKey", KeyId=key_id, ReplicaRegion="eu-west-1")
    return lambda: world.do("UpdatePrimaryRegion", KeyId=key_id, PrimaryRegion="eu-west-1")


OF_OUR_OWN = [rotate, rotate_by_clock, schedule_deletion, delete_another, grant, put_policy]
IMPORTED = [import_again, import_new, rotate_to_imported, delete_material, grant]
EVERYWHERE = [replicate, move_primary, rotate]
CASES = [({}, change) for change in OF_OUR_OWN] + [({"Origin": "EXTERNAL"}, change) for change in IMPORTED]
CASES += [({"MultiRegion": True}, change) for change in EVERYWHERE]


@pytest.mark.parametrize(("kind", "prepare"), CASES, ids=[f"{c.__name__} {' '.join(k)}" for k, c in CASES])
def test_a_storage_error_at_each_step_leaves_the_key_as_it_was_and_usable(kind: dict[str, Any], prepare: Any) -> None:
    database = FailingDatabase()
    world = World(database)
    key_id = world.create_key(**kind)
    if "Origin" in kind:
        bring(world, key_id, FIRST)
    blob = world.do("Encrypt", KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    change = prepare(world, key_id)
    before, steps = everything(world), 0

    def as_it_was() -> None:
        assert everything(world) == before
        assert world.do("Decrypt", CiphertextBlob=blob)["Plaintext"] == b"x"
        sealed = world.do("Encrypt", KeyId=key_id, Plaintext=b"y")["CiphertextBlob"]
        assert world.do("Decrypt", worker=world.worker(), CiphertextBlob=sealed)["Plaintext"] == b"y"

    database.commits = False
    with pytest.raises(StoreError):
        change()
    database.commits = True
    as_it_was()
    while True:
        database.writes_left = steps
        try:
            change()
            break
        except StoreError:
            database.writes_left = -1
        as_it_was()
        steps += 1
    assert steps >= 2
    assert everything(world) != before

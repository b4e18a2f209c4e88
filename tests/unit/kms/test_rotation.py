from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from s3al.errors import RequestError
from s3al.kms import keys
from s3al.kms.operations.rotation import MAX_ON_DEMAND
from s3al.kms.rotation import rotate_all_due, rotate_if_due
from s3al.store import keystore
from unit.kms.world import DAY, NOW, World, refusal

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(moment: int) -> datetime:
    return EPOCH + timedelta(milliseconds=moment)


def run_scheduler(world: World) -> int:
    return world.database.write_now(lambda rows: rotate_all_due(rows, world.kms, world.now))


def rotations(world: World, key_id: str, **params: Any) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = world.do("ListKeyRotations", KeyId=key_id, **params)["Rotations"]
    return listed


def refuses(world: World, operation: str, **params: Any) -> tuple[str, str]:
    with pytest.raises(RequestError) as raised:
        world.do(operation, **params)
    return refusal(raised)


def test_rotation_on_demand_gives_new_material_and_is_listed(world: World) -> None:
    key_id = world.create_key()
    first = world.row(key_id).current_material or b""
    assert rotations(world, key_id) == []
    world.now = NOW + 5
    assert world.do("RotateKeyOnDemand", KeyId=key_id) == {"KeyId": world.row(key_id).arn}
    second = world.row(key_id).current_material or b""
    assert first != second
    arn = world.row(key_id).arn
    rotated = {
        "KeyId": arn,
        "KeyMaterialId": second.hex(),
        "KeyMaterialState": "CURRENT",
        "RotationDate": at(NOW + 5),
        "RotationType": "ON_DEMAND",
    }
    assert rotations(world, key_id) == [rotated]
    assert rotations(world, key_id, IncludeKeyMaterial="ALL_KEY_MATERIAL") == [
        {"KeyId": arn, "KeyMaterialId": first.hex(), "KeyMaterialState": "NON_CURRENT"},
        rotated,
    ]


def test_keys_that_are_due_together_are_rotated_some_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keystore, "AT_ONCE", 2)
    for _ in range(3):
        world.do("EnableKeyRotation", KeyId=world.create_key(), RotationPeriodInDays=90)
    world.now = NOW + 90 * DAY
    assert [run_scheduler(world) for _ in range(3)] == [2, 1, 0]


def test_the_twenty_sixth_rotation_on_demand_is_refused(world: World) -> None:
    key_id = world.create_key()
    for _ in range(MAX_ON_DEMAND):
        world.do("RotateKeyOnDemand", KeyId=key_id)
    code, message = refuses(world, "RotateKeyOnDemand", KeyId=key_id)
    assert code == "LimitExceededException"
    assert message.startswith("The on-demand rotations limit has been reached for the given keyId.")
    assert len(rotations(world, key_id)) == MAX_ON_DEMAND
    seen, marker = [], {}
    while True:
        page = world.do("ListKeyRotations", KeyId=key_id, Limit=10, **marker)
        seen += page["Rotations"]
        if not page["Truncated"]:
            break
        marker = {"Marker": page["NextMarker"]}
    assert seen == rotations(world, key_id)


def test_rotation_by_itself_is_off_until_it_is_enabled(world: World) -> None:
    key_id = world.create_key()
    status = {"KeyRotationEnabled": False, "KeyId": world.row(key_id).arn}
    assert world.do("GetKeyRotationStatus", KeyId=key_id) == status
    world.do("EnableKeyRotation", KeyId=key_id)
    assert world.do("GetKeyRotationStatus", KeyId=key_id) == {
        "KeyRotationEnabled": True,
        "KeyId": world.row(key_id).arn,
        "RotationPeriodInDays": 365,
        "NextRotationDate": at(NOW + 365 * DAY),
    }
    world.do("DisableKeyRotation", KeyId=key_id)
    assert world.do("GetKeyRotationStatus", KeyId=key_id) == status


def test_a_key_rotates_when_its_period_is_over_and_not_before(world: World) -> None:
    key_id = world.create_key()
    world.do("EnableKeyRotation", KeyId=key_id, RotationPeriodInDays=90)
    world.now = NOW + 90 * DAY - 1
    assert run_scheduler(world) == 0
    world.now = NOW + 90 * DAY + 5
    assert run_scheduler(world) == 1
    assert run_scheduler(world) == 0
    assert [entry["RotationType"] for entry in rotations(world, key_id)] == ["AUTOMATIC"]
    assert world.do("GetKeyRotationStatus", KeyId=key_id)["NextRotationDate"] == at(NOW + 180 * DAY)


def test_two_schedulers_that_saw_the_same_row_rotate_once(world: World) -> None:
    key_id = world.create_key()
    world.do("EnableKeyRotation", KeyId=key_id, RotationPeriodInDays=90)
    world.now = NOW + 90 * DAY
    seen = world.row(key_id)
    outcomes = [
        world.database.write_now(lambda rows: rotate_if_due(rows, world.worker(), seen, world.now)) for _ in range(2)
    ]
    assert outcomes == [True, False]
    assert len(rotations(world, key_id)) == 1


@pytest.mark.parametrize("how", ["DisableKey", "ScheduleKeyDeletion"])
def test_a_key_that_may_not_be_used_does_not_rotate_and_makes_up_for_it_once(world: World, how: str) -> None:
    key_id = world.create_key()
    world.do("EnableKeyRotation", KeyId=key_id, RotationPeriodInDays=90)
    world.now = NOW + 80 * DAY
    world.do(how, KeyId=key_id)
    world.now = NOW + 100 * DAY
    assert run_scheduler(world) == 0
    assert world.do("GetKeyRotationStatus", KeyId=key_id)["KeyRotationEnabled"] == (how == "DisableKey")
    if how == "ScheduleKeyDeletion":
        world.do("CancelKeyDeletion", KeyId=key_id)
        assert world.do("GetKeyRotationStatus", KeyId=key_id)["KeyRotationEnabled"]
    world.now = NOW + 300 * DAY
    world.do("EnableKey", KeyId=key_id)
    assert (run_scheduler(world), run_scheduler(world)) == (1, 0)
    assert world.do("GetKeyRotationStatus", KeyId=key_id)["NextRotationDate"] == at(NOW + 360 * DAY)


def test_enabling_again_changes_the_period_and_counts_from_then(world: World) -> None:
    key_id = world.create_key()
    world.do("EnableKeyRotation", KeyId=key_id, RotationPeriodInDays=90)
    world.now = NOW + 10 * DAY
    world.do("EnableKeyRotation", KeyId=key_id)
    assert world.do("GetKeyRotationStatus", KeyId=key_id)["NextRotationDate"] == at(NOW + 90 * DAY)
    world.do("EnableKeyRotation", KeyId=key_id, RotationPeriodInDays=120)
    assert world.do("GetKeyRotationStatus", KeyId=key_id)["NextRotationDate"] == at(NOW + 130 * DAY)


def test_a_rotation_on_demand_does_not_move_the_schedule(world: World) -> None:
    key_id = world.create_key()
    world.do("EnableKeyRotation", KeyId=key_id, RotationPeriodInDays=90)
    world.now = NOW + 50 * DAY
    world.do("RotateKeyOnDemand", KeyId=key_id)
    assert world.do("GetKeyRotationStatus", KeyId=key_id)["NextRotationDate"] == at(NOW + 90 * DAY)
    world.now = NOW + 90 * DAY
    assert run_scheduler(world) == 1
    assert [entry["RotationType"] for entry in rotations(world, key_id)] == ["ON_DEMAND", "AUTOMATIC"]


def test_the_managed_key_rotates_every_year(world: World) -> None:
    key = world.database.write_now(
        lambda rows: keys.ensure_managed_key(rows, world.kms, account_id="111111111111", region="us-east-1", now_ms=NOW)
    )
    world.now = NOW + 365 * DAY
    assert run_scheduler(world) == 1
    assert len(rotations(world, key.key_id)) == 1

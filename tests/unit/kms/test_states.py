"""The same table as in the source, typed a second time from the developer guide."""

from __future__ import annotations

from typing import Any

import pytest

from s3al.errors import RequestError
from s3al.kms.ports import OPERATIONS
from s3al.kms.states import TABLE, KeyState, may_rotate, next_state, state_at
from s3al.store.keystore import KeyRow
from unit.kms.examples import KEYS, PARAMS, naming
from unit.kms.world import DAY, NOW, OURS, REGION, World, refusal

ARN = "arn:aws:kms:us-east-1:111111111111:key/k"
OK = "ok"
D1 = ("DisabledException", f"{ARN} is disabled.")
S3 = ("KMSInvalidStateException", f"{ARN} is pending deletion.")
S4 = ("KMSInvalidStateException", f"{ARN} is not pending deletion.")
S5 = ("KMSInvalidStateException", f"{ARN} is pending import.")
U6 = ("UnsupportedOperationException", f"{ARN} origin is EXTERNAL which is not valid for this operation.")

# Enabled, Disabled, PendingDeletion, PendingImport, PendingReplicaDeletion
GUIDE = {
    "Encrypt": (OK, D1, S3, S5, S3),
    "Decrypt": (OK, D1, S3, S5, S3),
    "ReEncrypt": (OK, D1, S3, S5, S3),
    "GenerateDataKey": (OK, D1, S3, S5, S3),
    "GenerateDataKeyWithoutPlaintext": (OK, D1, S3, S5, S3),
    "CreateGrant": (OK, D1, S3, S5, S3),
    "RetireGrant": (OK, OK, OK, OK, OK),
    "RevokeGrant": (OK, OK, OK, OK, OK),
    "ListGrants": (OK, OK, OK, OK, OK),
    "DescribeKey": (OK, OK, OK, OK, OK),
    "GetKeyPolicy": (OK, OK, OK, OK, OK),
    "PutKeyPolicy": (OK, OK, OK, OK, OK),
    "ListKeyPolicies": (OK, OK, OK, OK, OK),
    "ListAliases": (OK, OK, OK, OK, OK),
    "ListResourceTags": (OK, OK, OK, OK, OK),
    "TagResource": (OK, OK, S3, OK, S3),
    "UntagResource": (OK, OK, S3, OK, S3),
    "UpdateKeyDescription": (OK, OK, S3, OK, S3),
    "CreateAlias": (OK, OK, S3, OK, S3),
    "UpdateAlias": (OK, OK, S3, OK, S3),
    "DeleteAlias": (OK, OK, OK, OK, OK),
    "EnableKey": ("Enabled", "Enabled", S3, S5, S3),
    "DisableKey": ("Disabled", "Disabled", S3, S5, S3),
    "EnableKeyRotation": (OK, D1, S3, U6, S3),
    "DisableKeyRotation": (OK, D1, S3, U6, S3),
    "RotateKeyOnDemand": (OK, D1, S3, S5, S3),
    "GetKeyRotationStatus": (OK, OK, OK, OK, OK),
    "ListKeyRotations": (OK, OK, OK, OK, OK),
    "ScheduleKeyDeletion": ("PendingDeletion", "PendingDeletion", S3, "PendingDeletion", S3),
    "CancelKeyDeletion": (S4, S4, "Disabled", S4, "Disabled"),
    "GenerateDataKeyPair": (OK, D1, S3, S5, S3),
    "GenerateDataKeyPairWithoutPlaintext": (OK, D1, S3, S5, S3),
    "Sign": (OK, D1, S3, S5, S3),
    "Verify": (OK, D1, S3, S5, S3),
    "GetPublicKey": (OK, D1, S3, S5, S3),
    "GenerateMac": (OK, D1, S3, S5, S3),
    "VerifyMac": (OK, D1, S3, S5, S3),
    "DeriveSharedSecret": (OK, D1, S3, S5, S3),
    "Encapsulate": (OK, D1, S3, S5, S3),
    "Decapsulate": (OK, D1, S3, S5, S3),
    "ReplicateKey": (OK, D1, S3, S5, S3),
    "UpdatePrimaryRegion": (OK, D1, S3, S5, S3),
    "GetKeyLastUsage": (OK, OK, OK, OK, OK),
    "GetParametersForImport": (OK, OK, S3, OK, S3),
    "ImportKeyMaterial": (OK, OK, S3, OK, S3),
    "DeleteImportedKeyMaterial": (OK, OK, OK, OK, OK),
    "ScheduleKeyDeletion, with replicas": (
        "PendingReplicaDeletion",
        "PendingReplicaDeletion",
        S3,
        "PendingReplicaDeletion",
        S3,
    ),
}
STATES = ("Enabled", "Disabled", "PendingDeletion", "PendingImport", "PendingReplicaDeletion")
CELLS = [(op, state, cell) for op, row in GUIDE.items() for state, cell in zip(STATES, row, strict=True)]


def test_the_guide_and_the_source_know_the_same_operations() -> None:
    assert set(GUIDE) == set(TABLE)


@pytest.mark.parametrize(("operation", "state", "cell"), CELLS, ids=[f"{op} of {state}" for op, state, _ in CELLS])
def test_each_operation_meets_each_state_as_the_guide_says(operation: str, state: str, cell: object) -> None:
    if isinstance(cell, tuple):
        with pytest.raises(RequestError) as raised:
            next_state(operation, KeyState(state), arn=ARN)
        assert refusal(raised) == cell
    else:
        expected = state if cell == OK else cell
        assert next_state(operation, KeyState(state), arn=ARN).value == expected


def key_row(state: str, *, deletion_at: int | None = None, usable_until: int | None = None) -> KeyRow:
    words = {"manager": "CUSTOMER", "key_spec": "", "key_usage": "", "origin": "", "description": "", "policy": ""}
    return KeyRow("k", OURS, REGION, state=state, deletion_at=deletion_at, usable_until=usable_until, **words)


def test_a_key_is_gone_from_its_deletion_date_on_whoever_looks() -> None:
    leaving = key_row("PendingDeletion", deletion_at=NOW)
    assert state_at(leaving, NOW - 1) is KeyState.PENDING_DELETION
    assert state_at(leaving, NOW) is None
    assert state_at(key_row("Enabled"), NOW) is KeyState.ENABLED


@pytest.mark.parametrize("stored", ["Enabled", "Disabled"])
def test_a_key_awaits_import_from_the_moment_its_material_expires(stored: str) -> None:
    key = key_row(stored, usable_until=NOW)
    assert state_at(key, NOW - 1) is KeyState(stored)
    assert state_at(key, NOW) is KeyState.PENDING_IMPORT
    assert state_at(key_row(stored, usable_until=0), NOW) is KeyState.PENDING_IMPORT


def test_a_key_pending_deletion_stays_so_when_its_material_expires() -> None:
    assert state_at(key_row("PendingDeletion", usable_until=0), NOW) is KeyState.PENDING_DELETION


# ListAliases asks no state; keys that await material cannot be disabled (test_imports).
ELSEWHERE = {"ListAliases", "GetParametersForImport", "ImportKeyMaterial", "DeleteImportedKeyMaterial"}
BUILT = [op for op in GUIDE if op in OPERATIONS and op not in ELSEWHERE]


def set_state(world: World, key_id: str, state: str) -> None:
    if state == "Disabled":
        world.do("DisableKey", KeyId=key_id)
    elif state == "PendingDeletion":
        world.do("ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=7)


def prepared(world: World, operation: str, key_id: str) -> dict[str, Any]:
    """Parameters with which the operation succeeds on this key."""
    params = naming(operation, key_id)
    if operation in ("Decrypt", "ReEncrypt"):
        params["CiphertextBlob"] = world.do("Encrypt", KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    if operation == "ReEncrypt":
        params = {"CiphertextBlob": params["CiphertextBlob"], "DestinationKeyId": world.create_key()}
    if operation in ("UpdateAlias", "DeleteAlias"):
        target = key_id if operation == "DeleteAlias" else world.create_key()
        world.do("CreateAlias", AliasName="alias/theirs", TargetKeyId=target)
    if operation == "DeleteAlias":
        params = {"AliasName": "alias/theirs"}
    if operation == "Verify":
        params["Signature"] = world.do("Sign", **naming("Sign", key_id))["Signature"]
    if operation == "VerifyMac":
        params["Mac"] = world.do("GenerateMac", **naming("GenerateMac", key_id))["Mac"]
    if operation == "UpdatePrimaryRegion":
        world.do("ReplicateKey", KeyId=key_id, ReplicaRegion="eu-west-1")
    if operation in ("RetireGrant", "RevokeGrant"):
        granted = world.do("CreateGrant", KeyId=key_id, **PARAMS["CreateGrant"])
        params["GrantId"] = granted["GrantId"]
    return params


@pytest.mark.parametrize("state", STATES[:3])
@pytest.mark.parametrize("operation", BUILT)
def test_the_operations_obey_the_table(world: World, operation: str, state: str) -> None:
    key_id = world.create_key(**KEYS.get(operation, {}))
    arn = world.row(key_id).arn
    params = prepared(world, operation, key_id)
    set_state(world, key_id, state)
    cell = GUIDE[operation][STATES.index(state)]
    if isinstance(cell, tuple):
        before = world.row(key_id)
        with pytest.raises(RequestError) as raised:
            world.do(operation, **params)
        assert refusal(raised) == (cell[0], cell[1].replace(ARN, arn))
        assert world.row(key_id) == before
    else:
        world.do(operation, **params)
        assert world.row(key_id).state == (state if cell == OK else cell)


def test_only_an_enabled_key_rotates_by_itself(world: World) -> None:
    key_id = world.create_key()
    assert may_rotate(world.row(key_id), NOW)
    world.do("ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=7)
    assert not may_rotate(world.row(key_id), NOW)
    assert not may_rotate(world.row(key_id), NOW + 8 * DAY)

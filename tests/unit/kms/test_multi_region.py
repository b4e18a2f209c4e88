"""Multi-Region keys: one id and material in several regions, and what each region has of its own."""

from __future__ import annotations

from typing import Any

import pytest

from s3al.errors import RequestError
from s3al.kms.keys import tidy
from s3al.kms.rotation import rotate_all_due
from unit.kms.world import ALICE, DAY, OURS, REGION, World, policy, refusal, statement

THERE = "eu-west-1"
FARTHER = "ap-south-1"


def refuses(world: World, operation: str, **params: Any) -> str:
    with pytest.raises(RequestError) as raised:
        world.do(operation, **params)
    return refusal(raised)[0]


def described(world: World, key_id: str, region: str) -> dict[str, Any]:
    metadata: dict[str, Any] = world.do("DescribeKey", region=region, KeyId=key_id)["KeyMetadata"]
    return metadata


@pytest.fixture
def key_id(world: World) -> str:
    """A primary here, a replica there."""
    key_id = world.create_key(MultiRegion=True, Description="here")
    world.do("ReplicateKey", KeyId=key_id, ReplicaRegion=THERE, Tags=[{"TagKey": "a", "TagValue": "b"}])
    return key_id


def test_a_replica_is_described_as_one_of_a_set(world: World) -> None:
    key_id = world.create_key(MultiRegion=True)
    assert key_id.startswith("mrk-")
    assert len(key_id) == 36
    answer = world.do("ReplicateKey", KeyId=key_id, ReplicaRegion=THERE, Tags=[{"TagKey": "a", "TagValue": "b"}])
    assert answer["ReplicaKeyMetadata"] == described(world, key_id, THERE)
    assert answer["ReplicaTags"] == [{"TagKey": "a", "TagValue": "b"}]
    arns = {region: f"arn:aws:kms:{region}:{OURS}:key/{key_id}" for region in (REGION, THERE)}
    for region, kind in ((REGION, "PRIMARY"), (THERE, "REPLICA")):
        metadata = described(world, key_id, region)
        assert metadata["Arn"] == arns[region]
        assert metadata["MultiRegion"] is True
        assert metadata["MultiRegionConfiguration"] == {
            "MultiRegionKeyType": kind,
            "PrimaryKey": {"Arn": arns[REGION], "Region": REGION},
            "ReplicaKeys": [{"Arn": arns[THERE], "Region": THERE}],
        }


def test_what_is_sealed_in_one_region_opens_in_the_other(world: World, key_id: str) -> None:
    blob = world.do("Encrypt", KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    opened = world.do("Decrypt", region=THERE, CiphertextBlob=blob)
    assert (opened["Plaintext"], opened["KeyId"]) == (b"x", f"arn:aws:kms:{THERE}:{OURS}:key/{key_id}")
    assert refuses(world, "Decrypt", region=FARTHER, CiphertextBlob=blob) == "AccessDeniedException"
    assert refuses(world, "DescribeKey", region=FARTHER, KeyId=key_id) == "NotFoundException"


def test_each_region_has_its_own_policy_tags_aliases_grants_description_and_state(world: World, key_id: str) -> None:
    world.do("CreateAlias", region=THERE, AliasName="alias/a", TargetKeyId=key_id)
    world.do("CreateGrant", region=THERE, KeyId=key_id, GranteePrincipal=ALICE.arn, Operations=["Encrypt"])
    world.do("PutKeyPolicy", region=THERE, KeyId=key_id, Policy=policy(statement("Deny", action="kms:ListGrants")))
    world.do("DisableKey", region=THERE, KeyId=key_id)
    assert described(world, key_id, REGION)["KeyState"] == "Enabled"
    assert described(world, key_id, REGION)["Description"] == "here"
    assert described(world, key_id, THERE)["Description"] == ""
    assert world.do("ListResourceTags", KeyId=key_id)["Tags"] == []
    assert len(world.do("ListResourceTags", region=THERE, KeyId=key_id)["Tags"]) == 1
    assert world.do("ListAliases", KeyId=key_id)["Aliases"] == []
    assert world.do("ListGrants", KeyId=key_id)["Grants"] == []
    assert refuses(world, "Encrypt", by=ALICE, KeyId=key_id, Plaintext=b"x") == "AccessDeniedException"
    assert refuses(world, "ListGrants", region=THERE, KeyId=key_id) == "AccessDeniedException"
    assert world.do("Encrypt", KeyId=key_id, Plaintext=b"x")


def test_the_primary_rotates_for_all(world: World, key_id: str) -> None:
    world.do("EnableKeyRotation", KeyId=key_id)
    assert world.do("GetKeyRotationStatus", region=THERE, KeyId=key_id)["KeyRotationEnabled"] is True
    old = world.do("Encrypt", region=THERE, KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    world.now += 366 * DAY
    assert world.database.write_now(lambda rows: rotate_all_due(rows, world.kms, world.now)) == 1
    world.do("RotateKeyOnDemand", KeyId=key_id)
    here, there = (described(world, key_id, region)["CurrentKeyMaterialId"] for region in (REGION, THERE))
    assert here == there
    assert len(world.do("ListKeyRotations", region=THERE, KeyId=key_id)["Rotations"]) == 2
    assert world.do("Decrypt", CiphertextBlob=old)["Plaintext"] == b"x"
    for operation in ("EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand"):
        assert refuses(world, operation, region=THERE, KeyId=key_id) == "UnsupportedOperationException"


def test_only_a_primary_is_replicated_and_once_for_each_region(world: World, key_id: str) -> None:
    assert refuses(world, "ReplicateKey", KeyId=key_id, ReplicaRegion=THERE) == "AlreadyExistsException"
    assert refuses(world, "ReplicateKey", KeyId=key_id, ReplicaRegion=REGION) == "AlreadyExistsException"
    replica = {"KeyId": key_id, "ReplicaRegion": FARTHER}
    assert refuses(world, "ReplicateKey", region=THERE, **replica) == "UnsupportedOperationException"
    plain = world.create_key()
    assert refuses(world, "ReplicateKey", KeyId=plain, ReplicaRegion=THERE) == "UnsupportedOperationException"
    locked = {**replica, "Policy": policy(statement(principal={"AWS": ALICE.arn}), with_root=False)}
    assert refuses(world, "ReplicateKey", **locked) == "MalformedPolicyDocumentException"
    assert refuses(world, "DescribeKey", region=FARTHER, KeyId=key_id) == "NotFoundException"
    world.do("ReplicateKey", **replica)


def test_policies_say_where_a_key_may_be_replicated(world: World) -> None:
    deny = statement("Deny", action="kms:ReplicateKey", StringEquals={"kms:ReplicaRegion": FARTHER})
    key_id = world.create_key(MultiRegion=True, Policy=policy(deny))
    assert refuses(world, "ReplicateKey", KeyId=key_id, ReplicaRegion=FARTHER) == "AccessDeniedException"
    world.do("ReplicateKey", KeyId=key_id, ReplicaRegion=THERE)
    assert refuses(world, "ReplicateKey", by=ALICE, KeyId=key_id, ReplicaRegion=THERE) == "AccessDeniedException"


def test_another_region_becomes_primary(world: World, key_id: str) -> None:
    assert refuses(world, "UpdatePrimaryRegion", KeyId=key_id, PrimaryRegion=FARTHER) == "NotFoundException"
    assert refuses(world, "UpdatePrimaryRegion", KeyId=key_id, PrimaryRegion=REGION) == "UnsupportedOperationException"
    moved = {"KeyId": key_id, "PrimaryRegion": THERE}
    assert refuses(world, "UpdatePrimaryRegion", region=THERE, **moved) == "UnsupportedOperationException"
    world.do("UpdatePrimaryRegion", **moved)
    kinds = [described(world, key_id, r)["MultiRegionConfiguration"]["MultiRegionKeyType"] for r in (REGION, THERE)]
    assert kinds == ["REPLICA", "PRIMARY"]
    world.do("ReplicateKey", region=THERE, KeyId=key_id, ReplicaRegion=FARTHER)
    assert refuses(world, "UpdatePrimaryRegion", KeyId=world.create_key(), PrimaryRegion=THERE)


def test_the_replica_that_is_to_be_primary_has_a_say(world: World, key_id: str) -> None:
    deny = policy(statement("Deny", action="kms:UpdatePrimaryRegion"))
    world.do("PutKeyPolicy", region=THERE, KeyId=key_id, Policy=deny)
    assert refuses(world, "UpdatePrimaryRegion", KeyId=key_id, PrimaryRegion=THERE) == "AccessDeniedException"


def test_a_primary_is_deleted_after_its_replicas(world: World, key_id: str) -> None:
    blob = world.do("Encrypt", KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    answer = world.do("ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=10)
    assert answer["KeyState"] == "PendingReplicaDeletion"
    assert "DeletionDate" not in answer
    waiting = described(world, key_id, REGION)
    assert (waiting["KeyState"], waiting["PendingDeletionWindowInDays"]) == ("PendingReplicaDeletion", 10)
    assert refuses(world, "Encrypt", KeyId=key_id, Plaintext=b"x") == "KMSInvalidStateException"
    assert world.do("Decrypt", region=THERE, CiphertextBlob=blob)
    gone = world.now + 7 * DAY
    world.do("ScheduleKeyDeletion", region=THERE, KeyId=key_id, PendingWindowInDays=7)
    world.now = gone + 5
    world.database.write_now(lambda rows: tidy(rows, world.now))
    leaving = described(world, key_id, REGION)
    assert leaving["KeyState"] == "PendingDeletion"
    assert leaving["DeletionDate"].timestamp() * 1000 == gone + 10 * DAY
    world.do("CancelKeyDeletion", KeyId=key_id)
    world.do("EnableKey", KeyId=key_id)
    assert world.do("Decrypt", CiphertextBlob=blob)["Plaintext"] == b"x"  # the material is still there


def test_a_primary_that_waits_can_be_kept(world: World, key_id: str) -> None:
    world.do("ScheduleKeyDeletion", KeyId=key_id)
    world.do("CancelKeyDeletion", KeyId=key_id)
    assert described(world, key_id, REGION)["KeyState"] == "Disabled"
    assert "PendingDeletionWindowInDays" not in described(world, key_id, REGION)

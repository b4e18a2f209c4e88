from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from s3al.errors import AccessError, RequestError
from s3al.kms import keys
from s3al.store import keystore
from unit.kms.examples import naming, on_keys
from unit.kms.world import ALICE, BUCKET, DAY, NOW, OTHER_ROOT, OURS, REGION, World, policy, refusal, statement

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def test_a_created_key_is_described_as_aws_describes_it(world: World) -> None:
    created = world.do("CreateKey", Description="photos", Tags=[{"TagKey": "team", "TagValue": "a"}])["KeyMetadata"]
    key_id = created["KeyId"]
    assert created == world.do("DescribeKey", KeyId=key_id)["KeyMetadata"]
    assert len(bytes.fromhex(created.pop("CurrentKeyMaterialId"))) == 32
    assert created == {
        "AWSAccountId": OURS,
        "KeyId": key_id,
        "Arn": f"arn:aws:kms:{REGION}:{OURS}:key/{key_id}",
        "CreationDate": EPOCH + timedelta(milliseconds=NOW),
        "Enabled": True,
        "Description": "photos",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": "Enabled",
        "Origin": "AWS_KMS",
        "KeyManager": "CUSTOMER",
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": False,
    }


UNSUPPORTED = "UnsupportedOperationException"
REFUSED = {
    "two specs": (
        {"KeySpec": "SYMMETRIC_DEFAULT", "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT"},
        "ValidationException",
    ),
    "an RSA key without usage": ({"KeySpec": "RSA_2048"}, "ValidationException"),
    "an RSA key for MACs": ({"KeySpec": "RSA_2048", "KeyUsage": "GENERATE_VERIFY_MAC"}, "ValidationException"),
    "an SM2 key": ({"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"}, UNSUPPORTED),
    "a symmetric key that signs": ({"KeyUsage": "SIGN_VERIFY"}, "ValidationException"),
    "imported material in many regions": ({"Origin": "EXTERNAL", "MultiRegion": True}, UNSUPPORTED),
    "a custom key store": ({"CustomKeyStoreId": "cks-1"}, UNSUPPORTED),
    "an external key": ({"XksKeyId": "x"}, UNSUPPORTED),
    "no policy language": ({"Policy": "{}"}, "MalformedPolicyDocumentException"),
    "a reserved tag": ({"Tags": [{"TagKey": "aws:x", "TagValue": ""}]}, "TagException"),
    "a tag twice": ({"Tags": [{"TagKey": "a", "TagValue": "1"}, {"TagKey": "a", "TagValue": "2"}]}, "TagException"),
    "51 tags": ({"Tags": [{"TagKey": str(n), "TagValue": ""} for n in range(51)]}, "TagException"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_built_or_not_valid_is_refused_and_makes_no_key(world: World, name: str) -> None:
    params, code = REFUSED[name]
    with pytest.raises(RequestError) as raised:
        world.do("CreateKey", **params)
    assert refusal(raised)[0] == code
    assert world.do("ListKeys")["Keys"] == []


def test_a_user_without_identity_policy_creates_and_lists_nothing(world: World) -> None:
    for operation in ("CreateKey", "ListKeys", "ListAliases", "GenerateRandom"):
        with pytest.raises(AccessError) as raised:
            world.do(operation, by=ALICE)
        assert refusal(raised)[0] == "AccessDeniedException"


def test_keys_are_listed_in_pages_and_only_to_their_account_and_region(world: World) -> None:
    ours = sorted(world.create_key() for _ in range(7))
    world.create_key(by=OTHER_ROOT)
    world.create_key(region="eu-west-1")
    found, marker = [], {}
    for expected in (3, 3, 1):
        page = world.do("ListKeys", Limit=3, **marker)
        assert len(page["Keys"]) == expected
        found += [entry["KeyId"] for entry in page["Keys"]]
        assert page["Truncated"] == ("NextMarker" in page)
        marker = {"Marker": page.get("NextMarker")}
    assert found == ours
    assert not page["Truncated"]
    assert page["Keys"][0]["KeyArn"].endswith(f":{OURS}:key/{ours[-1]}")


def test_disable_and_enable_show_in_the_description(world: World) -> None:
    key_id = world.create_key()
    for operation, state, enabled in (("DisableKey", "Disabled", False), ("EnableKey", "Enabled", True)):
        world.do(operation, KeyId=key_id)
        shown = world.do("DescribeKey", KeyId=key_id)["KeyMetadata"]
        assert (shown["KeyState"], shown["Enabled"]) == (state, enabled)


def test_a_scheduled_key_names_its_date_and_is_gone_from_then_on(world: World) -> None:
    key_id = world.create_key()
    world.do("CreateAlias", AliasName="alias/a", TargetKeyId=key_id)
    answer = world.do("ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=7)
    due = EPOCH + timedelta(milliseconds=NOW + 7 * DAY)
    arn = f"arn:aws:kms:{REGION}:{OURS}:key/{key_id}"
    assert answer == {"KeyId": arn, "DeletionDate": due, "KeyState": "PendingDeletion", "PendingWindowInDays": 7}
    shown = world.do("DescribeKey", KeyId=key_id)["KeyMetadata"]
    assert (shown["DeletionDate"], shown["KeyState"], shown["Enabled"]) == (due, "PendingDeletion", False)
    world.now = NOW + 7 * DAY
    for identifier in (key_id, arn, "alias/a"):
        with pytest.raises(RequestError) as raised:
            world.do("DescribeKey", KeyId=identifier)
        assert refusal(raised)[0] == "NotFoundException"
    assert world.do("ListKeys")["Keys"] == []
    assert world.do("ListAliases")["Aliases"] == []
    with pytest.raises(RequestError):
        world.do("CancelKeyDeletion", KeyId=key_id)


def test_the_default_window_is_30_days(world: World) -> None:
    answer = world.do("ScheduleKeyDeletion", KeyId=world.create_key())
    assert answer["PendingWindowInDays"] == 30


@pytest.mark.parametrize(("days", "refused"), [(6, True), (7, False), (30, False), (31, True)])
def test_the_window_is_7_to_30_days(world: World, days: int, refused: bool) -> None:
    key_id = world.create_key()
    if refused:
        with pytest.raises(RequestError) as raised:
            world.do("ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=days)
        assert refusal(raised)[0] == "ValidationException"
    assert (world.row(key_id).deletion_at is None) == refused or world.do(
        "ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=days
    )


def test_a_cancelled_deletion_leaves_the_key_disabled(world: World) -> None:
    key_id = world.create_key()
    world.do("ScheduleKeyDeletion", KeyId=key_id)
    assert world.do("CancelKeyDeletion", KeyId=key_id) == {"KeyId": world.row(key_id).arn}
    assert world.row(key_id).state == "Disabled"
    assert world.row(key_id).deletion_at is None
    world.do("EnableKey", KeyId=key_id)
    world.do("Encrypt", KeyId=key_id, Plaintext=b"x")


def test_tidying_removes_every_row_of_a_key_that_is_gone_and_no_other(world: World) -> None:
    gone, kept = world.create_key(Tags=[{"TagKey": "a", "TagValue": "b"}]), world.create_key()
    world.do("CreateAlias", AliasName="alias/gone", TargetKeyId=gone)
    world.do("ScheduleKeyDeletion", KeyId=gone, PendingWindowInDays=7)
    tidy = lambda rows: keys.tidy(rows, world.now)  # noqa: E731
    assert world.database.write_now(tidy) == 0
    world.now = NOW + 7 * DAY
    assert world.database.write_now(tidy) == 1
    for table in ("kms_keys", "kms_materials", "kms_aliases", "kms_tags"):
        left = world.database.read_now(lambda rows, table=table: rows.all(f"SELECT key_id FROM {table}"))
        assert (gone,) not in left
    assert world.row(kept).state == "Enabled"


def test_keys_that_end_together_are_removed_some_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keystore, "AT_ONCE", 2)
    doomed = [world.create_key() for _ in range(3)]
    for key_id in doomed:
        world.do("ScheduleKeyDeletion", KeyId=key_id, PendingWindowInDays=7)
    world.now = NOW + 7 * DAY
    tidy = lambda rows: keys.tidy(rows, world.now)  # noqa: E731
    assert [world.database.write_now(tidy) for _ in range(3)] == [2, 1, 0]


def test_a_description_changes_and_is_kept(world: World) -> None:
    key_id = world.create_key(Description="old")
    world.do("UpdateKeyDescription", KeyId=key_id, Description="new")
    assert world.do("DescribeKey", KeyId=key_id)["KeyMetadata"]["Description"] == "new"


def test_every_change_that_authorization_reads_moves_the_change_counter(world: World) -> None:
    from s3al.store.catalog import change_counter

    key_id = world.create_key()
    other = world.create_key()
    steps = [
        ("CreateKey", {}),
        ("DisableKey", {"KeyId": key_id}),
        ("EnableKey", {"KeyId": key_id}),
        ("PutKeyPolicy", {"KeyId": key_id, "Policy": policy(statement())}),
        ("CreateAlias", {"AliasName": "alias/a", "TargetKeyId": key_id}),
        ("UpdateAlias", {"AliasName": "alias/a", "TargetKeyId": other}),
        ("DeleteAlias", {"AliasName": "alias/a"}),
        ("TagResource", {"KeyId": key_id, "Tags": [{"TagKey": "a", "TagValue": "b"}]}),
        ("UntagResource", {"KeyId": key_id, "TagKeys": ["a"]}),
        ("RotateKeyOnDemand", {"KeyId": key_id}),
        ("ScheduleKeyDeletion", {"KeyId": key_id}),
        ("CancelKeyDeletion", {"KeyId": key_id}),
    ]
    for operation, params in steps:
        before = world.database.read_now(change_counter)
        world.do(operation, **params)
        assert world.database.read_now(change_counter) > before, operation


def test_the_managed_key_is_made_once_for_each_account_and_region(world: World) -> None:
    def ensure(account_id: str, region: str) -> str:
        return world.database.write_now(
            lambda rows: keys.ensure_managed_key(rows, world.kms, account_id=account_id, region=region, now_ms=NOW)
        ).key_id

    first = ensure(OURS, REGION)
    assert ensure(OURS, REGION) == first
    assert len({first, ensure(OURS, "eu-west-1"), ensure("222222222222", REGION)}) == 3
    shown = world.do("DescribeKey", KeyId="alias/aws/s3")["KeyMetadata"]
    assert (shown["KeyId"], shown["KeyManager"]) == (first, "AWS")
    status = world.do("GetKeyRotationStatus", KeyId=first)
    assert (status["KeyRotationEnabled"], status["RotationPeriodInDays"]) == (True, 365)


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("PutKeyPolicy", {"Policy": policy(statement())}),
        ("DisableKey", {}),
        ("ScheduleKeyDeletion", {}),
        ("UpdateKeyDescription", {"Description": "mine"}),
        ("RotateKeyOnDemand", {}),
        ("DisableKeyRotation", {}),
        ("TagResource", {"Tags": [{"TagKey": "a", "TagValue": "b"}]}),
        ("Encrypt", {"Plaintext": b"x"}),
        ("GenerateDataKey", {"KeySpec": "AES_256"}),
    ],
)
def test_the_managed_key_is_nobodys_to_change_and_is_used_through_s3_alone(
    world: World, operation: str, params: dict[str, object]
) -> None:
    key = world.database.write_now(
        lambda rows: keys.ensure_managed_key(rows, world.kms, account_id=OURS, region=BUCKET.region, now_ms=NOW)
    )
    with pytest.raises(AccessError):
        world.do(operation, KeyId=key.key_id, **params)
    assert replace(world.row(key.key_id), current_material=None) == key


@pytest.mark.parametrize("operation", on_keys())
def test_the_service_key_is_reached_by_no_operation(world: World, operation: str) -> None:
    service = world.database.read_now(keystore.find_service_key)
    assert service is not None
    world.do("CreateAlias", AliasName="alias/theirs", TargetKeyId=world.create_key())
    for identifier in (service.key_id, f"arn:aws:kms:{REGION}:{OURS}:key/{service.key_id}"):
        with pytest.raises(RequestError) as raised:
            world.do(operation, **naming(operation, identifier))
        assert refusal(raised)[0] == "NotFoundException"


def test_the_service_key_has_no_list(world: World) -> None:
    service = world.database.read_now(keystore.find_service_key)
    assert service is not None
    assert world.do("ListKeys")["Keys"] == []
    with pytest.raises(RequestError) as raised:
        world.do("ListAliases", KeyId=service.key_id)
    assert refusal(raised)[0] == "NotFoundException"

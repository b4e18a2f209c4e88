"""Key policies decide: who, what, under which conditions. Each row is one policy and what it makes of one request."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from s3al.auth.principal import ANONYMOUS
from s3al.errors import AccessError, RequestError
from s3al.kms.access import CROSS_ACCOUNT, authorize
from s3al.kms.ports import OPERATIONS
from unit.kms.examples import KEYS, naming, on_keys
from unit.kms.world import (
    ALICE,
    MALLORY,
    NOW,
    OTHER_ROOT,
    OURS,
    REGION,
    ROOT,
    THEIRS,
    World,
    model,
    policy,
    refusal,
    statement,
)

TO_ALICE = {"AWS": ALICE.arn}
TO_BOB = {"AWS": ALICE.arn.replace("alice", "bob")}
TO_ACCOUNT = {"AWS": f"arn:aws:iam::{OURS}:root"}
DATA_KEY = {"KeySpec": "AES_256"}
PAIR = {"EncryptionContext": {"team": "a"}}


def refuses(world: World, operation: str, **params: Any) -> str:
    with pytest.raises(RequestError) as raised:
        world.do(operation, **params)
    return refusal(raised)[0]


def through_alias(world: World, key_id: str) -> str:
    world.do("CreateAlias", AliasName="alias/a", TargetKeyId=key_id)
    return "alias/a"


WHO = [
    ("the root under the default policy", None, ROOT, True),
    ("a user under the default policy, which only delegates", None, ALICE, False),
    ("a user whom a statement names", policy(statement(principal=TO_ALICE)), ALICE, True),
    ("a user where only another is named", policy(statement(principal=TO_BOB)), ALICE, False),
    ("a user where everyone is named", policy(statement()), ALICE, True),
    ("a user for another action", policy(statement(principal=TO_ALICE, action="kms:Decrypt")), ALICE, False),
    (
        "a user by a pattern of actions",
        policy(statement(principal=TO_ALICE, action="kms:GenerateDataKey*")),
        ALICE,
        True,
    ),
    ("the root whom a statement denies", policy(statement("Deny", TO_ACCOUNT, "kms:GenerateDataKey")), ROOT, False),
    ("a user with an allow and a deny", policy(statement(), statement("Deny", TO_ALICE)), ALICE, False),
    ("a statement without resource", policy({k: v for k, v in statement().items() if k != "Resource"}), ALICE, False),
    ("a statement without action", policy({k: v for k, v in statement().items() if k != "Action"}), ALICE, False),
    ("everyone but alice, alice asking", policy(statement("Deny", TO_ALICE), statement()), ALICE, False),
]


@pytest.mark.parametrize(("text", "by", "allowed"), [row[1:] for row in WHO], ids=[row[0] for row in WHO])
def test_the_key_policy_says_who(world: World, text: str | None, by: Any, allowed: bool) -> None:
    key_id = world.create_key(Policy=text, BypassPolicyLockoutSafetyCheck=True)
    if allowed:
        assert world.do("GenerateDataKey", by=by, KeyId=key_id, **DATA_KEY)["Plaintext"]
    else:
        assert refuses(world, "GenerateDataKey", by=by, KeyId=key_id, **DATA_KEY) == "AccessDeniedException"


def test_a_key_whose_policy_names_nobody_is_closed_to_its_own_root(world: World) -> None:
    key_id = world.create_key(
        Policy=policy(statement(principal=TO_ALICE), with_root=False), BypassPolicyLockoutSafetyCheck=True
    )
    assert refuses(world, "DescribeKey", KeyId=key_id) == "AccessDeniedException"
    assert refuses(world, "PutKeyPolicy", KeyId=key_id, Policy=policy()) == "AccessDeniedException"
    assert world.do("DescribeKey", by=ALICE, KeyId=key_id)


CONDITIONS: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = [
    ("context pair as demanded", {"StringEquals": {"kms:EncryptionContext:team": "a"}}, PAIR, True),
    ("context pair of another value", {"StringEquals": {"kms:EncryptionContext:team": "b"}}, PAIR, False),
    ("no context where one is demanded", {"StringEquals": {"kms:EncryptionContext:team": "a"}}, {}, False),
    ("a context where none may be", {"Null": {"kms:EncryptionContextKeys": "true"}}, PAIR, False),
    ("no context where none may be", {"Null": {"kms:EncryptionContextKeys": "true"}}, {}, True),
    ("only known names", {"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["team", "x"]}}, PAIR, True),
    ("an unknown name", {"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["x"]}}, PAIR, False),
    ("one name at least", {"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": ["team"]}}, PAIR, True),
    ("the caller's account", {"StringEquals": {"kms:CallerAccount": OURS}}, {}, True),
    ("another account", {"StringEquals": {"kms:CallerAccount": THEIRS}}, {}, False),
    ("a direct call where S3 is demanded", {"StringLike": {"kms:ViaService": "s3.*.amazonaws.com"}}, {}, False),
    ("a direct call where no service is meant", {"Null": {"kms:ViaService": "true"}}, {}, True),
    ("the key's spec", {"StringEquals": {"kms:KeySpec": "SYMMETRIC_DEFAULT"}}, {}, True),
    ("the key's usage", {"StringEquals": {"kms:KeyUsage": "SIGN_VERIFY"}}, {}, False),
    ("the key's origin", {"StringEquals": {"kms:KeyOrigin": "AWS_KMS"}}, {}, True),
    ("the caller's address", {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, {}, True),
    ("another address", {"IpAddress": {"aws:SourceIp": "198.51.100.0/24"}}, {}, False),
    ("plain HTTP", {"Bool": {"aws:SecureTransport": "true"}}, {}, False),
    ("a tag of the key", {"StringEquals": {"aws:ResourceTag/team": "a"}}, {}, True),
    ("a tag the key has not", {"StringEquals": {"aws:ResourceTag/team": "b"}}, {}, False),
    ("the time", {"DateGreaterThan": {"aws:CurrentTime": "2023-11-14T00:00:00Z"}}, {}, True),
    ("too late", {"DateGreaterThan": {"aws:CurrentTime": "2030-01-01T00:00:00Z"}}, {}, False),
    ("the region", {"StringEquals": {"aws:RequestedRegion": REGION}}, {}, True),
    ("the name in upper case", {"StringEquals": {"KMS:ENCRYPTIONCONTEXT:team": "a"}}, PAIR, True),
]


@pytest.mark.parametrize(
    ("condition", "params", "allowed"), [c[1:] for c in CONDITIONS], ids=[c[0] for c in CONDITIONS]
)
def test_conditions_are_met_or_not(
    world: World, condition: dict[str, Any], params: dict[str, Any], allowed: bool
) -> None:
    key_id = world.create_key(
        Policy=policy(statement(principal=TO_ALICE, **condition)), Tags=[{"TagKey": "team", "TagValue": "a"}]
    )
    if allowed:
        assert world.do("GenerateDataKey", by=ALICE, KeyId=key_id, **DATA_KEY, **params)
    else:
        refused = refuses(world, "GenerateDataKey", by=ALICE, KeyId=key_id, **DATA_KEY, **params)
        assert refused == "AccessDeniedException"


def test_a_condition_on_the_alias_used_and_on_all_aliases(world: World) -> None:
    by_request = {"StringEquals": {"kms:RequestAlias": "alias/a"}}
    key_id = world.create_key(Policy=policy(statement(principal=TO_ALICE, action="kms:Encrypt", **by_request)))
    alias = through_alias(world, key_id)
    encrypt = {"by": ALICE, "Plaintext": b"x"}
    for identifier in (alias, f"arn:aws:kms:{REGION}:{OURS}:{alias}"):
        assert world.do("Encrypt", KeyId=identifier, **encrypt)
    assert refuses(world, "Encrypt", KeyId=key_id, **encrypt) == "AccessDeniedException"
    by_resource = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/a"}}
    world.do("PutKeyPolicy", KeyId=key_id, Policy=policy(statement(principal=TO_ALICE, **by_resource)))
    assert world.do("Encrypt", KeyId=key_id, **encrypt)
    world.do("DeleteAlias", AliasName=alias)
    assert refuses(world, "Encrypt", KeyId=key_id, **encrypt) == "AccessDeniedException"


WINDOW = "kms:ScheduleKeyDeletionPendingWindowInDays"
BYPASS = "kms:BypassPolicyLockoutSafetyCheck"
PERIOD = "kms:RotationPeriodInDays"
TEAM_A, TEAM_B = ({"Tags": [{"TagKey": "team", "TagValue": value}]} for value in ("a", "b"))
PARAMETERS = [
    ("ScheduleKeyDeletion", "NumericLessThan", WINDOW, "30", {"PendingWindowInDays": 7}, True),
    ("ScheduleKeyDeletion", "NumericLessThan", WINDOW, "30", {}, False),
    ("EnableKeyRotation", "NumericLessThanEquals", PERIOD, "180", {"RotationPeriodInDays": 90}, True),
    ("EnableKeyRotation", "NumericLessThanEquals", PERIOD, "180", {}, False),
    ("PutKeyPolicy", "Bool", BYPASS, "false", {}, True),
    ("PutKeyPolicy", "Bool", BYPASS, "false", {"BypassPolicyLockoutSafetyCheck": True}, False),
    ("TagResource", "StringEquals", "aws:RequestTag/team", "a", TEAM_A, True),
    ("TagResource", "StringEquals", "aws:RequestTag/team", "a", TEAM_B, False),
    ("UntagResource", "ForAllValues:StringEquals", "aws:TagKeys", "team", {"TagKeys": ["team"]}, True),
    ("UntagResource", "ForAllValues:StringEquals", "aws:TagKeys", "team", {"TagKeys": ["team", "x"]}, False),
    ("Encrypt", "StringEquals", "kms:EncryptionAlgorithm", "SYMMETRIC_DEFAULT", {"Plaintext": b"x"}, True),
]


@pytest.mark.parametrize(("operation", "operator", "name", "value", "params", "allowed"), PARAMETERS)
def test_conditions_on_parameters_meet_what_was_sent_or_its_default(
    world: World, operation: str, operator: str, name: str, value: str, params: dict[str, Any], allowed: bool
) -> None:
    text = policy(statement(principal=TO_ALICE, action=f"kms:{operation}", **{operator: {name: value}}))
    key_id = world.create_key(Policy=text)
    if operation == "PutKeyPolicy":
        params = {**params, "Policy": policy(statement(principal=TO_ALICE))}
    if allowed:
        world.do(operation, by=ALICE, KeyId=key_id, **params)
    else:
        assert refuses(world, operation, by=ALICE, KeyId=key_id, **params) == "AccessDeniedException"


SOON = datetime.fromtimestamp(NOW / 1000 + 3600, UTC)
MORE_PARAMETERS: list[tuple[str, str, str, str, dict[str, Any], bool]] = [
    ("GetParametersForImport", "StringEquals", "kms:WrappingAlgorithm", "RSAES_OAEP_SHA_256", {}, True),
    ("GetParametersForImport", "StringEquals", "kms:WrappingKeySpec", "RSA_4096", {}, False),
    ("ImportKeyMaterial", "StringEquals", "kms:ExpirationModel", "KEY_MATERIAL_DOES_NOT_EXPIRE", {}, True),
    (
        "ImportKeyMaterial",
        "StringEquals",
        "kms:ExpirationModel",
        "KEY_MATERIAL_EXPIRES",
        {"ExpirationModel": None},
        True,
    ),
    ("ImportKeyMaterial", "DateLessThan", "kms:ValidTo", "2030-01-01T00:00:00Z", {"ValidTo": SOON}, True),
    ("ImportKeyMaterial", "DateLessThan", "kms:ValidTo", "2020-01-01T00:00:00Z", {"ValidTo": SOON}, False),
    ("ImportKeyMaterial", "StringEquals", "kms:KeyOrigin", "EXTERNAL", {}, True),
    ("GenerateDataKeyPair", "StringEquals", "kms:DataKeyPairSpec", "ECC_NIST_P256", {}, True),
    ("GenerateDataKeyPair", "StringLike", "kms:DataKeyPairSpec", "RSA_*", {}, False),
    ("GenerateMac", "StringEquals", "kms:MacAlgorithm", "HMAC_SHA_512", {}, False),
    ("VerifyMac", "StringEquals", "kms:MacAlgorithm", "HMAC_SHA_256", {}, True),
    ("DeriveSharedSecret", "StringEquals", "kms:KeyAgreementAlgorithm", "ECDH", {}, True),
    ("Verify", "StringEquals", "kms:SigningAlgorithm", "ECDSA_SHA_256", {}, True),
    ("Sign", "StringEquals", "kms:KeyUsage", "SIGN_VERIFY", {}, True),
    ("UpdatePrimaryRegion", "StringEquals", "kms:PrimaryRegion", "eu-west-1", {}, True),
    ("UpdatePrimaryRegion", "StringEquals", "kms:PrimaryRegion", "us-west-2", {}, False),
    ("UpdatePrimaryRegion", "Bool", "kms:MultiRegion", "true", {}, True),
    ("UpdatePrimaryRegion", "StringEquals", "kms:MultiRegionKeyType", "REPLICA", {}, False),
]


@pytest.mark.parametrize(("operation", "operator", "name", "value", "params", "allowed"), MORE_PARAMETERS)
def test_conditions_on_parameters_of_other_kinds_of_keys(
    world: World, operation: str, operator: str, name: str, value: str, params: dict[str, Any], allowed: bool
) -> None:
    text = policy(statement(principal=TO_ALICE, action=f"kms:{operation}", **{operator: {name: value}}))
    key_id = world.create_key(Policy=text, **KEYS.get(operation, {}))
    call = world.make_call(operation, ALICE, REGION, naming(operation, key_id) | params)

    def ask() -> Any:
        return world.database.read_now(lambda rows: authorize(rows, call, world.kms))

    if allowed:
        assert ask().principal == ALICE
    else:
        with pytest.raises(AccessError):
            ask()


def test_a_refusal_in_the_own_account_says_who_what_and_why(world: World) -> None:
    key_id = world.create_key()
    with pytest.raises(AccessError) as raised:
        world.do("DescribeKey", by=ALICE, KeyId=key_id)
    code, message = refusal(raised)
    assert code == "AccessDeniedException"
    assert ALICE.arn in message
    assert world.row(key_id).arn in message


def test_a_foreign_key_that_refuses_looks_like_one_that_is_not_there(world: World) -> None:
    key_id = world.create_key()
    answers = set()
    for identifier in (key_id, "00000000-0000-4000-8000-000000000000"):
        for by in (OTHER_ROOT, MALLORY):
            with pytest.raises(RequestError) as raised:
                world.do("DescribeKey", by=by, KeyId=f"arn:aws:kms:{REGION}:{OURS}:key/{identifier}")
            answers.add((by.arn, *refusal(raised)))
    assert len(answers) == 2


# RetireGrant is given by no policy (test_grants).
@pytest.mark.parametrize("operation", [name for name in on_keys() if name != "RetireGrant"])
def test_only_some_operations_cross_accounts_whatever_the_policy_says(world: World, operation: str) -> None:
    key_id = world.create_key(Policy=policy(statement(principal={"AWS": THEIRS})), **KEYS.get(operation, {}))
    world.do("CreateAlias", by=OTHER_ROOT, AliasName="alias/theirs", TargetKeyId=world.create_key(by=OTHER_ROOT))
    try:
        world.do(operation, by=OTHER_ROOT, **naming(operation, world.row(key_id).arn))
        code = ""
    except RequestError as error:
        code = error.code
    assert (code == "AccessDeniedException") is (operation not in CROSS_ACCOUNT)


def test_operations_that_cross_accounts_are_those_of_the_reference() -> None:
    said = {
        name
        for name in set(OPERATIONS) & set(model().operation_names)
        if re.search(r"Cross-account use</b>:\s*Yes", model().operation_model(name).documentation)
    }
    assert said - {"ReEncrypt", "Decrypt"} == CROSS_ACCOUNT & set(model().operation_names) - {"ReEncrypt", "Decrypt"}
    assert {"ReEncrypt", "Decrypt"} <= CROSS_ACCOUNT


def test_a_caller_without_credentials_is_told_to_bring_some(world: World) -> None:
    for operation, params in (("ListKeys", {}), ("DescribeKey", {"KeyId": world.create_key()})):
        assert refuses(world, operation, by=ANONYMOUS, **params) == "MissingAuthenticationTokenException"


def test_what_was_authorized_for_one_key_is_not_done_with_another(world: World) -> None:
    """The alias is pointed elsewhere between authorization and handling; the request is authorized again."""
    from s3al.kms.service import kms_service

    allowed = world.create_key(Policy=policy(statement(principal=TO_ALICE)))
    forbidden = world.create_key()
    alias = through_alias(world, allowed)
    service = kms_service(world.kms)
    call = world.make_call("Encrypt", ALICE, REGION, {"KeyId": alias, "Plaintext": b"x"})
    call.reauthorize = lambda rows: service.authorize(rows, call, world.kms)
    authorized = world.database.read_now(call.reauthorize)
    world.do("UpdateAlias", AliasName=alias, TargetKeyId=forbidden)
    import asyncio

    with pytest.raises(AccessError):
        asyncio.run(OPERATIONS["Encrypt"].handle(authorized, call, world.kms))  # type: ignore[arg-type]
    call.reauthorize = None
    with pytest.raises(RuntimeError):
        asyncio.run(OPERATIONS["Encrypt"].handle(authorized, call, world.kms))  # type: ignore[arg-type]


def test_a_right_revoked_before_the_commit_refuses_the_write(world: World) -> None:
    import asyncio

    from s3al.kms.service import kms_service

    key_id = world.create_key(Policy=policy(statement(principal=TO_ALICE)))
    service = kms_service(world.kms)
    call = world.make_call("DisableKey", ALICE, REGION, {"KeyId": key_id})
    call.reauthorize = lambda rows: service.authorize(rows, call, world.kms)
    authorized = world.database.read_now(call.reauthorize)
    world.do("PutKeyPolicy", KeyId=key_id, Policy=policy())
    with pytest.raises(AccessError):
        asyncio.run(OPERATIONS["DisableKey"].handle(authorized, call, world.kms))  # type: ignore[arg-type]
    assert world.row(key_id).state == "Enabled"


def test_the_operations_of_custom_key_stores_are_refused_and_all_others_are_built(world: World) -> None:
    unbuilt = sorted(set(model().operation_names) - set(OPERATIONS))
    assert len(unbuilt) == 6
    for operation in unbuilt:
        assert operation.endswith(("CustomKeyStore", "CustomKeyStores"))
        assert refuses(world, operation, KeyId="x") == "UnsupportedOperationException"
    assert set(OPERATIONS) - {"Encapsulate", "Decapsulate"} <= set(model().operation_names)


def test_the_moment_of_the_request_is_what_policies_see(world: World) -> None:
    until = statement(principal=TO_ALICE, DateLessThan={"aws:EpochTime": str(NOW // 1000 + 10)})
    key_id = world.create_key(Policy=policy(until))
    assert world.do("DescribeKey", by=ALICE, KeyId=key_id)
    world.now = NOW + 10_000
    assert refuses(world, "DescribeKey", by=ALICE, KeyId=key_id) == "AccessDeniedException"

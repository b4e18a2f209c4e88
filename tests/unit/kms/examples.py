"""For every operation on a key: the key it is for, and parameters with which it succeeds beside `KeyId`."""

from __future__ import annotations

from typing import Any

from s3al.kms.ports import OPERATIONS
from unit.kms.world import ALICE, World, policy, statement

SIGNING = {"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"}
AGREEING = {"KeySpec": "ECC_NIST_P256", "KeyUsage": "KEY_AGREEMENT"}
MAC = {"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"}
ENCAPSULATING = {"KeySpec": "ML_KEM_768", "KeyUsage": "ENCAPSULATE_DECAPSULATE"}
IMPORTED = {"Origin": "EXTERNAL"}
EVERYWHERE = {"MultiRegion": True}

KEYS: dict[str, dict[str, Any]] = {
    "Decapsulate": ENCAPSULATING,
    "DeleteImportedKeyMaterial": IMPORTED,
    "DeriveSharedSecret": AGREEING,
    "Encapsulate": ENCAPSULATING,
    "GenerateMac": MAC,
    "GetParametersForImport": IMPORTED,
    "GetPublicKey": SIGNING,
    "ImportKeyMaterial": IMPORTED,
    "ReplicateKey": EVERYWHERE,
    "Sign": SIGNING,
    "UpdatePrimaryRegion": EVERYWHERE,
    "Verify": SIGNING,
    "VerifyMac": MAC,
}

# A public key on P-256, made for this file.
PEER = bytes.fromhex(
    "3059301306072a8648ce3d020106082a8648ce3d03010703420004"
    "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"
    "4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"
)

PARAMS: dict[str, dict[str, Any]] = {
    "CreateAlias": {"AliasName": "alias/new"},
    "CreateGrant": {"GranteePrincipal": ALICE.arn, "Operations": ["DescribeKey"]},
    "Decapsulate": {"SharedSecretCiphertextBlob": bytes(1088), "EncapsulationAlgorithm": "ML_KEM"},
    "DeriveSharedSecret": {"KeyAgreementAlgorithm": "ECDH", "PublicKey": PEER},
    "Encapsulate": {"EncapsulationAlgorithm": "ML_KEM"},
    "Encrypt": {"Plaintext": b"x"},
    "GenerateDataKey": {"KeySpec": "AES_256"},
    "GenerateDataKeyPair": {"KeyPairSpec": "ECC_NIST_P256"},
    "GenerateDataKeyPairWithoutPlaintext": {"KeyPairSpec": "ECC_NIST_P256"},
    "GenerateDataKeyWithoutPlaintext": {"KeySpec": "AES_256"},
    "GenerateMac": {"Message": b"x", "MacAlgorithm": "HMAC_SHA_256"},
    "GetParametersForImport": {"WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"},
    "ImportKeyMaterial": {
        "ImportToken": b"t",
        "EncryptedKeyMaterial": b"m",
        "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
    },
    "PutKeyPolicy": {"Policy": policy(statement())},
    "ReplicateKey": {"ReplicaRegion": "eu-west-1"},
    "RetireGrant": {"GrantId": "0" * 64},
    "RevokeGrant": {"GrantId": "0" * 64},
    "Sign": {"Message": b"x", "SigningAlgorithm": "ECDSA_SHA_256"},
    "TagResource": {"Tags": [{"TagKey": "a", "TagValue": "b"}]},
    "UntagResource": {"TagKeys": ["a"]},
    "UpdateAlias": {"AliasName": "alias/theirs"},
    "UpdateKeyDescription": {"Description": "new"},
    "UpdatePrimaryRegion": {"PrimaryRegion": "eu-west-1"},
    "Verify": {"Message": b"x", "Signature": b"s", "SigningAlgorithm": "ECDSA_SHA_256"},
    "VerifyMac": {"Message": b"x", "Mac": b"m", "MacAlgorithm": "HMAC_SHA_256"},
}

NAMES_NO_KEY = frozenset(
    {
        "CreateKey",
        "Decrypt",
        "DeleteAlias",
        "GenerateRandom",
        "ListAliases",
        "ListKeys",
        "ListRetirableGrants",
        "ReEncrypt",
    }
)


def on_keys() -> list[str]:
    """The operations whose request names a key, by `KeyId` or by `TargetKeyId`."""
    return sorted(set(OPERATIONS) - NAMES_NO_KEY)


def naming(operation: str, identifier: str) -> dict[str, Any]:
    """A request of this operation on this key."""
    member = "TargetKeyId" if operation in ("CreateAlias", "UpdateAlias") else "KeyId"
    return {member: identifier, **PARAMS.get(operation, {})}


def authorized_request(world: World, operation: str, key_id: str) -> dict[str, Any]:
    """A request that is authorized. key_id: of a key as in KEYS."""
    blob = world.do("Encrypt", KeyId=world.create_key(), Plaintext=b"x")["CiphertextBlob"]
    if operation in ("UpdateAlias", "DeleteAlias"):
        world.do("CreateAlias", AliasName="alias/theirs", TargetKeyId=key_id)
    if operation == "UpdatePrimaryRegion":
        world.do("ReplicateKey", KeyId=key_id, ReplicaRegion="eu-west-1")
    if operation == "RetireGrant":
        granted = world.do("CreateGrant", KeyId=key_id, **PARAMS["CreateGrant"])
        return {"KeyId": key_id, "GrantId": granted["GrantId"]}
    keyless: dict[str, dict[str, Any]] = {
        "CreateKey": {"Tags": [{"TagKey": "a", "TagValue": "b"}]},
        "Decrypt": {"CiphertextBlob": blob},
        "DeleteAlias": {"AliasName": "alias/theirs"},
        "GenerateRandom": {"NumberOfBytes": 1},
        "ListAliases": {},
        "ListKeys": {},
        "ListRetirableGrants": {"RetiringPrincipal": ALICE.arn},
        "ReEncrypt": {"CiphertextBlob": blob, "DestinationKeyId": key_id},
        "ReplicateKey": {"KeyId": key_id, "ReplicaRegion": "eu-west-1", "Tags": [{"TagKey": "a", "TagValue": "b"}]},
    }
    return keyless.get(operation, naming(operation, key_id) if operation not in keyless else {})

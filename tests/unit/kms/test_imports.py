"""Imported material: tokens, wrapping, expiry, several materials and the rotation to one of them."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.keywrap import aes_key_wrap_with_padding
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_public_key,
)

from s3al.errors import RequestError
from s3al.kms.keys import tidy
from s3al.store import keystore
from unit.kms.world import DAY, World, refusal

FIRST, SECOND, THIRD = (bytes([n]) * 32 for n in (1, 2, 3))
FOREVER = {"ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE"}
NEW = {"ImportType": "NEW_KEY_MATERIAL"}
SHA_256 = "RSAES_OAEP_SHA_256"


def moment(now_ms: int) -> datetime:
    return datetime.fromtimestamp(now_ms / 1000, UTC)


def refuses(world: World, operation: str, **params: Any) -> tuple[str, str]:
    with pytest.raises(RequestError) as raised:
        world.do(operation, **params)
    return refusal(raised)


def oaep(algorithm: str) -> Any:
    digest = hashes.SHA1() if algorithm.endswith("_1") else hashes.SHA256()
    return padding.OAEP(padding.MGF1(digest), digest, None)


def wrapped(world: World, key_id: str, material: bytes, algorithm: str = SHA_256) -> dict[str, Any]:
    """Token and encrypted material, as a client makes them."""
    given = world.do("GetParametersForImport", KeyId=key_id, WrappingAlgorithm=algorithm, WrappingKeySpec="RSA_2048")
    public = load_der_public_key(given["PublicKey"])
    assert isinstance(public, rsa.RSAPublicKey)
    if algorithm.startswith("RSA_AES"):
        aes_key = os.urandom(32)
        encrypted = public.encrypt(aes_key, oaep(algorithm)) + aes_key_wrap_with_padding(aes_key, material)
    else:
        encrypted = public.encrypt(material, oaep(algorithm))
    return {"KeyId": key_id, "ImportToken": given["ImportToken"], "EncryptedKeyMaterial": encrypted}


def bring(world: World, key_id: str, material: bytes, **more: Any) -> str:
    """Import; the id of the material."""
    terms = more if "ValidTo" in more else FOREVER | more
    return str(world.do("ImportKeyMaterial", **wrapped(world, key_id, material), **terms).get("KeyMaterialId", ""))


def state(world: World, key_id: str) -> str:
    return str(world.do("DescribeKey", KeyId=key_id)["KeyMetadata"]["KeyState"])


@pytest.fixture
def key_id(world: World) -> str:
    return world.create_key(Origin="EXTERNAL")


def test_a_key_without_material_awaits_it_and_works_when_it_has_come(world: World, key_id: str) -> None:
    described = world.do("DescribeKey", KeyId=key_id)["KeyMetadata"]
    assert (described["KeyState"], described["Enabled"], described["Origin"]) == ("PendingImport", False, "EXTERNAL")
    assert "CurrentKeyMaterialId" not in described
    assert refuses(world, "Encrypt", KeyId=key_id, Plaintext=b"x")[0] == "KMSInvalidStateException"
    assert refuses(world, "DisableKey", KeyId=key_id)[0] == "KMSInvalidStateException"
    material_id = bring(world, key_id, FIRST)
    described = world.do("DescribeKey", KeyId=key_id)["KeyMetadata"]
    assert (described["KeyState"], described["ExpirationModel"]) == ("Enabled", "KEY_MATERIAL_DOES_NOT_EXPIRE")
    assert described["CurrentKeyMaterialId"] == material_id
    blob = world.do("Encrypt", KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    assert world.do("Decrypt", CiphertextBlob=blob)["KeyMaterialId"] == material_id
    row = world.row(key_id)
    kept = world.database.read_now(
        lambda rows: world.kms.materials.open(rows, key_id, bytes(row.current_material or b""))
    )
    assert kept == FIRST


@pytest.mark.parametrize(
    "algorithm", ["RSAES_OAEP_SHA_1", SHA_256, "RSA_AES_KEY_WRAP_SHA_1", "RSA_AES_KEY_WRAP_SHA_256"]
)
def test_material_comes_wrapped_in_each_way(world: World, key_id: str, algorithm: str) -> None:
    world.do("ImportKeyMaterial", **wrapped(world, key_id, FIRST, algorithm), **FOREVER)
    assert state(world, key_id) == "Enabled"


@pytest.mark.parametrize(("algorithm", "spec"), [("RSAES_PKCS1_V1_5", "RSA_2048"), ("SM2PKE", "SM2"), (SHA_256, "SM2")])
def test_old_and_foreign_ways_of_wrapping_are_refused(world: World, key_id: str, algorithm: str, spec: str) -> None:
    asked = {"KeyId": key_id, "WrappingAlgorithm": algorithm, "WrappingKeySpec": spec}
    assert refuses(world, "GetParametersForImport", **asked)[0] == "UnsupportedOperationException"


def test_a_token_is_valid_for_its_key_and_for_a_day(world: World, key_id: str) -> None:
    request = wrapped(world, key_id, FIRST)
    other = world.create_key(Origin="EXTERNAL")
    elsewhere = {**request, "KeyId": other, **FOREVER}
    assert refuses(world, "ImportKeyMaterial", **elsewhere)[0] == "InvalidImportTokenException"
    token = request["ImportToken"]
    for forged in (token[:-1], token[:-1] + bytes([token[-1] ^ 1]), b"x", b"x" * 100):
        asked = {**request, "ImportToken": forged, **FOREVER}
        assert refuses(world, "ImportKeyMaterial", **asked)[0] == "InvalidImportTokenException"
    world.now += DAY
    assert refuses(world, "ImportKeyMaterial", **request, **FOREVER)[0] == "ExpiredImportTokenException"
    world.now -= 1
    assert world.do("ImportKeyMaterial", **request, **FOREVER)
    assert world.do("ImportKeyMaterial", **request, **FOREVER)  # the same again changes nothing


def test_encrypted_material_that_does_not_open_is_refused(world: World, key_id: str) -> None:
    request, another = wrapped(world, key_id, FIRST), wrapped(world, key_id, FIRST)
    for broken in (b"x", another["EncryptedKeyMaterial"], request["EncryptedKeyMaterial"][1:]):
        asked = {**request, "EncryptedKeyMaterial": broken, **FOREVER}
        assert refuses(world, "ImportKeyMaterial", **asked) == ("InvalidCiphertextException", "")
    both = wrapped(world, key_id, FIRST, "RSA_AES_KEY_WRAP_SHA_256")
    asked = {**both, "EncryptedKeyMaterial": both["EncryptedKeyMaterial"][:-1], **FOREVER}
    assert refuses(world, "ImportKeyMaterial", **asked)[0] == "InvalidCiphertextException"
    assert state(world, key_id) == "PendingImport"


@pytest.mark.parametrize("length", [16, 31, 33])
def test_a_symmetric_material_has_256_bits(world: World, key_id: str, length: int) -> None:
    asked = wrapped(world, key_id, bytes(length)) | FOREVER
    assert refuses(world, "ImportKeyMaterial", **asked)[0] == "IncorrectKeyMaterialException"


TERMS = [
    ("no date where it expires", {}),
    ("a date where it does not expire", {**FOREVER, "ValidTo": 1}),
    ("a date that has passed", {"ValidTo": 0}),
    ("a date in more than a year", {"ValidTo": 365 * DAY + 1}),
    ("an id for a new material", {**FOREVER, **NEW, "KeyMaterialId": "0" * 64}),
]


@pytest.mark.parametrize("terms", [t[1] for t in TERMS], ids=[t[0] for t in TERMS])
def test_terms_that_make_no_sense_are_refused(world: World, key_id: str, terms: dict[str, Any]) -> None:
    given = dict(terms)
    if "ValidTo" in given:
        given["ValidTo"] = moment(world.now + given["ValidTo"])
    code, message = refuses(
        world, "ImportKeyMaterial", KeyId=key_id, ImportToken=b"t", EncryptedKeyMaterial=b"m", **given
    )
    assert code == "ValidationException"
    if not terms:
        assert message == "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES"


class Happenings:
    """What the trail was told of keys that no request changed."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def happened(self, event_name: str, key_arn: str, now_ms: int, details: Any) -> None:
        assert now_ms and details
        self.seen.append((event_name, key_arn))

    def used(self, *_: Any) -> None:
        raise AssertionError("no key was used")

    touched = used


def test_material_expires_at_its_moment_and_works_again_when_it_is_back(world: World, key_id: str) -> None:
    until = world.now + 10 * DAY
    bring(world, key_id, FIRST, ValidTo=moment(until))
    described = world.do("DescribeKey", KeyId=key_id)["KeyMetadata"]
    assert (described["ExpirationModel"], described["ValidTo"]) == ("KEY_MATERIAL_EXPIRES", moment(until))
    blob = world.do("Encrypt", KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    world.now = until - 1
    assert world.do("Decrypt", CiphertextBlob=blob)
    world.now = until
    assert refuses(world, "Decrypt", CiphertextBlob=blob)[0] == "KMSInvalidStateException"
    assert state(world, key_id) == "PendingImport"
    recorder = Happenings()
    world.database.write_now(lambda rows: tidy(rows, world.now, recorder=recorder))
    assert [(name, arn.rpartition("/")[2]) for name, arn in recorder.seen] == [("DeleteExpiredKeyMaterial", key_id)]
    (row,) = world.database.read_now(lambda rows: keystore.list_materials(rows, key_id))
    assert row.wrapped == b""
    bring(world, key_id, FIRST)
    assert world.do("Decrypt", CiphertextBlob=blob)["Plaintext"] == b"x"


def test_only_the_same_material_comes_back(world: World, key_id: str) -> None:
    first = bring(world, key_id, FIRST)
    world.do("DeleteImportedKeyMaterial", KeyId=key_id)
    assert state(world, key_id) == "PendingImport"
    asked = wrapped(world, key_id, SECOND) | FOREVER
    assert refuses(world, "ImportKeyMaterial", **asked)[0] == "IncorrectKeyMaterialException"
    named = wrapped(world, key_id, FIRST) | FOREVER | {"KeyMaterialId": "0" * 64}
    assert refuses(world, "ImportKeyMaterial", **named)[0] == "IncorrectKeyMaterialException"
    assert bring(world, key_id, FIRST, KeyMaterialId=first) == first
    assert state(world, key_id) == "Enabled"
    again = wrapped(world, key_id, FIRST) | FOREVER | NEW
    assert refuses(world, "ImportKeyMaterial", **again)[0] == "IncorrectKeyMaterialException"


def test_the_id_of_a_material_depends_on_the_key_and_is_no_bare_hash(world: World, key_id: str) -> None:
    other = world.create_key(Origin="EXTERNAL")
    assert bring(world, key_id, FIRST) != bring(world, other, FIRST)


def test_deleted_material_is_gone_at_once_and_leaves_no_bytes(world: World, key_id: str) -> None:
    bring(world, key_id, FIRST)
    blob = world.do("Encrypt", KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    answer = world.do("DeleteImportedKeyMaterial", KeyId=key_id)
    assert answer["KeyId"] == world.row(key_id).arn
    for worker in (world.kms, world.worker()):
        assert refuses(world, "Decrypt", worker=worker, CiphertextBlob=blob)[0] == "KMSInvalidStateException"
    (row,) = world.database.read_now(lambda rows: keystore.list_materials(rows, key_id))
    assert row.wrapped == b""
    assert world.do("DeleteImportedKeyMaterial", KeyId=key_id)  # once more has no effect


def test_a_disabled_key_stays_disabled_when_its_material_comes_back(world: World, key_id: str) -> None:
    bring(world, key_id, FIRST)
    world.do("DisableKey", KeyId=key_id)
    world.do("DeleteImportedKeyMaterial", KeyId=key_id)
    assert state(world, key_id) == "PendingImport"
    bring(world, key_id, FIRST)
    assert state(world, key_id) == "Disabled"


def test_a_second_material_waits_for_its_rotation(world: World, key_id: str) -> None:
    first = bring(world, key_id, FIRST)
    old = world.do("Encrypt", KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    assert refuses(world, "RotateKeyOnDemand", KeyId=key_id) == (
        "KMSInvalidStateException",
        f"No available key material pending rotation for the key: {world.row(key_id).arn}.",
    )
    second = bring(world, key_id, SECOND, KeyMaterialDescription="the second", **NEW)
    assert world.do("DescribeKey", KeyId=key_id)["KeyMetadata"]["CurrentKeyMaterialId"] == first
    third = wrapped(world, key_id, THIRD) | FOREVER | NEW
    assert refuses(world, "ImportKeyMaterial", **third)[0] == "KMSInvalidStateException"

    def history() -> list[tuple[Any, ...]]:
        rotations = world.do("ListKeyRotations", KeyId=key_id, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
        return [(r["KeyMaterialId"], r["KeyMaterialState"], r["ImportState"], r.get("RotationType")) for r in rotations]

    assert history() == [(first, "CURRENT", "IMPORTED", None), (second, "PENDING_ROTATION", "IMPORTED", None)]
    assert world.do("ListKeyRotations", KeyId=key_id)["Rotations"] == []
    world.do("RotateKeyOnDemand", KeyId=key_id)
    assert history() == [(first, "NON_CURRENT", "IMPORTED", None), (second, "CURRENT", "IMPORTED", "ON_DEMAND")]
    (rotation,) = world.do("ListKeyRotations", KeyId=key_id)["Rotations"]
    assert rotation["KeyMaterialDescription"] == "the second"
    assert world.do("Decrypt", CiphertextBlob=old)["KeyMaterialId"] == first
    new = world.do("Encrypt", KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    assert world.do("Decrypt", CiphertextBlob=new)["KeyMaterialId"] == second
    world.do("DeleteImportedKeyMaterial", KeyId=key_id, KeyMaterialId=first)
    assert state(world, key_id) == "PendingImport"  # every material that was in use is needed
    assert history()[0] == (first, "NON_CURRENT", "PENDING_IMPORT", None)
    bring(world, key_id, FIRST)
    assert world.do("Decrypt", CiphertextBlob=old)["Plaintext"] == b"x"


def test_a_material_that_waits_is_deleted_without_harm_to_the_key(world: World, key_id: str) -> None:
    bring(world, key_id, FIRST)
    second = bring(world, key_id, SECOND, ValidTo=moment(world.now + DAY), **NEW)
    world.now += 2 * DAY
    assert state(world, key_id) == "Enabled"
    assert refuses(world, "RotateKeyOnDemand", KeyId=key_id)[0] == "KMSInvalidStateException"
    assert world.do("DeleteImportedKeyMaterial", KeyId=key_id, KeyMaterialId=second)["KeyMaterialId"] == second
    assert state(world, key_id) == "Enabled"
    bring(world, key_id, THIRD, **NEW)
    world.do("RotateKeyOnDemand", KeyId=key_id)
    missing = {"KeyId": key_id, "KeyMaterialId": "0" * 64}
    assert refuses(world, "DeleteImportedKeyMaterial", **missing)[0] == "NotFoundException"


def test_the_earliest_of_several_dates_stops_the_key(world: World, key_id: str) -> None:
    bring(world, key_id, FIRST, ValidTo=moment(world.now + 20 * DAY))
    bring(world, key_id, SECOND, ValidTo=moment(world.now + 10 * DAY), **NEW)
    world.do("RotateKeyOnDemand", KeyId=key_id)
    world.now += 10 * DAY
    assert state(world, key_id) == "PendingImport"


@cache
def private_key(spec: str) -> bytes:
    key: Any = (
        ec.generate_private_key(ec.SECP256R1()) if spec.startswith("ECC") else rsa.generate_private_key(65537, 2048)
    )
    return bytes(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


@pytest.mark.parametrize(
    ("spec", "usage"),
    [("RSA_2048", "SIGN_VERIFY"), ("ECC_NIST_P256", "SIGN_VERIFY"), ("HMAC_384", "GENERATE_VERIFY_MAC")],
)
def test_other_keys_are_imported_once(world: World, spec: str, usage: str) -> None:
    key_id = world.create_key(Origin="EXTERNAL", KeySpec=spec, KeyUsage=usage)
    material = b"h" * 48 if spec.startswith("HMAC") else private_key(spec)
    way = "RSA_AES_KEY_WRAP_SHA_256"
    request = wrapped(world, key_id, material, way)
    wrong = wrapped(world, key_id, b"h" * 47, way) | FOREVER
    assert refuses(world, "ImportKeyMaterial", **wrong)[0] == "IncorrectKeyMaterialException"
    assert refuses(world, "ImportKeyMaterial", **request, **FOREVER, **NEW)[0] == "ValidationException"
    assert "KeyMaterialId" not in world.do("ImportKeyMaterial", **request, **FOREVER)
    assert state(world, key_id) == "Enabled"
    if usage == "SIGN_VERIFY":
        public: Any = load_der_public_key(world.do("GetPublicKey", KeyId=key_id)["PublicKey"])
        described = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert described == world.do("GetPublicKey", KeyId=key_id)["PublicKey"]
    else:
        asked = {"KeyId": key_id, "Message": b"x", "MacAlgorithm": "HMAC_SHA_384"}
        assert world.do("GenerateMac", **asked)["Mac"]


def test_a_key_of_another_kind_is_not_this_keys_material(world: World) -> None:
    key_id = world.create_key(Origin="EXTERNAL", KeySpec="ECC_NIST_P384", KeyUsage="SIGN_VERIFY")
    for other in ("ECC_NIST_P256", "RSA_2048"):
        asked = wrapped(world, key_id, private_key(other), "RSA_AES_KEY_WRAP_SHA_256") | FOREVER
        assert refuses(world, "ImportKeyMaterial", **asked)[0] == "IncorrectKeyMaterialException"


def test_keys_of_aws_origin_take_no_material(world: World) -> None:
    key_id = world.create_key()
    asked = {"KeyId": key_id, "WrappingAlgorithm": SHA_256, "WrappingKeySpec": "RSA_2048"}
    told = f"{world.row(key_id).arn} origin is AWS_KMS which is not valid for this operation."
    assert refuses(world, "GetParametersForImport", **asked) == ("UnsupportedOperationException", told)
    assert refuses(world, "DeleteImportedKeyMaterial", KeyId=key_id) == ("UnsupportedOperationException", told)


def test_keys_with_imported_material_do_not_rotate_by_themselves(world: World, key_id: str) -> None:
    bring(world, key_id, FIRST)
    for operation in ("EnableKeyRotation", "DisableKeyRotation"):
        assert refuses(world, operation, KeyId=key_id)[0] == "UnsupportedOperationException"


def test_a_key_pending_deletion_gives_its_material_up_and_takes_none(world: World, key_id: str) -> None:
    bring(world, key_id, FIRST)
    request = wrapped(world, key_id, FIRST) | FOREVER
    world.do("ScheduleKeyDeletion", KeyId=key_id)
    assert refuses(world, "ImportKeyMaterial", **request)[0] == "KMSInvalidStateException"
    world.do("DeleteImportedKeyMaterial", KeyId=key_id)
    assert state(world, key_id) == "PendingDeletion"
    world.do("CancelKeyDeletion", KeyId=key_id)
    assert state(world, key_id) == "PendingImport"

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3al.crypto.keys import seal_kms
from s3al.errors import AccessError, RequestError
from s3al.store import keystore
from unit.kms.world import (
    ALICE,
    MALLORY,
    OTHER_ROOT,
    OURS,
    REGION,
    THEIRS,
    World,
    policy,
    refusal,
    statement,
)

HIDDEN = (
    "AccessDeniedException",
    (
        "The ciphertext refers to a customer master key that does not exist, does not exist in this region, "
        "or you are not allowed to access."
    ),
)
BAD_CIPHERTEXT = ("InvalidCiphertextException", "")


def encrypt(world: World, key_id: str, plaintext: bytes = b"plaintext", **params: Any) -> bytes:
    blob: bytes = world.do("Encrypt", KeyId=key_id, Plaintext=plaintext, **params)["CiphertextBlob"]
    return blob


def denied(world: World, operation: str, **params: Any) -> tuple[str, str]:
    with pytest.raises(RequestError) as raised:
        world.do(operation, **params)
    return refusal(raised)


def test_what_was_encrypted_decrypts_and_names_key_and_material(world: World) -> None:
    key_id = world.create_key()
    encrypted = world.do("Encrypt", KeyId=key_id, Plaintext=b"plaintext", EncryptionContext={"a": "b"})
    arn = world.row(key_id).arn
    assert (encrypted["KeyId"], encrypted["EncryptionAlgorithm"]) == (arn, "SYMMETRIC_DEFAULT")
    for named in ({}, {"KeyId": key_id}, {"KeyId": arn}):
        opened = world.do("Decrypt", CiphertextBlob=encrypted["CiphertextBlob"], EncryptionContext={"a": "b"}, **named)
        material = world.do("DescribeKey", KeyId=key_id)["KeyMetadata"]["CurrentKeyMaterialId"]
        assert opened == {
            "KeyId": arn,
            "Plaintext": b"plaintext",
            "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "KeyMaterialId": material,
        }


def test_the_same_plaintext_never_gives_the_same_ciphertext(world: World) -> None:
    key_id = world.create_key()
    blobs = {encrypt(world, key_id) for _ in range(20)}
    assert len(blobs) == 20
    assert all(b"plaintext" not in blob for blob in blobs)


@pytest.mark.parametrize(
    ("sealed", "asked"),
    [
        ({"a": "bc"}, {"ab": "c"}),
        ({"a": "b"}, {}),
        ({}, {"a": "b"}),
        ({"a": "b"}, {"a": "B"}),
        ({"a": "b"}, {"A": "b"}),
        ({"a": "b", "c": "d"}, {"a": "d", "c": "b"}),
        ({"a": "b", "c": "d"}, {"a": "b"}),
        ({"a": ""}, {}),
        ({"a": "", "b": ""}, {"ab": ""}),
    ],
)
def test_another_encryption_context_does_not_open(world: World, sealed: dict[str, str], asked: dict[str, str]) -> None:
    key_id = world.create_key()
    blob = encrypt(world, key_id, EncryptionContext=sealed)
    assert denied(world, "Decrypt", CiphertextBlob=blob, EncryptionContext=asked) == BAD_CIPHERTEXT
    assert world.do("Decrypt", CiphertextBlob=blob, EncryptionContext=sealed)["Plaintext"] == b"plaintext"


def test_the_order_of_the_context_does_not_matter_and_empty_is_absent(world: World) -> None:
    key_id = world.create_key()
    blob = encrypt(world, key_id, EncryptionContext={"a": "1", "b": "2"})
    assert world.do("Decrypt", CiphertextBlob=blob, EncryptionContext={"b": "2", "a": "1"})["Plaintext"]
    assert world.do("Decrypt", CiphertextBlob=encrypt(world, key_id, EncryptionContext={}))["Plaintext"]


WORLD = World()
KEY_ID = WORLD.create_key()
CONTEXTS = st.dictionaries(st.text(max_size=8), st.text(max_size=8), max_size=3)


@settings(max_examples=60, deadline=None)
@given(plaintext=st.binary(min_size=1, max_size=64), sealed=CONTEXTS, asked=CONTEXTS)
def test_a_ciphertext_opens_with_its_context_and_no_other(
    plaintext: bytes, sealed: dict[str, str], asked: dict[str, str]
) -> None:
    blob = encrypt(WORLD, KEY_ID, plaintext, EncryptionContext=sealed)
    assert WORLD.do("Decrypt", CiphertextBlob=blob, EncryptionContext=sealed)["Plaintext"] == plaintext
    if asked != sealed:
        assert denied(WORLD, "Decrypt", CiphertextBlob=blob, EncryptionContext=asked) == BAD_CIPHERTEXT


def test_text_without_bytes_is_refused_before_anything_is_looked_at(world: World) -> None:
    code, _ = denied(world, "Encrypt", KeyId=world.create_key(), Plaintext=b"x", EncryptionContext={"a": "\ud800"})
    assert code == "ValidationException"


@pytest.mark.parametrize("size", [1, 4096])
def test_plaintext_at_the_limits(world: World, size: int) -> None:
    blob = encrypt(world, world.create_key(), b"x" * size)
    assert len(blob) <= 6144
    assert world.do("Decrypt", CiphertextBlob=blob)["Plaintext"] == b"x" * size


def test_every_flipped_byte_of_a_ciphertext_is_refused_without_a_word(world: World) -> None:
    key_id = world.create_key()
    blob = encrypt(world, key_id)
    for at in range(len(blob)):
        altered = bytes((*blob[:at], blob[at] ^ 1, *blob[at + 1 :]))
        assert denied(world, "Decrypt", CiphertextBlob=altered)[0] in (
            "InvalidCiphertextException",
            "AccessDeniedException",  # where the altered bytes name another key
        )
        named = denied(world, "Decrypt", CiphertextBlob=altered, KeyId=key_id)
        assert named[0] in ("InvalidCiphertextException", "IncorrectKeyException")
        assert named == BAD_CIPHERTEXT or named[0] == "IncorrectKeyException"


@pytest.mark.parametrize("foreign", [b"\x00", b"AQICAHh" * 20, b"s3al", b"s3al\x01", b"x" * 6144])
def test_foreign_and_truncated_bytes_are_refused(world: World, foreign: bytes) -> None:
    assert denied(world, "Decrypt", CiphertextBlob=foreign) == BAD_CIPHERTEXT
    blob = encrypt(world, world.create_key())
    for keep in (1, 5, 6, 42, len(blob) - 17, len(blob) - 1):
        assert denied(world, "Decrypt", CiphertextBlob=blob[:keep]) == BAD_CIPHERTEXT
    assert denied(world, "Decrypt", CiphertextBlob=blob + b"x") == BAD_CIPHERTEXT


def test_a_ciphertext_relabelled_with_another_key_does_not_open(world: World) -> None:
    first, second = world.create_key(), world.create_key()
    blob = encrypt(world, first)
    relabelled = blob.replace(first.encode(), second.encode())
    assert denied(world, "Decrypt", CiphertextBlob=relabelled) == BAD_CIPHERTEXT
    material = world.row(second).current_material
    assert material is not None
    moved = relabelled.replace(world.row(first).current_material or b"", material)
    assert denied(world, "Decrypt", CiphertextBlob=moved) == BAD_CIPHERTEXT


def test_an_unknown_material_id_fails_and_no_other_is_tried(world: World) -> None:
    key_id = world.create_key()
    row = world.row(key_id)
    material = world.database.read_now(lambda rows: world.kms.materials.open(rows, key_id, row.current_material or b""))
    forged = seal_kms(material, key_id=key_id, material_id=bytes(32), context={}, plaintext=b"x", random=bytes(28))
    assert denied(world, "Decrypt", CiphertextBlob=forged) == BAD_CIPHERTEXT


def test_naming_another_key_than_the_ciphertexts_is_an_incorrect_key(world: World) -> None:
    blob = encrypt(world, world.create_key())
    code, message = denied(world, "Decrypt", CiphertextBlob=blob, KeyId=world.create_key())
    assert code == "IncorrectKeyException"
    assert message == "The key ID in the request does not identify a CMK that can perform this operation."


def test_a_ciphertext_tells_nothing_of_a_key_its_bearer_may_not_use(world: World) -> None:
    ours, theirs = world.create_key(), world.create_key(by=OTHER_ROOT)
    blob_of_theirs: bytes = world.do("Encrypt", by=OTHER_ROOT, KeyId=theirs, Plaintext=b"x")["CiphertextBlob"]
    absent = blob_of_theirs.replace(theirs.encode(), b"00000000-0000-4000-8000-000000000000")
    assert denied(world, "Decrypt", CiphertextBlob=blob_of_theirs) == HIDDEN
    assert denied(world, "Decrypt", CiphertextBlob=absent) == HIDDEN
    assert denied(world, "Decrypt", CiphertextBlob=encrypt(world, ours), region="eu-west-1") == HIDDEN
    assert denied(world, "Decrypt", CiphertextBlob=encrypt(world, ours), by=ALICE) == HIDDEN
    assert denied(world, "Decrypt", CiphertextBlob=encrypt(world, ours), by=MALLORY) == HIDDEN
    service = world.database.read_now(keystore.find_service_key)
    assert service is not None
    of_service = blob_of_theirs.replace(theirs.encode(), service.key_id.encode())
    assert denied(world, "Decrypt", CiphertextBlob=of_service) == HIDDEN


def test_old_ciphertext_opens_under_the_material_that_made_it(world: World) -> None:
    key_id = world.create_key()
    blobs = []
    for number in range(21):
        blobs.append(encrypt(world, key_id, b"number %d" % number, EncryptionContext={"n": str(number)}))
        if number < 20:
            world.do("RotateKeyOnDemand", KeyId=key_id)
    for worker in (world.kms, world.worker()):
        opened = [
            world.do("Decrypt", worker=worker, CiphertextBlob=blob, EncryptionContext={"n": str(number)})
            for number, blob in enumerate(blobs)
        ]
        assert [one["Plaintext"] for one in opened] == [b"number %d" % number for number in range(21)]
        assert len({one["KeyMaterialId"] for one in opened}) == 21


@pytest.mark.parametrize(
    ("params", "length"),
    [
        ({"KeySpec": "AES_256"}, 32),
        ({"KeySpec": "AES_128"}, 16),
        ({"NumberOfBytes": 1}, 1),
        ({"NumberOfBytes": 1024}, 1024),
    ],
)
def test_a_data_key_is_as_long_as_asked_and_opens_from_its_ciphertext(
    world: World, params: dict[str, Any], length: int
) -> None:
    key_id = world.create_key()
    made = world.do("GenerateDataKey", KeyId=key_id, EncryptionContext={"a": "b"}, **params)
    assert len(made["Plaintext"]) == length
    assert made["KeyId"] == world.row(key_id).arn
    opened = world.do("Decrypt", CiphertextBlob=made["CiphertextBlob"], EncryptionContext={"a": "b"})
    assert opened["Plaintext"] == made["Plaintext"]
    assert opened["KeyMaterialId"] == made["KeyMaterialId"]
    sealed = world.do("GenerateDataKeyWithoutPlaintext", KeyId=key_id, **params)
    assert set(sealed) == {"CiphertextBlob", "KeyId", "KeyMaterialId"}
    assert len(world.do("Decrypt", CiphertextBlob=sealed["CiphertextBlob"])["Plaintext"]) == length


@pytest.mark.parametrize("params", [{}, {"KeySpec": "AES_256", "NumberOfBytes": 32}])
def test_a_data_key_needs_exactly_one_length(world: World, params: dict[str, Any]) -> None:
    answer = denied(world, "GenerateDataKey", KeyId=world.create_key(), **params)
    assert answer == ("ValidationException", "Please specify either number of bytes or key spec.")


def test_re_encrypt_moves_a_ciphertext_to_another_key_and_context(world: World) -> None:
    first, second = world.create_key(), world.create_key()
    blob = encrypt(world, first, EncryptionContext={"old": "1"})
    moved = world.do(
        "ReEncrypt",
        CiphertextBlob=blob,
        SourceEncryptionContext={"old": "1"},
        DestinationKeyId=second,
        DestinationEncryptionContext={"new": "2"},
    )
    assert (moved["SourceKeyId"], moved["KeyId"]) == (world.row(first).arn, world.row(second).arn)
    assert moved["SourceKeyMaterialId"] != moved["DestinationKeyMaterialId"]
    opened = world.do("Decrypt", CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"new": "2"})
    assert (opened["Plaintext"], opened["KeyId"]) == (b"plaintext", world.row(second).arn)
    assert "Plaintext" not in moved


def test_re_encrypt_on_the_same_key_takes_the_newest_material(world: World) -> None:
    key_id = world.create_key()
    blob = encrypt(world, key_id)
    world.do("RotateKeyOnDemand", KeyId=key_id)
    moved = world.do("ReEncrypt", CiphertextBlob=blob, DestinationKeyId=key_id)
    assert moved["DestinationKeyMaterialId"] == (world.row(key_id).current_material or b"").hex()
    assert moved["SourceKeyMaterialId"] != moved["DestinationKeyMaterialId"]


def test_re_encrypt_refuses_as_decrypt_does(world: World) -> None:
    first, second = world.create_key(), world.create_key()
    blob = encrypt(world, first, EncryptionContext={"a": "b"})
    to = {"DestinationKeyId": second}
    assert denied(world, "ReEncrypt", CiphertextBlob=blob, **to) == BAD_CIPHERTEXT
    context = {"SourceEncryptionContext": {"a": "b"}}
    assert denied(world, "ReEncrypt", CiphertextBlob=blob, SourceKeyId=second, **to, **context)[0] == (
        "IncorrectKeyException"
    )
    assert denied(world, "ReEncrypt", CiphertextBlob=b"foreign", **to) == BAD_CIPHERTEXT
    world.do("DisableKey", KeyId=second)
    assert denied(world, "ReEncrypt", CiphertextBlob=blob, **to, **context) == (
        "DisabledException",
        f"{world.row(second).arn} is disabled.",
    )


@pytest.mark.parametrize(
    ("from_same", "statements", "allowed"),
    [
        (True, [statement("Deny", action="kms:ReEncryptTo", Bool={"kms:ReEncryptOnSameKey": "true"})], False),
        (False, [statement("Deny", action="kms:ReEncryptTo", Bool={"kms:ReEncryptOnSameKey": "true"})], True),
        (False, [statement("Deny", action="kms:ReEncryptFrom")], True),
        (True, [statement("Deny", action="kms:ReEncryptFrom")], False),
        (False, [statement("Deny", action="kms:ReEncryptTo")], False),
    ],
)
def test_re_encrypt_needs_a_right_on_each_side(
    world: World, from_same: bool, statements: list[dict[str, Any]], allowed: bool
) -> None:
    destination = world.create_key(Policy=policy(*statements))
    source = destination if from_same else world.create_key()
    params = {"CiphertextBlob": encrypt(world, source), "SourceKeyId": source, "DestinationKeyId": destination}
    if allowed:
        assert world.do("ReEncrypt", **params)["KeyId"] == world.row(destination).arn
    else:
        assert denied(world, "ReEncrypt", **params)[0] == "AccessDeniedException"


DRY = ("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")


def test_a_dry_run_succeeds_by_its_own_error_and_fails_as_the_real_thing(world: World) -> None:
    key_id = world.create_key()
    blob = encrypt(world, key_id)
    world.counted.clear()
    dry: dict[str, dict[str, Any]] = {
        "Encrypt": {"KeyId": key_id, "Plaintext": b"x"},
        "Decrypt": {"CiphertextBlob": blob},
        "ReEncrypt": {"CiphertextBlob": blob, "DestinationKeyId": key_id},
        "GenerateDataKey": {"KeyId": key_id, "KeySpec": "AES_256"},
        "GenerateDataKeyWithoutPlaintext": {"KeyId": key_id, "KeySpec": "AES_256"},
    }
    for operation, params in dry.items():
        assert denied(world, operation, DryRun=True, **params) == DRY, operation
    assert world.counted == {}
    assert denied(world, "Decrypt", DryRun=True, CiphertextBlob=blob, EncryptionContext={"a": "b"}) == BAD_CIPHERTEXT
    assert denied(world, "Decrypt", DryRun=True, CiphertextBlob=blob, by=ALICE) == HIDDEN
    world.do("DisableKey", KeyId=key_id)
    for operation, params in dry.items():
        assert denied(world, operation, DryRun=True, **params)[0] == "DisabledException", operation


def test_a_dry_run_may_leave_the_ciphertext_out(world: World) -> None:
    key_id = world.create_key()
    ignore = {"DryRun": True, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]}
    assert denied(world, "Decrypt", KeyId=key_id, **ignore) == DRY
    assert denied(world, "ReEncrypt", SourceKeyId=key_id, DestinationKeyId=key_id, **ignore) == DRY
    assert denied(world, "Decrypt", **ignore)[0] == "ValidationException"
    without_dry_run = {"KeyId": key_id, "DryRunModifiers": ["IGNORE_CIPHERTEXT"]}
    assert denied(world, "Decrypt", **without_dry_run)[0] == "ValidationException"
    world.do("DisableKey", KeyId=key_id)
    assert denied(world, "Decrypt", KeyId=key_id, **ignore)[0] == "DisabledException"


@pytest.mark.parametrize(
    ("operation", "params", "code"),
    [
        ("Encrypt", {"Plaintext": b"x", "GrantTokens": ["t"]}, "InvalidGrantTokenException"),
        ("GenerateDataKey", {"KeySpec": "AES_256", "Recipient": {"x": 1}}, "UnsupportedOperationException"),
        ("Encrypt", {"Plaintext": b"x", "EncryptionAlgorithm": "RSAES_OAEP_SHA_1"}, "InvalidKeyUsageException"),
        ("Decrypt", {}, "ValidationException"),
    ],
)
def test_what_is_not_supported_is_refused_and_never_ignored(
    world: World, operation: str, params: dict[str, Any], code: str
) -> None:
    assert denied(world, operation, KeyId=world.create_key(), **params)[0] == code


def test_random_bytes(world: World) -> None:
    assert len(world.do("GenerateRandom", NumberOfBytes=1024)["Plaintext"]) == 1024
    assert denied(world, "GenerateRandom") == ("ValidationException", "NumberOfBytes is required.")
    assert denied(world, "GenerateRandom", NumberOfBytes=1, CustomKeyStoreId="c")[0] == "UnsupportedOperationException"


def test_uses_are_counted_by_operation(world: World) -> None:
    key_id = world.create_key()
    blob = encrypt(world, key_id)
    world.do("Decrypt", CiphertextBlob=blob)
    world.do("GenerateDataKey", KeyId=key_id, KeySpec="AES_256")
    with pytest.raises(AccessError):
        world.do("Encrypt", KeyId=key_id, Plaintext=b"x", by=ALICE)
    assert world.counted == {"Encrypt": 1, "Decrypt": 1, "GenerateDataKey": 1}


def test_another_account_may_use_a_key_that_admits_it(world: World) -> None:
    admits = statement(principal={"AWS": f"arn:aws:iam::{THEIRS}:root"}, action=["kms:Encrypt", "kms:Decrypt"])
    key_id = world.create_key(Policy=policy(admits))
    arn = f"arn:aws:kms:{REGION}:{OURS}:key/{key_id}"
    blob = world.do("Encrypt", by=OTHER_ROOT, KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    assert world.do("Decrypt", by=OTHER_ROOT, CiphertextBlob=blob)["KeyId"] == arn
    assert denied(world, "Encrypt", by=MALLORY, KeyId=arn, Plaintext=b"x")[0] == "AccessDeniedException"
    by_id = denied(world, "Encrypt", by=OTHER_ROOT, KeyId=key_id, Plaintext=b"x")
    assert by_id == ("NotFoundException", f"Key 'arn:aws:kms:{REGION}:{THEIRS}:key/{key_id}' does not exist")

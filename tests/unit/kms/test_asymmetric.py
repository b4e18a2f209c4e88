"""Keys with a public half and HMAC keys, checked with the public half alone, outside of the KMS."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from s3al.errors import RequestError
from s3al.kms.key_specs import SPECS
from unit.kms.examples import AGREEING, MAC, SIGNING
from unit.kms.world import ALICE, BUCKET, World, model, policy, refusal, statement

RSA_SIGNS = {"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY"}
RSA_OPENS = {"KeySpec": "RSA_2048", "KeyUsage": "ENCRYPT_DECRYPT"}
MESSAGE = b"a message"


def refuses(world: World, operation: str, **params: Any) -> tuple[str, str]:
    with pytest.raises(RequestError) as raised:
        world.do(operation, **params)
    return refusal(raised)


def public_key(world: World, key_id: str) -> Any:
    return load_der_public_key(world.do("GetPublicKey", KeyId=key_id)["PublicKey"])


def test_specs_and_algorithms_are_those_of_the_model() -> None:
    def values(shape: str) -> set[str]:
        return set(model().shape_for(shape).enum)

    newer = {"ML_KEM_512", "ML_KEM_768", "ML_KEM_1024"}  # than some models that may be installed
    assert set(SPECS) == (values("KeySpec") | newer) - {"SM2"}
    usages = list(SPECS.values())
    assert {usage for each in usages for usage in each} == values("KeyUsageType") | {"ENCAPSULATE_DECAPSULATE"}
    named = {algorithm for each in usages for algorithms in each.values() for algorithm in algorithms}
    modelled = (
        values("EncryptionAlgorithmSpec")
        | values("SigningAlgorithmSpec")
        | values("MacAlgorithmSpec")
        | values("KeyAgreementAlgorithmSpec")
    )
    assert modelled - named == {"SM2PKE", "SM2DSA", "ED25519_PH_SHA_512"}


RSA_SCHEMES = [
    (f"RSASSA_{name}_SHA_{bits}", getattr(hashes, f"SHA{bits}"), name == "PSS")
    for name in ("PSS", "PKCS1_V1_5")
    for bits in (256, 384, 512)
]


def test_rsa_signatures_verify_elsewhere_with_a_salt_as_long_as_the_digest(world: World) -> None:
    key_id = world.create_key(**RSA_SIGNS)
    public = public_key(world, key_id)
    assert isinstance(public, rsa.RSAPublicKey)
    for algorithm, digest, pss in RSA_SCHEMES:
        asked = {"KeyId": key_id, "SigningAlgorithm": algorithm}
        signature = world.do("Sign", Message=MESSAGE, **asked)["Signature"]
        scheme = padding.PSS(padding.MGF1(digest()), digest.digest_size) if pss else padding.PKCS1v15()
        public.verify(signature, MESSAGE, scheme, digest())
        hashed = hashlib.new(digest.name, MESSAGE).digest()
        as_digest = {"Message": hashed, "MessageType": "DIGEST"}
        assert world.do("Verify", Signature=signature, **as_digest, **asked)["SignatureValid"] is True
        if not pss:
            assert world.do("Sign", **as_digest, **asked)["Signature"] == signature


@pytest.mark.parametrize(
    ("spec", "algorithm", "digest"),
    [
        ("ECC_NIST_P256", "ECDSA_SHA_256", hashes.SHA256()),
        ("ECC_NIST_P384", "ECDSA_SHA_384", hashes.SHA384()),
        ("ECC_NIST_P521", "ECDSA_SHA_512", hashes.SHA512()),
        ("ECC_SECG_P256K1", "ECDSA_SHA_256", hashes.SHA256()),
    ],
)
def test_ecdsa_signatures_verify_elsewhere(world: World, spec: str, algorithm: str, digest: Any) -> None:
    key_id = world.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")
    described = world.do("DescribeKey", KeyId=key_id)["KeyMetadata"]
    assert described["SigningAlgorithms"] == [algorithm]
    assert "CurrentKeyMaterialId" not in described
    signature = world.do("Sign", KeyId=key_id, Message=MESSAGE, SigningAlgorithm=algorithm)["Signature"]
    public_key(world, key_id).verify(signature, MESSAGE, ec.ECDSA(digest))


def test_ed25519_signs_raw_messages_alone(world: World) -> None:
    key_id = world.create_key(KeySpec="ECC_NIST_EDWARDS25519", KeyUsage="SIGN_VERIFY")
    asked = {"KeyId": key_id, "Message": MESSAGE, "SigningAlgorithm": "ED25519_SHA_512"}
    signature = world.do("Sign", **asked)["Signature"]
    public = public_key(world, key_id)
    assert isinstance(public, ed25519.Ed25519PublicKey)
    public.verify(signature, MESSAGE)
    assert world.do("Verify", Signature=signature, **asked)["SignatureValid"]
    assert refuses(world, "Sign", MessageType="DIGEST", **asked)[0] == "ValidationException"
    prehashed = {**asked, "SigningAlgorithm": "ED25519_PH_SHA_512"}
    assert refuses(world, "Sign", **prehashed)[0] == "InvalidKeyUsageException"


@pytest.mark.parametrize("spec", ["ML_DSA_44", "ML_DSA_65", "ML_DSA_87"])
def test_ml_dsa_signs_messages_and_their_representatives(world: World, spec: str) -> None:
    pytest.importorskip("cryptography.hazmat.primitives.asymmetric.mldsa")
    key_id = world.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")
    asked = {"KeyId": key_id, "Message": MESSAGE, "SigningAlgorithm": "ML_DSA_SHAKE_256"}
    signature = world.do("Sign", **asked)["Signature"]
    public = public_key(world, key_id)
    public.verify(signature, MESSAGE)
    assert world.do("Verify", Signature=signature, **asked)["SignatureValid"]
    # FIPS 204, section 6.2: mu = SHAKE256(SHAKE256(public key, 64) | 0x00 | 0x00 | message, 64)
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    mu = hashlib.shake_256(hashlib.shake_256(raw).digest(64) + b"\0\0" + MESSAGE).digest(64)
    by_mu = {**asked, "Message": mu, "MessageType": "EXTERNAL_MU"}
    assert world.do("Verify", Signature=signature, **by_mu)["SignatureValid"]
    public.verify(world.do("Sign", **by_mu)["Signature"], MESSAGE)
    assert refuses(world, "Sign", **{**by_mu, "Message": mu[1:]})[0] == "ValidationException"
    assert refuses(world, "Sign", MessageType="DIGEST", **asked)[0] == "ValidationException"


@pytest.mark.parametrize(("spec", "length"), [("ML_KEM_768", 1088), ("ML_KEM_1024", 1568)])
def test_a_secret_that_was_encapsulated_comes_out_again_and_what_was_altered_gives_another(
    world: World, spec: str, length: int
) -> None:
    pytest.importorskip("cryptography.hazmat.primitives.asymmetric.mlkem")
    key_id = world.create_key(KeySpec=spec, KeyUsage="ENCAPSULATE_DECAPSULATE")
    asked = {"KeyId": key_id, "EncapsulationAlgorithm": "ML_KEM"}
    made = world.do("Encapsulate", **asked)
    blob = made["SharedSecretCiphertextBlob"]
    assert (len(made["SharedSecret"]), len(blob)) == (32, length)
    assert world.do("Decapsulate", SharedSecretCiphertextBlob=blob, **asked)["SharedSecret"] == made["SharedSecret"]
    elsewhere, sealed = public_key(world, key_id).encapsulate()
    assert world.do("Decapsulate", SharedSecretCiphertextBlob=sealed, **asked)["SharedSecret"] == elsewhere
    altered = blob[:-1] + bytes([blob[-1] ^ 1])
    other = world.do("Decapsulate", SharedSecretCiphertextBlob=altered, **asked)["SharedSecret"]
    assert len(other) == 32
    assert other != made["SharedSecret"]
    short = {"SharedSecretCiphertextBlob": blob[:-1], **asked}
    assert refuses(world, "Decapsulate", **short) == ("InvalidCiphertextException", "")
    assert refuses(world, "Encapsulate", DryRun=True, **asked)[0] == "DryRunOperationException"


def test_a_spec_that_the_library_does_not_have_makes_no_key(world: World) -> None:
    mlkem = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.mlkem")
    if hasattr(mlkem, "MLKEM512PrivateKey"):
        pytest.skip("this library has it")
    asked = {"KeySpec": "ML_KEM_512", "KeyUsage": "ENCAPSULATE_DECAPSULATE"}
    assert refuses(world, "CreateKey", **asked)[0] == "UnsupportedOperationException"
    assert world.do("ListKeys")["Keys"] == []


def test_a_signature_that_does_not_verify_is_an_error(world: World) -> None:
    key_id = world.create_key(**SIGNING)
    asked = {"KeyId": key_id, "SigningAlgorithm": "ECDSA_SHA_256"}
    signature = world.do("Sign", Message=MESSAGE, **asked)["Signature"]
    for message, given in (
        (b"another", signature),
        (MESSAGE, signature[:-1] + bytes([signature[-1] ^ 1])),
        (MESSAGE, b"x"),
    ):
        assert refuses(world, "Verify", Message=message, Signature=given, **asked) == (
            "KMSInvalidSignatureException",
            "",
        )
    short = {"Message": b"short", "MessageType": "DIGEST", **asked}
    assert refuses(world, "Sign", **short) == (
        "ValidationException",
        "Digest is invalid length for algorithm ECDSA_SHA_256.",
    )
    assert refuses(world, "Sign", Message=b"x" * 64, MessageType="EXTERNAL_MU", **asked)[0] == "ValidationException"


@pytest.mark.parametrize("algorithm", ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"])
def test_rsa_encrypts_and_decrypts_to_its_greatest_length(world: World, algorithm: str) -> None:
    key_id = world.create_key(**RSA_OPENS)
    arn = world.row(key_id).arn
    most = {"RSAES_OAEP_SHA_1": 214, "RSAES_OAEP_SHA_256": 190}[algorithm]
    asked = {"KeyId": key_id, "EncryptionAlgorithm": algorithm}
    sealed = world.do("Encrypt", Plaintext=b"p" * most, **asked)
    assert sealed["EncryptionAlgorithm"] == algorithm
    opened = world.do("Decrypt", CiphertextBlob=sealed["CiphertextBlob"], **asked)
    assert opened == {"KeyId": arn, "Plaintext": b"p" * most, "EncryptionAlgorithm": algorithm}
    assert refuses(world, "Encrypt", Plaintext=b"p" * (most + 1), **asked) == (
        "ValidationException",
        f"Algorithm {algorithm} and key spec RSA_2048 cannot encrypt data larger than {most} bytes.",
    )
    digest = hashes.SHA1() if algorithm.endswith("_1") else hashes.SHA256()
    elsewhere = public_key(world, key_id).encrypt(b"x", padding.OAEP(padding.MGF1(digest), digest, None))
    assert world.do("Decrypt", CiphertextBlob=elsewhere, **asked)["Plaintext"] == b"x"
    for broken in (elsewhere[:-1], b"x", bytes(256)):
        assert refuses(world, "Decrypt", CiphertextBlob=broken, **asked) == ("InvalidCiphertextException", "")
    no_key = {"CiphertextBlob": elsewhere, "EncryptionAlgorithm": algorithm}
    assert refuses(world, "Decrypt", **no_key)[0] == "ValidationException"
    paired = {"EncryptionContext": {"a": "b"}, "Plaintext": b"x", **asked}
    assert refuses(world, "Encrypt", **paired)[0] == "ValidationException"
    dry = {"CiphertextBlob": elsewhere, "DryRun": True, **asked}
    assert refuses(world, "Decrypt", **dry)[0] == "DryRunOperationException"


def test_re_encrypt_goes_from_rsa_to_symmetric_and_back(world: World) -> None:
    rsa_key, key_id = world.create_key(**RSA_OPENS), world.create_key()
    oaep = "RSAES_OAEP_SHA_256"
    blob = world.do("Encrypt", KeyId=rsa_key, Plaintext=b"x", EncryptionAlgorithm=oaep)["CiphertextBlob"]
    there = world.do(
        "ReEncrypt",
        CiphertextBlob=blob,
        SourceKeyId=rsa_key,
        SourceEncryptionAlgorithm=oaep,
        DestinationKeyId=key_id,
        DestinationEncryptionContext={"a": "b"},
    )
    assert "SourceKeyMaterialId" not in there
    assert there["DestinationKeyMaterialId"]
    back = world.do(
        "ReEncrypt",
        CiphertextBlob=there["CiphertextBlob"],
        SourceEncryptionContext={"a": "b"},
        DestinationKeyId=rsa_key,
        DestinationEncryptionAlgorithm=oaep,
    )
    opened = world.do("Decrypt", KeyId=rsa_key, CiphertextBlob=back["CiphertextBlob"], EncryptionAlgorithm=oaep)
    assert opened["Plaintext"] == b"x"


@pytest.mark.parametrize(("bits", "digest"), [(224, "sha224"), (256, "sha256"), (384, "sha384"), (512, "sha512")])
def test_macs_verify_and_are_of_their_length(world: World, bits: int, digest: str) -> None:
    key_id = world.create_key(KeySpec=f"HMAC_{bits}", KeyUsage="GENERATE_VERIFY_MAC")
    asked = {"KeyId": key_id, "Message": MESSAGE, "MacAlgorithm": f"HMAC_SHA_{bits}"}
    mac = world.do("GenerateMac", **asked)["Mac"]
    assert len(mac) == bits // 8
    row = world.row(key_id)
    material = world.database.read_now(
        lambda rows: world.kms.materials.open(rows, key_id, bytes(row.current_material or b""))
    )
    assert (len(material), mac) == (bits // 8, hmac.digest(material, MESSAGE, digest))
    assert world.do("VerifyMac", Mac=mac, **asked)["MacValid"] is True
    for wrong in (mac[:-1], mac[:-1] + bytes([mac[-1] ^ 1])):
        assert refuses(world, "VerifyMac", Mac=wrong, **asked) == ("KMSInvalidMacException", "")
    other = {**asked, "MacAlgorithm": "HMAC_SHA_256" if bits != 256 else "HMAC_SHA_512"}
    assert refuses(world, "GenerateMac", **other)[0] == "InvalidKeyUsageException"


@pytest.mark.parametrize("spec", ["ECC_NIST_P256", "ECC_NIST_P384", "ECC_NIST_P521"])
def test_two_sides_derive_one_shared_secret(world: World, spec: str) -> None:
    ours = world.create_key(KeySpec=spec, KeyUsage="KEY_AGREEMENT")
    theirs = ec.generate_private_key(public_key(world, ours).curve)
    peer = theirs.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    asked = {"KeyId": ours, "KeyAgreementAlgorithm": "ECDH"}
    answer = world.do("DeriveSharedSecret", PublicKey=peer, **asked)
    assert answer["SharedSecret"] == theirs.exchange(ec.ECDH(), public_key(world, ours))
    assert answer["KeyOrigin"] == "AWS_KMS"
    other = ec.generate_private_key(ec.SECP256K1()).public_key()
    wrong = other.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for peer in (wrong, b"no key"):
        assert refuses(world, "DeriveSharedSecret", PublicKey=peer, **asked)[0] == "ValidationException"


@pytest.mark.parametrize("spec", ["RSA_2048", "ECC_NIST_P256", "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519"])
def test_a_data_key_pair_opens_with_decrypt_and_fits_together(world: World, spec: str) -> None:
    key_id = world.create_key()
    asked = {"KeyId": key_id, "KeyPairSpec": spec, "EncryptionContext": {"a": "b"}}
    pair = world.do("GenerateDataKeyPair", **asked)
    blob = pair["PrivateKeyCiphertextBlob"]
    private = world.do("Decrypt", CiphertextBlob=blob, EncryptionContext={"a": "b"})["Plaintext"]
    assert private == pair["PrivateKeyPlaintext"]
    public = load_der_private_key(private, None).public_key()
    assert public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == pair["PublicKey"]
    assert refuses(world, "Decrypt", CiphertextBlob=blob)[0] == "InvalidCiphertextException"
    assert "PrivateKeyPlaintext" not in world.do("GenerateDataKeyPairWithoutPlaintext", **asked)


UNSUITED = [
    ("Encrypt", SIGNING, {"Plaintext": b"x"}, "InvalidKeyUsageException"),
    ("Encrypt", RSA_OPENS, {"Plaintext": b"x"}, "InvalidKeyUsageException"),
    ("GenerateDataKey", RSA_OPENS, {"KeySpec": "AES_256"}, "InvalidKeyUsageException"),
    ("GenerateDataKeyPair", RSA_OPENS, {"KeyPairSpec": "ECC_NIST_P256"}, "InvalidKeyUsageException"),
    ("GenerateDataKeyPair", {}, {"KeyPairSpec": "SM2"}, "UnsupportedOperationException"),
    ("Sign", {}, {"Message": b"x", "SigningAlgorithm": "ECDSA_SHA_256"}, "InvalidKeyUsageException"),
    ("Sign", SIGNING, {"Message": b"x", "SigningAlgorithm": "ECDSA_SHA_384"}, "InvalidKeyUsageException"),
    ("Sign", AGREEING, {"Message": b"x", "SigningAlgorithm": "ECDSA_SHA_256"}, "InvalidKeyUsageException"),
    ("GenerateMac", {}, {"Message": b"x", "MacAlgorithm": "HMAC_SHA_256"}, "InvalidKeyUsageException"),
    ("DeriveSharedSecret", SIGNING, {"KeyAgreementAlgorithm": "ECDH", "PublicKey": b"x"}, "InvalidKeyUsageException"),
    ("GetPublicKey", {}, {}, "UnsupportedOperationException"),
    ("GetPublicKey", MAC, {}, "UnsupportedOperationException"),
    ("EnableKeyRotation", SIGNING, {}, "UnsupportedOperationException"),
    ("RotateKeyOnDemand", SIGNING, {}, "UnsupportedOperationException"),
]


@pytest.mark.parametrize(("operation", "kind", "params", "code"), UNSUITED)
def test_a_key_refuses_what_it_is_not_for(
    world: World, operation: str, kind: dict[str, Any], params: dict[str, Any], code: str
) -> None:
    key_id = world.create_key(**kind)
    answered, message = refuses(world, operation, KeyId=key_id, **params)
    assert answered == code
    if message.endswith(f"is not valid for {operation}."):
        assert message.startswith(world.row(key_id).arn)


def test_s3_takes_symmetric_keys_alone(world: World) -> None:
    key_id = world.create_key(**RSA_OPENS)
    with pytest.raises(RequestError) as raised:
        world.database.read_now(
            lambda rows: world.data_keys.generate(rows, world.s3(), bucket=BUCKET, kms_key=key_id, context={})
        )
    assert raised.value.code == "KMS.InvalidKeyUsageException"


def test_dry_runs_and_uses_count(world: World) -> None:
    key_id = world.create_key(**MAC)
    asked = {"KeyId": key_id, "Message": MESSAGE, "MacAlgorithm": "HMAC_SHA_256"}
    assert refuses(world, "GenerateMac", DryRun=True, **asked)[0] == "DryRunOperationException"
    assert world.counted["GenerateMac"] == 0
    world.do("GenerateMac", **asked)
    assert world.counted["GenerateMac"] == 1


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({"kms:SigningAlgorithm": "ECDSA_SHA_256"}, True),
        ({"kms:SigningAlgorithm": "ECDSA_SHA_384"}, False),
        ({"kms:MessageType": "RAW"}, True),
        ({"kms:MessageType": "DIGEST"}, False),
    ],
)
def test_conditions_on_the_algorithm_are_met(world: World, condition: dict[str, str], allowed: bool) -> None:
    may = statement(principal={"AWS": ALICE.arn}, StringEquals=condition)
    key_id = world.create_key(Policy=policy(may), **SIGNING)
    asked = {"KeyId": key_id, "Message": MESSAGE, "SigningAlgorithm": "ECDSA_SHA_256"}
    if allowed:
        assert world.do("Sign", by=ALICE, **asked)
    else:
        assert refuses(world, "Sign", by=ALICE, **asked)[0] == "AccessDeniedException"

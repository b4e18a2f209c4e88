"""boto3 on the whole key service: grants between accounts, imported material, keys with a public half, MACs, regions;
and every constraint of the model broken over HTTP."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from s3al.wire.operations import ALLOWED
from support.settings import SSE_KMS, new_account, new_bucket, new_key, refused
from support.violations import violations

pytestmark = pytest.mark.client("boto3")
CONTEXT = {"purpose": "test"}
SIGNING = {"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"}


@pytest.fixture
def kms(any_server) -> Any:
    return any_server.client("kms")


def test_a_grant_lets_another_account_use_a_key_until_it_is_retired(any_server, kms):
    account = new_account(any_server)
    key = new_key(any_server)
    theirs = account.client(any_server, "kms")
    with refused("AccessDeniedException", 400):
        theirs.encrypt(KeyId=key, Plaintext=b"x")
    granted = kms.create_grant(
        KeyId=key,
        GranteePrincipal=account.root_arn,
        RetiringPrincipal=account.root_arn,
        Operations=["Encrypt", "Decrypt"],
        Constraints={"EncryptionContextSubset": CONTEXT},
    )
    tokens = {"GrantTokens": [granted["GrantToken"]]}
    sealed = theirs.encrypt(KeyId=key, Plaintext=b"x", EncryptionContext=CONTEXT, **tokens)["CiphertextBlob"]
    with refused("AccessDeniedException", 400):
        theirs.encrypt(KeyId=key, Plaintext=b"x")
    pages = kms.get_paginator("list_grants").paginate(KeyId=key)
    assert [one["GrantId"] for page in pages for one in page["Grants"]] == [granted["GrantId"]]
    listed = theirs.get_paginator("list_retirable_grants").paginate(RetiringPrincipal=account.root_arn)
    assert [one["GrantId"] for page in listed for one in page["Grants"]] == [granted["GrantId"]]
    with refused("DryRunOperationException", 400):
        theirs.retire_grant(KeyId=key, GrantId=granted["GrantId"], DryRun=True)
    theirs.retire_grant(GrantToken=granted["GrantToken"])
    with refused("AccessDeniedException", 400):
        theirs.decrypt(KeyId=key, CiphertextBlob=sealed, EncryptionContext=CONTEXT)
    again = kms.create_grant(KeyId=key, GranteePrincipal=account.root_arn, Operations=["Decrypt"], Name="again")
    assert theirs.decrypt(KeyId=key, CiphertextBlob=sealed, EncryptionContext=CONTEXT)["Plaintext"] == b"x"
    kms.revoke_grant(KeyId=key, GrantId=again["GrantId"])
    with refused("AccessDeniedException", 400):
        theirs.decrypt(KeyId=key, CiphertextBlob=sealed, EncryptionContext=CONTEXT)


def test_objects_are_sealed_under_imported_material_and_open_when_it_is_back(any_server, kms):
    s3, bucket = any_server.client(), new_bucket(any_server)
    key = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["Arn"]

    def bring() -> str:
        given = kms.get_parameters_for_import(
            KeyId=key, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
        )
        oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        material = load_der_public_key(given["PublicKey"]).encrypt(b"m" * 32, oaep)
        answer = kms.import_key_material(
            KeyId=key,
            ImportToken=given["ImportToken"],
            EncryptedKeyMaterial=material,
            ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
        )
        return str(answer["KeyMaterialId"])

    written = {"Bucket": bucket, "Key": "a", "Body": b"x", "ServerSideEncryption": SSE_KMS, "SSEKMSKeyId": key}
    with refused("KMS.KMSInvalidStateException", 400):
        s3.put_object(**written)
    first = bring()
    s3.put_object(**written)
    kms.delete_imported_key_material(KeyId=key)
    with refused("KMS.KMSInvalidStateException", 400):
        s3.get_object(Bucket=bucket, Key="a")
    assert bring() == first
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"x"


def test_signatures_macs_secrets_and_pairs_hold_outside_of_the_server(kms):
    signer = kms.create_key(**SIGNING)["KeyMetadata"]["KeyId"]
    public = load_der_public_key(kms.get_public_key(KeyId=signer)["PublicKey"])
    asked = {"KeyId": signer, "SigningAlgorithm": "ECDSA_SHA_256"}
    signature = kms.sign(Message=b"m", **asked)["Signature"]
    public.verify(signature, b"m", ec.ECDSA(hashes.SHA256()))
    hashed = {"Message": hashlib.sha256(b"m").digest(), "MessageType": "DIGEST"}
    assert kms.verify(Signature=signature, **hashed, **asked)["SignatureValid"] is True
    with refused("KMSInvalidSignatureException", 400):
        kms.verify(Signature=signature, Message=b"n", **asked)

    macs = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    asked = {"KeyId": macs, "Message": b"m", "MacAlgorithm": "HMAC_SHA_256"}
    mac = kms.generate_mac(**asked)["Mac"]
    assert kms.verify_mac(Mac=mac, **asked)["MacValid"] is True
    with refused("KMSInvalidMacException", 400):
        kms.verify_mac(Mac=mac[:-1], **asked)

    agrees = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT")["KeyMetadata"]["KeyId"]
    ours = ec.generate_private_key(ec.SECP256R1())
    peer = ours.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    secret = kms.derive_shared_secret(KeyId=agrees, KeyAgreementAlgorithm="ECDH", PublicKey=peer)["SharedSecret"]
    assert secret == ours.exchange(ec.ECDH(), load_der_public_key(kms.get_public_key(KeyId=agrees)["PublicKey"]))

    key = kms.create_key()["KeyMetadata"]["KeyId"]
    pair = kms.generate_data_key_pair(KeyId=key, KeyPairSpec="ECC_NIST_EDWARDS25519")
    assert kms.decrypt(CiphertextBlob=pair["PrivateKeyCiphertextBlob"])["Plaintext"] == pair["PrivateKeyPlaintext"]
    hidden = kms.generate_data_key_pair_without_plaintext(KeyId=key, KeyPairSpec="ECC_NIST_P256")
    assert "PrivateKeyPlaintext" not in hidden
    assert kms.get_key_last_usage(KeyId=key)["KeyCreationDate"]

    sealer = kms.create_key(KeySpec="RSA_2048", KeyUsage="ENCRYPT_DECRYPT")["KeyMetadata"]["KeyId"]
    asked = {"KeyId": sealer, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}
    sealed = kms.encrypt(Plaintext=b"x", **asked)["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=sealed, **asked)["Plaintext"] == b"x"


def test_a_key_of_many_regions_opens_in_each_and_moves_its_primary(any_server, kms):
    there = any_server.client("kms", region_name="eu-west-1")
    key_id = kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    kms.replicate_key(KeyId=key_id, ReplicaRegion="eu-west-1")
    sealed = kms.encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    assert there.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"
    kms.update_primary_region(KeyId=key_id, PrimaryRegion="eu-west-1")
    configuration = there.describe_key(KeyId=key_id)["KeyMetadata"]["MultiRegionConfiguration"]
    assert configuration["MultiRegionKeyType"] == "PRIMARY"
    there.rotate_key_on_demand(KeyId=key_id)
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"
    with refused("UnsupportedOperationException", 400):
        kms.rotate_key_on_demand(KeyId=key_id)


def test_policies_descriptions_tags_and_schedules_are_kept(kms):
    key_id = kms.create_key(Description="a")["KeyMetadata"]["KeyId"]
    kms.update_key_description(KeyId=key_id, Description="b")
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["Description"] == "b"
    text = kms.get_key_policy(KeyId=key_id)["Policy"]
    kms.put_key_policy(KeyId=key_id, Policy=text)
    assert kms.list_key_policies(KeyId=key_id)["PolicyNames"] == ["default"]
    kms.tag_resource(KeyId=key_id, Tags=[{"TagKey": "a", "TagValue": "b"}])
    kms.untag_resource(KeyId=key_id, TagKeys=["a"])
    assert kms.list_resource_tags(KeyId=key_id)["Tags"] == []
    kms.enable_key_rotation(KeyId=key_id, RotationPeriodInDays=90)
    assert kms.get_key_rotation_status(KeyId=key_id)["RotationPeriodInDays"] == 90
    kms.disable_key_rotation(KeyId=key_id)
    kms.disable_key(KeyId=key_id)
    kms.enable_key(KeyId=key_id)
    kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    kms.cancel_key_deletion(KeyId=key_id)
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == "Disabled"


def test_the_operations_of_custom_key_stores_are_refused(kms):
    for name in ("describe_custom_key_stores", "connect_custom_key_store", "disconnect_custom_key_store"):
        given = {} if name.startswith("describe") else {"CustomKeyStoreId": "cks-1234567890abcdef0"}
        with refused("UnsupportedOperationException", 400):
            getattr(kms, name)(**given)


def test_every_constraint_of_the_model_broken_is_a_validation_error(standing_server):
    quiet = Config(parameter_validation=False, retries={"total_max_attempts": 1})
    kms = standing_server.client("kms", config=quiet)
    model = kms.meta.service_model
    sent = 0
    for operation in sorted(set(model.operation_names) & set(ALLOWED["kms"])):
        shape = model.operation_model(operation).input_shape
        for violation in violations(shape) if shape else ():
            with pytest.raises(ClientError) as raised:
                getattr(kms, xform_name(operation))(**violation.request)
            error = raised.value.response["Error"]
            assert error["Code"] == "ValidationException", (operation, violation, error)
            assert f"'{violation.member}'" in error["Message"], (operation, violation)
            sent += 1
    assert sent > 400

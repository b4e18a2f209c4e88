"""Every operation of the key service that the installed model knows, called by boto3 and answered: the lives of a few
keys, from their making to their end. What was called is recorded from the wire, not from this file."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from s3al.kms.service import OPERATIONS
from s3al.wire.operations import ALLOWED
from support.server_process import ServerProcess

pytestmark = pytest.mark.client("boto3")
ELSEWHERE = "eu-west-1"


class Recorder:
    """Which operations the clients it made got an answer from."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self.answered: set[str] = set()

    def client(self, **options: Any) -> Any:
        kms = self._server.client("kms", **options)
        kms.meta.events.register("after-call.kms.*", self._note)
        return kms

    def _note(self, http_response: Any, model: Any, **_: Any) -> None:
        if http_response.status_code == 200:
            self.answered.add(model.name)


def test_every_operation_of_the_model_answers_boto3(standing_server):
    seen = Recorder(standing_server)
    kms = seen.client()
    key_id = kms.create_key(Description="a")["KeyMetadata"]["KeyId"]
    is_used(kms, key_id)
    is_described(kms, key_id)
    is_named(kms, key_id)
    is_granted(kms, key_id)
    is_rotated_and_ends(kms, key_id)
    has_a_public_half(kms)
    is_imported(kms)
    is_in_two_regions(kms, seen.client(region_name=ELSEWHERE))
    refused = {name for name in ALLOWED["kms"] if name.endswith(("CustomKeyStore", "CustomKeyStores"))}
    assert len(refused) == 6
    assert seen.answered == set(kms.meta.service_model.operation_names) - refused
    assert seen.answered <= set(OPERATIONS)


def is_used(kms: Any, key_id: str) -> None:
    sealed = kms.encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"
    again = kms.re_encrypt(CiphertextBlob=sealed, DestinationKeyId=key_id)["CiphertextBlob"]
    made = kms.generate_data_key(KeyId=key_id, KeySpec="AES_256")
    hidden = kms.generate_data_key_without_plaintext(KeyId=key_id, KeySpec="AES_128")
    pair = kms.generate_data_key_pair(KeyId=key_id, KeyPairSpec="ECC_NIST_P256")
    secret = kms.generate_data_key_pair_without_plaintext(KeyId=key_id, KeyPairSpec="ECC_NIST_P256")
    for blob, plaintext in (
        (again, b"x"),
        (made["CiphertextBlob"], made["Plaintext"]),
        (pair["PrivateKeyCiphertextBlob"], pair["PrivateKeyPlaintext"]),
    ):
        assert kms.decrypt(CiphertextBlob=blob, KeyId=key_id)["Plaintext"] == plaintext
    assert len(kms.decrypt(CiphertextBlob=hidden["CiphertextBlob"])["Plaintext"]) == 16
    assert kms.decrypt(CiphertextBlob=secret["PrivateKeyCiphertextBlob"])["Plaintext"]
    assert kms.get_key_last_usage(KeyId=key_id)["KeyCreationDate"]
    assert len(kms.generate_random(NumberOfBytes=9)["Plaintext"]) == 9


def is_described(kms: Any, key_id: str) -> None:
    kms.update_key_description(KeyId=key_id, Description="b")
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["Description"] == "b"
    assert key_id in {key["KeyId"] for page in kms.get_paginator("list_keys").paginate() for key in page["Keys"]}
    kms.tag_resource(KeyId=key_id, Tags=[{"TagKey": "a", "TagValue": "b"}, {"TagKey": "c", "TagValue": "d"}])
    kms.untag_resource(KeyId=key_id, TagKeys=["a"])
    assert kms.list_resource_tags(KeyId=key_id)["Tags"] == [{"TagKey": "c", "TagValue": "d"}]
    kms.put_key_policy(KeyId=key_id, Policy=kms.get_key_policy(KeyId=key_id)["Policy"])
    assert kms.list_key_policies(KeyId=key_id)["PolicyNames"] == ["default"]


def is_named(kms: Any, key_id: str) -> None:
    alias = f"alias/{key_id}"
    kms.create_alias(AliasName=alias, TargetKeyId=key_id)
    kms.update_alias(AliasName=alias, TargetKeyId=key_id)
    assert [each["AliasName"] for each in kms.list_aliases(KeyId=key_id)["Aliases"]] == [alias]
    kms.delete_alias(AliasName=alias)
    assert kms.list_aliases(KeyId=key_id)["Aliases"] == []


def is_granted(kms: Any, key_id: str) -> None:
    key = kms.describe_key(KeyId=key_id)["KeyMetadata"]
    grantee = f"arn:aws:iam::{key['AWSAccountId']}:root"
    granted = [
        kms.create_grant(
            KeyId=key_id, GranteePrincipal=grantee, RetiringPrincipal=grantee, Operations=["Decrypt"], Name=name
        )["GrantId"]
        for name in ("one", "two")
    ]
    assert {grant["GrantId"] for grant in kms.list_grants(KeyId=key_id)["Grants"]} == set(granted)
    listed = kms.list_retirable_grants(RetiringPrincipal=grantee)["Grants"]
    assert {grant["GrantId"] for grant in listed} == set(granted)
    kms.revoke_grant(KeyId=key_id, GrantId=granted[0])
    kms.retire_grant(KeyId=key["Arn"], GrantId=granted[1])
    assert kms.list_grants(KeyId=key_id)["Grants"] == []


def is_rotated_and_ends(kms: Any, key_id: str) -> None:
    kms.enable_key_rotation(KeyId=key_id, RotationPeriodInDays=90)
    assert kms.get_key_rotation_status(KeyId=key_id)["KeyRotationEnabled"]
    kms.disable_key_rotation(KeyId=key_id)
    kms.rotate_key_on_demand(KeyId=key_id)
    assert [each["RotationType"] for each in kms.list_key_rotations(KeyId=key_id)["Rotations"]] == ["ON_DEMAND"]
    kms.disable_key(KeyId=key_id)
    kms.enable_key(KeyId=key_id)
    kms.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    kms.cancel_key_deletion(KeyId=key_id)
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == "Disabled"


def has_a_public_half(kms: Any) -> None:
    signer = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    asked = {"KeyId": signer, "Message": b"m", "SigningAlgorithm": "ECDSA_SHA_256"}
    signature = kms.sign(**asked)["Signature"]
    assert kms.verify(Signature=signature, **asked)["SignatureValid"]
    public = load_der_public_key(kms.get_public_key(KeyId=signer)["PublicKey"])
    public.verify(signature, b"m", ec.ECDSA(hashes.SHA256()))
    macs = kms.create_key(KeySpec="HMAC_256", KeyUsage="GENERATE_VERIFY_MAC")["KeyMetadata"]["KeyId"]
    asked = {"KeyId": macs, "Message": b"m", "MacAlgorithm": "HMAC_SHA_256"}
    assert kms.verify_mac(Mac=kms.generate_mac(**asked)["Mac"], **asked)["MacValid"]
    agrees = kms.create_key(KeySpec="ECC_NIST_P256", KeyUsage="KEY_AGREEMENT")["KeyMetadata"]["KeyId"]
    peer = ec.generate_private_key(ec.SECP256R1()).public_key()
    der = peer.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert kms.derive_shared_secret(KeyId=agrees, KeyAgreementAlgorithm="ECDH", PublicKey=der)["SharedSecret"]


def is_imported(kms: Any) -> None:
    key_id = kms.create_key(Origin="EXTERNAL")["KeyMetadata"]["KeyId"]
    given = kms.get_parameters_for_import(
        KeyId=key_id, WrappingAlgorithm="RSAES_OAEP_SHA_256", WrappingKeySpec="RSA_2048"
    )
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    kms.import_key_material(
        KeyId=key_id,
        ImportToken=given["ImportToken"],
        EncryptedKeyMaterial=load_der_public_key(given["PublicKey"]).encrypt(b"m" * 32, oaep),
        ExpirationModel="KEY_MATERIAL_DOES_NOT_EXPIRE",
    )
    kms.encrypt(KeyId=key_id, Plaintext=b"x")
    kms.delete_imported_key_material(KeyId=key_id)
    assert kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == "PendingImport"


def is_in_two_regions(kms: Any, there: Any) -> None:
    key_id = kms.create_key(MultiRegion=True)["KeyMetadata"]["KeyId"]
    kms.replicate_key(KeyId=key_id, ReplicaRegion=ELSEWHERE)
    sealed = kms.encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    assert there.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"x"
    kms.update_primary_region(KeyId=key_id, PrimaryRegion=ELSEWHERE)
    shown = there.describe_key(KeyId=key_id)["KeyMetadata"]["MultiRegionConfiguration"]
    assert shown["MultiRegionKeyType"] == "PRIMARY"

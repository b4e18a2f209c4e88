"""boto3 on the key service: keys, aliases, use, rotation, states, policies, and what they mean to objects, from every
worker and for every account."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.settings import (
    SSE_KMS,
    kms_calls,
    new_account,
    new_bucket,
    new_key,
    put_policy,
    refused,
    set_default,
)

pytestmark = pytest.mark.client("boto3")
CONTEXT = {"purpose": "test"}


@pytest.fixture
def kms(any_server) -> Any:
    return any_server.client("kms")


def test_a_key_is_made_named_described_and_listed(kms):
    key = kms.create_key(Description="a key", Tags=[{"TagKey": "a", "TagValue": "b"}])["KeyMetadata"]
    assert (key["KeyState"], key["KeyUsage"], key["KeySpec"]) == ("Enabled", "ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT")
    alias = f"alias/{key['KeyId']}"
    kms.create_alias(AliasName=alias, TargetKeyId=key["KeyId"])
    for name in (key["KeyId"], key["Arn"], alias, key["Arn"].rpartition(":key/")[0] + ":" + alias):
        assert kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == key["Arn"]
    pages = kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 3})
    assert key["KeyId"] in [one["KeyId"] for page in pages for one in page["Keys"]]
    assert [one["AliasName"] for one in kms.list_aliases(KeyId=key["KeyId"])["Aliases"]] == [alias]
    assert kms.list_resource_tags(KeyId=key["KeyId"])["Tags"] == [{"TagKey": "a", "TagValue": "b"}]
    other = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.update_alias(AliasName=alias, TargetKeyId=other)
    assert kms.describe_key(KeyId=alias)["KeyMetadata"]["KeyId"] == other
    kms.delete_alias(AliasName=alias)
    with refused("NotFoundException", 400):
        kms.describe_key(KeyId=alias)
    with refused("AlreadyExistsException", 400):
        kms.create_alias(AliasName=f"{alias}-2", TargetKeyId=other)
        kms.create_alias(AliasName=f"{alias}-2", TargetKeyId=other)


def test_what_is_encrypted_opens_under_its_context_alone(kms):
    key = kms.create_key()["KeyMetadata"]["Arn"]
    sealed = kms.encrypt(KeyId=key, Plaintext=b"secret", EncryptionContext=CONTEXT)["CiphertextBlob"]
    opened = kms.decrypt(CiphertextBlob=sealed, EncryptionContext=CONTEXT)
    assert (opened["Plaintext"], opened["KeyId"]) == (b"secret", key)
    another = kms.create_key()["KeyMetadata"]["Arn"]
    for wrong in (
        {"CiphertextBlob": sealed},
        {"CiphertextBlob": sealed, "EncryptionContext": {"purpos": "etest"}},
        {"CiphertextBlob": sealed[:-1], "EncryptionContext": CONTEXT},
        {"CiphertextBlob": b"foreign", "EncryptionContext": CONTEXT},
        {"CiphertextBlob": sealed[:-1] + bytes([sealed[-1] ^ 1]), "EncryptionContext": CONTEXT},
    ):
        with refused("InvalidCiphertextException", 400):
            kms.decrypt(**wrong)
    with refused("IncorrectKeyException", 400):
        kms.decrypt(CiphertextBlob=sealed, EncryptionContext=CONTEXT, KeyId=another)
    moved = kms.re_encrypt(CiphertextBlob=sealed, SourceEncryptionContext=CONTEXT, DestinationKeyId=another)
    assert (moved["SourceKeyId"], moved["KeyId"]) == (key, another)
    assert kms.decrypt(CiphertextBlob=moved["CiphertextBlob"])["Plaintext"] == b"secret"
    made = kms.generate_data_key(KeyId=key, KeySpec="AES_256", EncryptionContext=CONTEXT)
    assert (
        kms.decrypt(CiphertextBlob=made["CiphertextBlob"], EncryptionContext=CONTEXT)["Plaintext"] == made["Plaintext"]
    )
    hidden = kms.generate_data_key_without_plaintext(KeyId=key, NumberOfBytes=100)
    assert "Plaintext" not in hidden
    assert len(kms.decrypt(CiphertextBlob=hidden["CiphertextBlob"])["Plaintext"]) == 100
    assert len(kms.generate_random(NumberOfBytes=64)["Plaintext"]) == 64
    with refused("DryRunOperationException"):
        kms.encrypt(KeyId=key, Plaintext=b"x", DryRun=True)
    with refused("ValidationException", 400):
        kms.encrypt(KeyId=key, Plaintext=bytes(4097))


def test_objects_written_between_twenty_rotations_all_open(standing_server):
    s3, kms = standing_server.client(), standing_server.client("kms")
    bucket, key = new_bucket(standing_server, owner=s3), new_key(standing_server)
    blobs = []
    for number in range(21):
        s3.put_object(
            Bucket=bucket,
            Key=f"{number}",
            Body=str(number).encode() * 99,
            ServerSideEncryption=SSE_KMS,
            SSEKMSKeyId=key,
            BucketKeyEnabled=bool(number % 2),
        )
        blobs.append(kms.encrypt(KeyId=key, Plaintext=str(number).encode())["CiphertextBlob"])
        if number < 20:
            kms.rotate_key_on_demand(KeyId=key)
    rotations = kms.get_paginator("list_key_rotations").paginate(KeyId=key)
    assert len([one for page in rotations for one in page["Rotations"]]) == 20
    for number in range(21):
        assert s3.get_object(Bucket=bucket, Key=f"{number}")["Body"].read() == str(number).encode() * 99
        assert kms.decrypt(CiphertextBlob=blobs[number])["Plaintext"] == str(number).encode()


def test_a_key_that_cannot_be_used_closes_its_objects_on_every_worker(server_with_workers):
    server = server_with_workers
    s3, kms = server.client(), server.client("kms")
    bucket, key = new_bucket(server, owner=s3), new_key(server)
    for bucket_key in (False, True):
        s3.put_object(
            Bucket=bucket,
            Key=f"{bucket_key}",
            Body=b"x",
            ServerSideEncryption=SSE_KMS,
            SSEKMSKeyId=key,
            BucketKeyEnabled=bucket_key,
        )

    clients = server.clients_on_every_worker()

    def everywhere(code: str | None) -> None:
        for client in clients:
            for bucket_key in (False, True):
                if code:
                    with refused(code, 400):
                        client.get_object(Bucket=bucket, Key=f"{bucket_key}")
                    with refused(code, 400):
                        client.put_object(Bucket=bucket, Key="new", ServerSideEncryption=SSE_KMS, SSEKMSKeyId=key)
                else:
                    assert client.get_object(Bucket=bucket, Key=f"{bucket_key}")["Body"].read() == b"x"

    everywhere(None)
    kms.disable_key(KeyId=key)
    everywhere("KMS.DisabledException")
    kms.enable_key(KeyId=key)
    everywhere(None)
    kms.schedule_key_deletion(KeyId=key, PendingWindowInDays=7)
    everywhere("KMS.KMSInvalidStateException")
    kms.cancel_key_deletion(KeyId=key)
    everywhere("KMS.DisabledException")
    kms.enable_key(KeyId=key)
    everywhere(None)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 2


def test_bucket_keys_save_99_of_100_calls(server_with_workers):
    server = server_with_workers
    s3 = server.client()
    bucket, key = new_bucket(server, owner=s3), new_key(server)
    set_default(s3, bucket, SSE_KMS, key, bucket_key=True)
    before = kms_calls(server)
    for number in range(1000):
        told = s3.put_object(Bucket=bucket, Key=f"{number}", Body=b"x")
    assert (told["BucketKeyEnabled"], told["SSEKMSKeyId"]) == (True, key)
    made = kms_calls(server).get("GenerateDataKey", 0) - before.get("GenerateDataKey", 0)
    assert 1 <= made <= 10
    set_default(s3, bucket, SSE_KMS, key, bucket_key=False)
    before = kms_calls(server)
    for number in range(10):
        s3.put_object(Bucket=bucket, Key=f"{number}", Body=b"x")
    assert kms_calls(server)["GenerateDataKey"] - before["GenerateDataKey"] == 10


def test_a_right_revoked_behind_a_cached_bucket_key_is_gone_on_the_next_request(server_with_workers):
    server = server_with_workers
    owner, kms, account = server.client(), server.client("kms"), new_account(server)
    bucket = new_bucket(server, owner=owner)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    put_policy(
        owner,
        bucket,
        {
            "Effect": "Allow",
            "Principal": {"AWS": account.root_arn},
            "Action": "s3:*",
            "Resource": f"arn:aws:s3:::{bucket}/*",
        },
    )
    set_default(owner, bucket, SSE_KMS, key, bucket_key=True)
    mine = {"Effect": "Allow", "Principal": {"AWS": key.split(":")[4]}, "Action": "kms:*", "Resource": "*"}
    theirs = {
        "Effect": "Allow",
        "Principal": {"AWS": account.root_arn},
        "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
        "Resource": "*",
        "Condition": {"StringEquals": {"kms:ViaService": "s3.us-east-1.amazonaws.com"}},
    }

    def set_policy(*statements: dict[str, Any]) -> None:
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        kms.put_key_policy(KeyId=key, PolicyName="default", Policy=policy)

    clients = [account.client(server) for _ in range(12)]
    with refused("AccessDenied", 403):
        clients[0].put_object(Bucket=bucket, Key="key", Body=b"x")
    for _ in range(3):
        set_policy(mine, theirs)
        for client in clients:
            client.put_object(Bucket=bucket, Key="key", Body=b"x")
            assert client.get_object(Bucket=bucket, Key="key")["Body"].read() == b"x"
        with refused("AccessDeniedException", 400):
            account.client(server, "kms").decrypt(
                CiphertextBlob=kms.encrypt(KeyId=key, Plaintext=b"x")["CiphertextBlob"]
            )
        set_policy(mine)
        for client in clients:
            with refused("AccessDenied", 403):
                client.put_object(Bucket=bucket, Key="key", Body=b"x")
            with refused("AccessDenied", 403):
                client.get_object(Bucket=bucket, Key="key")
    assert owner.get_object(Bucket=bucket, Key="key")["Body"].read() == b"x"


def test_the_managed_key_admits_its_account_alone_and_only_through_s3(any_server, kms, s3, bucket):
    account = new_account(any_server)
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", ServerSideEncryption=SSE_KMS)
    put_policy(
        s3,
        bucket,
        {
            "Effect": "Allow",
            "Principal": {"AWS": account.root_arn},
            "Action": "s3:*",
            "Resource": f"arn:aws:s3:::{bucket}/*",
        },
    )
    with refused("AccessDenied", 403):
        account.client(any_server).get_object(Bucket=bucket, Key="key")
    with refused("AccessDeniedException", 400):
        kms.encrypt(KeyId="alias/aws/s3", Plaintext=b"x")
    for refusal in (kms.disable_key, kms.schedule_key_deletion):
        with refused("AccessDeniedException", 400):
            refusal(KeyId=kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["KeyId"])


def test_keys_of_other_accounts_and_regions_do_not_open(any_server, s3, bucket):
    account = new_account(any_server)
    theirs = account.client(any_server, "kms").create_key()["KeyMetadata"]["Arn"]
    elsewhere = any_server.client("kms", region_name="eu-central-1").create_key()["KeyMetadata"]["Arn"]
    assert ":eu-central-1:" in elsewhere
    with refused("AccessDenied", 403):
        s3.put_object(Bucket=bucket, Key="key", Body=b"x", ServerSideEncryption=SSE_KMS, SSEKMSKeyId=theirs)
    with refused("KMS.NotFoundException", 400):
        s3.put_object(Bucket=bucket, Key="key", Body=b"x", ServerSideEncryption=SSE_KMS, SSEKMSKeyId=elsewhere)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0

"""UpdateObjectEncryption: what it takes, what it refuses, and that nothing but the envelope changes."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.house import House, open_house
from support.modes import mode_of
from support.settings import allow_sse_c, put_policy

BUCKET = "updated"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("house")) as opened:
        s3 = opened.client()
        s3.create_bucket(Bucket=BUCKET)
        allow_sse_c(s3, BUCKET)
        yield opened
        assert [event["at"] for event in opened.events("unforeseen")] == []


@pytest.fixture(scope="module")
def keys(house: House) -> list[str]:
    return [house.client("kms").create_key()["KeyMetadata"]["Arn"] for _ in range(2)]


def update(house: House, object_key: str, key_arn: str, **options: Any) -> Any:
    return house.client().update_object_encryption(
        Bucket=BUCKET, Key=object_key, ObjectEncryption={"SSEKMS": {"KMSKeyArn": key_arn, **options}}
    )


def refusal(house: House, object_key: str, key_arn: str) -> tuple[int, str]:
    with pytest.raises(ClientError) as refused:
        update(house, object_key, key_arn)
    response = refused.value.response
    return response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]


KEPT = (
    "ETag",
    "LastModified",
    "ContentLength",
    "ContentType",
    "Metadata",
    "TagCount",
    "ChecksumSHA256",
    "ChecksumType",
)


@pytest.mark.parametrize("size", [100, 300_000])
@pytest.mark.parametrize("name", ["sse-s3", "sse-kms", "sse-kms with a bucket key"])
@pytest.mark.parametrize("bucket_key", [False, True])
def test_only_the_key_changes(house: House, keys: list[str], name: str, bucket_key: bool, size: int) -> None:
    s3, body = house.client(), secrets.token_bytes(size)
    s3.put_object(
        Bucket=BUCKET, Key="k", Body=body, Metadata={"a": "b"}, ContentType="text/x", Tagging="t=1",
        ChecksumAlgorithm="SHA256", **mode_of(name, keys[0]).put,
    )  # fmt: skip
    streams = "SELECT stream_id, blob_name FROM streams s JOIN versions v ON v.object_id = s.object_id"
    stored = house.workers[0].s3.db.read_now(lambda rows: rows.all(streams))
    before = s3.get_object(Bucket=BUCKET, Key="k", ChecksumMode="ENABLED")
    update(house, "k", keys[1], BucketKeyEnabled=bucket_key)
    after = s3.get_object(Bucket=BUCKET, Key="k", ChecksumMode="ENABLED")
    assert after["Body"].read() == body
    assert {member: after[member] for member in KEPT} == {member: before[member] for member in KEPT}
    assert (after["ServerSideEncryption"], after["SSEKMSKeyId"]) == ("aws:kms", keys[1])
    assert after.get("BucketKeyEnabled", False) is bucket_key
    assert house.workers[0].s3.db.read_now(lambda rows: rows.all(streams)) == stored


@pytest.mark.parametrize("name", ["dsse-kms", "sse-c"])
def test_dsse_and_customer_keys_are_refused(house: House, keys: list[str], name: str) -> None:
    house.client().put_object(Bucket=BUCKET, Key=name, Body=b"body", **mode_of(name, keys[0]).put)
    assert refusal(house, name, keys[1]) == (400, "InvalidRequest")


TARGETS = {
    "an id": ("{id}", (400, "InvalidRequest")),
    "an alias": ("alias/an-alias-of-some-length", (400, "InvalidRequest")),
    "an alias ARN": ("arn:aws:kms:us-east-1:{account}:alias/a", (400, "InvalidRequest")),
    "another account's": ("arn:aws:kms:us-east-1:000000000000:key/{id}", (403, "AccessDenied")),
    "no such key": ("arn:aws:kms:us-east-1:{account}:key/00000000-0000-0000-0000-000000000000",
                    (400, "KMS.NotFoundException")),
    "another region's": ("arn:aws:kms:eu-west-1:{account}:key/{id}", (400, "KMS.NotFoundException")),
}  # fmt: skip


@pytest.mark.parametrize("target", TARGETS)
def test_only_the_full_arn_of_a_key_of_the_same_account_is_taken(house: House, keys: list[str], target: str) -> None:
    template, expected = TARGETS[target]
    account, key_id = keys[0].split(":")[4], keys[0].rpartition("/")[2]
    house.client().put_object(Bucket=BUCKET, Key="target", Body=b"body")
    assert refusal(house, "target", template.format(account=account, id=key_id)) == expected
    assert house.client().head_object(Bucket=BUCKET, Key="target")["ServerSideEncryption"] == "AES256"


def test_what_is_not_there_cannot_be_updated(house: House, keys: list[str]) -> None:
    assert refusal(house, "nothing", keys[0]) == (404, "NoSuchKey")


def test_a_disabled_key_is_refused_as_source_and_as_target(house: House, keys: list[str]) -> None:
    kms, s3 = house.client("kms"), house.client()
    disabled = kms.create_key()["KeyMetadata"]["Arn"]
    s3.put_object(Bucket=BUCKET, Key="source", Body=b"body", ServerSideEncryption="aws:kms", SSEKMSKeyId=disabled)
    s3.put_object(Bucket=BUCKET, Key="target", Body=b"body")
    kms.disable_key(KeyId=disabled)
    assert refusal(house, "source", keys[0]) == (400, "KMS.DisabledException")
    assert refusal(house, "target", disabled) == (400, "KMS.DisabledException")
    kms.enable_key(KeyId=disabled)
    assert s3.get_object(Bucket=BUCKET, Key="source")["Body"].read() == b"body"


def test_it_has_an_action_of_its_own(house: House, keys: list[str]) -> None:
    s3 = house.client()
    s3.put_object(Bucket=BUCKET, Key="denied", Body=b"body")
    put_policy(s3, BUCKET, {"Effect": "Deny", "Principal": "*", "Action": "s3:UpdateObjectEncryption",
                            "Resource": f"arn:aws:s3:::{BUCKET}/denied"})  # fmt: skip
    try:
        assert refusal(house, "denied", keys[0]) == (403, "AccessDenied")
    finally:
        s3.delete_bucket_policy(Bucket=BUCKET)


def test_multipart_objects_and_old_versions_are_updated_too(house: House, keys: list[str]) -> None:
    s3, bucket = house.client(), "updated-versions"
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    place, bodies = {"Bucket": bucket, "Key": "k"}, (bytes(5 << 20), b"last")
    upload_id = s3.create_multipart_upload(**place)["UploadId"]
    parts = [
        {"PartNumber": number,
         "ETag": s3.upload_part(**place, UploadId=upload_id, PartNumber=number, Body=body)["ETag"]}
        for number, body in enumerate(bodies, 1)
    ]  # fmt: skip
    done = s3.complete_multipart_upload(**place, UploadId=upload_id, MultipartUpload={"Parts": parts})
    newer = s3.put_object(**place, Body=b"newer")["VersionId"]
    encryption = {"SSEKMS": {"KMSKeyArn": keys[0]}}
    s3.update_object_encryption(**place, VersionId=done["VersionId"], ObjectEncryption=encryption)
    found = s3.get_object(**place, VersionId=done["VersionId"])
    assert (found["SSEKMSKeyId"], found["ETag"]) == (keys[0], done["ETag"])
    assert found["Body"].read() == b"".join(bodies)
    assert s3.get_object(**place, VersionId=newer)["ServerSideEncryption"] == "AES256"

"""boto3 on the ways of encrypting at the server: which key is chosen, what is refused, copies from any to any."""

from __future__ import annotations

import base64
import itertools
import os
from typing import Any

import pytest

from support.settings import (
    DSSE_KMS,
    SSE_KMS,
    allow_sse_c,
    new_account,
    new_bucket,
    new_key,
    put_policy,
    refused,
    set_default,
)

pytestmark = pytest.mark.client("boto3")
MIB = 1 << 20
CUSTOMER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": bytes(range(32))}
OTHER_CUSTOMER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": bytes(range(1, 33))}
ENCODED_KEY = base64.b64encode(bytes(range(32))).decode()  # boto3 encodes only what comes without an MD5
MODES: dict[str, dict[str, Any]] = {
    "SSE-S3": {"ServerSideEncryption": "AES256"},
    "SSE-KMS": {"ServerSideEncryption": SSE_KMS},
    "SSE-KMS, Bucket Key": {"ServerSideEncryption": SSE_KMS, "BucketKeyEnabled": True},
    "DSSE-KMS": {"ServerSideEncryption": DSSE_KMS},
    "SSE-C": CUSTOMER,
}


@pytest.fixture(scope="module")
def key(standing_server) -> str:
    return new_key(standing_server)


def _reading(mode: str) -> dict[str, Any]:
    return CUSTOMER if mode == "SSE-C" else {}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [0, 100, 3 * MIB + 1])
def test_an_object_of_every_mode_comes_back(standing_tls_server, mode, size):
    s3 = standing_tls_server.client()
    bucket = new_bucket(standing_tls_server, owner=s3)
    allow_sse_c(s3, bucket)
    content = os.urandom(size)
    told = s3.put_object(Bucket=bucket, Key="key", Body=content, Metadata={"m": "1"}, **MODES[mode])
    got = s3.get_object(Bucket=bucket, Key="key", **_reading(mode))
    assert (got["Body"].read(), got["Metadata"]) == (content, {"m": "1"})
    head = s3.head_object(Bucket=bucket, Key="key", **_reading(mode))
    for member in ("ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled", "SSECustomerAlgorithm"):
        assert told.get(member) == got.get(member) == head.get(member)
    assert head.get("ServerSideEncryption") == MODES[mode].get("ServerSideEncryption")
    if size:
        ranged = s3.get_object(Bucket=bucket, Key="key", Range=f"bytes={size // 2}-{size // 2 + 9}", **_reading(mode))
        assert ranged["Body"].read() == content[size // 2 : size // 2 + 10]


@pytest.mark.parametrize("mode", MODES)
def test_an_upload_in_parts_of_every_mode(standing_tls_server, mode):
    s3 = standing_tls_server.client()
    bucket = new_bucket(standing_tls_server, owner=s3)
    allow_sse_c(s3, bucket)
    pieces = [os.urandom(5 * MIB), os.urandom(1000)]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="key", **MODES[mode])["UploadId"]
    where = {"Bucket": bucket, "Key": "key", "UploadId": upload}
    if mode == "SSE-C":
        with refused("InvalidRequest", 400):
            s3.upload_part(**where, PartNumber=1, Body=b"no key")
        with refused("InvalidRequest", 400):
            s3.upload_part(**where, PartNumber=1, Body=b"another key", **OTHER_CUSTOMER)
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**where, PartNumber=number, Body=piece, **_reading(mode))["ETag"]}
        for number, piece in enumerate(pieces, 1)
    ]
    s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    got = s3.get_object(Bucket=bucket, Key="key", **_reading(mode))
    assert got["Body"].read() == b"".join(pieces)
    assert got.get("ServerSideEncryption") == MODES[mode].get("ServerSideEncryption")


def test_copies_between_any_two_modes(standing_tls_server):
    s3 = standing_tls_server.client()
    bucket = new_bucket(standing_tls_server, owner=s3)
    allow_sse_c(s3, bucket)
    content = os.urandom(200_000)
    for mode, request in MODES.items():
        s3.put_object(Bucket=bucket, Key=mode, Body=content, **request)
    for source, target in itertools.product(MODES, MODES):
        opening = {f"CopySource{name}": value for name, value in _reading(source).items()}
        s3.copy_object(
            Bucket=bucket,
            Key=f"{source} as {target}",
            CopySource={"Bucket": bucket, "Key": source},
            **opening,
            **MODES[target],
        )
        got = s3.get_object(Bucket=bucket, Key=f"{source} as {target}", **_reading(target))
        assert got["Body"].read() == content
        assert got.get("ServerSideEncryption") == MODES[target].get("ServerSideEncryption")


def test_the_key_is_chosen_by_header_then_by_the_bucket(standing_server, key):
    s3, kms = standing_server.client(), standing_server.client("kms")
    bucket = new_bucket(standing_server, owner=s3)
    default = new_key(standing_server)
    alias = f"alias/journey-{bucket}"
    kms.create_alias(AliasName=alias, TargetKeyId=key)
    alias_arn = key.rpartition(":key/")[0] + ":" + alias
    set_default(s3, bucket, SSE_KMS, default)

    def used(**request: Any) -> str:
        told = s3.put_object(Bucket=bucket, Key="key", Body=b"x", **request)
        assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"x"
        return str(told["SSEKMSKeyId"])

    managed = used(ServerSideEncryption=SSE_KMS)
    assert used() == default
    assert managed not in (default, key)
    assert kms.describe_key(KeyId="alias/aws/s3")["KeyMetadata"]["Arn"] == managed
    assert kms.describe_key(KeyId=managed)["KeyMetadata"]["KeyManager"] == "AWS"
    for named in (key, key.rpartition("/")[2], alias, alias_arn):
        assert used(ServerSideEncryption=SSE_KMS, SSEKMSKeyId=named) == key, named
        assert used(ServerSideEncryption=DSSE_KMS, SSEKMSKeyId=named) == key, named
    set_default(s3, bucket, DSSE_KMS, alias)
    assert used() == key
    assert s3.head_object(Bucket=bucket, Key="key")["ServerSideEncryption"] == DSSE_KMS
    set_default(s3, bucket, SSE_KMS)
    assert used() == managed
    assert "SSEKMSKeyId" not in s3.put_object(Bucket=bucket, Key="key", ServerSideEncryption="AES256")


def test_an_alias_means_the_key_of_who_asks(standing_server, key):
    owner, account = standing_server.client(), new_account(standing_server)
    bucket = new_bucket(standing_server, owner=owner)
    alias = f"alias/shared-{bucket}"
    standing_server.client("kms").create_alias(AliasName=alias, TargetKeyId=key)
    their_kms = account.client(standing_server, "kms")
    theirs = their_kms.create_key()["KeyMetadata"]["Arn"]
    their_kms.create_alias(AliasName=alias, TargetKeyId=theirs)
    set_default(owner, bucket, SSE_KMS, alias)
    grant = {
        "Effect": "Allow",
        "Principal": {"AWS": account.root_arn},
        "Action": "s3:*",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    put_policy(owner, bucket, grant)
    assert owner.put_object(Bucket=bucket, Key="mine", Body=b"x")["SSEKMSKeyId"] == key
    assert account.client(standing_server).put_object(Bucket=bucket, Key="theirs", Body=b"x")["SSEKMSKeyId"] == theirs
    with refused("AccessDenied", 403):
        owner.get_object(Bucket=bucket, Key="theirs")


def test_the_context_of_the_caller_is_bound_and_malformed_ones_are_refused(standing_server, key):
    s3 = standing_server.client()
    bucket = new_bucket(standing_server, owner=s3)
    mode = {"ServerSideEncryption": SSE_KMS, "SSEKMSKeyId": key}
    context = base64.b64encode(b'{"department": "blue"}').decode()
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", SSEKMSEncryptionContext=context, **mode)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"x"
    for wrong in ("no base64!", base64.b64encode(b"[1]").decode(), base64.b64encode(b'{"a": 1}').decode()):
        with refused("InvalidArgument", 400):
            s3.put_object(Bucket=bucket, Key="wrong", Body=b"x", SSEKMSEncryptionContext=wrong, **mode)
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1


@pytest.mark.parametrize(
    "request_of, code",
    [
        ({"ServerSideEncryption": "AES256", "SSEKMSKeyId": "alias/x"}, "InvalidArgument"),
        ({"ServerSideEncryption": SSE_KMS, **CUSTOMER}, "InvalidArgument"),
        ({"ServerSideEncryption": "rot13"}, "InvalidArgument"),
        ({"ServerSideEncryption": SSE_KMS, "SSEKMSKeyId": "alias/absent"}, "KMS.NotFoundException"),
        ({**CUSTOMER, "SSECustomerKey": ENCODED_KEY, "SSECustomerKeyMD5": ENCODED_KEY}, "InvalidArgument"),
        ({**CUSTOMER, "SSECustomerAlgorithm": "AES128"}, "InvalidEncryptionAlgorithmError"),
        ({**CUSTOMER, "SSECustomerKey": bytes(16)}, "InvalidArgument"),
    ],
)
def test_contradictions_are_refused_and_change_nothing(standing_tls_server, request_of, code):
    s3 = standing_tls_server.client()
    bucket = new_bucket(standing_tls_server, owner=s3)
    allow_sse_c(s3, bucket)
    s3.put_object(Bucket=bucket, Key="key", Body=b"before")
    with refused(code, 400):
        s3.put_object(Bucket=bucket, Key="key", Body=b"after", **request_of)
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"before"


def test_sse_c_opens_for_its_key_alone(standing_tls_server):
    s3 = standing_tls_server.client()
    bucket = new_bucket(standing_tls_server, owner=s3)
    with refused("AccessDenied", 403) as blocked:
        s3.put_object(Bucket=bucket, Key="key", Body=b"x", **CUSTOMER)
    assert "SSE-C" in blocked.message
    allow_sse_c(s3, bucket)
    s3.put_object(Bucket=bucket, Key="key", Body=b"x", **CUSTOMER)
    s3.put_object(Bucket=bucket, Key="plain", Body=b"x")
    for key, given, code, status in (
        ("key", {}, "InvalidRequest", 400),
        ("key", OTHER_CUSTOMER, "AccessDenied", 403),
        ("plain", CUSTOMER, "InvalidRequest", 400),
    ):
        with refused(code, status):
            s3.get_object(Bucket=bucket, Key=key, **given)
        with refused(str(status), status):
            s3.head_object(Bucket=bucket, Key=key, **given)
        opening = {f"CopySource{name}": value for name, value in given.items()}
        with refused(code, status):
            s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": key}, **opening)


def test_sse_c_over_plain_http_is_refused(standing_server):
    s3 = standing_server.client()
    bucket = new_bucket(standing_server, owner=s3)
    allow_sse_c(s3, bucket)
    with refused("InvalidRequest", 400):
        s3.put_object(Bucket=bucket, Key="key", Body=b"x", **CUSTOMER)
    with refused("InvalidRequest", 400):
        s3.get_object(Bucket=bucket, Key="key", **CUSTOMER)


def test_update_object_encryption_moves_an_object_under_another_key(standing_server, key):
    s3 = standing_server.client()
    bucket = new_bucket(standing_server, owner=s3)
    content = os.urandom(MIB)
    s3.put_object(Bucket=bucket, Key="key", Body=content)
    before = s3.head_object(Bucket=bucket, Key="key")
    wanted = {"SSEKMS": {"KMSKeyArn": key, "BucketKeyEnabled": True}}
    s3.update_object_encryption(Bucket=bucket, Key="key", ObjectEncryption=wanted)
    after = s3.head_object(Bucket=bucket, Key="key")
    assert (after["ServerSideEncryption"], after["SSEKMSKeyId"]) == (SSE_KMS, key)
    assert (after["ETag"], after["LastModified"]) == (before["ETag"], before["LastModified"])
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == content
    s3.put_object(Bucket=bucket, Key="dsse", Body=content, ServerSideEncryption=DSSE_KMS)
    with refused("InvalidRequest", 400):
        s3.update_object_encryption(Bucket=bucket, Key="dsse", ObjectEncryption=wanted)

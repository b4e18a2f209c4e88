"""Whole requests, rightly signed and otherwise mutilated, into the whole server: every one is answered, none by a 500.

What lives here: requests that work, and what becomes of their paths, queries, headers and bodies. What does not: single
parsers (targets).
"""

# ruff: noqa: E501  (inputs are written as they are)
from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3al.auth.sigv4 import Scope
from s3al.auth.sigv4_sign import Unsigned, sign
from s3al.errors import RequestError
from s3al.server.asgi import parse_query
from support.house import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, House, open_house

from .targets import TIMES

BUCKET = "fuzzed"
_TAGS = "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>"
_DELETE = "<Delete><Object><Key>none</Key><VersionId>v</VersionId></Object></Delete>"
_COMPLETE = "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>"
_ENCRYPTION = (
    "<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>"
    "<KMSMasterKeyID>k</KMSMasterKeyID></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled>"
    "</Rule></ServerSideEncryptionConfiguration>"
)
_CORS = (
    "<CORSConfiguration><CORSRule><AllowedOrigin>http://*.a</AllowedOrigin><AllowedMethod>GET</AllowedMethod>"
    "<AllowedHeader>*</AllowedHeader></CORSRule></CORSConfiguration>"
)

# method, target, headers, body
_S3: list[tuple[str, str, dict[str, str], str]] = [
    ("GET", "/?max-buckets=1&prefix=a&continuation-token=x", {}, ""),
    ("GET", "/fuzzed?list-type=2&prefix=a&delimiter=/&max-keys=2&start-after=b&continuation-token=x", {}, ""),
    ("GET", "/fuzzed?prefix=a&marker=b&encoding-type=url&max-keys=3", {}, ""),
    ("GET", "/fuzzed?versions&key-marker=a&version-id-marker=b", {}, ""),
    ("GET", "/fuzzed?uploads&key-marker=a&upload-id-marker=b", {}, ""),
    ("GET", "/fuzzed/key?uploadId=abc&part-number-marker=1", {}, ""),
    ("GET", "/fuzzed/key?partNumber=1&versionId=null", {"range": "bytes=0-1", "if-match": '"a"'}, ""),
    ("GET", "/fuzzed/key?response-content-type=a&response-expires=Thu,%2001%20Dec%201994%2016:00:00%20GMT", {}, ""),
    ("HEAD", "/fuzzed/key", {"if-modified-since": "Thu, 01 Dec 1994 16:00:00 GMT", "x-amz-checksum-mode": "ENABLED"}, ""),
    ("GET", "/fuzzed/key?attributes", {"x-amz-object-attributes": "ETag,Checksum", "x-amz-max-parts": "1"}, ""),
    ("PUT", "/fuzzed/new", {"content-md5": "XUFAKrxLKna5cZ2REBfFkg==", "x-amz-meta-a": "b", "expires": "0"}, "hello"),
    ("PUT", "/fuzzed/new", {"x-amz-tagging": "a=b&c=d", "x-amz-checksum-crc32": "NhCmhg==", "if-none-match": "*"}, "hello"),
    ("PUT", "/fuzzed/new", {"x-amz-server-side-encryption": "aws:kms",
                            "x-amz-server-side-encryption-context": "eyJhIjogImIifQ==",
                            "x-amz-server-side-encryption-aws-kms-key-id": "alias/none"}, "hello"),
    ("PUT", "/fuzzed/new", {"x-amz-server-side-encryption-customer-algorithm": "AES256",
                            "x-amz-server-side-encryption-customer-key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                            "x-amz-server-side-encryption-customer-key-md5": "cLyL1BAjbv7KI3IQfbFRRA=="}, "hello"),
    ("PUT", "/fuzzed/copy", {"x-amz-copy-source": "/fuzzed/key?versionId=null", "x-amz-metadata-directive": "REPLACE"}, ""),
    ("PUT", "/fuzzed/key?partNumber=1&uploadId=abc", {"x-amz-copy-source": "/fuzzed/key",
                                                      "x-amz-copy-source-range": "bytes=0-1"}, ""),
    ("POST", "/fuzzed/key?uploads", {"x-amz-checksum-algorithm": "CRC32", "x-amz-storage-class": "STANDARD"}, ""),
    ("POST", "/fuzzed/key?uploadId=abc", {"x-amz-checksum-type": "FULL_OBJECT"}, _COMPLETE),
    ("POST", "/fuzzed?delete", {}, _DELETE),
    ("PUT", "/fuzzed/key?tagging", {}, _TAGS),
    ("PUT", "/fuzzed?tagging", {}, _TAGS),
    ("PUT", "/fuzzed?encryption", {}, _ENCRYPTION),
    ("PUT", "/fuzzed?cors", {}, _CORS),
    ("PUT", "/fuzzed?versioning", {}, "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"),
    ("PUT", "/fuzzed?policy", {"x-amz-confirm-remove-self-bucket-access": "true"},
     json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": "111111111111"},
                 "Action": "s3:GetObject", "Resource": "arn:aws:s3:::fuzzed/*",
                 "Condition": {"StringLike": {"aws:UserAgent": "${aws:username}*"}}}]})),
    ("PUT", "/fuzzed-other", {"x-amz-bucket-object-lock-enabled": "false"},
     "<CreateBucketConfiguration><LocationConstraint>us-west-2</LocationConstraint></CreateBucketConfiguration>"),
    ("OPTIONS", "/fuzzed/key", {"origin": "http://b.a", "access-control-request-method": "GET"}, ""),
]  # fmt: skip

_KMS: list[tuple[str, dict[str, Any]]] = [
    ("CreateKey", {"Description": "d", "Policy": "{}", "Tags": [{"TagKey": "a", "TagValue": "b"}]}),
    ("DescribeKey", {"KeyId": "alias/none"}),
    (
        "Encrypt",
        {"KeyId": "arn:aws:kms:us-east-1:111111111111:key/x", "Plaintext": "YQ==", "EncryptionContext": {"a": "b"}},
    ),
    ("Decrypt", {"CiphertextBlob": "YWJj", "KeyId": "x", "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}),
    ("GenerateDataKey", {"KeyId": "x", "KeySpec": "AES_256", "NumberOfBytes": 32}),
    ("GenerateRandom", {"NumberOfBytes": 32}),
    ("CreateAlias", {"AliasName": "alias/a", "TargetKeyId": "x"}),
    ("ListKeys", {"Limit": 10, "Marker": "bWFya2Vy"}),
    ("ListAliases", {"KeyId": "x", "Limit": 1}),
    ("ScheduleKeyDeletion", {"KeyId": "x", "PendingWindowInDays": 7}),
    ("PutKeyPolicy", {"KeyId": "x", "PolicyName": "default", "Policy": "{}"}),
    ("TagResource", {"KeyId": "x", "Tags": [{"TagKey": "a", "TagValue": "b"}]}),
    ("EnableKeyRotation", {"KeyId": "x", "RotationPeriodInDays": 90}),
    ("UpdateKeyDescription", {"KeyId": "x", "Description": "d"}),
]

_PIECES = [
    "", "%", "%00", "%ff", "%ED%A0%80", "%F0%9F%A6%AD", "\x00", "\xff", "\u20ac".encode().decode("latin-1"), "-1", "0",
    "99999999999999999999999", "1e9", "NaN", "null", "[]", "{}", '"', "\\ud800", "\\u0000", "&#0;", "&#xD800;", "&amp;",
    "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>", "]]>", "\n", "\t", ";", "=", "&", "/", "//", "../", "?",
    "A" * 300, "k" * 1025, "0001-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "true", "*", "${aws:", "+", " ", "=?UTF-8?B?/w==?=",
]  # fmt: skip


@dataclass
class Fuzzed:
    house: House
    kms_key: str
    upload_id: str
    version_id: str

    def send(self, method: str, target: str, headers: dict[str, str], body: bytes, service: str) -> int:
        path, _, query = target.partition("?")
        now = datetime.now(UTC)
        scope = Scope(ACCESS_KEY_ID, now.strftime("%Y%m%d"), REGION, service)
        try:
            pairs = parse_query(query)
            unsigned = Unsigned(
                method, path, {"host": "127.0.0.1:9000", **headers}, pairs, hashlib.sha256(body).hexdigest()
            )
            signed = sign(unsigned, scope, SECRET_ACCESS_KEY, now=now).headers
        except (RequestError, UnicodeError):  # it cannot even be signed: send it unsigned
            signed = headers
        return self.house.ask(method, target, signed, body).status


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    with open_house(tmp_path_factory.mktemp("fuzzed")) as house:
        s3 = house.client()
        s3.create_bucket(Bucket=BUCKET)
        s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        version = s3.put_object(Bucket=BUCKET, Key="key", Body=b"hello")["VersionId"]
        upload = s3.create_multipart_upload(Bucket=BUCKET, Key="key")["UploadId"]
        key = house.client("kms").create_key()["KeyMetadata"]["KeyId"]
        yield Fuzzed(house, key, upload, version)


@st.composite
def mutilated(draw: st.DrawFn, text: str) -> str:
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text)))
        end = draw(st.integers(at, min(len(text), at + 8)))
        text = text[:at] + draw(st.sampled_from(_PIECES)) + text[end:]
    return text


def _answered(fuzzed: Fuzzed, status: int, what: object) -> None:
    failures = [*fuzzed.house.events("unforeseen"), *fuzzed.house.events("integrity")]
    assert (status and status < 500) or status == 501, f"{status}: {what}: {failures[-1:]}"
    assert not failures, f"{what}: {failures[-1]}"


_SETTINGS = settings(
    max_examples=250 * TIMES, deadline=None, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip


@_SETTINGS
@given(st.data())
def test_every_mutilated_s3_request_is_answered(fuzzed: Fuzzed, data: st.DataObject) -> None:
    method, target, headers, body = data.draw(st.sampled_from(_S3))
    target = target.replace("uploadId=abc", f"uploadId={fuzzed.upload_id}").replace("=null", f"={fuzzed.version_id}")
    target = data.draw(mutilated(target))
    target = target if target.startswith("/") else "/" + target
    headers = {name: data.draw(mutilated(value)) for name, value in headers.items()}
    sent = data.draw(mutilated(body)).encode("latin-1", "replace")
    _answered(fuzzed, fuzzed.send(method, target, headers, sent, "s3"), (method, target, headers, sent))


@_SETTINGS
@given(st.data())
def test_every_mutilated_kms_request_is_answered(fuzzed: Fuzzed, data: st.DataObject) -> None:
    operation, params = data.draw(st.sampled_from(_KMS))
    text = json.dumps(params).replace('"x"', json.dumps(fuzzed.kms_key))
    sent = data.draw(mutilated(text)).encode("latin-1", "replace")
    headers = {"x-amz-target": f"TrentService.{operation}", "content-type": "application/x-amz-json-1.1"}
    _answered(fuzzed, fuzzed.send("POST", "/", headers, sent, "kms"), (operation, sent))

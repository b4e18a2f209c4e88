"""boto3 on buckets and objects: ranges, conditions, uploads in parts, copies, listings, presigned requests."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from support.settings import new_bucket, refused

pytestmark = pytest.mark.client("boto3")
MIB = 1 << 20
# Without it boto3 presigns for an endpoint that is not Amazon's by signature version 2.
SIGNED_BY_V4 = Config(signature_version="s3v4")


def test_a_bucket_is_made_seen_and_removed(any_server, s3):
    bucket = new_bucket(any_server)
    assert bucket in [one["Name"] for one in s3.list_buckets()["Buckets"]]
    assert s3.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert s3.get_bucket_location(Bucket=bucket)["LocationConstraint"] is None
    s3.put_object(Bucket=bucket, Key="key")
    with refused("BucketNotEmpty", 409):
        s3.delete_bucket(Bucket=bucket)
    s3.delete_object(Bucket=bucket, Key="key")
    s3.delete_bucket(Bucket=bucket)
    with refused("404", 404):
        s3.head_bucket(Bucket=bucket)


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_537, MIB, 9 * MIB + 1])
def test_an_object_comes_back_as_it_was_sent(s3, bucket, size):
    content = os.urandom(size)
    key = "förder/ 日本+&?%#'\"\\ .bin"
    told = s3.put_object(
        Bucket=bucket,
        Key=key,
        Body=content,
        ContentType="text/x-test",
        CacheControl="no-store",
        ContentDisposition="inline",
        ContentLanguage="de",
        Metadata={"colour": "green", "empty": ""},
        ContentMD5=base64.b64encode(hashlib.md5(content).digest()).decode(),
    )
    assert told["ETag"] == f'"{hashlib.md5(content).hexdigest()}"'
    assert told["ServerSideEncryption"] == "AES256"
    got = s3.get_object(Bucket=bucket, Key=key)
    assert got["Body"].read() == content
    assert (got["ContentType"], got["CacheControl"], got["ContentDisposition"]) == ("text/x-test", "no-store", "inline")
    assert got["Metadata"] == {"colour": "green", "empty": ""}
    head = s3.head_object(Bucket=bucket, Key=key)
    assert (head["ContentLength"], head["ETag"], head["LastModified"]) == (size, told["ETag"], got["LastModified"])


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"])
def test_every_checksum_is_kept_and_told_again(s3, bucket, algorithm):
    member = f"Checksum{algorithm}"
    told = s3.put_object(Bucket=bucket, Key="key", Body=b"checked", ChecksumAlgorithm=algorithm)
    head = s3.head_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")
    assert told[member] == head[member]
    attributes = s3.get_object_attributes(Bucket=bucket, Key="key", ObjectAttributes=["Checksum", "ObjectSize"])
    assert attributes["Checksum"][member] == told[member]
    wrong = {member: base64.b64encode(bytes(len(base64.b64decode(told[member])))).decode()}
    with refused("BadDigest", 400):
        s3.put_object(Bucket=bucket, Key="key", Body=b"changed", **wrong)
    assert s3.get_object(Bucket=bucket, Key="key", ChecksumMode="ENABLED")["Body"].read() == b"checked"


@pytest.mark.parametrize(
    "text, expected",
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=65535-65536", (65_535, 65_537)),
        ("bytes=1000000-", (1_000_000, None)),
        ("bytes=-17", (-17, None)),
        ("bytes=262144-9999999999", (262_144, None)),
    ],
)
def test_a_range_is_exactly_those_bytes(s3, bucket, text, expected):
    content = os.urandom(3 * MIB)
    s3.put_object(Bucket=bucket, Key="key", Body=content)
    got = s3.get_object(Bucket=bucket, Key="key", Range=text)
    wanted = content[slice(*expected)]
    assert got["Body"].read() == wanted
    assert got["ContentLength"] == len(wanted)
    assert got["ContentRange"].endswith(f"/{3 * MIB}")
    with refused("InvalidRange", 416):
        s3.get_object(Bucket=bucket, Key="key", Range="bytes=99999999-")


def test_conditions_hold_for_reads_and_writes(s3, bucket):
    etag = s3.put_object(Bucket=bucket, Key="key", Body=b"one", IfNoneMatch="*")["ETag"]
    modified = s3.head_object(Bucket=bucket, Key="key")["LastModified"]
    with refused("PreconditionFailed", 412):
        s3.put_object(Bucket=bucket, Key="key", Body=b"two", IfNoneMatch="*")
    with refused("PreconditionFailed", 412):
        s3.put_object(Bucket=bucket, Key="key", Body=b"two", IfMatch='"0123"')
    with refused("PreconditionFailed", 412):
        s3.get_object(Bucket=bucket, Key="key", IfMatch='"0123"')
    with refused("304", 304):
        s3.get_object(Bucket=bucket, Key="key", IfNoneMatch=etag)
    with refused("304", 304):
        s3.get_object(Bucket=bucket, Key="key", IfModifiedSince=modified)
    with refused("NoSuchKey", 404):
        s3.put_object(Bucket=bucket, Key="absent", Body=b"two", IfMatch=etag)
    s3.put_object(Bucket=bucket, Key="key", Body=b"two", IfMatch=etag)
    later = modified.replace(year=2100)
    assert s3.get_object(Bucket=bucket, Key="key", IfUnmodifiedSince=later)["Body"].read() == b"two"


def test_response_overrides_are_for_signed_requests(any_server, s3, bucket):
    s3.put_object(Bucket=bucket, Key="key", Body=b"x")
    got = s3.get_object(Bucket=bucket, Key="key", ResponseContentType="a/b", ResponseContentDisposition="attachment")
    assert (got["ContentType"], got["ContentDisposition"]) == ("a/b", "attachment")


def test_an_upload_in_parts_is_one_object(s3, bucket):
    content = os.urandom(11 * MIB + 5)
    pieces = [content[at : at + 5 * MIB] for at in range(0, len(content), 5 * MIB)]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="key", Metadata={"a": "b"}, ChecksumAlgorithm="CRC32C")
    where = {"Bucket": bucket, "Key": "key", "UploadId": upload["UploadId"]}
    parts = []
    for number, piece in enumerate(pieces, 1):
        done = s3.upload_part(**where, PartNumber=number, Body=piece, ChecksumAlgorithm="CRC32C")
        parts.append({"PartNumber": number, "ETag": done["ETag"], "ChecksumCRC32C": done["ChecksumCRC32C"]})
    assert [one["UploadId"] for one in s3.list_multipart_uploads(Bucket=bucket)["Uploads"]] == [upload["UploadId"]]
    assert [one["Size"] for one in s3.list_parts(**where)["Parts"]] == [len(piece) for piece in pieces]
    with refused("NoSuchKey", 404):
        s3.get_object(Bucket=bucket, Key="key")
    with refused("InvalidPartOrder", 400):
        s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts[::-1]})
    done = s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    assert done["ETag"].endswith('-3"')
    assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == content
    second = s3.get_object(Bucket=bucket, Key="key", PartNumber=2)
    assert (second["PartsCount"], second["Body"].read()) == (3, pieces[1])
    across = s3.get_object(Bucket=bucket, Key="key", Range=f"bytes={5 * MIB - 3}-{5 * MIB + 2}")
    assert across["Body"].read() == content[5 * MIB - 3 : 5 * MIB + 3]
    with refused("NoSuchUpload", 404):
        s3.list_parts(**where)


def test_an_aborted_upload_leaves_nothing(s3, bucket):
    upload = s3.create_multipart_upload(Bucket=bucket, Key="key")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="key", UploadId=upload, PartNumber=1, Body=b"part")
    s3.abort_multipart_upload(Bucket=bucket, Key="key", UploadId=upload)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)
    with refused("NoSuchUpload", 404):
        s3.upload_part(Bucket=bucket, Key="key", UploadId=upload, PartNumber=2, Body=b"part")
    s3.delete_bucket(Bucket=bucket)


def test_the_transfer_manager_moves_a_file_both_ways(s3, bucket, tmp_path):
    content = os.urandom(20 * MIB + 7)
    (tmp_path / "up").write_bytes(content)
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=4)
    s3.upload_file(str(tmp_path / "up"), bucket, "key", Config=config)
    s3.download_file(bucket, "key", str(tmp_path / "down"), Config=config)
    assert (tmp_path / "down").read_bytes() == content
    s3.copy({"Bucket": bucket, "Key": "key"}, bucket, "copied", Config=config)
    copied = io.BytesIO()
    s3.download_fileobj(bucket, "copied", copied)
    assert copied.getvalue() == content


def test_a_copy_takes_or_replaces_metadata_and_tags(s3, bucket):
    s3.put_object(Bucket=bucket, Key="a b+c", Body=b"x", Metadata={"m": "1"}, Tagging="t=1", ContentType="a/b")
    source = {"Bucket": bucket, "Key": "a b+c"}
    s3.copy_object(Bucket=bucket, Key="taken", CopySource=source)
    s3.copy_object(
        Bucket=bucket,
        Key="replaced",
        CopySource=source,
        MetadataDirective="REPLACE",
        Metadata={"m": "2"},
        TaggingDirective="REPLACE",
        Tagging="t=2",
    )
    for key, value, content_type in (("taken", "1", "a/b"), ("replaced", "2", "binary/octet-stream")):
        head = s3.head_object(Bucket=bucket, Key=key)
        assert (head["Metadata"], head["ContentType"]) == ({"m": value}, content_type)
        assert s3.get_object_tagging(Bucket=bucket, Key=key)["TagSet"] == [{"Key": "t", "Value": value}]
    with refused("InvalidRequest", 400):
        s3.copy_object(Bucket=bucket, Key="a b+c", CopySource=source)
    with refused("NoSuchKey", 404):
        s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "absent"})


def test_listings_page_fold_and_encode(s3, bucket):
    keys = sorted(["a/1", "a/2", "b c", "d\u00e9", "e+f", "g&<>", "z/\U0001f600", "\x01control"], key=str.encode)
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    for name in ("list_objects", "list_objects_v2"):
        pages = s3.get_paginator(name).paginate(Bucket=bucket, PaginationConfig={"PageSize": 3})
        assert [one["Key"] for page in pages for one in page["Contents"]] == keys
    folded = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert [one["Prefix"] for one in folded["CommonPrefixes"]] == ["a/", "z/"]
    assert [one["Key"] for one in folded["Contents"]] == [key for key in keys if "/" not in key]
    assert s3.list_objects_v2(Bucket=bucket, Prefix="a/", StartAfter="a/1")["Contents"][0]["Key"] == "a/2"
    s3.delete_object(Bucket=bucket, Key=keys.pop(0))  # a control character cannot stand in XML
    deleted = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    assert sorted((one["Key"] for one in deleted["Deleted"]), key=str.encode) == keys
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_presigned_requests_do_what_was_signed_and_no_more(any_server, bucket):
    s3 = any_server.client(config=SIGNED_BY_V4)
    fetch = _Fetch(any_server.ca_bundle)
    put = s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": "a key"}, ExpiresIn=60)
    assert fetch(put, method="PUT", data=b"presigned")[0] == 200
    get = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "a key"}, ExpiresIn=60)
    assert fetch(get) == (200, b"presigned")
    assert fetch(get.replace("a%20key", "another"))[0] == 403
    assert fetch(get, method="DELETE")[0] == 403
    status, body = fetch(get.replace("X-Amz-Expires=60", "X-Amz-Expires=61"))
    assert (status, b"SignatureDoesNotMatch" in body) == (403, True)
    too_long = s3.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "a key"}, ExpiresIn=604_801)
    assert fetch(too_long)[0] == 400
    old = any_server.client(config=Config(signature_version="s3"))
    status, body = fetch(old.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "a key"}))
    assert status in (400, 403), "signature version 2 is not taken"


def test_a_presigned_post_takes_what_its_policy_allows(any_server, bucket):
    s3 = any_server.client(config=SIGNED_BY_V4)
    fetch = _Fetch(any_server.ca_bundle)
    form = s3.generate_presigned_post(
        bucket,
        "posted/${filename}",
        {"Content-Type": "text/plain"},
        [["starts-with", "$key", "posted/"], {"Content-Type": "text/plain"}, ["content-length-range", 1, 100]],
    )
    assert fetch(form["url"], **_multipart(form["fields"], b"posted")) == (204, b"")
    got = s3.get_object(Bucket=bucket, Key="posted/file.txt")
    assert (got["Body"].read(), got["ContentType"]) == (b"posted", "text/plain")
    for fields, content, code in (
        (form["fields"], bytes(101), b"EntityTooLarge"),
        (form["fields"] | {"key": "elsewhere"}, b"posted", b"AccessDenied"),
        (form["fields"] | {"x-amz-meta-more": "1"}, b"posted", b"AccessDenied"),
        (form["fields"] | {"x-amz-signature": "0" * 64}, b"posted", b"SignatureDoesNotMatch"),
    ):
        status, body = fetch(form["url"], **_multipart(fields, content))
        assert status >= 400
        assert code in body
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1


class _Fetch:
    """A client that signs nothing: (status, body) of a URL."""

    def __init__(self, ca_bundle: str | None) -> None:
        self._tls = ssl.create_default_context(cafile=ca_bundle) if ca_bundle else None

    def __call__(self, url: str, **options: Any) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, **options), context=self._tls) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()


def _multipart(fields: Mapping[str, str], content: bytes) -> dict[str, Any]:
    boundary = "s3al-journey-boundary"
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    file = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="file.txt"\r\n\r\n'
    body = (head + file).encode() + content + f"\r\n--{boundary}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return {"method": "POST", "data": body, "headers": kind}


def test_a_policy_document_that_is_not_json_is_refused(s3, bucket):
    with refused("MalformedPolicy", 400):
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": "no"}))

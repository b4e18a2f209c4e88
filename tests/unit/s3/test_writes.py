"""Writes of objects as the handlers do them: checksums of parts, ACLs and ownership, preconditions, version ids."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from typing import Any

import pytest

from s3al.wire.checksums import Digests
from unit.s3.world import OWNER, STRANGER, World, refused, root_of

_BODY = b"parts are small here, so they lie in rows"
_CRC32 = b64encode(zlib.crc32(_BODY).to_bytes(4, "big")).decode()


def _crc64(content: bytes) -> str:
    digests = Digests({"CRC64NVME"})
    digests.update(content)
    return b64encode(digests.digest("CRC64NVME")).decode()


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def _admit(world: World, account_id: str, *actions: str) -> None:
    allow = {
        "Effect": "Allow",
        "Principal": {"AWS": account_id},
        "Action": list(actions),
        "Resource": "arn:aws:s3:::bucket/*",
    }
    world.call("PutBucketPolicy", Bucket="bucket", Policy=_policy(allow))


@pytest.fixture
def upload(world: World) -> dict[str, str]:
    """An upload that names no checksum algorithm, with one part for which the client claims CRC32."""
    world.bucket()
    named = {"Bucket": "bucket", "Key": "key"}
    named["UploadId"] = world.output("CreateMultipartUpload", **named)["UploadId"]
    part = world.output("UploadPart", body=_BODY, headers={"x-amz-checksum-crc32": _CRC32}, PartNumber=1, **named)
    assert part["ChecksumCRC32"] == _CRC32
    assert "ChecksumCRC64NVME" not in part
    return named | {"ETag": part["ETag"]}


def _complete(world: World, upload: dict[str, str], **of_part: str) -> dict[str, Any]:
    parts = {"Parts": [{"PartNumber": 1, "ETag": upload["ETag"], **of_part}]}
    named = {name: upload[name] for name in ("Bucket", "Key", "UploadId")}
    return world.output("CompleteMultipartUpload", MultipartUpload=parts, **named)


def test_object_of_parts_without_a_named_algorithm_has_crc64nvme_of_the_whole(
    world: World, upload: dict[str, str]
) -> None:
    completed = _complete(world, upload, ChecksumCRC32=_CRC32)
    assert (completed["ChecksumCRC64NVME"], completed["ChecksumType"]) == (_crc64(_BODY), "FULL_OBJECT")
    head = world.output("HeadObject", Bucket="bucket", Key="key", ChecksumMode="ENABLED")
    assert head["ChecksumCRC64NVME"] == _crc64(_BODY)


def test_part_that_is_named_with_another_checksum_is_invalid(world: World, upload: dict[str, str]) -> None:
    with refused("InvalidPart"):
        _complete(world, upload, ChecksumCRC32="AAAAAA==")
    with refused("InvalidPart"):
        _complete(world, upload, ChecksumSHA1="AAAAAA==")


def test_list_of_parts_shows_the_checksum_that_was_claimed(world: World, upload: dict[str, str]) -> None:
    named = {name: upload[name] for name in ("Bucket", "Key", "UploadId")}
    [part] = world.output("ListParts", **named)["Parts"]
    assert {name for name in part if name.startswith("Checksum")} == {"ChecksumCRC32"}


def test_completing_again_answers_as_the_first_time(world: World, upload: dict[str, str]) -> None:
    assert _complete(world, upload) == _complete(world, upload)


@pytest.mark.parametrize("operation", ["HeadObject", "GetObject"])
def test_reading_a_part_shows_its_own_checksum(world: World, upload: dict[str, str], operation: str) -> None:
    _complete(world, upload)
    read = world.output(operation, Bucket="bucket", Key="key", PartNumber=1, ChecksumMode="ENABLED")
    assert (read["ChecksumCRC64NVME"], read["PartsCount"]) == (_crc64(_BODY), 1)
    unasked = world.output(operation, Bucket="bucket", Key="key", PartNumber=1)
    assert not [name for name in unasked if name.startswith("Checksum")]


@pytest.mark.parametrize(
    ("operation", "extra"),
    [
        ("PutObject", {"body": b"x"}),
        ("PostObject", {"body": b"x", "Form": {}}),
        ("CopyObject", {"CopySource": "bucket/source"}),
        ("CreateMultipartUpload", {}),
    ],
)
def test_every_write_asks_for_its_acl_and_whose_the_object_would_be(
    world: World, operation: str, extra: dict[str, Any]
) -> None:
    world.bucket()
    world.call("PutObject", Bucket="bucket", Key="source", body=b"x")
    named = {"Bucket": "bucket", "Key": "key", **extra}
    world.call(operation, ACL="bucket-owner-full-control", **named)
    with refused("AccessControlListNotSupported"):
        world.call(operation, ACL="private", **named)
    _admit(world, STRANGER, "s3:PutObject", "s3:GetObject")
    world.call(operation, as_=root_of(STRANGER), **named)
    controls = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    world.call("PutBucketOwnershipControls", Bucket="bucket", OwnershipControls=controls)
    with refused("NotImplemented"):
        world.call(operation, as_=root_of(STRANGER), **named)
    world.call(operation, as_=root_of(OWNER), ACL="private", **named)


@pytest.mark.parametrize("member", ["ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus"])
def test_form_that_asks_for_no_known_lock_is_refused(world: World, member: str) -> None:
    world.bucket(ObjectLockEnabledForBucket=True)
    with refused("InvalidArgument"):
        world.call("PostObject", Bucket="bucket", Key="key", Form={}, body=b"x", **{member: "x"})


def test_form_locks_what_it_stores(world: World) -> None:
    world.bucket(ObjectLockEnabledForBucket=True)
    lock = {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": "2099-01-01T00:00:00Z"}
    checksum = {"x-amz-checksum-crc32": b64encode(zlib.crc32(b"x").to_bytes(4, "big")).decode()}
    world.call("PostObject", Bucket="bucket", Key="key", Form={}, body=b"x", headers=checksum, **lock)
    assert world.output("GetObjectRetention", Bucket="bucket", Key="key")["Retention"]["Mode"] == "COMPLIANCE"


@pytest.mark.parametrize(("status", "shown"), [(None, False), ("Enabled", True), ("Suspended", False)])
def test_answer_to_a_write_shows_the_version_id_only_where_versioning_is_enabled(
    world: World, status: str | None, shown: bool
) -> None:
    world.bucket()
    if status:
        world.call("PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": status})
    assert ("VersionId" in world.output("PutObject", Bucket="bucket", Key="key", body=b"x")) is shown


@pytest.mark.parametrize(("mode", "allowed"), [("AES256", True), ("aws:kms", False)])
def test_encryption_conditions_on_a_part_see_how_its_upload_began(world: World, mode: str, allowed: bool) -> None:
    world.bucket()
    named = {"Bucket": "bucket", "Key": "key"}
    named["UploadId"] = world.output("CreateMultipartUpload", **named)["UploadId"]
    deny = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::bucket/*",
        "Condition": {"StringNotEquals": {"s3:x-amz-server-side-encryption": mode}},
    }
    world.call("PutBucketPolicy", Bucket="bucket", Policy=_policy(deny))
    if allowed:
        world.call("UploadPart", body=_BODY, PartNumber=1, **named)
        return
    with refused("AccessDenied"):
        world.call("UploadPart", body=_BODY, PartNumber=1, **named)


@pytest.mark.parametrize("member", ["IfMatchSize", "IfMatchLastModifiedTime"])
def test_delete_with_a_precondition_of_directory_buckets_is_refused_and_deletes_nothing(
    world: World, member: str
) -> None:
    world.bucket()
    world.call("PutObject", Bucket="bucket", Key="key", body=b"x")
    with refused("NotImplemented"):
        world.call("DeleteObject", Bucket="bucket", Key="key", **{member: 1})
    listed = {"Size": 1} if member == "IfMatchSize" else {"LastModifiedTime": 1}
    objects = {"Objects": [{"Key": "key", **listed}]}
    [error] = world.output("DeleteObjects", Bucket="bucket", Delete=objects)["Errors"]
    assert error["Code"] == "NotImplemented"
    world.call("HeadObject", Bucket="bucket", Key="key")


def test_delete_of_a_delete_marker_by_etag_fails_its_precondition(world: World) -> None:
    world.bucket()
    world.call("PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    world.call("PutObject", Bucket="bucket", Key="key", body=b"x")
    world.call("DeleteObject", Bucket="bucket", Key="key")
    with refused("PreconditionFailed"):
        world.call("DeleteObject", Bucket="bucket", Key="key", IfMatch="*")


@pytest.mark.parametrize(("object_key", "code"), [("public/x", "NoSuchKey"), ("private/x", "AccessDenied")])
def test_who_may_list_a_prefix_may_know_what_is_missing_in_it(world: World, object_key: str, code: str) -> None:
    world.bucket()
    read = {
        "Effect": "Allow",
        "Principal": {"AWS": STRANGER},
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::bucket/*",
    }
    listing = {
        "Effect": "Allow",
        "Principal": {"AWS": STRANGER},
        "Action": "s3:ListBucket",
        "Resource": "arn:aws:s3:::bucket",
        "Condition": {"StringLike": {"s3:prefix": "public/*"}},
    }
    world.call("PutBucketPolicy", Bucket="bucket", Policy=_policy(read, listing))
    with refused(code):
        world.call("GetObject", Bucket="bucket", Key=object_key, as_=root_of(STRANGER))

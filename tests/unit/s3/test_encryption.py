"""Default encryption of a bucket and what it blocks."""

from __future__ import annotations

from typing import Any

import pytest

from s3al.s3.encryption import blocked_types, encryption_document, parse_encryption
from s3al.s3.sse import choose
from unit.s3.world import World, refused

_ARN = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def configuration(mode: str | None = "AES256", *, kms_key: str | None = None, **rule: Any) -> dict[str, Any]:
    default = {"SSEAlgorithm": mode} if mode else {}
    if kms_key is not None:
        default["KMSMasterKeyID"] = kms_key
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": default, **rule}]}


def rule_of(world: World) -> dict[str, Any]:
    shown = world.output("GetBucketEncryption", Bucket="bucket")["ServerSideEncryptionConfiguration"]
    assert len(shown["Rules"]) == 1
    return shown["Rules"][0]


@pytest.mark.parametrize("mode", ["aws:kms", "aws:kms:dsse"])
@pytest.mark.parametrize("kms_key", [None, _ARN, "alias/mine", "1234abcd-12ab-34cd-56ef-1234567890ab"])
def test_kms_modes_keep_the_key_as_it_was_written(mode: str, kms_key: str | None) -> None:
    asked = configuration(mode, kms_key=kms_key, BucketKeyEnabled=True)
    document = parse_encryption(asked, blocked=["SSE-C"])
    assert document == encryption_document(mode, kms_key=kms_key, bucket_key=True, blocked=["SSE-C"])
    default = document["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    assert default == {"SSEAlgorithm": mode} | ({"KMSMasterKeyID": kms_key} if kms_key else {})


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (None, "MalformedXML"),
        ({}, "MalformedXML"),
        ({"Rules": []}, "MalformedXML"),
        ({"Rules": configuration()["Rules"] * 2}, "MalformedXML"),
        ({"Rules": [{}]}, "MalformedXML"),
        ({"Rules": [{"BucketKeyEnabled": True}]}, "MalformedXML"),
        (configuration(None), "MalformedXML"),
        (configuration("aes256"), "MalformedXML"),
        (configuration("none"), "MalformedXML"),
        (configuration("aws:fsx"), "MalformedXML"),
        (configuration("AES256", kms_key=_ARN), "InvalidArgument"),
        (configuration("aws:kms", kms_key=""), "MalformedXML"),
        (configuration(BlockedEncryptionTypes={}), "MalformedXML"),
        (configuration(BlockedEncryptionTypes={"EncryptionType": []}), "MalformedXML"),
        (configuration(BlockedEncryptionTypes={"EncryptionType": ["AES256"]}), "MalformedXML"),
        (configuration(BlockedEncryptionTypes={"EncryptionType": ["SSE-C", "NONE"]}), "MalformedXML"),
    ],
)
def test_configuration_that_aws_refuses_is_refused(asked: dict[str, Any] | None, code: str) -> None:
    with refused(code):
        parse_encryption(asked, blocked=["SSE-C"])


def test_key_with_aes256_is_refused_in_aws_words() -> None:
    message = "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse"
    with refused("InvalidArgument", message):
        parse_encryption(configuration(kms_key=_ARN), blocked=[])


@pytest.mark.parametrize("mode", ["aws:kms", "aws:kms:dsse"])
def test_bucket_default_is_put_shown_and_reset(world: World, mode: str) -> None:
    world.bucket()
    before = rule_of(world)
    asked = configuration(mode, kms_key=_ARN, BucketKeyEnabled=True)
    world.call("PutBucketEncryption", Bucket="bucket", ServerSideEncryptionConfiguration=asked)
    assert rule_of(world) == asked["Rules"][0] | {"BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]}}
    world.call("DeleteBucketEncryption", Bucket="bucket")
    assert rule_of(world) == before


@pytest.mark.parametrize(
    ("mode", "bucket_key_applies"), [("AES256", False), ("aws:kms", True), ("aws:kms:dsse", False)]
)
def test_writes_follow_the_bucket_default(world: World, mode: str, bucket_key_applies: bool) -> None:
    world.bucket()
    asked = configuration(mode, kms_key=None if mode == "AES256" else _ARN, BucketKeyEnabled=True)
    world.call("PutBucketEncryption", Bucket="bucket", ServerSideEncryptionConfiguration=asked)
    wish = choose({}, world.rows(lambda rows: world.s3.buckets.get(rows, "bucket")), secure=True)
    assert (wish.mode, wish.bucket_key) == (mode, bucket_key_applies)
    assert wish.kms_key == (None if mode == "AES256" else _ARN)


def test_sse_c_is_unblocked_and_blocked_again(world: World) -> None:
    world.bucket()
    for blocked in ("NONE", "SSE-C"):
        asked = configuration(BlockedEncryptionTypes={"EncryptionType": [blocked]})
        world.call("PutBucketEncryption", Bucket="bucket", ServerSideEncryptionConfiguration=asked)
        assert rule_of(world)["BlockedEncryptionTypes"] == {"EncryptionType": [blocked]}


def test_blocked_types_alone_may_be_put(world: World) -> None:
    world.bucket()
    asked = {"Rules": [{"BlockedEncryptionTypes": {"EncryptionType": ["NONE"]}}]}
    world.call("PutBucketEncryption", Bucket="bucket", ServerSideEncryptionConfiguration=asked)
    assert rule_of(world)["ApplyServerSideEncryptionByDefault"] == {"SSEAlgorithm": "AES256"}
    assert rule_of(world)["BlockedEncryptionTypes"] == {"EncryptionType": ["NONE"]}


@pytest.mark.parametrize("blocked", ["SSE-C", "NONE"])
def test_neither_a_put_that_is_silent_nor_a_delete_changes_what_is_blocked(world: World, blocked: str) -> None:
    world.bucket()
    asked = configuration(BlockedEncryptionTypes={"EncryptionType": [blocked]})
    world.call("PutBucketEncryption", Bucket="bucket", ServerSideEncryptionConfiguration=asked)
    silent = configuration(BucketKeyEnabled=True)
    world.call("PutBucketEncryption", Bucket="bucket", ServerSideEncryptionConfiguration=silent)
    assert rule_of(world)["BlockedEncryptionTypes"] == {"EncryptionType": [blocked]}
    assert rule_of(world)["BucketKeyEnabled"] is True
    world.call("DeleteBucketEncryption", Bucket="bucket")
    assert rule_of(world) == encryption_document(blocked=[blocked])["Rules"][0]


def test_bucket_without_the_setting_shows_aes256_and_nothing_blocked(world: World) -> None:
    world.bucket()
    bucket_id = world.bucket_id("bucket")
    from s3al.store import catalog

    world.change(lambda rows: catalog.delete_setting(rows, bucket_id, "encryption"))
    assert rule_of(world) == encryption_document()["Rules"][0]
    assert blocked_types(None) == ["NONE"]


def test_writes_follow_the_stored_setting(world: World) -> None:
    """The document means to sse what it means here: SSE-C is refused exactly while it is blocked."""
    world.bucket()
    key = "a" * 43 + "="
    import hashlib
    from base64 import b64decode, b64encode

    md5 = b64encode(hashlib.md5(b64decode(key)).digest()).decode()
    params = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": key, "SSECustomerKeyMD5": md5}
    with refused("AccessDenied"):
        choose(params, world.rows(lambda rows: world.s3.buckets.get(rows, "bucket")), secure=True)
    asked = configuration(BlockedEncryptionTypes={"EncryptionType": ["NONE"]})
    world.call("PutBucketEncryption", Bucket="bucket", ServerSideEncryptionConfiguration=asked)
    state = world.rows(lambda rows: world.s3.buckets.get(rows, "bucket"))
    assert choose(params, state, secure=True).mode == "SSE-C"
    assert choose({}, state, secure=True).mode == "AES256"

"""The paths that every setting takes: permission, missing buckets, unset answers, the change counter."""

from __future__ import annotations

from typing import Any

import pytest

from unit.s3.world import ANONYMOUS, STRANGER, World, refused, root_of, user_of

_TAGS = {"Tagging": {"TagSet": [{"Key": "a", "Value": "b"}]}}
_BLOCK = {"PublicAccessBlockConfiguration": {"BlockPublicAcls": True}}
_CORS = {"CORSConfiguration": {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}}
_OWNERSHIP = {"OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}}
_RULE = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
_ENCRYPTION = {"ServerSideEncryptionConfiguration": {"Rules": [_RULE]}}
_POLICY = {"Policy": '{"Version":"2012-10-17","Statement":[]}'}
_VERSIONING = {"VersioningConfiguration": {"Status": "Enabled"}}

# setting: (put, its parameters, get, delete, code of an unset one)
_SETTINGS: dict[str, tuple[str, dict[str, Any], str, str | None, str | None]] = {
    "tagging": ("PutBucketTagging", _TAGS, "GetBucketTagging", "DeleteBucketTagging", "NoSuchTagSet"),
    "cors": ("PutBucketCors", _CORS, "GetBucketCors", "DeleteBucketCors", "NoSuchCORSConfiguration"),
    "public access": (
        "PutPublicAccessBlock",
        _BLOCK,
        "GetPublicAccessBlock",
        "DeletePublicAccessBlock",
        "NoSuchPublicAccessBlockConfiguration",
    ),
    "ownership": (
        "PutBucketOwnershipControls",
        _OWNERSHIP,
        "GetBucketOwnershipControls",
        "DeleteBucketOwnershipControls",
        "OwnershipControlsNotFoundError",
    ),
    "encryption": ("PutBucketEncryption", _ENCRYPTION, "GetBucketEncryption", "DeleteBucketEncryption", None),
    "versioning": ("PutBucketVersioning", _VERSIONING, "GetBucketVersioning", None, None),
}


@pytest.mark.parametrize("setting", sorted(_SETTINGS))
def test_setting_moves_the_change_counter_and_is_gone_once_deleted(world: World, setting: str) -> None:
    put, params, get, delete, unset = _SETTINGS[setting]
    world.bucket()
    stamps = [world.stamp()]
    world.call(put, Bucket="bucket", **params)
    stamps.append(world.stamp())
    world.call(get, Bucket="bucket")
    if delete is not None:
        world.call(delete, Bucket="bucket")
        stamps.append(world.stamp())
        world.call(delete, Bucket="bucket")  # once more: nothing to delete is no error
        if unset:
            with refused(unset):
                world.call(get, Bucket="bucket")
    assert stamps == sorted(set(stamps))


@pytest.mark.parametrize("setting", sorted(_SETTINGS))
def test_setting_of_a_missing_bucket_is_no_such_bucket(world: World, setting: str) -> None:
    put, params, get, delete, _ = _SETTINGS[setting]
    for operation, given in ((put, params), (get, {}), (delete, {})):
        if operation is not None:
            with refused("NoSuchBucket"):
                world.call(operation, Bucket="missing", **given)


@pytest.mark.parametrize(
    "who", [root_of(STRANGER), ANONYMOUS, user_of("111122223333")], ids=["stranger", "anonymous", "user"]
)
@pytest.mark.parametrize("setting", sorted(_SETTINGS))
def test_setting_is_denied_to_others_and_kept(world: World, setting: str, who: Any) -> None:
    put, params, get, delete, _ = _SETTINGS[setting]
    world.bucket()
    before = world.stamp()
    for operation, given in ((put, params), (get, {}), (delete, {})):
        if operation is not None:
            with refused("AccessDenied"):
                world.call(operation, as_=who, Bucket="bucket", **given)
    assert world.stamp() == before


def test_public_access_switches_that_are_not_named_are_off(world: World) -> None:
    world.bucket()
    world.call("PutPublicAccessBlock", Bucket="bucket", **_BLOCK)
    assert world.output("GetPublicAccessBlock", Bucket="bucket")["PublicAccessBlockConfiguration"] == {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": False,
        "BlockPublicPolicy": False,
        "RestrictPublicBuckets": False,
    }


@pytest.mark.parametrize(
    "operation",
    ["PutPublicAccessBlock", "PutBucketTagging", "PutBucketCors", "PutBucketOwnershipControls", "PutBucketEncryption"],
)
def test_setting_without_a_document_is_malformed(world: World, operation: str) -> None:
    world.bucket()
    with refused("MalformedXML"):
        world.call(operation, Bucket="bucket")


def test_setting_of_a_bucket_deleted_meanwhile_is_refused_in_the_transaction(world: World) -> None:
    """Authorized on one bucket, committed when another account owns the name: authorized again, and refused."""
    world.bucket()
    original = world._handle

    async def meanwhile(operation: str, authorized: Any, call: Any) -> Any:
        if operation == "PutBucketVersioning":
            bucket_id = world.bucket_id("bucket")
            from s3al.store import catalog

            await world.s3.db.write(lambda rows: catalog.delete_bucket(rows, bucket_id))
            row = catalog.BucketRow(b"n" * 16, "bucket", STRANGER, "us-east-1", 0)
            await world.s3.db.write(lambda rows: catalog.create_bucket(rows, row))
        return await original(operation, authorized, call)

    world._handle = meanwhile  # type: ignore[method-assign]
    with refused("AccessDenied"):
        world.call("PutBucketVersioning", Bucket="bucket", **_VERSIONING)
    assert world.output("GetBucketVersioning", as_=root_of(STRANGER), Bucket="bucket") == {}

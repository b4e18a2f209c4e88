"""Buckets: create, head, delete, list, locate."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from s3al.errors import RequestError
from s3al.s3.errors import S3_ERRORS
from s3al.store import accounts, catalog
from unit.s3.world import ANONYMOUS, NOW_MS, OWNER, STRANGER, World, canonical_id, open_world, refused, root_of, user_of


def test_new_bucket_is_located_headed_and_listed(world: World) -> None:
    created = world.output("CreateBucket", Bucket="photos")
    assert created == {"Location": "/photos", "BucketArn": "arn:aws:s3:::photos"}
    assert world.output("HeadBucket", Bucket="photos")["BucketRegion"] == "us-east-1"
    assert world.output("GetBucketLocation", Bucket="photos") == {"LocationConstraint": None}
    listed = world.output("ListBuckets")
    assert [bucket["Name"] for bucket in listed["Buckets"]] == ["photos"]
    assert listed["Buckets"][0]["CreationDate"] == datetime.fromtimestamp(NOW_MS // 1000, UTC)
    assert listed["Owner"]["ID"] == canonical_id(OWNER)


def test_new_bucket_has_aws_defaults(world: World) -> None:
    world.bucket()
    block = world.output("GetPublicAccessBlock", Bucket="bucket")["PublicAccessBlockConfiguration"]
    assert block == dict.fromkeys(block, True)
    assert len(block) == 4
    controls = world.output("GetBucketOwnershipControls", Bucket="bucket")["OwnershipControls"]
    assert controls == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    rule = world.output("GetBucketEncryption", Bucket="bucket")["ServerSideEncryptionConfiguration"]["Rules"][0]
    assert rule == {
        "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
        "BucketKeyEnabled": False,
        "BlockedEncryptionTypes": {"EncryptionType": ["SSE-C"]},
    }
    assert world.output("GetBucketVersioning", Bucket="bucket") == {}


def test_accounts_changed_defaults_hold_for_its_later_buckets_only(world: World) -> None:
    world.bucket("before")
    settings = json.dumps({"block_sse_c": False, "block_public_access": False})
    world.change(lambda rows: accounts.put_account_settings(rows, OWNER, settings))
    world.bucket("after")
    blocked = {}
    for name in ("before", "after"):
        rule = world.output("GetBucketEncryption", Bucket=name)["ServerSideEncryptionConfiguration"]["Rules"][0]
        blocked[name] = rule["BlockedEncryptionTypes"]["EncryptionType"]
    assert blocked == {"before": ["SSE-C"], "after": ["NONE"]}
    world.call("GetPublicAccessBlock", Bucket="before")
    with refused("NoSuchPublicAccessBlockConfiguration"):
        world.call("GetPublicAccessBlock", Bucket="after")


def test_name_taken_by_another_account_is_bucket_already_exists(world: World) -> None:
    world.bucket()
    with refused("BucketAlreadyExists"):
        world.call("CreateBucket", as_=root_of(STRANGER), Bucket="bucket")


def test_creating_again_in_us_east_1_succeeds_and_changes_nothing(world: World) -> None:
    world.bucket()
    world.call("PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    before = world.bucket_id("bucket")
    assert world.output("CreateBucket", Bucket="bucket")["Location"] == "/bucket"
    assert world.bucket_id("bucket") == before
    assert world.output("GetBucketVersioning", Bucket="bucket") == {"Status": "Enabled"}


def test_creating_again_with_tags_is_already_owned(world: World) -> None:
    world.bucket()
    with refused("BucketAlreadyOwnedByYou"):
        world.bucket(CreateBucketConfiguration={"Tags": [{"Key": "a", "Value": "b"}]})


def test_creating_again_elsewhere_is_already_owned(tmp_path: Path) -> None:
    with open_world(tmp_path, region="eu-west-1") as world:
        location = {"LocationConstraint": "eu-west-1"}
        world.bucket(CreateBucketConfiguration=location)
        with refused("BucketAlreadyOwnedByYou"):
            world.bucket(CreateBucketConfiguration=location)


@pytest.mark.parametrize(
    ("region", "constraint", "code"),
    [
        ("us-east-1", None, None),
        ("us-east-1", "us-east-1", "InvalidLocationConstraint"),
        ("us-east-1", "eu-west-1", "IllegalLocationConstraintException"),
        ("eu-west-1", None, "IllegalLocationConstraintException"),
        ("eu-west-1", "eu-west-1", None),
        ("eu-west-1", "EU", None),
        ("eu-west-1", "us-west-2", "IllegalLocationConstraintException"),
        ("eu-west-1", "us-east-1", "InvalidLocationConstraint"),
        ("us-east-1", "moon-1", "IllegalLocationConstraintException"),
    ],
)
def test_location_constraint_names_the_servers_region(
    tmp_path: Path, region: str, constraint: str | None, code: str | None
) -> None:
    configuration = {"LocationConstraint": constraint} if constraint else {}
    with open_world(tmp_path, region=region) as world:
        if code:
            with refused(code):
                world.bucket(CreateBucketConfiguration=configuration)
            assert world.output("ListBuckets")["Buckets"] == []
        else:
            world.bucket(CreateBucketConfiguration=configuration)
            shown = world.output("GetBucketLocation", Bucket="bucket")["LocationConstraint"]
            assert shown == (None if region == "us-east-1" else region)


def test_wrong_location_is_worded_as_aws_does(world: World) -> None:
    with refused(
        "IllegalLocationConstraintException",
        "The eu-west-1 location constraint is incompatible for the region specific endpoint this request was sent to.",
    ):
        world.bucket(CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"Bucket": "No"}, "InvalidBucketName"),
        ({"ACL": "public-read"}, "InvalidBucketAclWithObjectOwnership"),
        ({"ACL": "public-read", "ObjectOwnership": "ObjectWriter"}, "AccessControlListNotSupported"),
        ({"ACL": "everyone"}, "InvalidArgument"),
        ({"GrantRead": "id=1234"}, "AccessControlListNotSupported"),
        ({"ObjectOwnership": "Nobody"}, "InvalidArgument"),
        ({"BucketNamespace": "galactic"}, "InvalidArgument"),
        ({"CreateBucketConfiguration": {"Bucket": {"Type": "Directory"}}}, "NotImplemented"),
        ({"CreateBucketConfiguration": {"Tags": [{"Key": "aws:x", "Value": ""}]}}, "InvalidTag"),
    ],
)
def test_what_a_bucket_cannot_have_is_refused_and_nothing_created(world: World, params: dict, code: str) -> None:
    with refused(code):
        world.call("CreateBucket", **({"Bucket": "bucket"} | params))
    assert world.output("ListBuckets")["Buckets"] == []


def test_owners_acl_ownership_and_tags_are_taken_at_creation(world: World) -> None:
    tags = [{"Key": "team", "Value": "blue"}]
    world.bucket(ACL="private", ObjectOwnership="BucketOwnerPreferred", CreateBucketConfiguration={"Tags": tags})
    assert world.output("GetBucketTagging", Bucket="bucket")["TagSet"] == tags
    controls = world.output("GetBucketOwnershipControls", Bucket="bucket")["OwnershipControls"]
    assert controls["Rules"][0]["ObjectOwnership"] == "BucketOwnerPreferred"


def test_full_control_may_be_granted_to_the_owner_by_id(world: World) -> None:
    world.bucket(GrantFullControl=f'id="{canonical_id(OWNER)}"')
    with refused("AccessControlListNotSupported"):
        world.bucket("other", GrantFullControl=f'id="{canonical_id(STRANGER)}"')


def test_anonymous_may_neither_create_nor_list(world: World) -> None:
    for operation, params in (("CreateBucket", {"Bucket": "bucket"}), ("ListBuckets", {})):
        with refused("AccessDenied"):
            world.call(operation, as_=ANONYMOUS, **params)


def test_user_without_permission_may_not_create(world: World) -> None:
    with refused("AccessDenied"):
        world.call("CreateBucket", as_=user_of(OWNER), Bucket="bucket")


def test_head_of_an_unknown_bucket_is_no_such_bucket(world: World) -> None:
    with refused("NoSuchBucket"):
        world.call("HeadBucket", Bucket="missing")


def test_strangers_bucket_is_denied(world: World) -> None:
    world.bucket()
    for operation in ("HeadBucket", "DeleteBucket", "GetBucketLocation"):
        with refused("AccessDenied"):
            world.call(operation, as_=root_of(STRANGER), Bucket="bucket")


def test_expected_owner_that_differs_is_denied(world: World) -> None:
    world.bucket()
    world.call("HeadBucket", Bucket="bucket", ExpectedBucketOwner=OWNER)
    with refused("AccessDenied"):
        world.call("HeadBucket", Bucket="bucket", ExpectedBucketOwner=STRANGER)


def test_empty_bucket_is_deleted_and_its_namesake_is_another(world: World) -> None:
    world.bucket()
    first = world.bucket_id("bucket")
    world.call("PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    world.call("DeleteBucket", Bucket="bucket")
    with refused("NoSuchBucket"):
        world.call("HeadBucket", Bucket="bucket")
    world.call("CreateBucket", as_=root_of(STRANGER), Bucket="bucket")
    assert world.bucket_id("bucket") != first
    assert world.output("GetBucketVersioning", as_=root_of(STRANGER), Bucket="bucket") == {}


@pytest.mark.parametrize("kept", ["object", "delete marker"])
def test_bucket_with_any_version_is_not_deleted(world: World, kept: str) -> None:
    world.bucket()
    world.put("bucket", "key", marker=kept == "delete marker")
    with refused("BucketNotEmpty", "The bucket you tried to delete is not empty"):
        world.call("DeleteBucket", Bucket="bucket")
    world.call("HeadBucket", Bucket="bucket")


def test_versioned_bucket_says_that_all_versions_must_go(world: World) -> None:
    world.bucket()
    world.call("PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": "Suspended"})
    world.put("bucket", "key")
    message = "The bucket you tried to delete is not empty. You must delete all versions in the bucket."
    with refused("BucketNotEmpty", message):
        world.call("DeleteBucket", Bucket="bucket")


def test_unfinished_uploads_go_with_their_bucket(world: World) -> None:
    world.bucket()
    upload_id = world.upload("bucket", "big")
    world.part(upload_id, 1)
    upload = world.rows(lambda rows: catalog.find_upload(rows, upload_id))
    stream = catalog.StreamRow(upload.object_id, b"t" * 16, "i/blob", None)
    world.change(lambda rows: catalog.insert_streams(rows, [stream]))
    world.call("DeleteBucket", Bucket="bucket")
    assert world.rows(lambda rows: catalog.find_upload(rows, upload_id)) is None
    assert world.rows(lambda rows: catalog.list_parts(rows, upload_id)) == []
    assert world.rows(lambda rows: catalog.streams_of(rows, upload.object_id)) == []
    assert world.rows(lambda rows: rows.one("SELECT blob_name FROM graveyard")) == ("i/blob",)


def test_deleting_and_creating_move_the_change_counter(world: World) -> None:
    before = world.stamp()
    world.bucket()
    created = world.stamp()
    world.call("DeleteBucket", Bucket="bucket")
    assert before < created < world.stamp()


def test_list_shows_only_the_callers_buckets_in_order(world: World) -> None:
    for name in ("zebra", "apple", "mango"):
        world.bucket(name)
    world.call("CreateBucket", as_=root_of(STRANGER), Bucket="banana")
    assert [bucket["Name"] for bucket in world.output("ListBuckets")["Buckets"]] == ["apple", "mango", "zebra"]


def test_list_is_paged_by_token(world: World) -> None:
    names = [f"bucket-{number}" for number in range(7)]
    for name in names:
        world.bucket(name)
    found, token, pages = [], None, 0
    while pages == 0 or token:
        page = world.output("ListBuckets", MaxBuckets=3, **({"ContinuationToken": token} if token else {}))
        found += [bucket["Name"] for bucket in page["Buckets"]]
        token, pages = page.get("ContinuationToken"), pages + 1
    assert (found, pages) == (names, 3)


def test_list_is_filtered_by_prefix_and_region(world: World) -> None:
    for name in ("logs-a", "logs-b", "data"):
        world.bucket(name)
    page = world.output("ListBuckets", Prefix="logs-", MaxBuckets=1)
    assert [bucket["Name"] for bucket in page["Buckets"]] == ["logs-a"]
    assert page["Prefix"] == "logs-"
    rest = world.output("ListBuckets", Prefix="logs-", ContinuationToken=page["ContinuationToken"])
    assert [bucket["Name"] for bucket in rest["Buckets"]] == ["logs-b"]
    assert "ContinuationToken" not in rest
    assert world.output("ListBuckets", BucketRegion="eu-west-1")["Buckets"] == []
    assert len(world.output("ListBuckets", BucketRegion="us-east-1")["Buckets"]) == 3


def test_list_token_of_another_account_is_refused(world: World) -> None:
    for name in ("first", "second"):
        world.bucket(name)
    token = world.output("ListBuckets", MaxBuckets=1)["ContinuationToken"]
    with refused("InvalidArgument"):
        world.call("ListBuckets", as_=root_of(STRANGER), ContinuationToken=token)


@pytest.mark.parametrize("most", [0, -1, 10_001])
def test_page_of_buckets_has_1_to_10000(world: World, most: int) -> None:
    with refused("InvalidArgument"):
        world.call("ListBuckets", MaxBuckets=most)
    world.call("ListBuckets", MaxBuckets=10_000)


def test_account_has_no_more_than_10000_buckets(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("s3al.s3.buckets.BUCKETS_PER_ACCOUNT", 2)
    world.bucket("first")
    world.bucket("second")
    with refused("TooManyBuckets"):
        world.bucket("third")
    world.call("CreateBucket", as_=root_of(STRANGER), Bucket="third")


def test_refusals_have_their_documented_status(world: World) -> None:
    with pytest.raises(RequestError) as info:
        world.call("HeadBucket", Bucket="missing")
    assert S3_ERRORS[info.value.code][0] == 404
    assert info.value.fields == {"BucketName": "missing"}

"""Object ownership and what is left of ACLs."""

from __future__ import annotations

from typing import Any

import pytest

from s3al.s3.ownership import CANNED_ACLS, OWNER_ACLS, OWNERSHIPS, accept_acl, ownership_of, refuse_acl_headers
from unit.s3.world import OWNER, STRANGER, World, canonical_id, refused

_ID = canonical_id(OWNER)


@pytest.mark.parametrize("ownership", OWNERSHIPS)
def test_each_ownership_is_kept(world: World, ownership: str) -> None:
    world.bucket()
    controls = {"Rules": [{"ObjectOwnership": ownership}]}
    world.call("PutBucketOwnershipControls", Bucket="bucket", OwnershipControls=controls)
    assert world.output("GetBucketOwnershipControls", Bucket="bucket") == {"OwnershipControls": controls}


@pytest.mark.parametrize(
    "rules", [[], [{}], [{"ObjectOwnership": "Nobody"}], [{"ObjectOwnership": "ObjectWriter"}] * 2]
)
def test_other_controls_are_malformed(world: World, rules: list[Any]) -> None:
    world.bucket()
    with refused("MalformedXML"):
        world.call("PutBucketOwnershipControls", Bucket="bucket", OwnershipControls={"Rules": rules})


def test_bucket_without_controls_lets_the_writer_own_as_aws_does() -> None:
    assert ownership_of(None) == "ObjectWriter"


@pytest.mark.parametrize("operation", ["GetBucketAcl", "GetObjectAcl"])
def test_acl_gives_the_owner_full_control_and_nobody_else(world: World, operation: str) -> None:
    world.bucket()
    world.put("bucket", "key")
    acl = world.output(operation, Bucket="bucket", **({"Key": "key"} if operation == "GetObjectAcl" else {}))
    assert acl["Owner"]["ID"] == _ID
    [granted] = acl["Grants"]
    assert granted["Permission"] == "FULL_CONTROL"
    assert (granted["Grantee"]["ID"], granted["Grantee"]["Type"]) == (_ID, "CanonicalUser")


def test_acl_of_a_missing_object_is_no_such_key(world: World) -> None:
    world.bucket()
    with refused("NoSuchKey"):
        world.call("GetObjectAcl", Bucket="bucket", Key="missing")
    with refused("NoSuchVersion"):
        world.call("GetObjectAcl", Bucket="bucket", Key="missing", VersionId="v")


@pytest.mark.parametrize("acl", [None, *OWNER_ACLS])
def test_owners_own_acl_is_accepted(acl: str | None) -> None:
    refuse_acl_headers({"ACL": acl} if acl else {})


@pytest.mark.parametrize("acl", sorted(set(CANNED_ACLS) - set(OWNER_ACLS)))
def test_any_other_canned_acl_is_not_supported(acl: str) -> None:
    with refused("AccessControlListNotSupported"):
        refuse_acl_headers({"ACL": acl}, owner_id=_ID)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"ACL": "nonsense"}, "InvalidArgument"),
        ({"ACL": "private", "GrantRead": f"id={_ID}"}, "InvalidRequest"),
        ({"GrantRead": f"id={_ID}"}, "AccessControlListNotSupported"),
        ({"GrantFullControl": f"id={canonical_id(STRANGER)}"}, "AccessControlListNotSupported"),
        ({"GrantFullControl": f"id={_ID}, id={canonical_id(STRANGER)}"}, "AccessControlListNotSupported"),
        (
            {"GrantFullControl": 'uri="http://acs.amazonaws.com/groups/global/AllUsers"'},
            "AccessControlListNotSupported",
        ),
        ({"GrantFullControl": 'emailAddress="ann@example.com"'}, "AccessControlListNotSupported"),
    ],
)
def test_grants_to_others_are_refused(params: dict[str, str], code: str) -> None:
    with refused(code):
        refuse_acl_headers(params, owner_id=_ID)


@pytest.mark.parametrize("grantee", [f"id={_ID}", f'id="{_ID}"', f'id="{_ID}", id="{_ID}"'])
def test_full_control_for_the_owner_is_accepted_only_where_the_owner_is_known(grantee: str) -> None:
    refuse_acl_headers({"GrantFullControl": grantee}, owner_id=_ID)
    with refused("AccessControlListNotSupported"):
        refuse_acl_headers({"GrantFullControl": grantee})


@pytest.mark.parametrize(
    ("ownership", "account_id", "acl", "accepted"),
    [
        ("BucketOwnerEnforced", STRANGER, None, True),
        ("BucketOwnerEnforced", STRANGER, "bucket-owner-full-control", True),
        ("BucketOwnerPreferred", OWNER, "private", True),
        ("BucketOwnerPreferred", OWNER, None, True),
        ("BucketOwnerPreferred", STRANGER, None, False),
        ("BucketOwnerPreferred", STRANGER, "bucket-owner-full-control", True),
        ("ObjectWriter", OWNER, None, True),
        ("ObjectWriter", STRANGER, "bucket-owner-full-control", False),
        ("ObjectWriter", None, None, False),
        (None, STRANGER, None, False),
        (None, OWNER, None, True),
    ],
)
def test_write_that_would_leave_the_object_to_its_writer_is_not_implemented(
    world: World, ownership: str | None, account_id: str | None, acl: str | None, accepted: bool
) -> None:
    world.bucket()
    if ownership:
        controls = {"Rules": [{"ObjectOwnership": ownership}]}
        world.call("PutBucketOwnershipControls", Bucket="bucket", OwnershipControls=controls)
    else:
        world.call("DeleteBucketOwnershipControls", Bucket="bucket")
    state = world.rows(lambda rows: world.s3.buckets.get(rows, "bucket"))
    if accepted:
        accept_acl(state, account_id=account_id, canned_acl=acl)
    else:
        with refused("NotImplemented"):
            accept_acl(state, account_id=account_id, canned_acl=acl)


def test_private_is_an_acl_that_enforced_ownership_does_not_admit(world: World) -> None:
    world.bucket()
    state = world.rows(lambda rows: world.s3.buckets.get(rows, "bucket"))
    with refused("AccessControlListNotSupported"):
        accept_acl(state, account_id=OWNER, canned_acl="private")


def _acl(grantee_id: str, permission: str = "FULL_CONTROL") -> dict[str, Any]:
    grantee = {"ID": grantee_id, "Type": "CanonicalUser"}
    return {"Owner": {"ID": _ID}, "Grants": [{"Grantee": grantee, "Permission": permission}]}


@pytest.mark.parametrize("operation", ["PutBucketAcl", "PutObjectAcl"])
@pytest.mark.parametrize("params", [{"ACL": "private"}, {"AccessControlPolicy": _acl(_ID)}], ids=["canned", "document"])
def test_writing_any_acl_is_not_supported_where_acls_are_disabled(
    world: World, operation: str, params: dict[str, Any]
) -> None:
    world.bucket()
    world.put("bucket", "key")
    named = {"Key": "key"} if operation == "PutObjectAcl" else {}
    with refused("AccessControlListNotSupported"):
        world.call(operation, Bucket="bucket", **named, **params)


@pytest.mark.parametrize("operation", ["PutBucketAcl", "PutObjectAcl"])
@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"ACL": "private"}, None),
        ({"AccessControlPolicy": _acl(_ID)}, None),
        ({"GrantFullControl": f"id={_ID}"}, None),
        ({"ACL": "public-read"}, "AccessControlListNotSupported"),
        ({"AccessControlPolicy": _acl(_ID, "READ")}, "AccessControlListNotSupported"),
        ({"AccessControlPolicy": _acl(canonical_id(STRANGER))}, "AccessControlListNotSupported"),
        ({"AccessControlPolicy": {"Grants": []}}, "AccessControlListNotSupported"),
        ({"AccessControlPolicy": _acl(_ID), "ACL": "private"}, "UnexpectedContent"),
        ({}, "MissingSecurityHeader"),
    ],
)
def test_only_the_owners_acl_is_taken_where_acls_are_enabled(
    world: World, operation: str, params: dict[str, Any], code: str | None
) -> None:
    world.bucket(ObjectOwnership="ObjectWriter")
    world.put("bucket", "key")
    named = {"Key": "key"} if operation == "PutObjectAcl" else {}
    if code is None:
        world.call(operation, Bucket="bucket", **named, **params)
        return
    with refused(code):
        world.call(operation, Bucket="bucket", **named, **params)

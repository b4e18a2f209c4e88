"""Object ownership, and what is left of ACLs when the bucket's owner owns every object.

What lives here: the ownership setting, reading and writing ACLs, and what every write of an object asks:
`accept_written`. What does not: grants. s3al keeps no ACL: access is given by policies.

Laws: the only ACL there ever is gives the bucket's owner FULL_CONTROL; where ACLs are enabled, writing that one
changes nothing and succeeds. A request that asks for another one answers AccessControlListNotSupported, as every
write of an ACL does under BucketOwnerEnforced, and one that would leave an object to its writer (ownership other
than BucketOwnerEnforced, another account writing) answers NotImplemented; neither is ignored.

Source: S3 User Guide, "Controlling ownership of objects and disabling ACLs for your bucket".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.s3.access import bucket_state, on_bucket
from s3al.s3.objects import locate, on_stored_object
from s3al.s3.ports import S3
from s3al.s3.registry import OPERATIONS
from s3al.s3.settings import delete_setting, put_setting, read_setting
from s3al.s3.state import BucketState
from s3al.service.operation import Call, Params, Reply
from s3al.store import accounts
from s3al.store.database import Rows

ENFORCED = "BucketOwnerEnforced"
OWNERSHIPS = (ENFORCED, "BucketOwnerPreferred", "ObjectWriter")
OWNER_ACLS = ("private", "bucket-owner-full-control")
CANNED_ACLS = (
    *OWNER_ACLS,
    "public-read",
    "public-read-write",
    "authenticated-read",
    "aws-exec-read",
    "bucket-owner-read",
    "log-delivery-write",
)
_GRANTS = ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP")
_GRANTEE = re.compile(r'\s*id\s*=\s*"?([0-9a-fA-F]+)"?\s*')


def owner_of(rows: Rows, account_id: str) -> dict[str, str]:
    """The Owner element of an account. AWS sends no DisplayName since November 2025; older tools still read
    it."""
    account = accounts.find_account(rows, account_id)
    if account is None:
        return {"ID": account_id}
    return {"ID": account.canonical_id, "DisplayName": account.name}


def refuse_acl_headers(params: Params, *, owner_id: str | None = None) -> None:
    """Refuse every ACL in a request's headers but the owner's.

    owner_id: canonical id of the bucket's owner, to whom FULL_CONTROL may be granted by name; None if not at
    hand.
    """
    canned = params.get("ACL")
    if canned is not None and canned not in CANNED_ACLS:
        raise RequestError("InvalidArgument", "", ArgumentName="x-amz-acl", ArgumentValue=canned)
    granted = {name: params[name] for name in _GRANTS if params.get(name)}
    if canned and granted:
        message = "Specifying both Canned ACLs and Header Grants is not allowed"
        raise RequestError("InvalidRequest", message)
    if canned and canned not in OWNER_ACLS:
        raise RequestError("AccessControlListNotSupported")
    for name, grantees in granted.items():
        if name != "GrantFullControl" or not _all_are(grantees.split(","), owner_id):
            raise RequestError("AccessControlListNotSupported")


def accept_written(rows: Rows, call: Call, state: BucketState) -> None:
    """What a write of an object asks before anything is stored: its ACL headers, and whose the object would be."""
    granted = call.params.get("GrantFullControl")
    refuse_acl_headers(call.params, owner_id=owner_of(rows, state.row.account_id)["ID"] if granted else None)
    accept_acl(state, account_id=call.principal.account_id, canned_acl=call.params.get("ACL"))


def accept_acl(state: BucketState, *, account_id: str | None, canned_acl: str | None) -> None:
    """Refuse a write whose ACL the bucket's ownership forbids, or that would leave the object to its writer.

    account_id: of the writer. canned_acl: one that `refuse_acl_headers` let pass. As on AWS, BucketOwnerEnforced
    admits bucket-owner-full-control alone.
    """
    ownership = ownership_of(state.document("ownership"))
    if ownership == ENFORCED:
        if canned_acl == "private":
            raise RequestError("AccessControlListNotSupported")
        return
    given_over = ownership == "BucketOwnerPreferred" and canned_acl == "bucket-owner-full-control"
    if account_id != state.row.account_id and not given_over:
        raise RequestError("NotImplemented", "Objects that belong to an account other than the bucket's owner")


def ownership_of(document: Mapping[str, Any] | None) -> str:
    """Without the setting AWS lets the writer own the object."""
    return document["Rules"][0]["ObjectOwnership"] if document else "ObjectWriter"


def ownership_document(ownership: str) -> dict[str, Any]:
    if ownership not in OWNERSHIPS:
        raise RequestError(
            "InvalidArgument",
            f"Invalid x-amz-object-ownership header: {ownership}",
            ArgumentName="x-amz-object-ownership",
            ArgumentValue=ownership,
        )
    return {"Rules": [{"ObjectOwnership": ownership}]}


@OPERATIONS.operation("PutBucketOwnershipControls", checks=on_bucket("s3:PutBucketOwnershipControls"))
async def put_bucket_ownership_controls(authorized: Authorized, call: Call, s3: S3) -> Reply:
    rules = (call.params.get("OwnershipControls") or {}).get("Rules") or []
    if len(rules) != 1 or rules[0].get("ObjectOwnership") not in OWNERSHIPS:
        raise RequestError("MalformedXML")
    document = ownership_document(rules[0]["ObjectOwnership"])
    await put_setting(authorized, call, s3=s3, setting="ownership", document=document)
    return Reply()


@OPERATIONS.operation("GetBucketOwnershipControls", checks=on_bucket("s3:GetBucketOwnershipControls"))
async def get_bucket_ownership_controls(authorized: Authorized, call: Call, s3: S3) -> Reply:
    document = await read_setting(call, s3, setting="ownership", unset="OwnershipControlsNotFoundError")
    return Reply({"OwnershipControls": document})


@OPERATIONS.operation("DeleteBucketOwnershipControls", checks=on_bucket("s3:PutBucketOwnershipControls"))
async def delete_bucket_ownership_controls(authorized: Authorized, call: Call, s3: S3) -> Reply:
    await delete_setting(authorized, call, s3=s3, setting="ownership")
    return Reply()


@OPERATIONS.operation("GetBucketAcl", checks=on_bucket("s3:GetBucketAcl"))
async def get_bucket_acl(authorized: Authorized, call: Call, s3: S3) -> Reply:
    return Reply(_owner_acl(await s3.db.read(lambda rows: _bucket_owner(rows, call, s3))))


@OPERATIONS.operation("GetObjectAcl", checks=on_stored_object("s3:GetObjectAcl", "s3:GetObjectVersionAcl"))
async def get_object_acl(authorized: Authorized, call: Call, s3: S3) -> Reply:
    return Reply(_owner_acl(await s3.db.read(lambda rows: _object_owner(rows, call, s3))))


@OPERATIONS.operation("PutBucketAcl", checks=on_bucket("s3:PutBucketAcl"))
async def put_bucket_acl(authorized: Authorized, call: Call, s3: S3) -> Reply:
    await s3.db.read(lambda rows: _accept_acl_write(rows, call, bucket_state(rows, call.params["Bucket"], s3)))
    return Reply()


@OPERATIONS.operation("PutObjectAcl", checks=on_stored_object("s3:PutObjectAcl", "s3:PutObjectVersionAcl"))
async def put_object_acl(authorized: Authorized, call: Call, s3: S3) -> Reply:
    await s3.db.read(lambda rows: _accept_acl_write(rows, call, locate(rows, s3, call, with_streams=False).state))
    return Reply()


def _accept_acl_write(rows: Rows, call: Call, state: BucketState) -> None:
    """Refuse every ACL but the one there is."""
    if ownership_of(state.document("ownership")) == ENFORCED:
        raise RequestError("AccessControlListNotSupported")
    owner_id = owner_of(rows, state.row.account_id)["ID"]
    refuse_acl_headers(call.params, owner_id=owner_id)
    document = call.params.get("AccessControlPolicy")
    if document is None:
        if not call.params.get("ACL") and not call.params.get("GrantFullControl"):
            raise RequestError("MissingSecurityHeader", MissingHeaderName="x-amz-acl")
        return
    if call.params.get("ACL"):
        raise RequestError("UnexpectedContent")
    grants = document.get("Grants") or []
    if not all(_is_owners(grant, owner_id) for grant in grants) or not grants:
        raise RequestError("AccessControlListNotSupported")


def _is_owners(grant: Mapping[str, Any], owner_id: str) -> bool:
    return grant.get("Permission") == "FULL_CONTROL" and (grant.get("Grantee") or {}).get("ID") == owner_id


def _bucket_owner(rows: Rows, call: Call, s3: S3) -> dict[str, str]:
    return owner_of(rows, bucket_state(rows, call.params["Bucket"], s3).row.account_id)


def _object_owner(rows: Rows, call: Call, s3: S3) -> dict[str, str]:
    return owner_of(rows, locate(rows, s3, call, with_streams=False).state.row.account_id)


def _owner_acl(owner: dict[str, str]) -> Params:
    grantee = owner | {"Type": "CanonicalUser"}
    return {"Owner": owner, "Grants": [{"Grantee": grantee, "Permission": "FULL_CONTROL"}]}


def _all_are(grantees: Iterable[str], owner_id: str | None) -> bool:
    matches = [_GRANTEE.fullmatch(grantee) for grantee in grantees]
    return all(match and match[1] == owner_id for match in matches)

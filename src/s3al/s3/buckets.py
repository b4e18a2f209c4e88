"""Buckets: create, head, delete, list, locate.

What lives here: the life of a bucket. What does not: its settings (one file each), its objects.

Laws: names are unique over all accounts; the id of a bucket is never used again; a new bucket has the
account's new-bucket defaults, stored with it, so that a later change of the defaults changes no bucket. A
bucket with any version, delete markers included, is not deleted; unfinished uploads go with their bucket.

Source: S3 API Reference, CreateBucket, DeleteBucket, HeadBucket, ListBuckets, GetBucketLocation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from s3al.auth.authorized import Authorized
from s3al.errors import AccessError, RequestError
from s3al.s3.access import bucket_arn, on_account, on_bucket
from s3al.s3.encryption import NOTHING_BLOCKED, encryption_document
from s3al.s3.limits import BUCKET_TAGS_MAX, BUCKETS_PAGE_MAX, BUCKETS_PER_ACCOUNT
from s3al.s3.names import new_bucket_name
from s3al.s3.object_lock import operations as object_lock
from s3al.s3.ownership import CANNED_ACLS, ENFORCED, OWNER_ACLS, owner_of, ownership_document, refuse_acl_headers
from s3al.s3.ports import S3
from s3al.s3.public_access import BLOCK_ALL
from s3al.s3.registry import OPERATIONS
from s3al.s3.settings import change_bucket, encode, read_bucket
from s3al.s3.sse import SSE_C
from s3al.s3.tag_set import parse_tag_set
from s3al.s3.tokens import make_token, read_token
from s3al.service.operation import Call, Check, Params, Reply
from s3al.store import accounts, catalog
from s3al.store.catalog import BucketRow
from s3al.store.database import Rows

FIRST_REGION = "us-east-1"  # the region that has no location constraint, and where creating again succeeds
_LEGACY_REGIONS = {"EU": "eu-west-1"}
_BUCKET_ID_BYTES = 16
_UPLOADS_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class NewBucketDefaults:
    """What an account's new buckets have; members of the account's settings. As AWS: both, unless changed."""

    block_sse_c: bool = True
    block_public_access: bool = True

    @classmethod
    def of_account(cls, rows: Rows, account_id: str) -> NewBucketDefaults:
        account = accounts.find_account(rows, account_id)
        settings = json.loads(account.settings) if account else {}
        return cls(
            block_sse_c=settings.get("block_sse_c", True) is not False,
            block_public_access=settings.get("block_public_access", True) is not False,
        )


def may_create(call: Call, rows: Rows, s3: S3) -> Iterable[Check]:
    """The bucket does not exist yet, so that the caller's own account decides alone."""
    arn = bucket_arn(call.params["Bucket"])
    yield Check("s3:CreateBucket", arn)
    if call.params.get("ACL"):
        yield Check("s3:PutBucketAcl", arn)
    if call.params.get("ObjectOwnership"):
        yield Check("s3:PutBucketOwnershipControls", arn)
    if call.params.get("ObjectLockEnabledForBucket"):
        yield Check("s3:PutBucketVersioning", arn)
        yield Check("s3:PutBucketObjectLockConfiguration", arn)
    if (call.params.get("CreateBucketConfiguration") or {}).get("Tags"):
        yield Check("s3:TagResource", arn)


@OPERATIONS.operation("CreateBucket", checks=may_create)
async def create_bucket(authorized: Authorized, call: Call, s3: S3) -> Reply:
    account_id = call.principal.account_id
    if account_id is None:
        raise AccessError("AccessDenied")
    name = new_bucket_name(
        call.params["Bucket"],
        account_id=account_id,
        region=s3.region,
        namespace=call.params.get("BucketNamespace"),
    )
    settings = _requested_settings(call.params, s3.region)
    bucket = BucketRow(s3.random(_BUCKET_ID_BYTES), name, account_id, s3.region, call.now_ms)

    def write(rows: Rows) -> None:
        refuse_acl_headers(call.params, owner_id=owner_of(rows, account_id)["ID"])
        existing = catalog.find_bucket(rows, name)
        if existing is not None:
            return _create_again(existing, account_id, tagged="tagging" in settings)
        if catalog.count_buckets(rows, account_id) >= BUCKETS_PER_ACCOUNT:
            raise RequestError("TooManyBuckets")
        catalog.create_bucket(rows, bucket)
        stored = _default_settings(NewBucketDefaults.of_account(rows, account_id)) | settings
        for setting, document in stored.items():
            catalog.put_setting(rows, bucket.bucket_id, setting, encode(document))
        return None

    await call.commit(s3.db, authorized, write)
    return Reply({"Location": f"/{name}", "BucketArn": bucket_arn(name)})


@OPERATIONS.operation("HeadBucket", checks=on_bucket("s3:ListBucket"))
async def head_bucket(authorized: Authorized, call: Call, s3: S3) -> Reply:
    bucket = (await read_bucket(call, s3)).row
    return Reply({"BucketRegion": bucket.region, "BucketArn": bucket_arn(bucket.name), "AccessPointAlias": False})


@OPERATIONS.operation("DeleteBucket", checks=on_bucket("s3:DeleteBucket"))
async def delete_bucket(authorized: Authorized, call: Call, s3: S3) -> Reply:
    def change(rows: Rows, bucket: BucketRow) -> None:
        if not catalog.bucket_is_empty(rows, bucket.bucket_id):
            message = "The bucket you tried to delete is not empty"
            if catalog.get_setting(rows, bucket.bucket_id, "versioning") is not None:
                message += ". You must delete all versions in the bucket."
            raise RequestError("BucketNotEmpty", message, BucketName=bucket.name)
        while uploads := catalog.uploads_of_bucket(rows, bucket.bucket_id, _UPLOADS_AT_ONCE):
            for upload in uploads:
                catalog.bury_object(rows, upload.object_id, call.now_ms)
                catalog.delete_upload(rows, upload.upload_id)
        catalog.delete_bucket(rows, bucket.bucket_id)

    await change_bucket(authorized, call, s3=s3, change=change)
    return Reply()


@OPERATIONS.operation("GetBucketLocation", checks=on_bucket("s3:GetBucketLocation"))
async def get_bucket_location(authorized: Authorized, call: Call, s3: S3) -> Reply:
    region = (await read_bucket(call, s3)).row.region
    return Reply({"LocationConstraint": None if region == FIRST_REGION else region})


@OPERATIONS.operation("ListBuckets", checks=on_account("s3:ListAllMyBuckets"))
async def list_buckets(authorized: Authorized, call: Call, s3: S3) -> Reply:
    account_id = call.principal.account_id
    if account_id is None:
        raise AccessError("AccessDenied")
    most = _page_size(call.params.get("MaxBuckets"))
    scope = account_id.encode()
    token = call.params.get("ContinuationToken")
    after = read_token(token, "ListBuckets", scope=scope).decode() if token else ""

    def read(rows: Rows) -> Params:
        page = _buckets_after(rows, account_id, call.params, after=after, most=most + 1)
        output: Params = {
            "Owner": owner_of(rows, account_id),
            "Buckets": [_listed(bucket) for bucket in page[:most]],
        }
        if len(page) > most:
            position = page[most - 1].name.encode()
            output["ContinuationToken"] = make_token("ListBuckets", scope=scope, position=position)
        return output

    output = await s3.db.read(read)
    if call.params.get("Prefix"):
        output["Prefix"] = call.params["Prefix"]
    return Reply(output)


def _buckets_after(rows: Rows, account_id: str, params: Params, *, after: str, most: int) -> list[BucketRow]:
    region, prefix = params.get("BucketRegion"), params.get("Prefix") or ""
    found: list[BucketRow] = []
    while len(found) < most:
        page = catalog.list_buckets(rows, account_id, prefix=prefix, after=after, limit=most)
        found += [bucket for bucket in page if region in (None, "", bucket.region)]
        if len(page) < most:
            break
        after = page[-1].name
    return found[:most]


def _listed(bucket: BucketRow) -> Params:
    return {
        "Name": bucket.name,
        "CreationDate": datetime.fromtimestamp(bucket.created_at // 1000, UTC),
        "BucketRegion": bucket.region,
        "BucketArn": bucket_arn(bucket.name),
    }


def _page_size(most: int | None) -> int:
    if most is None:
        return BUCKETS_PAGE_MAX
    if not 1 <= most <= BUCKETS_PAGE_MAX:
        message = f"Argument max-buckets must be an integer between 1 and {BUCKETS_PAGE_MAX}"
        raise RequestError("InvalidArgument", message, ArgumentName="max-buckets", ArgumentValue=str(most))
    return most


def _create_again(existing: BucketRow, account_id: str, *, tagged: bool) -> None:
    """AWS: in us-east-1 the owner may create a bucket again, which changes nothing; elsewhere it is an
    error."""
    if existing.account_id != account_id:
        raise RequestError("BucketAlreadyExists", BucketName=existing.name)
    if existing.region != FIRST_REGION or tagged:
        raise RequestError("BucketAlreadyOwnedByYou", BucketName=existing.name)


def _requested_settings(params: Params, region: str) -> dict[str, object]:
    configuration = params.get("CreateBucketConfiguration") or {}
    _check_location(configuration, region)
    ownership = params.get("ObjectOwnership") or ENFORCED
    settings: dict[str, object] = {"ownership": ownership_document(ownership)}
    if params.get("ObjectLockEnabledForBucket"):
        settings |= {"versioning": {"Status": "Enabled"}, object_lock.SETTING: object_lock.ENABLED}
    canned = params.get("ACL")
    if ownership == ENFORCED and canned in CANNED_ACLS and canned not in OWNER_ACLS:
        raise RequestError("InvalidBucketAclWithObjectOwnership")
    if configuration.get("Tags"):
        settings["tagging"] = parse_tag_set(configuration["Tags"], most=BUCKET_TAGS_MAX)
    return settings


def _check_location(configuration: Params, region: str) -> None:
    """One server is one region: the constraint must name it, or be absent where it is us-east-1."""
    if configuration.get("Location") or configuration.get("Bucket"):
        raise RequestError("NotImplemented", "Directory buckets are not implemented")
    constraint = configuration.get("LocationConstraint") or ""
    if constraint == FIRST_REGION:
        raise RequestError("InvalidLocationConstraint", LocationConstraint=constraint)
    if (_LEGACY_REGIONS.get(constraint, constraint) or FIRST_REGION) != region:
        message = (
            f"The {constraint or 'unspecified'} location constraint is incompatible for the region specific "
            "endpoint this request was sent to."
        )
        raise RequestError("IllegalLocationConstraintException", message)


def _default_settings(defaults: NewBucketDefaults) -> dict[str, object]:
    blocked = SSE_C if defaults.block_sse_c else NOTHING_BLOCKED
    settings: dict[str, object] = {"encryption": encryption_document(blocked=[blocked])}
    if defaults.block_public_access:
        settings["public_access_block"] = BLOCK_ALL
    return settings

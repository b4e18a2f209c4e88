"""Tags of buckets and of object versions.

What lives here: the operations. What does not: what a tag may be (tag_set), how object tags are sealed
(records).

Laws: a put replaces the whole set; object tags hang on one version and change neither its ETag nor its date.
Object tags are read by each decision that needs them, so changing them does not move the change counter.

Source: S3 API Reference, PutBucketTagging, PutObjectTagging; S3 User Guide, "Categorizing your objects using
tags".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.s3.access import on_bucket
from s3al.s3.limits import BUCKET_TAGS_MAX, OBJECT_TAGS_MAX
from s3al.s3.objects import Located, locate, on_stored_object, shown_version
from s3al.s3.ports import S3
from s3al.s3.registry import OPERATIONS
from s3al.s3.settings import delete_setting, put_setting, read_setting
from s3al.s3.tag_set import parse_tag_set
from s3al.service.operation import Call, Params, Reply
from s3al.store import catalog
from s3al.store.database import Rows


@OPERATIONS.operation("PutBucketTagging", checks=on_bucket("s3:PutBucketTagging"))
async def put_bucket_tagging(authorized: Authorized, call: Call, s3: S3) -> Reply:
    tags = _tags_in(call.params, most=BUCKET_TAGS_MAX)
    await put_setting(authorized, call, s3=s3, setting="tagging", document=tags)
    return Reply()


@OPERATIONS.operation("GetBucketTagging", checks=on_bucket("s3:GetBucketTagging"))
async def get_bucket_tagging(authorized: Authorized, call: Call, s3: S3) -> Reply:
    tags = await read_setting(call, s3, setting="tagging", unset="NoSuchTagSet")
    return Reply({"TagSet": tag_list(tags)})


@OPERATIONS.operation("DeleteBucketTagging", checks=on_bucket("s3:PutBucketTagging"))
async def delete_bucket_tagging(authorized: Authorized, call: Call, s3: S3) -> Reply:
    await delete_setting(authorized, call, s3=s3, setting="tagging")
    return Reply()


@OPERATIONS.operation("GetObjectTagging", checks=on_stored_object("s3:GetObjectTagging", "s3:GetObjectVersionTagging"))
async def get_object_tagging(authorized: Authorized, call: Call, s3: S3) -> Reply:
    found = await s3.db.read(lambda rows: locate(rows, s3, call, with_streams=False))
    tags = dict(sorted(s3.records.open_tags(found.row).items()))  # a set has no order: clients compare it by name
    return Reply({"TagSet": tag_list(tags)} | shown_version(found.state, found.row.version_id))


@OPERATIONS.operation("PutObjectTagging", checks=on_stored_object("s3:PutObjectTagging", "s3:PutObjectVersionTagging"))
async def put_object_tagging(authorized: Authorized, call: Call, s3: S3) -> Reply:
    tags = _tags_in(call.params, most=OBJECT_TAGS_MAX)
    return await _set_tags(authorized, call, s3=s3, tags=tags)


@OPERATIONS.operation(
    "DeleteObjectTagging", checks=on_stored_object("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging")
)
async def delete_object_tagging(authorized: Authorized, call: Call, s3: S3) -> Reply:
    return await _set_tags(authorized, call, s3=s3, tags={})


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """As the model shows a TagSet."""
    return [{"Key": name, "Value": value} for name, value in tags.items()]


async def _set_tags(authorized: Authorized, call: Call, *, s3: S3, tags: Mapping[str, str]) -> Reply:
    def write(rows: Rows) -> Located:
        found = locate(rows, s3, call, with_streams=False)
        catalog.put_tag_record(rows, found.row, s3.records.seal_tags(found.row, tags) if tags else None)
        return found

    found = await call.commit(s3.db, authorized, write)
    return Reply(shown_version(found.state, found.row.version_id))


def _tags_in(params: Params, *, most: int) -> dict[str, str]:
    tagging: Mapping[str, Any] | None = params.get("Tagging")
    if tagging is None or "TagSet" not in tagging:
        raise RequestError("MalformedXML")
    return parse_tag_set(tagging["TagSet"], most=most)

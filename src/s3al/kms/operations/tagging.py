"""Tags of keys.

What lives here: TagResource, UntagResource, ListResourceTags, and the rules for tags. What does not: the
condition keys made from tags (access).

Law: tags can change authorization (aws:ResourceTag), so every change bumps the change counter.

Source: KMS API reference, "TagResource"; wording of TagException as recorded from AWS.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.kms.access import on_key, read
from s3al.kms.identifiers import key_of
from s3al.kms.paging import page, page_of
from s3al.kms.ports import OPERATIONS, Kms
from s3al.kms.states import state_after
from s3al.service.operation import Call, Reply
from s3al.store import key_labels
from s3al.store.catalog import bump
from s3al.store.database import Rows

MAX_TAGS = 50
_RESERVED = "aws:"


def check_tags(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The tags of a request by name. Raises TagException."""
    checked: dict[str, str] = {}
    for tag in tags:
        name = tag["TagKey"]
        _refuse_reserved(name)
        if name in checked:
            raise RequestError("TagException", "Duplicate tag keys")
        checked[name] = tag["TagValue"]
    if len(checked) > MAX_TAGS:
        raise RequestError("TagException", "Too many tags")
    return checked


def _refuse_reserved(name: str) -> None:
    if name.lower().startswith(_RESERVED):
        raise RequestError("TagException", "Tags beginning with aws: are reserved")


@OPERATIONS.operation("TagResource", on_key("kms:TagResource"))
async def tag_resource(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    tags = check_tags(call.params["Tags"])

    def write(rows: Rows) -> Reply:
        key = key_of(rows, call)
        state_after(call.operation, key, call.now_ms)
        if len(key_labels.get_tags(rows, key) | tags) > MAX_TAGS:
            raise RequestError("LimitExceededException", f"A KMS key has at most {MAX_TAGS} tags.")
        for name, value in tags.items():
            key_labels.put_tag(rows, key, name, value)
        bump(rows)
        return Reply()

    return await call.commit(kms.db, authorized, write)


@OPERATIONS.operation("UntagResource", on_key("kms:UntagResource"))
async def untag_resource(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    names = list(call.params["TagKeys"])
    for name in names:
        _refuse_reserved(name)

    def write(rows: Rows) -> Reply:
        key = key_of(rows, call)
        state_after(call.operation, key, call.now_ms)
        for name in names:
            key_labels.delete_tag(rows, key, name)
        bump(rows)
        return Reply()

    return await call.commit(kms.db, authorized, write)


@OPERATIONS.operation("ListResourceTags", on_key("kms:ListResourceTags"))
async def list_resource_tags(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    after, limit = page_of(call)

    def reader(rows: Rows) -> Reply:
        tags = key_labels.get_tags(rows, key_of(rows, call))
        names = [name for name in sorted(tags) if name > after]
        shown = [{"TagKey": name, "TagValue": tags[name]} for name in names[:limit]]
        return Reply(page(call, "Tags", shown, last=names[limit - 1] if len(names) > limit else None))

    return await read(authorized, call, kms, reader)

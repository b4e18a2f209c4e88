"""Users: made, shown, renamed, deleted, tagged.

Source: IAM API Reference, CreateUser, GetUser, UpdateUser, DeleteUser, ListUsers, TagUser.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from s3al.auth.authorized import Authorized
from s3al.iam import access, entities
from s3al.iam.entities import account_of, on_all, on_entity, user_named
from s3al.iam.ports import Iam
from s3al.iam.registry import OPERATIONS
from s3al.service.operation import Call, Check, Reply
from s3al.store import accounts, identities
from s3al.store.database import Rows
from s3al.store.identities import UserRow


@OPERATIONS.operation("CreateUser", checks=on_all("iam:CreateUser", "user"))
async def create_user(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    path, name = call.params.get("Path") or "/", call.params["UserName"]
    user_id = entities.new_id(iam, entities.USER)

    def write(rows: Rows) -> UserRow:
        row = UserRow(
            entities.arn_of(account_of(call), "user", path, name),
            user_id,
            account_of(call),
            name,
            path,
            iam.now_ms(),
            entities.checked_boundary(rows, call),
            entities.tags_of(call),
        )
        if not identities.put_identity(rows, row):
            raise entities.exists_already("user", name)
        return row

    return Reply({"User": entities.shown_user(await call.commit(iam.db, authorized, write))})


def _on_shown_user(call: Call, rows: Rows, iam: Iam) -> Iterable[Check]:
    if call.params.get("UserName") is None and call.principal.kind == "root":
        return (Check("iam:GetUser", call.principal.arn),)
    return on_entity("iam:GetUser", user_named)(call, rows, iam)


@OPERATIONS.operation("GetUser", checks=_on_shown_user)
async def get_user(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    if call.params.get("UserName") is None and call.principal.kind == "root":
        account_id = account_of(call)
        account = await access.read(authorized, call, iam, lambda rows: accounts.find_account(rows, account_id))
        made = entities.when(account.created_at if account else 0)
        root = {"Path": "/", "UserId": account_id, "Arn": call.principal.arn, "UserName": "root", "CreateDate": made}
        return Reply({"User": root})
    return Reply(
        {"User": entities.shown_user(await access.read(authorized, call, iam, lambda rows: user_named(rows, call)))}
    )


@OPERATIONS.operation("UpdateUser", checks=on_entity("iam:UpdateUser", user_named))
async def update_user(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    def write(rows: Rows) -> None:
        old = user_named(rows, call)
        path, name = call.params.get("NewPath") or old.path, call.params.get("NewUserName") or old.name
        arn = entities.arn_of(old.account_id, "user", path, name)
        if not identities.put_identity(rows, replace(old, arn=arn, path=path, name=name), replaces=old.arn):
            raise entities.exists_already("user", name)

    await call.commit(iam.db, authorized, write)
    return Reply()


@OPERATIONS.operation("DeleteUser", checks=on_entity("iam:DeleteUser", user_named))
async def delete_user(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    def write(rows: Rows) -> None:
        user = user_named(rows, call)
        if accounts.list_access_keys(rows, user.account_id, user.arn):
            raise entities.conflict("must delete access keys first")
        if identities.list_inline_policies(rows, user.arn):
            raise entities.conflict("must delete policies first")
        if identities.attached_policies(rows, user.arn):
            raise entities.conflict("must detach all policies first")
        if identities.groups_of(rows, user.arn, limit=1):
            raise entities.conflict("must remove users from group first")
        identities.delete_identity(rows, user.arn)

    await call.commit(iam.db, authorized, write)
    return Reply()


@OPERATIONS.operation("ListUsers", checks=on_all("iam:ListUsers", "user"))
async def list_users(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    prefix, beyond, limit = call.params.get("PathPrefix") or "/", entities.after(call), entities.wanted(call) + 1
    found = await access.read(
        authorized,
        call,
        iam,
        lambda rows: identities.list_users(rows, account_of(call), path_prefix=prefix, after=beyond, limit=limit),
    )
    shown, ending = entities.page(call, found, lambda row: row.name)
    return Reply({"Users": [entities.shown_user(row, full=False) for row in shown]} | ending)


@OPERATIONS.operation("TagUser", checks=on_entity("iam:TagUser", user_named))
async def tag_user(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    def write(rows: Rows) -> None:
        user = user_named(rows, call)
        identities.put_identity(rows, replace(user, tags=entities.with_tags(user.tags, call)), replaces=user.arn)

    await call.commit(iam.db, authorized, write)
    return Reply()


@OPERATIONS.operation("UntagUser", checks=on_entity("iam:UntagUser", user_named))
async def untag_user(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    def write(rows: Rows) -> None:
        user = user_named(rows, call)
        identities.put_identity(rows, replace(user, tags=entities.without_tags(user.tags, call)), replaces=user.arn)

    await call.commit(iam.db, authorized, write)
    return Reply()


@OPERATIONS.operation("ListUserTags", checks=on_entity("iam:ListUserTags", user_named))
async def list_user_tags(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    tags = (await access.read(authorized, call, iam, lambda rows: user_named(rows, call))).tags
    return Reply(entities.names_page(call, tags, "Tags", lambda name: {"Key": name, "Value": tags[name]}))


@OPERATIONS.operation("GetAccountSummary", checks=on_all("iam:GetAccountSummary", "user"))
async def get_account_summary(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    def read(rows: Rows) -> dict[str, int]:
        counted = identities.count_identities(rows, account_of(call))
        policies = identities.list_managed_policies(rows, account_of(call), limit=5000)
        return {
            "Users": counted.get("user", 0),
            "Groups": counted.get("group", 0),
            "Roles": counted.get("role", 0),
            "Policies": len(policies),
            "AccessKeysPerUserQuota": 2,
            "AttachedPoliciesPerUserQuota": 10,
            "VersionsPerPolicyQuota": 5,
        }

    return Reply({"SummaryMap": await access.read(authorized, call, iam, read)})

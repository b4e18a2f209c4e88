"""Groups and who is in them.

Source: IAM API Reference, CreateGroup, GetGroup, DeleteGroup, AddUserToGroup, ListGroupsForUser.
"""

from __future__ import annotations

from s3al.auth.authorized import Authorized
from s3al.iam import access, entities, quotas
from s3al.iam.checks import on_entity, on_new
from s3al.iam.entities import account_of, group_named, user_named
from s3al.iam.operations.named import put_new, refuse_with_policies
from s3al.iam.ports import Iam
from s3al.iam.registry import OPERATIONS
from s3al.service.operation import Call, Reply
from s3al.store import identities
from s3al.store.database import Rows
from s3al.store.identities import GroupRow


@OPERATIONS.operation("CreateGroup", checks=on_new("iam:CreateGroup", "group"))
async def create_group(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    path, name = call.params.get("Path") or "/", call.params["GroupName"]
    arn = entities.arn_of(account_of(call), "group", path, name)
    row = GroupRow(arn, entities.new_id(iam, entities.GROUP), account_of(call), name, path, iam.now_ms())
    await call.commit(iam.db, authorized, lambda rows: put_new(rows, row))
    return Reply({"Group": entities.shown_group(row)})


@OPERATIONS.operation("GetGroup", checks=on_entity("iam:GetGroup", group_named))
async def get_group(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    beyond, limit = entities.after(call), entities.wanted(call) + 1

    def read(rows: Rows) -> Reply:
        group = group_named(rows, call)
        found = identities.members_of(rows, group.arn, after=beyond, limit=limit)
        shown, ending = entities.page(call, found, lambda row: row.name)
        users = [entities.shown_user(row, full=False) for row in shown]
        return Reply({"Group": entities.shown_group(group), "Users": users} | ending)

    return await access.read(authorized, call, iam, read)


@OPERATIONS.operation("DeleteGroup", checks=on_entity("iam:DeleteGroup", group_named))
async def delete_group(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    def write(rows: Rows) -> None:
        group = group_named(rows, call)
        if identities.members_of(rows, group.arn, limit=1):
            raise entities.conflict("must remove users from group first")
        refuse_with_policies(rows, group.arn)
        identities.delete_identity(rows, group.arn)

    await call.commit(iam.db, authorized, write)
    return Reply()


@OPERATIONS.operation("AddUserToGroup", checks=on_entity("iam:AddUserToGroup", group_named))
async def add_user_to_group(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    def write(rows: Rows) -> None:
        group, user = group_named(rows, call), user_named(rows, call)
        held = {row.arn for row in identities.groups_of(rows, user.arn)}
        quotas.require("GroupsPerUser", len(held | {group.arn}))
        identities.add_member(rows, group.arn, user.arn)

    await call.commit(iam.db, authorized, write)
    return Reply()


@OPERATIONS.operation("RemoveUserFromGroup", checks=on_entity("iam:RemoveUserFromGroup", group_named))
async def remove_user_from_group(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    def write(rows: Rows) -> None:
        group, user = group_named(rows, call), user_named(rows, call)
        if not identities.remove_member(rows, group.arn, user.arn):
            raise entities.no_such("user", user.name)

    await call.commit(iam.db, authorized, write)
    return Reply()

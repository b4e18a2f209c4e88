"""Groups and who is in them.

Source: IAM API Reference, CreateGroup, GetGroup, DeleteGroup, ListGroups, AddUserToGroup, ListGroupsForUser.
"""

from __future__ import annotations

from dataclasses import replace

from s3al.auth.authorized import Authorized
from s3al.iam import access, entities
from s3al.iam.entities import account_of, group_named, on_all, on_entity, user_named
from s3al.iam.ports import Iam
from s3al.iam.registry import OPERATIONS
from s3al.service.operation import Call, Reply
from s3al.store import identities
from s3al.store.database import Rows
from s3al.store.identities import GroupRow


@OPERATIONS.operation("CreateGroup", checks=on_all("iam:CreateGroup", "group"))
async def create_group(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    path, name = call.params.get("Path") or "/", call.params["GroupName"]
    arn = entities.arn_of(account_of(call), "group", path, name)
    row = GroupRow(arn, entities.new_id(iam, entities.GROUP), account_of(call), name, path, iam.now_ms())

    def write(rows: Rows) -> None:
        if not identities.put_identity(rows, row):
            raise entities.exists_already("group", name)

    await call.commit(iam.db, authorized, write)
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


@OPERATIONS.operation("UpdateGroup", checks=on_entity("iam:UpdateGroup", group_named))
async def update_group(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    def write(rows: Rows) -> None:
        old = group_named(rows, call)
        path, name = call.params.get("NewPath") or old.path, call.params.get("NewGroupName") or old.name
        arn = entities.arn_of(old.account_id, "group", path, name)
        if not identities.put_identity(rows, replace(old, arn=arn, path=path, name=name), replaces=old.arn):
            raise entities.exists_already("group", name)

    await call.commit(iam.db, authorized, write)
    return Reply()


@OPERATIONS.operation("DeleteGroup", checks=on_entity("iam:DeleteGroup", group_named))
async def delete_group(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    def write(rows: Rows) -> None:
        group = group_named(rows, call)
        if identities.members_of(rows, group.arn, limit=1):
            raise entities.conflict("must remove users from group first")
        if identities.list_inline_policies(rows, group.arn):
            raise entities.conflict("must delete policies first")
        if identities.attached_policies(rows, group.arn):
            raise entities.conflict("must detach all policies first")
        identities.delete_identity(rows, group.arn)

    await call.commit(iam.db, authorized, write)
    return Reply()


@OPERATIONS.operation("ListGroups", checks=on_all("iam:ListGroups", "group"))
async def list_groups(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    prefix, beyond, limit = call.params.get("PathPrefix") or "/", entities.after(call), entities.wanted(call) + 1
    found = await access.read(
        authorized,
        call,
        iam,
        lambda rows: identities.list_groups(rows, account_of(call), path_prefix=prefix, after=beyond, limit=limit),
    )
    shown, ending = entities.page(call, found, lambda row: row.name)
    return Reply({"Groups": [entities.shown_group(row) for row in shown]} | ending)


@OPERATIONS.operation("AddUserToGroup", checks=on_entity("iam:AddUserToGroup", group_named))
async def add_user_to_group(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    await call.commit(
        iam.db,
        authorized,
        lambda rows: identities.add_member(rows, group_named(rows, call).arn, user_named(rows, call).arn),
    )
    return Reply()


@OPERATIONS.operation("RemoveUserFromGroup", checks=on_entity("iam:RemoveUserFromGroup", group_named))
async def remove_user_from_group(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    def write(rows: Rows) -> None:
        group, user = group_named(rows, call), user_named(rows, call)
        if not identities.remove_member(rows, group.arn, user.arn):
            raise entities.no_such("user", user.name)

    await call.commit(iam.db, authorized, write)
    return Reply()


@OPERATIONS.operation("ListGroupsForUser", checks=on_entity("iam:ListGroupsForUser", user_named))
async def list_groups_for_user(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    beyond, limit = entities.after(call), entities.wanted(call) + 1
    found = await access.read(
        authorized,
        call,
        iam,
        lambda rows: identities.groups_of(rows, user_named(rows, call).arn, after=beyond, limit=limit),
    )
    shown, ending = entities.page(call, found, lambda row: row.name)
    return Reply({"Groups": [entities.shown_group(row) for row in shown]} | ending)

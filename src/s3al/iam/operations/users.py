"""Users: made, shown, deleted.

Source: IAM API Reference, CreateUser, GetUser, DeleteUser.
"""

from __future__ import annotations

from s3al.auth.authorized import Authorized
from s3al.iam import access, entities
from s3al.iam.checks import is_own_root, on_entity, on_new, on_owner
from s3al.iam.entities import account_of, user_named
from s3al.iam.operations.named import put_new, refuse_with_policies
from s3al.iam.ports import Iam
from s3al.iam.registry import OPERATIONS
from s3al.service.operation import Call, Reply
from s3al.store import accounts, identities
from s3al.store.database import Rows
from s3al.store.identities import UserRow


@OPERATIONS.operation("CreateUser", checks=on_new("iam:CreateUser", "user"))
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
        put_new(rows, row)
        return row

    return Reply({"User": entities.shown_user(await call.commit(iam.db, authorized, write))})


@OPERATIONS.operation("GetUser", checks=on_owner("iam:GetUser"))
async def get_user(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    if is_own_root(call):
        account_id = account_of(call)
        account = await access.read(authorized, call, iam, lambda rows: accounts.find_account(rows, account_id))
        made = entities.when(account.created_at if account else 0)
        root = {"Path": "/", "UserId": account_id, "Arn": call.principal.arn, "UserName": "root", "CreateDate": made}
        return Reply({"User": root})
    return Reply(
        {"User": entities.shown_user(await access.read(authorized, call, iam, lambda rows: user_named(rows, call)))}
    )


@OPERATIONS.operation("DeleteUser", checks=on_entity("iam:DeleteUser", user_named))
async def delete_user(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    def write(rows: Rows) -> None:
        user = user_named(rows, call)
        if accounts.list_access_keys(rows, user.account_id, user.arn):
            raise entities.conflict("must delete access keys first")
        refuse_with_policies(rows, user.arn)
        if identities.groups_of(rows, user.arn, limit=1):
            raise entities.conflict("must remove users from group first")
        identities.delete_identity(rows, user.arn)

    await call.commit(iam.db, authorized, write)
    return Reply()

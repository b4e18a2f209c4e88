"""Roles and their trust policies.

Source: IAM API Reference, CreateRole, GetRole, UpdateRole, UpdateAssumeRolePolicy, DeleteRole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from s3al.auth.authorized import Authorized
from s3al.iam import access, entities
from s3al.iam.checks import on_entity, on_new
from s3al.iam.entities import account_of, role_named
from s3al.iam.operations.named import put_new, refuse_with_policies
from s3al.iam.ports import Iam
from s3al.iam.registry import OPERATIONS
from s3al.service.operation import Call, Reply
from s3al.store import identities
from s3al.store.database import Rows
from s3al.store.identities import RoleRow

_DEFAULT_SESSION_S = 3600


@OPERATIONS.operation("CreateRole", checks=on_new("iam:CreateRole", "role"))
async def create_role(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    params = call.params
    path, name = params.get("Path") or "/", params["RoleName"]
    role_id = entities.new_id(iam, entities.ROLE)

    def write(rows: Rows) -> RoleRow:
        entities.checked_trust(rows, params["AssumeRolePolicyDocument"])
        row = RoleRow(
            entities.arn_of(account_of(call), "role", path, name),
            role_id,
            account_of(call),
            name,
            path,
            iam.now_ms(),
            trust_policy=params["AssumeRolePolicyDocument"],
            max_session_duration=params.get("MaxSessionDuration") or _DEFAULT_SESSION_S,
            description=params.get("Description") or "",
            boundary_arn=entities.checked_boundary(rows, call),
            tags=entities.tags_of(call),
        )
        put_new(rows, row)
        return row

    return Reply({"Role": entities.shown_role(await call.commit(iam.db, authorized, write))})


@OPERATIONS.operation("GetRole", checks=on_entity("iam:GetRole", role_named))
async def get_role(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    return Reply(
        {"Role": entities.shown_role(await access.read(authorized, call, iam, lambda rows: role_named(rows, call)))}
    )


async def _change(authorized: Authorized, call: Call, iam: Iam, change: Callable[[RoleRow], RoleRow]) -> Reply:
    def write(rows: Rows) -> None:
        role = role_named(rows, call)
        identities.put_identity(rows, change(role), replaces=role.arn)

    await call.commit(iam.db, authorized, write)
    return Reply()


@OPERATIONS.operation("UpdateRole", checks=on_entity("iam:UpdateRole", role_named))
async def update_role(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    def change(role: RoleRow) -> RoleRow:
        description, duration = call.params.get("Description"), call.params.get("MaxSessionDuration")
        return replace(
            role,
            description=role.description if description is None else description,
            max_session_duration=duration or role.max_session_duration,
        )

    return await _change(authorized, call, iam, change)


@OPERATIONS.operation("UpdateRoleDescription", checks=on_entity("iam:UpdateRoleDescription", role_named))
async def update_role_description(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    await _change(authorized, call, iam, lambda role: replace(role, description=call.params["Description"]))
    return Reply(
        {"Role": entities.shown_role(await access.read(authorized, call, iam, lambda rows: role_named(rows, call)))}
    )


@OPERATIONS.operation("UpdateAssumeRolePolicy", checks=on_entity("iam:UpdateAssumeRolePolicy", role_named))
async def update_assume_role_policy(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    text = call.params["PolicyDocument"]

    def write(rows: Rows) -> None:
        entities.checked_trust(rows, text)
        role = role_named(rows, call)
        identities.put_identity(rows, replace(role, trust_policy=text), replaces=role.arn)

    await call.commit(iam.db, authorized, write)
    return Reply()


@OPERATIONS.operation("DeleteRole", checks=on_entity("iam:DeleteRole", role_named))
async def delete_role(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    def write(rows: Rows) -> None:
        role = role_named(rows, call)
        refuse_with_policies(rows, role.arn)
        identities.delete_identity(rows, role.arn)

    await call.commit(iam.db, authorized, write)
    return Reply()

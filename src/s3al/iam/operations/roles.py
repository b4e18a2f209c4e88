"""Roles and their trust policies.

Source: IAM API Reference, CreateRole, GetRole, UpdateRole, UpdateAssumeRolePolicy, DeleteRole, ListRoles, TagRole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from s3al.auth.authorized import Authorized
from s3al.iam import access, entities
from s3al.iam.entities import account_of, on_all, on_entity, role_named
from s3al.iam.ports import Iam
from s3al.iam.registry import OPERATIONS
from s3al.service.operation import Call, Reply
from s3al.store import identities
from s3al.store.database import Rows
from s3al.store.identities import RoleRow

_DEFAULT_SESSION_S = 3600


@OPERATIONS.operation("CreateRole", checks=on_all("iam:CreateRole", "role"))
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
        if not identities.put_identity(rows, row):
            raise entities.exists_already("role", name)
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
        if identities.list_inline_policies(rows, role.arn):
            raise entities.conflict("must delete policies first")
        if identities.attached_policies(rows, role.arn):
            raise entities.conflict("must detach all policies first")
        identities.delete_identity(rows, role.arn)

    await call.commit(iam.db, authorized, write)
    return Reply()


@OPERATIONS.operation("ListRoles", checks=on_all("iam:ListRoles", "role"))
async def list_roles(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    prefix, beyond, limit = call.params.get("PathPrefix") or "/", entities.after(call), entities.wanted(call) + 1
    found = await access.read(
        authorized,
        call,
        iam,
        lambda rows: identities.list_roles(rows, account_of(call), path_prefix=prefix, after=beyond, limit=limit),
    )
    shown, ending = entities.page(call, found, lambda row: row.name)
    return Reply({"Roles": [entities.shown_role(row, full=False) for row in shown]} | ending)


@OPERATIONS.operation("TagRole", checks=on_entity("iam:TagRole", role_named))
async def tag_role(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    return await _change(authorized, call, iam, lambda role: replace(role, tags=entities.with_tags(role.tags, call)))


@OPERATIONS.operation("UntagRole", checks=on_entity("iam:UntagRole", role_named))
async def untag_role(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    return await _change(authorized, call, iam, lambda role: replace(role, tags=entities.without_tags(role.tags, call)))


@OPERATIONS.operation("ListRoleTags", checks=on_entity("iam:ListRoleTags", role_named))
async def list_role_tags(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    tags = (await access.read(authorized, call, iam, lambda rows: role_named(rows, call))).tags
    return Reply(entities.names_page(call, tags, "Tags", lambda name: {"Key": name, "Value": tags[name]}))


@OPERATIONS.operation("ListInstanceProfilesForRole", checks=on_entity("iam:ListInstanceProfilesForRole", role_named))
async def list_instance_profiles_for_role(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    """There are no instances here, and so no profiles; Terraform asks before it deletes a role."""
    return Reply({"InstanceProfiles": [], "IsTruncated": False})

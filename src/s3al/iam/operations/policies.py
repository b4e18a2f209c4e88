"""Managed policies, their versions, and what they are attached to.

Laws: the default version is never deleted; AWS's own policies are shown and attached, and changed by
nobody.

Source: IAM API Reference, CreatePolicy, CreatePolicyVersion, SetDefaultPolicyVersion, DeletePolicy, ListPolicies,
ListEntitiesForPolicy.
"""

from __future__ import annotations

from dataclasses import replace

from s3al.auth.authorized import Authorized
from s3al.auth.policy import PolicyKind
from s3al.errors import RequestError
from s3al.iam import access, entities, quotas
from s3al.iam.checks import on_all, on_new, on_policy
from s3al.iam.entities import account_of, policy_of_arn
from s3al.iam.ports import Iam
from s3al.iam.registry import OPERATIONS
from s3al.service.operation import Call, Params, Reply
from s3al.store import identities
from s3al.store.database import Rows
from s3al.store.identities import AWS_MANAGED, ManagedPolicyRow, PolicyVersionRow


def _checked(text: str) -> None:
    entities.checked_document(text, PolicyKind.IDENTITY)
    quotas.require("PolicySize", entities.counted_size(text))


def show(rows: Rows, row: ManagedPolicyRow, *, full: bool = True) -> Params:
    shown: Params = {
        "PolicyName": row.name,
        "PolicyId": row.policy_id,
        "Arn": row.arn,
        "Path": row.path,
        "DefaultVersionId": f"v{row.default_version}",
        "AttachmentCount": len(identities.holders_of(rows, row.arn)),
        "PermissionsBoundaryUsageCount": len(identities.bounded_by(rows, row.arn)),
        "IsAttachable": True,
        "CreateDate": entities.when(row.created_at),
        "UpdateDate": entities.when(row.updated_at),
    }
    if full and row.description:
        shown["Description"] = row.description
    if full and row.tags:
        shown["Tags"] = entities.tag_list(row.tags)
    return shown


def named(rows: Rows, call: Call) -> ManagedPolicyRow:
    """The policy that the request names. Raises NoSuchEntity."""
    return policy_of_arn(rows, call, call.params["PolicyArn"])


def own(rows: Rows, call: Call) -> ManagedPolicyRow:
    """The policy that the request would change. Raises AccessDenied for one of AWS's."""
    row = named(rows, call)
    if row.arn in AWS_MANAGED:
        raise RequestError("AccessDenied", "Policies that AWS manages cannot be changed.")
    return row


def _number(call: Call) -> int:
    """Of `v3`: 3. Raises NoSuchEntity for what is no version at all."""
    digits = call.params["VersionId"].removeprefix("v").partition(".")[0]
    if not digits.isdigit():
        raise _no_version(call)
    return int(digits)


def _no_version(call: Call) -> RequestError:
    return RequestError(
        "NoSuchEntity", f"Policy {call.params['PolicyArn']} version {call.params['VersionId']} does not exist."
    )


@OPERATIONS.operation("CreatePolicy", checks=on_new("iam:CreatePolicy", "policy"))
async def create_policy(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    path, name, text = call.params.get("Path") or "/", call.params["PolicyName"], call.params["PolicyDocument"]
    _checked(text)
    now = iam.now_ms()
    row = ManagedPolicyRow(
        entities.arn_of(account_of(call), "policy", path, name),
        entities.new_id(iam, entities.POLICY),
        account_of(call),
        name,
        path,
        now,
        now,
        description=call.params.get("Description") or "",
        tags=entities.tags_of(call),
    )

    def write(rows: Rows) -> Params:
        if not identities.create_managed_policy(rows, row, text):
            raise RequestError(
                "EntityAlreadyExists", f"A policy called {name} already exists. Duplicate names are not allowed."
            )
        quotas.require("PoliciesPerAccount", identities.count_managed_policies(rows, account_of(call)))
        return show(rows, row)

    return Reply({"Policy": await call.commit(iam.db, authorized, write)})


@OPERATIONS.operation("GetPolicy", checks=on_policy("iam:GetPolicy"))
async def get_policy(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    def read(rows: Rows) -> Params:
        return show(rows, named(rows, call))

    return Reply({"Policy": await access.read(authorized, call, iam, read)})


@OPERATIONS.operation("ListPolicies", checks=on_all("iam:ListPolicies", "policy"))
async def list_policies(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    scope, prefix = call.params.get("Scope") or "All", call.params.get("PathPrefix") or "/"
    attached = bool(call.params.get("OnlyAttached"))

    def read(rows: Rows) -> dict[str, Params]:
        found: list[ManagedPolicyRow] = []
        if scope in ("All", "Local"):
            found += identities.list_managed_policies(rows, account_of(call), path_prefix=prefix, limit=5000)
        if scope in ("All", "AWS") and prefix == "/":
            found += [policy_of_arn(rows, call, arn) for arn in AWS_MANAGED]
        return {
            row.arn: show(rows, row, full=False)
            for row in found
            if not attached or identities.holders_of(rows, row.arn)
        }

    shown = await access.read(authorized, call, iam, read)
    return Reply(entities.names_page(call, shown, "Policies", shown.__getitem__))


@OPERATIONS.operation("DeletePolicy", checks=on_policy("iam:DeletePolicy"))
async def delete_policy(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    def write(rows: Rows) -> None:
        row = own(rows, call)
        if identities.holders_of(rows, row.arn) or identities.bounded_by(rows, row.arn):
            raise RequestError("DeleteConflict", "Cannot delete a policy attached to entities.")
        if len(identities.list_policy_versions(rows, row.arn)) > 1:
            raise RequestError(
                "DeleteConflict",
                "This policy has more than one version. Before you delete a policy, you must delete the policy's "
                "versions. The default version is deleted with the policy.",
            )
        identities.delete_managed_policy(rows, row.arn)

    await call.commit(iam.db, authorized, write)
    return Reply()


def show_version(row: ManagedPolicyRow, version: PolicyVersionRow, *, full: bool) -> Params:
    shown: Params = {
        "VersionId": f"v{version.version}",
        "IsDefaultVersion": version.version == row.default_version,
        "CreateDate": entities.when(version.created_at),
    }
    return shown | ({"Document": entities.encoded(version.document)} if full else {})


def versions(rows: Rows, row: ManagedPolicyRow) -> list[PolicyVersionRow]:
    if row.arn in AWS_MANAGED:
        return [PolicyVersionRow(1, AWS_MANAGED[row.arn], 0)]
    return identities.list_policy_versions(rows, row.arn)


@OPERATIONS.operation("CreatePolicyVersion", checks=on_policy("iam:CreatePolicyVersion"))
async def create_policy_version(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    text = call.params["PolicyDocument"]
    _checked(text)

    def write(rows: Rows) -> Params:
        row = own(rows, call)
        quotas.require("VersionsPerPolicy", len(identities.list_policy_versions(rows, row.arn)) + 1)
        number = row.last_version + 1
        default = number if call.params.get("SetAsDefault") else row.default_version
        row = replace(row, last_version=number, default_version=default, updated_at=iam.now_ms())
        version = PolicyVersionRow(number, text, iam.now_ms())
        identities.add_policy_version(rows, row, version)
        return show_version(row, version, full=False)

    return Reply({"PolicyVersion": await call.commit(iam.db, authorized, write)})


@OPERATIONS.operation("GetPolicyVersion", checks=on_policy("iam:GetPolicyVersion"))
async def get_policy_version(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    def read(rows: Rows) -> Params:
        row = named(rows, call)
        for version in versions(rows, row):
            if version.version == _number(call):
                return show_version(row, version, full=True)
        raise _no_version(call)

    return Reply({"PolicyVersion": await access.read(authorized, call, iam, read)})


@OPERATIONS.operation("ListPolicyVersions", checks=on_policy("iam:ListPolicyVersions"))
async def list_policy_versions(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    def read(rows: Rows) -> dict[str, Params]:
        row = named(rows, call)
        return {f"v{each.version}": show_version(row, each, full=True) for each in versions(rows, row)}

    shown = await access.read(authorized, call, iam, read)
    return Reply(entities.names_page(call, shown, "Versions", shown.__getitem__))


@OPERATIONS.operation("DeletePolicyVersion", checks=on_policy("iam:DeletePolicyVersion"))
async def delete_policy_version(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    def write(rows: Rows) -> None:
        row = own(rows, call)
        if row.default_version == _number(call):
            raise RequestError("DeleteConflict", "Cannot delete the default version of a policy.")
        if not identities.delete_policy_version(rows, row.arn, _number(call)):
            raise _no_version(call)

    await call.commit(iam.db, authorized, write)
    return Reply()


@OPERATIONS.operation("SetDefaultPolicyVersion", checks=on_policy("iam:SetDefaultPolicyVersion"))
async def set_default_policy_version(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    def write(rows: Rows) -> None:
        row = own(rows, call)
        if _number(call) not in {each.version for each in identities.list_policy_versions(rows, row.arn)}:
            raise _no_version(call)
        identities.change_managed_policy(rows, replace(row, default_version=_number(call), updated_at=iam.now_ms()))

    await call.commit(iam.db, authorized, write)
    return Reply()


@OPERATIONS.operation("ListEntitiesForPolicy", checks=on_policy("iam:ListEntitiesForPolicy"))
async def list_entities_for_policy(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    def read(rows: Rows) -> Params:
        row = named(rows, call)
        as_boundary = call.params.get("PolicyUsageFilter") == "PermissionsBoundary"
        held = identities.bounded_by(rows, row.arn) if as_boundary else identities.holders_of(rows, row.arn)
        held = [arn for arn in held if arn.split(":")[4] == account_of(call)]
        found: Params = {"PolicyUsers": [], "PolicyGroups": [], "PolicyRoles": [], "IsTruncated": False}
        for arn in held:
            name = arn.rpartition("/")[2]
            _add_holder(rows, call, found, (arn, name))
        return found

    return Reply(await access.read(authorized, call, iam, read))


def _add_holder(rows: Rows, call: Call, found: Params, holder: tuple[str, str]) -> None:
    arn, name = holder
    wanted = call.params.get("EntityFilter")
    user, role = identities.find_user_by_arn(rows, arn), identities.find_role_by_arn(rows, arn)
    group = identities.find_group(rows, account_of(call), name) if ":group/" in arn else None
    if user and wanted in (None, "User"):
        found["PolicyUsers"].append({"UserName": name, "UserId": user.user_id})
    elif role and wanted in (None, "Role"):
        found["PolicyRoles"].append({"RoleName": name, "RoleId": role.role_id})
    elif group and wanted in (None, "Group"):
        found["PolicyGroups"].append({"GroupName": name, "GroupId": group.group_id})

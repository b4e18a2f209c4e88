"""An account as a whole: how many of each it has, and everything of it in one list.

Laws: the list goes through kinds in one order and through each by name, so that a marker is a kind and a name.

Source: IAM API Reference, GetAccountSummary, GetAccountAuthorizationDetails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.iam import access, entities
from s3al.iam.accounts import root_arn
from s3al.iam.checks import on_nothing
from s3al.iam.entities import account_of
from s3al.iam.operations import policies
from s3al.iam.ports import Iam
from s3al.iam.quotas import QUOTAS, SUMMARY
from s3al.iam.registry import OPERATIONS
from s3al.service.operation import Call, Params, Reply
from s3al.store import accounts, identities
from s3al.store.database import Rows
from s3al.store.identities import AWS_MANAGED, GroupRow, ManagedPolicyRow, RoleRow, UserRow

# What an account cannot have here.
_NONE: Final = (
    *("AccountMFAEnabled", "AccountPasswordPresent", "AccountSigningCertificatesPresent", "InstanceProfiles"),
    *("MFADevices", "MFADevicesInUse", "ServerCertificates"),
)


@OPERATIONS.operation("GetAccountSummary", checks=on_nothing("iam:GetAccountSummary"))
async def get_account_summary(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    account_id = account_of(call)

    def read(rows: Rows) -> dict[str, int]:
        counted = identities.count_identities(rows, account_id)
        root_keys = accounts.list_access_keys(rows, account_id, root_arn(account_id))
        return {
            "Users": counted.get("user", 0),
            "Groups": counted.get("group", 0),
            "Roles": counted.get("role", 0),
            "Policies": identities.count_managed_policies(rows, account_id),
            "PolicyVersionsInUse": identities.count_policy_versions(rows, account_id),
            "Providers": len(identities.list_oidc_providers(rows, account_id)),
            "AccountAccessKeysPresent": int(bool(root_keys)),
        }

    own = await access.read(authorized, call, iam, read)
    quotas = {name: QUOTAS[quota] for name, quota in SUMMARY.items()}
    return Reply({"SummaryMap": own | dict.fromkeys(_NONE, 0) | quotas})


# --- everything in one list


def _inline(rows: Rows, arn: str) -> list[Params]:
    found = identities.list_inline_policies(rows, arn)
    return [{"PolicyName": name, "PolicyDocument": entities.encoded(text)} for name, text in found]


def _attached(rows: Rows, arn: str) -> list[Params]:
    return [entities.shown_attached(policy) for policy in identities.attached_policies(rows, arn)]


def _user(rows: Rows, row: UserRow) -> Params:
    groups = [group.name for group in identities.groups_of(rows, row.arn)]
    more = {"UserPolicyList": _inline(rows, row.arn), "AttachedManagedPolicies": _attached(rows, row.arn)}
    return {**entities.shown_user(row), **more, "GroupList": groups}


def _group(rows: Rows, row: GroupRow) -> Params:
    more = {"GroupPolicyList": _inline(rows, row.arn), "AttachedManagedPolicies": _attached(rows, row.arn)}
    return {**entities.shown_group(row), **more}


def _role(rows: Rows, row: RoleRow) -> Params:
    more = {"RolePolicyList": _inline(rows, row.arn), "AttachedManagedPolicies": _attached(rows, row.arn)}
    shown = {name: value for name, value in entities.shown_role(row).items() if name not in _ROLE_LEFT_OUT}
    return {**shown, **more, "InstanceProfileList": []}


_ROLE_LEFT_OUT: Final = frozenset({"Description", "MaxSessionDuration"})  # RoleDetail has no such members


def _policy(rows: Rows, row: ManagedPolicyRow) -> Params:
    shown = {name: value for name, value in policies.show(rows, row).items() if name != "Tags"}
    versions = [policies.show_version(row, each, full=True) for each in policies.versions(rows, row)]
    return {**shown, "PolicyVersionList": versions}


def _aws_managed(rows: Rows, account_id: str, *, after: str, limit: int) -> list[ManagedPolicyRow]:
    found = sorted((entities.aws_managed(arn) for arn in AWS_MANAGED), key=lambda row: row.name)
    return [row for row in found if row.name > after][:limit]


class _Kind(NamedTuple):
    """filtered: as `Filter` names it. member: of the answer. listed: rows of an account beyond a name, with a limit."""

    filtered: str
    member: str
    listed: Callable[..., Sequence[Any]]
    show: Callable[[Rows, Any], Params]


_KINDS: Final = (
    _Kind("User", "UserDetailList", identities.list_users, _user),
    _Kind("Group", "GroupDetailList", identities.list_groups, _group),
    _Kind("Role", "RoleDetailList", identities.list_roles, _role),
    _Kind("LocalManagedPolicy", "Policies", identities.list_managed_policies, _policy),
    _Kind("AWSManagedPolicy", "Policies", _aws_managed, _policy),
)


def _place(marker: str) -> tuple[int, str]:
    """The number of a kind, and the name beyond which to go on in it. Raises ValidationError."""
    number, _, name = marker.partition("/")
    if not number.isdecimal() or int(number) >= len(_KINDS):
        raise RequestError("ValidationError", "Invalid Marker.")
    return int(number), name


@OPERATIONS.operation("GetAccountAuthorizationDetails", checks=on_nothing("iam:GetAccountAuthorizationDetails"))
async def get_account_authorization_details(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    wanted = call.params.get("Filter") or [kind.filtered for kind in _KINDS]
    first, beyond = _place(entities.after(call) or "0/")

    def read(rows: Rows) -> Params:
        found: list[tuple[int, Any]] = []
        for number, kind in list(enumerate(_KINDS))[first:]:
            if kind.filtered in wanted:
                after, limit = beyond if number == first else "", entities.wanted(call) + 1 - len(found)
                found += [(number, row) for row in kind.listed(rows, account_of(call), after=after, limit=limit)]
        shown, ending = entities.page(call, found, lambda entry: f"{entry[0]}/{entry[1].name}")
        details: Params = {kind.member: [] for kind in _KINDS}
        for number, row in shown:
            details[_KINDS[number].member].append(_KINDS[number].show(rows, row))
        return details | ending

    return Reply(await access.read(authorized, call, iam, read))

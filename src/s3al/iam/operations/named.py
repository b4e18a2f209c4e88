"""What users, groups and roles have alike for having names: made once, renamed, listed, and removed only when empty.

What lives here: one function for each act; renaming and listing are declared for each kind by a table. What does not:
what each kind has of its own (users, groups, roles).

Sources: IAM API Reference, UpdateUser, UpdateGroup, ListUsers, ListGroups, ListRoles, ListGroupsForUser.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from s3al.auth.authorized import Authorized
from s3al.iam import access, entities, quotas
from s3al.iam.checks import new_arn, on_all, on_entity, on_renamed
from s3al.iam.entities import account_of, group_named, user_named
from s3al.iam.ports import Iam
from s3al.iam.registry import OPERATIONS
from s3al.service.operation import Call, Handler, Params, Reply
from s3al.store import identities
from s3al.store.database import Rows
from s3al.store.identities import GroupRow, RoleRow, UserRow

Row = UserRow | GroupRow | RoleRow
_KINDS: Final[dict[type, str]] = {UserRow: "user", GroupRow: "group", RoleRow: "role"}


def put_new(rows: Rows, row: Row) -> None:
    """Raises EntityAlreadyExists or LimitExceeded."""
    kind = _KINDS[type(row)]
    if not identities.put_identity(rows, row):
        raise entities.exists_already(kind, row.name)
    quotas.require(f"{kind.capitalize()}sPerAccount", identities.count_identities(rows, row.account_id)[kind])


def refuse_with_policies(rows: Rows, arn: str) -> None:
    """Raises DeleteConflict."""
    if identities.list_inline_policies(rows, arn):
        raise entities.conflict("must delete policies first")
    if identities.attached_policies(rows, arn):
        raise entities.conflict("must detach all policies first")


def _rename(kind: str, find: Callable[[Rows, Call], Any]) -> Handler[Iam]:
    async def rename(authorized: Authorized, call: Call, iam: Iam) -> Reply:
        def write(rows: Rows) -> None:
            old = find(rows, call)
            path = call.params.get("NewPath") or old.path
            name = call.params.get(f"New{kind.capitalize()}Name") or old.name
            arn = new_arn(call, kind, old)
            if not identities.put_identity(rows, replace(old, arn=arn, path=path, name=name), replaces=old.arn):
                raise entities.exists_already(kind, name)

        await call.commit(iam.db, authorized, write)
        return Reply()

    return rename


# Rows, call, the name beyond which the page begins, the most -> a page.
Page = Callable[[Rows, Call, str, int], Sequence[Any]]


def _of_account(listed: Callable[..., Sequence[Any]]) -> Page:
    def page(rows: Rows, call: Call, beyond: str, most: int) -> Sequence[Any]:
        prefix = call.params.get("PathPrefix") or "/"
        return listed(rows, account_of(call), path_prefix=prefix, after=beyond, limit=most)

    return page


def _groups_of_user(rows: Rows, call: Call, beyond: str, most: int) -> Sequence[GroupRow]:
    return identities.groups_of(rows, user_named(rows, call).arn, after=beyond, limit=most)


def _list(listed: Page, member: str, show: Callable[[Any], Params]) -> Handler[Iam]:
    async def list_page(authorized: Authorized, call: Call, iam: Iam) -> Reply:
        beyond, most = entities.after(call), entities.wanted(call) + 1
        found = await access.read(authorized, call, iam, lambda rows: listed(rows, call, beyond, most))
        shown, ending = entities.page(call, found, lambda row: row.name)
        return Reply({member: [show(row) for row in shown]} | ending)

    return list_page


def _brief_user(row: UserRow) -> Params:
    return entities.shown_user(row, full=False)


def _brief_role(row: RoleRow) -> Params:
    return entities.shown_role(row, full=False)


for _operation, _checks, _handler in (
    ("UpdateUser", on_renamed("iam:UpdateUser", user_named), _rename("user", user_named)),
    ("UpdateGroup", on_renamed("iam:UpdateGroup", group_named), _rename("group", group_named)),
    ("ListUsers", on_all("iam:ListUsers", "user"), _list(_of_account(identities.list_users), "Users", _brief_user)),
    (
        "ListGroups",
        on_all("iam:ListGroups", "group"),
        _list(_of_account(identities.list_groups), "Groups", entities.shown_group),
    ),
    ("ListRoles", on_all("iam:ListRoles", "role"), _list(_of_account(identities.list_roles), "Roles", _brief_role)),
    (
        "ListGroupsForUser",
        on_entity("iam:ListGroupsForUser", user_named),
        _list(_groups_of_user, "Groups", entities.shown_group),
    ),
):
    OPERATIONS.operation(_operation, checks=_checks)(_handler)

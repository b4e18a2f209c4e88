"""Which permission an operation of IAM needs, on which entity, under which condition keys.

What lives here: what makes an operation's `checks`. What does not: the decision (access), the operations.

Laws: an entity that is not there is said so only to who might see it; whoever renames one needs the permission on what
it becomes as well; whoever gives tags at the creation needs the
permission to tag as well, with the tags among the condition keys.

Sources: Service Authorization Reference, "Actions, resources, and condition keys for AWS Identity and Access
Management"; IAM User Guide, "Tag IAM users" and its siblings; IAM API Reference, UpdateUser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from s3al.errors import RequestError
from s3al.iam.accounts import root_arn
from s3al.iam.entities import account_of, arn_of, group_named, role_named, user_named
from s3al.iam.ports import Iam
from s3al.service.operation import Call, Check, Checks
from s3al.store.database import Rows
from s3al.store.identities import GroupRow, RoleRow, UserRow

Find = Callable[[Rows, Call], UserRow | GroupRow | RoleRow]
_KINDS: dict[Any, str] = {user_named: "user", group_named: "group", role_named: "role"}


def on_all(action: str, kind: str) -> Checks[Iam]:
    """An action on every entity of a kind (ListUsers). kind: user, group, role or policy."""

    def checks(call: Call, rows: Rows, iam: Iam) -> Iterable[Check]:
        return (Check(action, _described(call, kind), _request_context(call)),)

    return checks


def on_new(action: str, kind: str) -> Checks[Iam]:
    """An action that makes an entity (CreateUser), and tags it where the request has tags."""

    def checks(call: Call, rows: Rows, iam: Iam) -> Iterable[Check]:
        return with_tagging(call, Check(action, _described(call, kind), _request_context(call)), kind.capitalize())

    return checks


def with_tagging(call: Call, check: Check, kind: str) -> Iterable[Check]:
    """The check of a creation, and that of its tags. kind: as in the names of operations."""
    yield check
    if call.params.get("Tags"):
        yield Check(f"iam:Tag{kind}", check.resource, _request_context(call))


def _described(call: Call, kind: str) -> str:
    """The ARN of what a request makes or asks for; a name that it leaves open is any."""
    path = call.params.get("Path") or call.params.get("PathPrefix") or "/"
    return arn_of(account_of(call), kind, path, call.params.get(f"{kind.capitalize()}Name") or "*")


def on_entity(action: str, find: Find) -> Checks[Iam]:
    """An action on the entity that the request names."""

    def checks(call: Call, rows: Rows, iam: Iam) -> Iterable[Check]:
        found = _found(rows, call, find)
        if found is None:
            return (Check(action, _described(call, _KINDS[find]), _request_context(call)),)
        boundary = getattr(found, "boundary_arn", None)
        context = {f"iam:ResourceTag/{name}": value for name, value in getattr(found, "tags", {}).items()}
        context |= {f"aws:ResourceTag/{name}": value for name, value in getattr(found, "tags", {}).items()}
        context |= {"iam:PermissionsBoundary": boundary} if boundary else {}
        return (Check(action, found.arn, {**context, **_request_context(call)}),)

    return checks


def on_renamed(action: str, find: Find) -> Checks[Iam]:
    """An action on the entity that the request names, and on what it is renamed to."""
    kind = _KINDS[find]

    def checks(call: Call, rows: Rows, iam: Iam) -> Iterable[Check]:
        for check in on_entity(action, find)(call, rows, iam):
            yield check
            found = _found(rows, call, find)
            if found is not None:
                renamed = new_arn(call, kind, found)
                yield from () if renamed == check.resource else (replace(check, resource=renamed),)

    return checks


def new_arn(call: Call, kind: str, row: UserRow | GroupRow | RoleRow) -> str:
    """The ARN that a request gives to an entity."""
    path = call.params.get("NewPath") or row.path
    return arn_of(row.account_id, kind, path, call.params.get(f"New{kind.capitalize()}Name") or row.name)


def _found(rows: Rows, call: Call, find: Find) -> UserRow | GroupRow | RoleRow | None:
    try:
        return find(rows, call)
    except RequestError as refused:
        if refused.code != "NoSuchEntity":
            raise
        return None


def is_own_root(call: Call) -> bool:
    """Whether a request is about the root of the account, who has no row: it names nobody, and the root sends it."""
    return call.params.get("UserName") is None and call.principal.kind == "root"


def owner_arn(rows: Rows, call: Call) -> str:
    """The user that the request names, or whoever asks. Raises NoSuchEntity."""
    return root_arn(account_of(call)) if is_own_root(call) else user_named(rows, call).arn


def on_owner(action: str) -> Checks[Iam]:
    """An action on what a user has, or the root."""

    def checks(call: Call, rows: Rows, iam: Iam) -> Iterable[Check]:
        if is_own_root(call):
            return (Check(action, root_arn(account_of(call))),)
        return on_entity(action, user_named)(call, rows, iam)

    return checks


def on_policy(action: str) -> Checks[Iam]:
    def checks(call: Call, rows: Rows, iam: Iam) -> Iterable[Check]:
        return (Check(action, call.params["PolicyArn"], _request_context(call)),)

    return checks


def on_nothing(action: str) -> Checks[Iam]:
    """An action that is about no entity in particular."""

    def checks(call: Call, rows: Rows, iam: Iam) -> Iterable[Check]:
        return (Check(action, "*"),)

    return checks


def _request_context(call: Call) -> dict[str, str | list[str]]:
    context: dict[str, str | list[str]] = {}
    for member, name in (("PolicyArn", "iam:PolicyARN"), ("PermissionsBoundary", "iam:PermissionsBoundary")):
        if call.params.get(member):
            context[name] = str(call.params[member])
    for tag in call.params.get("Tags") or ():
        context[f"aws:RequestTag/{tag['Key']}"] = tag["Value"]
    names = [tag["Key"] for tag in call.params.get("Tags") or ()] or list(call.params.get("TagKeys") or ())
    return context | ({"aws:TagKeys": names} if names else {})

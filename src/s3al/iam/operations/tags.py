"""Tags of users, roles, policies and identity providers.

What lives here: one function for each act, declared for each kind of entity by a table. What does not: what tags may be
(entities), tags given at the creation (each kind).

Source: IAM API Reference, TagUser, UntagUser, ListUserTags and their siblings for roles, policies and OpenID Connect
providers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from s3al.auth.authorized import Authorized
from s3al.iam import access, entities
from s3al.iam.checks import on_entity, on_policy
from s3al.iam.entities import role_named, user_named
from s3al.iam.operations import policies, providers
from s3al.iam.ports import Iam
from s3al.iam.registry import OPERATIONS
from s3al.service.operation import Call, Checks, Handler, Reply
from s3al.store import identities
from s3al.store.database import Rows
from s3al.store.identities import OidcProviderRow, RoleRow, Tags, UserRow

Find = Callable[[Rows, Call], Any]


@dataclass(frozen=True, slots=True)
class _Tagged:
    """kind: as in the names of operations. find: to be looked at; own: to be changed, which raises if it must not be.
    put: writes the row."""

    kind: str
    find: Find
    own: Find
    put: Callable[[Rows, Any], object]
    checks: Callable[[str], Checks[Iam]]


def _put_identity(rows: Rows, row: UserRow | RoleRow) -> None:
    identities.put_identity(rows, row, replaces=row.arn)


def _put_provider(rows: Rows, row: OidcProviderRow) -> None:
    identities.put_oidc_provider(rows, row)


_TAGGED: Final = (
    _Tagged("User", user_named, user_named, _put_identity, lambda action: on_entity(action, user_named)),
    _Tagged("Role", role_named, role_named, _put_identity, lambda action: on_entity(action, role_named)),
    _Tagged("Policy", policies.named, policies.own, identities.change_managed_policy, on_policy),
    _Tagged("OpenIDConnectProvider", providers.named, providers.named, _put_provider, providers.on_provider),
)


def _change(tagged: _Tagged, changed: Callable[[Tags, Call], Tags]) -> Handler[Iam]:
    async def change(authorized: Authorized, call: Call, iam: Iam) -> Reply:
        def write(rows: Rows) -> None:
            row = tagged.own(rows, call)
            tagged.put(rows, replace(row, tags=changed(row.tags, call)))

        await call.commit(iam.db, authorized, write)
        return Reply()

    return change


def _list(tagged: _Tagged) -> Handler[Iam]:
    async def list_tags(authorized: Authorized, call: Call, iam: Iam) -> Reply:
        tags = (await access.read(authorized, call, iam, lambda rows: tagged.find(rows, call))).tags
        return Reply(entities.names_page(call, tags, "Tags", lambda name: {"Key": name, "Value": tags[name]}))

    return list_tags


for _tagged in _TAGGED:
    for _name, _handler in (
        (f"Tag{_tagged.kind}", _change(_tagged, entities.with_tags)),
        (f"Untag{_tagged.kind}", _change(_tagged, entities.without_tags)),
        (f"List{_tagged.kind}Tags", _list(_tagged)),
    ):
        OPERATIONS.operation(_name, checks=_tagged.checks(f"iam:{_name}"))(_handler)

"""What users, groups and roles hold alike: inline policies, attached policies, permissions boundaries.

What lives here: one function for each act, declared for each kind of holder by a table. What does not: managed policies
themselves (policies).

Laws: the quota of inline policies counts all of a holder together; what is attached exists.

Sources: IAM API Reference, PutUserPolicy, AttachUserPolicy, ListAttachedUserPolicies, PutUserPermissionsBoundary and
their siblings for groups and roles.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from s3al.auth.authorized import Authorized
from s3al.auth.policy import PolicyKind
from s3al.errors import RequestError
from s3al.iam import access, entities, quotas
from s3al.iam.checks import Find, on_entity
from s3al.iam.entities import group_named, role_named, user_named
from s3al.iam.ports import Iam
from s3al.iam.registry import OPERATIONS
from s3al.service.operation import Call, Handler, Reply
from s3al.store import identities
from s3al.store.database import Rows
from s3al.store.identities import GroupRow


@dataclass(frozen=True, slots=True)
class _Holder:
    """kind: as in the names of operations. member: the parameter that names it."""

    kind: str
    member: str
    find: Find


_HOLDERS: Final = (
    _Holder("User", "UserName", user_named),
    _Holder("Group", "GroupName", group_named),
    _Holder("Role", "RoleName", role_named),
)


def _put(holder: _Holder) -> Handler[Iam]:
    async def put(authorized: Authorized, call: Call, iam: Iam) -> Reply:
        name, text = call.params["PolicyName"], call.params["PolicyDocument"]
        entities.checked_document(text, PolicyKind.IDENTITY)

        def write(rows: Rows) -> None:
            arn = holder.find(rows, call).arn
            others = [document for other, document in identities.list_inline_policies(rows, arn) if other != name]
            size = sum(entities.counted_size(document) for document in (*others, text))
            called = f"{holder.kind.lower()} {call.params[holder.member]}"
            quotas.require(f"{holder.kind}PolicySize", size, holder=called)
            identities.put_inline_policy(rows, arn, name, text)

        await call.commit(iam.db, authorized, write)
        return Reply()

    return put


def _no_policy(name: str, holder: _Holder) -> RequestError:
    return RequestError("NoSuchEntity", f"The {holder.kind.lower()} policy with name {name} cannot be found.")


def _get(holder: _Holder) -> Handler[Iam]:
    async def get(authorized: Authorized, call: Call, iam: Iam) -> Reply:
        name = call.params["PolicyName"]

        def read(rows: Rows) -> Reply:
            found = holder.find(rows, call)
            text = identities.find_inline_policy(rows, found.arn, name)
            if text is None:
                raise _no_policy(name, holder)
            return Reply({holder.member: found.name, "PolicyName": name, "PolicyDocument": entities.encoded(text)})

        return await access.read(authorized, call, iam, read)

    return get


def _list(holder: _Holder) -> Handler[Iam]:
    async def list_inline(authorized: Authorized, call: Call, iam: Iam) -> Reply:
        found = await access.read(
            authorized, call, iam, lambda rows: identities.list_inline_policies(rows, holder.find(rows, call).arn)
        )
        return Reply(entities.names_page(call, [name for name, _ in found], "PolicyNames", str))

    return list_inline


def _delete(holder: _Holder) -> Handler[Iam]:
    async def delete(authorized: Authorized, call: Call, iam: Iam) -> Reply:
        def write(rows: Rows) -> None:
            if not identities.delete_inline_policy(rows, holder.find(rows, call).arn, call.params["PolicyName"]):
                raise _no_policy(call.params["PolicyName"], holder)

        await call.commit(iam.db, authorized, write)
        return Reply()

    return delete


def _attach(holder: _Holder) -> Handler[Iam]:
    async def attach(authorized: Authorized, call: Call, iam: Iam) -> Reply:
        def write(rows: Rows) -> None:
            arn = holder.find(rows, call).arn
            policy = entities.policy_of_arn(rows, call, call.params["PolicyArn"])
            held = {*identities.attached_policies(rows, arn), policy.arn}
            quotas.require(f"PoliciesPer{holder.kind}", len(held))
            identities.attach_policy(rows, arn, policy.arn)

        await call.commit(iam.db, authorized, write)
        return Reply()

    return attach


def _detach(holder: _Holder) -> Handler[Iam]:
    async def detach(authorized: Authorized, call: Call, iam: Iam) -> Reply:
        def write(rows: Rows) -> None:
            if not identities.detach_policy(rows, holder.find(rows, call).arn, call.params["PolicyArn"]):
                raise RequestError("NoSuchEntity", f"Policy {call.params['PolicyArn']} was not found.")

        await call.commit(iam.db, authorized, write)
        return Reply()

    return detach


def _list_attached(holder: _Holder) -> Handler[Iam]:
    async def list_attached(authorized: Authorized, call: Call, iam: Iam) -> Reply:
        prefix = call.params.get("PathPrefix") or "/"

        def read(rows: Rows) -> list[str]:
            held = identities.attached_policies(rows, holder.find(rows, call).arn)
            return [arn for arn in held if entities.policy_of_arn(rows, call, arn).path.startswith(prefix)]

        found = await access.read(authorized, call, iam, read)
        return Reply(entities.names_page(call, found, "AttachedPolicies", entities.shown_attached))

    return list_attached


def _set_boundary(holder: _Holder) -> Handler[Iam]:
    async def set_boundary(authorized: Authorized, call: Call, iam: Iam) -> Reply:
        def write(rows: Rows) -> None:
            found = holder.find(rows, call)
            assert not isinstance(found, GroupRow)
            boundary = entities.checked_boundary(rows, call)
            if boundary is None and found.boundary_arn is None:
                raise RequestError("NoSuchEntity", f"{holder.kind} {found.name} has no permissions boundary.")
            identities.put_identity(rows, replace(found, boundary_arn=boundary), replaces=found.arn)

        await call.commit(iam.db, authorized, write)
        return Reply()

    return set_boundary


# Name of the operation, with the kind in it -> what makes its handler.
_ACTS: Final = (
    ("Put{}Policy", _put),
    ("Get{}Policy", _get),
    ("List{}Policies", _list),
    ("Delete{}Policy", _delete),
    ("Attach{}Policy", _attach),
    ("Detach{}Policy", _detach),
    ("ListAttached{}Policies", _list_attached),
    ("Put{}PermissionsBoundary", _set_boundary),
    ("Delete{}PermissionsBoundary", _set_boundary),
)

for _holder in _HOLDERS:
    for _name, _make in _ACTS:
        if _holder.kind == "Group" and _make is _set_boundary:
            continue
        _operation = _name.format(_holder.kind)
        OPERATIONS.operation(_operation, checks=on_entity(f"iam:{_operation}", _holder.find))(_make(_holder))

"""Grants: CreateGrant, ListGrants, ListRetirableGrants, RetireGrant, RevokeGrant.

What lives here: the five operations. What does not: what a grant allows (kms.grants), the decision (access).

Laws: a name makes CreateGrant idempotent for equal parameters, with a fresh token each time; every grant made or
ended bumps the change counter, so that it holds on every worker with the next request; no list shows a token.
Service principals are refused: nothing here acts as one.

Source: KMS API reference; KMS Developer Guide, "Managing grants".
"""

from __future__ import annotations

from collections.abc import Iterable

from s3al.auth.authorized import Authorized
from s3al.errors import AccessError, RequestError
from s3al.kms.access import Context, encryption_context, key_check, on_account, on_key, read
from s3al.kms.grants import (
    GRANT_ID_BYTES,
    TOKEN_RANDOM_BYTES,
    Proposal,
    check_grant_id,
    constraint_of,
    grant_on,
    new_token,
    principal_arn,
    retiring_grant,
)
from s3al.kms.identifiers import Asker, NamedKey, find_named_key, key_of
from s3al.kms.key_specs import SYMMETRIC, grantable
from s3al.kms.keys import when
from s3al.kms.paging import page, page_of
from s3al.kms.ports import OPERATIONS, Kms
from s3al.kms.states import state_after
from s3al.service.operation import Call, Check, Params, Reply
from s3al.store import key_grants
from s3al.store.catalog import bump
from s3al.store.database import Rows
from s3al.store.key_grants import GrantRow
from s3al.store.keystore import KeyRow

MAX_GRANTS = 50_000  # of one key; AWS's quota


def _refuse_services(params: Params) -> None:
    if params.get("GranteeServicePrincipal") or params.get("RetiringServicePrincipal"):
        raise RequestError("UnsupportedOperationException", "Grants to service principals are not supported.")


def _create_checks(call: Call, rows: Rows, kms: Kms) -> Iterable[Check]:
    _refuse_services(call.params)
    if not call.params.get("GranteePrincipal"):
        raise RequestError(
            "ValidationException",
            "1 validation error detected: Value null at 'granteePrincipal' failed to satisfy constraint: "
            "Member must not be null",
        )
    proposal = Proposal.of(call.params)
    check = key_check(
        rows, call, "kms:CreateGrant", find_named_key(rows, call.params["KeyId"], Asker.of(call), aliases=False)
    )
    about: Context = {
        "kms:GrantIsForAWSResource": "false",
        "kms:GrantOperations": sorted(proposal.operations),
        "kms:GranteePrincipal": principal_arn(rows, call.params["GranteePrincipal"]),
    }
    if proposal.constraint.kind:
        about["kms:GrantConstraintType"] = proposal.constraint.kind
    if call.params.get("RetiringPrincipal"):
        about["kms:RetiringPrincipal"] = principal_arn(rows, call.params["RetiringPrincipal"])
    yield Check(
        check.action, check.resource, {**check.context, **encryption_context(proposal.constraint.pairs), **about}
    )


@OPERATIONS.operation("CreateGrant", _create_checks)
async def create_grant(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    proposal = Proposal.of(call.params)

    def write(rows: Rows) -> Reply:
        key = key_of(rows, call)
        state_after(call.operation, key, call.now_ms)
        _check_suits(key, proposal)
        grant = _proposed(rows, call, key, kms)
        found = _same_grant(rows, grant) if grant.name else None
        if found is None and key_grants.count_grants(rows, key.key_id, key.region) >= MAX_GRANTS:
            raise RequestError("LimitExceededException", f"A KMS key has at most {MAX_GRANTS} grants.")
        _stop_dry_run(call)
        if found is None:
            key_grants.insert_grant(rows, grant)
            bump(rows)
        final = found or grant
        return Reply({"GrantId": final.grant_id, "GrantToken": new_token(final, kms.random(TOKEN_RANDOM_BYTES))})

    return await call.commit(kms.db, authorized, write)


def _check_suits(key: KeyRow, proposal: Proposal) -> None:
    unsuited = proposal.operations - grantable(key.key_spec, key.key_usage)
    if unsuited:
        raise RequestError(
            "ValidationException",
            f"Grant operations {', '.join(sorted(unsuited))} are not valid for a key of spec {key.key_spec} "
            f"and usage {key.key_usage}.",
        )
    if proposal.constraint.kind and key.key_spec != SYMMETRIC:
        raise RequestError(
            "ValidationException", "Encryption context constraints are valid for symmetric encryption keys alone."
        )


def _proposed(rows: Rows, call: Call, key: KeyRow, kms: Kms) -> GrantRow:
    params = call.params
    proposal = Proposal.of(params)
    retiring = params.get("RetiringPrincipal")
    return GrantRow(
        grant_id=kms.random(GRANT_ID_BYTES).hex(),
        key_id=key.key_id,
        region=key.region,
        account_id=key.account_id,
        grantee=principal_arn(rows, params["GranteePrincipal"]),
        retiring=principal_arn(rows, retiring) if retiring else "",
        name=params.get("Name") or "",
        operations=" ".join(sorted(proposal.operations)),
        constraints=proposal.constraint.to_json(),
        issuing_account=call.principal.account_id or "",
        created_at=call.now_ms,
        token_key=kms.random(32),
    )


def _same_grant(rows: Rows, wanted: GrantRow) -> GrantRow | None:
    """A grant of this name that says the same."""

    def words(grant: GrantRow) -> tuple[str, ...]:
        return (grant.grantee, grant.retiring, grant.operations, grant.constraints, grant.issuing_account)

    named = key_grants.named_grants(rows, wanted.key_id, wanted.region, wanted.name)
    return next((grant for grant in named if words(grant) == words(wanted)), None)


def _for_services_check(call: Call, rows: Rows, kms: Kms) -> Iterable[Check]:
    """ListGrants, RevokeGrant: policies may allow them for grants that an AWS service asks for alone."""
    _refuse_services(call.params)
    for check in on_key(f"kms:{call.operation}")(call, rows, kms):
        yield Check(check.action, check.resource, {**check.context, "kms:GrantIsForAWSResource": "false"})


@OPERATIONS.operation("ListGrants", _for_services_check)
async def list_grants(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    after, limit = page_of(call)
    grant_id, grantee = call.params.get("GrantId") or "", call.params.get("GranteePrincipal") or ""
    if grant_id:
        check_grant_id(grant_id)

    def reader(rows: Rows) -> Reply:
        key = key_of(rows, call)
        who = principal_arn(rows, grantee) if grantee else ""
        found = key_grants.list_grants(
            rows, key.key_id, key.region, grantee=who, grant_id=grant_id, after=after, limit=limit + 1
        )
        return Reply(_page(call, found, limit))

    return await read(authorized, call, kms, reader)


@OPERATIONS.operation("ListRetirableGrants", on_account("kms:ListRetirableGrants"))
async def list_retirable_grants(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    _refuse_services(call.params)
    after, limit = page_of(call)
    written = call.params.get("RetiringPrincipal")
    if not written:
        raise RequestError(
            "ValidationException",
            "1 validation error detected: Value null at 'retiringPrincipal' failed to satisfy constraint: "
            "Member must not be null",
        )

    def reader(rows: Rows) -> Reply:
        retiring = principal_arn(rows, written)
        if retiring.split(":")[4] != call.principal.account_id:
            raise AccessError("AccessDeniedException")
        found = key_grants.retirable_grants(rows, retiring, call.region, after=after, limit=limit + 1)
        return Reply(_page(call, found, limit))

    return await read(authorized, call, kms, reader)


def _page(call: Call, found: list[GrantRow], limit: int) -> Params:
    last = found[limit - 1].grant_id if len(found) > limit else None
    return page(call, "Grants", [_entry(grant) for grant in found[:limit]], last=last)


def _entry(grant: GrantRow) -> Params:
    entry: Params = {
        "KeyId": grant.key_arn,
        "GrantId": grant.grant_id,
        "Name": grant.name,
        "CreationDate": when(grant.created_at),
        "GranteePrincipal": grant.grantee,
        "IssuingAccount": f"arn:aws:iam::{grant.issuing_account}:root",
        "Operations": grant.operations.split(),
    }
    if grant.retiring:
        entry["RetiringPrincipal"] = grant.retiring
    constraint = constraint_of(grant)
    if constraint.kind:
        entry["Constraints"] = {constraint.kind: dict(constraint.pairs)}
    return entry


def _stop_dry_run(call: Call) -> None:
    if call.params.get("DryRun"):
        raise RequestError("DryRunOperationException")


@OPERATIONS.operation("RevokeGrant", _for_services_check)
async def revoke_grant(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    def write(rows: Rows) -> Reply:
        key = key_of(rows, call)
        state_after(call.operation, key, call.now_ms)
        return _end(rows, call, grant_on(rows, key, call.params["GrantId"]))

    return await call.commit(kms.db, authorized, write)


def _retire_checks(call: Call, rows: Rows, kms: Kms) -> Iterable[Check]:
    key, _ = retiring_grant(rows, call)
    yield key_check(rows, call, "kms:RetireGrant", NamedKey(key))


@OPERATIONS.operation("RetireGrant", _retire_checks)
async def retire_grant(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    def write(rows: Rows) -> Reply:
        key, grant = retiring_grant(rows, call)
        state_after(call.operation, key, call.now_ms)
        return _end(rows, call, grant)

    return await call.commit(kms.db, authorized, write)


def _end(rows: Rows, call: Call, grant: GrantRow) -> Reply:
    _stop_dry_run(call)
    key_grants.delete_grant(rows, grant.grant_id)
    bump(rows)
    return Reply()

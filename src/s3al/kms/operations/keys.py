"""Keys as a whole: describe, list, enable, disable, delete.

What lives here: the operations on a key as a whole. What does not: creation (creation), rows (kms.keys), material
(materials), policy (policies), aliases, tags and rotation.

Laws: every change of state goes through the table in states and bumps the change counter; a primary with replicas
is deleted after them.

Source: KMS API reference.
"""

from __future__ import annotations

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.kms.access import on_account, on_key, read
from s3al.kms.identifiers import key_of
from s3al.kms.keys import has_replicas, when
from s3al.kms.metadata import metadata
from s3al.kms.paging import page, page_of
from s3al.kms.ports import OPERATIONS, Kms
from s3al.kms.states import KeyState, state_after
from s3al.service.operation import Call, Params, Reply
from s3al.store import keystore
from s3al.store.catalog import bump
from s3al.store.database import Rows
from s3al.store.keystore import KeyRow

_DAY_MS = 24 * 60 * 60 * 1000


@OPERATIONS.operation("DescribeKey", on_key("kms:DescribeKey", aliases=True))
async def describe_key(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    def reader(rows: Rows) -> Reply:
        return Reply({"KeyMetadata": metadata(rows, key_of(rows, call, aliases=True), call.now_ms)})

    return await read(authorized, call, kms, reader)


@OPERATIONS.operation("ListKeys", on_account("kms:ListKeys"))
async def list_keys(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    after, limit = page_of(call)

    def reader(rows: Rows) -> Reply:
        account_id = call.principal.account_id or ""
        found = keystore.list_keys(rows, account_id, call.region, now_ms=call.now_ms, after=after, limit=limit + 1)
        last = found[limit - 1].key_id if len(found) > limit else None
        return Reply(page(call, "Keys", [{"KeyId": k.key_id, "KeyArn": k.arn} for k in found[:limit]], last=last))

    return await read(authorized, call, kms, reader)


@OPERATIONS.operation("UpdateKeyDescription", on_key("kms:UpdateKeyDescription"))
async def update_key_description(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    def write(rows: Rows) -> Reply:
        key = key_of(rows, call)
        state_after(call.operation, key, call.now_ms)
        keystore.set_description(rows, key, call.params["Description"])
        return Reply()

    return await call.commit(kms.db, authorized, write)


async def _change_state(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    """EnableKey and DisableKey: what becomes of the key stands in the table of states."""

    def write(rows: Rows) -> Reply:
        key = key_of(rows, call)
        _move(rows, key, state_after(call.operation, key, call.now_ms), None)
        return Reply()

    return await call.commit(kms.db, authorized, write)


OPERATIONS.operation("EnableKey", on_key("kms:EnableKey"))(_change_state)
OPERATIONS.operation("DisableKey", on_key("kms:DisableKey"))(_change_state)


@OPERATIONS.operation("ScheduleKeyDeletion", on_key("kms:ScheduleKeyDeletion"))
async def schedule_key_deletion(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    window = call.params.get("PendingWindowInDays")
    window = 30 if window is None else window
    if not 7 <= window <= 30:
        raise RequestError(
            "ValidationException", f"PendingWindowInDays must be between 7 and 30 days, and it is {window}."
        )

    def write(rows: Rows) -> Reply:
        key = key_of(rows, call)
        waits = has_replicas(rows, key)
        state = state_after(f"{call.operation}, with replicas" if waits else call.operation, key, call.now_ms)
        output: Params = {"KeyId": key.arn, "KeyState": state.value, "PendingWindowInDays": window}
        if waits:
            keystore.set_state(rows, key, state.value, None, window_days=window)
            bump(rows)
            return Reply(output)
        deletion_at = call.now_ms + window * _DAY_MS
        _move(rows, key, state, deletion_at)
        return Reply(output | {"DeletionDate": when(deletion_at)})

    return await call.commit(kms.db, authorized, write)


@OPERATIONS.operation("CancelKeyDeletion", on_key("kms:CancelKeyDeletion"))
async def cancel_key_deletion(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    def write(rows: Rows) -> Reply:
        key = key_of(rows, call)
        _move(rows, key, state_after(call.operation, key, call.now_ms), None)
        return Reply({"KeyId": key.arn})

    return await call.commit(kms.db, authorized, write)


def _move(rows: Rows, key: KeyRow, state: KeyState, deletion_at: int | None) -> None:
    keystore.set_state(rows, key, state.value, deletion_at)
    bump(rows)

"""Access keys of users, and of the account's root.

Laws: a secret is shown by the answer that makes it and never again; one that is deactivated or
deleted is refused by every worker with the next request.

Source: IAM API Reference, CreateAccessKey, ListAccessKeys, UpdateAccessKey, DeleteAccessKey, GetAccessKeyLastUsed.
"""

from __future__ import annotations

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.iam import access, entities, quotas
from s3al.iam.accounts import new_access_key
from s3al.iam.checks import on_all, on_owner, owner_arn
from s3al.iam.entities import account_of
from s3al.iam.ports import Iam
from s3al.iam.registry import OPERATIONS
from s3al.service.credentials import seal_secret
from s3al.service.operation import Call, Reply
from s3al.store import accounts
from s3al.store.accounts import AccessKeyRow
from s3al.store.database import Rows


@OPERATIONS.operation("CreateAccessKey", checks=on_owner("iam:CreateAccessKey"))
async def create_access_key(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    made = new_access_key(iam.random)
    sealed = seal_secret(iam.server_key, made.access_key_id, made.secret)

    def write(rows: Rows) -> AccessKeyRow:
        owner = owner_arn(rows, call)
        quotas.require("AccessKeysPerUser", len(accounts.list_access_keys(rows, account_of(call), owner)) + 1)
        row = AccessKeyRow(made.access_key_id, account_of(call), owner, sealed, created_at=iam.now_ms())
        accounts.create_access_key(rows, row)
        return row

    row = await call.commit(iam.db, authorized, write)
    shown = {
        "UserName": _user_name(row),
        "AccessKeyId": row.access_key_id,
        "Status": row.status,
        "SecretAccessKey": made.secret,
        "CreateDate": entities.when(row.created_at),
    }
    return Reply({"AccessKey": shown})


def _user_name(row: AccessKeyRow) -> str:
    return row.principal_arn.rpartition("/")[2] if ":user/" in row.principal_arn else "root"


@OPERATIONS.operation("ListAccessKeys", checks=on_owner("iam:ListAccessKeys"))
async def list_access_keys(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    found = await access.read(
        authorized, call, iam, lambda rows: accounts.list_access_keys(rows, account_of(call), owner_arn(rows, call))
    )
    by_id = {row.access_key_id: row for row in found}

    def shown(access_key_id: str) -> dict[str, object]:
        row = by_id[access_key_id]
        about = {"UserName": _user_name(row), "AccessKeyId": access_key_id, "Status": row.status}
        return {**about, "CreateDate": entities.when(row.created_at)}

    return Reply(entities.names_page(call, by_id, "AccessKeyMetadata", shown))


def _owned(rows: Rows, call: Call) -> AccessKeyRow:
    """Raises NoSuchEntity for a key that is not there, or somebody else's."""
    access_key_id = call.params["AccessKeyId"]
    row = accounts.find_access_key(rows, access_key_id)
    if row is None or row.principal_arn != owner_arn(rows, call):
        raise entities.no_such("access key", access_key_id)
    return row


@OPERATIONS.operation("UpdateAccessKey", checks=on_owner("iam:UpdateAccessKey"))
async def update_access_key(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    if call.params["Status"] not in ("Active", "Inactive"):
        raise RequestError("ValidationError", "Status must be Active or Inactive.")

    def write(rows: Rows) -> None:
        accounts.put_access_key_status(rows, _owned(rows, call).access_key_id, call.params["Status"])

    await call.commit(iam.db, authorized, write)
    return Reply()


@OPERATIONS.operation("DeleteAccessKey", checks=on_owner("iam:DeleteAccessKey"))
async def delete_access_key(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    await call.commit(
        iam.db, authorized, lambda rows: accounts.delete_access_key(rows, _owned(rows, call).access_key_id)
    )
    return Reply()


@OPERATIONS.operation("GetAccessKeyLastUsed", checks=on_all("iam:GetAccessKeyLastUsed", "user"))
async def get_access_key_last_used(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    """The use of access keys is not kept in rows: the answer is AWS's for a key that was not used."""
    row = await access.read(
        authorized, call, iam, lambda rows: accounts.find_access_key(rows, call.params["AccessKeyId"])
    )
    if row is None or row.account_id != account_of(call):
        raise entities.no_such("access key", call.params["AccessKeyId"])
    return Reply({"UserName": _user_name(row), "AccessKeyLastUsed": {"ServiceName": "N/A", "Region": "N/A"}})

"""Our own API for what AWS has no API for: accounts. `/_s3al/v1/<Operation>`, JSON both ways, SigV4 service
`s3al`.

What lives here: the operations. What does not: the rules of accounts (accounts), the commands that call them
(cli).

Members are snake case. Secrets appear in the answer that makes them and nowhere else.
"""

from __future__ import annotations

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.iam.accounts import change_settings, create_account, new_access_key, replace_root_key, settings_of
from s3al.iam.ports import Iam
from s3al.service.operation import Call, Operations, Params, Reply
from s3al.service.own import own_check, text
from s3al.store import accounts
from s3al.store.accounts import AccountRow
from s3al.store.database import Rows

OPERATIONS: Operations[Iam] = Operations()
_PAGE = 1000


def _shown(account: AccountRow) -> Params:
    return {
        "account_id": account.account_id,
        "canonical_id": account.canonical_id,
        "name": account.name,
        "created_at_ms": account.created_at,
        "is_operator": account.is_operator,
        "settings": settings_of(account),
    }


def _named(rows: Rows, call: Call) -> AccountRow:
    """The account that `account` names, by id or name."""
    wanted = text(call.params, "account")
    account = accounts.find_account(rows, wanted) or accounts.find_account_by_name(rows, wanted)
    if account is None:
        raise RequestError("NoSuchEntity", f"There is no account {wanted}.")
    return account


@OPERATIONS.operation("CreateAccount", checks=own_check)
async def create(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    access_key = new_access_key(iam.random)
    name = text(call.params, "name")

    def write(rows: Rows) -> AccountRow:
        account = create_account(rows, name, now_ms=iam.now_ms(), random=iam.random)
        replace_root_key(rows, iam.server_key, account, access_key, now_ms=iam.now_ms())
        return account

    account = await call.commit(iam.db, authorized, write)
    shown = _shown(account)
    return Reply(shown | {"access_key_id": access_key.access_key_id, "secret_access_key": access_key.secret})


@OPERATIONS.operation("ListAccounts", checks=own_check)
async def list_all(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    after = call.params.get("after") or ""
    if not isinstance(after, str):
        raise RequestError("ValidationError", "The member after must be a text.")
    found = await iam.db.read(lambda rows: accounts.list_accounts(rows, after=after, limit=_PAGE + 1))
    output: Params = {"accounts": [_shown(account) for account in found[:_PAGE]]}
    if len(found) > _PAGE:
        output["next"] = found[_PAGE - 1].account_id
    return Reply(output)


@OPERATIONS.operation("SetAccount", checks=own_check)
async def set_account(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    changes = call.params.get("settings")
    if not isinstance(changes, dict) or not changes:
        raise RequestError("ValidationError", "The member settings must be an object with at least one setting.")

    def write(rows: Rows) -> Params:
        account = _named(rows, call)
        return _shown(account) | {"settings": change_settings(rows, account, changes)}

    return Reply(await call.commit(iam.db, authorized, write))


@OPERATIONS.operation("ResetAccountRoot", checks=own_check)
async def reset_root(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    access_key = new_access_key(iam.random)

    def write(rows: Rows) -> AccountRow:
        account = _named(rows, call)
        replace_root_key(rows, iam.server_key, account, access_key, now_ms=iam.now_ms())
        return account

    account = await call.commit(iam.db, authorized, write)
    shown = _shown(account)
    return Reply(shown | {"access_key_id": access_key.access_key_id, "secret_access_key": access_key.secret})

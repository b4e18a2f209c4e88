"""Key policies: GetKeyPolicy, PutKeyPolicy, ListKeyPolicies.

What lives here: the three operations. What does not: the default documents and the checks (kms.policies), the
language of policies (auth.policy).

Law: a key always has one policy, named `default`; it is stored as it was sent.

Source: KMS API reference.
"""

from __future__ import annotations

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.kms.access import on_key, read
from s3al.kms.identifiers import key_of
from s3al.kms.paging import page, page_of
from s3al.kms.policies import check_policy
from s3al.kms.ports import OPERATIONS, Kms
from s3al.kms.states import state_after
from s3al.service.operation import Call, Reply
from s3al.store import keystore
from s3al.store.catalog import bump
from s3al.store.database import Rows

POLICY_NAME = "default"


def _require_default_name(call: Call) -> None:
    if call.params.get("PolicyName", POLICY_NAME) != POLICY_NAME:
        raise RequestError("NotFoundException", "No such policy exists")


@OPERATIONS.operation("GetKeyPolicy", on_key("kms:GetKeyPolicy"))
async def get_key_policy(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    def reader(rows: Rows) -> Reply:
        key = key_of(rows, call)
        _require_default_name(call)
        return Reply({"Policy": key.policy, "PolicyName": POLICY_NAME})

    return await read(authorized, call, kms, reader)


@OPERATIONS.operation("PutKeyPolicy", on_key("kms:PutKeyPolicy"))
async def put_key_policy(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    def write(rows: Rows) -> Reply:
        key = key_of(rows, call)
        _require_default_name(call)
        state_after(call.operation, key, call.now_ms)
        check_policy(rows, call, key, call.params["Policy"])
        keystore.set_policy(rows, key, call.params["Policy"])
        bump(rows)
        return Reply()

    return await call.commit(kms.db, authorized, write)


@OPERATIONS.operation("ListKeyPolicies", on_key("kms:ListKeyPolicies"))
async def list_key_policies(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    page_of(call)
    return Reply(page(call, "PolicyNames", [POLICY_NAME], last=None))

"""GetKeyLastUsage.

What lives here: the operation. What does not: what is remembered and when it is written (kms.usage).

Law: use is tracked from a key's creation on, in each region by itself.

Source: KMS API reference, "GetKeyLastUsage".
"""

from __future__ import annotations

from s3al.auth.authorized import Authorized
from s3al.kms.access import on_key, read
from s3al.kms.identifiers import key_of
from s3al.kms.keys import when
from s3al.kms.ports import OPERATIONS, Kms
from s3al.kms.states import state_after
from s3al.service.operation import Call, Params, Reply
from s3al.store.database import Rows


@OPERATIONS.operation("GetKeyLastUsage", on_key("kms:GetKeyLastUsage"))
async def get_key_last_usage(authorized: Authorized, call: Call, kms: Kms) -> Reply:
    def reader(rows: Rows) -> Reply:
        key = key_of(rows, call)
        state_after(call.operation, key, call.now_ms)
        use = kms.usage.last(rows, key)
        created = when(key.created_at)
        output: Params = {"KeyId": key.key_id, "TrackingStartDate": created, "KeyCreationDate": created}
        if use is not None:
            output["KeyLastUsage"] = {"Operation": use.operation, "Timestamp": when(use.used_at)}
            if use.request_id:
                output["KeyLastUsage"]["KmsRequestId"] = use.request_id
        return Reply(output)

    return await read(authorized, call, kms, reader)

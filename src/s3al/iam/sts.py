"""The security token service: so far, who am I."""

from __future__ import annotations

from s3al.auth.authorized import Authorized
from s3al.iam.access import no_checks
from s3al.iam.ports import Iam
from s3al.service.operation import Call, Operations, Reply

OPERATIONS: Operations[Iam] = Operations()


@OPERATIONS.operation("GetCallerIdentity", checks=no_checks)
async def get_caller_identity(authorized: Authorized, call: Call, iam: Iam) -> Reply:
    who = authorized.principal
    return Reply({"UserId": who.user_id, "Account": who.account_id, "Arn": who.arn})

"""The policy of a bucket: put, get, delete, and whether it is public.

What lives here: the operations and their two safeguards. What does not: the language (auth.policy), its
evaluation (auth.evaluate, access).

Laws: the root of the owning account may always read, replace and delete the policy, whatever it says, so that
no bucket is lost; nobody outside that account may, whatever it says; whom a policy names must exist when it is put; a
public policy is refused where BlockPublicPolicy stands. The text is stored as sent.

Source: S3 API Reference, PutBucketPolicy, GetBucketPolicy, DeleteBucketPolicy; S3 User Guide, "The meaning of
public".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from s3al.auth.authorized import Authorized
from s3al.auth.evaluate import AccessRequest, evaluate_resource_policy
from s3al.auth.policy import Policy, PolicyKind
from s3al.auth.publicness import is_public
from s3al.errors import AccessError, RequestError
from s3al.s3.access import bucket_arn, bucket_state, on_bucket, request_context
from s3al.s3.limits import POLICY_MAX_BYTES
from s3al.s3.ports import S3
from s3al.s3.registry import OPERATIONS
from s3al.s3.settings import change_bucket, delete_setting, read_bucket, setting_in
from s3al.s3.state import BucketState
from s3al.service.named_principals import missing_principals
from s3al.service.operation import Call, Check, Checks, Reply
from s3al.store import catalog
from s3al.store.catalog import BucketRow
from s3al.store.database import Rows


def by_owner_or(action: str) -> Checks[S3]:
    """A check that the root of the owning account passes even if the policy denies it."""

    def checks(call: Call, rows: Rows, s3: S3) -> Iterable[Check]:
        name = call.params["Bucket"]
        owner = bucket_state(rows, name, s3).row.account_id
        if call.principal.kind != "root" or call.principal.account_id != owner:
            return (Check(action, bucket_arn(name)),)
        if call.params.get("ExpectedBucketOwner", owner) != owner:
            raise AccessError("AccessDenied")
        return (Check(action, "*"),)  # no bucket named: no bucket policy is asked

    return checks


@OPERATIONS.operation("PutBucketPolicy", checks=by_owner_or("s3:PutBucketPolicy"))
async def put_bucket_policy(authorized: Authorized, call: Call, s3: S3) -> Reply:
    text = call.params.get("Policy") or ""
    raw = text if isinstance(text, bytes) else text.encode()
    name = call.params["Bucket"]
    policy = Policy.parse(raw, kind=PolicyKind.BUCKET, max_bytes=POLICY_MAX_BYTES, bucket_name=name)
    _refuse_foreign(call, await read_bucket(call, s3))
    _refuse_locking_out(call, policy)

    def change(rows: Rows, bucket: BucketRow) -> None:
        _refuse_missing(rows, policy)
        _refuse_public(call, policy, setting_in(rows, bucket, "public_access_block"))
        catalog.put_setting(rows, bucket.bucket_id, "policy", raw)

    await change_bucket(authorized, call, s3=s3, change=change)
    return Reply()


@OPERATIONS.operation("GetBucketPolicy", checks=by_owner_or("s3:GetBucketPolicy"))
async def get_bucket_policy(authorized: Authorized, call: Call, s3: S3) -> Reply:
    state = await read_bucket(call, s3)
    _refuse_foreign(call, state)
    return Reply({"Policy": _text(state)})


@OPERATIONS.operation("DeleteBucketPolicy", checks=by_owner_or("s3:DeleteBucketPolicy"))
async def delete_bucket_policy(authorized: Authorized, call: Call, s3: S3) -> Reply:
    _refuse_foreign(call, await read_bucket(call, s3))
    await delete_setting(authorized, call, s3=s3, setting="policy")
    return Reply()


@OPERATIONS.operation("GetBucketPolicyStatus", checks=on_bucket("s3:GetBucketPolicyStatus"))
async def get_bucket_policy_status(authorized: Authorized, call: Call, s3: S3) -> Reply:
    state = await read_bucket(call, s3)
    _text(state)
    return Reply({"PolicyStatus": {"IsPublic": state.policy_is_public}})


def _text(state: BucketState) -> str:
    raw = state.settings.get("policy")
    if raw is None:
        raise RequestError("NoSuchBucketPolicy", BucketName=state.row.name)
    return raw.decode()


def _refuse_foreign(call: Call, state: BucketState) -> None:
    if call.principal.account_id != state.row.account_id:
        raise RequestError("MethodNotAllowed")


def _refuse_locking_out(call: Call, policy: Policy) -> None:
    """Unless confirmed, a policy may not deny its author the next PutBucketPolicy."""
    if call.params.get("ConfirmRemoveSelfBucketAccess") or call.principal.kind == "root":
        return
    request = AccessRequest(
        call.principal, "s3:PutBucketPolicy", bucket_arn(call.params["Bucket"]), request_context(call)
    )
    decision = evaluate_resource_policy(policy, request, resource_account=call.principal.account_id)
    if decision.effect == "explicit-deny":
        message = "The new policy would deny you permission to change it; confirm the removal of your own access"
        raise AccessError("AccessDenied", message)


def _refuse_missing(rows: Rows, policy: Policy) -> None:
    for kind, name in missing_principals(rows, policy):
        raise RequestError("MalformedPolicy", "Invalid principal in policy", Detail=f'"{kind}" : "{name}"')


def _refuse_public(call: Call, policy: Policy, block: Mapping[str, bool] | None) -> None:
    if block and block.get("BlockPublicPolicy") and is_public(policy):
        message = (
            f"User: {call.principal.arn} is not authorized to perform: s3:PutBucketPolicy on resource: "
            f'"{bucket_arn(call.params["Bucket"])}" because public policies are prevented by the '
            "BlockPublicPolicy setting in S3 Block Public Access."
        )
        raise AccessError("AccessDenied", message)

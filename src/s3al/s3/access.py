"""Who may do this to that bucket or object: loads what decides, gathers the condition keys, asks the
evaluator.

What lives here: the `Checks` builders that operations declare, the S3 condition keys, `weigh`, `authorize`. What does
not: the evaluation itself (auth.evaluate), the cached bucket (state), the caller's own policies (service.identities).

Laws: an unknown bucket answers NoSuchBucket before any decision, as AWS does; nobody is allowed anything by
default but the root of the owning account, for whom nothing is loaded and no condition key gathered where no bucket
policy speaks.

Sources: S3 User Guide, "Actions, resources, and condition keys for Amazon S3"; "Blocking public access".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from s3al.auth.authorized import Authorized, grant
from s3al.auth.decision import AccessRequest, Decision, Weighed
from s3al.auth.principal import Principal
from s3al.errors import AccessError
from s3al.s3.object_lock.rules import lock_context, requested_lock
from s3al.s3.ports import S3
from s3al.s3.registry import OPERATIONS
from s3al.s3.state import BucketState
from s3al.s3.tag_set import parse_tagging_header
from s3al.service.identities import NO_POLICIES, Identity
from s3al.service.operation import Call, Check, Checks
from s3al.service.request_context import global_context
from s3al.store import catalog
from s3al.store.database import Rows

_ARN = "arn:aws:s3:::"


def bucket_state(rows: Rows, name: str, s3: S3) -> BucketState:
    """The bucket as of `rows`. Raises NoSuchBucket."""
    return s3.buckets.get(rows, name)


def bucket_arn(name: str) -> str:
    return _ARN + name


def object_arn(bucket: str, object_key: str) -> str:
    return f"{_ARN}{bucket}/{object_key}"


def on_account(action: str) -> Checks[S3]:
    """A check with no bucket behind it (ListAllMyBuckets): on all of them."""

    def checks(call: Call, rows: Rows, s3: S3) -> Iterable[Check]:
        return (Check(action, bucket_arn("*")),)

    return checks


def on_bucket(action: str) -> Checks[S3]:
    def checks(call: Call, rows: Rows, s3: S3) -> Iterable[Check]:
        return (Check(action, bucket_arn(call.params["Bucket"])),)

    return checks


def on_object(action: str, versioned_action: str | None = None) -> Checks[S3]:
    """versioned_action: the action when the request names a version id (s3:GetObjectVersion ...)."""

    def checks(call: Call, rows: Rows, s3: S3) -> Iterable[Check]:
        named = versioned_action if versioned_action and call.params.get("VersionId") else action
        return (Check(named, object_arn(call.params["Bucket"], call.params["Key"])),)

    return checks


def authorize(rows: Rows, call: Call, s3: S3) -> Authorized:
    """Evaluate every check that the operation declares, as of `rows`. Raises AccessError or NoSuchBucket."""
    stamp = catalog.change_counter(rows)
    decisions = [decide(rows, call, check, s3) for check in OPERATIONS[call.operation].checks(call, rows, s3)]
    return grant(call.principal, tuple(decisions), stamp)


def authorize_check(rows: Rows, call: Call, check: Check, s3: S3) -> Authorized:
    """One more check in the course of an operation (each key of DeleteObjects)."""
    decision = decide(rows, call, check, s3)
    return grant(call.principal, (decision,), catalog.change_counter(rows))


def decide(rows: Rows, call: Call, check: Check, s3: S3) -> Decision:
    """The decision that allows. Raises AccessError, or NoSuchBucket."""
    weighed = weigh(rows, call, check, s3)
    if not weighed.decision.allows:
        raise _refused(weighed).with_weighed(weighed)
    return weighed.decision


def weigh(rows: Rows, call: Call, check: Check, s3: S3) -> Weighed:
    """The decision, whatever it is. Raises NoSuchBucket, and AccessError for a bucket of another owner than expected or
    a caller without an account where no bucket is named."""
    if check.resource == "*" or call.operation in _WITHOUT_BUCKET:
        return _weigh_in_account(rows, call, check, s3)
    name = check.resource[len(_ARN) :].partition("/")[0]
    state = s3.buckets.get(rows, name)
    is_source = name != call.params.get("Bucket")
    if not is_source:
        call.bucket_owner = state.row.account_id
    _check_expected_owner(call, state, source=is_source)
    identity = s3.identities.of(rows, call.principal)
    asked = state.policy is not None or identity is not NO_POLICIES  # without a policy nobody asks for the context
    context = _context(call, check, state) if asked else {}
    request = AccessRequest(call.principal, check.action, check.resource, context)
    decision = _evaluate(identity, request, state) if asked else _evaluate_without_policies(request, state)
    return Weighed(request, _shut(call.principal, state, decision) or decision, state.row.account_id)


def _evaluate(identity: Identity, request: AccessRequest, state: BucketState) -> Decision:
    return identity.evaluate(
        request, resource_policy=state.policy, resource_account=state.row.account_id, owner_allows=True
    )


def _evaluate_without_policies(request: AccessRequest, state: BucketState) -> Decision:
    """What is allowed where no policy has a say does not hang on the object, and is kept as long as the bucket is."""
    name = (request.principal.kind, request.principal.arn, request.action)
    decision = state.allowed.get(name)
    if decision is None:
        decision = _evaluate(NO_POLICIES, request, state)
        if decision.allows:  # of the owner's root alone, so that there are no more than actions
            state.allowed[name] = decision
    return decision


# Operations on buckets that are not there, or on all of them.
_WITHOUT_BUCKET = frozenset({"CreateBucket", "ListBuckets"})


def _weigh_in_account(rows: Rows, call: Call, check: Check, s3: S3) -> Weighed:
    """What the caller's own account decides alone."""
    principal = call.principal
    if principal.account_id is None:
        raise AccessError("AccessDenied")
    identity = s3.identities.of(rows, principal)
    context = {} if identity is NO_POLICIES else {**request_context(call), **check.context}
    request = AccessRequest(principal, check.action, check.resource, context)
    decision = identity.evaluate(
        request, resource_policy=None, resource_account=principal.account_id, owner_allows=True
    )
    return Weighed(request, decision, principal.account_id)


def _refused(weighed: Weighed) -> AccessError:
    """The reason is told to callers of the bucket's own account alone."""
    request, decision = weighed.request, weighed.decision
    if request.principal.account_id != weighed.owner:
        return AccessError("AccessDenied")
    on_all = request.resource in ("*", bucket_arn("*"))
    on = "" if on_all else f' on resource: "{request.resource}"'
    who = f"User: {request.principal.arn} is not authorized to perform: {request.action}"
    return AccessError("AccessDenied", f"{who}{on} {decision.reason}")


def _context(call: Call, check: Check, state: BucketState) -> dict[str, str | list[str]]:
    owner = state.row.account_id
    return {**request_context(call), **check.context, "s3:ResourceAccount": owner, "aws:ResourceAccount": owner}


def _check_expected_owner(call: Call, state: BucketState, *, source: bool) -> None:
    expected = call.params.get("ExpectedSourceBucketOwner" if source else "ExpectedBucketOwner")
    if expected and expected != state.row.account_id:
        raise AccessError("AccessDenied")


def _is_owner(principal: Principal, state: BucketState) -> bool:
    return principal.kind == "root" and principal.account_id == state.row.account_id


_UNREADABLE = Decision("explicit-deny", reason="because the bucket policy that is stored cannot be read")
_RESTRICTED = Decision(
    "explicit-deny", reason="because the bucket's policy is public and its RestrictPublicBuckets setting is on"
)


def _shut(principal: Principal, state: BucketState, decision: Decision) -> Decision | None:
    """What keeps callers out beside policies: one that nobody can read shuts out all but the owner's root; where
    RestrictPublicBuckets is set, a public one admits the owner's account and AWS services alone."""
    if state.policy_unreadable and not _is_owner(principal, state):
        return _UNREADABLE
    if not decision.allows or not state.policy_is_public:
        return None
    if principal.account_id == state.row.account_id or principal.kind == "service":
        return None
    block = state.document("public_access_block") or {}
    return _RESTRICTED if block.get("RestrictPublicBuckets") else None


# Request parameter -> condition key; values as sent.
_PARAMETER_KEYS: Mapping[str, str] = {
    "Prefix": "s3:prefix",
    "Delimiter": "s3:delimiter",
    "MaxKeys": "s3:max-keys",
    "VersionId": "s3:VersionId",
    "ServerSideEncryption": "s3:x-amz-server-side-encryption",
    "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "SSECustomerAlgorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
    "ACL": "s3:x-amz-acl",
    "GrantFullControl": "s3:x-amz-grant-full-control",
    "GrantRead": "s3:x-amz-grant-read",
    "GrantWrite": "s3:x-amz-grant-write",
    "GrantReadACP": "s3:x-amz-grant-read-acp",
    "GrantWriteACP": "s3:x-amz-grant-write-acp",
    "CopySource": "s3:x-amz-copy-source",
    "MetadataDirective": "s3:x-amz-metadata-directive",
    "StorageClass": "s3:x-amz-storage-class",
    "ObjectOwnership": "s3:x-amz-object-ownership",
    "IfMatch": "s3:if-match",
    "IfNoneMatch": "s3:if-none-match",
    "WebsiteRedirectLocation": "s3:x-amz-website-redirect-location",
}


def request_context(call: Call) -> dict[str, str | list[str]]:
    """The condition keys of this request that need no stored object."""
    context = global_context(call)
    for parameter, name in _PARAMETER_KEYS.items():
        value = call.params.get(parameter)
        if value is not None:
            context[name] = str(value)
    lock = requested_lock(call.params, call.now_ms)
    if lock is not None:
        context |= lock_context(lock, call.now_ms)
    tagging = call.params.get("Tagging")
    if tagging:
        context |= _request_tags(tagging)
    return context


def _request_tags(tagging: str | Mapping[str, Any]) -> dict[str, str | list[str]]:
    """From the x-amz-tagging header, or from the body of PutObjectTagging."""
    tags = (
        parse_tagging_header(tagging)
        if isinstance(tagging, str)
        else {t["Key"]: t["Value"] for t in tagging.get("TagSet", ())}
    )
    context: dict[str, str | list[str]] = {f"s3:RequestObjectTag/{name}": value for name, value in tags.items()}
    context["s3:RequestObjectTagKeys"] = list(tags)
    return context


def existing_tags_context(
    rows: Rows, call: Call, s3: S3, *, state: BucketState, tags: Callable[[], Mapping[str, str]]
) -> dict[str, str | list[str]]:
    """s3:ExistingObjectTag keys, read only where the bucket's policy or one of the caller's asks for them."""
    asked = b"existingobjecttag" in state.settings.get("policy", b"").lower()
    if not asked and not s3.identities.of(rows, call.principal).asks_object_tags:
        return {}
    return {f"s3:ExistingObjectTag/{name}": value for name, value in tags().items()}

"""Questions to policies: would this request be allowed? Answered by the evaluator that decides requests.

What lives here: requests that a careful owner does not want to be possible, on buckets and on KMS keys. What does not:
the evaluation (auth.evaluate), what follows from an answer (rules).

Laws: a bucket's policy is asked as the root of the bucket's account, whom nothing but a Deny stops: what it lets pass
passes for everyone who may upload at all. It is asked about an object of no particular name and about one under each
resource that the policy names, so that a Deny for a part of the bucket is not taken for the whole. Of a key the key
policy alone is asked, for requests that come by themselves and for such as S3 sends (kms:ViaService): what identity
policies and grants add is not seen. A policy that does not parse answers nothing.

Source: IAM User Guide, "Policy evaluation logic"; S3 User Guide, "Bucket policy examples"; KMS Developer Guide, "Key
policies".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from s3al.auth.decision import AccessRequest
from s3al.auth.evaluate import evaluate
from s3al.auth.policy import Policy, PolicyKind
from s3al.auth.principal import Principal, principal_context
from s3al.errors import RequestError
from s3al.posture.facts import Bucket, KmsKey

_POLICY_BYTES: Final = 65536
_NOBODYS_ACCOUNT: Final = "000000000000"
_STRANGERS_ACCOUNT: Final = "999999999999"
_ARN_COLONS: Final = 5
_SSE: Final = "s3:x-amz-server-side-encryption"

PLAIN_HTTP: Final[Mapping[str, str]] = {"aws:SecureTransport": "false"}
NO_HEADER: Final[Mapping[str, str]] = {}
WITH_SSE_S3: Final[Mapping[str, str]] = {_SSE: "AES256"}
WITH_SSE_KMS: Final[Mapping[str, str]] = {_SSE: "aws:kms"}
WITH_SSE_C: Final[Mapping[str, str]] = {f"{_SSE}-customer-algorithm": "AES256"}

ADMINISTER: Final = ("kms:PutKeyPolicy", "kms:CreateGrant", "kms:DisableKey", "kms:ScheduleKeyDeletion")
USE: Final = ("kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt")


def with_key(mode: str, kms_key: str) -> Mapping[str, str]:
    return {_SSE: mode, f"{_SSE}-aws-kms-key-id": kms_key}


def bucket_policy(bucket: Bucket) -> Policy | None:
    """None where there is none, or none that parses."""
    return _parsed(bucket.policy, PolicyKind.BUCKET, bucket.name)


def key_policy(key: KmsKey) -> Policy | None:
    return _parsed(key.policy, PolicyKind.KEY, None)


def _parsed(text: str | None, kind: PolicyKind, bucket_name: str | None) -> Policy | None:
    if text is None:
        return None
    try:
        return Policy.parse(text, kind=kind, max_bytes=_POLICY_BYTES, bucket_name=bucket_name)
    except RequestError:
        return None


# --- buckets


def passes(bucket: Bucket, account_id: str, action: str, asked: Mapping[str, str]) -> str | None:
    """The object for which the owner's request is allowed; None if the policy denies it for every object asked about,
    or cannot be read."""
    policy = bucket_policy(bucket)
    if policy is None and (bucket.policy is not None or "GetBucketPolicy" in bucket.unread):
        return None
    account = account_id or _NOBODYS_ACCOUNT
    owner = _root(account)
    context = {"aws:SecureTransport": "true", **principal_context(owner), **asked}
    for object_key in ("any-object", *_named_objects(bucket)):
        request = AccessRequest(owner, action, f"{bucket.arn}/{object_key}", context)
        decided = evaluate(request, resource_policy=policy, resource_account=account, owner_allows=True)
        if decided.allows:
            return object_key
    return None


def _named_objects(bucket: Bucket) -> Iterator[str]:
    """One object under each resource of the policy, wildcards and variables filled with an x."""
    document: Any = json.loads(bucket.policy) if bucket.policy else {}
    statements = document.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        for element in ("Resource", "NotResource"):
            named = statement.get(element, [])
            for pattern in [named] if isinstance(named, str) else named:
                object_key = pattern.partition("/")[2]
                if object_key:
                    yield re.sub(r"\$\{[^}]*\}|[*?]", "x", object_key)


# --- KMS keys


@dataclass(frozen=True, slots=True)
class Holder:
    """A principal as a key policy names it, and what it lets him do by itself. is_account: the whole account, in which
    identity policies decide."""

    name: str
    is_account: bool
    administers: tuple[str, ...]
    uses: tuple[str, ...]


def holders(key: KmsKey) -> list[Holder]:
    policy = key_policy(key)
    if policy is None:
        return []
    names = {value for kind, value in policy.principal_names() if kind == "AWS" and value != "*"}
    found = []
    for name in sorted(names):
        principal = _principal(name)
        if principal is not None:
            found.append(
                Holder(
                    name, principal.kind == "root", _allowed(policy, key, principal, ADMINISTER),
                    _allowed(policy, key, principal, USE),
                )
            )  # fmt: skip
    return found


def allows_strangers(key: KmsKey) -> tuple[str, ...]:
    """What the key policy lets an account do that it does not name."""
    policy = key_policy(key)
    return _allowed(policy, key, _root(_STRANGERS_ACCOUNT), (*ADMINISTER, *USE)) if policy else ()


def _allowed(policy: Policy, key: KmsKey, principal: Principal, actions: tuple[str, ...]) -> tuple[str, ...]:
    alone = {**principal_context(principal), "kms:CallerAccount": principal.account_id or ""}
    region = key.arn.split(":")[3] if key.arn.count(":") >= _ARN_COLONS else ""
    by_s3 = {**alone, "kms:ViaService": f"s3.{region}.amazonaws.com"}

    def allows(action: str, context: Mapping[str, str | list[str]]) -> bool:
        return evaluate(
            AccessRequest(principal, action, key.arn, context),
            resource_policy=policy,
            resource_account=principal.account_id,  # what the key policy says; other accounts' own policies are theirs
            owner_allows=False,
        ).allows

    return tuple(action for action in actions if allows(action, alone) or allows(action, by_s3))


def _root(account_id: str) -> Principal:
    return Principal("root", account_id, f"arn:aws:iam::{account_id}:root", account_id)


def _principal(name: str) -> Principal | None:
    """From an ARN or account id in a Principal element."""
    if re.fullmatch(r"[0-9]{12}", name):
        return _root(name)
    parts = name.split(":", 5)
    if len(parts) != 6:
        return None
    account_id, what = parts[4], parts[5]
    kind, _, path = what.partition("/")
    if what == "root":
        return _root(account_id)
    if kind == "user":
        return Principal("user", account_id, name, path)
    if kind == "role":
        last = path.rpartition("/")[2]
        session = f"arn:aws:sts::{account_id}:assumed-role/{last}/posture"
        return Principal("assumed-role", account_id, session, path, session_name="posture", issuer_arn=name)
    if kind == "assumed-role":
        role = f"arn:aws:iam::{account_id}:role/{path.partition('/')[0]}"
        return Principal("assumed-role", account_id, name, path, issuer_arn=role)
    return None

"""Key policies: the documents that the KMS itself writes, and what a policy must meet before a key has it.

What lives here: the defaults, and the check that nobody locks the key for good. What does not: the operations
(operations.policies), the language of policies (auth.policy).

Laws: a policy is parsed, and its principals looked up, before it is stored; unless the caller says otherwise, who
sets it must be able to set it again, by its own name or because the account decides.

Sources: KMS Developer Guide, "Key policies", "Default key policy"; the policy of aws/s3 as AWS publishes it.
"""

from __future__ import annotations

import json
import re

from s3al.auth.decision import AccessRequest
from s3al.auth.evaluate import evaluate
from s3al.auth.policy import Policy
from s3al.auth.principal import Principal, principal_context
from s3al.errors import RequestError
from s3al.kms.access import MAX_POLICY_BYTES, compiled
from s3al.service.named_principals import missing_principals
from s3al.service.operation import Call
from s3al.service.request_context import global_context
from s3al.store.database import Rows
from s3al.store.keystore import KeyRow

_CHARACTERS = re.compile("[\t\n\r\u0020-\u00ff]+")


def default_policy(account_id: str) -> str:
    """What a key gets when CreateKey names no policy: everything for whom the account admits."""
    statement = {
        "Sid": "Enable IAM User Permissions",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account_id}:root"},
        "Action": "kms:*",
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Id": "key-default-1", "Statement": [statement]})


def managed_s3_policy(account_id: str, region: str) -> str:
    """The policy of aws/s3: whoever of the account comes through S3 may use it; nobody may change it."""
    through_s3 = {
        "Sid": "Allow access through S3 for all principals in the account that are authorized to use S3",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
        "Resource": "*",
        "Condition": {
            "StringEquals": {"kms:CallerAccount": account_id, "kms:ViaService": f"s3.{region}.amazonaws.com"}
        },
    }
    metadata = {
        "Sid": "Allow direct access to key metadata to the account",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account_id}:root"},
        "Action": ["kms:Describe*", "kms:Get*", "kms:List*"],
        "Resource": "*",
    }
    return json.dumps({"Version": "2012-10-17", "Id": "auto-s3-2", "Statement": [through_s3, metadata]})


def check_policy(rows: Rows, call: Call, key: KeyRow, policy: str) -> None:
    """Whether `policy` may become the policy of `key`, which need not be stored yet.

    Raises MalformedPolicyDocumentException (also for a policy that locks the caller out), LimitExceededException.
    """
    if len(policy.encode("utf-8")) > MAX_POLICY_BYTES:
        raise RequestError("LimitExceededException", "The key policy is longer than 32 KB.")
    if not _CHARACTERS.fullmatch(policy):
        raise RequestError("MalformedPolicyDocumentException", "The policy contains characters that are not allowed.")
    parsed = compiled(policy)
    if any(missing_principals(rows, parsed)):
        raise RequestError(
            "MalformedPolicyDocumentException", "Policy contains a statement with one or more invalid principals."
        )
    if call.params.get("BypassPolicyLockoutSafetyCheck"):
        return
    if not _may_set_again(call, key, parsed):
        raise RequestError(
            "MalformedPolicyDocumentException",
            "The new key policy will not allow you to update the key policy in the future.",
        )


def _may_set_again(call: Call, key: KeyRow, policy: Policy) -> bool:
    """Whether the key policy names the caller, or leaves it to the account, whose root then can."""
    context = global_context(call) | {"kms:CallerAccount": key.account_id}
    request = AccessRequest(call.principal, "kms:PutKeyPolicy", key.arn, context)
    decision = evaluate(request, resource_policy=policy, resource_account=key.account_id, owner_allows=False)
    if decision.effect != "implicit-deny":
        return decision.allows
    root = Principal("root", key.account_id, f"arn:aws:iam::{key.account_id}:root", key.account_id)
    of_root = AccessRequest(root, "kms:PutKeyPolicy", key.arn, context | principal_context(root))
    return evaluate(
        of_root, resource_policy=policy, resource_account=key.account_id, owner_allows=False
    ).allows

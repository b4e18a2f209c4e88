"""What is looked for in the settings of buckets.

What lives here: one function a rule. What does not: the table (rules), the questions to policies (questions).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from s3al.advice.options import DSSE_KMS, SSE_KMS
from s3al.auth.publicness import public_statements
from s3al.posture.facts import NONE, UNKNOWN, Bucket, Posture
from s3al.posture.hits import Hit
from s3al.posture.questions import (
    NO_HEADER,
    PLAIN_HTTP,
    WITH_SSE_C,
    WITH_SSE_KMS,
    WITH_SSE_S3,
    bucket_policy,
    key_policy,
    passes,
    with_key,
)

_PUT: Final = "s3:PutObject"
_GET: Final = "s3:GetObject"
_SETTINGS: Final = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
_ANOTHER_KEY: Final = "arn:aws:kms:us-east-1:000000000000:key/00000000-0000-0000-0000-000000000000"
_HEADERS: Final[Mapping[str, str]] = {SSE_KMS: "aws:kms", DSSE_KMS: "aws:kms:dsse"}
_WEAKER: Final[Mapping[str, tuple[Mapping[str, str], ...]]] = {
    SSE_KMS: (WITH_SSE_S3,),
    DSSE_KMS: (WITH_SSE_S3, WITH_SSE_KMS),
}


def public_policy(posture: Posture) -> Iterator[Hit]:
    for bucket in posture.buckets:
        policy = bucket_policy(bucket)
        if policy is None or _blocks(bucket, "RestrictPublicBuckets"):
            continue
        for statement in public_statements(policy):
            yield Hit(bucket.arn, f"{statement} grants to everyone: {statement.text[:300]}")


def public_acl(posture: Posture) -> Iterator[Hit]:
    for bucket in posture.buckets:
        if bucket.public_grants and not bucket.acls_disabled and not _blocks(bucket, "IgnorePublicAcls"):
            yield Hit(bucket.arn, f"the ACL grants {', '.join(bucket.public_grants)} to a group of everyone")


def public_not_blocked(posture: Posture) -> Iterator[Hit]:
    for bucket in posture.buckets:
        if "GetPublicAccessBlock" in bucket.unread:
            continue
        off = [name for name in _SETTINGS if not _blocks(bucket, name)]
        if off:
            yield Hit(bucket.arn, f"off: {', '.join(off)}")


def default_missing(posture: Posture) -> Iterator[Hit]:
    for bucket in posture.buckets:
        if bucket.default_mode == NONE:
            yield Hit(bucket.arn, "GetBucketEncryption answers that there is none")


def unencrypted_upload(posture: Posture) -> Iterator[Hit]:
    for bucket in posture.buckets:
        if bucket.default_mode != NONE:
            continue
        object_key = passes(bucket, posture.account_id, _PUT, NO_HEADER)
        if object_key is not None:
            evidence = f"PutObject of {object_key} without a header is not denied, and no default encrypts"
            yield Hit(bucket.arn, evidence)


def plain_http(posture: Posture) -> Iterator[Hit]:
    for bucket in posture.buckets:
        for action in (_GET, _PUT):
            object_key = passes(bucket, posture.account_id, action, PLAIN_HTTP)
            if object_key is not None:
                evidence = f"{action} of {object_key} is not denied where aws:SecureTransport is false"
                yield Hit(bucket.arn, evidence)
                break


def weaker_upload(posture: Posture) -> Iterator[Hit]:
    for bucket in posture.buckets:
        for asked in _WEAKER.get(bucket.default_mode, ()):
            object_key = passes(bucket, posture.account_id, _PUT, asked)
            if object_key is not None:
                header = next(iter(asked.values()))
                yield Hit(
                    bucket.arn,
                    f"the default is {bucket.default_mode}, and PutObject of {object_key} with "
                    f"x-amz-server-side-encryption: {header} is not denied",
                )
                break


def wrong_key_upload(posture: Posture) -> Iterator[Hit]:
    for bucket in posture.buckets:
        header = _HEADERS.get(bucket.default_mode)
        if header is None or not bucket.default_key:
            continue
        object_key = passes(bucket, posture.account_id, _PUT, with_key(header, _ANOTHER_KEY))
        if object_key is not None:
            yield Hit(bucket.arn, f"PutObject of {object_key} under a key of another account is not denied")


def sse_c_allowed(posture: Posture) -> Iterator[Hit]:
    for bucket in posture.buckets:
        if bucket.blocks_sse_c or "GetBucketEncryption" in bucket.unread:
            continue
        object_key = passes(bucket, posture.account_id, _PUT, WITH_SSE_C)
        if object_key is not None:
            evidence = f"neither settings nor policy of the bucket stop PutObject of {object_key} with SSE-C"
            yield Hit(bucket.arn, evidence)


def not_looked_at(posture: Posture) -> Iterator[Hit]:
    for what, why in posture.unread.items():
        yield Hit(posture.endpoint, f"{what} was answered {why}")
    for bucket in posture.buckets:
        for what, why in bucket.unread.items():
            yield Hit(bucket.arn, f"{what} was answered {why}")
        if unseen := bucket.objects.modes().get(UNKNOWN):
            yield Hit(bucket.arn, f"{unseen} objects refused to be looked at", unseen)
        if bucket.policy is not None and bucket_policy(bucket) is None:
            yield Hit(bucket.arn, "the bucket's policy does not parse, and was not asked anything")
    for key in posture.kms_keys:
        for what, why in key.unread.items():
            yield Hit(key.arn, f"{what} was answered {why}")
        if key.policy is not None and key_policy(key) is None:
            yield Hit(key.arn, "the key's policy does not parse, and was not asked anything")


def _blocks(bucket: Bucket, setting: str) -> bool:
    return bool(bucket.public_access_block and bucket.public_access_block.get(setting))

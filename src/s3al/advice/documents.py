"""What puts a choice in place: default encryption, bucket policy, key policy, client code.

What lives here: `documents_for`. What does not: sending them (commands.advise).

Laws: a bucket policy denies what contradicts the choice and never a request that leaves the choice to the bucket's
default; plain HTTP is denied for every option. A bucket cannot tell client-side ciphertext from plaintext: what
enforces that is the client, and `s3al cse scan`, which finds the rest.

Source: S3 User Guide, "Setting default server-side encryption behavior", "Bucket policy examples"; IAM User Guide,
condition operators (`Null` false, because `...IfExists` in a Deny also meets requests without the header).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from s3al.advice.key_policy import separated
from s3al.advice.options import CLIENT_KMS, CLIENT_OWN_KEY, DSSE_KMS, SSE_C, SSE_KMS, SSE_S3

_SSE: Final = "s3:x-amz-server-side-encryption"
_SSE_KEY: Final = "s3:x-amz-server-side-encryption-aws-kms-key-id"
_SSE_C: Final = "s3:x-amz-server-side-encryption-customer-algorithm"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a choice is put in place. kms_key: ARN; administrators and users: ARNs of principals."""

    bucket: str = "BUCKET"
    account_id: str = "111122223333"
    kms_key: str = "arn:aws:kms:us-east-1:111122223333:key/KEY"
    administrators: tuple[str, ...] = ()
    users: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Documents:
    """default_encryption: of PutBucketEncryption. key_policy: None where no KMS key of yours is used."""

    default_encryption: dict[str, Any]
    bucket_policy: dict[str, Any]
    key_policy: dict[str, Any] | None
    client_code: str


def documents_for(option_id: str, place: Place) -> Documents:
    """option_id: one that can be chosen."""
    needs_key = option_id in (SSE_KMS, DSSE_KMS, CLIENT_KMS)
    administrators = place.administrators or (f"arn:aws:iam::{place.account_id}:role/KEY-ADMINISTRATORS",)
    users = place.users or (f"arn:aws:iam::{place.account_id}:role/KEY-USERS",)
    return Documents(
        default_encryption=_default(option_id, place),
        bucket_policy={
            "Version": "2012-10-17",
            "Statement": [_deny_plain_http(place), *(_STATEMENTS.get(option_id, _no_statements)(place))],
        },
        key_policy=separated(place.account_id, administrators=administrators, users=users) if needs_key else None,
        client_code=_CODE[option_id].format(bucket=place.bucket, kms_key=place.kms_key),
    )


def _default(option_id: str, place: Place) -> dict[str, Any]:
    algorithm = {SSE_KMS: "aws:kms", DSSE_KMS: "aws:kms:dsse"}.get(option_id, "AES256")
    rule: dict[str, Any] = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": algorithm}}
    if option_id in (SSE_KMS, DSSE_KMS):
        rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] = place.kms_key
    if option_id == SSE_KMS:
        rule["BucketKeyEnabled"] = True
    rule["BlockedEncryptionTypes"] = {"EncryptionType": ["NONE" if option_id == SSE_C else "SSE-C"]}
    return {"Rules": [rule]}


def _deny_plain_http(place: Place) -> dict[str, Any]:
    arn = f"arn:aws:s3:::{place.bucket}"
    return {
        "Sid": "DenyPlainHttp",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [arn, f"{arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def _deny_puts(place: Place, sid: str, condition: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{place.bucket}/*",
        "Condition": dict(condition),
    }


def _other_mode(place: Place, algorithm: str) -> dict[str, Any]:
    condition = {"StringNotEquals": {_SSE: algorithm}, "Null": {_SSE: "false"}}
    return _deny_puts(place, "DenyOtherModes", condition)


def _kms_statements(place: Place, algorithm: str) -> list[dict[str, Any]]:
    return [
        _other_mode(place, algorithm),
        _deny_puts(
            place, "DenyOtherKeys", {"StringNotEquals": {_SSE_KEY: place.kms_key}, "Null": {_SSE_KEY: "false"}}
        ),
        _deny_puts(
            place, "DenyTheManagedKey", {"StringEquals": {_SSE: algorithm}, "Null": {_SSE_KEY: "true"}}
        ),
    ]  # fmt: skip


def _no_statements(place: Place) -> list[dict[str, Any]]:
    return []


_STATEMENTS: Final[Mapping[str, Callable[[Place], list[dict[str, Any]]]]] = {
    SSE_S3: lambda place: [_other_mode(place, "AES256")],
    SSE_KMS: lambda place: _kms_statements(place, "aws:kms"),
    DSSE_KMS: lambda place: _kms_statements(place, "aws:kms:dsse"),
    SSE_C: lambda place: [_deny_puts(place, "DenyWithoutCustomerKey", {"Null": {_SSE_C: "true"}})],
}

_PLAIN = """import boto3

s3 = boto3.client("s3")
s3.put_object(Bucket="{bucket}", Key="report", Body=b"...")  # the bucket's default encrypts
"""

_CODE: Final[Mapping[str, str]] = {
    SSE_S3: _PLAIN,
    SSE_KMS: _PLAIN,
    DSSE_KMS: _PLAIN,
    SSE_C: """import os
import boto3

s3 = boto3.client("s3")
customer_key = os.urandom(32)  # keep it: without it the object is lost
s3.put_object(Bucket="{bucket}", Key="report", Body=b"...", SSECustomerAlgorithm="AES256", SSECustomerKey=customer_key)
""",
    CLIENT_KMS: """import boto3
from s3al.client import KmsKeyring, S3EncryptionClient, S3EncryptionClientConfig

keyring = KmsKeyring(boto3.client("kms"), "{kms_key}")
s3 = S3EncryptionClient(boto3.client("s3"), S3EncryptionClientConfig(keyring=keyring))
s3.put_object(Bucket="{bucket}", Key="report", Body=b"...")  # ciphertext leaves this process
""",
    CLIENT_OWN_KEY: """import os
import boto3
from s3al.client import AesKeyring, S3EncryptionClient, S3EncryptionClientConfig

wrapping_key = os.urandom(32)  # keep it: without it the object is lost
s3 = S3EncryptionClient(boto3.client("s3"), S3EncryptionClientConfig(keyring=AesKeyring(wrapping_key)))
s3.put_object(Bucket="{bucket}", Key="report", Body=b"...")  # ciphertext leaves this process
""",
}

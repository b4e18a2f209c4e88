"""Every way of encrypting, as request arguments: the rows over which tests of "every mode" run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SSE_C_KEY = "sse-c key of these tests only 32 b"[:32]
MODES = ("sse-s3", "sse-kms", "sse-kms with a bucket key", "dsse-kms", "sse-c")


@dataclass(frozen=True, slots=True)
class Mode:
    """put: arguments of PutObject and CreateMultipartUpload. customer: those that every later request needs too."""

    name: str
    put: dict[str, Any]
    customer: dict[str, Any]


def mode_of(name: str, kms_key: str) -> Mode:
    """kms_key: the ARN of an enabled key."""
    customer = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": SSE_C_KEY}
    kms = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms_key}
    put: dict[str, dict[str, Any]] = {
        "sse-s3": {"ServerSideEncryption": "AES256"},
        "sse-kms": kms,
        "sse-kms with a bucket key": {**kms, "BucketKeyEnabled": True},
        "dsse-kms": {**kms, "ServerSideEncryption": "aws:kms:dsse"},
        "sse-c": customer,
    }
    return Mode(name, put[name], customer if name == "sse-c" else {})

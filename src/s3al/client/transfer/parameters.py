"""Parameters of requests: what callers give, and what each S3 operation gets of it.

What lives here: taking our own parameters out, sharing the rest among the operations of one write or read, and turning
answers about ciphertext into answers about plaintext. What does not: calling.

Laws: what an operation does not know is not sent to it, as the service model of the caller's own boto3 says. Checksums
of ciphertext are not shown as if they were the plaintext's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from s3al.client.config import S3EncryptionClientConfig
from s3al.client.errors import ClientConfigError
from s3al.client.formats.envelope import ENVELOPE_NAMES, Envelope, user_metadata
from s3al.client.transfer.envelopes import details

# What reaches a second object (the instruction file) as it reaches the first.
_SHARED: Final = frozenset(
    {
        "Bucket", "ExpectedBucketOwner", "RequestPayer", "SSECustomerAlgorithm", "SSECustomerKey",
        "SSECustomerKeyMD5", "ServerSideEncryption", "SSEKMSKeyId", "SSEKMSEncryptionContext", "BucketKeyEnabled",
        "ACL", "StorageClass",
    }
)  # fmt: skip
_PINNED: Final = frozenset({"IfMatch", "IfNoneMatch", "IfModifiedSince", "IfUnmodifiedSince", "Range", "PartNumber"})


@dataclass(frozen=True, slots=True)
class OwnParameters:
    """What a caller says to us and not to S3."""

    context: Mapping[str, str] | None
    format: str | None
    suffix: str


def take_own(config: S3EncryptionClientConfig, parameters: dict[str, Any]) -> OwnParameters:
    """Takes EncryptionContext, format and InstructionFileSuffix out of `parameters`."""
    suffix = parameters.pop("InstructionFileSuffix", None) or config.instruction_file_config.suffix
    return OwnParameters(parameters.pop("EncryptionContext", None), parameters.pop("format", None), suffix)


def checked_metadata(parameters: Mapping[str, Any]) -> dict[str, str]:
    """The caller's user metadata. Raises ClientConfigError if it uses a name of an envelope."""
    metadata = dict(parameters.get("Metadata") or {})
    taken = sorted(name for name in metadata if name.lower() in ENVELOPE_NAMES)
    if taken:
        raise ClientConfigError(f"the metadata name {taken[0]} is reserved for encryption")
    return metadata


def known(s3: Any, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `parameters` that the operation has."""
    members = s3.meta.service_model.operation_model(operation).input_shape.members
    return {name: value for name, value in parameters.items() if name in members}


def for_instruction_file(s3: Any, operation: str, parameters: Mapping[str, Any], suffix: str) -> dict[str, Any]:
    """The request for the instruction file beside the object that `parameters` name."""
    shared = {name: value for name, value in parameters.items() if name in _SHARED}
    return {**known(s3, operation, shared), "Key": f"{parameters['Key']}{suffix}"}


def for_further_gets(parameters: Mapping[str, Any], first: Mapping[str, Any]) -> dict[str, Any]:
    """Requests for more of the same object: the version and ETag that the first answer had, and no other."""
    further = {name: value for name, value in parameters.items() if name not in _PINNED}
    if first.get("VersionId") and first["VersionId"] != "null":
        further["VersionId"] = first["VersionId"]
    further["IfMatch"] = first["ETag"]
    return further


def of_plaintext(answer: dict[str, Any], envelope: Envelope, ciphertext_bytes: int) -> dict[str, Any]:
    """A HEAD's or GET's answer as it is for the plaintext; without ContentLength if only decrypting would tell it."""
    shown = {name: value for name, value in answer.items() if not name.startswith("Checksum")}
    length = envelope.plaintext_bytes(ciphertext_bytes)
    shown.pop("ContentLength", None)
    if length is not None:
        shown["ContentLength"] = length
    shown["Metadata"] = user_metadata(answer.get("Metadata") or {})
    shown["Encryption"] = details(envelope)
    return shown


def total_bytes(answer: Mapping[str, Any]) -> int:
    """Bytes of the whole object, from the answer to a ranged GET."""
    total = str(answer.get("ContentRange", "")).rpartition("/")[2]
    return int(total) if total.isdecimal() else int(answer["ContentLength"])


def with_transfer_config(config: S3EncryptionClientConfig, transfer: Any) -> S3EncryptionClientConfig:
    """boto3's TransferConfig laid over ours."""
    if transfer is None:
        return config
    floor = 5 * 1024 * 1024
    return replace(
        config,
        multipart_threshold_bytes=max(floor, transfer.multipart_threshold),
        multipart_chunksize_bytes=max(floor, transfer.multipart_chunksize),
        max_concurrency=transfer.max_request_concurrency if transfer.use_threads else 1,
    )

"""A way of encrypting put in place on a bucket, checked there, and its cost measured, by the public APIs.

What lives here: `apply`, `check`, `measure`, over boto3 clients that the caller makes. What does not: which option
(advice), flags and printing (commands.advise).

Laws: applying changes what contradicts the choice and nothing else: statements of other names stay in the bucket's
policy; what is measured is removed again. A policy that denies plain HTTP is not sent over plain HTTP: it would lock
out whoever sends it.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from s3al.advice.documents import Documents, Place, documents_for
from s3al.advice.options import CLIENT_KMS, CLIENT_OWN_KEY, DSSE_KMS, ENVELOPE_MARKS, SSE_C, SSE_KMS, SSE_S3
from s3al.errors import ConfigError

_MODES: Final[Mapping[str, str]] = {SSE_S3: "AES256", SSE_KMS: "aws:kms", DSSE_KMS: "aws:kms:dsse"}
_NEED_KEY: Final = (SSE_KMS, DSSE_KMS, CLIENT_KMS)
_MEASURED_BYTES: Final = 4096
_LOOKED_AT: Final = 1000


@dataclass(frozen=True, slots=True)
class Clients:
    """boto3 clients of one endpoint."""

    s3: Any
    kms: Any

    @property
    def plain_http(self) -> bool:
        return str(self.s3.meta.endpoint_url).startswith("http://")


def apply(clients: Clients, option_id: str, place: Place) -> list[str]:
    """Put default encryption, bucket policy and, where people are named, key policy in place; what was done, in words.

    Raises ConfigError for an option whose KMS key is not named.
    """
    _require_key(option_id, place)
    documents = documents_for(option_id, place)
    done = []
    clients.s3.put_bucket_encryption(
        Bucket=place.bucket, ServerSideEncryptionConfiguration=documents.default_encryption
    )
    done.append(f"default encryption of {place.bucket}: {_algorithm(documents)}")
    wanted = _statements(clients, documents)
    policy = _policy(clients, place.bucket)
    names = {statement["Sid"] for statement in wanted}
    kept = [statement for statement in policy.get("Statement", []) if statement.get("Sid") not in names]
    if wanted:
        policy = {"Version": "2012-10-17", **policy, "Statement": [*kept, *wanted]}
        clients.s3.put_bucket_policy(Bucket=place.bucket, Policy=json.dumps(policy))
        done.append(f"bucket policy of {place.bucket}: " + ", ".join(sorted(names)))
    if clients.plain_http:
        done.append("left out: DenyPlainHttp, which over plain HTTP would lock you out; apply again over TLS")
    if documents.key_policy and (place.administrators or place.users):
        clients.kms.put_key_policy(
            KeyId=place.kms_key, PolicyName="default", Policy=json.dumps(documents.key_policy)
        )
        done.append(f"key policy of {place.kms_key}: administrators and users apart")
    return done


def check(clients: Clients, option_id: str, place: Place) -> list[str]:
    """What keeps the choice from holding on the bucket, in words; empty if it holds. Looks at 1,000 objects at most."""
    _require_key(option_id, place)
    documents = documents_for(option_id, place)
    found = []
    answer = clients.s3.get_bucket_encryption(Bucket=place.bucket)["ServerSideEncryptionConfiguration"]["Rules"][0]
    default = answer.get("ApplyServerSideEncryptionByDefault", {})
    wanted = documents.default_encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]
    if any(default.get(name) != value for name, value in wanted.items()):
        found.append(f"the bucket's default is {default.get('SSEAlgorithm')}, not {_algorithm(documents)} as chosen")
    present = [_substance(statement) for statement in _policy(clients, place.bucket).get("Statement", [])]
    found += [
        f"the bucket's policy lacks {statement['Sid']}"
        for statement in _statements(clients, documents)
        if _substance(statement) not in present
    ]
    return found + list(_other_objects(clients, option_id, place))


def measure(clients: Clients, option_id: str, place: Place, *, rounds: int = 20) -> dict[str, float]:
    """Median milliseconds of a PUT and of a GET of 4 KiB, on this server, from here; what it writes it removes."""
    _require_key(option_id, place)
    put, get = _ways(clients, option_id, place)
    object_key = f".s3al-advise-{os.urandom(8).hex()}"
    body = os.urandom(_MEASURED_BYTES)
    try:
        return {
            "put_ms": median(_ms(lambda: put(object_key, body)) for _ in range(rounds)),
            "get_ms": median(_ms(lambda: get(object_key)) for _ in range(rounds)),
        }
    finally:
        clients.s3.delete_object(Bucket=place.bucket, Key=object_key)


def _require_key(option_id: str, place: Place) -> None:
    if option_id in _NEED_KEY and place.kms_key == Place().kms_key:
        raise ConfigError(f"{option_id} needs a KMS key", advice="name it by its ARN: --kms-key ARN")


def _algorithm(documents: Documents) -> str:
    return str(documents.default_encryption["Rules"][0]["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"])


def _statements(clients: Clients, documents: Documents) -> list[dict[str, Any]]:
    statements: list[dict[str, Any]] = documents.bucket_policy["Statement"]
    return [each for each in statements if not (clients.plain_http and each["Sid"] == "DenyPlainHttp")]


def _policy(clients: Clients, bucket: str) -> dict[str, Any]:
    try:
        policy: dict[str, Any] = json.loads(clients.s3.get_bucket_policy(Bucket=bucket)["Policy"])
    except clients.s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
            raise
        return {}
    return policy


def _substance(statement: Mapping[str, Any]) -> str:
    return json.dumps({name: value for name, value in statement.items() if name != "Sid"}, sort_keys=True)


def _other_objects(clients: Clients, option_id: str, place: Place) -> Iterator[str]:
    """Objects that are encrypted otherwise than chosen."""
    listed = clients.s3.list_objects_v2(Bucket=place.bucket, MaxKeys=_LOOKED_AT)
    for entry in listed.get("Contents", []):
        object_key = entry["Key"]
        try:
            head = clients.s3.head_object(Bucket=place.bucket, Key=object_key)
        except clients.s3.exceptions.ClientError as error:
            # A HEAD of SSE-C without the key is a 400, whose code a HEAD cannot carry.
            if option_id != SSE_C or error.response["ResponseMetadata"]["HTTPStatusCode"] != 400:
                yield f"{object_key!r} cannot be looked at: {error.response['Error']['Code']}"
            continue
        reason = _otherwise(option_id, place, head)
        if reason:
            yield f"{object_key!r} {reason}"
    if listed.get("IsTruncated"):
        yield f"only the first {_LOOKED_AT} objects were looked at"


def _otherwise(option_id: str, place: Place, head: Mapping[str, Any]) -> str | None:
    if option_id in (CLIENT_KMS, CLIENT_OWN_KEY):
        names = {name.lower() for name in head.get("Metadata", {})}
        if names & ENVELOPE_MARKS:
            return None
        return "has no client's envelope on it: `s3al cse scan` tells plaintext from instruction files"
    mode = head.get("ServerSideEncryption")
    if option_id == SSE_C:
        return f"is encrypted by {mode}, not under a key of its sender"
    if mode != _MODES[option_id]:
        return f"is encrypted by {mode}, not {_MODES[option_id]}"
    if option_id in _NEED_KEY and head.get("SSEKMSKeyId") != place.kms_key:
        return f"is under another key: {head.get('SSEKMSKeyId')}"
    return None


def _ways(clients: Clients, option_id: str, place: Place) -> tuple[Callable[[str, bytes], Any], Callable[[str], Any]]:
    """How one puts and gets with this option."""
    extra: dict[str, Any] = {}
    s3 = clients.s3
    if option_id in (CLIENT_KMS, CLIENT_OWN_KEY):
        from s3al.client import AesKeyring, KmsKeyring, S3EncryptionClient, S3EncryptionClientConfig

        own = option_id == CLIENT_OWN_KEY
        keyring = AesKeyring(os.urandom(32)) if own else KmsKeyring(clients.kms, place.kms_key)
        s3 = S3EncryptionClient(clients.s3, S3EncryptionClientConfig(keyring=keyring))
    elif option_id == SSE_C:
        extra = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": os.urandom(32)}
    writing = dict(extra)
    if option_id in _MODES:
        writing["ServerSideEncryption"] = _MODES[option_id]
    if option_id in (SSE_KMS, DSSE_KMS):
        writing["SSEKMSKeyId"] = place.kms_key

    def put(object_key: str, body: bytes) -> Any:
        return s3.put_object(Bucket=place.bucket, Key=object_key, Body=body, **writing)

    def get(object_key: str) -> Any:
        return s3.get_object(Bucket=place.bucket, Key=object_key, **extra)["Body"].read()

    return put, get


def _ms(act: Callable[[], Any]) -> float:
    began = time.perf_counter()
    act()
    return (time.perf_counter() - began) * 1000

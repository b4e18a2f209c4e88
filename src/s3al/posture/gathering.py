"""Asking an S3 and its KMS for everything that the rules judge.

What lives here: `gather`. What does not: objects one by one (objects), keys one by one (kms_keys), rules.

Laws: a bucket that refuses one question is asked the others; a server of s3al is asked for its inventory, and where
that is refused objects are sampled as elsewhere, and the report says so; keys are looked up once each, where their ARN
says that they live.

Source: S3 API Reference (GetBucketEncryption, GetBucketPolicy, GetPublicAccessBlock, GetBucketAcl,
GetBucketOwnershipControls); GetBucketEncryption answers BlockedEncryptionTypes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from s3al.errors import ConfigError, S3alError
from s3al.explain.shown import shown
from s3al.own_api_client import OwnApi
from s3al.posture.asking import Asking
from s3al.posture.facts import BY_HEADER, NONE, UNKNOWN, Bucket, KmsKey, Objects, Posture
from s3al.posture.kms_keys import look_up
from s3al.posture.objects import Sampling, by_heads, by_inventory

_EVERYONE: Final = (
    "http://acs.amazonaws.com/groups/global/AllUsers",
    "http://acs.amazonaws.com/groups/global/AuthenticatedUsers",
)
_NO_DEFAULT: Final = "ServerSideEncryptionConfigurationNotFoundError"
_NOT_BUILT: Final = ("NotImplemented", "MethodNotAllowed", "UnsupportedOperation")

# Told while objects are looked at: the bucket, how many so far, of how many (None: not known).
Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, slots=True)
class Clients:
    """boto3 clients of one endpoint. kms: by region, "" for the client's own. api: s3al's own API, None elsewhere."""

    s3: Any
    sts: Any
    kms: Callable[[str], Any]
    api: OwnApi | None


def gather(clients: Clients, bucket: str | None, sampling: Sampling, progress: Progress, *, at: datetime) -> Posture:
    """bucket: None for all of the caller's. Raises ConfigError if there is no such bucket, or nothing can be listed."""
    began = time.monotonic()
    asking = Asking()
    names = [bucket] if bucket else _all(clients)
    identity = asking.ask("GetCallerIdentity", clients.sts.get_caller_identity, *_NOT_BUILT)
    buckets = tuple(_bucket(clients, name, sampling, progress) for name in names)
    return Posture(
        endpoint=clients.s3.meta.endpoint_url,
        at=at,
        is_s3al=clients.api is not None,
        account_id=identity["Account"] if identity else "",
        buckets=buckets,
        kms_keys=_kms_keys(clients, buckets),
        unread=asking.unread,
        seconds=time.monotonic() - began,
    )


def _all(clients: Clients) -> list[str]:
    from botocore.exceptions import ClientError

    try:
        return [each["Name"] for each in clients.s3.list_buckets()["Buckets"]]
    except ClientError as error:
        code = shown(str(error.response["Error"].get("Code")))
        raise ConfigError(f"buckets cannot be listed: {code}", advice="name one: s3://BUCKET") from error


def _bucket(clients: Clients, name: str, sampling: Sampling, progress: Progress) -> Bucket:
    s3, asking = clients.s3, Asking()
    objects = _objects(clients, name, sampling, progress, asking)
    rule = _rule(asking.ask("GetBucketEncryption", lambda: s3.get_bucket_encryption(Bucket=name), _NO_DEFAULT))
    default = rule.get("ApplyServerSideEncryptionByDefault", {})
    unread_default = "GetBucketEncryption" in asking.unread
    policy = asking.ask("GetBucketPolicy", lambda: s3.get_bucket_policy(Bucket=name), "NoSuchBucketPolicy")
    block = asking.ask(
        "GetPublicAccessBlock",
        lambda: s3.get_public_access_block(Bucket=name),
        "NoSuchPublicAccessBlockConfiguration",
        *_NOT_BUILT,
    )
    acl = asking.ask("GetBucketAcl", lambda: s3.get_bucket_acl(Bucket=name), *_NOT_BUILT)
    owned = asking.ask(
        "GetBucketOwnershipControls",
        lambda: s3.get_bucket_ownership_controls(Bucket=name),
        "OwnershipControlsNotFoundError",
        *_NOT_BUILT,
    )
    return Bucket(
        name,
        objects,
        default_mode=UNKNOWN if unread_default else BY_HEADER.get(default.get("SSEAlgorithm", ""), NONE),
        default_key=default.get("KMSMasterKeyID", ""),
        bucket_key=bool(rule.get("BucketKeyEnabled")),
        blocks_sse_c="SSE-C" in rule.get("BlockedEncryptionTypes", {}).get("EncryptionType", []),
        policy=policy["Policy"] if policy else None,
        public_access_block=block["PublicAccessBlockConfiguration"] if block else None,
        public_grants=_public_grants(acl),
        acls_disabled=_acls_disabled(owned),
        unread=asking.unread,
    )


def _objects(clients: Clients, name: str, sampling: Sampling, progress: Progress, asking: Asking) -> Objects:
    from botocore.exceptions import ClientError

    def seen(looked_at: int, expected: int | None) -> None:
        progress(name, looked_at, expected)

    if clients.api is not None:
        try:
            return by_inventory(clients.api, name, seen)
        except ConfigError:
            raise
        except S3alError as error:
            code = str(error).partition(":")[0]
            if code == "NoSuchBucket":
                raise ConfigError(f"there is no bucket {shown(name)}") from error
            asking.unread["GetInventory"] = shown(code)
    try:
        return by_heads(clients.s3, name, sampling, seen)
    except ClientError as error:
        code = str(error.response["Error"].get("Code"))
        if code == "NoSuchBucket":
            raise ConfigError(f"there is no bucket {shown(name)}") from error
        asking.unread["ListObjectsV2"] = shown(code)
        return Objects("heads")


def _rule(answer: Mapping[str, Any] | None) -> Mapping[str, Any]:
    rules = answer["ServerSideEncryptionConfiguration"]["Rules"] if answer else []
    first: Mapping[str, Any] = rules[0] if rules else {}
    return first


def _public_grants(acl: Mapping[str, Any] | None) -> tuple[str, ...]:
    grants = acl.get("Grants", []) if acl else []
    return tuple(each["Permission"] for each in grants if each.get("Grantee", {}).get("URI") in _EVERYONE)


def _acls_disabled(owned: Mapping[str, Any] | None) -> bool:
    rules = owned["OwnershipControls"]["Rules"] if owned else []
    return any(each.get("ObjectOwnership") == "BucketOwnerEnforced" for each in rules)


def _kms_keys(clients: Clients, buckets: Iterable[Bucket]) -> tuple[KmsKey, ...]:
    """Every key that a default or an object names; names of one key are put together."""
    found: dict[str, KmsKey] = {}
    for bucket in buckets:
        names = [bucket.default_key, *(under.kms_key for under in bucket.objects.counts)]
        for name in dict.fromkeys(filter(None, names)):
            if any(name in key.names for key in found.values()):
                continue
            key = look_up(clients.kms(_region(name)), name)
            before = found.get(key.arn)
            names_of = key.names | (before.names if before else frozenset())
            found[key.arn] = replace(key, names=names_of)
    return tuple(found.values())


def _region(name: str) -> str:
    parts = name.split(":")
    return parts[3] if len(parts) == 6 and parts[0] == "arn" else ""

"""Settings that s3al does not offer: reading one answers what AWS answers where it was never set.

What lives here: one table of reads. What does not: the writes of these settings; no operation is registered
for them, so that they answer NotImplemented.

Law: an answer here is true: the setting is unset, for every bucket and object, always.

Source: S3 API Reference, the Get operations named below.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.s3.access import on_bucket
from s3al.s3.ports import S3
from s3al.s3.registry import OPERATIONS
from s3al.s3.settings import read_bucket
from s3al.service.operation import Call, Handler, Reply


@dataclass(frozen=True, slots=True)
class _Unset:
    """error: the code that says so; "" when AWS answers `output` instead."""

    operation: str
    action: str
    error: str = ""
    message: str | None = None
    output: dict[str, Any] = field(default_factory=dict)


_OF_BUCKETS = (
    _Unset("GetBucketWebsite", "s3:GetBucketWebsite", "NoSuchWebsiteConfiguration"),
    _Unset("GetBucketReplication", "s3:GetReplicationConfiguration", "ReplicationConfigurationNotFoundError"),
    _Unset("GetBucketLogging", "s3:GetBucketLogging"),
    _Unset("GetBucketAccelerateConfiguration", "s3:GetAccelerateConfiguration"),
    _Unset("GetBucketRequestPayment", "s3:GetBucketRequestPayment", output={"Payer": "BucketOwner"}),
    _Unset("GetBucketNotificationConfiguration", "s3:GetBucketNotification"),
)


def _answer(unset: _Unset, bucket: str) -> Reply:
    if unset.error:
        raise RequestError(unset.error, unset.message, BucketName=bucket)
    return Reply(dict(unset.output))


def _of_bucket(unset: _Unset) -> Handler[S3]:
    async def answer(authorized: Authorized, call: Call, s3: S3) -> Reply:
        return _answer(unset, (await read_bucket(call, s3)).row.name)

    return answer


for _row in _OF_BUCKETS:
    OPERATIONS.operation(_row.operation, checks=on_bucket(_row.action))(_of_bucket(_row))

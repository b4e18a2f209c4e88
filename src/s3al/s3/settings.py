"""Reading and changing the settings of one bucket.

What lives here: the two paths that every setting takes. What does not: the meaning of a setting (its own
file), the cache (state).

Laws: a change reads the bucket again inside its transaction, because it may be gone or be another of the same
name. The catalog moves the change counter with every change of a setting, so that no worker decides by the
old one. A setting is stored as JSON, save the policy, which is the text as sent.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.s3.access import bucket_state
from s3al.s3.ports import S3
from s3al.s3.state import BucketState
from s3al.service.operation import Call
from s3al.store import catalog
from s3al.store.catalog import BucketRow
from s3al.store.database import Rows

T = TypeVar("T")


async def read_bucket(call: Call, s3: S3) -> BucketState:
    """The bucket that the call names, with its settings. Raises NoSuchBucket."""
    return await s3.db.read(lambda rows: bucket_state(rows, call.params["Bucket"], s3))


async def read_setting(call: Call, s3: S3, *, setting: str, unset: str) -> Any:
    """The setting's document; the error code `unset` when there is none."""
    state = await read_bucket(call, s3)
    document = state.document(setting)
    if document is None:
        raise RequestError(unset, BucketName=state.row.name)
    return document


async def change_bucket(authorized: Authorized, call: Call, *, s3: S3, change: Callable[[Rows, BucketRow], T]) -> T:
    """Run `change` on the bucket in one durable transaction."""
    return await call.commit(s3.db, authorized, lambda rows: change(rows, bucket_in(rows, call.params["Bucket"])))


async def put_setting(authorized: Authorized, call: Call, *, s3: S3, setting: str, document: Any) -> None:
    """document: bytes are stored as they are, anything else as JSON."""
    stored = document if isinstance(document, bytes) else encode(document)
    await change_bucket(
        authorized,
        call,
        s3=s3,
        change=lambda rows, bucket: catalog.put_setting(rows, bucket.bucket_id, setting, stored),
    )


async def delete_setting(authorized: Authorized, call: Call, *, s3: S3, setting: str) -> None:
    """Deleting what is not set succeeds, as it does on AWS."""
    await change_bucket(
        authorized,
        call,
        s3=s3,
        change=lambda rows, bucket: catalog.delete_setting(rows, bucket.bucket_id, setting),
    )


def bucket_in(rows: Rows, name: str) -> BucketRow:
    """The bucket as this transaction sees it. Raises NoSuchBucket."""
    bucket = catalog.find_bucket(rows, name)
    if bucket is None:
        raise RequestError("NoSuchBucket", BucketName=name)
    return bucket


def setting_in(rows: Rows, bucket: BucketRow, setting: str) -> Any:
    """A setting's document as this transaction sees it; None when unset."""
    stored = catalog.get_setting(rows, bucket.bucket_id, setting)
    return None if stored is None else json.loads(stored)


def encode(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()

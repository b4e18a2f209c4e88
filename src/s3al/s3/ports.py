"""What the S3 operations stand on: rows, bytes and keys, handed in by `app`.

What lives here: the `S3` value that every handler receives, and the two key ports. `BucketKeys` gives the
keys the server owns (SSE-S3, the server's records); `KmsKeys` gives the keys that users own. What does not:
their implementation (kms).

Law: `KmsKeys` acts as the requester, never as the server.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Protocol

from s3al.crypto.stream import DEFAULT_SEGMENT_BYTES
from s3al.s3.records import Records
from s3al.s3.state import BucketStates
from s3al.service.identities import Identities
from s3al.service.operation import Call
from s3al.store.blobs import Blobs
from s3al.store.catalog import BucketRow
from s3al.store.database import Database, Rows


class DataKey(Protocol):
    """A new key from the KMS: its plaintext for this request, its ciphertext to be stored."""

    @property
    def key_arn(self) -> str: ...

    @property
    def plaintext(self) -> bytes: ...

    @property
    def blob(self) -> bytes: ...


class KmsKeys(Protocol):
    """The keys of users, asked as the requester of `call`, in the bucket's region. Errors are S3's."""

    def needs_managed_key(self, rows: Rows, call: Call, *, bucket: BucketRow, kms_key: str | None) -> bool: ...

    def create_managed_key(self, rows: Rows, call: Call, *, bucket: BucketRow) -> None: ...

    def generate(
        self, rows: Rows, call: Call, *, bucket: BucketRow, kms_key: str | None, context: Mapping[str, str]
    ) -> DataKey: ...

    def open(
        self, rows: Rows, call: Call, *, bucket: BucketRow, key_arn: str, blob: bytes, context: Mapping[str, str]
    ) -> bytes: ...

    def bucket_key(
        self, rows: Rows, call: Call, *, bucket: BucketRow, kms_key: str | None, context: Mapping[str, str]
    ) -> DataKey: ...

    def open_bucket_key(
        self, rows: Rows, call: Call, *, bucket: BucketRow, key_arn: str, blob: bytes, context: Mapping[str, str]
    ) -> bytes: ...


@dataclass(frozen=True, slots=True)
class S3:
    """The ports of the S3 service in one worker.

    executor: threads in which hashing, sealing and file work run. now_ms: UTC, never going back. random: n ->
    n random bytes. inline_bytes: sealed bodies up to this size lie in rows. etag_style: "s3al" or "aws" (bare
    32 hex in every mode).
    """

    db: Database
    blobs: Blobs
    store_id: bytes
    records: Records
    kms: KmsKeys
    executor: Executor
    buckets: BucketStates
    now_ms: Callable[[], int]
    region: str = "us-east-1"
    random: Callable[[int], bytes] = field(default=secrets.token_bytes)
    segment_bytes: int = DEFAULT_SEGMENT_BYTES
    inline_bytes: int = 16 * 1024
    etag_style: str = "s3al"
    identities: Identities = field(default_factory=Identities)

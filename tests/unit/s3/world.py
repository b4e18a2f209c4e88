"""A small S3 for tests: a real catalog in a temporary folder, real records and decisions, no HTTP and no blobs.

What lives here: `World`, on which an operation is called as the gateway would call it. What does not: assertions.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from s3al.auth.principal import ANONYMOUS, Principal
from s3al.errors import RequestError
from s3al.s3 import (  # the import registers the operations
    access,
    bucket_policy,
    buckets,
    completion,
    copy,
    cors,
    delete,
    encryption,
    listing,
    multipart,
    objects,
    ownership,
    post,
    public_access,
    put,
    sse,
    tagging,
    unset,
    update_encryption,
    versioning,
)
from s3al.s3.errors import S3_ERRORS
from s3al.s3.lifecycle import operations as lifecycle
from s3al.s3.object_lock import operations as object_lock
from s3al.s3.ports import S3
from s3al.s3.records import PartRecord, PublicRecord, Records, Stream, UploadRecord
from s3al.s3.registry import OPERATIONS
from s3al.s3.state import BucketStates
from s3al.service.operation import Call, Reply
from s3al.store import accounts, catalog, identities
from s3al.store.accounts import AccountRow
from s3al.store.catalog import PartRow, UploadRow, VersionRow
from s3al.store.identities import UserRow
from s3al.store.schema import create_tables
from s3al.store.sqlite import SqliteDatabase, SqliteRows
from s3al.store.sqlite_file import connect

TOPICS = (
    bucket_policy,
    buckets,
    completion,
    copy,
    cors,
    delete,
    encryption,
    lifecycle,
    listing,
    multipart,
    object_lock,
    objects,
    ownership,
    post,
    public_access,
    put,
    tagging,
    unset,
    update_encryption,
    versioning,
)
NOW_MS = 1_700_000_000_123
OWNER, STRANGER = "111122223333", "444455556666"
T = TypeVar("T")


class BytesBody:
    """A payload without framing, signatures or claims."""

    payload_sha256 = None
    trailers: Mapping[str, str] = {}

    def __init__(self, content: bytes) -> None:
        self.content, self.decoded_bytes = content, len(content)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.content


class FixedKeys:
    """Bucket keys of one material, derived by a hash."""

    def current_material(self) -> bytes:
        return b"m" * 32

    def bucket_key(self, bucket_id: bytes, material_id: bytes) -> bytes:
        return hashlib.sha256(bucket_id + material_id).digest()


class Counting:
    """Random bytes that never repeat and are the same in every run."""

    def __init__(self) -> None:
        self.drawn = 0

    def __call__(self, count: int) -> bytes:
        self.drawn += 1
        return hashlib.shake_256(self.drawn.to_bytes(8, "big")).digest(count)


def canonical_id(account_id: str) -> str:
    return hashlib.sha256(account_id.encode()).hexdigest()


def root_of(account_id: str) -> Principal:
    return Principal(
        kind="root",
        account_id=account_id,
        arn=f"arn:aws:iam::{account_id}:root",
        user_id=account_id,
        canonical_id=canonical_id(account_id),
    )


def user_of(account_id: str, name: str = "ann") -> Principal:
    return Principal(
        kind="user", account_id=account_id, arn=f"arn:aws:iam::{account_id}:user/{name}", user_id=f"AIDA{name}"
    )


@dataclass
class World:
    s3: S3
    runner: asyncio.Runner
    now_ms: int = NOW_MS
    objects: dict[str, int] = field(default_factory=dict)

    def call(
        self,
        operation: str,
        /,
        *,
        as_: Principal | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        **params: Any,
    ) -> Reply:
        """One operation, authorized and run as the gateway does it; by the owner's root unless told otherwise."""
        call = Call(
            service="s3",
            operation=operation,
            params=params,
            principal=as_ or root_of(OWNER),
            request_id="request",
            now_ms=self.now_ms,
            region=self.s3.region,
            headers=headers or {},
            secure=True,
            source_ip="192.0.2.1",
            body=None if body is None else BytesBody(body),
            reauthorize=lambda rows: access.authorize(rows, call, self.s3),
        )
        authorized = self.s3.db.read_now(lambda rows: access.authorize(rows, call, self.s3))
        return self.runner.run(self._handle(operation, authorized, call))

    async def _handle(self, operation: str, authorized: Any, call: Call) -> Reply:
        return await OPERATIONS[operation].handle(authorized, call, self.s3)

    def output(self, operation: str, /, **params: Any) -> dict[str, Any]:
        return self.call(operation, **params).output

    def bucket(self, name: str = "bucket", **params: Any) -> str:
        self.call("CreateBucket", Bucket=name, **params)
        return name

    def know(self, user: Principal) -> Principal:
        """The user, with a row: a bucket policy names nobody who is not there."""
        name = user.arn.rpartition("/")[2]
        row = UserRow(user.arn, user.user_id, user.account_id or "", name, "/", NOW_MS)
        self.change(lambda rows: identities.find_user_by_arn(rows, user.arn) or identities.put_identity(rows, row))
        return user

    def rows(self, fn: Any) -> Any:
        return self.s3.db.read_now(fn)

    def change(self, fn: Any) -> Any:
        return self.s3.db.write_now(fn)

    def stamp(self) -> int:
        return self.rows(catalog.change_counter)

    def bucket_id(self, name: str) -> bytes:
        return self.rows(lambda rows: catalog.find_bucket(rows, name)).bucket_id

    def put(
        self, bucket: str, *object_keys: str, version_id: str = "null", marker: bool = False, **record: Any
    ) -> None:
        """Rows of objects, without bytes."""
        bucket_id = self.bucket_id(bucket)

        def write(rows: Any) -> None:
            for object_key in object_keys:
                self._put_row(rows, bucket_id, object_key, version_id, marker, record)

        self.change(write)

    def _put_row(
        self, rows: Any, bucket_id: bytes, object_key: str, version_id: str, marker: bool, fields: dict[str, Any]
    ) -> None:
        key, object_id = object_key.encode(), self.s3.random(16)
        known = {
            "size_bytes": len(key),
            "etag": hashlib.md5(key).hexdigest(),
            "envelope": sse.Envelope("AES256", b"w", b"c"),
        }
        if marker:
            sealed = self.s3.records.seal_marker(bucket_id, key, version_id, object_id)
        else:
            sealed = self.s3.records.seal_public(
                bucket_id, key, version_id, object_id, PublicRecord(**(known | fields))
            )
        self.now_ms += 1000
        row = VersionRow(bucket_id, key, version_id, self.now_ms, object_id, sealed, is_delete_marker=marker)
        catalog.put_version(rows, row)

    def upload(self, bucket: str, object_key: str, **record: Any) -> str:
        """The row of an upload that any key of the bucket's default encryption opens."""
        bucket_id, object_id, upload_id = self.bucket_id(bucket), self.s3.random(16), self.s3.random(8).hex()
        place = sse.Place(self.rows(lambda rows: catalog.find_bucket(rows, bucket)), object_key, object_id)
        wish = record.pop("wish", sse.Wish())
        self.now_ms += 1000

        def write(rows: Any) -> None:
            envelope, _ = sse.begin(rows, self.s3, None, place, wish)  # type: ignore[arg-type]
            upload_record = UploadRecord(envelope, **record)
            sealed = self.s3.records.seal_upload(bucket_id, object_key.encode(), upload_id, object_id, upload_record)
            row = UploadRow(upload_id, bucket_id, object_key.encode(), object_id, self.now_ms, OWNER, sealed)
            catalog.insert_upload(rows, row)

        self.change(write)
        return upload_id

    def part(self, upload_id: str, number: int, *, size: int = 5, private: bytes = b"") -> None:
        def write(rows: Any) -> None:
            upload = catalog.find_upload(rows, upload_id)
            stream = Stream(self.s3.random(16), size, 4096, number)
            record = self.s3.records.seal_part(upload, number, PartRecord(size, f"etag-{number}", stream))
            catalog.put_part(rows, PartRow(upload_id, number, stream.stream_id, self.now_ms, record, private))

        self.change(write)


@contextmanager
def refused(code: str, message: str | None = None) -> Iterator[list[RequestError]]:
    """The call within must be refused with this code; the message is compared if given."""
    caught: list[RequestError] = []
    with pytest.raises(RequestError) as info:
        yield caught
    caught.append(info.value)
    assert info.value.code == code
    assert code in S3_ERRORS
    if message is not None:
        assert info.value.message == message


@contextmanager
def open_world(folder: Path, *, region: str = "us-east-1") -> Iterator[World]:
    key, path, locks = b"k" * 32, folder / "catalog.db", folder / "locks"
    locks.mkdir()
    connection = connect(path, key, create=True)
    connection.execute("BEGIN IMMEDIATE")
    create_tables(SqliteRows(connection))
    connection.execute("COMMIT")
    connection.close(True)
    database, random = SqliteDatabase(path, key, locks), Counting()
    with ThreadPoolExecutor(1) as executor, asyncio.Runner() as runner:
        s3 = S3(
            db=database,
            blobs=None,  # type: ignore[arg-type]  no test here touches bytes
            store_id=b"s" * 16,
            records=Records(b"s" * 16, FixedKeys(), random),
            kms=None,  # type: ignore[arg-type]
            executor=executor,
            buckets=BucketStates(),
            now_ms=lambda: NOW_MS,
            region=region,
            random=random,
        )
        for number, account_id in enumerate((OWNER, STRANGER)):
            row = AccountRow(account_id, canonical_id(account_id), f"account-{number}", NOW_MS)
            database.write_now(lambda rows, row=row: accounts.create_account(rows, row))
        try:
            yield World(s3, runner)
        finally:
            database.close()


__all__ = [
    "ANONYMOUS",
    "NOW_MS",
    "OWNER",
    "STRANGER",
    "World",
    "canonical_id",
    "open_world",
    "refused",
    "root_of",
    "user_of",
]

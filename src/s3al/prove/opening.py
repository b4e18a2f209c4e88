"""A store with its keys, opened beside whatever else runs on it: for a proof, which asks for bytes and not as whom.

What lives here: `opened_store`, and the KMS as whoever holds the root sees it. What does not: what is read.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from s3al.app import open_database, open_keys
from s3al.config import ServeConfig
from s3al.crypto.keys import parse_kms_blob
from s3al.errors import IntegrityError, RequestError
from s3al.kms.envelope import open_sealed
from s3al.kms.materials import Materials
from s3al.kms.ports import Kms
from s3al.kms.root import StoreKeys
from s3al.kms.service_key import ServiceKeys
from s3al.s3.ports import S3, KmsKeys
from s3al.s3.records import Records
from s3al.s3.state import BucketStates
from s3al.service.clock import wall_ms
from s3al.service.operation import Call
from s3al.store import keystore
from s3al.store.database import Rows
from s3al.store.files import FileBlobs
from s3al.store.layout import StoreFolder, open_folder
from s3al.store.sqlite import SqliteDatabase


class KeyGoneError(Exception):
    """The KMS key of an object is destroyed: nobody opens it, and that is as it should be."""


class _OwnerKeys:
    """What a proof asks of the KMS, for whoever holds the root: state and permission do not matter, only what opens."""

    def __init__(self, kms: Kms) -> None:
        self._kms = kms

    def open_wrapped(
        self, rows: Rows, _call: Call, *, key_arn: str, blob: bytes, context: Mapping[str, str], **_: Any
    ) -> bytes:
        kms_key = keystore.find_key(rows, key_arn.rpartition("/")[2], key_arn.split(":")[3])
        parsed = parse_kms_blob(blob)
        if kms_key is None or not self._kms.materials.has(rows, kms_key.key_id, parsed.material_id):
            raise KeyGoneError
        try:
            return open_sealed(rows, self._kms, kms_key, parsed, context)
        except RequestError as error:
            raise IntegrityError("a stored KMS ciphertext does not open") from error

    open_bucket_key = open_wrapped
    open = open_wrapped


@dataclass(frozen=True, slots=True)
class OpenedStore:
    folder: StoreFolder
    keys: StoreKeys
    database: SqliteDatabase
    blobs: FileBlobs
    service_key: ServiceKeys
    s3: S3


@contextmanager
def opened_store(folder: StoreFolder, keys: StoreKeys) -> Iterator[OpenedStore]:
    database = open_database(folder, keys.catalog_key)
    blobs = FileBlobs(folder.blobs)
    try:
        service_key = ServiceKeys(database, keys.root, store_id=keys.store_id, random=secrets.token_bytes)
        service_key.current_material()
        kms = Kms(database, Materials(keys.root, random=secrets.token_bytes), secrets.token_bytes)
        s3 = S3(
            db=database,
            blobs=blobs,
            store_id=keys.store_id,
            records=Records(keys.store_id, service_key, secrets.token_bytes),
            kms=cast("KmsKeys", _OwnerKeys(kms)),
            executor=ThreadPoolExecutor(1),
            buckets=BucketStates(),
            now_ms=wall_ms,
        )
        yield OpenedStore(folder, keys, database, blobs, service_key, s3)
    finally:
        blobs.close()
        database.close()


@contextmanager
def opened_by(config: ServeConfig) -> Iterator[OpenedStore]:
    """As `opened_store`, with the root key found as `serve` finds it. Raises ConfigError."""
    folder = open_folder(config.data)
    with opened_store(folder, open_keys(folder, config)) as store:
        yield store

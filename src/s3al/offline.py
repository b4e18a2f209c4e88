"""What is done to a store's folder: `s3al check`, `s3al trail verify --data`, and `s3al account reset-root --data`.

What lives here: opening every record of a store and comparing it with what lies on the disk; replacing a root
access key. What does not: single findings about rows and blobs (store.inspection), opening the store (app).

Laws: nothing is changed but garbage, which is removed only when it is asked for and nothing is damaged;
findings name ids and blobs, never object keys. Every record is authenticated, and every blob's length
compared with what its record implies; bytes of blobs are authenticated when they are read by a GET, not here. The audit
trail is verified as a whole; it may be so beside a running server too.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from s3al.app import open_database, open_keys
from s3al.config import ServeConfig
from s3al.errors import ConfigError, IntegrityError
from s3al.iam.accounts import AccessKey, new_access_key, replace_root_key
from s3al.kms.service_key import ServiceKeys
from s3al.s3 import sse
from s3al.s3.records import PublicRecord, Records, Stream
from s3al.s3.streams import stored_bytes
from s3al.service.clock import wall_ms
from s3al.store import accounts, catalog
from s3al.store.accounts import AccountRow
from s3al.store.catalog import UploadRow, VersionRow
from s3al.store.database import Rows
from s3al.store.files import FileBlobs
from s3al.store.inspection import MEANINGS, Finding, inspect_blobs, inspect_rows
from s3al.store.layout import lock_store, open_folder
from s3al.store.sqlite import SqliteDatabase
from s3al.trail.checkpoints import Checkpoint
from s3al.trail.reading import Record, TrailFolder
from s3al.trail.verification import Verified, verify_store

_PAGE = 1000
_UNREADABLE = "record-altered"
_PAGES = "catalog-page"
_TRAIL = "trail"


@dataclass
class Report:
    """What was looked at, and what is wrong."""

    versions: int = 0
    uploads: int = 0
    blobs: int = 0
    blob_bytes: int = 0
    trail_records: int = 0
    removed_blobs: int = 0
    removed_bytes: int = 0
    damage: list[Finding] = field(default_factory=list)

    def lines(self) -> list[str]:
        counted = f"{self.versions} versions, {self.uploads} uploads, {self.blobs} blobs of {self.blob_bytes} bytes"
        trail = f"{self.trail_records} records of the audit trail"
        removed = f"removed {self.removed_blobs} blobs of {self.removed_bytes} bytes that nothing named"
        meanings = MEANINGS | {
            _UNREADABLE: "a record does not open in its place",
            _PAGES: "the catalog is inconsistent",
            _TRAIL: "the audit trail is not as it was written",
        }
        return [counted, trail, removed, *(f"{one.what} {one.where}: {meanings[one.what]}" for one in self.damage)]


def check(config: ServeConfig) -> Report:
    """Raises ConfigError if the store is in use or its seal is missing, IntegrityError if the catalog cannot
    be read at all."""
    folder = open_folder(config.data)
    lock = lock_store(folder)
    try:
        keys = open_keys(folder, config)
        database = open_database(folder, keys.catalog_key)
        blobs = FileBlobs(folder.blobs)
        try:
            server_key = ServiceKeys(database, keys.root, store_id=keys.store_id, random=secrets.token_bytes)
            server_key.current_material()
            records = Records(keys.store_id, server_key, secrets.token_bytes)
            report = _check(database, blobs, records)
            verified, _ = verify_store(database, TrailFolder(folder.trail, server_key, keys.store_id))
            report.trail_records = verified.records
            report.damage += [Finding(_TRAIL, str(one)) for one in verified.findings]
            return report
        finally:
            blobs.close()
            database.close()
    finally:
        lock.release()


def _check(database: SqliteDatabase, blobs: FileBlobs, records: Records) -> Report:
    report = Report()
    report.damage += [Finding(_PAGES, text[:80]) for text in database.verify()]
    expected: dict[tuple[bytes, bytes], int] = {}

    def read(rows: Rows) -> list[Finding]:
        for row in _versions(rows):
            report.versions += 1
            _check_version(rows, records, row, expected, report)
        for upload in _uploads(rows):
            report.uploads += 1
            _check_upload(rows, records, upload, expected, report)
        report.damage += inspect_rows(rows)
        return list(inspect_blobs(rows, blobs, lambda object_id, stream_id: expected.get((object_id, stream_id))))

    found = database.read_now(read)
    report.damage += [finding for finding in found if not finding.is_garbage]
    for _, size in blobs.names():
        report.blobs += 1
        report.blob_bytes += size
    if not report.damage:
        swept = blobs.sweep(lambda names: database.write_now(lambda rows: catalog.blob_names_named(rows, names)))
        report.removed_blobs, report.removed_bytes = swept.removed_blobs, swept.removed_bytes
    return report


def _check_version(
    rows: Rows, records: Records, row: VersionRow, expected: dict[tuple[bytes, bytes], int], report: Report
) -> None:
    try:
        if row.is_delete_marker:
            records.open_marker(row)
            return
        record = records.open_public(row.bucket_id, row.object_key, row)
        records.open_tags(row)
        for stream in _streams(rows, records, row, record):
            expected[row.object_id, stream.stream_id] = stored_bytes(stream, sse.layers_of(record.envelope.mode))
    except IntegrityError:
        report.damage.append(Finding(_UNREADABLE, row.object_id.hex()))


def _streams(rows: Rows, records: Records, row: VersionRow, record: PublicRecord) -> list[Stream]:
    if record.stream:
        return [record.stream]
    manifest = catalog.get_manifest(rows, row.object_id)
    if manifest is None:
        raise IntegrityError("a manifest is missing")
    return records.open_manifest(row.bucket_id, row.object_id, manifest[0], record.manifest_digest)


def _check_upload(
    rows: Rows, records: Records, upload: UploadRow, expected: dict[tuple[bytes, bytes], int], report: Report
) -> None:
    try:
        mode = records.open_upload(upload).envelope.mode
        for part in catalog.list_parts(rows, upload.upload_id):
            stream = records.open_part(upload, part).stream
            expected[upload.object_id, stream.stream_id] = stored_bytes(stream, sse.layers_of(mode))
    except IntegrityError:
        report.damage.append(Finding(_UNREADABLE, upload.object_id.hex()))


def _versions(rows: Rows) -> Iterator[VersionRow]:
    for (bucket_id,) in rows.all("SELECT bucket_id FROM buckets ORDER BY bucket_id"):
        marker: tuple[bytes, str | None] | None = (b"", None)
        while marker is not None:
            page = catalog.list_versions_page(rows, bucket_id, prefix=b"", delimiter=b"", marker=marker, max_keys=_PAGE)
            for listed in page.rows:
                row = catalog.find_version(rows, bucket_id, listed.object_key, listed.version_id)
                if row:
                    yield row
            marker = page.next


def _uploads(rows: Rows) -> Iterator[UploadRow]:
    for (upload_id,) in rows.all("SELECT upload_id FROM uploads ORDER BY upload_id"):
        upload = catalog.find_upload(rows, upload_id)
        if upload:
            yield upload


def verify_trail(config: ServeConfig, against: Sequence[Checkpoint]) -> Verified:
    """Also beside a running server. against: checkpoints that were kept elsewhere."""
    with _opened_trail(config) as (database, folder):
        return verify_store(database, folder, against=against)[0]


def read_trail(config: ServeConfig) -> Iterator[Record]:
    """Every record that opens, oldest first; also beside a running server."""
    with _opened_trail(config) as (_, folder):
        yield from folder.oldest_first()


@contextmanager
def _opened_trail(config: ServeConfig) -> Iterator[tuple[SqliteDatabase, TrailFolder]]:
    folder = open_folder(config.data)
    keys = open_keys(folder, config)
    database = open_database(folder, keys.catalog_key)
    try:
        server_key = ServiceKeys(database, keys.root, store_id=keys.store_id, random=secrets.token_bytes)
        yield database, TrailFolder(folder.trail, server_key, keys.store_id)
    finally:
        database.close()


def reset_root_key(config: ServeConfig, name: str) -> tuple[AccountRow, AccessKey]:
    """Replace the root access key of an account in a stopped store. Raises ConfigError if there is no such
    account."""
    folder = open_folder(config.data)
    lock = lock_store(folder)
    try:
        keys = open_keys(folder, config)
        database = open_database(folder, keys.catalog_key)
        try:
            server_key = ServiceKeys(database, keys.root, store_id=keys.store_id, random=secrets.token_bytes)
            server_key.current_material()
            access_key = new_access_key(secrets.token_bytes)

            def write(rows: Rows) -> AccountRow:
                account = accounts.find_account(rows, name) or accounts.find_account_by_name(rows, name)
                if account is None:
                    raise ConfigError(f"there is no account {name}", advice="its id or its name is needed")
                replace_root_key(rows, server_key, account, access_key, now_ms=wall_ms())
                return account

            return database.write_now(write), access_key
        finally:
            database.close()
    finally:
        lock.release()

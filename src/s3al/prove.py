"""`s3al prove`: what lies in a data folder, byte by byte, and whether it is what it should be.

What lives here: reading a store, stopped or beside a running server, authenticating everything that its keys open, and
naming by path whatever is damaged or unexplained. What does not: repairing (offline.check removes garbage), printing
(commands.prove).

Laws: nothing is changed but locks and what SQLite does to its log when it opens and closes; findings name paths and
ids, never object keys; no plaintext is kept longer than its segment's check. What only a customer's key opens, or a KMS
key that is destroyed, is counted apart: its lengths and its look are checked, and nothing is claimed of its bytes.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from s3al.app import open_database, open_keys
from s3al.auth.principal import ANONYMOUS
from s3al.config import ServeConfig
from s3al.crypto.keys import parse_kms_blob
from s3al.crypto.randomness import looks_random
from s3al.errors import ConfigError, IntegrityError, RequestError, StoreError
from s3al.kms.envelope import open_sealed
from s3al.kms.materials import Materials
from s3al.kms.ports import Kms
from s3al.kms.root import StoreKeys
from s3al.kms.service_key import ServiceKeys
from s3al.s3 import sse
from s3al.s3.objects import located
from s3al.s3.ports import S3, KmsKeys
from s3al.s3.records import Envelope, Records
from s3al.s3.state import BucketState, BucketStates
from s3al.s3.streams import ObjectReader, StreamAt, spans_for, stored_bytes
from s3al.service.clock import wall_ms
from s3al.service.operation import Call
from s3al.store import catalog, keystore
from s3al.store.catalog import BucketRow, UploadRow, VersionRow
from s3al.store.database import Rows
from s3al.store.files import FileBlobs
from s3al.store.inspection import MEANINGS, inspect_blobs, inspect_rows
from s3al.store.layout import StoreFolder, lock_store, open_folder
from s3al.store.sqlite import SqliteDatabase

_PAGE: Final = 1000
_SAMPLE_BYTES: Final = 1 << 20
_THREADS: Final = 4

SEEN: Final[Mapping[str, str]] = {
    **MEANINGS,
    "catalog-page": "the catalog is inconsistent",
    "record-altered": "a record, a wrapped key or a stream does not open in its place",
    "not-ciphertext": "its bytes are too uneven to be ciphertext",
    "unexplained": "a file that belongs to no store",
}


class KeyGoneError(Exception):
    """The KMS key of an object is destroyed: nobody opens it, and that is as it should be."""


@dataclass(frozen=True, slots=True)
class Seen:
    """what: a word of SEEN. where: a path in the folder, or an object's id in hex."""

    what: str
    where: str


@dataclass
class Proof:
    """What was looked at. authenticated_bytes: ciphertext whose every segment opened. closed_bytes: that no key of this
    store opens. opened: whether the root key was there."""

    store_id: str = ""
    opened: bool = False
    beside_a_server: bool = False
    versions: int = 0
    uploads: int = 0
    files: int = 0
    file_bytes: int = 0
    authenticated_bytes: int = 0
    closed_bytes: int = 0
    seconds: float = 0
    findings: list[Seen] = field(default_factory=list)


Progress = Callable[[Proof], None]


def prove(config: ServeConfig, *, progress: Progress = lambda _: None) -> Proof:
    """With the root key if the seal is found, else by structure and look alone. Raises ConfigError if no store lies
    there, IntegrityError if its catalog cannot be read at all."""
    folder = open_folder(config.data)
    proof = Proof(store_id=str(folder.read_document().get("store_id", "")))
    began = time.monotonic()
    try:
        lock = lock_store(folder)
    except ConfigError:
        lock, proof.beside_a_server = None, True
    try:
        try:
            keys = open_keys(folder, config)
        except ConfigError:
            keys = None
        explained = _prove_opened(folder, keys, proof, progress) if keys else None
        _prove_files(folder, explained, proof, progress)
    finally:
        if lock:
            lock.release()
    proof.seconds = time.monotonic() - began
    return proof


# --- with the root key


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
class _Target:
    """An object version or an upload, with where its streams lie."""

    place: sse.Place
    envelope: Envelope
    streams: tuple[StreamAt, ...]


def _prove_opened(folder: StoreFolder, keys: StoreKeys, proof: Proof, progress: Progress) -> set[str]:
    """Returns the names of all blobs that are explained."""
    proof.opened = True
    database = open_database(folder, keys.catalog_key)
    blobs = FileBlobs(folder.blobs)
    try:
        proof.findings += [Seen("catalog-page", text[:80]) for text in database.verify()]
        s3 = _ports(database, blobs, keys)
        with ThreadPoolExecutor(_THREADS) as threads:
            for page in _pages(database, s3, proof):
                for findings, opened, closed in threads.map(lambda target: _prove_target(database, s3, target), page):
                    proof.findings += findings
                    proof.authenticated_bytes += opened
                    proof.closed_bytes += closed
                progress(proof)
        return _prove_rows(database, blobs, proof)
    finally:
        blobs.close()
        database.close()


def _ports(database: SqliteDatabase, blobs: FileBlobs, keys: StoreKeys) -> S3:
    service_key = ServiceKeys(database, keys.root, store_id=keys.store_id, random=secrets.token_bytes)
    service_key.current_material()
    kms = Kms(database, Materials(keys.root, random=secrets.token_bytes), secrets.token_bytes)
    return S3(
        db=database,
        blobs=blobs,
        store_id=keys.store_id,
        records=Records(keys.store_id, service_key, secrets.token_bytes),
        kms=cast("KmsKeys", _OwnerKeys(kms)),
        executor=ThreadPoolExecutor(1),
        buckets=BucketStates(),
        now_ms=wall_ms,
    )


def _pages(database: SqliteDatabase, s3: S3, proof: Proof) -> Iterator[list[_Target]]:
    """Everything that has streams, a page at a time, each of one snapshot, so that a server beside is not held up."""
    for (bucket_id,) in database.read_now(lambda rows: rows.all("SELECT bucket_id FROM buckets ORDER BY bucket_id")):
        marker: tuple[bytes, str | None] | None = (b"", None)
        while marker is not None:
            at = marker

            def read(rows: Rows) -> tuple[list[_Target], tuple[bytes, str | None] | None]:
                return _version_page(rows, s3, bucket_id, at, proof)  # noqa: B023  called at once

            page, marker = database.read_now(read)
            yield page
    yield database.read_now(lambda rows: list(_upload_targets(rows, s3, proof)))


def _version_page(
    rows: Rows, s3: S3, bucket_id: bytes, marker: tuple[bytes, str | None], proof: Proof
) -> tuple[list[_Target], tuple[bytes, str | None] | None]:
    bucket = catalog.find_bucket_by_id(rows, bucket_id)
    if bucket is None:
        return [], None
    page = catalog.list_versions_page(rows, bucket_id, prefix=b"", delimiter=b"", marker=marker, max_keys=_PAGE)
    found = []
    for listed in page.rows:
        row = catalog.find_version(rows, bucket_id, listed.object_key, listed.version_id)
        if row is None:
            continue
        proof.versions += 1
        try:
            target = _version_target(rows, s3, bucket, row)
        except IntegrityError:
            proof.findings.append(Seen("record-altered", row.object_id.hex()))
        else:
            found += [target] if target else []
    return found, page.next


def _version_target(rows: Rows, s3: S3, bucket: BucketRow, row: VersionRow) -> _Target | None:
    if row.is_delete_marker:
        s3.records.open_marker(row)
        return None
    s3.records.open_tags(row)
    found = located(rows, s3, BucketState(bucket, {}), row, with_streams=True)
    place = sse.Place(bucket, row.object_key.decode("utf-8", "surrogateescape"), row.object_id)
    return _Target(place, found.record.envelope, tuple(found.streams))


def _upload_targets(rows: Rows, s3: S3, proof: Proof) -> Iterator[_Target]:
    for (upload_id,) in rows.all("SELECT upload_id FROM uploads ORDER BY upload_id"):
        upload = catalog.find_upload(rows, upload_id)
        bucket = catalog.find_bucket_by_id(rows, upload.bucket_id) if upload else None
        if upload is None or bucket is None:
            continue
        proof.uploads += 1
        try:
            yield _upload_target(rows, s3, bucket, upload)
        except IntegrityError:
            proof.findings.append(Seen("record-altered", upload.object_id.hex()))


def _upload_target(rows: Rows, s3: S3, bucket: BucketRow, upload: UploadRow) -> _Target:
    stored = {stream.stream_id: stream for stream in catalog.streams_of(rows, upload.object_id)}
    streams = []
    for part in catalog.list_parts(rows, upload.upload_id):
        stream = s3.records.open_part(upload, part).stream
        where = stored.get(stream.stream_id)
        if where is None:
            raise IntegrityError("a part is named by a record but stored nowhere")
        streams.append(StreamAt(stream, where.blob_name, where.sealed_body))
    place = sse.Place(bucket, upload.object_key.decode("utf-8", "surrogateescape"), upload.object_id)
    return _Target(place, s3.records.open_upload(upload).envelope, tuple(streams))


def _prove_target(database: SqliteDatabase, s3: S3, target: _Target) -> tuple[list[Seen], int, int]:
    """Findings, bytes authenticated, and bytes that no key of this store opens."""
    layers = sse.layers_of(target.envelope.mode)
    size = sum(stored_bytes(at.stream, layers) for at in target.streams)
    if target.envelope.mode == sse.SSE_C:
        return _prove_lengths(s3, target), 0, size
    call = Call("s3", "Prove", {}, ANONYMOUS, "", wall_ms(), s3.region)
    try:
        keys = database.read_now(
            lambda rows: sse.open_keys(rows, s3, call, target.place, target.envelope, customer=None)
        )
        reader = ObjectReader(s3, keys, target.place.bucket_id, target.place.object_id)
        for at in target.streams:
            for _ in reader.groups(spans_for([at], 0, at.stream.size_bytes)):
                pass
    except KeyGoneError:
        return _prove_lengths(s3, target), 0, size
    except (IntegrityError, StoreError):
        if _is_gone(database, target):
            return [], 0, 0
        return [Seen("record-altered", _where(target))], 0, 0
    return [], size, 0


def _prove_lengths(s3: S3, target: _Target) -> list[Seen]:
    """All that can be said of what no key here opens."""
    layers = sse.layers_of(target.envelope.mode)
    found = []
    for at in target.streams:
        if at.blob_name is None:
            size = len(at.sealed_body or b"")
        else:
            try:
                with s3.blobs.open(at.blob_name) as blob:
                    size = blob.size_bytes
            except IntegrityError:
                continue  # it is missing, and the rows will say so
        if size != stored_bytes(at.stream, layers):
            found.append(Seen("blob-size", _path_of(at.blob_name) if at.blob_name else target.place.object_id.hex()))
    return found


def _where(target: _Target) -> str:
    names = [at.blob_name for at in target.streams if at.blob_name]
    return _path_of(names[0]) if names else target.place.object_id.hex()


def _path_of(blob_name: str) -> str:
    return f"blobs/{blob_name[:16]}/{blob_name[17:19]}/{blob_name[17:]}"


def _is_gone(database: SqliteDatabase, target: _Target) -> bool:
    """Whether a server beside us has deleted or replaced it since the page was read."""
    stored = database.read_now(lambda rows: catalog.streams_of(rows, target.place.object_id))
    return {at.stream.stream_id for at in target.streams} - {stream.stream_id for stream in stored} != set()


def _prove_rows(database: SqliteDatabase, blobs: FileBlobs, proof: Proof) -> set[str]:
    def read(rows: Rows) -> set[str]:
        proof.findings.extend(Seen(found.what, found.where) for found in inspect_rows(rows))
        explained = {name for name, _ in blobs.names()}
        live = blobs.live_incarnations() if proof.beside_a_server else set()
        for found in inspect_blobs(rows, blobs):
            if found.is_garbage:
                # Of a process that lives it may be an upload that is under way.
                if found.where.partition("/")[0] not in live:
                    explained.discard(found.where)
            else:
                proof.findings.append(Seen(found.what, found.where))
        return explained

    return database.read_now(read)


# --- every file, by its look


def _prove_files(folder: StoreFolder, explained: set[str] | None, proof: Proof, progress: Progress) -> None:
    """explained: names of blobs that rows name; None: not known without the root key."""
    for path in sorted(path for path in folder.path.rglob("*") if path.is_file() or path.is_symlink()):
        where = path.relative_to(folder.path)
        try:
            size = path.lstat().st_size
        except FileNotFoundError:
            continue  # unlinked by a server beside us
        proof.files += 1
        proof.file_bytes += size
        if not _is_of_a_store(where, explained):
            proof.findings.append(Seen("unexplained", str(where)))
        elif _holds_ciphertext(where) and not path.is_symlink() and not _looks_sealed(path, size):
            proof.findings.append(Seen("not-ciphertext", str(where)))
        if proof.files % _PAGE == 0:
            progress(proof)


_CATALOG = {"catalog.db", "catalog.db-wal"}


def _is_of_a_store(where: Path, explained: set[str] | None) -> bool:
    parts = where.parts
    if len(parts) == 1:
        return where.name in _CATALOG | {"catalog.db-shm", "store.json"}
    if parts[0] == "trail":
        return len(parts) == 2
    if parts[:2] == ("blobs", ".locks"):
        return len(parts) == 3
    if parts[0] != "blobs" or len(parts) != 4 or not parts[3].startswith(parts[2]):
        return False
    return explained is None or f"{parts[1]}/{parts[3]}" in explained


def _holds_ciphertext(where: Path) -> bool:
    return where.name in _CATALOG or (where.parts[0] == "blobs" and where.parts[1] != ".locks")


def _looks_sealed(path: Path, size: int) -> bool:
    """By its first, middle and last megabyte. A log of the catalog has unencrypted frame heads and room that was never
    written, so it is asked for by its pages."""
    try:
        with path.open("rb") as file:
            if path.name.endswith("-wal"):
                return looks_random(_wal_pages(file.read(_SAMPLE_BYTES)))
            for offset in {0, max(0, (size - _SAMPLE_BYTES) // 2), max(0, size - _SAMPLE_BYTES)}:
                file.seek(offset)
                if not looks_random(file.read(_SAMPLE_BYTES)):
                    return False
    except FileNotFoundError:
        return True
    return True


def _wal_pages(data: bytes) -> bytes:
    """Source: sqlite.org/fileformat2, The WAL file format: a head of 32 bytes, frames of 24 bytes and a page."""
    page_bytes = int.from_bytes(data[8:12], "big")
    if not 512 <= page_bytes <= 65536:
        return data
    frame = 24 + page_bytes
    return b"".join(data[at + 24 : at + frame] for at in range(32, len(data) - frame + 1, frame))


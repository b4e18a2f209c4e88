"""Copying a store's catalog and blobs to another folder, as of one moment, while it is written to.

What lives here: the snapshot, what keeps blobs from being removed meanwhile, durable copies. What does not: keys, and
what a backup is (kms.backups).

Laws: the catalog is copied by SQLite's backup into a file under the same key, so nothing is ever in the clear; blobs do
not change once they are named, and while they are copied the copier counts as a reader that began before the snapshot,
so that none of those that it names is unlinked.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from s3al.errors import ConfigError, IntegrityError, StoreError
from s3al.store import catalog
from s3al.store.files import FileBlobs
from s3al.store.layout import StoreFolder, sync_folder
from s3al.store.sqlite import SqliteDatabase, SqliteRows
from s3al.store.sqlite_file import connect
from s3al.store.trail_chains import list_chains

_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Copied:
    blobs: int = 0
    blob_bytes: int = 0


def new_folder(path: Path, *, outside: Path) -> Path:
    """An empty folder that only we can read. Raises ConfigError if something is in it, or if it lies in `outside`."""
    if path.resolve().is_relative_to(outside.resolve()):
        raise ConfigError(f"{path} lies inside the data folder", advice="choose a place on another disk")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise ConfigError(f"{path} is not empty", advice="name a new folder")
        path.chmod(0o700)
    except OSError as error:
        raise ConfigError(f"{path} cannot be made: {error.strerror}") from error
    return path


def copy_catalog(folder: StoreFolder, catalog_key: bytes, target: Path) -> None:
    """As of one moment; writers go on."""
    database = SqliteDatabase(folder.catalog, catalog_key, folder.locks)
    try:
        database.backup(target, catalog_key)
    finally:
        database.close()
    sync_file(target)


def copy_with_blobs(folder: StoreFolder, catalog_key: bytes, target: StoreFolder, *, now_ms: int) -> Copied:
    """The catalog, and every blob that it names. now_ms: taken before the call."""
    database = SqliteDatabase(folder.catalog, catalog_key, folder.locks)
    blobs = FileBlobs(folder.blobs)
    try:
        database.write_now(lambda rows: catalog.begin_incarnation(rows, blobs.incarnation, now_ms))
        database.backup(target.catalog, catalog_key)
        sync_file(target.catalog)
        copied = copy_blobs(folder.blobs, target.blobs, named_blobs(target.catalog, catalog_key))
        database.write_now(lambda rows: catalog.end_incarnation(rows, blobs.incarnation))
        return copied
    finally:
        blobs.close()
        database.close()


def named_blobs(path: Path, catalog_key: bytes) -> list[str]:
    """Names of all blobs that a catalog's rows stand on."""
    connection = connect(path, catalog_key, read_only=True)
    try:
        found = SqliteRows(connection).all("SELECT blob_name FROM streams WHERE blob_name IS NOT NULL")
        return sorted(str(row[0]) for row in found)
    finally:
        connection.close()


def chains_of(path: Path, catalog_key: bytes) -> set[str]:
    """Names of the audit trail's chains that a catalog lists."""
    connection = connect(path, catalog_key, read_only=True)
    try:
        return set(list_chains(SqliteRows(connection)))
    finally:
        connection.close()


def copy_blobs(source: Path, target: Path, names: list[str]) -> Copied:
    """Durable when this returns. Raises IntegrityError if one is missing."""
    size = 0
    folders = {target}
    target.mkdir(mode=0o700, exist_ok=True)
    for name in names:
        incarnation, _, rest = name.partition("/")
        place = Path(incarnation) / rest[:2] / rest
        copy = target / place
        copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folders |= {copy.parent, copy.parent.parent}
        try:
            size += copy_file(source / place, copy)
        except FileNotFoundError as error:
            raise IntegrityError("a blob that a row names is missing", advice="run s3al check") from error
    for folder in folders:
        sync_folder(folder)
    return Copied(len(names), size)


def copy_files(source: Path, target: Path, chosen: Callable[[str], bool]) -> int:
    """The files of a folder with such names, each as far as it goes now, also while it grows; durable when this
    returns. What the target has already stays, unless it is shorter, as a copy that was interrupted. Returns how many
    were copied."""
    target.mkdir(mode=0o700, exist_ok=True)
    copied = 0
    for path in sorted(source.iterdir()) if source.exists() else ():
        if chosen(path.name) and path.is_file() and not path.is_symlink() and _is_short(target / path.name, path):
            copy_file(path, target / path.name)
            copied += 1
    sync_folder(target)
    return copied


def _is_short(copy: Path, whole: Path) -> bool:
    return not copy.exists() or copy.stat().st_size < whole.stat().st_size


def copy_file(source: Path, target: Path) -> int:
    """A durable copy that only we can read; returns its bytes. Raises FileNotFoundError, else StoreError."""
    try:
        target.unlink(missing_ok=True)  # of a copy that was interrupted
        source.stat()
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with source.open("rb") as reading, os.fdopen(descriptor, "wb") as writing:
            shutil.copyfileobj(reading, writing, _PIECE)
            writing.flush()
            os.fsync(writing.fileno())
            return writing.tell()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(f"{target} cannot be written: {error.strerror}") from error


def digest_of(path: Path) -> str:
    """SHA-256 in hex. Raises ConfigError if the file cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The data folder: where what lies, who may open it, and who has it open.

What lives here: paths, permissions, `store.json` as an opaque document, the store lock. What does not: the content
of that document (kms), of the catalog (schema), of `blobs` (files).

    DIR/store.json      replaced by write, fsync, rename, fsync of the folder
    DIR/catalog.db      with -wal and -shm
    DIR/blobs/<incarnation>/<2 hex>/<32 hex>
    DIR/blobs/.locks/   lock files; empty, and of no meaning while nothing runs
    DIR/trail/          the audit trail, sealed (spec/trail-format.md)

Laws: nothing here is readable by others (0700, 0600); neither logs nor keys lie in DIR; one server at a time has a
store.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from s3al.errors import ConfigError, IntegrityError, StoreError

_MOST_DOCUMENT_BYTES = 16 << 20
_OURS = frozenset(
    {
        *("blobs", "trail", "catalog.db", "catalog.db-wal", "catalog.db-shm", "store.json", "store.json.new"),
        "lost+found",
        *("catalog.db.new", "catalog.db.new-wal", "catalog.db.new-shm"),  # of a restore that was interrupted
    }
)


class StoreFolder:
    """A data folder that exists. Made by `create_folder` or `open_folder`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.document = path / "store.json"
        self.catalog = path / "catalog.db"
        self.blobs = path / "blobs"
        self.locks = self.blobs / ".locks"
        self.trail = path / "trail"

    def __repr__(self) -> str:
        return f"StoreFolder({str(self.path)!r})"

    def has_document(self) -> bool:
        return self.document.exists()

    def has_catalog(self) -> bool:
        """An empty file is a catalog whose creation was interrupted."""
        return self.catalog.exists() and self.catalog.stat().st_size > 0

    def has_blobs(self) -> bool:
        return any(file.is_file() for file in self.blobs.glob("[!.]*/*/*"))

    def catalog_copy(self, version: int) -> Path:
        """Where the catalog of an older format is kept before it is migrated; a name not yet used."""
        for number in range(1, 1000):
            path = self.path / f"catalog.format-{version}.{number}.db"
            if not path.exists():
                return path
        raise ConfigError("too many copies of older catalogs lie in the data folder", advice="remove some")

    def read_document(self) -> dict[str, Any]:
        """Raises ConfigError if there is none, IntegrityError if it is not a JSON object."""
        try:
            with self.document.open("rb") as file:
                text = file.read(_MOST_DOCUMENT_BYTES + 1)
        except FileNotFoundError as error:
            raise ConfigError(f"{self.path} holds no store", advice="check --data") from error
        except OSError as error:
            raise ConfigError(f"store.json cannot be read: {error.strerror}") from error
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise IntegrityError("store.json is damaged", advice="restore it from a backup") from error
        if not isinstance(document, dict) or len(text) > _MOST_DOCUMENT_BYTES:
            raise IntegrityError("store.json is damaged", advice="restore it from a backup")
        return document

    def write_document(self, document: Mapping[str, Any]) -> None:
        """Replace store.json. After a crash at any instant either the old or the new is there, whole."""
        replace_file(self.document, json.dumps(document, indent=2, sort_keys=True).encode() + b"\n")

    def sync(self) -> None:
        try:
            sync_folder(self.path)
        except OSError as error:
            raise StoreError(f"the data folder could not be synced: {error.strerror}") from error


class StoreLock:
    """Held for the life of the process (and of the file descriptor, which children may inherit on purpose)."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def release(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def create_folder(path: Path) -> StoreFolder:
    """Make the folder, or take one that is empty or a store already (perhaps half made by a killed start)."""
    folder = StoreFolder(path)
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not folder.has_document():
            if not _OURS.issuperset(entry.name for entry in path.iterdir()):
                raise ConfigError(f"{path} holds other files and no store", advice="give --data an empty or new folder")
            path.chmod(0o700)
        _refuse_open_to_others(path)
        for inner in (folder.blobs, folder.locks, folder.trail):
            inner.mkdir(mode=0o700, exist_ok=True)
        for synced in (path.parent, path, folder.blobs):
            sync_folder(synced)
    except OSError as error:
        raise ConfigError(f"{path} cannot be made a store: {error.strerror}") from error
    return folder


def open_folder(path: Path) -> StoreFolder:
    """Raises ConfigError if no store lies there, or if others may read it."""
    folder = StoreFolder(path)
    if not folder.has_document():
        raise ConfigError(f"{path} holds no store", advice="check --data")
    _refuse_open_to_others(path)
    try:
        folder.locks.mkdir(mode=0o700, parents=True, exist_ok=True)  # a backup may have left the empty folders out
    except OSError as error:
        raise ConfigError(f"{path} cannot be opened: {error.strerror}") from error
    return folder


def lock_store(folder: StoreFolder) -> StoreLock:
    """Take the store for this server or offline command. Raises ConfigError if another has it."""
    try:
        descriptor = os.open(folder.locks / "store", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ConfigError(f"{folder.path} cannot be locked: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise ConfigError(f"{folder.path} is in use by another s3al", advice="stop it first") from error
    return StoreLock(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Write, fsync, rename, fsync the folder. Mode 0600. Raises StoreError; the old file is then still there."""
    temporary = path.with_name(f"{path.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"{path.name} could not be written: {error.strerror}") from error


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_open_to_others(path: Path) -> None:
    mode = path.stat().st_mode & 0o777
    if mode & 0o077:
        raise ConfigError(f"{path} is open to others (mode {mode:03o})", advice=f"chmod 700 {path}")

"""Backup of the key store, and its return.

What lives here: what a backup consists of, its manifest, the order of steps, and which keys a restore leaves out. What
does not: copying (store.copying), the ledger's lines (ledger), commands.

    TO/store.json, TO/catalog.db    as in a data folder, as of one moment; sealed as they are there
    TO/trail/                       the audit trail: the chains that this catalog lists, and their checkpoints
    TO/blobs/                       with --with-blobs
    TO/backup.json                  the manifest: written last, sealed by a MAC under the catalog key

Laws: a backup opens with any seal that its own store.json names, and with nothing else; it is in the ledger before it
is whole; seals and root stand still while it is taken. A restore writes store.json last, so that a store that is there
is whole; it never overwrites one; a key that the ledger calls destroyed does not come back, and without a ledger that
knows this backup nothing is restored unless the operator insists.

Source: spec/key-hierarchy.md, Backups.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from s3al.crypto.keys import derive
from s3al.errors import ConfigError, IntegrityError
from s3al.kms.ledger import BackupEntry, Ledger, ledger_path
from s3al.kms.root import StoreKeys
from s3al.kms.seals.opening import SealChoice
from s3al.kms.seals.port import Random
from s3al.kms.store_keys import open_keys
from s3al.kms.store_seals import document_lock
from s3al.store import catalog, keystore, schema
from s3al.store.copying import (
    Copied,
    chains_of,
    copy_blobs,
    copy_catalog,
    copy_file,
    copy_files,
    copy_with_blobs,
    digest_of,
    named_blobs,
    new_folder,
    sync_file,
)
from s3al.store.database import Rows
from s3al.store.layout import StoreFolder, create_folder, lock_store, replace_file, sync_folder
from s3al.store.scrub import overwriting
from s3al.store.sqlite import SqliteDatabase

FORMAT: Final = 1
MANIFEST: Final = "backup.json"
_LABEL = b"s3al backup manifest v1"
_ID_BYTES = 8
_COPIED_FILES = ("catalog.db", "store.json")
_STATED = "checkpoints"  # of the audit trail: how far each chain goes


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. left_out: ids of keys that were destroyed after the backup. missing_blobs: of objects whose
    blobs lie neither in the backup nor in the data folder."""

    backup_id: str
    taken_at: int
    blobs: int
    missing_blobs: int
    left_out: tuple[str, ...]


def back_up(
    folder: StoreFolder, choice: SealChoice, to: Path, *, with_blobs: bool, now_ms: Callable[[], int], random: Random
) -> dict[str, Any]:
    """Copy a store, served or not, to a new folder. Returns the manifest."""
    target = StoreFolder(new_folder(to, outside=folder.path))
    with document_lock(folder):
        keys = open_keys(folder, choice, random=random)
        began_at, copied = now_ms(), Copied()
        copy_files(folder.trail, target.trail, _STATED.__eq__)  # before what it states, which only grows
        if with_blobs:
            copied = copy_with_blobs(folder, keys.catalog_key, target, now_ms=began_at)
        else:
            copy_catalog(folder, keys.catalog_key, target.catalog)
        chains = chains_of(target.catalog, keys.catalog_key)
        trail_files = copy_files(folder.trail, target.trail, lambda name: name.partition(".")[0] in chains)
        target.write_document(folder.read_document())
    entry = BackupEntry(random(_ID_BYTES).hex(), began_at, now_ms(), str(to.resolve()))
    ledger_of(choice, keys.store_id).add([entry])
    manifest = {
        "format": FORMAT,
        "backup_id": entry.backup_id,
        "store_id": keys.store_id.hex(),
        "taken_at_ms": entry.ended_at,
        "with_blobs": with_blobs,
        "blobs": copied.blobs,
        "blob_bytes": copied.blob_bytes,
        "trail_files": trail_files,
        "sha256": {name: digest_of(to / name) for name in _COPIED_FILES},
    }
    document = manifest | {"mac": _mac(manifest, keys)}
    replace_file(to / MANIFEST, json.dumps(document, indent=2, sort_keys=True).encode() + b"\n")
    return manifest


def restore(source: Path, data: Path, choice: SealChoice, *, without_ledger: bool, random: Random) -> Restored:
    """Make a store of a backup. data: a new folder, or one in which nothing but blobs is left."""
    backup = StoreFolder(source)
    manifest = _read_manifest(source)
    keys = open_keys(backup, choice, random=random)
    _verify(manifest, keys, source)
    destroyed = _destroyed_since(ledger_of(choice, keys.store_id), manifest, without_ledger=without_ledger)
    folder = _empty_store(data)
    lock = lock_store(folder)
    try:
        fresh = folder.catalog.with_name("catalog.db.new")
        for half_made in (fresh, *(fresh.with_name(f"{fresh.name}-{end}") for end in ("wal", "shm"))):
            half_made.unlink(missing_ok=True)
        copy_file(backup.catalog, fresh)
        left_out = _leave_out(fresh, keys.catalog_key, folder, destroyed)
        names = named_blobs(fresh, keys.catalog_key)
        if manifest["with_blobs"]:
            copy_blobs(backup.blobs, folder.blobs, names)
        copy_files(backup.trail, folder.trail, lambda _: True)
        sync_file(fresh)
        fresh.replace(folder.catalog)
        sync_folder(folder.path)
        folder.write_document(backup.read_document())
    finally:
        lock.release()
    missing = sum(not _blob_path(folder, name).exists() for name in names)
    return Restored(manifest["backup_id"], manifest["taken_at_ms"], len(names) - missing, missing, left_out)


def ledger_of(choice: SealChoice, store_id: bytes) -> Ledger:
    return Ledger(ledger_path(choice.config_home, store_id))


def _read_manifest(source: Path) -> dict[str, Any]:
    try:
        document: Any = json.loads((source / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise ConfigError(f"{source} holds no whole backup", advice=f"a whole one has a {MANIFEST}") from error
    except (OSError, ValueError) as error:
        raise IntegrityError(f"{MANIFEST} is damaged", advice="take another backup") from error
    if not isinstance(document, dict) or not isinstance(document.get("mac"), str):
        raise IntegrityError(f"{MANIFEST} is damaged", advice="take another backup")
    if document.get("format") != FORMAT:
        raise ConfigError(f"the backup has another format than {FORMAT}", advice="use the s3al that knows it")
    return document


def _verify(manifest: dict[str, Any], keys: StoreKeys, source: Path) -> None:
    claimed = manifest.pop("mac")
    if not hmac.compare_digest(claimed, _mac(manifest, keys)):
        raise IntegrityError("the backup's manifest was altered, or belongs to another store")
    for name, digest in manifest["sha256"].items():
        if digest_of(source / name) != digest:
            raise IntegrityError(f"{name} of the backup was altered", advice="take another backup")


def _mac(manifest: dict[str, Any], keys: StoreKeys) -> str:
    key = derive(keys.catalog_key, _LABEL, keys.store_id)
    return hmac.digest(key, json.dumps(manifest, sort_keys=True).encode(), "sha256").hex()


def _destroyed_since(ledger: Ledger, manifest: dict[str, Any], *, without_ledger: bool) -> set[tuple[str, str]]:
    known = {entry.backup_id for entry in ledger.backups()}
    if manifest["backup_id"] not in known and not without_ledger:
        what = "is older than this backup" if ledger.exists() else "is gone"
        raise ConfigError(
            f"the list of destroyed keys, {ledger.path}, {what}",
            advice="put it back; or give --without-ledger, and keys destroyed since then return with this backup",
        )
    return {(one.key_id, one.region) for one in ledger.tombstones()}


def _empty_store(data: Path) -> StoreFolder:
    folder = create_folder(data)
    for path in (folder.document, folder.catalog):
        if path.exists():
            raise ConfigError(f"{path} is there already", advice="a restore overwrites nothing: move it away first")
    return folder


def _leave_out(path: Path, catalog_key: bytes, folder: StoreFolder, destroyed: set[tuple[str, str]]) -> tuple[str, ...]:
    """Remove destroyed keys from a copied catalog, before anything opens it as a store. Returns their ids."""
    database = SqliteDatabase(path, catalog_key, folder.locks)

    def write(rows: Rows) -> tuple[str, ...]:
        schema.stored_format(rows)
        found = [key for name in sorted(destroyed) if (key := keystore.find_key(rows, *name)) is not None]
        if found:
            with overwriting(rows):
                keystore.delete_keys(rows, found)
            catalog.bump(rows)
            database.truncate_wal()
        return tuple(dict.fromkeys(key.key_id for key in found))

    try:
        return database.write_now(write)
    finally:
        database.close()


def _blob_path(folder: StoreFolder, name: str) -> Path:
    incarnation, _, rest = name.partition("/")
    return folder.blobs / incarnation / rest[:2] / rest

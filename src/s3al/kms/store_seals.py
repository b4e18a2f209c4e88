"""What is done to the seals and the root of a store that exists, by whoever has one of its seals at hand.

What lives here: adding and removing a seal, rotating the root, and what the document says of both. What does not:
single seals (seals), the order of a rotation's steps (root_rotation), commands.

Laws: all of it works beside a running server, which follows at the first row that needs it; one such change at a time,
under a lock; a document is published only after the seals that it names opened it; the last seal is never removed, and
one is removed only by whoever opens the store with another. Not done: what a removed seal opened before, an old copy of
store.json, it opens still; rotate the root after that.

Source: spec/key-hierarchy.md, Seals and Root.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from s3al.errors import ConfigError, IntegrityError
from s3al.kms.root import PRIMARY_SEAL, RECOVERY_SEAL, StoreKeys, new_record, open_store_keys, record_of
from s3al.kms.root_rotation import RootRotation, rotate_root
from s3al.kms.seals.opening import SealChoice, new_seal
from s3al.kms.seals.port import Random
from s3al.kms.store_document import SealRecord, StoreDocument
from s3al.kms.store_keys import seal_of_store
from s3al.store import keystore, schema
from s3al.store.database import Rows
from s3al.store.layout import StoreFolder
from s3al.store.sqlite import SqliteDatabase


@contextmanager
def document_lock(folder: StoreFolder) -> Iterator[None]:
    """Held while store.json is changed, or copied together with the catalog. Raises ConfigError if another has it."""
    descriptor = os.open(folder.locks / "document", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise ConfigError(
            "another command changes the seals of this store, or backs it up", advice="wait until it has ended"
        ) from error
    finally:
        os.close(descriptor)


def add_seal(
    folder: StoreFolder, opening: SealChoice, added: SealChoice, *, name: str | None, random: Random
) -> SealRecord:
    """Give the store another seal, each version of the root under it. name: None takes `primary` or `recovery`."""
    with document_lock(folder):
        keys = open_store_keys(folder.read_document(), seal_of_store(folder, opening), random=random)
        document = keys.document
        chosen = _free_name(document, name)
        seal = new_seal(added, store_id=keys.store_id, data_folder=folder.path, random=random)
        if record_of(document, seal) is not None:
            raise ConfigError(f"{seal.describe()} is a seal of this store already")
        record = new_record(chosen, seal, keys.root)
        document = replace(document, seals=(*document.seals, record))
        if open_store_keys(document.to_json(), seal, random=random).catalog_key != keys.catalog_key:
            raise IntegrityError(f"{seal.describe()} does not open what it sealed")
        folder.write_document(document.to_json())
        return record


def remove_seal(folder: StoreFolder, opening: SealChoice, name: str, *, random: Random) -> None:
    """Take a seal away. `opening` names another one, which must open the store."""
    with document_lock(folder):
        seal = seal_of_store(folder, opening)
        document = open_store_keys(folder.read_document(), seal, random=random).document
        remaining = tuple(record for record in document.seals if record.name != name)
        if len(remaining) == len(document.seals):
            named = ", ".join(record.name for record in document.seals)
            raise ConfigError(f"this store has no seal {name}", advice=f"it has: {named}")
        if not remaining:
            raise ConfigError(f"{name} is the last seal of this store", advice="add another first: s3al seal add")
        document = replace(document, seals=remaining)
        if record_of(document, seal) is None:
            raise ConfigError(
                f"the seal {name} cannot be removed by itself",
                advice="open the store with the one that stays: --root-key",
            )
        folder.write_document(document.to_json())


def rotate(folder: StoreFolder, choices: Sequence[SealChoice], *, now_ms: int, random: Random) -> StoreKeys:
    """A new root under every seal, every material re-wrapped, the old root dropped; or the end of a rotation that was
    interrupted. choices: one for each seal of the store. May be killed at any time."""
    with document_lock(folder):
        seals = [seal_of_store(folder, choice) for choice in choices]
        keys = open_store_keys(folder.read_document(), seals[0], random=random)
        database = SqliteDatabase(folder.catalog, keys.catalog_key, folder.locks)
        try:
            database.read_now(schema.stored_format)
            return rotate_root(RootRotation(database, seals, folder.write_document, random), keys, now_ms=now_ms)
        finally:
            database.close()


def shown(document: StoreDocument) -> dict[str, Any]:
    """What store.json says of seals and root; nothing of it is secret. Takes no seal."""
    return {
        "store_id": document.store_id.hex(),
        "seals": [
            {"name": record.name, "kind": record.kind, "parameters": dict(record.parameters)}
            for record in document.seals
        ],
        "roots": [
            {
                "version": root.version,
                "created_at_ms": root.created_at,
                "is_current": root.version == document.current_root,
            }
            for root in document.roots
        ],
    }


def materials_by_root(rows: Rows) -> dict[str, int]:
    """How many materials each version of the root wraps; more than one version while the root is being rotated."""
    return {str(version): count for version, count in keystore.count_materials_by_root(rows)}


def _free_name(document: StoreDocument, wanted: str | None) -> str:
    taken = {record.name for record in document.seals}
    if wanted in taken:
        raise ConfigError(f"this store has a seal {wanted} already", advice="give another --name")
    free = [name for name in (wanted, PRIMARY_SEAL, RECOVERY_SEAL) if name and name not in taken]
    if not free:
        raise ConfigError("a name is needed for a third seal", advice="give one with --name")
    return free[0]

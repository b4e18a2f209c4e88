"""Our own API for what AWS's KMS has no API for: seals and root, and what is left of a key that was deleted.

What lives here: the operations. What does not: the changes of seals, which take a seal's secret and so are done beside
the server (store_seals), the ledger's lines (ledger).

Law: nothing here changes anything, and nothing secret is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError, StoreError
from s3al.kms.ledger import BackupEntry, Ledger, Tombstone, return_of
from s3al.kms.root import RootPort
from s3al.kms.store_document import StoreDocument
from s3al.kms.store_seals import materials_by_root, shown
from s3al.service.operation import Call, Operations, Params, Reply
from s3al.service.own import own_check, text
from s3al.store.database import Database


@dataclass(frozen=True, slots=True)
class KeyStore:
    """read_document: store.json as it is now."""

    db: Database
    root: RootPort
    read_document: Callable[[], Mapping[str, Any]]
    ledger: Ledger


OPERATIONS: Operations[KeyStore] = Operations()


@OPERATIONS.operation("GetSealStatus", checks=own_check)
async def get_seal_status(authorized: Authorized, call: Call, store: KeyStore) -> Reply:
    document = StoreDocument.from_json(store.read_document())
    try:
        root = f"open, version {store.root.current_version}"
    except StoreError as error:
        root = f"not reachable: {error}"
    wrapped = await store.db.read(materials_by_root)
    return Reply(shown(document) | {"root": root, "materials_by_root": wrapped})


@OPERATIONS.operation("DescribeKeyDeletion", checks=own_check)
async def describe_key_deletion(authorized: Authorized, call: Call, store: KeyStore) -> Reply:
    key_id = text(call.params, "key_id").rpartition("/")[2]
    tombstones = [one for one in store.ledger.tombstones() if one.key_id == key_id]
    if not tombstones:
        raise RequestError("NoSuchEntity", f"No key {key_id[:64]} was destroyed by this server.")
    backups = store.ledger.backups()
    return Reply({"key_id": key_id, "deletions": [_deletion(one, backups) for one in tombstones]})


def _deletion(tombstone: Tombstone, backups: list[BackupEntry]) -> Params:
    oldest = return_of(tombstone, backups)
    found: Params = {
        "region": tombstone.region,
        "deleted_at_ms": tombstone.deleted_at,
        "explanation": explanation(tombstone, oldest),
    }
    if oldest:
        found["oldest_backup"] = {"id": oldest.backup_id, "taken_at_ms": oldest.ended_at, "place": oldest.place}
    return found


def explanation(tombstone: Tombstone, oldest: BackupEntry | None) -> str:
    """What is left of a deleted key, for a person."""
    gone = f"Destroyed on {_when(tombstone.deleted_at)}; nothing in this store opens what it encrypted."
    elsewhere = "Copies of the data folder that were made without s3al are not known here."
    if oldest is None:
        return f"{gone} No backup that s3al took holds it. {elsewhere}"
    return (
        f"{gone} The oldest backup from which it could return is {oldest.backup_id}, taken on"
        f" {_when(oldest.ended_at)} to {oldest.place}. s3al restore leaves the key out; whoever has that backup and a"
        f" seal of that time can bring it back without s3al restore: destroy the backup to end that. {elsewhere}"
    )


def _when(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

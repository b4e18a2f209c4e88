"""Opening a store's keys from its folder: finding the seal, reading store.json, or drawing the keys of a new store.

What lives here: the order of these steps. What does not: seals (seal), what the document holds (store_document),
what the keys are (root).

Laws: whoever calls this holds the root and the seal's key afterwards: that is the root's process, and commands
on a stopped store, never the process that serves. The keyfile of a new store is written before its document: a
store without a key never exists.

Source: spec/key-hierarchy.md, Seals and store.json.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from s3al.kms.root import StoreKeys, create_store_keys, open_store_keys
from s3al.kms.seal import KeyfileSeal, Random, check_outside, keyfile_path
from s3al.kms.store_document import STORE_ID_BYTES, StoreDocument
from s3al.store.layout import StoreFolder


@dataclass(frozen=True, slots=True)
class SealChoice:
    """Where the seal is; nothing of it is secret. option: as in `--root-key`, None for the default keyfile below
    `config_home` (XDG_CONFIG_HOME)."""

    option: str | None
    config_home: Path

    def path(self, store_id: bytes) -> Path:
        return keyfile_path(self.option, store_id=store_id, config_home=self.config_home)


def open_keys(folder: StoreFolder, choice: SealChoice, *, random: Random) -> StoreKeys:
    """The keys of a store that exists. Raises ConfigError or IntegrityError."""
    document = folder.read_document()
    path = choice.path(StoreDocument.from_json(document).store_id)
    check_outside(path, folder.path)
    seal = KeyfileSeal.open(path)
    return open_store_keys(document, seal, random=random, read_document=folder.read_document)


def open_or_create_keys(folder: StoreFolder, choice: SealChoice, *, now_ms: int, random: Random) -> StoreKeys:
    """The store's keys; those of a new store are drawn, its keyfile written first and its document after that."""
    if not folder.has_document():
        _create(folder, choice, now_ms=now_ms, random=random)
    return open_keys(folder, choice, random=random)


def _create(folder: StoreFolder, choice: SealChoice, *, now_ms: int, random: Random) -> None:
    store_id = random(STORE_ID_BYTES)
    path = choice.path(store_id)
    check_outside(path, folder.path)
    seal = KeyfileSeal.open(path) if path.exists() else KeyfileSeal.create(path, random)
    keys = create_store_keys(store_id, [seal], now_ms=now_ms, random=random)
    folder.write_document(keys.document.to_json())

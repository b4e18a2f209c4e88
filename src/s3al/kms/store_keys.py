"""Opening a store's keys from its folder: finding the seal, reading store.json, or drawing the keys of a new store.

What lives here: the order of these steps. What does not: seals (seal), what the document holds (store_document),
what the keys are (root).

Laws: whoever calls this holds the root and the seal's key afterwards: that is the root's process, and commands
in the data folder, never the process that serves. The keyfile of a new store is written before its document: a
store without a key never exists.

Source: spec/key-hierarchy.md, Seals and store.json.
"""

from __future__ import annotations

from collections.abc import Sequence

from s3al.kms.root import StoreKeys, create_store_keys, open_store_keys, record_of
from s3al.kms.seals.opening import SealChoice, new_seal, open_seal, wrong_secret
from s3al.kms.seals.port import Random, Seal
from s3al.kms.store_document import STORE_ID_BYTES, StoreDocument
from s3al.store.layout import StoreFolder


def open_keys(folder: StoreFolder, choice: SealChoice, *, random: Random) -> StoreKeys:
    """The keys of a store that exists. Raises ConfigError or IntegrityError."""
    seal = seal_of_store(folder, choice)
    return open_store_keys(folder.read_document(), seal, random=random, read_document=folder.read_document)


def seal_of_store(folder: StoreFolder, choice: SealChoice) -> Seal:
    """The seal that `choice` names, which is one of this store's. Raises ConfigError if it is not."""
    document = StoreDocument.from_json(folder.read_document())
    stored = [(record.kind, record.parameters) for record in document.seals]
    for seal in open_seal(choice, stored, store_id=document.store_id, data_folder=folder.path):
        if record_of(document, seal) is not None:
            return seal
    raise wrong_secret(choice, document.store_id, (kind for kind, _ in stored))


def seals_of_store(folder: StoreFolder, choices: Sequence[SealChoice]) -> list[Seal]:
    return [seal_of_store(folder, choice) for choice in choices]


def open_or_create_keys(folder: StoreFolder, choice: SealChoice, *, now_ms: int, random: Random) -> StoreKeys:
    """The store's keys; those of a new store are drawn, its keyfile written first and its document after that."""
    if not folder.has_document():
        _create(folder, choice, now_ms=now_ms, random=random)
    return open_keys(folder, choice, random=random)


def _create(folder: StoreFolder, choice: SealChoice, *, now_ms: int, random: Random) -> None:
    store_id = random(STORE_ID_BYTES)
    seal = new_seal(choice, store_id=store_id, data_folder=folder.path, random=random)
    keys = create_store_keys(store_id, [seal], now_ms=now_ms, random=random)
    folder.write_document(keys.document.to_json())

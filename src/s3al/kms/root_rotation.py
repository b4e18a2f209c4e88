"""Rotation of the root: a new version beside the old, everything re-wrapped, the old version dropped.

What lives here: the steps and their order. What does not: the document (store_document), the file
(store.layout).

Laws: a store opens after a kill between any two steps, and running the rotation again finishes it; rows are
wrapped under the version that the rows call current, so that no process adds one under the old version once the
new one is current; the old version is dropped only after a transaction has found that no row names it. A backup
opens with the store.json that was taken with it, and no other.

Source: spec/key-hierarchy.md, Rotating the root.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from s3al.errors import StoreError
from s3al.kms.materials import material_place
from s3al.kms.root import Root, StoreKeys, Wrapped, add_root_version, drop_root_versions, open_root
from s3al.kms.seals.port import Random, Seal
from s3al.kms.store_document import StoreDocument
from s3al.store import keystore
from s3al.store.catalog import bump
from s3al.store.database import Database, Rows

BATCH_ROWS = 256


@dataclass(frozen=True, slots=True)
class RootRotation:
    """What a rotation works on. publish: replaces store.json durably. seals: every seal of the store."""

    database: Database
    seals: Sequence[Seal]
    publish: Callable[[Mapping[str, Any]], None]
    random: Random


def rotate_root(rotation: RootRotation, keys: StoreKeys, *, now_ms: int) -> StoreKeys:
    """Rotate the root, or finish a rotation that was interrupted. Returns the keys as of the last document."""
    document = keys.document
    if len(document.versions) == 1:
        document = add_root_version(keys, rotation.seals, now_ms=now_ms, random=rotation.random)
        rotation.publish(document.to_json())
    _adopt(rotation, keys.root, document)
    rotation.database.write_now(lambda rows: _make_current(rows, document.current_root))
    while rotation.database.write_now(lambda rows: rewrap_some(rows, keys.root, document.current_root)):
        pass
    rotation.database.write_now(lambda rows: _verify(rows, document.current_root))
    document = drop_root_versions(document)
    rotation.publish(document.to_json())
    _adopt(rotation, keys.root, document)
    return StoreKeys(keys.store_id, document, keys.root, keys.catalog_key)


def rewrap_some(rows: Rows, root: Root, version: int, limit: int = BATCH_ROWS) -> int:
    """Re-wrap at most `limit` materials under `version`. Returns how many there were to do."""
    found = keystore.materials_under_other_roots(rows, version, limit)
    for row in found:
        place = material_place(row.key_id, bytes(row.material_id))
        material = root.unwrap(Wrapped(row.root_version, bytes(row.wrapped)), place=place)
        wrapped = root.wrap(material, version=version, place=place)
        keystore.rewrap_material(rows, row, root_version=version, wrapped=wrapped.sealed)
    return len(found)


def _adopt(rotation: RootRotation, root: Root, document: StoreDocument) -> None:
    root.adopt(open_root(document, rotation.seals[0], random=rotation.random))


def _make_current(rows: Rows, version: int) -> None:
    keystore.set_current_root(rows, version)
    bump(rows)


def _verify(rows: Rows, version: int) -> None:
    if keystore.current_root(rows) != version or keystore.materials_under_other_roots(rows, version, 1):
        raise StoreError("another rotation of the root is running", retryable=True)

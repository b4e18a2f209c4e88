"""What stands above a data key in this store: materials, the service key, root versions, seals.

What lives here: their facts as documents, and what each seal means for whoever takes the disk. What does not: which of
them an object hangs from (envelopes), the story of one KMS key (keys).

Laws: nothing secret is read, only rows and store.json; times are UTC ms; what the server cannot know (where the keyfile
of a seal lies that it was not started with) is None.

Source: spec/key-hierarchy.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from s3al.explain.thieves import Seal
from s3al.kms.rotation import next_rotation
from s3al.kms.seals.opening import SealPlace
from s3al.kms.service_key import ROTATION_PERIOD_MS
from s3al.kms.states import shown_state
from s3al.kms.store_document import StoreDocument
from s3al.service.operation import Params
from s3al.store import key_labels, keystore
from s3al.store.database import Rows
from s3al.store.keystore import KeyRow, MaterialRow

SEAL_WORDS: Final[Mapping[str, str]] = {
    "keyfile": "a file with 32 random bytes, outside the data folder",
    "passphrase": "a passphrase, stretched by Argon2id",
    "pkcs11": "a key in a PKCS#11 token, which never leaves it",
    "kms": "a key in another KMS",
}
_MADE_BY: Final[Mapping[str | None, str]] = {None: "creation", "ON_DEMAND": "on demand", "AUTOMATIC": "by the clock"}


def made_by(material: MaterialRow, origin: str) -> str:
    """`creation`, `on demand`, `by the clock` or `import`."""
    if origin == "EXTERNAL" and material.rotation_type is None:
        return "import"
    return _MADE_BY[material.rotation_type]


def material_node(rows: Rows, key: KeyRow, material_id: bytes, now_ms: int) -> Params:
    """A material of a KMS key, as the object's chain shows it. Members of a material that is gone are None."""
    material = keystore.find_material(rows, key.key_id, material_id)
    return {
        "kind": "kms-material",
        "key_arn": key.arn,
        "aliases": key_labels.aliases_of(rows, key),
        "description": key.description,
        "manager": key.manager,
        "state": shown_state(key, now_ms),
        "deletion_at_ms": key.deletion_at,
        "rotation_period_days": key.rotation_period_days,
        "next_rotation_ms": next_rotation(key),
        "material_id": material_id.hex(),
        "sequence": keystore.material_sequence(rows, key.key_id, material_id),
        "newest_sequence": keystore.last_sequence(rows, key.key_id),
        "is_current": bytes(key.current_material or b"") == material_id,
        "made_at_ms": material.created_at if material else None,
        "made_by": made_by(material, key.origin) if material else None,
        "root_version": material.root_version if material else None,
    }


def service_node(rows: Rows, material_id: bytes) -> Params:
    """The material of the service key that an object or record names."""
    key = keystore.find_service_key(rows)
    materials = keystore.list_materials(rows, key.key_id) if key else []
    named = next((one for one in materials if bytes(one.material_id) == material_id), None)
    newest = materials[-1] if materials else None
    return {
        "kind": "service-material",
        "material_id": material_id.hex(),
        "sequence": named.sequence if named else None,
        "newest_sequence": newest.sequence if newest else None,
        "is_current": key is not None and bytes(key.current_material or b"") == material_id,
        "made_at_ms": named.created_at if named else None,
        "made_by": made_by(named, "AWS_KMS") if named else None,
        "next_rotation_ms": newest.created_at + ROTATION_PERIOD_MS if newest else None,
        "root_version": named.root_version if named else None,
    }


def current_service_material(rows: Rows) -> bytes:
    key = keystore.find_service_key(rows)
    return bytes(key.current_material or b"") if key else b""


def root_node(document: StoreDocument, version: int | None) -> Params:
    """The root version that wraps a material; the current one where the material does not say."""
    number = document.current_root if version is None else version
    known = number in document.versions
    return {
        "kind": "root",
        "version": number,
        "is_current": number == document.current_root,
        "made_at_ms": document.root(number).created_at if known else None,
    }


def seals_of(document: StoreDocument, place: SealPlace) -> list[Seal]:
    """Every seal of the store. Which of several of one kind the server was started with, the kind does not tell: if it
    lies beside the data, each of them may."""
    alone = sum(record.kind == place.kind for record in document.seals) == 1
    known = place.beside_data if alone or place.beside_data else None
    return [Seal(one.name, one.kind, known if one.kind == place.kind else None) for one in document.seals]


def seal_node(seal: Seal) -> Params:
    return {
        "kind": "seal",
        "name": seal.name,
        "seal_kind": seal.kind,
        "what": SEAL_WORDS.get(seal.kind, seal.kind),
        "beside_data": seal.beside_data,
    }


def document_of(stored: Mapping[str, Any]) -> StoreDocument:
    return StoreDocument.from_json(stored)

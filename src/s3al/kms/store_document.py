"""The content of store.json: which store this is, its seals, and its root versions.

What lives here: the document's fields, its JSON and its checks. What does not: reading and replacing the file
(store.layout), opening what is wrapped in it (root).

Laws: nothing in it is secret without a seal; every version of the root that any row may name stands in it; the
catalog key is wrapped under each of them, so that every version alone opens the store. Not detected: an old
copy of the whole document put back (it opens what it opened then, if its root versions are still in use).

Source: spec/key-hierarchy.md, store.json.
"""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from s3al.errors import ConfigError, IntegrityError

FORMAT = 1
STORE_ID_BYTES = 16
_LEAST_CHECK_BYTES = 32
_CHECKSUM = "sha256"


@dataclass(frozen=True, slots=True)
class SealRecord:
    """One seal of the store. sealed_roots: root version -> the root key under this seal. parameters: what opening it
    takes besides its secret."""

    name: str
    kind: str
    check_value: bytes
    sealed_roots: Mapping[int, bytes]
    parameters: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RootRecord:
    """One version of the root. catalog_key: wrapped under this version. created_at: UTC milliseconds."""

    version: int
    created_at: int
    catalog_key: bytes


@dataclass(frozen=True, slots=True)
class StoreDocument:
    """Validated on construction: an instance that contradicts itself cannot exist."""

    store_id: bytes
    current_root: int
    roots: tuple[RootRecord, ...]
    seals: tuple[SealRecord, ...]

    def __post_init__(self) -> None:
        versions = {root.version for root in self.roots}
        names = {seal.name for seal in self.seals}
        sound = (
            len(self.store_id) == STORE_ID_BYTES
            and self.current_root in versions
            and len(versions) == len(self.roots)
            and len(names) == len(self.seals) > 0
            and all(set(seal.sealed_roots) == versions for seal in self.seals)
            and all(len(seal.check_value) >= _LEAST_CHECK_BYTES for seal in self.seals)
        )
        if not sound:
            raise IntegrityError("store.json contradicts itself")

    @property
    def versions(self) -> tuple[int, ...]:
        return tuple(root.version for root in self.roots)

    def root(self, version: int) -> RootRecord:
        return next(root for root in self.roots if root.version == version)

    def to_json(self) -> dict[str, Any]:
        document = {
            "format": FORMAT,
            "store_id": self.store_id.hex(),
            "current_root": self.current_root,
            "roots": [
                {"version": r.version, "created_at": r.created_at, "catalog_key": _b64(r.catalog_key)}
                for r in self.roots
            ],
            "seals": [
                {
                    "name": s.name,
                    "kind": s.kind,
                    "check_value": _b64(s.check_value),
                    "sealed_roots": {str(version): _b64(sealed) for version, sealed in s.sealed_roots.items()},
                    **({"parameters": dict(s.parameters)} if s.parameters else {}),
                }
                for s in self.seals
            ],
        }
        return document | {_CHECKSUM: _checksum(document)}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> StoreDocument:
        """Raises ConfigError for a newer format, IntegrityError for anything that is no such document."""
        version = document.get("format")
        if isinstance(version, int) and version > FORMAT:
            raise ConfigError(
                f"store.json has format {version}, this program knows {FORMAT}", advice="start a newer s3al"
            )
        if version != FORMAT:
            raise IntegrityError("store.json is not a store's document")
        if _CHECKSUM in document and document[_CHECKSUM] != _checksum(document):
            raise IntegrityError("store.json is damaged", advice="restore it from a backup")
        try:
            return cls(
                store_id=bytes.fromhex(document["store_id"]),
                current_root=_whole(document["current_root"]),
                roots=tuple(_root(record) for record in document["roots"]),
                seals=tuple(_seal(record) for record in document["seals"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise IntegrityError("store.json is damaged") from error


def _root(record: Mapping[str, Any]) -> RootRecord:
    return RootRecord(_whole(record["version"]), _whole(record["created_at"]), _bytes(record["catalog_key"]))


def _seal(record: Mapping[str, Any]) -> SealRecord:
    sealed = {int(version): _bytes(value) for version, value in record["sealed_roots"].items()}
    parameters = {str(name): _plain(value) for name, value in record.get("parameters", {}).items()}
    return SealRecord(str(record["name"]), str(record["kind"]), _bytes(record["check_value"]), sealed, parameters)


def _plain(value: object) -> str | int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError("neither a text nor a whole number")
    return value


def _checksum(document: Mapping[str, Any]) -> str:
    """Tells damage apart from a wrong key. No protection: whoever alters the file computes it anew."""
    members = {name: value for name, value in document.items() if name != _CHECKSUM}
    return hashlib.sha256(json.dumps(members, sort_keys=True).encode()).hexdigest()


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("not a whole number above 0")
    return value


def _b64(value: bytes) -> str:
    return b64encode(value).decode("ascii")


def _bytes(value: str) -> bytes:
    return b64decode(value, validate=True)

"""Key materials: drawn, wrapped by the root into rows, and opened again.

What lives here: `Materials`, the one way to a key's bytes. What does not: whether the key may be used now
(states, access); callers ask that first, on every use, also when the material is cached.

Laws: a material opens only as a material of the key and id that its row says; a material id that the rows do
not know is an error, and no other material is tried. Ids are random, or derived under a secret: they say nothing about
the material.
"""

from __future__ import annotations

from dataclasses import replace

from s3al.crypto.encoding import canonical
from s3al.errors import IntegrityError
from s3al.kms.root import RootPort, Wrapped
from s3al.kms.seals.port import Random
from s3al.store import keystore
from s3al.store.database import Rows
from s3al.store.keystore import MaterialRow

MATERIAL_BYTES = 32
MATERIAL_ID_BYTES = 32
_CACHED_MATERIALS = 1024


class Materials:
    """The materials of one store in one worker; caches what it opened, since a material never changes."""

    def __init__(self, root: RootPort, *, random: Random) -> None:
        self._root = root
        self._random = random
        self._opened: dict[tuple[str, bytes], bytes] = {}

    def __repr__(self) -> str:
        return f"Materials(cached={len(self._opened)})"

    def add(
        self,
        rows: Rows,
        key_id: str,
        *,
        replaces: bytes | None,
        now_ms: int,
        rotation_type: str | None = None,
        material: bytes | None = None,
    ) -> bytes | None:
        """Give the key a new current material; returns its id, or None if the current one is no longer `replaces`.

        rotation_type: None for the first material of a key, else ON_DEMAND or AUTOMATIC. material: None means 32
        random bytes.
        """
        material_id = self._random(MATERIAL_ID_BYTES)
        row = self.wrapped(rows, key_id, material_id, material or self._random(MATERIAL_BYTES), now_ms=now_ms)
        row = replace(row, rotation_type=rotation_type)
        return material_id if keystore.add_material(rows, row, replaces=replaces) else None

    def wrapped(self, rows: Rows, key_id: str, material_id: bytes, material: bytes, *, now_ms: int) -> MaterialRow:
        """A row for this material, not stored yet, next in sequence."""
        place = material_place(key_id, material_id)
        wrapped = self._root.wrap(material, version=self._root_version(rows), place=place)
        sequence = keystore.last_sequence(rows, key_id) + 1
        return MaterialRow(material_id, key_id, sequence, wrapped.root_version, wrapped.sealed, now_ms)

    def add_import_secret(self, rows: Rows, key_id: str, *, now_ms: int) -> None:
        """Give a key that awaits imported material the secret behind its materials' ids and its import tokens."""
        row = self.wrapped(rows, key_id, self._random(MATERIAL_ID_BYTES), self._random(MATERIAL_BYTES), now_ms=now_ms)
        keystore.hold_material(rows, replace(row, sequence=0))

    def import_secret(self, rows: Rows, key_id: str) -> bytes:
        """32 bytes; not cached, since imports are rare."""
        row = keystore.import_secret(rows, key_id)
        if row is None:
            raise IntegrityError("a key with imported material has lost its import secret")
        place = material_place(key_id, bytes(row.material_id))
        return self._root.unwrap(Wrapped(row.root_version, bytes(row.wrapped)), place=place)

    def open(self, rows: Rows, key_id: str, material_id: bytes) -> bytes:
        """The bytes of a material: 32 of a symmetric key. Raises IntegrityError for an id that is not this key's."""
        opened = self._opened.get((key_id, material_id))
        if opened is None:
            row = keystore.find_material(rows, key_id, material_id)
            if row is None:
                raise IntegrityError("this key has no such material")
            opened = self._root.unwrap(
                Wrapped(row.root_version, bytes(row.wrapped)), place=material_place(key_id, material_id)
            )
            if len(self._opened) >= _CACHED_MATERIALS:
                self._opened.clear()
            self._opened[key_id, material_id] = opened
        return opened

    def has(self, rows: Rows, key_id: str, material_id: bytes) -> bool:
        """Whether this is a material of this key."""
        return (key_id, material_id) in self._opened or keystore.find_material(rows, key_id, material_id) is not None

    def known(self, key_id: str, material_id: bytes) -> bytes | None:
        """The material if this worker has opened it; needs no rows."""
        return self._opened.get((key_id, material_id))

    def forget(self) -> None:
        """Drop what is cached; Python gives no promise to wipe it."""
        self._opened.clear()

    def _root_version(self, rows: Rows) -> int:
        """The version that rows are to be wrapped under: the store decides, so that a rotation leaves none behind."""
        stored = keystore.current_root(rows)
        if stored is None:
            stored = self._root.current_version
            keystore.set_current_root(rows, stored)
        return stored


def material_place(key_id: str, material_id: bytes) -> bytes:
    """Where a wrapped material is stored; part of what is authenticated."""
    return canonical(b"s3al material v1", key_id.encode("utf-8"), material_id)

"""The service key: the KMS key that the server itself owns.

What lives here: its creation at first start, its rotation, and the keys derived from it for buckets and for
the server's own records. What does not: sealing objects and records (s3), the keys of users (keys).

Laws: no KMS operation reaches this key, and no call returns its material, only children derived with a label
of their own; whatever is sealed under a child names the material id beside it; a rotation changes what is
current, never what opens.

Source: spec/key-hierarchy.md, Service key.
"""

from __future__ import annotations

import uuid

from s3al.crypto.encoding import canonical
from s3al.crypto.keys import derive
from s3al.crypto.records import RecordCipher
from s3al.errors import IntegrityError
from s3al.kms.materials import MATERIAL_ID_BYTES, Materials
from s3al.kms.root import RootPort
from s3al.kms.seals.port import Random
from s3al.kms.states import KeyState
from s3al.store import keystore
from s3al.store.catalog import bump
from s3al.store.database import Database, Rows
from s3al.store.keystore import SERVICE, KeyRow

_BUCKET_LABEL = b"s3al bucket key v1"
_SERVER_LABEL = b"s3al server key v1"
_CACHED_KEYS = 4096
ROTATION_PERIOD_MS = 365 * 24 * 3600 * 1000
_NONCE_BYTES = 12


def ensure_service_key(rows: Rows, root: RootPort, *, now_ms: int, random: Random) -> None:
    """Create the service key if this store has none yet; part of the transaction that creates the store."""
    if keystore.find_service_key(rows) is not None:
        return
    key_id = str(uuid.UUID(bytes=random(16), version=4))
    keystore.insert_key(
        rows,
        KeyRow(
            key_id=key_id,
            account_id="",
            region="",
            manager=SERVICE,
            state=KeyState.ENABLED.value,
            key_spec="SYMMETRIC_DEFAULT",
            key_usage="ENCRYPT_DECRYPT",
            origin="AWS_KMS",
            description="",
            policy="",
            created_at=now_ms,
        ),
    )
    Materials(root, random=random).add(rows, key_id, replaces=None, now_ms=now_ms)


class ServiceKeys:
    """The service key's children in one worker.

    Knows the materials as of the last look; `follow` looks again when the change counter has moved. A
    material that another worker made since is fetched when first met, which reads from the database by
    itself.
    """

    def __init__(self, database: Database, root: RootPort, *, store_id: bytes, random: Random) -> None:
        self._database = database
        self._materials = Materials(root, random=random)
        self._random = random
        self._store_id = store_id
        self._key_id = ""
        self._current = b""
        self._stamp: int | None = None
        self._children: dict[tuple[bytes, bytes, bytes], bytes] = {}

    def __repr__(self) -> str:
        return f"ServiceKeys(current={self._current.hex()[:8]})"

    def load(self, rows: Rows) -> None:
        """Read all materials and which is current. Raises IntegrityError if the store has no service key."""
        key = keystore.find_service_key(rows)
        if key is None or key.current_material is None:
            raise IntegrityError("the store has no service key")
        for row in keystore.list_materials(rows, key.key_id):
            self._materials.open(rows, key.key_id, bytes(row.material_id))
        self._key_id, self._current = key.key_id, bytes(key.current_material)

    def follow(self, rows: Rows, stamp: int) -> None:
        """Cheap at the start of every request: reads again only when the change counter (`stamp`) has moved.

        rows: of a snapshot, never of a transaction that has rotated and could still fail.
        """
        if stamp != self._stamp:
            self.load(rows)
            self._stamp = stamp

    def current(self, rows: Rows) -> bytes:
        """Id of the newest material as of `rows`."""
        self.load(rows)
        return self._current

    def current_material(self) -> bytes:
        """Id (32 bytes) of the newest material this worker knows."""
        if not self._current:
            self._database.read_now(self.load)
        return self._current

    def bucket_key(self, bucket_id: bytes, material_id: bytes) -> bytes:
        """The 32-byte key of one bucket under one material; everything the server keeps of the bucket hangs
        from it."""
        return self._child(_BUCKET_LABEL, self._store_id + bucket_id, material_id)

    def server_key(self, label: bytes, material_id: bytes) -> bytes:
        """The 32-byte key for one kind of the server's own records, such as account secrets, under one
        material."""
        return self._child(_SERVER_LABEL, canonical(self._store_id, label), material_id)

    def seal(self, label: bytes, secret: bytes, *, place: bytes) -> bytes:
        """Seal a record of the server's own. The result names its material: material id | sealed record."""
        material_id = self.current_material()
        cipher = RecordCipher(self.server_key(label, material_id))
        return material_id + cipher.seal(secret, associated_data=place, nonce=self._random(_NONCE_BYTES))

    def open(self, label: bytes, sealed: bytes, *, place: bytes) -> bytes:
        """Raises IntegrityError if `sealed` was altered, moved, or sealed for another label."""
        material_id = bytes(sealed[:MATERIAL_ID_BYTES])
        if len(material_id) != MATERIAL_ID_BYTES:
            raise IntegrityError("a record of the server is too short")
        cipher = RecordCipher(self.server_key(label, material_id))
        return cipher.open(sealed[MATERIAL_ID_BYTES:], associated_data=place)

    def rotate(self, rows: Rows, *, now_ms: int, rotation_type: str = "ON_DEMAND") -> bool:
        """Give the service key new material; False if another transaction did so first. Call `catalog.bump`
        with it."""
        self.load(rows)
        added = self._materials.add(
            rows, self._key_id, replaces=self._current, now_ms=now_ms, rotation_type=rotation_type
        )
        return added is not None

    def rotate_if_due(self, rows: Rows, now_ms: int) -> bool:
        """The service key rotates by itself, every `ROTATION_PERIOD_MS`; one conditional transaction, so
        never twice."""
        self.load(rows)
        newest = keystore.find_material(rows, self._key_id, self._current)
        if newest is None or now_ms - newest.created_at < ROTATION_PERIOD_MS:
            return False
        if not self.rotate(rows, now_ms=now_ms, rotation_type="AUTOMATIC"):
            return False
        bump(rows)
        return True

    def _child(self, label: bytes, context: bytes, material_id: bytes) -> bytes:
        name = (label, context, material_id)
        child = self._children.get(name)
        if child is None:
            child = derive(self._open_material(material_id), label, context)
            if len(self._children) >= _CACHED_KEYS:
                self._children.clear()
            self._children[name] = child
        return child

    def _open_material(self, material_id: bytes) -> bytes:
        known = self._materials.known(self._key_id, material_id)
        if known is not None:
            return known

        def read(rows: Rows) -> bytes:
            if not self._key_id:
                self.load(rows)
            return self._materials.open(rows, self._key_id, material_id)

        return self._database.read_now(read)

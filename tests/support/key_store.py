"""A real store in a folder, with keys and their materials, and no server: for tests of seals, root and backups."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from s3al.kms.materials import Materials
from s3al.kms.root import StoreKeys
from s3al.kms.seals.opening import SealChoice
from s3al.kms.service_key import ensure_service_key
from s3al.kms.store_keys import open_keys, open_or_create_keys
from s3al.store import keystore, schema
from s3al.store.catalog import StreamRow, insert_streams
from s3al.store.files import FileBlobs
from s3al.store.keystore import CUSTOMER, KeyRow
from s3al.store.layout import StoreFolder, create_folder
from s3al.store.sqlite import SqliteDatabase

NOW = 1_700_000_000_000


@dataclass
class KeyStoreFolder:
    """folder/data, folder/config. expected: (key id, material id) -> material, of every material that was made."""

    place: Path
    option: str | None = None
    folder: StoreFolder = field(init=False)
    expected: dict[tuple[str, bytes], bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder = create_folder(self.place / "data")
        keys = open_or_create_keys(self.folder, self.choice, now_ms=NOW, random=secrets.token_bytes)
        schema.prepare(self.folder, keys.catalog_key)
        with self.database(keys) as database:
            database.write_now(
                lambda rows: ensure_service_key(rows, keys.root, now_ms=NOW, random=secrets.token_bytes)
            )

    @property
    def choice(self) -> SealChoice:
        return self.another(self.option)

    def another(self, option: str | None) -> SealChoice:
        return SealChoice(option, self.place / "config")

    def keys(self, option: str | None = None) -> StoreKeys:
        return open_keys(self.folder, self.another(option or self.option), random=secrets.token_bytes)

    @contextmanager
    def database(self, keys: StoreKeys | None = None) -> Iterator[SqliteDatabase]:
        keys = keys or self.keys()
        with closing(SqliteDatabase(self.folder.catalog, keys.catalog_key, self.folder.locks)) as database:
            yield database

    def add_key(self, key_id: str, materials: int = 1, **members: object) -> None:
        """A symmetric key, rotated `materials` - 1 times."""
        keys = self.keys()
        row = KeyRow(
            *(key_id, "000000000001", "us-east-1", CUSTOMER, "Enabled"),
            *("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT", "AWS_KMS", "", "{}"),
            **({"created_at": NOW} | members),  # type: ignore[arg-type]
        )
        opened = Materials(keys.root, random=secrets.token_bytes)
        with self.database(keys) as database:
            database.write_now(lambda rows: keystore.insert_key(rows, row))
            current: bytes | None = None
            for _ in range(materials):
                material, before = secrets.token_bytes(32), current
                current = database.write_now(
                    lambda rows, before=before, material=material: opened.add(  # type: ignore[misc]
                        rows, key_id, replaces=before, now_ms=NOW, material=material
                    )
                )
                assert current is not None
                self.expected[key_id, current] = material

    def opened(self, option: str | None = None, folder: StoreFolder | None = None) -> dict[tuple[str, bytes], bytes]:
        """Every expected material that the store still has, opened anew by one of its seals."""
        folder = folder or self.folder
        keys = open_keys(folder, self.another(option or self.option), random=secrets.token_bytes)
        materials = Materials(keys.root, random=secrets.token_bytes)
        with closing(SqliteDatabase(folder.catalog, keys.catalog_key, folder.locks)) as database:
            return {
                (key_id, material_id): database.read_now(
                    lambda rows, key_id=key_id, material_id=material_id: materials.open(rows, key_id, material_id)  # type: ignore[misc]
                )
                for key_id, material_id in self.expected
                if database.read_now(lambda rows, key_id=key_id: keystore.find_key(rows, key_id, "us-east-1"))  # type: ignore[misc]
            }

    def add_blob(self, content: bytes) -> str:
        """A blob that a row of `streams` names."""
        with closing(FileBlobs(self.folder.blobs)) as blobs, self.database() as database:
            writer = blobs.create()
            writer.write(content)
            writer.finish()
            stream = StreamRow(secrets.token_bytes(16), secrets.token_bytes(16), writer.name)
            database.write_now(lambda rows: insert_streams(rows, [stream]))
            return writer.name


def blob_path(folder: StoreFolder, name: str) -> Path:
    incarnation, _, rest = name.partition("/")
    return folder.blobs / incarnation / rest[:2] / rest

"""The root key: what it wraps, and how a store's keys are made and opened.

What lives here: the `RootPort` through which everything else reaches the root, `Root` (its versions in memory),
`create_store_keys` and `open_store_keys`. What does not: seals (seal), the file (store.layout), rotation of the
root (root_rotation), the rows that hold what was wrapped (store.keystore).

Laws: the root wraps only the catalog key and key materials, each bound to its place and to the root version; an
unknown version is read again from the seal once and then refused, never replaced by another; no root key is
ever returned by a port.

Source: spec/key-hierarchy.md, Root.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from s3al.crypto.encoding import canonical
from s3al.crypto.keys import unwrap, wrap
from s3al.errors import ConfigError, IntegrityError
from s3al.kms.seals.port import Random, Seal
from s3al.kms.store_document import RootRecord, SealRecord, StoreDocument

ROOT_KEY_BYTES = 32
CATALOG_KEY_BYTES = 32
PRIMARY_SEAL = "primary"
RECOVERY_SEAL = "recovery"
_WRAP_RANDOM_BYTES = 28


@dataclass(frozen=True, slots=True)
class Wrapped:
    """A secret under one version of the root."""

    root_version: int
    sealed: bytes


class RootPort(Protocol):
    """All that the rest of the house may ask of the root. `place`: canonical bytes of where the result is stored."""

    @property
    def current_version(self) -> int: ...

    def wrap(self, secret: bytes, *, version: int, place: bytes) -> Wrapped:
        """Under the version that the rows call current, which a rotation moves last."""
        ...

    def unwrap(self, wrapped: Wrapped, *, place: bytes) -> bytes:
        """Raises IntegrityError: altered, moved, or under a version that this store does not have."""
        ...


class Root:
    """The versions of the root in memory.

    read_again: called when a row names a version that is not here, because the root was rotated meanwhile.
    """

    __slots__ = ("_current", "_random", "_versions", "read_again", "store_id")

    def __init__(self, store_id: bytes, versions: Mapping[int, bytes], current: int, *, random: Random) -> None:
        self.store_id = store_id
        self._versions = dict(versions)
        self._current = current
        self._random = random
        self.read_again: Callable[[], Root] | None = None

    def __repr__(self) -> str:
        return f"Root(current={self._current}, versions={sorted(self._versions)})"

    @property
    def current_version(self) -> int:
        return self._current

    def wrap(self, secret: bytes, *, version: int, place: bytes) -> Wrapped:
        where = _versioned(self.store_id, version, place)
        random = self._random(_WRAP_RANDOM_BYTES)
        return Wrapped(version, wrap(self._key(version), secret, associated_data=where, random=random))

    def unwrap(self, wrapped: Wrapped, *, place: bytes) -> bytes:
        where = _versioned(self.store_id, wrapped.root_version, place)
        return unwrap(self._key(wrapped.root_version), wrapped.sealed, associated_data=where)

    @property
    def versions(self) -> tuple[int, ...]:
        return tuple(sorted(self._versions))

    def refresh(self) -> None:
        """Read the store's document again, where this root knows how to: another process may have rotated it."""
        if self.read_again is not None:
            self.adopt(self.read_again())

    def adopt(self, other: Root) -> None:
        """Take over the versions of `other`, opened from a newer document of the same store.

        Those that were known before stay known to this process: a worker may just have read a row under one of them.
        """
        if not hmac.compare_digest(self.store_id, other.store_id):
            raise IntegrityError("store.json belongs to another store")
        self._versions, self._current = self._versions | other._versions, other._current

    def sealed_by(self, version: int, seal: Seal) -> bytes:
        """This root version under a further seal; the root key itself does not leave."""
        return seal.seal(self._key(version), place=_sealed_place(self.store_id, version), random=self._random)

    def check_value_of(self, seal: Seal) -> bytes:
        return seal.check_value(self.store_id, random=self._random)

    def _key(self, version: int) -> bytes:
        if version not in self._versions:
            self.refresh()
        try:
            return self._versions[version]
        except KeyError:
            raise IntegrityError("wrapped under a version of the root that this store does not have") from None


@dataclass(frozen=True, slots=True)
class StoreKeys:
    """What an opened store stands on. The document is as read, or as to be written."""

    store_id: bytes
    document: StoreDocument
    root: Root
    catalog_key: bytes = field(repr=False)


def create_store_keys(store_id: bytes, seals: Sequence[Seal], *, now_ms: int, random: Random) -> StoreKeys:
    """Draw the root and the catalog key of a new store. Write `keys.document.to_json()` before anything else.

    seals: the daily one first; a second one, if given, is the recovery seal.
    """
    catalog_key = random(CATALOG_KEY_BYTES)
    root = Root(store_id, {1: random(ROOT_KEY_BYTES)}, 1, random=random)
    document = StoreDocument(
        store_id=store_id,
        current_root=1,
        roots=(RootRecord(1, now_ms, root.wrap(catalog_key, version=1, place=_CATALOG_PLACE).sealed),),
        seals=tuple(
            new_record(name, seal, root)
            for name, seal in zip((PRIMARY_SEAL, RECOVERY_SEAL), seals, strict=False)
        ),
    )
    return StoreKeys(store_id, document, root, catalog_key)


def open_store_keys(
    document: Mapping[str, Any],
    seal: Seal,
    *,
    random: Random,
    read_document: Callable[[], Mapping[str, Any]] | None = None,
) -> StoreKeys:
    """Open a store with any one of its seals.

    read_document: reads store.json again; with it a running process follows a rotation of the root.
    Raises ConfigError if the seal's key is not one of this store's, IntegrityError if the document was altered.
    """
    parsed = StoreDocument.from_json(document)
    root = open_root(parsed, seal, random=random)
    if read_document is not None:
        read = read_document
        root.read_again = lambda: open_root(StoreDocument.from_json(read()), seal, random=random)
    wrapped = Wrapped(parsed.current_root, parsed.root(parsed.current_root).catalog_key)
    catalog_key = root.unwrap(wrapped, place=_CATALOG_PLACE)
    return StoreKeys(parsed.store_id, parsed, root, catalog_key)


def add_root_version(keys: StoreKeys, seals: Sequence[Seal], *, now_ms: int, random: Random) -> StoreDocument:
    """The document with a new current version beside the old ones.

    Every seal of the store must be given: a seal that does not open the newest root would be no seal.
    """
    document = keys.document
    version = max(document.versions) + 1
    staged = Root(keys.store_id, {version: random(ROOT_KEY_BYTES)}, version, random=random)
    records = []
    for record in document.seals:
        seal = _matching(record, seals, keys.store_id)
        sealed = {**record.sealed_roots, version: staged.sealed_by(version, seal)}
        records.append(replace(record, sealed_roots=sealed))
    catalog = staged.wrap(keys.catalog_key, version=version, place=_CATALOG_PLACE).sealed
    roots = (*document.roots, RootRecord(version, now_ms, catalog))
    return StoreDocument(keys.store_id, version, roots, tuple(records))


def drop_root_versions(document: StoreDocument) -> StoreDocument:
    """The document with its current version alone."""
    current = document.current_root
    seals = tuple(replace(seal, sealed_roots={current: seal.sealed_roots[current]}) for seal in document.seals)
    return StoreDocument(document.store_id, current, (document.root(current),), seals)


_CATALOG_PLACE = canonical(b"s3al catalog key v1")


def open_root(document: StoreDocument, seal: Seal, *, random: Random) -> Root:
    """All versions of the root that the document names."""
    record = _record_of(document, seal)
    versions = {
        version: seal.unseal(sealed, place=_sealed_place(document.store_id, version))
        for version, sealed in record.sealed_roots.items()
    }
    return Root(document.store_id, versions, document.current_root, random=random)


def record_of(document: StoreDocument, seal: Seal) -> SealRecord | None:
    """The record of the document that is this seal's. Raises IntegrityError if none is, though the seal opens one: then
    the document is damaged, not the seal wrong."""
    own = [record for record in document.seals if record.kind == seal.kind]
    for record in own:
        if seal.recognises(record.check_value, document.store_id):
            return record
    for record in own:
        for version, sealed in record.sealed_roots.items():
            if _opens(seal, sealed, place=_sealed_place(document.store_id, version)):
                raise IntegrityError(f"the record of the {record.name} seal in store.json is damaged")
    return None


def _opens(seal: Seal, sealed: bytes, *, place: bytes) -> bool:
    try:
        seal.unseal(sealed, place=place)
    except IntegrityError:
        return False
    return True


def new_record(name: str, seal: Seal, root: Root) -> SealRecord:
    """Every version of the root that `root` has, under a seal that the store does not have yet."""
    sealed = {version: root.sealed_by(version, seal) for version in root.versions}
    return SealRecord(name, seal.kind, root.check_value_of(seal), sealed, seal.parameters)


def _record_of(document: StoreDocument, seal: Seal) -> SealRecord:
    record = record_of(document, seal)
    if record is None:
        raise ConfigError(
            f"{seal.describe()} holds a key, but not one of this store's",
            advice=f"name the seal of store {document.store_id.hex()} with --root-key",
        )
    return record


def _matching(record: SealRecord, seals: Sequence[Seal], store_id: bytes) -> Seal:
    for seal in seals:
        if seal.kind == record.kind and seal.recognises(record.check_value, store_id):
            return seal
    raise ConfigError(f"the {record.name} seal ({record.kind}) is needed too", advice="name it with --root-key")


def _sealed_place(store_id: bytes, version: int) -> bytes:
    return canonical(b"s3al sealed root v1", store_id, version.to_bytes(4, "big"))


def _versioned(store_id: bytes, version: int, place: bytes) -> bytes:
    return canonical(b"s3al root wrap v1", store_id, version.to_bytes(4, "big"), place)

"""Checkpoints: a signed statement of how long each chain is, and of the hash of all its records.

What lives here: the statement, its signature, the file of the last ones. What does not: who writes them when
(keeper), comparing them with the chains (verification).

Laws: a checkpoint is written only of records that are durable; its key is sealed in the catalog and its signature is
verified before anything is believed. Whoever has the root key can sign; against him, and against a trail put back
with its checkpoints to a former state, a checkpoint helps that was exported.

Source: spec/trail-format.md, Checkpoints; RFC 8032 (Ed25519).
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from s3al.errors import ConfigError, IntegrityError, StoreError
from s3al.store.database import Rows
from s3al.store.layout import replace_file
from s3al.store.meta import get_meta, put_meta
from s3al.trail.frames import TrailKeys, start_of_chain

CHECKPOINTS = "checkpoints"
FORMAT = "s3al trail checkpoint v1"
_MOST_FILE_BYTES = 1 << 20
_SIGNER_ROW = "trail_signer"
_SIGNER_LABEL = b"trail signer"
_LABEL = b"trail checkpoint"
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class ChainState:
    """A chain up to a record. count: records. head: 32 bytes, hash of all of them. file, offset: where they end."""

    count: int
    head: bytes
    file: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """number: from 1. at: UTC ms. chains: by incarnation. key, signature: raw bytes of Ed25519."""

    store_id: bytes
    number: int
    at: int
    chains: Mapping[str, ChainState]
    key: bytes = b""
    signature: bytes = field(default=b"", repr=False)

    def signed_bytes(self) -> bytes:
        """What the signature covers: JSON with sorted members and no spaces."""
        return json.dumps(self._statement(), sort_keys=True, separators=(",", ":")).encode()

    def to_json(self) -> dict[str, Any]:
        return self._statement() | {"public_key": self.key.hex(), "signature": self.signature.hex()}

    def _statement(self) -> dict[str, Any]:
        chains = {
            name: {"count": one.count, "head": one.head.hex(), "file": one.file, "offset": one.offset}
            for name, one in self.chains.items()
        }
        stated = {"format": FORMAT, "store_id": self.store_id.hex(), "number": self.number, "at_ms": self.at}
        return stated | {"chains": chains}

    @classmethod
    def from_json(cls, document: Any) -> Checkpoint:
        """Raises IntegrityError unless it is one, well formed and signed by the key that it names."""
        try:
            if document["format"] != FORMAT:
                raise ValueError
            chains = {
                str(name): ChainState(
                    int(one["count"]), bytes.fromhex(one["head"]), int(one["file"]), int(one["offset"])
                )
                for name, one in document["chains"].items()
            }
            found = cls(
                bytes.fromhex(document["store_id"]),
                int(document["number"]),
                int(document["at_ms"]),
                chains,
                bytes.fromhex(document["public_key"]),
                bytes.fromhex(document["signature"]),
            )
            Ed25519PublicKey.from_public_bytes(found.key).verify(found.signature, found.signed_bytes())
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError, InvalidSignature):
            raise IntegrityError("a checkpoint is not what was signed") from None
        return found


class Signer:
    """The key that signs. Made once for a store."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = key.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"Signer({self.public.hex()[:8]})"

    def sign(self, checkpoint: Checkpoint) -> Checkpoint:
        signature = self._key.sign(checkpoint.signed_bytes())
        return Checkpoint(
            checkpoint.store_id, checkpoint.number, checkpoint.at, checkpoint.chains, self.public, signature
        )


def find_signer(rows: Rows, keys: TrailKeys, store_id: bytes) -> Signer | None:
    """Raises IntegrityError if it does not open."""
    sealed = get_meta(rows, _SIGNER_ROW)
    if sealed is None:
        return None
    try:
        raw = keys.open(_SIGNER_LABEL, bytes.fromhex(sealed), place=store_id)
    except ValueError:
        raise IntegrityError("the key that signs checkpoints does not open") from None
    return Signer(Ed25519PrivateKey.from_private_bytes(raw))


def ensure_signer(rows: Rows, keys: TrailKeys, store_id: bytes) -> Signer:
    """Part of a write transaction."""
    found = find_signer(rows, keys, store_id)
    if found is None:
        key = Ed25519PrivateKey.generate()
        sealed = keys.seal(_SIGNER_LABEL, key.private_bytes_raw(), place=store_id)
        put_meta(rows, _SIGNER_ROW, sealed.hex())
        found = Signer(key)
    return found


class CheckpointFile:
    """The last checkpoints of a store, sealed: length (u32), sealed checkpoint, again and again."""

    def __init__(self, folder: Path, keys: TrailKeys, store_id: bytes) -> None:
        self._path, self._keys, self._place = folder / CHECKPOINTS, keys, store_id
        self._left: tuple[int, Checkpoint] | None = None  # the file's size and its last, as this writer left them

    def add(self, checkpoint: Checkpoint) -> None:
        """Durable when this returns. Raises StoreError. One writer at a time."""
        document = json.dumps(checkpoint.to_json(), separators=(",", ":")).encode()
        sealed = self._keys.seal(_LABEL, document, place=self._place)
        content = _LENGTH.pack(len(sealed)) + sealed
        try:
            size = self._size()
            if size == 0 or size + len(content) > _MOST_FILE_BYTES or (not self._is_as_left() and self._is_torn()):
                size = 0
                replace_file(self._path, content)
            else:
                self._left = None  # until it is there as a whole
                with self._path.open("ab", buffering=0) as file:
                    file.write(content)
                    os.fdatasync(file.fileno())
            self._left = (size + len(content), checkpoint)
        except OSError as error:
            raise StoreError(f"a checkpoint of the trail could not be written: {error.strerror}") from error

    def read(self) -> list[Checkpoint]:
        """The last ones, oldest first. Raises IntegrityError if one is altered, StoreError if they cannot be read."""
        found = []
        for sealed in self._sealed():
            document = self._keys.open(_LABEL, sealed, place=self._place)
            found.append(Checkpoint.from_json(json.loads(document)))
        return found

    def last(self) -> Checkpoint | None:
        """Remembered by who wrote it, since reading all of them every second costs more than signing."""
        if self._left and self._is_as_left():
            return self._left[1]
        sealed = self._sealed()
        if not sealed:
            return None
        return Checkpoint.from_json(json.loads(self._keys.open(_LABEL, sealed[-1], place=self._place)))

    def _sealed(self) -> list[bytes]:
        raw, found, at = self._raw(), [], 0
        while at + _LENGTH.size <= len(raw):
            (length,) = _LENGTH.unpack_from(raw, at)
            if at + _LENGTH.size + length > len(raw):
                break  # torn by a crash: it vouched for nothing that another does not
            found.append(raw[at + _LENGTH.size : at + _LENGTH.size + length])
            at += _LENGTH.size + length
        return found

    def _size(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0

    def _is_as_left(self) -> bool:
        return self._left is not None and self._size() == self._left[0]

    def _is_torn(self) -> bool:
        return sum(_LENGTH.size + len(sealed) for sealed in self._sealed()) != len(self._raw())

    def _raw(self) -> bytes:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise StoreError(f"the trail's checkpoints cannot be read: {error.strerror}") from error


def load_exported(path: Path) -> Checkpoint:
    """A checkpoint that was exported. Raises ConfigError if there is none."""
    try:
        return Checkpoint.from_json(json.loads(path.read_bytes()))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} holds no checkpoint", advice="give the file that --to wrote") from error
    except IntegrityError as error:
        raise ConfigError(f"{path}: {error}", advice="fetch it from where it was kept") from error


def empty_state(store_id: bytes, incarnation: str) -> ChainState:
    return ChainState(0, start_of_chain(store_id, incarnation))

"""The file format of the trail: a head, then sealed records, each bound to all before it.

What lives here: encoding and decoding of heads and frames, the chain's hash, the keys of files. What does not: files
(chain, reading), what records say (events), what is wrong with a chain (verification).

Laws: a record opens only in its place: store, chain, number and the hash of everything before are its associated
data. The head of a chain is the hash of all its sealed records, so that it can be followed without any key. Not
detected here: that the end of a chain is missing; checkpoints are for that.

Source: spec/trail-format.md.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from s3al.crypto.encoding import canonical
from s3al.crypto.keys import derive
from s3al.crypto.records import OVERHEAD_BYTES, RecordCipher
from s3al.errors import IntegrityError

MAGIC = b"s3altrl\x01"
HASH_BYTES = 32
MOST_RECORD_BYTES = 1 << 20
# Magic, material id, incarnation, file number, number of the first record, time in ms, head of the chain before.
_HEAD = struct.Struct(">8s32s8sIQQ32s")
HEAD_BYTES = _HEAD.size
_FRAME = struct.Struct(">IQ")  # sealed bytes, number of the record in its chain
FRAME_HEAD_BYTES = _FRAME.size
_LABEL = b"trail"
_FILE_LABEL = b"s3al trail file v1"


class TrailKeys(Protocol):
    """The server's own keys, by label and material."""

    def current_material(self) -> bytes: ...

    def server_key(self, label: bytes, material_id: bytes) -> bytes: ...

    def seal(self, label: bytes, secret: bytes, *, place: bytes) -> bytes: ...

    def open(self, label: bytes, sealed: bytes, *, place: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class FileHead:
    """How a file begins. first: number of its first record, from 0. opened_at: UTC ms. before: the chain's head."""

    material_id: bytes
    incarnation: str
    number: int
    first: int
    opened_at: int
    before: bytes

    def encode(self) -> bytes:
        fields = (bytes.fromhex(self.incarnation), self.number, self.first, self.opened_at, self.before)
        return _HEAD.pack(MAGIC, self.material_id, *fields)

    @classmethod
    def decode(cls, raw: bytes) -> FileHead:
        """Raises IntegrityError for anything that is not such a head."""
        if len(raw) < HEAD_BYTES or not raw.startswith(MAGIC):
            raise IntegrityError("a file of the trail does not begin as one")
        _, material_id, incarnation, number, first, opened_at, before = _HEAD.unpack_from(raw)
        return cls(material_id, incarnation.hex(), number, first, opened_at, before)


@dataclass(frozen=True, slots=True)
class Frame:
    """One sealed record. end: offset of what follows it."""

    number: int
    sealed: bytes
    end: int


def start_of_chain(store_id: bytes, incarnation: str) -> bytes:
    """The head of a chain that has no record yet."""
    return hashlib.sha256(canonical(b"s3al trail", store_id, incarnation.encode())).digest()


def next_head(head: bytes, number: int, sealed: bytes) -> bytes:
    """The head of a chain after one more record. number: the record's, from 0."""
    return hashlib.sha256(head + number.to_bytes(8, "big") + sealed).digest()


def frames(raw: bytes, start: int) -> Iterator[Frame]:
    """All whole frames from `start` on. What is left after the last of them is torn, or not of this program."""
    at, size = start, len(raw)
    while at + FRAME_HEAD_BYTES <= size:
        length, number = _FRAME.unpack_from(raw, at)
        end = at + FRAME_HEAD_BYTES + length
        if not OVERHEAD_BYTES <= length <= MOST_RECORD_BYTES + OVERHEAD_BYTES or end > size:
            return
        yield Frame(number, raw[at + FRAME_HEAD_BYTES : end], end)
        at = end


class FileCipher:
    """Seals and opens the records of one file."""

    __slots__ = ("_cipher", "_place")

    def __init__(self, keys: TrailKeys, store_id: bytes, head: FileHead) -> None:
        place = canonical(store_id, head.encode())
        self._cipher = RecordCipher(derive(keys.server_key(_LABEL, head.material_id), _FILE_LABEL, place))
        self._place = canonical(store_id, head.incarnation.encode())

    def seal(self, plaintext: bytes, *, number: int, before: bytes) -> bytes:
        """The nonce is the record's number, under a key that belongs to one file."""
        nonce = number.to_bytes(12, "big")
        return self._cipher.seal(plaintext, associated_data=self._associated(nonce, before), nonce=nonce)

    def open(self, frame: Frame, *, before: bytes) -> bytes:
        """Raises IntegrityError: altered, or not what stood in this place."""
        associated = self._associated(frame.number.to_bytes(12, "big"), before)
        return self._cipher.open(frame.sealed, associated_data=associated)

    def _associated(self, number: bytes, before: bytes) -> bytes:
        return self._place + number + before


def framed(number: int, sealed: bytes) -> bytes:
    return _FRAME.pack(len(sealed), number) + sealed

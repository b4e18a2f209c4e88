"""Bodies to be written: bytes, files, pipes, sockets, generators, read in pieces of one size.

What lives here: `Source`. What does not: encrypting what it gives.

Laws: a short read is not the end; only an empty one is. Whatever the body raises becomes a SourceError, so that a
caller can tell its own failure from that of S3. A body's length is used to choose, never believed.
"""

from __future__ import annotations

import hashlib
import io
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from s3al.client.errors import ClientConfigError, SourceError
from s3al.client.formats.text import encode_binary

CHUNK_BYTES: Final = 1024 * 1024


class Source:
    """Reads one body once. length: bytes that remain, if that can be known; None otherwise."""

    def __init__(self, body: Any, *, watch: Callable[[memoryview], None] | None = None) -> None:
        """watch: sees every piece of plaintext, for checksums and progress."""
        self.length: int | None = None
        self._view: memoryview | None = None
        self._readinto: Callable[[memoryview], int] | None = None
        self._watch = watch
        if body is None:
            body = b""
        if isinstance(body, str):
            body = body.encode("utf-8")
        if isinstance(body, bytes | bytearray | memoryview):
            self._view = memoryview(body).cast("B")
            self.length = len(self._view)
        elif hasattr(body, "read"):
            self.length = _remaining(body)
            self._readinto = _file_reader(body)
        elif isinstance(body, Iterable):
            self._readinto = _iterator_reader(iter(body))
        else:
            raise ClientConfigError("a body is bytes, an object with read(), or an iterable of bytes")
        size = CHUNK_BYTES if self.length is None else min(CHUNK_BYTES, self.length + 1)
        self._buffer = bytearray(size if self._view is None else 0)

    def read(self) -> memoryview:
        """The next piece, full but for the last, empty at the end; valid until the next call. Raises SourceError."""
        piece = self._next_piece()
        if self._watch is not None and piece:
            self._watch(piece)
        return piece

    def _next_piece(self) -> memoryview:
        if self._view is not None:
            piece, self._view = self._view[:CHUNK_BYTES], self._view[CHUNK_BYTES:]
            return piece
        assert self._readinto is not None
        room, filled = memoryview(self._buffer), 0
        try:
            while filled < len(room):
                count = self._readinto(room[filled:])
                if not count:
                    break
                filled += count
        except Exception as exc:
            raise SourceError(f"the body failed while it was read ({type(exc).__name__})") from exc
        if filled == len(room) < CHUNK_BYTES:
            self._buffer = bytearray(CHUNK_BYTES)  # longer than it said
            self._buffer[:filled] = room
            return memoryview(self._buffer)[:filled]
        return room[:filled]


def _remaining(body: Any) -> int | None:
    try:
        if isinstance(body, io.BytesIO):
            return max(0, body.getbuffer().nbytes - body.tell())
        return max(0, os.fstat(body.fileno()).st_size - int(body.tell()))
    except (AttributeError, OSError, ValueError, io.UnsupportedOperation):
        return None


def _file_reader(body: Any) -> Callable[[memoryview], int]:
    readinto = getattr(body, "readinto", None)

    def read_some(room: memoryview) -> int:
        if readinto is not None:
            count = readinto(room)
            if count is None:
                raise BlockingIOError("the body would block")
            return int(count)
        piece = body.read(len(room))
        if isinstance(piece, str):
            raise TypeError("the body gives text, not bytes")
        room[: len(piece)] = piece
        return len(piece)

    return read_some


def _iterator_reader(pieces: Iterator[Any]) -> Callable[[memoryview], int]:
    held = memoryview(b"")

    def read_some(room: memoryview) -> int:
        nonlocal held
        while not held:
            piece = next(pieces, None)
            if piece is None:
                return 0
            held = memoryview(piece).cast("B")
        count = min(len(room), len(held))
        room[:count] = held[:count]
        held = held[count:]
        return count

    return read_some


class PlaintextChecks:
    """Checksums and length that a caller gave for the plaintext: verified here, and never sent."""

    _HASHES: Final = {"ContentMD5": "md5", "ChecksumSHA1": "sha1", "ChecksumSHA256": "sha256"}
    _UNKNOWN: Final = frozenset({"ChecksumCRC32C", "ChecksumCRC64NVME"})

    def __init__(self, parameters: dict[str, Any]) -> None:
        """Takes its entries out of `parameters`. Raises ClientConfigError for those that cannot be verified here."""
        if parameters.keys() & self._UNKNOWN:
            raise ClientConfigError(
                "a CRC32C or CRC64NVME of the plaintext cannot be verified here",
                advice="Leave it out: the content is authenticated, and boto3 sends a checksum of the ciphertext.",
            )
        self._length: int | None = parameters.pop("ContentLength", None)
        self._crc32: str | None = parameters.pop("ChecksumCRC32", None)
        self._expected: dict[str, str] = {name: parameters.pop(name) for name in self._HASHES if name in parameters}
        self._hashes = {name: hashlib.new(self._HASHES[name], usedforsecurity=False) for name in self._expected}
        self._crc, self._bytes = 0, 0

    def watch(self, piece: memoryview) -> None:
        self._bytes += len(piece)
        for one in self._hashes.values():
            one.update(piece)
        if self._crc32 is not None:
            self._crc = zlib.crc32(piece, self._crc)

    def verify(self) -> None:
        """Raises SourceError if the body was not what the caller said."""
        found = {name: encode_binary(one.digest()) for name, one in self._hashes.items()}
        if self._crc32 is not None:
            found["ChecksumCRC32"] = encode_binary(self._crc.to_bytes(4, "big"))
        expected = self._expected | ({"ChecksumCRC32": self._crc32} if self._crc32 is not None else {})
        if self._length is not None and self._length != self._bytes:
            raise SourceError("the body does not have the ContentLength given")
        for name, value in expected.items():
            if found[name] != value:
                raise SourceError(f"the body does not have the {name} given")

"""Sealed streams: object bytes in Tink's Streaming AEAD format AES-256-GCM-HKDF.

What lives here: the arithmetic of segments, sealing and opening by segment, and sealing and opening by chunks of any
size. What does not: which key and place (keys, context), and where the bytes lie.

Laws: a stream is HEADER | segment 0 | segment 1 | ...; its key comes from stream key, random salt and associated data,
so a segment's nonce (prefix, number, last-flag) is used once. No plaintext leaves before its own tag was checked.
The header counts as part of the first segment: every segment begins at a multiple of `segment_bytes`.
Detected: flipped, cut, added, repeated, reordered and foreign segments. Not detected: a whole stream put back into its
own place (nothing is ever sealed twice under one stream id); by `StreamOpener.update` alone, that the end is missing.

Source: spec/object-format.md, Streams; https://developers.google.com/tink/streaming-aead/aes_gcm_hkdf_streaming
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, TypeAlias, overload

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from s3al.crypto.keys import KEY_BYTES, hkdf_sha256
from s3al.errors import IntegrityError

Buffer: TypeAlias = bytes | bytearray | memoryview
WritableBuffer: TypeAlias = bytearray | memoryview

SALT_BYTES: Final = 32
NONCE_PREFIX_BYTES: Final = 7
STREAM_RANDOM_BYTES: Final = SALT_BYTES + NONCE_PREFIX_BYTES
HEADER_BYTES: Final = 1 + STREAM_RANDOM_BYTES
TAG_BYTES: Final = 16
MIN_SEGMENT_BYTES: Final = 4 * 1024
MAX_SEGMENT_BYTES: Final = 4 * 1024 * 1024
MAX_SEGMENTS: Final = 2**32  # the segment number is a u32
DEFAULT_SEGMENT_BYTES: Final = 128 * 1024  # measured: spec/object-format.md, Segment size

_NONCE = struct.Struct(">7sIB")
_CANNOT_OPEN = "a sealed stream does not open in this place"


def sealed_bytes(plaintext_bytes: int, segment_bytes: int) -> int:
    """Bytes of the stream that holds `plaintext_bytes`, with header and tags. Raises ValueError past 2^32 segments."""
    _check_segment_bytes(segment_bytes)
    if plaintext_bytes < 0:
        raise ValueError("a stream cannot hold less than nothing")
    segments = -(-(plaintext_bytes + HEADER_BYTES) // (segment_bytes - TAG_BYTES))
    if segments > MAX_SEGMENTS:
        raise ValueError("a stream holds at most 2^32 segments")
    return HEADER_BYTES + plaintext_bytes + segments * TAG_BYTES


def plaintext_bytes(sealed_bytes: int, segment_bytes: int) -> int:
    """Bytes of plaintext in a stream of `sealed_bytes`. Raises IntegrityError if no stream has that length."""
    segments = _segments(sealed_bytes, segment_bytes)
    last_bytes = sealed_bytes - (segments - 1) * segment_bytes
    # Only the stream of nothing has an empty segment; otherwise one plaintext would have two streams.
    least = HEADER_BYTES + TAG_BYTES if segments == 1 else TAG_BYTES + 1
    if last_bytes < least:
        raise IntegrityError("no sealed stream has this length")
    return sealed_bytes - HEADER_BYTES - segments * TAG_BYTES


def segment_span(index: int, sealed_total: int, segment_bytes: int) -> tuple[int, int]:
    """(offset, length) in the stream of the ciphertext and tag of segment `index`; for segment 0 without the header.

    Raises IntegrityError if the stream has no such segment.
    """
    if not 0 <= index < _segments(sealed_total, segment_bytes):
        raise IntegrityError("the sealed stream has no such segment")
    start = index * segment_bytes if index else HEADER_BYTES
    return start, min((index + 1) * segment_bytes, sealed_total) - start


def plaintext_offset(index: int, segment_bytes: int) -> int:
    """Offset in the plaintext of the first byte of segment `index`."""
    return index * (segment_bytes - TAG_BYTES) - HEADER_BYTES if index else 0


def segments_for(offset: int, length: int, total_plain: int, segment_bytes: int) -> range:
    """The segments to open for `length` bytes of plaintext from `offset`, of a stream with `total_plain` bytes.

    A stream of nothing still has segment 0, which proves that it is empty. Raises ValueError for a range outside.
    """
    if offset < 0 or length < 0 or offset + length > total_plain:
        raise ValueError("the range lies outside the stream")
    if total_plain == 0:
        return range(1)
    if length == 0:
        return range(0)
    capacity = segment_bytes - TAG_BYTES
    first = (offset + HEADER_BYTES) // capacity
    last = (offset + length - 1 + HEADER_BYTES) // capacity
    return range(first, last + 1)


class SegmentSealer:
    """Seals the segments of one stream in order. For one thread at a time; the GIL is free while it encrypts."""

    __slots__ = ("_cipher", "_index", "_prefix", "_sealed_last", "header", "segment_bytes")

    def __init__(
        self, stream_key: bytes, associated_data: bytes, *, random: bytes, segment_bytes: int = DEFAULT_SEGMENT_BYTES
    ) -> None:
        """random: 39 fresh random bytes, salt and nonce prefix."""
        _check_segment_bytes(segment_bytes)
        if len(random) != STREAM_RANDOM_BYTES:
            raise ValueError("a stream takes 39 random bytes")
        self.segment_bytes = segment_bytes
        self.header = bytes((HEADER_BYTES,)) + random  # precedes the ciphertext of segment 0
        self._cipher, self._prefix = _open_header(stream_key, associated_data, self.header)
        self._index = 0
        self._sealed_last = False

    @property
    def capacity(self) -> int:
        """Bytes of plaintext that the next segment takes: exactly so many, unless it is the last."""
        return self.segment_bytes - TAG_BYTES - (0 if self._index else HEADER_BYTES)

    @overload
    def seal(self, plaintext: Buffer, *, last: bool, into: None = None) -> bytes: ...
    @overload
    def seal(self, plaintext: Buffer, *, last: bool, into: WritableBuffer) -> memoryview: ...
    def seal(self, plaintext: Buffer, *, last: bool, into: WritableBuffer | None = None) -> bytes | memoryview:
        """Ciphertext and tag of the next segment; with `into`, written at its start and returned as a view of it.

        Every segment but the last is full, and the last is empty only if it is also the first. Raises ValueError
        otherwise, and after the last.
        """
        nonce = self._next_nonce(len(plaintext), last)
        if into is None:
            return self._cipher.encrypt(nonce, plaintext, None)
        written = memoryview(into)[: len(plaintext) + TAG_BYTES]
        self._cipher.encrypt_into(nonce, plaintext, None, written)
        return written

    def _next_nonce(self, length: int, last: bool) -> bytes:
        fits = length == self.capacity or (last and length < self.capacity and (length > 0 or self._index == 0))
        if self._sealed_last or not fits or self._index >= MAX_SEGMENTS:
            raise ValueError("segments are full, but for the last, and none follows the last")
        nonce = _NONCE.pack(self._prefix, self._index, last)
        self._index += 1
        self._sealed_last = last
        return nonce


class SegmentOpener:
    """Opens any segment of one stream, in any order, from any thread.

    sealed_bytes: the length that the stream must have, header included, from the authenticated record: it says which
    segment is the last. Raises IntegrityError if no stream has that length, or the header is not one.
    """

    __slots__ = ("_cipher", "_prefix", "plaintext_bytes", "sealed_bytes", "segment_bytes", "segments")

    def __init__(
        self,
        stream_key: bytes,
        associated_data: bytes,
        *,
        header: Buffer,
        sealed_bytes: int,
        segment_bytes: int = DEFAULT_SEGMENT_BYTES,
    ) -> None:
        self.plaintext_bytes = plaintext_bytes(sealed_bytes, segment_bytes)
        self.sealed_bytes = sealed_bytes
        self.segment_bytes = segment_bytes
        self.segments = _segments(sealed_bytes, segment_bytes)
        self._cipher, self._prefix = _open_header(stream_key, associated_data, bytes(header))

    def open(self, index: int, ciphertext: Buffer) -> bytes:
        """Plaintext of segment `index`. ciphertext: the bytes of its `segment_span`. Raises IntegrityError."""
        nonce = self._nonce(index, len(ciphertext))
        try:
            return self._cipher.decrypt(nonce, ciphertext, None)
        except InvalidTag:
            raise IntegrityError(_CANNOT_OPEN) from None

    def open_into(self, index: int, ciphertext: Buffer, into: WritableBuffer) -> memoryview:
        """As `open`, written at the start of `into` and returned as a view of it. On IntegrityError `into` is void."""
        nonce = self._nonce(index, len(ciphertext))
        written = memoryview(into)[: len(ciphertext) - TAG_BYTES]
        try:
            self._cipher.decrypt_into(nonce, ciphertext, None, written)
        except InvalidTag:
            raise IntegrityError(_CANNOT_OPEN) from None
        return written

    def _nonce(self, index: int, length: int) -> bytes:
        if segment_span(index, self.sealed_bytes, self.segment_bytes)[1] != length:
            raise IntegrityError(_CANNOT_OPEN)
        return _NONCE.pack(self._prefix, index, index == self.segments - 1)


def open_single(stream_key: bytes, associated_data: bytes, sealed: bytes, *, segment_bytes: int) -> bytes:
    """The plaintext of a whole stream that has one segment; what `SegmentOpener` does, in one step.

    Raises IntegrityError; ValueError for a stream of more segments.
    """
    if len(sealed) > segment_bytes:
        raise ValueError("the stream has more than one segment")
    cipher, prefix = _open_header(stream_key, associated_data, sealed[:HEADER_BYTES])
    try:
        return cipher.decrypt(_NONCE.pack(prefix, 0, True), memoryview(sealed)[HEADER_BYTES:], None)
    except InvalidTag:
        raise IntegrityError(_CANNOT_OPEN) from None


class StreamSealer:
    """Seals chunks of any size: `update` as they come, then `finalize` once. The outputs, joined, are the stream."""

    __slots__ = ("_finished", "_held", "_sealer", "_started")

    def __init__(
        self, stream_key: bytes, associated_data: bytes, *, random: bytes, segment_bytes: int = DEFAULT_SEGMENT_BYTES
    ) -> None:
        """random: 39 fresh random bytes, salt and nonce prefix."""
        self._sealer = SegmentSealer(stream_key, associated_data, random=random, segment_bytes=segment_bytes)
        self._held = bytearray()
        self._started = False
        self._finished = False

    def room_bytes(self, plaintext_bytes: int) -> int:
        """Bytes that `update_into` can need for so many bytes of plaintext, or `finalize_into` for none."""
        segment_bytes = self._sealer.segment_bytes
        tags = TAG_BYTES * (plaintext_bytes // (segment_bytes - TAG_BYTES) + 1)
        return HEADER_BYTES + segment_bytes + plaintext_bytes + tags

    def update(self, plaintext: Buffer) -> bytes:
        """The header at first, and each segment that is known not to be the last."""
        header = self._begin()
        return b"".join([header, *[self._sealer.seal(s, last=False) for s in self._full_segments(plaintext)]])

    def update_into(self, plaintext: Buffer, into: WritableBuffer) -> memoryview:
        """As `update`, written at the start of `into` and returned as a view of it.

        For long streams: one buffer kept costs far less than fresh memory at every call. Raises ValueError, with
        nothing taken, if `into` is smaller than `room_bytes`.
        """
        view = self._room(into, len(plaintext))
        at = self._write_header(view)
        for segment in self._full_segments(plaintext):
            at += len(self._sealer.seal(segment, last=False, into=view[at:]))
        return view[:at]

    def finalize(self) -> bytes:
        """The last segment, and the header if nothing came before."""
        header = self._begin()
        self._finished = True
        return header + self._sealer.seal(self._held, last=True)

    def finalize_into(self, into: WritableBuffer) -> memoryview:
        """As `finalize`, written at the start of `into` and returned as a view of it."""
        view = self._room(into, 0)
        at = self._write_header(view)
        self._finished = True
        return view[: at + len(self._sealer.seal(self._held, last=True, into=view[at:]))]

    def _begin(self) -> bytes:
        """The header before the first output, then nothing."""
        if self._finished:
            raise ValueError("the stream is finished")
        header = b"" if self._started else self._sealer.header
        self._started = True
        return header

    def _write_header(self, view: memoryview) -> int:
        header = self._begin()
        view[: len(header)] = header
        return len(header)

    def _room(self, into: WritableBuffer, plaintext_bytes: int) -> memoryview:
        if len(into) < self.room_bytes(plaintext_bytes):
            raise ValueError("the buffer is smaller than room_bytes")
        return memoryview(into)

    def _full_segments(self, plaintext: Buffer) -> Iterator[Buffer]:
        """Segments to be sealed, each before the next is asked for; what remains is held.

        A full segment is held until another byte follows: only then is it not the last.
        """
        data = memoryview(plaintext)
        at = 0
        while len(self._held) + len(data) - at > self._sealer.capacity:
            taken = self._sealer.capacity - len(self._held)
            segment = data[at : at + taken]
            at += taken
            if self._held:
                self._held += segment
                yield self._held
                self._held = bytearray()
            else:
                yield segment
        self._held += data[at:]


class StreamOpener:
    """Opens a stream that comes in chunks of any size. Only authenticated segments are released.

    What `update` has released is true, but the stream is whole only when `finalize` has returned.
    After an IntegrityError it opens nothing more.
    """

    __slots__ = (
        "_associated_data",
        "_cipher",
        "_finished",
        "_held",
        "_index",
        "_prefix",
        "_stream_key",
        "segment_bytes",
    )

    def __init__(
        self, stream_key: bytes, associated_data: bytes, *, segment_bytes: int = DEFAULT_SEGMENT_BYTES
    ) -> None:
        _check_segment_bytes(segment_bytes)
        self.segment_bytes = segment_bytes
        self._stream_key = stream_key
        self._associated_data = associated_data
        self._cipher: AESGCM | None = None
        self._prefix = b""
        self._held = bytearray()
        self._index = 0
        self._finished = False

    def update(self, sealed: Buffer) -> bytes:
        """Plaintext of each segment that is known not to be the last. Raises IntegrityError."""
        if self._finished:
            raise ValueError("the stream is finished")
        data = memoryview(sealed)
        at = self._take_header(data)
        out = []
        while self._cipher is not None and len(self._held) + len(data) - at > self._room():
            taken = self._room() - len(self._held)
            segment: Buffer = data[at : at + taken]
            if self._held:
                self._held += segment
                segment, self._held = self._held, bytearray()
            out.append(self._open(self._cipher, segment, last=False))
            at += taken
        self._held += data[at:]
        return b"".join(out)

    def finalize(self) -> bytes:
        """Plaintext of the last segment. Raises IntegrityError: the stream was cut, also at the end of a segment."""
        if self._finished:
            raise ValueError("the stream is finished")
        self._finished = True
        if self._cipher is None or (self._index > 0 and len(self._held) <= TAG_BYTES):
            raise IntegrityError(_CANNOT_OPEN)
        return self._open(self._cipher, self._held, last=True)

    def _room(self) -> int:
        return self.segment_bytes - (0 if self._index else HEADER_BYTES)

    def _take_header(self, data: memoryview) -> int:
        """Number of bytes of `data` that were the rest of the header."""
        if self._cipher is not None:
            return 0
        taken = min(HEADER_BYTES - len(self._held), len(data))
        self._held += data[:taken]
        if len(self._held) == HEADER_BYTES:
            self._cipher, self._prefix = _open_header(self._stream_key, self._associated_data, bytes(self._held))
            self._held = bytearray()
        return taken

    def _open(self, cipher: AESGCM, segment: Buffer, *, last: bool) -> bytes:
        if self._index >= MAX_SEGMENTS:
            raise IntegrityError(_CANNOT_OPEN)
        nonce = _NONCE.pack(self._prefix, self._index, last)
        self._index += 1
        try:
            return cipher.decrypt(nonce, segment, None)
        except InvalidTag:
            self._finished = True
            raise IntegrityError(_CANNOT_OPEN) from None


def _open_header(stream_key: bytes, associated_data: bytes, header: bytes) -> tuple[AESGCM, bytes]:
    """(cipher of all segments, nonce prefix)."""
    if len(stream_key) != KEY_BYTES:
        raise ValueError("stream keys are 32 bytes")
    if len(header) != HEADER_BYTES or header[0] != HEADER_BYTES:
        raise IntegrityError(_CANNOT_OPEN)
    salt, prefix = header[1 : 1 + SALT_BYTES], header[1 + SALT_BYTES :]
    return AESGCM(hkdf_sha256(stream_key, salt, associated_data)), prefix


def _segments(sealed_bytes: int, segment_bytes: int) -> int:
    _check_segment_bytes(segment_bytes)
    segments = -(-sealed_bytes // segment_bytes)
    if not 0 < segments <= MAX_SEGMENTS:
        raise IntegrityError("no sealed stream has this length")
    return segments


def _check_segment_bytes(segment_bytes: int) -> None:
    if not MIN_SEGMENT_BYTES <= segment_bytes <= MAX_SEGMENT_BYTES:
        raise ValueError("segments are 4 KiB to 4 MiB")

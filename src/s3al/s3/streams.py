"""Plaintext bodies in, sealed streams out; and back, in ranges.

What lives here: the two pipelines that move an object's bytes. Upload: pieces from the network are gathered
into units; hashing one unit, sealing and writing it, and receiving the next run side by side. Download: a
group of segments is read and opened in a thread while the one before is sent. What does not: what the bytes
mean (objects), key choice (sse).

Laws: memory is bounded by a few units whatever the object's size; plaintext never reaches a file; before a
byte is released its segment is authenticated, and the blob's length equals the length the sealed record
implies.

Source: spec/object-format.md, Sealed stream. (hashlib and cryptography release the GIL, so the threads do
overlap.)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from s3al.crypto.context import stream_associated_data
from s3al.crypto.keys import stream_key
from s3al.crypto.stream import (
    HEADER_BYTES,
    SegmentOpener,
    StreamSealer,
    open_single,
    plaintext_offset,
    sealed_bytes,
    segment_span,
    segments_for,
)
from s3al.errors import IntegrityError, RequestError
from s3al.s3.ports import S3
from s3al.s3.records import Stream
from s3al.s3.sse import DataKeys
from s3al.store.blobs import BlobWriter
from s3al.wire.checksums import Digests

UNIT_BYTES = 1 << 20
_FEW_BODIES = (
    8  # up to so many at once take whole units; measured: 32 uploads held 312 MB so, and 247 MB with a quarter
)
_DIRECT_BYTES = 64 * 1024  # bodies up to this size are hashed and sealed on the spot: a thread hop costs more
_RANDOM_BYTES = 39


@dataclass(frozen=True, slots=True)
class StoredStream:
    """A stream that lies on disk (blob_name) or will lie in a row (sealed_body), not yet named by any
    record."""

    stream: Stream
    blob_name: str | None
    sealed_body: bytes | None = field(default=None, repr=False)


class Source(Protocol):
    """Random access to bytes: a blob, a row's body, or an opened layer."""

    @property
    def size_bytes(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes: ...


class _SealedWriter:
    """Seals one plaintext through every layer and writes it; small results stay in memory. Runs in one thread
    at a time."""

    def __init__(self, s3: S3, keys: DataKeys, bucket_id: bytes, object_id: bytes, stream_id: bytes) -> None:
        self._s3 = s3
        self._sealers = [
            StreamSealer(
                stream_key(key, stream_id),
                stream_associated_data(s3.store_id, bucket_id, object_id, stream_id, layer=layer),
                random=s3.random(_RANDOM_BYTES),
                segment_bytes=s3.segment_bytes,
            )
            for key, layer in zip(keys.layers, _layer_numbers(len(keys.layers)), strict=True)
        ]
        self._buffers = [bytearray() for _ in self._sealers]
        self._pending = bytearray()
        self._blob: BlobWriter | None = None

    def write(self, plaintext: bytes) -> None:
        """One kept buffer a layer: fresh memory at every call would cost more than the cipher."""
        sealed: bytes | memoryview = plaintext
        for layer, sealer in enumerate(self._sealers):
            room = sealer.room_bytes(len(sealed))
            if len(self._buffers[layer]) < room:
                self._buffers[layer] = bytearray(room)
            sealed = sealer.update_into(sealed, self._buffers[layer])
        self._put(sealed)

    def finish(self) -> tuple[str | None, bytes | None]:
        """(blob name, None) with the blob durable, or (None, sealed body)."""
        tail = b""
        for sealer in self._sealers:
            tail = (sealer.update(tail) if tail else b"") + sealer.finalize()
        self._put(tail)
        if self._blob is None:
            return None, bytes(self._pending)
        self._blob.finish()
        return self._blob.name, None

    def abandon(self) -> None:
        if self._blob is not None:
            self._blob.abandon()

    def _put(self, sealed: bytes | memoryview) -> None:
        if self._blob is None:
            if len(self._pending) + len(sealed) <= self._s3.inline_bytes:
                self._pending += sealed
                return
            self._blob = self._s3.blobs.create()
            self._blob.write(bytes(self._pending))
            self._pending.clear()
        if sealed:
            self._blob.write(sealed)


def _layer_numbers(layers: int) -> Sequence[int]:
    """0 for a single layer; DSSE's are numbered from the inside."""
    return (0,) if layers == 1 else range(1, layers + 1)


class Crowd:
    """The bodies that this process is taking in or sending: each holds a few units, so that units are smaller when
    there are many.

    Counted by one event loop; any thread may ask.
    """

    def __init__(self) -> None:
        self._bodies = 0

    def __enter__(self) -> None:
        self._bodies += 1

    def __exit__(self, *_: object) -> None:
        self._bodies -= 1

    def unit_bytes(self) -> int:
        return UNIT_BYTES if self._bodies <= _FEW_BODIES else UNIT_BYTES // 4


_crowd = Crowd()


async def store_stream(
    s3: S3, keys: DataKeys, place: tuple[bytes, bytes], body: AsyncIterator[bytes], *, digests: Digests, most: int
) -> StoredStream:
    """Seal and write a whole body, feeding `digests` with the plaintext. The blob, if any, is durable on
    return.

    place: bucket id and object id. most: bytes after which EntityTooLarge is raised. On any error the blob is
    removed.
    """
    stream_id = s3.random(16)
    writer = _SealedWriter(s3, keys, *place, stream_id)
    size = 0
    try:
        with _crowd:
            size = await _pump(s3, writer, body, digests, most)
        blob_name, sealed_body = await _finish(s3, writer, size)
    except BaseException:
        await asyncio.get_running_loop().run_in_executor(s3.executor, writer.abandon)
        raise
    return StoredStream(Stream(stream_id, size, s3.segment_bytes), blob_name, sealed_body)


async def _finish(s3: S3, writer: _SealedWriter, size: int) -> tuple[str | None, bytes | None]:
    if sealed_bytes(size, s3.segment_bytes) * 2 <= s3.inline_bytes:
        return writer.finish()  # certainly inline, in every mode: no file work to wait for
    return await asyncio.get_running_loop().run_in_executor(s3.executor, writer.finish)


async def _pump(s3: S3, writer: _SealedWriter, body: AsyncIterator[bytes], digests: Digests, most: int) -> int:
    loop = asyncio.get_running_loop()
    working: tuple[asyncio.Future[None], ...] = ()
    size = gathered = 0
    pieces: list[bytes] = []
    try:
        async for piece in body:
            pieces.append(piece)
            gathered += len(piece)
            if gathered < _crowd.unit_bytes():
                continue
            size += gathered
            _bound(size, most)
            unit = b"".join(pieces)
            pieces, gathered = [], 0
            await asyncio.gather(*working)
            working = (
                loop.run_in_executor(s3.executor, digests.update, unit),
                loop.run_in_executor(s3.executor, writer.write, unit),
            )
        await asyncio.gather(*working)
    except BaseException:
        await asyncio.gather(*working, return_exceptions=True)  # nobody writes while the blob is abandoned
        raise
    size += gathered
    _bound(size, most)
    last = b"".join(pieces)
    if len(last) <= _DIRECT_BYTES and size == len(last) and len(last) * 2 <= s3.inline_bytes:
        digests.update(last)
        writer.write(last)
    elif last:
        await asyncio.gather(
            loop.run_in_executor(s3.executor, digests.update, last),
            loop.run_in_executor(s3.executor, writer.write, last),
        )
    return size


def _bound(size: int, most: int) -> None:
    if size > most:
        raise RequestError("EntityTooLarge", ProposedSize=str(size), MaxSizeAllowed=str(most))


class _BytesSource:
    def __init__(self, sealed: bytes) -> None:
        self._sealed = memoryview(sealed)
        self.size_bytes = len(sealed)

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self._sealed[offset : offset + length])

    def close(self) -> None:
        return


class OpenedStream:
    """Random access to the plaintext of one sealed layer. Keeps the last opened segment, for reads that
    straddle one."""

    def __init__(
        self, source: Source, key: bytes, associated_data: bytes, *, size_bytes: int, segment_bytes: int
    ) -> None:
        self.size_bytes = size_bytes
        self._sealed_total = sealed_bytes(size_bytes, segment_bytes)
        if source.size_bytes != self._sealed_total:
            raise IntegrityError("a blob has not the length its record implies")
        self._source, self._segment_bytes = source, segment_bytes
        header = source.read(0, HEADER_BYTES)
        self._opener = SegmentOpener(
            key, associated_data, header=header, sealed_bytes=self._sealed_total, segment_bytes=segment_bytes
        )
        self._kept: tuple[int, bytes] = (-1, b"")

    def pieces(self, offset: int, length: int) -> list[bytes]:
        """Authenticated plaintext of a range, one piece a segment, cut to the range at both ends."""
        if not length and self.size_bytes:
            return []
        wanted = segments_for(offset, length, self.size_bytes, self._segment_bytes)
        pieces = self._open(wanted)
        skip = offset - plaintext_offset(wanted.start, self._segment_bytes)
        surplus = sum(map(len, pieces)) - skip - length
        if surplus:
            pieces[-1] = pieces[-1][: len(pieces[-1]) - surplus]
        if skip:
            pieces[0] = pieces[0][skip:]
        return pieces

    def read(self, offset: int, length: int) -> bytes:
        return b"".join(self.pieces(offset, length))

    @property
    def segments(self) -> int:
        return self._opener.segments

    def check(self, wanted: range, into: bytearray) -> None:
        """Authenticate segments and keep nothing. into: room for one. Raises IntegrityError. Threads may do so side by
        side where the source is a blob."""
        start, _ = segment_span(wanted[0], self._sealed_total, self._segment_bytes)
        last_start, last_length = segment_span(wanted[-1], self._sealed_total, self._segment_bytes)
        sealed = memoryview(self._source.read(start, last_start + last_length - start))
        for index in wanted:
            at, length = segment_span(index, self._sealed_total, self._segment_bytes)
            self._opener.open_into(index, sealed[at - start : at - start + length], into)

    def _open(self, wanted: range) -> list[bytes]:
        kept_index, kept = self._kept
        first = [kept] if wanted.start == kept_index else []
        rest = wanted[len(first) :]
        opened = list(first)
        if rest:
            start, _ = segment_span(rest[0], self._sealed_total, self._segment_bytes)
            last_start, last_length = segment_span(rest[-1], self._sealed_total, self._segment_bytes)
            sealed = memoryview(self._source.read(start, last_start + last_length - start))
            for index in rest:
                at, length = segment_span(index, self._sealed_total, self._segment_bytes)
                opened.append(self._opener.open(index, sealed[at - start : at - start + length]))
        self._kept = (wanted[-1], opened[-1])
        return opened


def stored_bytes(stream: Stream, layers: int) -> int:
    """How long the sealed body of a stream is: each layer seals the one inside it."""
    size = stream.size_bytes
    for _ in range(layers):
        size = sealed_bytes(size, stream.segment_bytes)
    return size


@dataclass(frozen=True, slots=True)
class StreamAt:
    """One stream of an object with where its sealed bytes lie."""

    stream: Stream
    blob_name: str | None
    sealed_body: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Span:
    """A range of one stream: offset and length in its plaintext."""

    at: StreamAt
    offset: int
    length: int


def spans_for(streams: Sequence[StreamAt], offset: int, length: int) -> list[Span]:
    """The ranges of each stream that make up a range of the object. An empty object's stream is read too: it
    proves itself."""
    spans = []
    start = 0
    for at in streams:
        end = start + at.stream.size_bytes
        first, last = max(offset, start), min(offset + length, end)
        if first < last or not (length or at.stream.size_bytes):
            spans.append(Span(at, first - start, last - first))
        start = end
    return spans


class ObjectReader:
    """Opens the spans of one answer, in order. Used from one thread at a time."""

    def __init__(self, s3: S3, keys: DataKeys, bucket_id: bytes, object_id: bytes) -> None:
        self._s3, self._keys = s3, keys
        self._bucket_id, self._object_id = bucket_id, object_id

    def check_lengths(self, spans: Sequence[Span]) -> None:
        """Raises IntegrityError unless every blob that will be read exists with exactly the length its record
        implies."""
        for span in spans:
            self.opened(span.at).close()

    def small(self, span: Span) -> bytes | None:
        """All of a stream that lies in a row, under one key, in one segment; None for anything else."""
        stream, sealed = span.at.stream, span.at.sealed_body
        is_single = sealed is not None and len(sealed) <= stream.segment_bytes and len(self._keys.layers) == 1
        if not is_single or span.length != stream.size_bytes or sealed is None:
            return None
        if len(sealed) != sealed_bytes(stream.size_bytes, stream.segment_bytes):
            raise IntegrityError("a blob has not the length its record implies")
        place = stream_associated_data(self._s3.store_id, self._bucket_id, self._object_id, stream.stream_id)
        key = stream_key(self._keys.layers[0], stream.stream_id)
        return open_single(key, place, sealed, segment_bytes=stream.segment_bytes)

    def groups(self, spans: Sequence[Span]) -> Generator[list[bytes], None, None]:
        """Plaintext in groups of at most a unit, one piece a segment. Up to UNIT_BYTES of a stream are one group."""
        is_short = sum(span.length for span in spans) <= UNIT_BYTES
        for span in spans:
            opened = self.opened(span.at)
            try:
                offset, end = span.offset, span.offset + span.length
                if not span.length:
                    yield opened.stream.pieces(offset, 0)
                while offset < end:
                    length = min(end - offset, UNIT_BYTES if is_short else _crowd.unit_bytes())
                    pieces = opened.stream.pieces(offset, length)
                    yield pieces
                    offset += length
            finally:
                opened.close()

    def opened(self, at: StreamAt) -> Opened:
        """A stream with its length checked and its header read; to be closed."""
        if at.sealed_body is not None:
            return self._layers(_BytesSource(at.sealed_body), at.stream)
        if at.blob_name is None:
            raise IntegrityError("a stream is named by a record but stored nowhere")
        return self._layers(self._s3.blobs.open(at.blob_name), at.stream)

    def _layers(self, source: _Closable, stream: Stream) -> Opened:
        """Outermost layer first: each opened layer is the source of the one inside it."""
        try:
            layers = list(zip(self._keys.layers, _layer_numbers(len(self._keys.layers)), strict=True))
            sizes = [stream.size_bytes]
            for _ in layers[1:]:
                sizes.append(sealed_bytes(sizes[-1], stream.segment_bytes))
            opened: Source = source
            for (key, number), size in zip(reversed(layers), reversed(sizes), strict=True):
                place = stream_associated_data(
                    self._s3.store_id, self._bucket_id, self._object_id, stream.stream_id, layer=number
                )
                opened = OpenedStream(
                    opened,
                    stream_key(key, stream.stream_id),
                    place,
                    size_bytes=size,
                    segment_bytes=stream.segment_bytes,
                )
        except BaseException:
            source.close()
            raise
        assert isinstance(opened, OpenedStream)
        return Opened(opened, source)


class _Closable(Source, Protocol):
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Opened:
    stream: OpenedStream
    source: _Closable

    def close(self) -> None:
        self.source.close()


async def read_spans(s3: S3, reader: ObjectReader, spans: Sequence[Span]) -> bytes | AsyncIterator[bytes]:
    """The plaintext of the spans: bytes at once when little and at hand, else an iterator whose first group
    is opened already.

    Every blob's length is checked, and the first group authenticated, before this returns: an object that is
    damaged where it begins is refused with an error instead of a broken answer.
    """
    if len(spans) == 1:
        whole = reader.small(spans[0])
        if whole is not None:
            return whole
    total = sum(span.length for span in spans)
    if total <= _DIRECT_BYTES and all(span.at.sealed_body is not None for span in spans):
        return b"".join(piece for group in reader.groups(spans) for piece in group)
    loop = asyncio.get_running_loop()
    if len(spans) > 1:
        await loop.run_in_executor(s3.executor, reader.check_lengths, spans)
    groups = reader.groups(spans)
    first = await loop.run_in_executor(s3.executor, next, groups, None)
    if total <= UNIT_BYTES and len(spans) <= 1:
        groups.close()
        return b"".join(first or ())
    return _send(s3, groups, first)


async def _send(s3: S3, groups: Generator[list[bytes], None, None], first: list[bytes] | None) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    group = first
    ahead: asyncio.Future[list[bytes] | None] | None = None
    try:
        with _crowd:
            while group is not None:
                ahead = loop.run_in_executor(s3.executor, next, groups, None)
                for piece in group:
                    yield piece
                group = await ahead
                ahead = None
    finally:
        if ahead is not None:
            await asyncio.gather(ahead, return_exceptions=True)
        await loop.run_in_executor(s3.executor, groups.close)

"""Bodies in, sealed streams out, and back in ranges: every boundary, one layer and two, in rows and in blobs."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3al.crypto.stream import HEADER_BYTES, TAG_BYTES, sealed_bytes
from s3al.errors import IntegrityError, StoreError
from s3al.s3 import streams
from s3al.s3.ports import S3
from s3al.s3.records import Stream
from s3al.s3.sse import DataKeys
from s3al.s3.streams import ObjectReader, Span, StoredStream, StreamAt, read_spans, spans_for, store_stream
from s3al.store.files import FileBlobs
from s3al.store.layout import create_folder
from s3al.wire.checksums import Digests

from .world import World, refused

SEGMENT = 4096
INLINE = 20_000
FIRST = SEGMENT - HEADER_BYTES - TAG_BYTES  # plaintext of the first segment, and of the others
OTHER = SEGMENT - TAG_BYTES
BUCKET, OBJECT = b"b" * 16, b"o" * 16
KEYS = {1: DataKeys((b"1" * 32,)), 2: DataKeys((b"1" * 32, b"2" * 32))}
BOUNDARIES = sorted(
    {0, 1}
    | {at + step for at in (FIRST, FIRST + OTHER, FIRST + 2 * OTHER, INLINE // 2, INLINE) for step in (-1, 0, 1)}
    | {INLINE - HEADER_BYTES - 5 * TAG_BYTES + step for step in (-1, 0, 1)}
)


@pytest.fixture
def s3(world: World, tmp_path: Path) -> Iterator[S3]:
    blobs = FileBlobs(create_folder(tmp_path / "store").blobs)
    yield replace(world.s3, blobs=blobs, segment_bytes=SEGMENT, inline_bytes=INLINE, random=os.urandom)
    blobs.close()


async def pieces_of(body: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(body), size):
        yield body[at : at + size]


async def store(s3: S3, body: bytes, *, layers: int = 1, piece: int = 1 << 30, most: int = 1 << 40) -> StoredStream:
    digests = Digests(["SHA256"])
    found = await store_stream(s3, KEYS[layers], (BUCKET, OBJECT), pieces_of(body, piece), digests=digests, most=most)
    expected = Digests(["SHA256"])
    expected.update(body)
    assert digests.digest("SHA256") == expected.digest("SHA256")
    return found


def at(stored: StoredStream) -> StreamAt:
    return StreamAt(stored.stream, stored.blob_name, stored.sealed_body)


async def read(s3: S3, placed: list[StreamAt], offset: int, length: int, *, layers: int = 1) -> bytes:
    found = await read_spans(s3, ObjectReader(s3, KEYS[layers], BUCKET, OBJECT), spans_for(placed, offset, length))
    if isinstance(found, bytes):
        return found
    return b"".join([piece async for piece in found])


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("size", BOUNDARIES)
def test_what_is_stored_comes_back_at_every_boundary(world: World, s3: S3, size: int, layers: int) -> None:
    body = os.urandom(size)
    stored = world.runner.run(store(s3, body, layers=layers, piece=1000))
    sealed = size
    for _ in range(layers):
        sealed = sealed_bytes(sealed, SEGMENT)
    if sealed <= INLINE:
        assert stored.blob_name is None and len(stored.sealed_body or b"") == sealed
    else:
        assert stored.sealed_body is None and dict(s3.blobs.names()) == {stored.blob_name: sealed}
    assert world.runner.run(read(s3, [at(stored)], 0, size, layers=layers)) == body


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("size", [FIRST + OTHER + 100, 60_000])
def test_every_range_around_a_boundary_is_exact(world: World, s3: S3, size: int, layers: int) -> None:
    body = os.urandom(size)
    placed = [at(world.runner.run(store(s3, body, layers=layers)))]
    edges = [edge for edge in (0, 1, FIRST - 1, FIRST, FIRST + 1, FIRST + OTHER, size - 1) if edge < size]
    for offset in edges:
        for end in [*edges, size]:
            if end > offset:
                got = world.runner.run(read(s3, placed, offset, end - offset, layers=layers))
                assert got == body[offset:end], (offset, end)


def test_bodies_of_many_units_come_back(world: World, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "UNIT_BYTES", 10_000)
    body = os.urandom(123_456)
    for piece in (999, 10_000, 50_000, 200_000):
        placed = [at(world.runner.run(store(s3, body, piece=piece)))]
        assert world.runner.run(read(s3, placed, 0, len(body))) == body
        assert world.runner.run(read(s3, placed, 9_990, 20_020)) == body[9_990:30_010]


def test_many_uploads_at_once_take_smaller_units() -> None:
    crowd = streams.Crowd()
    with contextlib.ExitStack() as uploads:
        for _ in range(8):
            uploads.enter_context(crowd)
        assert crowd.unit_bytes() == streams.UNIT_BYTES
        with crowd:
            assert crowd.unit_bytes() == streams.UNIT_BYTES // 4
        assert crowd.unit_bytes() == streams.UNIT_BYTES


def test_many_downloads_at_once_take_smaller_units(world: World, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are being sent are counted; what is no longer than a unit is one group all the same."""
    monkeypatch.setattr(streams, "UNIT_BYTES", 40_000)
    body = os.urandom(100_000)
    placed = [at(world.runner.run(store(s3, body)))]

    def longest(length: int) -> int:
        groups = ObjectReader(s3, KEYS[1], BUCKET, OBJECT).groups(spans_for(placed, 0, length))
        return max(sum(map(len, group)) for group in groups)

    async def sending(downloads: int) -> tuple[int, int, list[bytes]]:
        begun = []
        for _ in range(downloads):
            answer = await read_spans(s3, ObjectReader(s3, KEYS[1], BUCKET, OBJECT), spans_for(placed, 0, len(body)))
            assert not isinstance(answer, bytes)
            begun.append((answer, await anext(answer)))
        found = longest(len(body)), longest(40_000)
        return *found, [first + b"".join([piece async for piece in answer]) for answer, first in begun]

    assert world.runner.run(sending(8)) == (40_000, 40_000, [body] * 8)
    assert world.runner.run(sending(9)) == (10_000, 40_000, [body] * 9)
    assert longest(len(body)) == 40_000


def test_many_bodies_at_once_come_back(world: World, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "UNIT_BYTES", 10_000)
    bodies = [os.urandom(30_000 + number) for number in range(20)]

    async def all_at_once() -> list[streams.StoredStream]:
        return list(await asyncio.gather(*(store(s3, body, piece=999) for body in bodies)))

    for body, stored in zip(bodies, world.runner.run(all_at_once()), strict=True):
        assert world.runner.run(read(s3, [at(stored)], 0, len(body))) == body


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
@given(sizes=st.lists(st.integers(1, 3 * SEGMENT), min_size=1, max_size=5), data=st.data())
def test_ranges_across_parts_are_exact(world: World, s3: S3, sizes: list[int], data: st.DataObject) -> None:
    bodies = [os.urandom(size) for size in sizes]
    whole = b"".join(bodies)
    placed = [at(world.runner.run(store(s3, body))) for body in bodies]
    offset = data.draw(st.integers(0, len(whole) - 1))
    length = data.draw(st.integers(1, len(whole) - offset))
    assert world.runner.run(read(s3, placed, offset, length)) == whole[offset : offset + length]


@given(sizes=st.lists(st.integers(0, 9), min_size=1, max_size=6), data=st.data())
def test_spans_cover_exactly_the_range(sizes: list[int], data: st.DataObject) -> None:
    total = sum(sizes)
    offset = data.draw(st.integers(0, max(0, total - 1)))
    length = data.draw(st.integers(0, total - offset))
    placed = [StreamAt(Stream(bytes([number]) * 16, size, SEGMENT), None, b"") for number, size in enumerate(sizes)]
    bytes_at = [(number, index) for number, size in enumerate(sizes) for index in range(size)]
    spans = spans_for(placed, offset, length)
    covered = [(span.at.stream.stream_id[0], span.offset + index) for span in spans for index in range(span.length)]
    assert covered == bytes_at[offset : offset + length]
    assert all(span.length or not span.at.stream.size_bytes for span in spans)


def test_the_stream_of_an_empty_object_is_read_to_prove_itself() -> None:
    empty = StreamAt(Stream(b"e" * 16, 0, SEGMENT), None, b"")
    assert spans_for([empty], 0, 0) == [Span(empty, 0, 0)]


def test_an_empty_object_that_was_altered_does_not_open(world: World, s3: S3) -> None:
    stored = world.runner.run(store(s3, b""))
    sealed = stored.sealed_body or b""
    altered = replace(at(stored), sealed_body=sealed[:-1] + bytes([sealed[-1] ^ 1]))
    with pytest.raises(IntegrityError):
        world.runner.run(read(s3, [altered], 0, 0))


@pytest.mark.parametrize("size", [100, 50_000])
def test_a_body_beyond_its_bound_is_refused_and_leaves_nothing(world: World, s3: S3, size: int) -> None:
    assert world.runner.run(store(s3, bytes(size), most=size)).stream.size_bytes == size
    before = dict(s3.blobs.names())
    with refused("EntityTooLarge"):
        world.runner.run(store(s3, bytes(size), most=size - 1))
    assert dict(s3.blobs.names()) == before


def test_a_body_that_breaks_off_leaves_nothing(world: World, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "UNIT_BYTES", 10_000)

    async def broken() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield bytes(15_000)
        raise StoreError("gone")

    async def act() -> None:
        await store_stream(s3, KEYS[1], (BUCKET, OBJECT), broken(), digests=Digests(["MD5"]), most=1 << 30)

    with pytest.raises(StoreError):
        world.runner.run(act())
    assert dict(s3.blobs.names()) == {}


def test_nothing_of_the_plaintext_is_in_what_is_stored(world: World, s3: S3) -> None:
    marker = b"a marker of some length"
    for size in (100, 50_000):
        stored = world.runner.run(store(s3, marker * size))
        assert marker not in (stored.sealed_body or s3.blobs.open(stored.blob_name or "").read(0, sealed_bytes(
            stored.stream.size_bytes, SEGMENT)))  # fmt: skip


def test_equal_bodies_are_sealed_differently(world: World, s3: S3) -> None:
    one, two = (world.runner.run(store(s3, b"body")) for _ in range(2))
    assert one.stream.stream_id != two.stream.stream_id
    assert one.sealed_body != two.sealed_body


def test_a_stream_that_is_stored_nowhere_is_an_integrity_failure(world: World, s3: S3) -> None:
    nowhere = StreamAt(Stream(b"i" * 16, 5, SEGMENT), None, None)
    with pytest.raises(IntegrityError):
        world.runner.run(read(s3, [nowhere], 0, 5))


def test_streams_of_another_object_bucket_or_layer_do_not_open(world: World, s3: S3) -> None:
    stored = world.runner.run(store(s3, b"body"))
    for bucket_id, object_id, keys in (
        (b"c" * 16, OBJECT, KEYS[1]),
        (BUCKET, b"p" * 16, KEYS[1]),
        (BUCKET, OBJECT, DataKeys((b"x" * 32,))),
        (BUCKET, OBJECT, KEYS[2]),
    ):
        reader = ObjectReader(s3, keys, bucket_id, object_id)
        with pytest.raises(IntegrityError):
            world.runner.run(read_spans(s3, reader, spans_for([at(stored)], 0, 4)))


def test_a_sealed_body_never_shows_in_a_representation(world: World, s3: S3) -> None:
    stored = world.runner.run(store(s3, b"body"))
    assert repr(stored.sealed_body)[2:12] not in repr(stored) + repr(at(stored))
    assert "1111" not in repr(KEYS[1])

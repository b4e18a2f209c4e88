"""Sealed streams: the arithmetic of segments, sealing, opening in any order, and every way to alter them."""

from __future__ import annotations

import itertools

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from s3al.crypto.keys import hkdf_sha256
from s3al.crypto.stream import (
    DEFAULT_SEGMENT_BYTES,
    HEADER_BYTES,
    MAX_SEGMENTS,
    TAG_BYTES,
    SegmentOpener,
    SegmentSealer,
    StreamOpener,
    StreamSealer,
    open_single,
    plaintext_bytes,
    plaintext_offset,
    sealed_bytes,
    segment_span,
    segments_for,
)
from s3al.errors import IntegrityError

KEY, PLACE = bytes(range(32)), b"place"
RANDOM = bytes(range(39))
S = 4096
FIRST, FURTHER = S - 56, S - 16
BOUNDARY_SIZES = sorted(
    {0, 1, 2, 100}
    | {end + step for end in (FIRST, FIRST + FURTHER, FIRST + 2 * FURTHER) for step in (-16, -1, 0, 1, 16)}
)


def text(size: int) -> bytes:
    return bytes(i % 251 for i in range(size))


def sealed_whole(plaintext: bytes, *, random: bytes = RANDOM, place: bytes = PLACE, segment_bytes: int = S) -> bytes:
    sealer = StreamSealer(KEY, place, random=random, segment_bytes=segment_bytes)
    return sealer.update(plaintext) + sealer.finalize()


def opener_of(sealed: bytes, *, key: bytes = KEY, place: bytes = PLACE) -> SegmentOpener:
    return SegmentOpener(key, place, header=sealed[:HEADER_BYTES], sealed_bytes=len(sealed), segment_bytes=S)


def segment_of(sealed: bytes, index: int) -> bytes:
    start, length = segment_span(index, len(sealed), S)
    return sealed[start : start + length]


def opened_by_segment(sealed: bytes) -> bytes:
    opener = opener_of(sealed)
    return b"".join(opener.open(index, segment_of(sealed, index)) for index in range(opener.segments))


def opened_in_chunks(sealed: bytes, chunk_bytes: int = 1000) -> bytes:
    opener = StreamOpener(KEY, PLACE, segment_bytes=S)
    opened = [opener.update(sealed[at : at + chunk_bytes]) for at in range(0, len(sealed), chunk_bytes)]
    return b"".join([*opened, opener.finalize()])


def pieces_of(plaintext: bytes, segment_bytes: int) -> list[bytes]:
    """The plaintext cut as the format says, told again without arithmetic."""
    pieces, rest, room = [], plaintext, segment_bytes - 56
    while len(rest) > room:
        pieces.append(rest[:room])
        rest, room = rest[room:], segment_bytes - 16
    return [*pieces, rest]


class TestArithmetic:
    @given(size=st.integers(0, 200_000), segment_bytes=st.integers(4096, 70_000))
    def test_lengths_offsets_and_spans_are_those_of_the_pieces(self, size: int, segment_bytes: int) -> None:
        pieces = pieces_of(bytes(size), segment_bytes)
        total = sealed_bytes(size, segment_bytes)
        assert total == 40 + size + 16 * len(pieces)
        at, plain_at = 40, 0
        for index, piece in enumerate(pieces):
            assert segment_span(index, total, segment_bytes) == (at, len(piece) + 16)
            assert plaintext_offset(index, segment_bytes) == plain_at
            at, plain_at = at + len(piece) + 16, plain_at + len(piece)
        assert at == total
        with pytest.raises(IntegrityError):
            segment_span(len(pieces), total, segment_bytes)

    @given(size=st.integers(0, 2**43), segment_bytes=st.integers(4096, 4 * 1024 * 1024))
    def test_plaintext_length_is_the_inverse_of_sealed_length(self, size: int, segment_bytes: int) -> None:
        assert plaintext_bytes(sealed_bytes(size, segment_bytes), segment_bytes) == size

    @given(total=st.integers(-10, 40_000))
    def test_a_length_is_refused_exactly_when_no_plaintext_gives_it(self, total: int) -> None:
        possible = any(sealed_bytes(max(total - 40 - 16 * n, 0), S) == total for n in range(1, 12))
        if possible:
            assert sealed_bytes(plaintext_bytes(total, S), S) == total
        else:
            with pytest.raises(IntegrityError):
                plaintext_bytes(total, S)

    @given(data=st.data(), size=st.integers(1, 60_000))
    def test_segments_for_a_range_are_all_that_touch_it_and_no_other(self, data: st.DataObject, size: int) -> None:
        offset = data.draw(st.integers(0, size - 1))
        length = data.draw(st.integers(1, size - offset))
        at, touching = 0, []
        for index, piece in enumerate(pieces_of(bytes(size), S)):
            if at < offset + length and offset < at + len(piece):
                touching.append(index)
            at += len(piece)
        assert list(segments_for(offset, length, size, S)) == touching

    def test_an_empty_stream_has_one_segment_to_open_and_an_empty_range_none(self) -> None:
        assert segments_for(0, 0, 0, S) == range(1)
        assert segments_for(5, 0, 10, S) == range(0)

    @pytest.mark.parametrize(("offset", "length", "total"), [(-1, 1, 10), (0, 11, 10), (10, 1, 10), (0, -1, 10)])
    def test_ranges_outside_are_refused(self, offset: int, length: int, total: int) -> None:
        with pytest.raises(ValueError, match="outside"):
            segments_for(offset, length, total, S)

    @pytest.mark.parametrize("segment_bytes", [0, 4095, 4 * 1024 * 1024 + 1])
    def test_segments_outside_4_kib_to_4_mib_are_refused(self, segment_bytes: int) -> None:
        for attempt in (
            lambda: sealed_bytes(1, segment_bytes),
            lambda: plaintext_bytes(100, segment_bytes),
            lambda: segment_span(0, 100, segment_bytes),
            lambda: SegmentSealer(KEY, PLACE, random=RANDOM, segment_bytes=segment_bytes),
            lambda: StreamOpener(KEY, PLACE, segment_bytes=segment_bytes),
        ):
            with pytest.raises(ValueError, match="4 KiB to 4 MiB"):
                attempt()

    def test_a_stream_ends_at_2_to_the_32_segments(self) -> None:
        most = MAX_SEGMENTS * FURTHER - HEADER_BYTES
        assert plaintext_bytes(sealed_bytes(most, S), S) == most
        with pytest.raises(ValueError, match=r"2\^32"):
            sealed_bytes(most + 1, S)
        with pytest.raises(IntegrityError):
            plaintext_bytes(sealed_bytes(most, S) + 17, S)

    def test_lengths_below_nothing_are_refused(self) -> None:
        with pytest.raises(ValueError, match="less than nothing"):
            sealed_bytes(-1, S)

    def test_a_part_of_5_gib_fits_at_every_segment_size(self) -> None:
        for exponent in range(12, 23):
            assert plaintext_bytes(sealed_bytes(5 * 1024**3, 1 << exponent), 1 << exponent) == 5 * 1024**3


class TestSealing:
    def test_bytes_are_those_of_the_published_format(self) -> None:
        plaintext = text(FIRST + 10)
        cipher = AESGCM(hkdf_sha256(KEY, RANDOM[:32], PLACE))
        prefix = RANDOM[32:]
        expected = b"\x28" + RANDOM
        expected += cipher.encrypt(prefix + b"\x00\x00\x00\x00\x00", plaintext[:FIRST], None)
        expected += cipher.encrypt(prefix + b"\x00\x00\x00\x01\x01", plaintext[FIRST:], None)
        assert sealed_whole(plaintext) == expected

    @pytest.mark.parametrize("size", BOUNDARY_SIZES)
    def test_segments_written_into_a_buffer_equal_the_pushed_stream(self, size: int) -> None:
        sealer = SegmentSealer(KEY, PLACE, random=RANDOM, segment_bytes=S)
        room, out = bytearray(S + 100), bytearray(sealer.header)
        pieces = pieces_of(text(size), S)
        for index, piece in enumerate(pieces):
            written = sealer.seal(piece, last=index == len(pieces) - 1, into=room)
            assert len(written) == len(piece) + TAG_BYTES
            out += written
        assert bytes(out) == sealed_whole(text(size))

    @settings(max_examples=60)
    @given(size=st.integers(0, 20_000), cuts=st.lists(st.integers(0, 20_000), max_size=12))
    def test_chunk_sizes_do_not_matter(self, size: int, cuts: list[int]) -> None:
        plaintext = text(size)
        edges = [0, *sorted(min(cut, size) for cut in cuts), size]
        sealer = StreamSealer(KEY, PLACE, random=RANDOM, segment_bytes=S)
        out = [sealer.update(memoryview(plaintext)[a:b]) for a, b in itertools.pairwise(edges)]
        sealed = b"".join([*out, sealer.finalize()])
        assert sealed == sealed_whole(plaintext)
        assert opened_in_chunks(sealed, max(1, size // 7)) == plaintext

    @settings(max_examples=60)
    @given(sizes=st.lists(st.integers(0, 9000), max_size=8))
    def test_outputs_written_into_one_kept_buffer_are_the_same_stream(self, sizes: list[int]) -> None:
        plaintext = text(sum(sizes))
        sealer = StreamSealer(KEY, PLACE, random=RANDOM, segment_bytes=S)
        room = bytearray(sealer.room_bytes(max(sizes, default=0)))
        out, at = bytearray(), 0
        for size in sizes:
            out += sealer.update_into(plaintext[at : at + size], memoryview(room)[: sealer.room_bytes(size)])
            at += size
        out += sealer.finalize_into(memoryview(room)[: sealer.room_bytes(0)])
        assert bytes(out) == sealed_whole(plaintext)

    def test_a_kept_buffer_that_is_too_small_changes_nothing(self) -> None:
        sealer = StreamSealer(KEY, PLACE, random=RANDOM, segment_bytes=S)
        with pytest.raises(ValueError, match="room_bytes"):
            sealer.update_into(text(100), bytearray(sealer.room_bytes(100) - 1))
        with pytest.raises(ValueError, match="room_bytes"):
            sealer.finalize_into(bytearray(10))
        assert sealer.update(text(100)) + sealer.finalize() == sealed_whole(text(100))

    def test_capacity_is_what_the_next_segment_takes(self) -> None:
        sealer = SegmentSealer(KEY, PLACE, random=RANDOM, segment_bytes=S)
        assert sealer.capacity == FIRST
        sealer.seal(bytes(FIRST), last=False)
        assert sealer.capacity == FURTHER

    @pytest.mark.parametrize("size", [0, 1, FIRST - 1, FIRST + 1, FURTHER])
    def test_a_segment_before_the_last_must_be_full(self, size: int) -> None:
        sealer = SegmentSealer(KEY, PLACE, random=RANDOM, segment_bytes=S)
        with pytest.raises(ValueError, match="full"):
            sealer.seal(bytes(size), last=False)

    def test_a_last_segment_is_not_over_full_nor_empty_behind_another(self) -> None:
        sealer = SegmentSealer(KEY, PLACE, random=RANDOM, segment_bytes=S)
        with pytest.raises(ValueError, match="full"):
            sealer.seal(bytes(FIRST + 1), last=True)
        sealer.seal(bytes(FIRST), last=False)
        with pytest.raises(ValueError, match="full"):
            sealer.seal(b"", last=True)

    def test_nothing_follows_the_last_segment(self) -> None:
        sealer = SegmentSealer(KEY, PLACE, random=RANDOM, segment_bytes=S)
        sealer.seal(b"", last=True)
        for last in (True, False):
            with pytest.raises(ValueError, match="last"):
                sealer.seal(bytes(FURTHER), last=last)

    def test_a_buffer_that_is_too_small_is_refused_and_the_nonce_not_used_again(self) -> None:
        sealer = SegmentSealer(KEY, PLACE, random=RANDOM, segment_bytes=S)
        with pytest.raises(ValueError, match=r"[Bb]uffer"):
            sealer.seal(bytes(FIRST), last=False, into=bytearray(FIRST))
        with pytest.raises(ValueError, match="full"):  # segment 0 is spent; the next would be segment 1
            sealer.seal(bytes(FIRST), last=False)

    def test_the_counter_never_wraps(self) -> None:
        """A wrapped counter would use a nonce again. Nobody seals 2^32 segments here: the counter is set."""
        sealer = SegmentSealer(KEY, PLACE, random=RANDOM, segment_bytes=S)
        opener = StreamOpener(KEY, PLACE, segment_bytes=S)
        opener.update(sealed_whole(b"x"))
        sealer._index = opener._index = MAX_SEGMENTS - 1
        sealer.seal(bytes(FURTHER), last=False)
        with pytest.raises(ValueError, match="full"):
            sealer.seal(bytes(FURTHER), last=False)
        opener._index = MAX_SEGMENTS
        with pytest.raises(IntegrityError):
            opener.finalize()

    def test_a_finished_stream_takes_nothing_more(self) -> None:
        sealer = StreamSealer(KEY, PLACE, random=RANDOM, segment_bytes=S)
        sealer.finalize()
        for attempt in (
            lambda: sealer.update(b"x"),
            sealer.finalize,
            lambda: sealer.update_into(b"x", bytearray(2 * S)),
            lambda: sealer.finalize_into(bytearray(2 * S)),
        ):
            with pytest.raises(ValueError, match="finished"):
                attempt()

    def test_the_sealer_keeps_no_more_than_one_segment_back(self) -> None:
        sealer = StreamSealer(KEY, PLACE, random=RANDOM, segment_bytes=S)
        taken = released = 0
        for _ in range(100):
            taken += 700
            released += len(sealer.update(bytes(700)))
            assert taken - released < S

    @pytest.mark.parametrize("random", [b"", bytes(38), bytes(40)])
    def test_a_stream_takes_39_random_bytes(self, random: bytes) -> None:
        with pytest.raises(ValueError, match="39"):
            SegmentSealer(KEY, PLACE, random=random, segment_bytes=S)

    @pytest.mark.parametrize("key", [b"", bytes(16), bytes(33)])
    def test_stream_keys_are_32_bytes(self, key: bytes) -> None:
        with pytest.raises(ValueError, match="32 bytes"):
            SegmentSealer(key, PLACE, random=RANDOM, segment_bytes=S)

    def test_the_default_segment_size_is_used_by_all(self) -> None:
        sealer = StreamSealer(KEY, PLACE, random=RANDOM)
        sealed = sealer.update(text(DEFAULT_SEGMENT_BYTES)) + sealer.finalize()
        assert len(sealed) == sealed_bytes(DEFAULT_SEGMENT_BYTES, DEFAULT_SEGMENT_BYTES)
        opener = StreamOpener(KEY, PLACE)
        assert opener.update(sealed) + opener.finalize() == text(DEFAULT_SEGMENT_BYTES)
        whole = SegmentOpener(KEY, PLACE, header=sealed[:40], sealed_bytes=len(sealed))
        assert whole.open(1, sealed[DEFAULT_SEGMENT_BYTES:]) == text(DEFAULT_SEGMENT_BYTES)[-56:]


class TestOpening:
    @pytest.mark.parametrize("size", BOUNDARY_SIZES)
    def test_both_ways_of_opening_return_the_plaintext(self, size: int) -> None:
        sealed = sealed_whole(text(size))
        assert opened_by_segment(sealed) == text(size)
        for chunk_bytes in (1, 39, 40, 41, S - 1, S, S + 1, 10**6):
            assert opened_in_chunks(sealed, chunk_bytes) == text(size)

    @given(data=st.data(), size=st.integers(1, 15_000))
    def test_any_range_opens_by_itself(self, data: st.DataObject, size: int) -> None:
        offset = data.draw(st.integers(0, size - 1))
        length = data.draw(st.integers(1, size - offset))
        sealed = sealed_whole(text(size))
        opener = opener_of(sealed)
        needed = segments_for(offset, length, opener.plaintext_bytes, S)
        opened = b"".join(opener.open(index, segment_of(sealed, index)) for index in needed)
        skipped = offset - plaintext_offset(needed[0], S)
        assert opened[skipped : skipped + length] == text(size)[offset : offset + length]

    def test_segments_open_in_any_order_and_into_a_buffer(self) -> None:
        plaintext = text(FIRST + 2 * FURTHER + 5)
        sealed = sealed_whole(plaintext)
        opener, room = opener_of(sealed), bytearray(S)
        assert opener.segments == 4
        for index in (3, 1, 0, 2, 1):
            expected = pieces_of(plaintext, S)[index]
            assert opener.open_into(index, segment_of(sealed, index), room) == expected
            assert opener.open(index, memoryview(segment_of(sealed, index))) == expected

    def test_a_segment_opens_only_under_its_own_number(self) -> None:
        sealed = sealed_whole(text(FIRST + 3 * FURTHER))
        opener = opener_of(sealed)
        for index in range(1, 4):
            for other in range(1, 4):
                if index != other:
                    with pytest.raises(IntegrityError):
                        opener.open(other, segment_of(sealed, index))
        for outside in (-1, 4, MAX_SEGMENTS):
            with pytest.raises(IntegrityError):
                opener.open(outside, segment_of(sealed, 1))

    @pytest.mark.parametrize("change", [-1, 1])
    def test_a_segment_of_another_length_is_refused(self, change: int) -> None:
        sealed = sealed_whole(text(3 * S))
        opener = opener_of(sealed)
        for index in range(opener.segments):
            start, length = segment_span(index, len(sealed), S)
            wrong = (sealed + b"\x00")[start : start + length + change]
            for attempt in (
                lambda i=index, w=wrong: opener.open(i, w),
                lambda i=index, w=wrong: opener.open_into(i, w, bytearray(S)),
            ):
                with pytest.raises(IntegrityError):
                    attempt()

    @pytest.mark.parametrize("size", BOUNDARY_SIZES)
    def test_another_key_or_place_opens_nothing(self, size: int) -> None:
        sealed = sealed_whole(text(size))
        for key, place in ((bytes(32), PLACE), (KEY, b""), (KEY, PLACE + b"\x00")):
            opener = opener_of(sealed, key=key, place=place)
            for index in range(opener.segments):
                with pytest.raises(IntegrityError):
                    opener.open(index, segment_of(sealed, index))

    def test_two_streams_under_one_key_share_no_segment(self) -> None:
        plaintext = text(3 * S)
        one, two = sealed_whole(plaintext), sealed_whole(plaintext, random=RANDOM[:-1] + b"\xff")
        opener = opener_of(one)
        for index in range(opener.segments):
            with pytest.raises(IntegrityError):
                opener.open(index, segment_of(two, index))

    @pytest.mark.parametrize("header", [b"", bytes(39), bytes(40), b"\x28" + bytes(38), b"\x28" + bytes(40)])
    def test_what_is_no_header_is_refused(self, header: bytes) -> None:
        with pytest.raises(IntegrityError):
            SegmentOpener(KEY, PLACE, header=header, sealed_bytes=100, segment_bytes=S)

    @pytest.mark.parametrize("total", [0, 1, 40, 55, S + 1, S + 16, 2 * S + 16])
    def test_a_length_that_no_stream_has_is_refused_before_anything_is_read(self, total: int) -> None:
        with pytest.raises(IntegrityError):
            SegmentOpener(KEY, PLACE, header=b"\x28" + RANDOM, sealed_bytes=total, segment_bytes=S)

    def test_nothing_is_released_before_its_tag_was_checked(self) -> None:
        sealed = bytearray(sealed_whole(text(FIRST + FURTHER + 1)))
        sealed[S + 5] ^= 1
        opener = StreamOpener(KEY, PLACE, segment_bytes=S)
        assert opener.update(sealed[: 2 * S]) == text(FIRST)
        with pytest.raises(IntegrityError):
            opener.update(sealed[2 * S :])
        for attempt in (lambda: opener.update(b"x"), opener.finalize):
            with pytest.raises(ValueError, match="finished"):
                attempt()

    def test_an_empty_last_segment_is_refused_even_when_its_tag_is_right(self) -> None:
        """Otherwise one plaintext would have two streams, and a length two meanings."""
        cipher = AESGCM(hkdf_sha256(KEY, RANDOM[:32], PLACE))
        sealed = b"\x28" + RANDOM
        sealed += cipher.encrypt(RANDOM[32:] + b"\x00\x00\x00\x00\x00", bytes(FIRST), None)
        sealed += cipher.encrypt(RANDOM[32:] + b"\x00\x00\x00\x01\x01", b"", None)
        for opening in (opened_by_segment, opened_in_chunks):
            with pytest.raises(IntegrityError):
                opening(sealed)


class TestAltered:
    """Nothing but the stream itself opens; whatever is altered, no wrong byte comes out."""

    @pytest.mark.parametrize("size", [0, 1, FIRST, FIRST + 1, FIRST + FURTHER, 3 * S])
    def test_a_flipped_bit_at_every_boundary_is_detected(self, size: int) -> None:
        sealed = sealed_whole(text(size))
        edges = {0, 1, 32, 33, 39, 40, 41, len(sealed) - 17, len(sealed) - 16, len(sealed) - 1}
        edges |= {n * S + step for n in range(1, 4) for step in (-17, -16, -1, 0, 1)}
        for at in sorted(edge for edge in edges if 0 <= edge < len(sealed)):
            changed = bytearray(sealed)
            changed[at] ^= 0x80
            assert_refused(bytes(changed), text(size))

    @pytest.mark.parametrize("size", [0, 1, FIRST, FIRST + 1, FIRST + FURTHER, 3 * S])
    def test_a_cut_at_every_boundary_is_detected(self, size: int) -> None:
        sealed = sealed_whole(text(size))
        cuts = {0, 1, 39, 40, 41, 55, 56, 57, len(sealed) - 16, len(sealed) - 1}
        cuts |= {n * S + step for n in range(1, 4) for step in (-17, -16, -1, 0, 1, 15, 16, 17)}
        for cut in sorted(c for c in cuts if 0 <= c < len(sealed)):
            assert_refused(sealed[:cut], text(size))

    @pytest.mark.parametrize("size", [0, 1, FIRST, FIRST + 1, FIRST + FURTHER, 3 * S])
    @pytest.mark.parametrize("more", [1, 15, 16, 17, 56, S, S + 1])
    def test_added_bytes_are_detected(self, size: int, more: int) -> None:
        sealed = sealed_whole(text(size))
        assert_refused(sealed + bytes(more), text(size))
        assert_refused(sealed + sealed[-more:], text(size))

    @settings(max_examples=100)
    @given(picks=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1)), min_size=1, max_size=6))
    def test_segments_of_two_streams_in_any_other_order_are_detected(self, picks: list[tuple[int, int]]) -> None:
        plaintext = text(FIRST + 3 * FURTHER)
        streams = [sealed_whole(plaintext), sealed_whole(plaintext, random=RANDOM[::-1])]
        for header in streams:
            forged = header[:HEADER_BYTES] + b"".join(segment_of(streams[which], index) for index, which in picks)
            if forged in streams:
                assert opened_by_segment(forged) == opened_in_chunks(forged) == plaintext
            else:
                assert_refused(forged, plaintext)

    @settings(max_examples=100)
    @given(st.binary(max_size=9000))
    def test_foreign_bytes_are_refused(self, foreign: bytes) -> None:
        assert_refused(foreign, b"")
        assert_refused(b"\x28" + RANDOM + foreign, b"")

    def test_a_segment_size_that_is_not_the_streams_own_is_detected(self) -> None:
        sealed = sealed_whole(text(3 * S))
        for segment_bytes in (S + 1, 2 * S, DEFAULT_SEGMENT_BYTES):
            opener = StreamOpener(KEY, PLACE, segment_bytes=segment_bytes)
            with pytest.raises(IntegrityError):
                opener.update(sealed)
                opener.finalize()


@pytest.mark.parametrize("length", [0, 1, S - HEADER_BYTES - TAG_BYTES])
def test_a_stream_of_one_segment_opens_in_one_step(length: int) -> None:
    assert open_single(KEY, PLACE, sealed_whole(text(length)), segment_bytes=S) == text(length)


def test_a_stream_of_one_segment_is_refused_when_altered_cut_or_elsewhere() -> None:
    sealed = sealed_whole(text(100))
    wrong = [sealed[:-1], sealed + b"x", sealed[:20], b"", *(flipped(sealed, at) for at in (0, 5, 40, len(sealed) - 1))]
    for each in wrong:
        with pytest.raises(IntegrityError):
            open_single(KEY, PLACE, each, segment_bytes=S)
    with pytest.raises(IntegrityError):
        open_single(KEY, PLACE + b"x", sealed, segment_bytes=S)


def test_the_first_of_many_segments_is_no_stream_of_one() -> None:
    sealed = sealed_whole(text(2 * S))
    with pytest.raises(IntegrityError):
        open_single(KEY, PLACE, sealed[:S], segment_bytes=S)
    with pytest.raises(ValueError, match="more than one segment"):
        open_single(KEY, PLACE, sealed, segment_bytes=S)


def flipped(sealed: bytes, at: int) -> bytes:
    return sealed[:at] + bytes((sealed[at] ^ 1,)) + sealed[at + 1 :]


def assert_refused(sealed: bytes, plaintext: bytes) -> None:
    """Both ways of opening end in an error, and what the pushing one released before is true."""
    with pytest.raises(IntegrityError):
        opened_by_segment(sealed)
    opener, released = StreamOpener(KEY, PLACE, segment_bytes=S), bytearray()
    with pytest.raises(IntegrityError):
        for at in range(0, len(sealed), 1000):
            released += opener.update(sealed[at : at + 1000])
        opener.finalize()
    assert plaintext.startswith(bytes(released))

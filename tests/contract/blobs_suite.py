"""What every blob store must do: one suite, run on each implementation.

A test class per implementation derives from `BlobsSuite` and gives `open_blobs`, which opens the same store each
time it is called within one test, as if by a new process.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from s3al.errors import IntegrityError
from s3al.store.blobs import Blobs

NOTHING: set[str] = set()


def stored(blobs: Blobs, content: bytes = b"sealed") -> str:
    writer = blobs.create()
    writer.write(content)
    writer.finish()
    return writer.name


def content_of(blobs: Blobs, name: str) -> bytes:
    with blobs.open(name) as reader:
        return reader.read(0, reader.size_bytes)


class BlobsSuite:
    def open_blobs(self) -> Blobs:
        raise NotImplementedError

    @pytest.fixture
    def blobs(self) -> Iterator[Blobs]:
        blobs = self.open_blobs()
        yield blobs
        blobs.close()

    @pytest.mark.parametrize(
        "pieces", [[], [b""], [b"a"], [b"ab", b"", b"c" * 70_000], [bytearray(b"x"), memoryview(b"yz")]]
    )
    def test_what_was_written_is_read(self, blobs: Blobs, pieces: list[bytes]) -> None:
        writer = blobs.create()
        for piece in pieces:
            writer.write(piece)
        writer.finish()
        assert content_of(blobs, writer.name) == b"".join(pieces)

    @pytest.mark.parametrize(("offset", "length"), [(0, 0), (0, 1), (3, 4), (0, 10), (10, 0)])
    def test_a_range_is_read(self, blobs: Blobs, offset: int, length: int) -> None:
        with blobs.open(stored(blobs, b"0123456789")) as reader:
            assert reader.size_bytes == 10
            assert reader.read(offset, length) == b"0123456789"[offset : offset + length]

    @pytest.mark.parametrize(("offset", "length"), [(0, 11), (9, 2), (10, 1), (50, 1)])
    def test_reading_beyond_the_end_is_an_integrity_error(
        self, blobs: Blobs, offset: int, length: int
    ) -> None:
        with blobs.open(stored(blobs, b"0123456789")) as reader, pytest.raises(IntegrityError):
            reader.read(offset, length)

    def test_names_are_random_and_carry_the_incarnation(self, blobs: Blobs) -> None:
        names = {stored(blobs) for _ in range(20)}
        assert len(names) == 20
        assert all(re.fullmatch(f"{blobs.incarnation}/[0-9a-f]{{32}}", name) for name in names)

    def test_two_openings_have_different_incarnations(self, blobs: Blobs) -> None:
        other = self.open_blobs()
        assert other.incarnation != blobs.incarnation
        assert {blobs.incarnation, other.incarnation} <= blobs.live_incarnations()
        other.close()
        assert other.incarnation not in blobs.live_incarnations()

    def test_an_abandoned_blob_is_gone(self, blobs: Blobs) -> None:
        writer = blobs.create()
        writer.write(b"half")
        writer.abandon()
        writer.abandon()
        with pytest.raises(IntegrityError):
            blobs.open(writer.name)

    def test_a_finished_blob_can_be_abandoned(self, blobs: Blobs) -> None:
        writer = blobs.create()
        writer.finish()
        writer.abandon()
        with pytest.raises(IntegrityError):
            blobs.open(writer.name)

    def test_removing_twice_is_no_error(self, blobs: Blobs) -> None:
        name, other = stored(blobs), stored(blobs)
        blobs.remove([name])
        blobs.remove([name, other])
        for gone in (name, other):
            with pytest.raises(IntegrityError):
                blobs.open(gone)

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "x",
            "../../etc/passwd",
            "0123456789abcdef/../0123456789abcdef",
            "0123456789abcdef/" + "0" * 31,
            "0123456789abcdef/" + "0" * 33,
            "0123456789ABCDEF/" + "0" * 32,
            "0123456789abcdef/" + "0" * 32 + "\n",
            "0123456789abcdef/" + "\uff10" * 32,
        ],
    )
    def test_a_name_of_another_form_is_refused(self, blobs: Blobs, name: str) -> None:
        with pytest.raises(IntegrityError):
            blobs.open(name)
        with pytest.raises(IntegrityError):
            blobs.remove([name])

    def test_a_sweep_removes_what_the_dead_left_unnamed(self, blobs: Blobs) -> None:
        dead = self.open_blobs()
        kept, garbage = stored(dead, b"kept"), stored(dead, b"garbage")
        dead.close()
        report = blobs.sweep({kept}.intersection)
        assert (report.swept, report.removed_blobs, report.removed_bytes) == ((dead.incarnation,), 1, 7)
        assert content_of(blobs, kept) == b"kept"
        with pytest.raises(IntegrityError):
            blobs.open(garbage)

    def test_a_sweep_leaves_the_living_alone(self, blobs: Blobs) -> None:
        living = self.open_blobs()
        mine, theirs = stored(blobs), stored(living)
        unfinished = living.create()
        report = blobs.sweep(lambda _: NOTHING)
        assert report.removed_blobs == 0
        assert report.swept == ()
        unfinished.finish()
        for name in (mine, theirs, unfinished.name):
            blobs.open(name).close()
        living.close()

    def test_a_sweep_looks_only_among_those_it_was_given(self, blobs: Blobs) -> None:
        first, second = self.open_blobs(), self.open_blobs()
        left, removed = stored(first), stored(second)
        first.close()
        second.close()
        never_wrote = "0123456789abcdef"
        report = blobs.sweep(lambda _: NOTHING, among={second.incarnation, never_wrote, blobs.incarnation})
        assert set(report.swept) == {second.incarnation, never_wrote}
        blobs.open(left).close()
        with pytest.raises(IntegrityError):
            blobs.open(removed)

    def test_a_second_sweep_finds_nothing(self, blobs: Blobs) -> None:
        dead = self.open_blobs()
        stored(dead)
        dead.close()
        assert blobs.sweep(lambda _: NOTHING).removed_blobs == 1
        assert blobs.sweep(lambda _: NOTHING) == type(blobs.sweep(lambda _: NOTHING))()

    def test_doubtful_blobs_go_unless_a_row_names_them(self, blobs: Blobs) -> None:
        named, unnamed, sure = stored(blobs), stored(blobs), stored(blobs)
        blobs.doubt([named, unnamed])
        assert blobs.settle_doubts({named}.intersection) == 1
        assert blobs.settle_doubts(lambda _: NOTHING) == 0
        for name in (named, sure):
            blobs.open(name).close()
        with pytest.raises(IntegrityError):
            blobs.open(unnamed)

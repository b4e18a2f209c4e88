"""Records: what goes in comes out, in its own place and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3al.errors import IntegrityError
from s3al.s3.records import Envelope, PartRecord, PublicRecord, Records, Stream, UploadRecord
from s3al.store.catalog import PartRow, UploadRow, VersionRow

from .world import Counting, FixedKeys

STORE, BUCKET, OBJECT = b"s" * 16, b"b" * 16, b"o" * 16
KEY, VERSION, UPLOAD = "a key \U0001f511".encode(), "3f" * 16, "upload"
records = Records(STORE, FixedKeys(), Counting())

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
maps = st.dictionaries(texts, texts, max_size=4)
some_bytes = st.binary(min_size=1, max_size=60)
maybe_bytes = st.binary(max_size=60)
envelopes = st.builds(
    Envelope, mode=texts, wrapped=some_bytes, commitment=some_bytes, material_id=maybe_bytes, kms_key_arn=texts,
    context=maps, intermediate=maybe_bytes, bucket_key_enabled=st.booleans(), outer=maybe_bytes,
    outer_commitment=maybe_bytes, salt=maybe_bytes,
)  # fmt: skip
streams = st.builds(
    Stream, stream_id=st.binary(min_size=16, max_size=16), size_bytes=st.integers(0, 5 << 30),
    segment_bytes=st.integers(4096, 4 << 20), part_number=st.just(0),
)  # fmt: skip
parts = streams.flatmap(lambda stream: st.integers(1, 10_000).map(lambda number: replace(stream, part_number=number)))
checksums = st.lists(st.sampled_from(["CRC32", "SHA256"]), unique=True).map(tuple)
described = {"headers": maps, "metadata": maps, "storage_class": texts}
whole = st.builds(
    PublicRecord, size_bytes=st.integers(0, 5 << 40), etag=texts, envelope=envelopes, stream=streams,
    checksum_algorithms=checksums, **described,
)  # fmt: skip
multipart = st.builds(
    PublicRecord, size_bytes=st.integers(0, 5 << 40), etag=texts, envelope=envelopes,
    parts_count=st.integers(1, 10_000), manifest_digest=st.binary(min_size=32, max_size=32), upload_id=texts,
    checksum_algorithms=checksums, **described,
)  # fmt: skip
uploads = st.builds(
    UploadRecord, envelope=envelopes, tags=maps, checksum_algorithm=st.none() | texts, checksum_type=st.none() | texts,
    **described,
)  # fmt: skip


def version(sealed: bytes = b"", **fields: Any) -> VersionRow:
    return replace(VersionRow(BUCKET, KEY, VERSION, 0, OBJECT, sealed), **fields)


def upload(record: bytes = b"", **fields: Any) -> UploadRow:
    return replace(UploadRow(UPLOAD, BUCKET, KEY, OBJECT, 0, "account", record), **fields)


@given(record=whole | multipart)
def test_public_records_come_back(record: PublicRecord) -> None:
    expected = record if record.checksum_algorithms else replace(record, checksum_type=None)
    sealed = records.seal_public(BUCKET, KEY, VERSION, OBJECT, record)
    assert records.open_public(BUCKET, KEY, version(sealed)) == expected


@given(record=uploads)
def test_upload_records_come_back(record: UploadRecord) -> None:
    sealed = records.seal_upload(BUCKET, KEY, UPLOAD, OBJECT, record)
    assert records.open_upload(upload(sealed)) == record


@given(stream=parts, etag=texts, algorithm=st.none() | texts)
def test_part_records_come_back(stream: Stream, etag: str, algorithm: str | None) -> None:
    record = PartRecord(stream.size_bytes, etag, stream, algorithm)
    sealed = records.seal_part(upload(), stream.part_number, record)
    row = PartRow(UPLOAD, stream.part_number, stream.stream_id, 0, sealed, b"")
    assert records.open_part(upload(), row) == record


@given(listed=st.lists(parts, max_size=20))
def test_manifests_come_back_in_their_order(listed: list[Stream]) -> None:
    sealed, digest = records.seal_manifest(BUCKET, OBJECT, listed)
    assert records.open_manifest(BUCKET, OBJECT, sealed, digest) == listed


def test_the_largest_manifest_takes_300_kb() -> None:
    sealed, digest = records.seal_manifest(BUCKET, OBJECT, [Stream(b"i" * 16, 5 << 30, 4 << 20, 10_000)] * 10_000)
    assert len(sealed) < 310_000
    assert len(records.open_manifest(BUCKET, OBJECT, sealed, digest)) == 10_000


@given(tags=maps)
def test_tags_come_back(tags: dict[str, str]) -> None:
    assert records.open_tags(version(tag_record=records.seal_tags(version(), tags))) == tags
    assert records.open_tags(version()) == {}


@given(
    values=st.dictionaries(st.sampled_from(["CRC32", "SHA256"]), some_bytes),
    stream_id=st.sampled_from([b"", b"i" * 16]),
)
def test_private_records_come_back(values: dict[str, bytes], stream_id: bytes) -> None:
    sealed = records.seal_private(b"k" * 32, BUCKET, OBJECT, stream_id, values)
    assert records.open_private(b"k" * 32, BUCKET, OBJECT, stream_id, sealed) == values


ENVELOPE = Envelope("AES256", b"w", b"c")
PUBLIC = PublicRecord(1, "etag", ENVELOPE, Stream(b"i" * 16, 1, 4096))
SEALED_PUBLIC = records.seal_public(BUCKET, KEY, VERSION, OBJECT, PUBLIC)
SEALED_TAGS = records.seal_tags(version(), {"a": "b"})
SEALED_UPLOAD = records.seal_upload(BUCKET, KEY, UPLOAD, OBJECT, UploadRecord(ENVELOPE))
SEALED_PART = records.seal_part(upload(), 1, PartRecord(1, "etag", Stream(b"i" * 16, 1, 4096, 1)))
SEALED_MANIFEST, DIGEST = records.seal_manifest(BUCKET, OBJECT, [Stream(b"i" * 16, 1, 4096, 1)])
SEALED_PRIVATE = records.seal_private(b"k" * 32, BUCKET, OBJECT, b"", {})
SEALED_MARKER = records.seal_marker(BUCKET, KEY, VERSION, OBJECT)
elsewhere = Records(b"t" * 16, FixedKeys(), Counting())

MOVES: dict[str, Callable[[], object]] = {
    "public: bucket": lambda: records.open_public(b"c" * 16, KEY, version(SEALED_PUBLIC, bucket_id=b"c" * 16)),
    "public: key": lambda: records.open_public(BUCKET, b"k", version(SEALED_PUBLIC)),
    "public: version": lambda: records.open_public(BUCKET, KEY, version(SEALED_PUBLIC, version_id="null")),
    "public: object id": lambda: records.open_public(BUCKET, KEY, version(SEALED_PUBLIC, object_id=b"p" * 16)),
    "public: store": lambda: elsewhere.open_public(BUCKET, KEY, version(SEALED_PUBLIC)),
    "public: as a marker": lambda: records.open_marker(version(SEALED_PUBLIC)),
    "marker: as public": lambda: records.open_public(BUCKET, KEY, version(SEALED_MARKER)),
    "marker: version": lambda: records.open_marker(version(SEALED_MARKER, version_id="null")),
    "tags: version": lambda: records.open_tags(version(tag_record=SEALED_TAGS, version_id="null")),
    "tags: object id": lambda: records.open_tags(version(tag_record=SEALED_TAGS, object_id=b"p" * 16)),
    "tags: as public": lambda: records.open_public(BUCKET, KEY, version(SEALED_TAGS)),
    "public: as tags": lambda: records.open_tags(version(tag_record=SEALED_PUBLIC)),
    "upload: id": lambda: records.open_upload(upload(SEALED_UPLOAD, upload_id="another")),
    "upload: key": lambda: records.open_upload(upload(SEALED_UPLOAD, object_key=b"k")),
    "upload: object id": lambda: records.open_upload(upload(SEALED_UPLOAD, object_id=b"p" * 16)),
    "part: number": lambda: records.open_part(upload(), PartRow(UPLOAD, 2, b"i" * 16, 0, SEALED_PART, b"")),
    "part: upload": lambda: records.open_part(
        upload(upload_id="another"), PartRow("another", 1, b"i" * 16, 0, SEALED_PART, b"")),
    "manifest: object id": lambda: records.open_manifest(BUCKET, b"p" * 16, SEALED_MANIFEST, DIGEST),
    "manifest: bucket": lambda: records.open_manifest(b"c" * 16, OBJECT, SEALED_MANIFEST, DIGEST),
    "manifest: another's digest": lambda: records.open_manifest(BUCKET, OBJECT, SEALED_MANIFEST, bytes(32)),
    "private: key": lambda: records.open_private(b"l" * 32, BUCKET, OBJECT, b"", SEALED_PRIVATE),
    "private: object id": lambda: records.open_private(b"k" * 32, BUCKET, b"p" * 16, b"", SEALED_PRIVATE),
    "private: stream": lambda: records.open_private(b"k" * 32, BUCKET, OBJECT, b"i" * 16, SEALED_PRIVATE),
    "too short": lambda: records.open_public(BUCKET, KEY, version(SEALED_PUBLIC[:31])),
    "empty": lambda: records.open_public(BUCKET, KEY, version(b"")),
}  # fmt: skip


@pytest.mark.parametrize("move", MOVES)
def test_a_record_opens_in_no_other_place(move: str) -> None:
    with pytest.raises(IntegrityError):
        MOVES[move]()


@given(at=st.integers(0, len(SEALED_PUBLIC) - 1), bit=st.integers(0, 7))
def test_no_bit_of_a_record_can_be_changed(at: int, bit: int) -> None:
    altered = bytearray(SEALED_PUBLIC)
    altered[at] ^= 1 << bit
    with pytest.raises(IntegrityError):
        records.open_public(BUCKET, KEY, version(bytes(altered)))


def test_a_record_of_an_unknown_version_is_not_guessed_at() -> None:
    sealed = records._seal(BUCKET, b"\x02{}", records._place(b"tags", BUCKET, KEY, VERSION.encode(), OBJECT))
    with pytest.raises(IntegrityError, match="version"):
        records.open_tags(version(tag_record=sealed))


def test_a_remembered_record_is_remembered_for_its_place_and_its_bytes_alone() -> None:
    known = Records(STORE, FixedKeys(), Counting())
    assert known.open_public(BUCKET, KEY, version(SEALED_PUBLIC)) == PUBLIC
    assert known.open_public(BUCKET, KEY, version(SEALED_PUBLIC)) == PUBLIC
    altered = SEALED_PUBLIC[:-1] + bytes((SEALED_PUBLIC[-1] ^ 1,))
    for row in (
        version(altered),
        version(SEALED_PUBLIC, version_id="null"),
        version(SEALED_PUBLIC, object_id=b"p" * 16),
    ):
        with pytest.raises(IntegrityError):
            known.open_public(BUCKET, KEY, row)
    with pytest.raises(IntegrityError):
        known.open_public(b"c" * 16, KEY, version(SEALED_PUBLIC))
    with pytest.raises(IntegrityError):
        known.open_public(BUCKET, b"k", version(SEALED_PUBLIC))


def test_remembered_records_have_a_bound() -> None:
    known = Records(STORE, FixedKeys(), Counting())
    for number in range(3000):
        key = b"%d" % number
        sealed = known.seal_public(BUCKET, key, VERSION, OBJECT, PUBLIC)
        assert known.open_public(BUCKET, key, version(sealed)) == PUBLIC
    assert 0 < len(known._opened) <= 2048


def test_equal_records_are_sealed_differently() -> None:
    assert records.seal_public(BUCKET, KEY, VERSION, OBJECT, PUBLIC) != SEALED_PUBLIC

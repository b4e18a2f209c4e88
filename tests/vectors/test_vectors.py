"""The vectors of spec/vectors, judged by s3al and by the independent decoder: both must give the stated verdict."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Callable
from typing import Any

import pytest

from s3al.crypto.encoding import canonical, canonical_map
from s3al.crypto.keys import commitment, derive, open_kms, parse_kms_blob, private_record_key, stream_key, unwrap
from s3al.crypto.records import open_record
from s3al.crypto.stream import HEADER_BYTES, SegmentOpener, StreamOpener, segment_span
from s3al.errors import IntegrityError
from vectors import independent, make_vectors
from vectors.fixed import plain

Vector = dict[str, Any]
Open = Callable[[Vector], bytes]


def load(name: str) -> list[Vector]:
    document = json.loads((make_vectors.FOLDER / f"{name}.json").read_text(encoding="ascii"))
    assert document["format"] == 1
    return document["vectors"]


def cases(*names: str) -> list[Any]:
    return [pytest.param(name, vector, id=f"{name}: {vector['name']}") for name in names for vector in load(name)]


def raw(vector: Vector, *names: str) -> list[bytes]:
    return [bytes.fromhex(vector[name]) for name in names]


def stream_bytes(vector: Vector) -> bytes:
    if "sealed_base64" in vector:
        return b64decode(vector["sealed_base64"])
    whole = {v["name"]: b64decode(v["sealed_base64"]) for v in load("streams") if "sealed_base64" in v}
    sealed = bytearray(b"".join(whole[name][start:end] for name, start, end in vector["pieces"]))
    for at in vector.get("flip", ()):
        sealed[at] ^= 1
    return bytes(sealed)


def s3al_wrap(vector: Vector) -> bytes:
    key, place, wrapped = raw(vector, "wrapping_key", "associated_data", "wrapped")
    return unwrap(key, wrapped, associated_data=place)


def s3al_record(vector: Vector) -> bytes:
    key, place, sealed = raw(vector, "key", "associated_data", "sealed")
    return open_record(key, sealed, associated_data=place)


def s3al_kms(vector: Vector) -> bytes:
    material, blob = raw(vector, "material", "blob")
    return open_kms(material, parse_kms_blob(blob), vector["context"])


def s3al_stream_in_chunks(vector: Vector) -> bytes:
    key, place = raw(vector, "stream_key", "associated_data")
    opener = StreamOpener(key, place, segment_bytes=vector["segment_bytes"])
    sealed = stream_bytes(vector)
    opened = [opener.update(sealed[at : at + 1000]) for at in range(0, len(sealed), 1000)]
    return b"".join([*opened, opener.finalize()])


def s3al_stream_by_segment(vector: Vector) -> bytes:
    key, place = raw(vector, "stream_key", "associated_data")
    sealed, segment_bytes = stream_bytes(vector), vector["segment_bytes"]
    header = sealed[:HEADER_BYTES]
    opener = SegmentOpener(key, place, header=header, sealed_bytes=len(sealed), segment_bytes=segment_bytes)
    opened = []
    for index in range(opener.segments):
        start, length = segment_span(index, len(sealed), segment_bytes)
        opened.append(opener.open(index, sealed[start : start + length]))
    return b"".join(opened)


def tink_stream(vector: Vector) -> bytes:
    key, place = raw(vector, "stream_key", "associated_data")
    return independent.open_stream(key, stream_bytes(vector), place, vector["segment_bytes"])


# The readers of s3al, and last the independent one.
READERS: dict[str, tuple[Open, ...]] = {
    "wrap": (s3al_wrap, lambda v: independent.unwrap(*raw(v, "wrapping_key", "wrapped", "associated_data"))),
    "records": (s3al_record, lambda v: independent.open_record(*raw(v, "key", "sealed", "associated_data"))),
    "kms_blobs": (s3al_kms, lambda v: independent.open_kms(*raw(v, "material", "blob"), v["context"])[2]),
    "streams": (s3al_stream_in_chunks, s3al_stream_by_segment, tink_stream),
}


@pytest.mark.parametrize("name", list(make_vectors.FILES))
def test_checked_in_vectors_are_what_the_script_writes(name: str) -> None:
    assert (make_vectors.FOLDER / f"{name}.json").read_text(encoding="ascii") == make_vectors.rendered(name)


@pytest.mark.parametrize(("name", "vector"), [c for c in cases(*READERS) if c.values[1]["verdict"] == "opens"])
def test_every_reader_opens_what_should_open(name: str, vector: Vector) -> None:
    plaintext = plain(vector["plaintext_bytes"]) if name == "streams" else raw(vector, "plaintext")[0]
    assert [reader(vector) for reader in READERS[name]] == [plaintext] * len(READERS[name])


@pytest.mark.parametrize(("name", "vector"), [c for c in cases(*READERS) if c.values[1]["verdict"] == "fails"])
def test_every_reader_refuses_what_should_fail(name: str, vector: Vector) -> None:
    *own, other = READERS[name]
    for reader in own:
        with pytest.raises(IntegrityError):
            reader(vector)
    if vector.get("tink") == "opens":
        assert other(vector)  # when this fails, Tink has become strict: drop the mark
    else:
        with pytest.raises(independent.Refused):
            other(vector)


@pytest.mark.parametrize(("name", "vector"), cases("derive"))
def test_derive_equals_kbkdf_of_another_library(name: str, vector: Vector) -> None:
    key, context, derived = raw(vector, "key", "context", "derived")
    label, length = vector["label"].encode(), vector["length"]
    assert derive(key, label, context, length) == independent.derive(key, label, context, length) == derived


@pytest.mark.parametrize(("name", "vector"), cases("data_keys"))
def test_children_of_a_data_key_follow_from_their_labels(name: str, vector: Vector) -> None:
    key, object_id, stream_id = raw(vector, "data_key", "object_id", "stream_id")
    children = raw(vector, "stream_key", "private_record_key", "commitment")
    assert children == [stream_key(key, stream_id), private_record_key(key), commitment(key, object_id)]
    assert children == [
        independent.derive(key, b"s3al stream key v1", stream_id, 32),
        independent.derive(key, b"s3al private record key v1", b"", 32),
        independent.derive(key, b"s3al commitment v1", object_id, 32),
    ]


@pytest.mark.parametrize(("name", "vector"), cases("encoding"))
def test_encodings_agree(name: str, vector: Vector) -> None:
    (encoded,) = raw(vector, "encoded")
    if "map" in vector:
        assert canonical_map(vector["map"]) == independent.encryption_context(vector["map"]) == encoded
    else:
        values = [bytes.fromhex(value) for value in vector["fields"]]
        assert canonical(*values) == independent.fields(*values) == encoded


@pytest.mark.parametrize("kind", ["fields", "map"])
def test_no_two_encodings_are_equal(kind: str) -> None:
    encodings = [vector["encoded"] for vector in load("encoding") if kind in vector]
    assert len(set(encodings)) == len(encodings)


PLACE_LABELS = {
    "stream": b"s3al stream v1",
    "public record": b"s3al public record v1",
    "private record": b"s3al private record v1",
    "wrapped data key": b"s3al wrapped data key v1",
}


@pytest.mark.parametrize(("name", "vector"), cases("places"))
def test_places_are_label_and_ids_in_the_order_of_the_spec(name: str, vector: Vector) -> None:
    values = [PLACE_LABELS[vector["kind"]]]
    if vector["kind"] == "stream":
        values.append(bytes([vector["layer"]]))
    values += raw(vector, "store_id", "bucket_id")
    if vector["kind"] == "public record":
        values += [vector["object_key"].encode(), vector["version_id"].encode()]
    values += raw(vector, "object_id")
    if "stream_id" in vector:
        values += raw(vector, "stream_id")
    assert independent.fields(*values).hex() == vector["associated_data"]


def test_all_places_differ() -> None:
    places = [vector["associated_data"] for vector in load("places")]
    assert len(set(places)) == len(places)

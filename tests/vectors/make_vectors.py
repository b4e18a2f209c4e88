"""Writes spec/vectors/*.json from fixed keys: `python tests/vectors/make_vectors.py`.

What lives here: the inputs of every vector. What does not: the judging (test_vectors, independent). The output is the
same on every run; a test compares it with what is checked in, so a change of format cannot go unseen.

Form of a vector: "verdict" is "opens" or "fails"; bytes are hex, or base64 under names ending in _base64. A stream that
fails is told as pieces [name of a stream that opens, from, to] that are joined, and as byte offsets whose lowest bit is
then flipped. "tink": "opens" marks what s3al refuses although Tink's reader opens it.
"""

from __future__ import annotations

import json
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

from s3al.crypto.context import (
    private_record_associated_data,
    public_record_associated_data,
    stream_associated_data,
    wrapped_key_associated_data,
)
from s3al.crypto.encoding import canonical, canonical_map
from s3al.crypto.keys import commitment, derive, private_record_key, seal_kms, stream_key, wrap
from s3al.crypto.records import seal_record
from s3al.crypto.stream import StreamSealer

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as pytest does: `vectors` is this folder

from vectors.fixed import (
    BUCKET,
    OBJECT,
    OTHER_BUCKET,
    OTHER_OBJECT,
    OTHER_STREAM,
    STORE,
    STREAM,
    fixed,
    plain,
)
from vectors.make_hierarchy import hierarchy_vectors

FOLDER = Path(__file__).resolve().parents[2] / "spec" / "vectors"
SEGMENT = 4096

Vector = dict[str, Any]


def encoding_vectors() -> list[Vector]:
    lists = {
        "no fields": [],
        "one empty field": [b""],
        "two fields": [b"a", b"bc"],
        "the same bytes split elsewhere": [b"ab", b"c"],
        "an empty field at the end": [b"a", b"bc", b""],
    }
    maps: dict[str, dict[str, str]] = {
        "empty map": {},
        "a: bc": {"a": "bc"},
        "ab: c": {"ab": "c"},
        "order is that of UTF-8 bytes, not of UTF-16 units": {"\U00010000": "last", "\uffff": "first"},
        "order does not depend on how it was written": {"b": "2", "a": "1", "B": "0"},
        "empty name and value": {"": ""},
    }
    return [
        {"name": name, "verdict": "opens", "fields": [f.hex() for f in values], "encoded": canonical(*values).hex()}
        for name, values in lists.items()
    ] + [
        {"name": name, "verdict": "opens", "map": mapping, "encoded": canonical_map(mapping).hex()}
        for name, mapping in maps.items()
    ]


def derive_vectors() -> list[Vector]:
    cases = [
        ("label alone", b"s3al wrap v1", b"", 32),
        ("label and context", b"s3al stream key v1", STREAM, 32),
        ("a long context", b"s3al bucket key v1", fixed("long", 300), 32),
        ("shorter than one block", b"s3al short v1", b"c", 16),
        ("one byte more than one block", b"s3al long v1", b"c", 33),
        ("three blocks", b"s3al long v1", b"c", 96),
    ]
    key = fixed("derivation key")
    return [
        {
            "name": name,
            "verdict": "opens",
            "key": key.hex(),
            "label": label.decode(),
            "context": context.hex(),
            "length": length,
            "derived": derive(key, label, context, length).hex(),
        }
        for name, label, context, length in cases
    ]


def data_key_vectors() -> list[Vector]:
    return [
        {
            "name": name,
            "verdict": "opens",
            "data_key": key.hex(),
            "object_id": object_id.hex(),
            "stream_id": stream_id.hex(),
            "stream_key": stream_key(key, stream_id).hex(),
            "private_record_key": private_record_key(key).hex(),
            "commitment": commitment(key, object_id).hex(),
        }
        for name, key, object_id, stream_id in (
            ("one data key", fixed("data key"), OBJECT, STREAM),
            ("the same data key, another object and stream", fixed("data key"), OTHER_OBJECT, OTHER_STREAM),
            ("another data key", fixed("other data key"), OBJECT, STREAM),
        )
    ]


def place_vectors() -> list[Vector]:
    ids = {"store_id": STORE.hex(), "bucket_id": BUCKET.hex(), "object_id": OBJECT.hex()}
    rows: list[Vector] = [
        {
            "name": f"stream, layer {layer}",
            "kind": "stream",
            **ids,
            "stream_id": STREAM.hex(),
            "layer": layer,
            "associated_data": stream_associated_data(STORE, BUCKET, OBJECT, STREAM, layer=layer).hex(),
        }
        for layer in (0, 1, 2)
    ]
    for object_key, version_id in (("a/b", "null"), ("a/", "bnull"), ("Grüße/日本", "3HL4kqtJlcpXroDTDmJ")):
        place = public_record_associated_data(STORE, BUCKET, object_key.encode(), version_id, OBJECT)
        rows.append(
            {
                "name": f"public record of {object_key}, {version_id}",
                "kind": "public record",
                **ids,
                "object_key": object_key,
                "version_id": version_id,
                "associated_data": place.hex(),
            }
        )
    for name, stream_id in (("of a part", STREAM), ("of the whole object", b"")):
        place = private_record_associated_data(STORE, BUCKET, OBJECT, stream_id)
        rows.append(
            {
                "name": f"private record {name}",
                "kind": "private record",
                **ids,
                "stream_id": stream_id.hex(),
                "associated_data": place.hex(),
            }
        )
    place = wrapped_key_associated_data(STORE, BUCKET, OBJECT)
    rows.append({"name": "wrapped data key", "kind": "wrapped data key", **ids, "associated_data": place.hex()})
    return [{"verdict": "opens", **row} for row in rows]


def flipped(sealed: bytes, at: int) -> bytes:
    changed = bytearray(sealed)
    changed[at] ^= 1
    return bytes(changed)


def spoiled(sealed: bytes, fields: dict[str, int]) -> dict[str, bytes]:
    """Every way to alter one sealed thing. fields: name -> offset of a byte in it, negative from the end."""
    changes = {f"{name} flipped": flipped(sealed, at) for name, at in fields.items()}
    return changes | {
        "one byte cut": sealed[:-1],
        "one byte added": sealed + b"\x00",
        "nothing but the tag": sealed[-16:],
        "empty": b"",
    }


def wrap_vectors() -> list[Vector]:
    key, place = fixed("wrapping key"), wrapped_key_associated_data(STORE, BUCKET, OBJECT)
    elsewhere = wrapped_key_associated_data(STORE, OTHER_BUCKET, OBJECT)
    wrapped = wrap(key, fixed("data key"), associated_data=place, random=fixed("wrap random", 28))
    empty = wrap(key, b"", associated_data=b"", random=fixed("wrap random 2", 28))

    def row(name: str, sealed: bytes, plaintext: bytes | None, *, key: bytes = key, place: bytes = place) -> Vector:
        verdict = {"verdict": "fails"} if plaintext is None else {"verdict": "opens", "plaintext": plaintext.hex()}
        inputs = {"wrapping_key": key.hex(), "associated_data": place.hex(), "wrapped": sealed.hex()}
        return {"name": name, **verdict, **inputs}

    parts = {"version": 0, "salt": 1, "iv": 17, "ciphertext": 29, "tag": -1}
    return [
        row("a data key", wrapped, fixed("data key")),
        row("nothing, with no associated data", empty, b"", place=b""),
        row("wrapped for another bucket", wrapped, None, place=elsewhere),
        row("another wrapping key", wrapped, None, key=fixed("other wrapping key")),
        *[row(name, changed, None) for name, changed in spoiled(wrapped, parts).items()],
    ]


def record_vectors() -> list[Vector]:
    key, place = fixed("record key"), public_record_associated_data(STORE, BUCKET, b"a/b", "null", OBJECT)
    elsewhere = public_record_associated_data(STORE, BUCKET, b"a/", "bnull", OBJECT)
    record = seal_record(key, b'\x01{"size":3}', associated_data=place, nonce=fixed("record nonce", 12))
    empty = seal_record(key, b"", associated_data=place, nonce=fixed("record nonce 2", 12))

    def row(name: str, sealed: bytes, plaintext: bytes | None, *, key: bytes = key, place: bytes = place) -> Vector:
        verdict = {"verdict": "fails"} if plaintext is None else {"verdict": "opens", "plaintext": plaintext.hex()}
        return {"name": name, **verdict, "key": key.hex(), "associated_data": place.hex(), "sealed": sealed.hex()}

    parts = {"version": 0, "nonce": 1, "ciphertext": 13, "tag": -1}
    return [
        row("a record", record, b'\x01{"size":3}'),
        row("an empty record", empty, b""),
        row("moved to another key and version whose bytes run together alike", record, None, place=elsewhere),
        row("another record key", record, None, key=fixed("other record key")),
        *[row(name, changed, None) for name, changed in spoiled(record, parts).items()],
    ]


def kms_vectors() -> list[Vector]:
    material, material_id = fixed("material"), fixed("material id")
    key_id, other_id = "1234abcd-12ab-34cd-56ef-1234567890ab", "mrk-1234abcd12ab34cd56ef1234567890ab"
    context = {"aws:s3:arn": "arn:aws:s3:::bucket/key", "a": "bc"}

    def blob(name: str, context: dict[str, str], plaintext: bytes, key_id: str = key_id) -> bytes:
        random = fixed(f"kms random {name}", 28)
        return seal_kms(
            material, key_id=key_id, material_id=material_id, context=context, plaintext=plaintext, random=random
        )

    def row(name: str, sealed: bytes, context: dict[str, str], plaintext: bytes | None) -> Vector:
        verdict = {"verdict": "fails"} if plaintext is None else {"verdict": "opens", "plaintext": plaintext.hex()}
        return {"name": name, **verdict, "material": material.hex(), "context": context, "blob": sealed.hex()}

    whole, single = blob("whole", context, fixed("data key")), blob("single", {"a": "bc"}, b"x")
    relabelled = whole.replace(key_id.encode(), key_id[:-1].encode() + b"c")
    material_at = 6 + len(key_id)
    parts = {"magic": 0, "format version": 4, "key id length": 5, "key id": 6, "material id": material_at}
    parts |= {"salt": material_at + 32, "iv": material_at + 48, "ciphertext": material_at + 60, "tag": -1}
    return [
        row("a data key with a context", whole, context, fixed("data key")),
        row("the context in another order", whole, dict(reversed(context.items())), fixed("data key")),
        row("one byte without a context", blob("none", {}, b"\x00"), {}, b"\x00"),
        row("4096 bytes under a multi-Region key id", blob("most", {}, plain(4096), other_id), {}, plain(4096)),
        row("context a: bc", single, {"a": "bc"}, b"x"),
        row("context ab: c for a: bc", single, {"ab": "c"}, None),
        row("no context for a: bc", single, {}, None),
        row("context of another case", single, {"A": "bc"}, None),
        row("one pair of the context missing", whole, {"a": "bc"}, None),
        row("relabelled with another key id", relabelled, context, None),
        *[row(name, changed, context, None) for name, changed in spoiled(whole, parts).items()],
    ]


def sealed_stream(place: bytes, name: str, length: int) -> bytes:
    key, random = stream_key(fixed("data key"), STREAM), fixed(f"stream random {name}", 39)
    sealer = StreamSealer(key, place, random=random, segment_bytes=SEGMENT)
    return sealer.update(plain(length)) + sealer.finalize()


SIZES = {
    "nothing": 0,
    "one byte": 1,
    "one byte less than one segment": SEGMENT - 57,
    "one full segment": SEGMENT - 56,
    "one byte more than one segment": SEGMENT - 55,
    "two full segments": 2 * SEGMENT - 72,
    "three full segments": 3 * SEGMENT - 88,
    "three segments and a bit": 3 * SEGMENT + 12,
}


def stream_vectors() -> list[Vector]:
    place = stream_associated_data(STORE, BUCKET, OBJECT, STREAM)
    inner = stream_associated_data(STORE, BUCKET, OBJECT, STREAM, layer=1)
    key = stream_key(fixed("data key"), STREAM)

    def row(name: str, verdict: str, place: bytes = place, key: bytes = key) -> Vector:
        inputs = {"stream_key": key.hex(), "associated_data": place.hex(), "segment_bytes": SEGMENT}
        return {"name": name, "verdict": verdict, **inputs}

    def whole(name: str, length: int) -> Vector:
        sealed = b64encode(sealed_stream(place, name, length)).decode()
        return row(name, "opens") | {"plaintext_bytes": length, "sealed_base64": sealed}

    three = "three segments and a bit"
    again = whole("the same plaintext under another salt", SIZES[three])
    return [
        *[whole(name, length) for name, length in SIZES.items()],
        again,
        row("opened as the inner layer", "fails", inner) | _pieces((three, 0, None)),
        row("opened with another stream's key", "fails", place, stream_key(fixed("data key"), OTHER_STREAM))
        | _pieces((three, 0, None)),
        *[row(name, "fails") | change for name, change in stream_changes(three, again["name"]).items()],
    ]


def stream_changes(name: str, other: str) -> dict[str, Vector]:
    """name: a stream of four segments; other: the same under another salt."""
    total, s = SIZES[name] + 40 + 4 * 16, SEGMENT
    flips = {"length byte": 0, "salt": 1, "nonce prefix": 33, "first byte": 40, "tag of segment 0": s - 1}
    flips |= {"segment 1": s, "tag of segment 2": 3 * s - 1, "last segment": 3 * s, "last tag": total - 1}
    cuts = {"in the header": 39, "after the header": 40, "in segment 0": 56, "after segment 0": s}
    cuts |= {"a byte after segment 0": s + 1, "a tag after segment 0": s + 16, "after segment 1": 2 * s}
    cuts |= {"before the last segment": 3 * s, "one byte": total - 1, "everything": 0}
    changes = {f"{what} flipped": _pieces((name, 0, None)) | {"flip": [at]} for what, at in flips.items()}
    changes |= {f"cut {where}": _pieces((name, 0, at)) for where, at in cuts.items()}
    changes |= {
        "segments 1 and 2 exchanged": _pieces(
            (name, 0, s), (name, 2 * s, 3 * s), (name, s, 2 * s), (name, 3 * s, None)
        ),
        "segment 1 left out": _pieces((name, 0, s), (name, 2 * s, None)),
        "segment 1 repeated": _pieces((name, 0, 2 * s), (name, s, None)),
        "segment 1 of another stream": _pieces((name, 0, s), (other, s, 2 * s), (name, 2 * s, None)),
        "last segment of another stream": _pieces((name, 0, 3 * s), (other, 3 * s, None)),
        "header of another stream": _pieces((other, 0, 40), (name, 40, None)),
        "last segment twice": _pieces((name, 0, None), (name, 3 * s, None)),
        "another stream appended": _pieces((name, 0, None), (other, 0, None)),
        "the last byte again at the end": _pieces((name, 0, None), (name, total - 1, None)),
        "a full last segment followed by an empty one": _after_full_segment(("nothing", 40, None)),
        "a full last segment followed by another stream": _after_full_segment((other, 0, None)),
    }
    return changes


def _after_full_segment(*more: tuple[str, int, int | None]) -> Vector:
    """Tink's sequential reader stops behind a full last segment and does not look at what follows; s3al must look."""
    return _pieces(("three full segments", 0, None), *more) | {"tink": "opens"}


def _pieces(*pieces: tuple[str, int, int | None]) -> Vector:
    return {"pieces": [list(piece) for piece in pieces]}


FILES = {
    "encoding": encoding_vectors,
    "derive": derive_vectors,
    "data_keys": data_key_vectors,
    "places": place_vectors,
    "wrap": wrap_vectors,
    "records": record_vectors,
    "kms_blobs": kms_vectors,
    "streams": stream_vectors,
    "hierarchy": hierarchy_vectors,
}


def rendered(name: str) -> str:
    return json.dumps({"format": 1, "vectors": FILES[name]()}, indent=1, ensure_ascii=True) + "\n"


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        (FOLDER / f"{name}.json").write_text(rendered(name), encoding="ascii")


if __name__ == "__main__":
    main()

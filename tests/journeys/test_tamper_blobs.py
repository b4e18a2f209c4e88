"""Sealed bytes altered on a stopped store: in every mode, no wrong byte is sent, and the server lives on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from s3al.crypto.stream import DEFAULT_SEGMENT_BYTES, HEADER_BYTES, TAG_BYTES
from support.house import Aborted, House, StoppedStore, open_house
from support.modes import MODES, Mode, mode_of
from support.settings import allow_sse_c

SEGMENT = DEFAULT_SEGMENT_BYTES
LARGE = 4 * SEGMENT  # five segments, since the header shortens the first
SMALL = 300
PART = 5 << 20


@dataclass
class Tampering:
    """A house, a mode, and a bucket that accepts it."""

    house: House
    mode: Mode
    bucket: str
    written: dict[str, bytes]

    @property
    def s3(self) -> Any:
        return self.house.client()

    def put(self, object_key: str, size: int) -> None:
        self.written[object_key] = os.urandom(size)
        self.s3.put_object(Bucket=self.bucket, Key=object_key, Body=self.written[object_key], **self.mode.put)

    def put_parts(self, object_key: str, *sizes: int) -> None:
        s3, bodies = self.s3, [os.urandom(size) for size in sizes]
        place = {"Bucket": self.bucket, "Key": object_key}
        place["UploadId"] = s3.create_multipart_upload(**place, **self.mode.put)["UploadId"]
        parts = []
        for number, body in enumerate(bodies, 1):
            sent = s3.upload_part(**place, PartNumber=number, Body=body, **self.mode.customer)
            parts.append({"PartNumber": number, "ETag": sent["ETag"]})
        s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts}, **self.mode.customer)
        self.written[object_key] = b"".join(bodies)

    def get(self, object_key: str, **arguments: Any) -> bytes:
        found = self.s3.get_object(Bucket=self.bucket, Key=object_key, **self.mode.customer, **arguments)
        body: bytes = found["Body"].read()
        return body

    def detected(self, object_key: str, **arguments: Any) -> None:
        """The GET fails, by an error or by a connection cut, and what came before is true."""
        before = len(self.house.events("integrity"))
        try:
            answer = self.s3.get_object(Bucket=self.bucket, Key=object_key, **self.mode.customer, **arguments)
        except ClientError as refused:
            assert refused.response["ResponseMetadata"]["HTTPStatusCode"] == 500
            assert refused.response["Error"]["Code"] == "InternalError"
        else:
            got = answer["Body"]._raw_stream.getvalue()
            assert self.written[object_key].startswith(got) and len(got) < len(self.written[object_key])
            with pytest.raises(Aborted):
                answer["Body"].read()
        assert len(self.house.events("integrity")) == before + 1

    def sound(self, *object_keys: str) -> None:
        for object_key in object_keys:
            assert self.get(object_key) == self.written[object_key]


@pytest.fixture(scope="module", params=MODES)
def tampering(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tampering]:
    with open_house(tmp_path_factory.mktemp("house")) as house:
        key = house.client("kms").create_key()["KeyMetadata"]["Arn"]
        house.client().create_bucket(Bucket="tampered")
        allow_sse_c(house.client(), "tampered")
        yield Tampering(house, mode_of(request.param, key), "tampered", {})
        assert [event["at"] for event in house.events("unforeseen")] == []


def stored(store: StoppedStore, object_key: str) -> list[tuple[bytes, str | None, bytes | None]]:
    """(stream id, blob name, sealed body) of an object's streams."""
    return store.all(  # type: ignore[return-value]
        "SELECT s.stream_id, s.blob_name, s.sealed_body FROM streams s JOIN versions v ON v.object_id = s.object_id"
        " WHERE v.object_key = ? ORDER BY s.rowid",
        object_key.encode(),
    )


def blob_of(store: StoppedStore, object_key: str, index: int = 0) -> Path:
    name = stored(store, object_key)[index][1]
    assert name is not None
    return store.blob(name)


def flip(sealed: bytes, at: int) -> bytes:
    changed = bytearray(sealed)
    changed[at] ^= 0x40
    return bytes(changed)


# Alterations of a whole sealed stream of several segments: name -> what becomes of it.
ALTERATIONS: dict[str, Callable[[bytes], bytes]] = {
    "the header's length byte is flipped": lambda b: flip(b, 0),
    "the salt is flipped": lambda b: flip(b, 1),
    "the nonce prefix is flipped": lambda b: flip(b, HEADER_BYTES - 1),
    "the first byte of ciphertext is flipped": lambda b: flip(b, HEADER_BYTES),
    "the first tag is flipped": lambda b: flip(b, SEGMENT - 1),
    "the second segment is flipped": lambda b: flip(b, SEGMENT),
    "a middle segment is flipped": lambda b: flip(b, 3 * SEGMENT - TAG_BYTES - 1),
    "the last tag is flipped": lambda b: flip(b, len(b) - 1),
    "two segments are exchanged": lambda b: b[:SEGMENT] + b[2 * SEGMENT : 3 * SEGMENT] + b[SEGMENT : 2 * SEGMENT] + (
        b[3 * SEGMENT :]),
    "a segment is repeated over the next": lambda b: b[: 2 * SEGMENT] + b[SEGMENT : 2 * SEGMENT] + b[3 * SEGMENT :],
    "one byte is cut off": lambda b: b[:-1],
    "the last segment is cut off": lambda b: b[: len(b) // SEGMENT * SEGMENT],
    "only the header is left": lambda b: b[:HEADER_BYTES],
    "nothing is left": lambda b: b"",
    "one byte is added": lambda b: b + b"\0",
    "a segment is added": lambda b: b + b[SEGMENT : 2 * SEGMENT],
    "all is zero": lambda b: bytes(len(b)),
}  # fmt: skip


def test_no_altered_blob_sends_a_wrong_byte(tampering: Tampering) -> None:
    for name in ALTERATIONS:
        tampering.put(name, LARGE)
    tampering.put("untouched", LARGE)
    with tampering.house.stopped() as store:
        for name, alter in ALTERATIONS.items():
            path = blob_of(store, name)
            path.write_bytes(alter(path.read_bytes()))
    for name in ALTERATIONS:
        tampering.detected(name)
    tampering.sound("untouched")


def test_a_range_before_the_damage_is_still_read(tampering: Tampering) -> None:
    tampering.put("ranged", LARGE)
    with tampering.house.stopped() as store:
        path = blob_of(store, "ranged")
        path.write_bytes(flip(path.read_bytes(), 4 * SEGMENT - 100))
    assert tampering.get("ranged", Range="bytes=100-999") == tampering.written["ranged"][100:1000]
    tampering.detected("ranged", Range=f"bytes={3 * SEGMENT + 10_000}-{3 * SEGMENT + 10_009}")


def test_a_removed_blob_is_an_integrity_event(tampering: Tampering) -> None:
    tampering.put("removed", LARGE)
    with tampering.house.stopped() as store:
        blob_of(store, "removed").unlink()
    tampering.detected("removed")


def test_blobs_exchanged_between_objects_are_detected(tampering: Tampering) -> None:
    tampering.put("one", LARGE)
    tampering.put("two", LARGE)
    with tampering.house.stopped() as store:
        one, two = blob_of(store, "one"), blob_of(store, "two")
        first, second = one.read_bytes(), two.read_bytes()
        one.write_bytes(second)
        two.write_bytes(first)
    tampering.detected("one")
    tampering.detected("two")


INLINE_ALTERATIONS: dict[str, Callable[[bytes], bytes]] = {
    "the salt": lambda b: flip(b, 1),
    "the ciphertext": lambda b: flip(b, HEADER_BYTES + 5),
    "the tag": lambda b: flip(b, len(b) - 1),
    "a byte less": lambda b: b[:-1],
    "a byte more": lambda b: b + b"\0",
    "nothing left": lambda b: b"",
}


@pytest.mark.parametrize("size", [SMALL, 0])
def test_no_altered_body_in_a_row_sends_a_wrong_byte(tampering: Tampering, size: int) -> None:
    for name in INLINE_ALTERATIONS:
        tampering.put(f"{name} {size}", size)
    tampering.put(f"sound {size}", size)
    with tampering.house.stopped() as store:
        for name, alter in INLINE_ALTERATIONS.items():
            stream_id, blob_name, sealed = stored(store, f"{name} {size}")[0]
            assert blob_name is None and sealed is not None
            place = HEADER_BYTES if name == "the ciphertext" and not size else None
            changed = flip(sealed, place) if place else alter(sealed)
            assert store.change("UPDATE streams SET sealed_body = ? WHERE stream_id = ?", changed, stream_id) == 1
    for name in INLINE_ALTERATIONS:
        tampering.detected(f"{name} {size}")
    tampering.sound(f"sound {size}")


def test_parts_exchanged_within_an_object_are_detected(tampering: Tampering) -> None:
    tampering.put_parts("exchanged parts", PART, PART, 1000)
    tampering.put_parts("sound parts", PART, 1000)
    with tampering.house.stopped() as store:
        one, two = blob_of(store, "exchanged parts", 0), blob_of(store, "exchanged parts", 1)
        first, second = one.read_bytes(), two.read_bytes()
        assert len(first) == len(second)
        one.write_bytes(second)
        two.write_bytes(first)
    tampering.detected("exchanged parts")
    tampering.detected("exchanged parts", Range=f"bytes={PART + 5}-{PART + 9}")
    assert tampering.get("exchanged parts", Range=f"bytes={2 * PART}-") == tampering.written["exchanged parts"][-1000:]
    tampering.sound("sound parts")


def test_a_damaged_later_part_is_refused_before_the_first_byte_if_its_length_is_wrong(tampering: Tampering) -> None:
    tampering.put_parts("short part", PART, PART)
    with tampering.house.stopped() as store:
        path = blob_of(store, "short part", 1)
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ClientError, match="InternalError"):
        tampering.get("short part")


def test_a_damaged_later_part_cuts_the_answer_off(tampering: Tampering) -> None:
    tampering.put_parts("late damage", PART, PART)
    with tampering.house.stopped() as store:
        path = blob_of(store, "late damage", 1)
        path.write_bytes(flip(path.read_bytes(), PART - 10))
    tampering.detected("late damage")
    got = tampering.get("late damage", PartNumber=1)
    assert got == tampering.written["late damage"][:PART]


def test_a_deleted_stream_row_is_detected(tampering: Tampering) -> None:
    tampering.put("rowless", SMALL)
    tampering.put_parts("rowless parts", PART, 1000)
    with tampering.house.stopped() as store:
        for object_key in ("rowless", "rowless parts"):
            assert store.change("DELETE FROM streams WHERE stream_id = ?", stored(store, object_key)[0][0]) == 1
    tampering.detected("rowless")
    tampering.detected("rowless parts")

"""Files by their place and their look: what belongs to a store, and what its bytes say."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from s3al.prove.files import prove_files
from s3al.prove.proof import AUTHENTICATED, CLOSED, LOOKED_AT, PUBLIC, UNEXPLAINED, Proof
from s3al.store.layout import StoreFolder
from s3al.trail.frames import HEAD_BYTES, FileHead, framed

INCARNATION = "0123456789abcdef"
BLOB = "ab" + "c" * 30
NOISE = random.Random(7).randbytes(200_000)
TEXT = b"plaintext of a report " * 10_000


def looked(folder: Path, ways: dict[str, str] | None) -> Proof:
    proof = Proof()
    prove_files(StoreFolder(folder), ways, proof, lambda *_: None, 0)
    return proof


def put(folder: Path, name: str, content: bytes) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


PLACES = {
    "catalog.db": AUTHENTICATED, "catalog.db-wal": AUTHENTICATED, "catalog.db-shm": PUBLIC, "store.json": PUBLIC,
    f"blobs/.locks/{INCARNATION}": PUBLIC, f"blobs/{INCARNATION}/ab/{BLOB}": CLOSED, "trail/checkpoints": AUTHENTICATED,
    f"trail/{INCARNATION}.000000": AUTHENTICATED, "trail/.checkpointer": PUBLIC,
    "notes.txt": UNEXPLAINED, "trail/notes": UNEXPLAINED, "trail/a/checkpoints": UNEXPLAINED,
    f"blobs/{INCARNATION}/ab/{BLOB[:-1]}d": UNEXPLAINED, f"blobs/{INCARNATION}/ff/{BLOB}": UNEXPLAINED,
    f"blobs/{BLOB}": UNEXPLAINED, "blobs/.locks/a/b": UNEXPLAINED, "x/catalog.db": UNEXPLAINED,
}  # fmt: skip


@pytest.mark.parametrize(("name", "way"), PLACES.items(), ids=PLACES)
def test_each_file_is_covered_by_its_place(tmp_path, name, way):
    put(tmp_path, name, NOISE)
    proof = looked(tmp_path, {f"{INCARNATION}/{BLOB}": CLOSED})
    assert {each: count for each, count in proof.covered_bytes.items() if count} == {way: len(NOISE)}
    assert [seen.what for seen in proof.findings] == (["unexplained"] if way == UNEXPLAINED else [])


def test_a_link_is_unexplained_wherever_it_lies(tmp_path):
    put(tmp_path, "store.json", b"{}")
    (tmp_path / "catalog.db").symlink_to(tmp_path / "store.json")
    assert [(seen.what, seen.where) for seen in looked(tmp_path, None).findings] == [("unexplained", "catalog.db")]


@pytest.mark.parametrize("at", [0, 70_000, 190_000])
def test_plaintext_anywhere_in_a_blob_that_no_key_opens_is_named(tmp_path, at):
    name = f"blobs/{INCARNATION}/ab/{BLOB}"
    put(tmp_path, name, NOISE[:at] + TEXT[:9000] + NOISE[at + 9000 :])
    for ways in (None, {f"{INCARNATION}/{BLOB}": CLOSED}):
        proof = looked(tmp_path, ways)
        assert [(seen.what, seen.where) for seen in proof.findings] == [("not-ciphertext", name)]
        assert proof.most_uneven_where == name
        assert proof.most_uneven > 8
    assert looked(tmp_path, {f"{INCARNATION}/{BLOB}": AUTHENTICATED}).findings == []


def test_records_of_the_trail_are_looked_at_without_their_numbers(tmp_path):
    name = f"trail/{INCARNATION}.000000"
    head = FileHead(b"m" * 32, INCARNATION, 0, 0, 0, b"h" * 32).encode()
    noise = random.Random(8)
    records = [number.to_bytes(12, "big") + noise.randbytes(300) for number in range(2000)]
    whole = head + b"".join(framed(number, record) for number, record in enumerate(records))
    assert len(head) == HEAD_BYTES
    put(tmp_path, name, whole)
    assert looked(tmp_path, None).findings == []
    put(tmp_path, name, whole + TEXT[:9000])
    assert [seen.what for seen in looked(tmp_path, None).findings] == ["not-ciphertext"]


def test_without_the_root_key_everything_is_looked_at(tmp_path):
    put(tmp_path, "catalog.db", NOISE)
    proof = looked(tmp_path, None)
    assert (proof.covered_bytes[LOOKED_AT], proof.windows) == (len(NOISE), 4)
    assert 0 <= proof.most_uneven < 8

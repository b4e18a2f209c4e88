"""Chains on a real folder: what was altered, removed, swapped or cut off is named."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from s3al.crypto.keys import derive
from s3al.crypto.records import RecordCipher
from s3al.errors import StoreError
from s3al.trail.chain import ChainWriter, FileCalls
from s3al.trail.checkpoints import Checkpoint, CheckpointFile, Signer
from s3al.trail.frames import HEAD_BYTES, frames
from s3al.trail.keeper import Checkpointer
from s3al.trail.reading import TrailFolder
from s3al.trail.verification import Verified, verify

STORE = b"s" * 16
NAME = "00112233445566aa"


class Keys:
    """The server's keys, from a fixed one."""

    def current_material(self) -> bytes:
        return b"m" * 32

    def server_key(self, label: bytes, material_id: bytes) -> bytes:
        return derive(b"k" * 32, label, material_id)

    def seal(self, label: bytes, secret: bytes, *, place: bytes) -> bytes:
        return RecordCipher(self.server_key(label, b"")).seal(secret, associated_data=place, nonce=bytes(12))

    def open(self, label: bytes, sealed: bytes, *, place: bytes) -> bytes:
        return RecordCipher(self.server_key(label, b"")).open(sealed, associated_data=place)


class FullDisk(FileCalls):
    is_full = False

    def pwrite(self, descriptor: int, content: bytes, offset: int) -> int:
        if self.is_full:
            raise OSError(errno.ENOSPC, "no space left")
        return super().pwrite(descriptor, content, offset)


class Place:
    def __init__(self, path: Path) -> None:
        self.keys, self.signer, self.calls = Keys(), Signer(Ed25519PrivateKey.generate()), FullDisk()
        self.folder = TrailFolder(path, self.keys, STORE)
        self.chain = ChainWriter(
            path, self.keys, STORE, NAME, now_ms=lambda: 1, calls=self.calls, file_bytes=HEAD_BYTES + 300
        )
        self.chain.begin(lambda: None)
        self.checkpointer = Checkpointer(self.folder, self.signer, now_ms=lambda: 2, listed=lambda: [NAME])

    def write(self, number: int) -> None:
        for one in range(number):
            self.chain.append([b'{"eventTime":"2026-01-01T00:00:00Z","n":%d}' % one])

    def verify(self, *against: Checkpoint) -> Verified:
        known = CheckpointFile(self.folder.path, self.keys, STORE).read()
        return verify(self.folder, lambda: [NAME], [*known, *against], self.signer.public)[0]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write(12)
    place.checkpointer.write()
    return place


def first_file(place: Place) -> Path:
    return place.folder.path / f"{NAME}.000000"


def test_a_chain_over_several_files_verifies(place: Place) -> None:
    verified = place.verify()
    assert (verified.records, verified.beyond, verified.findings) == (12, 0, [])
    assert len(place.folder.chains()[NAME]) > 1


def test_no_plaintext_lies_in_the_folder(place: Place) -> None:
    assert not any(b"eventTime" in path.read_bytes() for path in place.folder.path.iterdir())


def test_an_altered_byte_names_its_record(place: Place) -> None:
    raw = bytearray(first_file(place).read_bytes())
    raw[list(frames(bytes(raw), HEAD_BYTES))[1].end - 1] ^= 1
    first_file(place).write_bytes(raw)
    (found,) = place.verify().findings
    assert (found.what, found.record) == ("record-altered", 1)


def test_a_removed_and_two_swapped_records_are_named(place: Place) -> None:
    raw = first_file(place).read_bytes()
    ends = [HEAD_BYTES, *(frame.end for frame in frames(raw, HEAD_BYTES))]
    first_file(place).write_bytes(raw[: ends[1]] + raw[ends[2] :])
    assert [(one.what, one.record) for one in place.verify().findings] == [("record-removed", 1)]
    first_file(place).write_bytes(raw[: ends[0]] + raw[ends[1] : ends[2]] + raw[ends[0] : ends[1]] + raw[ends[2] :])
    assert place.verify().findings[0].record == 0


def test_a_removed_file_is_named(place: Place) -> None:
    first_file(place).unlink()
    assert place.verify().findings[0].what == "file-missing"


@pytest.mark.parametrize("planted", ["a folder", "a pipe", "nothing", "another chain's file"])
def test_what_stands_under_a_name_of_a_chain_is_a_finding_and_ends_nothing(place: Place, planted: str) -> None:
    path = place.folder.path / "fedcba9876543210.000000"
    if planted == "a folder":
        path.mkdir()
    elif planted == "a pipe":
        os.mkfifo(path)
    else:
        path.write_bytes(first_file(place).read_bytes() if planted == "another chain's file" else b"")
    verified = place.verify()
    assert verified.records == 12
    assert verified.findings[0].where.startswith("fedcba9876543210")


def test_a_chain_without_files_is_missing(place: Place) -> None:
    for number in place.folder.chains()[NAME]:
        (place.folder.path / f"{NAME}.{number:06d}").unlink()
    assert place.verify().findings[0].what == "chain-missing"


def test_a_tail_cut_off_with_the_checkpoints_is_found_against_an_exported_one(place: Place) -> None:
    exported = place.checkpointer.last()
    assert exported is not None
    (place.folder.path / "checkpoints").unlink()
    last = place.folder.path / f"{NAME}.{place.folder.chains()[NAME][-1]:06d}"
    last.write_bytes(last.read_bytes()[:HEAD_BYTES])
    found = place.verify(Checkpoint.from_json(exported.to_json())).findings
    assert found[0].what == "tail-missing"


def test_a_full_disk_refuses_and_the_chain_goes_on_whole(place: Place) -> None:
    place.calls.is_full = True
    with pytest.raises(StoreError):
        place.write(1)
    place.calls.is_full = False
    place.write(2)
    place.checkpointer.write()
    verified = place.verify()
    assert (verified.records, verified.findings) == (14, [])

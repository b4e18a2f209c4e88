"""The trail as it lies in its folder: files, chains, records, from the oldest or from the newest.

What lives here: `TrailFolder`. What does not: whether what is read is sound as a whole (verification), which records
somebody may see (lookup).

Laws: one file of each chain is in memory at a time; a record is given only when it opened in its place. Reading runs
beside writing: a file may grow while it is read, and what is not whole yet is not there yet.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from s3al.errors import IntegrityError, StoreError
from s3al.trail.chain import file_name
from s3al.trail.checkpoints import CHECKPOINTS
from s3al.trail.frames import HEAD_BYTES, FileCipher, FileHead, Frame, TrailKeys, frames, next_head

_NAME = re.compile(r"([0-9a-f]{16})\.([0-9]{6})")
_BESIDE = frozenset({CHECKPOINTS, f"{CHECKPOINTS}.new", ".checkpointer"})


@dataclass(frozen=True, slots=True)
class Record:
    """One record of one chain, opened. event: CloudTrail's JSON."""

    incarnation: str
    number: int
    event: bytes = field(repr=False)

    @property
    def at(self) -> str:
        """eventTime as text, which sorts as time does."""
        return event_time(self.event)

    @property
    def place(self) -> tuple[str, str, int]:
        """What records are ordered by: time, then chain and number."""
        return (self.at, self.incarnation, self.number)


def is_of_a_trail(name: str) -> bool:
    """Whether a trail's folder has files of this name."""
    return name in _BESIDE or _NAME.fullmatch(name) is not None


_TIME = b'"eventTime":"'
_TIME_CHARACTERS = 20


def event_time(event: bytes) -> str:
    at = event.find(_TIME) + len(_TIME)
    return event[at : at + _TIME_CHARACTERS].decode("ascii", "replace")


@dataclass(frozen=True, slots=True)
class TrailFile:
    """One file as it was read. head: None if the file does not begin as one of the trail."""

    name: str
    head: FileHead | None
    raw: bytes = field(repr=False)

    def frames(self) -> Iterator[Frame]:
        return frames(self.raw, HEAD_BYTES)


class TrailFolder:
    """The files of a store's trail."""

    def __init__(self, path: Path, keys: TrailKeys, store_id: bytes) -> None:
        self.path, self.keys, self.store_id = path, keys, store_id

    def chains(self) -> dict[str, list[int]]:
        """Incarnation -> numbers of its files, ascending."""
        found: dict[str, list[int]] = {}
        for path in self.path.iterdir() if self.path.exists() else ():
            name = _NAME.fullmatch(path.name)
            if name:
                found.setdefault(name[1], []).append(int(name[2]))
        return {name: sorted(numbers) for name, numbers in sorted(found.items())}

    def read(self, incarnation: str, number: int) -> TrailFile:
        """Raises StoreError if it cannot be read."""
        name = file_name(incarnation, number)
        if self._blocks(name):
            raise StoreError(f"the file {name} of the trail cannot be read: it is a pipe or a device")
        try:
            raw = (self.path / name).read_bytes()
        except OSError as error:
            raise StoreError(f"the file {name} of the trail cannot be read: {error.strerror}") from error
        try:
            head = FileHead.decode(raw)
        except IntegrityError:
            head = None
        return TrailFile(name, head, raw)

    def _blocks(self, name: str) -> bool:
        """Whether something planted under this name would keep its reader waiting."""
        path = self.path / name
        return path.exists() and not path.is_file() and not path.is_dir()

    def opened_at(self, incarnation: str, number: int) -> int:
        """When a file was begun (UTC ms); 0 if it does not say."""
        if self._blocks(file_name(incarnation, number)):
            return 0
        try:
            with (self.path / file_name(incarnation, number)).open("rb") as file:
                return FileHead.decode(file.read(HEAD_BYTES)).opened_at
        except (OSError, IntegrityError):
            return 0

    def cipher(self, head: FileHead) -> FileCipher:
        """Raises IntegrityError if the key of the file cannot be had."""
        return FileCipher(self.keys, self.store_id, head)

    def records(self, incarnation: str, number: int) -> list[Record]:
        """Of one file, up to the first that does not open: verification says why."""
        file = self.read(incarnation, number)
        if file.head is None:
            return []
        found: list[Record] = []
        head = file.head.before
        try:
            cipher = self.cipher(file.head)
            for frame in file.frames():
                found.append(Record(incarnation, frame.number, cipher.open(frame, before=head)))
                head = next_head(head, frame.number, frame.sealed)
        except IntegrityError:
            pass
        return found

    def newest_first(self, until_ms: int | None = None) -> Iterator[Record]:
        """All records by time, newest first. until_ms: files begun later are not looked at."""
        chains = (self._backwards(name, numbers, until_ms) for name, numbers in self.chains().items())
        return heapq.merge(*chains, key=lambda record: record.place, reverse=True)

    def oldest_first(self) -> Iterator[Record]:
        """All records by time, oldest first."""
        chains = (self._forwards(name, numbers) for name, numbers in self.chains().items())
        return heapq.merge(*chains, key=lambda record: record.place)

    def _backwards(self, incarnation: str, numbers: list[int], until_ms: int | None) -> Iterator[Record]:
        for number in reversed(numbers):
            if until_ms is None or self.opened_at(incarnation, number) <= until_ms:
                yield from reversed(self.records(incarnation, number))

    def _forwards(self, incarnation: str, numbers: list[int]) -> Iterator[Record]:
        for number in numbers:
            yield from self.records(incarnation, number)

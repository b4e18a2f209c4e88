"""Is the trail whole and unaltered: every record, every chain, against the checkpoints.

What lives here: `verify_store`, which finds what a store has, and `verify`, which judges it. What does not:
the words for a terminal (commands.trail).

Laws: of each chain the first record is named that was altered, removed or inserted, and the last checkpoint before
it that still holds; what lies after the last checkpoint is bound by nothing but its key, and the answer says how many
records that are. A record that is torn at the very end of a chain, beyond all checkpoints, is what a crash leaves,
and no finding.

Source: spec/trail-format.md, Verification.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from s3al.errors import IntegrityError, StoreError
from s3al.store.database import Database
from s3al.store.trail_chains import list_chains
from s3al.trail.chain import file_name
from s3al.trail.checkpoints import CHECKPOINTS, Checkpoint, CheckpointFile, find_signer
from s3al.trail.frames import HEAD_BYTES, FileHead, next_head, start_of_chain
from s3al.trail.reading import TrailFile, TrailFolder

MEANINGS: Final[Mapping[str, str]] = {
    "record-altered": "does not open in its place",
    "record-removed": "is not there, later ones are",
    "record-inserted": "stands where another belongs",
    "file-missing": "is gone",
    "file-altered": "does not begin as it was begun",
    "chain-missing": "is listed, and no file of it is there",
    "chain-unlisted": "has records, and the catalog does not know of it",
    "tail-missing": "and what followed it are gone: a checkpoint counted them",
    "head-differs": "or one before it is not what a checkpoint counted",
    "checkpoint-altered": "the checkpoints do not open, or their signature is wrong",
    "checkpoints-missing": "there is no checkpoint, and there are records",
    "checkpoint-foreign": "the checkpoint given is of another store, or signed by another key",
}


@dataclass(frozen=True, slots=True)
class TrailFinding:
    """what: a word of MEANINGS. where: a file or chain. record: the number of the first record concerned, from 0.

    sound_up_to: the last checkpoint that still holds for this chain; None if none does.
    """

    what: str
    where: str
    record: int | None = None
    sound_up_to: int | None = None

    def __str__(self) -> str:
        record = f" record {self.record}" if self.record is not None else ""
        sound = f"; sound up to checkpoint {self.sound_up_to}" if self.sound_up_to is not None else ""
        return f"{self.what} {self.where}{record}: {MEANINGS[self.what]}{sound}"


@dataclass
class Verified:
    """records: that opened in their place. beyond: of these, how many no checkpoint counts. torn: chains with a torn
    end. vouched_number, vouched_at: of the newest checkpoint; None if there is none."""

    records: int = 0
    chains: int = 0
    beyond: int = 0
    torn: list[str] = field(default_factory=list)
    findings: list[TrailFinding] = field(default_factory=list)
    vouched_number: int | None = None
    vouched_at: int | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def verify_store(
    db: Database, folder: TrailFolder, *, against: Sequence[Checkpoint] = (), after: str | None = None
) -> tuple[Verified, str | None]:
    """What a store's own catalog and checkpoints say, served or not, and checkpoints that were kept elsewhere.

    after: as of `verify`. Raises StoreError if the checkpoints cannot be read.
    """
    found: list[TrailFinding] = []
    checkpoints = list(against)
    signer = None
    try:
        checkpoints = [*CheckpointFile(folder.path, folder.keys, folder.store_id).read(), *checkpoints]
        signer = db.read_now(lambda rows: find_signer(rows, folder.keys, folder.store_id))
    except IntegrityError:
        found.append(TrailFinding("checkpoint-altered", CHECKPOINTS))
    public = signer.public if signer else None
    verified, following = verify(folder, lambda: db.read_now(list_chains), checkpoints, public, after=after)
    if not after:  # said once, not with every page
        verified.findings = found + verified.findings
    if found:
        verified.findings = [one for one in verified.findings if one.what != "checkpoints-missing"]
    return verified, following


@dataclass
class _Walk:
    """Where the verification of one chain stands. expected: count -> (checkpoint, head), of all checkpoints."""

    incarnation: str
    expected: Mapping[int, Sequence[tuple[int, bytes]]]
    count: int
    head: bytes
    sound_up_to: int | None = None
    is_torn: bool = False

    def finding(self, what: str, where: str, record: int | None = None) -> TrailFinding:
        return TrailFinding(what, where, record, self.sound_up_to)

    def compare(self) -> bool:
        """With what checkpoints say of the chain at this length."""
        for number, head in self.expected.get(self.count, ()):
            if head != self.head:
                return False
            self.sound_up_to = max(self.sound_up_to or 0, number)
        return True


def verify(
    folder: TrailFolder,
    listed: Callable[[], Iterable[str]],
    checkpoints: Sequence[Checkpoint],
    signer: bytes | None,
    *,
    after: str | None = None,
) -> tuple[Verified, str | None]:
    """listed: incarnations of the catalog, asked again for a chain that began meanwhile. checkpoints, read before: the
    store's own, and any that were kept elsewhere.

    signer: the public key that must have signed them. after: None for all chains; else the one that follows it is
    verified alone ("" for the first), and the answer names it if another one follows.
    """
    verified = Verified()
    believed = [one for one in checkpoints if one.key == signer and one.store_id == folder.store_id]
    if len(believed) != len(checkpoints) and not after:
        verified.findings.append(TrailFinding("checkpoint-foreign", "checkpoint"))
    newest = max(believed, key=lambda one: one.number, default=None)
    if newest:
        verified.vouched_number, verified.vouched_at = newest.number, newest.at
    known = set(listed())
    files = folder.chains()
    counted = {name for one in believed for name in one.chains}
    wanted = [name for name in sorted(known | set(files) | counted) if after is None or name > after]
    chosen = wanted if after is None else wanted[:1]
    for incarnation in chosen:
        _verify_one(folder, incarnation, files.get(incarnation, []), believed, verified)
        if _is_unlisted(folder, incarnation, known, files) and incarnation not in set(listed()):
            verified.findings.append(TrailFinding("chain-unlisted", incarnation))
    if newest is None and verified.records:
        verified.findings.append(TrailFinding("checkpoints-missing", "checkpoints"))
    return verified, chosen[-1] if len(chosen) < len(wanted) else None


def _is_unlisted(folder: TrailFolder, incarnation: str, known: set[str], files: Mapping[str, list[int]]) -> bool:
    """A chain without records is none: its process died between making the file and listing it."""
    if incarnation in known or incarnation not in files:
        return False
    try:
        return any(True for _ in folder.read(incarnation, files[incarnation][0]).frames())
    except StoreError:  # said already: its file is none
        return False


def _verify_one(
    folder: TrailFolder, incarnation: str, numbers: list[int], checkpoints: Sequence[Checkpoint], verified: Verified
) -> None:
    verified.chains += 1
    expected: dict[int, list[tuple[int, bytes]]] = {}
    for one in checkpoints:
        state = one.chains.get(incarnation)
        if state:
            expected.setdefault(state.count, []).append((one.number, state.head))
    walk = _Walk(incarnation, expected, 0, start_of_chain(folder.store_id, incarnation))
    finding = walk.finding("chain-missing", incarnation, 0) if not numbers else _walk_files(folder, walk, numbers)
    most = max(expected, default=0)
    if finding is None and walk.count < most:
        finding = walk.finding("tail-missing", file_name(incarnation, numbers[-1]), walk.count)
    verified.records += walk.count
    verified.beyond += max(0, walk.count - most)
    if finding:
        verified.findings.append(finding)
    elif walk.is_torn:
        verified.torn.append(incarnation)


def _walk_files(folder: TrailFolder, walk: _Walk, numbers: list[int]) -> TrailFinding | None:
    for expected, number in enumerate(numbers):
        name = file_name(walk.incarnation, expected)
        if number != expected:
            return walk.finding("file-missing", name, walk.count)
        try:
            file = folder.read(walk.incarnation, number)
        except StoreError:
            return walk.finding("file-missing", name, walk.count)
        finding = _walk_file(folder, walk, file, is_last=number == numbers[-1])
        if finding:
            return finding
    return None


def _walk_file(folder: TrailFolder, walk: _Walk, file: TrailFile, *, is_last: bool) -> TrailFinding | None:
    head = file.head
    if head is None or not _continues(head, walk, int(file.name.rpartition(".")[2])):
        lost = head is not None and head.incarnation == walk.incarnation and head.first > walk.count
        return walk.finding("record-removed" if lost else "file-altered", file.name, walk.count)
    end = HEAD_BYTES
    try:
        cipher = folder.cipher(head)
        for frame in file.frames():
            what = _WRONG_NUMBER[frame.number > walk.count] if frame.number != walk.count else None
            if what:
                return walk.finding(what, file.name, walk.count)
            cipher.open(frame, before=walk.head)
            walk.head = next_head(walk.head, frame.number, frame.sealed)
            walk.count, end = walk.count + 1, frame.end
            if not walk.compare():
                return walk.finding("head-differs", file.name, walk.count - 1)
    except IntegrityError:
        return walk.finding("record-altered", file.name, walk.count)
    if end < len(file.raw):
        walk.is_torn = is_last  # within a chain the next file decides: it begins where this one was left
    return None


_WRONG_NUMBER = {True: "record-removed", False: "record-inserted"}


def _continues(head: FileHead, walk: _Walk, number: int) -> bool:
    right = (walk.incarnation, number, walk.count, walk.head)
    return (head.incarnation, head.number, head.first, head.before) == right

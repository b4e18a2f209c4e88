"""What the clients of a campaign have been told, and what may therefore be found in the store.

What lives here: `Model`, its parts and the comparison with a server's answers. What does not: the load (load), the
kills (campaign).

Laws: what was acknowledged must be there; what was refused must not; what ended without an answer may be either, but
whole. Whatever is found is believed from then on, so that it must not change again.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes that are known by a number and a size."""

    number: int
    size: int

    def bytes(self) -> bytes:
        return random.Random(self.number).randbytes(self.size)

    def matches(self, found: bytes) -> bool:
        return len(found) == self.size and found == self.bytes()

    def etag(self) -> str:
        """As SSE-S3 gives it to a part."""
        return '"' + hashlib.md5(self.bytes(), usedforsecurity=False).hexdigest() + '"'


@dataclass(frozen=True, slots=True)
class Joined:
    """The object that parts make."""

    parts: tuple[Content, ...]

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    def bytes(self) -> bytes:
        return b"".join(part.bytes() for part in self.parts)

    def matches(self, found: bytes) -> bool:
        return len(found) == self.size and found == self.bytes()


Body = Content | Joined


@dataclass
class Current:
    """One key of a bucket without versions. Nothing in `possible` stands for: no such key."""

    possible: list[Body | None] = field(default_factory=lambda: [None])
    etag: str | None = None  # of the one possible body, if it was told

    def became(self, body: Body | None, etag: str | None = None) -> None:
        self.possible, self.etag = [body], etag

    def perhaps(self, body: Body | None) -> None:
        self.possible.append(body)
        self.etag = None

    @property
    def certain(self) -> bool:
        return len(self.possible) == 1


@dataclass
class Versions:
    """One key of a bucket with versions. None as a body stands for a delete marker. newest: if it is known."""

    told: dict[str, Body | None] = field(default_factory=dict)  # version id -> body; oldest first, of each kind
    newest: str | None = None
    perhaps_added: list[Body | None] = field(default_factory=list)
    perhaps_removed: set[str] = field(default_factory=set)


@dataclass
class Upload:
    """A multipart upload. parts: number -> what may lie there (None: nothing). perhaps_gone: no answer."""

    object_key: str
    parts: dict[int, list[Content | None]] = field(default_factory=dict)
    perhaps_gone: bool = False


@dataclass
class Race:
    """A key that several clients try to create at once, with If-None-Match."""

    won: list[Body] = field(default_factory=list)
    perhaps: list[Body] = field(default_factory=list)
    lost: int = 0


@dataclass
class KmsKey:
    """A key of one client. states: those it may be in. sealed: acknowledged ciphertexts, with what they hold."""

    key_id: str
    states: set[str] = field(default_factory=lambda: {"Enabled"})
    sealed: list[tuple[bytes, bytes]] = field(default_factory=list)
    aliases: dict[str, bool] = field(default_factory=dict)  # False: created without an answer


@dataclass
class Model:
    """All that one client was told; nobody else touches its keys."""

    name: str
    current: dict[str, Current] = field(default_factory=dict)
    versions: dict[str, Versions] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    perhaps_uploads: Counter[str] = field(default_factory=Counter)  # object key -> creations without an answer
    keys: list[KmsKey] = field(default_factory=list)
    dirty: set[str] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)


def settle_current(object_key: str, known: Current, found: bytes | None) -> None:
    """Compare a key with what a GET brought (None: no such key), and believe that from now on."""
    for body in known.possible:
        if (found is None) if body is None else (found is not None and body.matches(found)):
            if not known.certain:
                known.became(body)
            return
    sizes = [body and body.size for body in known.possible]
    got = "nothing" if found is None else f"{len(found)} bytes ({hashlib.sha256(found).hexdigest()[:8]})"
    raise AssertionError(f"{object_key}: found {got}, possible sizes {sizes}")


def settle_versions(object_key: str, known: Versions, found: dict[str, bytes | None], latest: str) -> None:
    """found: version id -> bytes (None: a delete marker), oldest first among versions and among markers."""
    lost = [version for version in known.told if version not in found and version not in known.perhaps_removed]
    assert not lost, f"{object_key}: acknowledged versions are lost: {lost}"
    left = list(known.perhaps_added)
    settled: dict[str, Body | None] = {}
    for version, body in found.items():
        if version in known.told:
            expected = known.told[version]
            assert _same(expected, body), f"{object_key} {version}: not the bytes that were acknowledged"
            settled[version] = expected
            continue
        matching = [one for one in left if _same(one, body)]
        assert matching, f"{object_key} {version}: a version that nobody wrote"
        left.remove(matching[0])
        settled[version] = matching[0]
    order = [version for version in known.told if version in found]
    for markers in (True, False):
        listed = [version for version, body in found.items() if version in known.told and (body is None) == markers]
        expected = [version for version in order if (known.told[version] is None) == markers]
        assert listed == expected, f"{object_key}: versions changed places"
    sure = known.newest in found
    assert not sure or latest == known.newest, f"{object_key}: the newest version is another"
    known.newest = latest or None
    known.told, known.perhaps_added, known.perhaps_removed = settled, [], set()


def settle_parts(upload: Upload, found: dict[int, tuple[int, str]]) -> None:
    """found: part number -> (size, ETag, which is the MD5)."""
    for number, possible in upload.parts.items():
        got = found.pop(number, None)
        matching = [part for part in possible if _is_part(part, got)]
        assert matching, f"{upload.object_key}: part {number} is {got}, possible {possible}"
        upload.parts[number] = matching[:1]
    assert not found, f"{upload.object_key}: parts that nobody sent: {found}"


def settle_race(object_key: str, race: Race, found: bytes | None) -> None:
    assert len(race.won) <= 1, f"{object_key}: {len(race.won)} clients created it"
    if race.won:
        assert found is not None and race.won[0].matches(found), f"{object_key}: not the winner's bytes"
    elif found is not None:
        assert any(body.matches(found) for body in race.perhaps), f"{object_key}: bytes that nobody wrote"
    else:
        assert not race.lost, f"{object_key}: refused because it existed, but it does not"


def _same(body: Body | None, found: bytes | None) -> bool:
    if body is None or found is None:
        return body is None and found is None
    return body.matches(found)


def _is_part(part: Content | None, got: tuple[int, str] | None) -> bool:
    if part is None or got is None:
        return part is None and got is None
    return got == (part.size, part.etag())

"""Every file of a data folder: whether it belongs there, and whether its bytes look like ciphertext.

What lives here: `prove_files`. What does not: opening what the keys open (authenticating).

Law: what was authenticated needs no look; the rest is looked at in windows of 64 KiB, every one, save a catalog whose
pages were authenticated: of it eight, for pages that are not in use.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from s3al.crypto.randomness import MOST_DEVIATIONS, unevenness
from s3al.prove.proof import AUTHENTICATED, CLOSED, LOOKED_AT, PUBLIC, UNEXPLAINED, Progress, Proof, Seen
from s3al.store.layout import StoreFolder
from s3al.trail.frames import HEAD_BYTES, MAGIC, frames
from s3al.trail.reading import is_of_a_trail

_WINDOW_BYTES: Final = 1 << 16
_SAMPLED_WINDOWS: Final = 8
_CATALOG: Final = frozenset({"catalog.db", "catalog.db-wal"})
_PUBLIC: Final = frozenset({"catalog.db-shm", "store.json"})
_CHECKPOINTS: Final = "checkpoints"
_NONCE_BYTES: Final = 12
_CHECKPOINTER: Final = Path("trail/.checkpointer")  # a lock


def prove_files(
    folder: StoreFolder, ways: Mapping[str, str] | None, proof: Proof, progress: Progress, total_bytes: int
) -> None:
    """ways: how blobs that a row names are covered; None: not known without the root key."""
    done = 0
    for path in sorted(path for path in folder.path.rglob("*") if path.is_file() or path.is_symlink()):
        where = path.relative_to(folder.path)
        try:
            size = path.lstat().st_size
        except FileNotFoundError:
            continue  # unlinked by a server beside us
        proof.files += 1
        proof.file_bytes += size
        way = UNEXPLAINED if path.is_symlink() else _way(where, ways)
        proof.covered_bytes[way] += size
        if way == UNEXPLAINED:
            proof.findings.append(Seen("unexplained", str(where)))
        elif way != PUBLIC and not _looks_sealed(path, where, way, proof):
            proof.findings.append(Seen("not-ciphertext", str(where)))
        done += size
        if ways is None:
            progress(proof, done, total_bytes)


def _way(where: Path, ways: Mapping[str, str] | None) -> str:
    parts = where.parts
    known = LOOKED_AT if ways is None else AUTHENTICATED
    if len(parts) == 1 and where.name in _CATALOG:
        return known
    if (len(parts) == 1 and where.name in _PUBLIC) or (parts[:2] == ("blobs", ".locks") and len(parts) == 3):
        return PUBLIC
    if where == _CHECKPOINTER:
        return PUBLIC
    if parts[0] == "trail" and len(parts) == 2:
        return known if is_of_a_trail(where.name) else UNEXPLAINED
    if parts[0] != "blobs" or len(parts) != 4 or not parts[3].startswith(parts[2]):
        return UNEXPLAINED
    return LOOKED_AT if ways is None else ways.get(f"{parts[1]}/{parts[3]}", UNEXPLAINED)


def _looks_sealed(path: Path, where: Path, way: str, proof: Proof) -> bool:
    if way == AUTHENTICATED and where.parts[0] == "blobs":
        return True
    try:
        with path.open("rb") as file:
            for window in _windows(file, where, whole=way in (LOOKED_AT, CLOSED)):
                deviations = unevenness(window)
                proof.windows += 1
                if deviations > proof.most_uneven:
                    proof.most_uneven, proof.most_uneven_where = round(deviations, 2), str(where)
                if deviations > MOST_DEVIATIONS:
                    return False
    except FileNotFoundError:
        return True
    return True


def _windows(file: BinaryIO, where: Path, *, whole: bool) -> Iterator[bytes]:
    if where.parts[0] == "trail":
        yield from _trail_windows(file.read(), where)
    elif where.name.endswith("-wal"):
        yield from _in_windows(_wal_pages(file.read(_WINDOW_BYTES * _SAMPLED_WINDOWS)))
    elif whole:
        while window := file.read(_WINDOW_BYTES):
            yield window
    else:
        last = max(0, file.seek(0, 2) - _WINDOW_BYTES)
        for offset in sorted({last * number // (_SAMPLED_WINDOWS - 1) for number in range(_SAMPLED_WINDOWS)}):
            file.seek(offset)
            yield file.read(_WINDOW_BYTES)


def _in_windows(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), _WINDOW_BYTES):
        yield data[start : start + _WINDOW_BYTES]


def _trail_windows(raw: bytes, where: Path) -> Iterator[bytes]:
    """A chain's records without the numbers between them, which their nonces are too; a file that is none as it is."""
    if where.name == _CHECKPOINTS or not raw.startswith(MAGIC):
        yield from _in_windows(raw)
        return
    found = list(frames(raw, HEAD_BYTES))
    yield from _in_windows(b"".join(frame.sealed[_NONCE_BYTES:] for frame in found))
    yield from _in_windows(raw[found[-1].end if found else HEAD_BYTES :])  # what is no record


def _wal_pages(data: bytes) -> bytes:
    """A log of the catalog has unencrypted frame heads and room that was never written: its pages alone.

    Source: sqlite.org/fileformat2, The WAL file format: a head of 32 bytes, frames of 24 bytes and a page.
    """
    page_bytes = int.from_bytes(data[8:12], "big")
    if not 512 <= page_bytes <= 65536:
        return data
    frame = 24 + page_bytes
    return b"".join(data[at + 24 : at + frame] for at in range(32, len(data) - frame + 1, frame))

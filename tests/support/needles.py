"""Looks for plaintext where none may be: many needles, in several encodings, in many files at once.

How: every 8-byte window of a file is looked up in a table of bits; what the table lets pass is compared with
the needles in full. A needle is at least 16 bytes in each of its forms, so nothing is found by chance.

Not found: plaintext that was compressed or transformed in another way than the forms below.
"""

from __future__ import annotations

import base64
import os
import random
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

NEEDLE_BYTES = 16
_WINDOW = 8
_PIECE = 32 << 20
_TABLE_BITS = 26


@dataclass(frozen=True)
class Found:
    path: str
    offset: int
    needle: str  # its name and form


def forms(needle: bytes) -> dict[str, bytes]:
    """The needle as it may turn up: raw, hex, base64 at each alignment, UTF-16."""
    found = {
        "raw": needle,
        "hex": needle.hex().encode(),
        "HEX": needle.hex().upper().encode(),
        "utf-16-le": needle.decode("latin-1").encode("utf-16-le"),
        "utf-16-be": needle.decode("latin-1").encode("utf-16-be"),
    }
    for shift in range(3):
        whole = base64.b64encode(b"\0" * shift + needle)
        # Only the digits that no neighbouring byte has a part in.
        first = (shift * 8 + 5) // 6
        last = (shift + len(needle)) * 8 // 6
        found[f"base64+{shift}"] = whole[first:last]
    return found


def sample(content: bytes, choose: random.Random) -> bytes | None:
    """16 bytes with at least 8 distinct values; None if the content has none."""
    for _ in range(64):
        if len(content) < NEEDLE_BYTES:
            return None
        at = choose.randrange(len(content) - NEEDLE_BYTES + 1)
        piece = content[at : at + NEEDLE_BYTES]
        if len(set(piece)) >= 8:
            return piece
    return None


class Haystack:
    """needles: name -> bytes, each at least 16 long (longer ones are cut: their first 16 bytes are looked
    for)."""

    def __init__(self, needles: Mapping[str, bytes]) -> None:
        windows: dict[int, list[tuple[bytes, str]]] = {}
        for name, needle in needles.items():
            if len(needle) < NEEDLE_BYTES:
                raise ValueError(f"needle {name} is too short")
            for form, text in forms(needle[:NEEDLE_BYTES]).items():
                window = int.from_bytes(text[:_WINDOW], "little")
                windows.setdefault(window, []).append((text, f"{name} ({form})"))
        self._windows = windows
        self._table = np.zeros(1 << _TABLE_BITS, dtype=bool)
        self._table[_slot(np.fromiter(windows, dtype=np.uint64, count=len(windows)))] = True

    def search(self, path: Path) -> list[Found]:
        found: list[Found] = []
        with path.open("rb") as file:
            offset, tail = 0, b""
            while piece := file.read(_PIECE):
                data = tail + piece
                found += [Found(str(path), offset - len(tail) + at, name) for at, name in self.matches(data)]
                offset += len(piece)
                tail = data[-4 * NEEDLE_BYTES :]
        return found

    def matches(self, data: bytes) -> Iterable[tuple[int, str]]:
        for alignment in range(_WINDOW):
            count = (len(data) - alignment) // _WINDOW
            if count <= 0:
                continue
            values = np.frombuffer(data, dtype="<u8", count=count, offset=alignment)
            for index in np.flatnonzero(self._table[_slot(values)]):
                at = alignment + int(index) * _WINDOW
                for text, name in self._windows.get(int(values[index]), ()):
                    if data[at : at + len(text)] == text:
                        yield at, name


def _slot(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return (values * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(64 - _TABLE_BITS)


def search_all(needles: Mapping[str, bytes], places: Sequence[Path], *, processes: int = 2) -> tuple[list[Found], int]:
    """(what was found, bytes searched) in every file of `places`, folders included whole, names of files
    too."""
    haystack = Haystack(needles)
    files = [file for place in places for file in _files(place)]
    names = b"\n".join(str(file).encode() for file in files)
    found = [Found("(names of files)", at, name) for at, name in haystack.matches(names)]
    size = 0
    with ProcessPoolExecutor(processes, initializer=_inherit, initargs=(haystack,)) as pool:
        for some, searched in pool.map(_search, files, chunksize=max(1, len(files) // (processes * 8))):
            found += some
            size += searched
    return found, size


def _files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    return [Path(folder) / name for folder, _, names in os.walk(place) for name in sorted(names)]


class _Process:
    haystack: Haystack


def _inherit(haystack: Haystack) -> None:
    _Process.haystack = haystack


def _search(path: Path) -> tuple[list[Found], int]:
    """A file of a running server may have gone since it was listed."""
    try:
        return _Process.haystack.search(path), path.stat().st_size
    except FileNotFoundError:
        return [], 0

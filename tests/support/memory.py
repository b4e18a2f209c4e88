"""What lies in the memory of a running process: a search through /proc/PID/mem.

Law: what cannot be read is not taken for clean. Only root may read processes that forbid it to their own user, as all
of ours do, so a test asks `readable` first and plants something that must be found.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

_PIECE = 8 << 20
# The kernel's own pages, which nobody can read through the file.
_UNREADABLE = ("[vvar]", "[vvar_vclock]", "[vsyscall]")


def readable(pid: int) -> bool:
    try:
        with Path(f"/proc/{pid}/mem").open("rb"):
            return True
    except PermissionError:
        return False


def found_in(pid: int, needles: Mapping[str, bytes]) -> set[str]:
    """Names of the needles that lie anywhere in the process's memory."""
    overlap = max(map(len, needles.values())) - 1
    found: set[str] = set()
    read_bytes = 0
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for start, end in _regions(pid):
            for at in range(start, end, _PIECE):
                memory.seek(at)
                try:
                    piece = memory.read(min(_PIECE + overlap, end - at))
                except OSError:  # a mapping beyond the end of its file
                    continue
                read_bytes += len(piece)
                found |= {name for name, needle in needles.items() if needle in piece}
    assert read_bytes > 1 << 20, "a search that reads nothing finds nothing"
    return found


def _regions(pid: int) -> Iterator[tuple[int, int]]:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, permissions, *rest = line.split(maxsplit=5)
        if permissions.startswith("r") and not (len(rest) == 4 and rest[3] in _UNREADABLE):
            start, end = (int(address, 16) for address in span.split("-"))
            yield start, end

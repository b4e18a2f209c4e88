"""Time that never goes back.

What lives here: `Clock`, milliseconds UTC, never below what this store has seen. What does not: the wall
clock that signatures are checked against, which must be the real one.

Law: state that depends on time (a key past its deletion date) must not come back because a machine's clock
was set back; so the highest time seen is kept in the catalog (`meta`, "clock") and read at start.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from s3al.store import catalog
from s3al.store.database import Rows

_ROW = "clock"
_NEAR_MS = 1000


def wall_ms() -> int:
    return time.time_ns() // 1_000_000


class Clock:
    """Call it for the time. `load` once before serving, `persist` now and then."""

    def __init__(self, wall: Callable[[], int] = wall_ms) -> None:
        self._wall = wall
        self._highest = 0

    def __call__(self) -> int:
        self._highest = max(self._highest, self._wall())
        return self._highest

    def load(self, rows: Rows) -> int:
        """Take over the store's high water. Returns by how many ms the wall clock lies behind it (0 if it
        does not)."""
        stored = catalog.get_meta(rows, _ROW)
        self._highest = max(self._highest, int(stored) if stored else 0)
        return max(0, self._highest - self._wall())

    def persist(self, rows: Rows) -> None:
        stored = catalog.get_meta(rows, _ROW)
        now_ms = self()
        if stored is None or int(stored) + _NEAR_MS < now_ms:  # another worker has just kept it: one write is enough
            catalog.put_meta(rows, _ROW, str(now_ms))

"""When each key was last used, and for what.

What lives here: what a worker remembers between two writes. What does not: rows (store.key_usage), the operation
(operations.usage).

Laws: a use is remembered once it succeeded; it is written by a job some time after, because a write for each use
would cost more than the use: whoever asks another worker may see a minute's delay, and a worker that is killed
forgets what it had not written. Nothing is decided by it.
"""

from __future__ import annotations

from s3al.store.database import Rows
from s3al.store.key_usage import Use, last_use, record_use
from s3al.store.keystore import KeyRow


class Usage:
    """The uses that one worker has not written yet."""

    def __init__(self) -> None:
        self._newest: dict[tuple[str, str], Use] = {}

    def remember(self, key: KeyRow, operation: str, *, now_ms: int, request_id: str) -> None:
        self._newest[key.key_id, key.region] = Use(operation, now_ms, request_id)

    def write(self, rows: Rows) -> int:
        """Part of a write transaction; returns how many keys. If that fails, these uses are forgotten."""
        newest, self._newest = self._newest, {}
        for (key_id, region), use in list(newest.items()):  # the loop's thread may just be adding a last one
            record_use(rows, key_id, region, use)
        return len(newest)

    def last(self, rows: Rows, key: KeyRow) -> Use | None:
        written = last_use(rows, key.key_id, key.region)
        mine = self._newest.get((key.key_id, key.region))
        if written is None or mine is None:
            return mine or written
        return max(written, mine, key=lambda use: use.used_at)

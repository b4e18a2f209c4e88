"""The requests that this worker is answering, by when they arrived.

Law: a blob that was replaced or deleted is unlinked only when every request that may have read its name has
ended; this is where that is known (store.garbage says the rest).
"""

from __future__ import annotations


class InFlight:
    """Arrival times (UTC ms) of requests not yet ended. Used by one event loop."""

    def __init__(self) -> None:
        self._arrived: dict[str, int] = {}

    def begin(self, request_id: str, now_ms: int) -> None:
        self._arrived[request_id] = now_ms

    def end(self, request_id: str) -> None:
        self._arrived.pop(request_id, None)

    def oldest(self) -> int | None:
        return min(self._arrived.values(), default=None)

    def __len__(self) -> int:
        return len(self._arrived)

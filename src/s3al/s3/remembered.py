"""What sealed records said, for the next time they are read.

What lives here: a bounded memory. What does not: opening records (records).

Laws: name and value hold everything that opening depends on, the place and the sealed bytes, so that nothing here grows
stale and an altered or moved record is opened anew, which fails; what is remembered is shared, and changed by nobody.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)
T = TypeVar("T")


class Remembered(dict[Name, T]):
    """most: names; one more, and it begins anew. Used by any thread."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def remember(self, name: Name, value: T) -> T:
        if len(self) >= self._most:
            self.clear()
        self[name] = value
        return value

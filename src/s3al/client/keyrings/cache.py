"""A bounded cache of data keys, for many small objects.

What lives here: `CachingKeyring` around any keyring. What does not: a default; nobody caches who did not ask.

Laws: bounded by number, age and uses. Only suites that derive a key per object from the data key reuse one for
writing: V3 and stream; V2 gets a fresh data key each time, because its content key is the data key itself. A cached key
outlives a change of permissions by at most `max_age_s`.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Final

from s3al.client.errors import ClientConfigError
from s3al.client.formats.suites import AlgorithmSuite
from s3al.client.keyrings.port import DataKey, Keyring, WrappedKey

MAX_USES: Final = 2**20


@dataclass(slots=True)
class _Entry:
    key: DataKey | bytes = field(repr=False)
    expires_at: float
    uses_left: int


class CachingKeyring:
    """Asks `keyring` at most once for what it may remember. clock: seconds that only go forward."""

    def __init__(
        self,
        keyring: Keyring,
        *,
        max_entries: int = 1000,
        max_age_s: float = 300.0,
        max_uses: int = 100_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not (max_entries > 0 and max_age_s > 0 and 0 < max_uses <= MAX_USES):
            raise ClientConfigError(f"a cache has entries, an age, and 1 to {MAX_USES} uses of a key")
        self._keyring = keyring
        self._max_entries = max_entries
        self._max_age_s = max_age_s
        self._max_uses = max_uses
        self._clock = clock
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self.waits = keyring.waits

    @property
    def entries(self) -> int:
        """How many data keys are remembered."""
        return len(self._entries)

    def generate(self, suite: AlgorithmSuite, context: Mapping[str, str] | None) -> DataKey:
        if not suite.committing:
            return self._keyring.generate(suite, context)
        name = ("write", suite, frozenset((context or {}).items()))
        found = self._take(name)
        if not isinstance(found, DataKey):
            found = self._keyring.generate(suite, context)
            self._put(name, found)
        return found

    def unwrap(self, suite: AlgorithmSuite, wrapped: WrappedKey, context: Mapping[str, str] | None) -> bytes:
        expected = None if context is None else frozenset(context.items())
        name = ("read", suite, wrapped.wrap, wrapped.ciphertext, frozenset(wrapped.description.items()), expected)
        found = self._take(name)
        if not isinstance(found, bytes):
            found = self._keyring.unwrap(suite, wrapped, context)
            self._put(name, found)
        return found

    def holds(self, suite: AlgorithmSuite, wrapped: WrappedKey | None, context: Mapping[str, str] | None) -> bool:
        """Whether the next question will be answered without waiting: of a writer (wrapped None) or a reader."""
        name: Hashable = ("write", suite, frozenset((context or {}).items()))
        if wrapped is not None:
            expected = None if context is None else frozenset(context.items())
            name = ("read", suite, wrapped.wrap, wrapped.ciphertext, frozenset(wrapped.description.items()), expected)
        with self._lock:
            entry = self._entries.get(name)
            return entry is not None and entry.expires_at > self._clock() and entry.uses_left > 0

    def _take(self, name: Hashable) -> DataKey | bytes | None:
        with self._lock:
            entry = self._entries.get(name)
            if entry is None:
                return None
            if entry.expires_at <= self._clock() or entry.uses_left <= 0:
                del self._entries[name]
                return None
            entry.uses_left -= 1
            self._entries.move_to_end(name)
            return entry.key

    def _put(self, name: Hashable, key: DataKey | bytes) -> None:
        with self._lock:
            self._entries[name] = _Entry(key, self._clock() + self._max_age_s, self._max_uses - 1)
            self._entries.move_to_end(name)
            while len(self._entries) > self._max_entries:
                self._entries.popitem(last=False)

"""What the end of a key takes beside its rows: a tombstone before, an empty write-ahead log after.

What lives here: the two, in their order. What does not: which keys have come to their end (keys), the rows (keystore).

Laws: called inside the transaction that removes the rows, before it does. The tombstone is durable first: this is the
one transaction that does I/O of its own, once in a key's life, since the other order would leave a moment in which a
copy of the data folder brings the key back and nobody knows. A ledger that cannot be written keeps the rows, and the
key stays as unusable as its deletion date made it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from s3al.kms.ledger import Ledger, Tombstone
from s3al.store.keystore import KeyRow


@dataclass(frozen=True, slots=True)
class Destruction:
    """truncate_wal: empties the write-ahead log once this transaction has ended, however long that takes."""

    ledger: Ledger
    truncate_wal: Callable[[], None]

    def __call__(self, keys: Sequence[KeyRow], now_ms: int) -> None:
        """keys: about to go; none when only material does."""
        if keys:
            self.ledger.add([Tombstone(key.key_id, key.region, key.created_at, now_ms) for key in keys])
        self.truncate_wal()

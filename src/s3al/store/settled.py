"""What changes only together with the change counter, found once for each of its values.

What lives here: `settled` and `settled_where`. What does not: the counter (meta), the caches of other rooms.

Laws: only of what whoever changes it bumps the counter for, in the same transaction (each function of the store that
changes such rows does so itself); only within a snapshot, because a write transaction may see, and undo, a counter that
nobody else ever sees; what was not found is looked for again. What is returned is shared, and changed by nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

from s3al.store.database import Rows
from s3al.store.sqlite import SnapshotRows

T = TypeVar("T")


def settled(rows: Rows, load: Callable[..., T], *arguments: object) -> T:
    """`load(rows, *arguments)`; arguments: of those that can be keys of a dictionary."""
    if not isinstance(rows, SnapshotRows):
        return load(rows, *arguments)
    known = rows.known()
    name = (load, arguments)
    found: T | None = known.get(name)
    if found is None:
        found = load(rows, *arguments)
        if found is not None:
            known[name] = found
    return found


def settled_where(rows: Rows, name: Hashable, find: Callable[[], tuple[T, bool]]) -> T:
    """What `find()` finds, which is kept under `name` if it says that nothing beyond `name` and settled rows had a part
    in it. Raises what `find` raises, and keeps nothing then."""
    known = rows.known() if isinstance(rows, SnapshotRows) else {}
    found: T | None = known.get(name)
    if found is None:
        found, lasts = find()
        if lasts:
            known[name] = found
    return found

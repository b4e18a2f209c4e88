"""Which chains the audit trail has: one row for each incarnation that ever began one.

What lives here: those rows, among the facts about the whole store. What does not: the chains (trail).

Law: never removed, so that a chain whose file is gone is missed.
"""

from __future__ import annotations

from s3al.store.database import Rows
from s3al.store.meta import put_meta

_PREFIX = "trail_chain/"


def begin_chain(rows: Rows, incarnation: str, now_ms: int) -> None:
    put_meta(rows, _PREFIX + incarnation, str(now_ms))


def list_chains(rows: Rows) -> dict[str, int]:
    """Incarnation -> when it began (UTC ms), oldest first."""
    found = rows.all("SELECT name, value FROM meta WHERE substr(name, 1, ?) = ?", (len(_PREFIX), _PREFIX))
    began = {str(name)[len(_PREFIX) :]: int(value) for name, value in found}
    return dict(sorted(began.items(), key=lambda item: (item[1], item[0])))


def buckets_recorded(rows: Rows, setting: str) -> dict[str, str]:
    """Name -> account of each bucket that has this setting."""
    found = rows.all(
        "SELECT name, account_id FROM buckets JOIN bucket_settings ON buckets.bucket_id = bucket_settings.bucket_id"
        " WHERE setting = ?",
        (setting,),
    )
    return {str(name): str(account_id) for name, account_id in found}

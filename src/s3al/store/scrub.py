"""Deleting so that the file does not keep what was deleted.

What lives here: the one statement for it. What does not: the write-ahead log, which `SqliteDatabase.truncate_wal`
empties afterwards; blocks that the medium keeps.

Law: for secrets alone. The connections' usual setting overwrites deleted cells of pages that are written anyway; pages
that become free keep their old content, such as the tail of a long private key.

Source: SQLite, PRAGMA secure_delete. Another database has its own way, or none, and says so here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from s3al.store.database import Rows


@contextmanager
def overwriting(rows: Rows) -> Iterator[None]:
    """What is deleted or replaced within is overwritten with zeros, freed pages too."""
    rows.run("PRAGMA secure_delete = ON")
    try:
        yield
    finally:
        rows.run("PRAGMA secure_delete = FAST")

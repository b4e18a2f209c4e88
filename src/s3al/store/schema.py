"""The tables of the store as a whole: their version, their creation, their migration.

What lives here: which DDL makes a store, and the steps from each older version to the next. What does not: the DDL
itself (each topic's TABLES).

Laws: a newer store is refused; an older one is copied first and then migrated in one transaction, so that a crash
leaves either the old or the new; a step, once released, is never changed.
"""

from __future__ import annotations

from collections.abc import Callable

import apsw

from s3al.errors import ConfigError, IntegrityError
from s3al.store import accounts, buckets, garbage, identities, keystore, meta, refusals, streams, uploads, versions
from s3al.store.database import Rows
from s3al.store.layout import StoreFolder
from s3al.store.sqlite import SqliteRows
from s3al.store.sqlite_file import backup, connect, translated

FORMAT = 1
_FORMAT = "format_version"
_TOPICS = (meta, buckets, versions, streams, uploads, garbage, accounts, identities, keystore, refusals)

# From version n to n + 1.
MIGRATIONS: dict[int, Callable[[Rows], None]] = {}


def statements() -> list[str]:
    """The DDL of format FORMAT, one statement each."""
    return [text.strip() for topic in _TOPICS for text in topic.TABLES.split(";") if text.strip()]


def create_tables(rows: Rows) -> None:
    for statement in statements():
        rows.run(statement)
    meta.put_meta(rows, _FORMAT, str(FORMAT))


def prepare(folder: StoreFolder, key: bytes) -> None:
    """Make the catalog of a new store, or bring an older one up to date. The caller holds the store lock.

    A start that was killed on its way is taken up again; but a catalog that is gone from beside its blobs is
    refused.
    """
    if folder.has_catalog():
        connection = connect(folder.catalog, key)
    else:
        _refuse_orphans(folder)
        connection = connect(folder.catalog, key, create=True)
    try:
        rows = SqliteRows(connection)
        connection.execute("BEGIN IMMEDIATE")
        if rows.one("SELECT 1 FROM sqlite_schema LIMIT 1") is None:
            _refuse_orphans(folder)
            create_tables(rows)
            connection.execute("COMMIT")
        else:
            version = stored_format(rows)
            connection.execute("ROLLBACK")
            _bring_up_to_date(folder, key, connection, version)
    except apsw.Error as error:
        raise translated(error) from error
    finally:
        connection.close(True)
    folder.sync()


def stored_format(rows: Rows) -> int:
    """Raises ConfigError if it is newer than this program, IntegrityError if the catalog does not say."""
    value = meta.get_meta(rows, _FORMAT)
    if value is None or not value.isdigit():
        raise IntegrityError("the catalog does not say its format")
    if int(value) > FORMAT:
        raise ConfigError(f"the store has format {value}, this program knows {FORMAT}", advice="start a newer s3al")
    return int(value)


def _refuse_orphans(folder: StoreFolder) -> None:
    if folder.has_blobs():
        raise IntegrityError("the catalog is gone, but its blobs are there", advice="restore catalog.db from a backup")


def _bring_up_to_date(folder: StoreFolder, key: bytes, connection: apsw.Connection, version: int) -> None:
    if version == FORMAT:
        return
    backup(connection, folder.catalog_copy(version), key)
    rows = SqliteRows(connection)
    connection.execute("BEGIN IMMEDIATE")
    for step in range(version, FORMAT):
        MIGRATIONS[step](rows)
    meta.put_meta(rows, _FORMAT, str(FORMAT))
    connection.execute("COMMIT")

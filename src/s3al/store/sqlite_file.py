"""The encrypted SQLite file: how every connection to it is made, and what its errors mean.

What lives here: the one connection factory, the table of errors, backup. What does not: transactions (sqlite,
group_commit), tables (schema).

Laws: no connection is made anywhere else; each asserts that what it asked for is what it got (cipher, sync, WAL,
temporary tables in memory), so that a build or a setting that would write plaintext is refused. The key never
appears in an error. The first 16 bytes of the file, where the cipher keeps its salt, are a check value of the key,
which tells a wrong key from a damaged file.

Page encryption (AEGIS-256, nonce and tag in each page) detects altered pages; it does not detect that a page, or
the whole file, was replaced by an older state of itself.
"""

from __future__ import annotations

import hmac
import os
from pathlib import Path

import apsw

from s3al.errors import ConfigError, IntegrityError, S3alError, StoreError

KEY_BYTES = 32
_CHECK_BYTES = 16
# Measured with 20,000 puts of 4 KiB bodies, keys in random order: pages of 4096 took 30 KB of WAL a put, of 8192 48 KB,
# and were 20 % slower. AEGIS cost 6 % against no cipher, ChaCha20 23 %; a scan of 20,000 rows took 20, 18 and 32 ms.
_PAGE_BYTES = 4096
_CIPHER = "aegis"
_CACHE_KIB = 8192
_BUSY_MS = 10_000  # met only while the first connection after a crash replays the WAL: writers queue elsewhere
_WAL_KEPT_BYTES = 64 << 20
_EXPECTED = {"cipher": _CIPHER, "journal_mode": "wal", "synchronous": 2, "temp_store": 2}

# SQLite's error -> (ours, retryable). What is not listed is a fault of this program.
_INTEGRITY = (apsw.CorruptError, apsw.NotADBError)
_RETRYABLE = (
    apsw.FullError,
    apsw.IOError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.CantOpenError,
    apsw.NoMemError,
    apsw.ReadOnlyError,
    apsw.ProtocolError,
    apsw.InterruptError,
    apsw.PermissionsError,
    apsw.AbortError,
)

def translated(error: apsw.Error) -> S3alError:
    """The error of this package that `error` means."""
    kind = type(error).__name__.removesuffix("Error")
    if isinstance(error, _INTEGRITY):
        return IntegrityError(f"the catalog is damaged ({kind})", advice="restore it from a backup")
    if isinstance(error, apsw.FullError):
        return StoreError("the disk of the catalog is full", advice="make room on the disk")
    return StoreError(f"the catalog failed ({kind}): {error}", retryable=isinstance(error, _RETRYABLE))


def connect(path: Path, key: bytes, *, create: bool = False, read_only: bool = False) -> apsw.Connection:
    """A connection that holds to the laws above.

    key: 32 bytes. create: the file is to be made. Raises ConfigError for a wrong key, IntegrityError for a damaged
    file.
    """
    if len(key) != KEY_BYTES:
        raise ValueError("a catalog key has 32 bytes")
    check = hmac.digest(key, b"s3al catalog check v1", "sha256")[:_CHECK_BYTES]
    if create:
        _make_file(path)
    else:
        _refuse_missing(path)
    connection = _opened(path)
    try:
        connection.set_busy_timeout(_BUSY_MS)
        # Plans do not depend on bound values; otherwise SQLite plans anew at every binding (measured: 8 us, not 1.5).
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
        connection.execute(f"PRAGMA cipher = '{_CIPHER}'")
        connection.execute(f"PRAGMA key = 'raw:{(key + check).hex()}'", can_cache=False)
        _settle(connection, create=create, read_only=read_only)
    except _INTEGRITY as error:
        connection.close()
        if _stored_check(path) != check:
            raise ConfigError("the catalog belongs to another key", advice="check --root-key and DIR") from error
        raise translated(error) from error
    except apsw.Error as error:
        connection.close()
        raise translated(error) from error
    except S3alError:
        connection.close()
        raise
    if create and _stored_check(path) not in {check, b""}:
        connection.close()
        raise ConfigError("this build of SQLite does not encrypt as expected", advice="install apsw-sqlite3mc")
    return connection


def _settle(connection: apsw.Connection, *, create: bool, read_only: bool) -> None:
    """Apply and verify the settings of a connection."""
    if create:
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    connection.execute("PRAGMA secure_delete = FAST")  # overwrites deleted cells, and costs no further page writes
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_KEPT_BYTES}")
    connection.execute("PRAGMA wal_autocheckpoint = 0")  # a committing writer must not stall: see checkpoint
    connection.execute(f"PRAGMA query_only = {int(read_only)}")
    for name, value in _EXPECTED.items():
        found = connection.pragma(name)
        if found != value:
            raise ConfigError(
                f"SQLite refused {name} = {value}", advice="install apsw-sqlite3mc; DIR must be on a local filesystem"
            )
    connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()


def _opened(path: Path) -> apsw.Connection:
    try:
        return apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=256)
    except apsw.Error as error:
        raise translated(error) from error


def _make_file(path: Path) -> None:
    """An empty file that only we can read; SQLite gives its -wal and -shm the same mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except OSError as error:
        raise StoreError(f"{path.name} cannot be made: {error.strerror}") from error


def _refuse_missing(path: Path) -> None:
    if not path.exists():
        raise ConfigError(f"there is no {path.name} in the data folder", advice="check --data, or restore a backup")


def _stored_check(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_CHECK_BYTES)


def backup(source: apsw.Connection, path: Path, key: bytes) -> None:
    """Copy the database, as of one moment, into a new encrypted file. `key` may differ from the source's."""
    target = connect(path, key, create=True)
    try:
        with target.backup("main", source, "main") as copying:
            copying.step()
    except apsw.Error as error:
        raise translated(error) from error
    finally:
        target.close()

"""The ledger beside the seal: which keys were destroyed, and which backups were taken.

What lives here: one file of lines, outside the data folder, so that putting an old data folder back does not undo it.
What does not: what a restore makes of it (backup), deleting keys (keys).

Laws: a line, once written, stays; it is durable before the key's row goes, so that no restore brings back a key whose
deletion is not known; a line that was cut short by a crash is as if it were not there, any other damage is an error. It
holds ids and times, nothing secret. Not protected: who may write beside the seal can also take lines out.

Source: spec/key-hierarchy.md, Ledger.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from s3al.errors import IntegrityError, StoreError
from s3al.store.layout import sync_folder


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A KMS key that is gone. Times: UTC ms."""

    key_id: str
    region: str
    created_at: int
    deleted_at: int


@dataclass(frozen=True, slots=True)
class BackupEntry:
    """A backup that was taken, as of a moment between began_at and ended_at (UTC ms)."""

    backup_id: str
    began_at: int
    ended_at: int
    place: str


Entry = Tombstone | BackupEntry
_KINDS: dict[str, type[Tombstone | BackupEntry]] = {"deleted": Tombstone, "backup": BackupEntry}
_NAMES = {kind: name for name, kind in _KINDS.items()}


class Ledger:
    """path: `ledger_path`. Any number of processes may add."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        return self.path.exists()

    def add(self, entries: Sequence[Entry]) -> None:
        """Durable when this returns. With no entries: make the file, if there is none. Raises StoreError."""
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            is_new = not self.path.exists()
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "rb+", buffering=0) as file:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                known = file.read()
                known_entries = set(_parsed(known))
                lines = [_line(entry) for entry in dict.fromkeys(entries) if not _is_known(entry, known_entries)]
                if lines:
                    file.write((b"" if not known or known.endswith(b"\n") else b"\n") + b"".join(lines))
                os.fsync(descriptor)
            if is_new:
                sync_folder(self.path.parent)
        except OSError as error:
            raise StoreError(f"the ledger {self.path} cannot be written: {error.strerror}") from error

    def tombstones(self) -> list[Tombstone]:
        return [entry for entry in self._entries() if isinstance(entry, Tombstone)]

    def backups(self) -> list[BackupEntry]:
        """By age."""
        found = [entry for entry in self._entries() if isinstance(entry, BackupEntry)]
        return sorted(found, key=lambda entry: entry.ended_at)

    def _entries(self) -> list[Entry]:
        try:
            return _parsed(self.path.read_bytes())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise StoreError(f"the ledger {self.path} cannot be read: {error.strerror}") from error


def ledger_path(config_home: Path, store_id: bytes) -> Path:
    """config_home: `$XDG_CONFIG_HOME`; beside the default keyfile, whichever seal the store has."""
    return config_home / "s3al" / f"{store_id.hex()}.ledger"


def return_of(tombstone: Tombstone, backups: Sequence[BackupEntry]) -> BackupEntry | None:
    """The oldest backup from which this key could return: taken while the key was there."""
    holding = [one for one in backups if tombstone.created_at <= one.ended_at and one.began_at < tombstone.deleted_at]
    return min(holding, key=lambda one: one.ended_at) if holding else None


def _is_known(entry: Entry, known: set[Entry]) -> bool:
    """A deletion that was interrupted is written down again at another time."""
    if isinstance(entry, BackupEntry):
        return entry in known
    name = (entry.key_id, entry.region, entry.created_at)
    return any(isinstance(one, Tombstone) and (one.key_id, one.region, one.created_at) == name for one in known)


def _line(entry: Entry) -> bytes:
    return json.dumps({"kind": _NAMES[type(entry)], **asdict(entry)}, sort_keys=True).encode() + b"\n"


def _parsed(content: bytes) -> list[Entry]:
    *lines, _cut_short = content.split(b"\n")
    found: list[Entry] = []
    for line in lines:
        if not line:
            continue
        try:
            members: dict[str, Any] = json.loads(line)
            found.append(_KINDS[members.pop("kind")](**members))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if line.startswith(b"{") and not line.endswith(b"}"):
                continue  # cut short by a crash, then added to
            raise IntegrityError("the ledger beside the seal is damaged", advice="restore it from a backup") from error
    return found

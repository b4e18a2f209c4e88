from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from s3al.errors import IntegrityError, StoreError
from s3al.kms.ledger import BackupEntry, Ledger, Tombstone, ledger_path, return_of

GONE = Tombstone("key", "us-east-1", 100, 500)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(ledger_path(tmp_path, bytes(16)))


def taken(began_at: int, ended_at: int, backup_id: str = "b") -> BackupEntry:
    return BackupEntry(backup_id, began_at, ended_at, "/backups/1")


def test_what_was_added_is_found_again_and_only_we_can_read_it(ledger: Ledger) -> None:
    ledger.add([GONE, taken(1, 2)])
    ledger.add([taken(3, 4, "c")])
    again = Ledger(ledger.path)
    assert again.tombstones() == [GONE]
    assert [one.backup_id for one in again.backups()] == ["b", "c"]
    assert ledger.path.stat().st_mode & 0o777 == 0o600


def test_without_a_file_it_is_empty(ledger: Ledger) -> None:
    assert not ledger.exists()
    assert ledger.tombstones() == ledger.backups() == []


def test_a_key_that_is_destroyed_again_after_a_crash_stands_in_it_once(ledger: Ledger) -> None:
    ledger.add([GONE, GONE])
    ledger.add([Tombstone("key", "us-east-1", 100, 900)])
    ledger.add([Tombstone("key", "eu-west-1", 100, 900)])
    assert [one.region for one in ledger.tombstones()] == ["us-east-1", "eu-west-1"]


def test_a_line_cut_short_by_a_crash_is_as_if_it_were_not_there(ledger: Ledger) -> None:
    ledger.add([GONE])
    whole = ledger.path.read_bytes()
    for cut in range(1, len(whole)):
        ledger.path.write_bytes(whole + whole[:cut])
        assert ledger.tombstones() == [GONE]
        ledger.add([taken(1, 2)])
        assert len(ledger.backups()) == 1
        assert ledger.tombstones()[0] == GONE


@pytest.mark.parametrize("line", [b"no json", b'{"kind": "other"}', b"[]", b'{"kind": "deleted"}', b"3"])
def test_any_other_damage_is_an_error(ledger: Ledger, line: bytes) -> None:
    ledger.add([GONE])
    ledger.path.write_bytes(line + b"\n" + ledger.path.read_bytes())
    with pytest.raises(IntegrityError):
        ledger.tombstones()


def test_a_ledger_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "s3al").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot be written"):
        Ledger(ledger_path(tmp_path, bytes(16))).add([GONE])


def test_processes_that_add_at_once_lose_nothing(ledger: Ledger) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: ledger.add([Tombstone(f"key-{n}", "r", 1, 2)]), range(64)))
    assert len(ledger.tombstones()) == 64


@pytest.mark.parametrize(
    ("backups", "expected"),
    [
        ([], None),
        ([taken(10, 99)], None),
        ([taken(500, 600)], None),
        ([taken(10, 100)], "b"),
        ([taken(499, 600)], "b"),
        ([taken(300, 301, "late"), taken(200, 201, "early"), taken(1, 2, "before")], "early"),
    ],
    ids=["none", "before it was made", "after its end", "while it was made", "while it ended", "the oldest of three"],
)
def test_the_oldest_backup_that_holds_a_key(backups: list[BackupEntry], expected: str | None) -> None:
    found = return_of(GONE, backups)
    assert (found.backup_id if found else None) == expected

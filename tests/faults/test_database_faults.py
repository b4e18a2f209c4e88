"""Full disks and failing disks under the database: what fails says so, what was acknowledged stays, and it goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from s3al.store import schema
from s3al.store.layout import StoreFolder, create_folder
from s3al.store.sqlite import SqliteDatabase

from .row_process import KEY
from .traced import needs_strace, run_traced

SCRIPT = Path(__file__).with_name("row_process.py")
WRITES = 30


@pytest.fixture
def folder(tmp_path: Path) -> StoreFolder:
    folder = create_folder(tmp_path / "store")
    schema.prepare(folder, KEY)
    return folder


def check(folder: StoreFolder, output: str, *, some_fail: bool = True) -> None:
    """What the process saw, and what a new one sees, is what was acknowledged, whole."""
    lines = [line.split() for line in output.splitlines()]
    done = [line[1] for line in lines if line[0] == "done"]
    failed = [line[1] for line in lines if line[0] == "failed"]
    assert len(done) + len(failed) == WRITES
    assert bool(failed) == some_fail
    assert done[-1] == f"w{WRITES - 1:03}", "the last write comes after the faults and must succeed"
    assert lines[-1] == ["sees", ",".join(done)]
    database = SqliteDatabase(folder.catalog, KEY, folder.locks)
    try:
        whole = database.read_now(
            lambda rows: rows.all(
                "SELECT name FROM buckets b JOIN bucket_settings s ON s.bucket_id = b.bucket_id ORDER BY name"
            )
        )
        assert [row[0] for row in whole] == done
        assert database.read_now(lambda rows: rows.one("SELECT count(*) FROM buckets")) == (len(done),)
        assert database.read_now(lambda rows: rows.all("PRAGMA integrity_check")) == [("ok",)]
    finally:
        database.close()


# One system call of the WAL or the database file fails, the given times it is made.
FAULTS = [
    ("the WAL's sync fails once", "catalog.db-wal", "fsync,fdatasync", "EIO", "10"),
    ("the WAL's sync fails for a while", "catalog.db-wal", "fsync,fdatasync", "EIO", "10..14"),
    ("the disk is full for the WAL", "catalog.db-wal", "pwrite64", "ENOSPC", "60..70"),
    ("the WAL cannot be written", "catalog.db-wal", "pwrite64", "EIO", "60..70"),
]


@needs_strace
@pytest.mark.parametrize(
    ("file", "calls", "error", "when"), [case[1:] for case in FAULTS], ids=[case[0] for case in FAULTS]
)
def test_a_failing_disk_fails_only_what_it_hit(
    folder: StoreFolder, tmp_path: Path, file: str, calls: str, error: str, when: str
) -> None:
    options = [
        "-P",
        str(folder.path / file),
        "-e",
        f"trace={calls}",
        "-e",
        f"inject={calls}:error={error}:when={when}",
    ]
    output = run_traced(options, SCRIPT, str(folder.path), str(WRITES), log=tmp_path / "trace")
    assert "(INJECTED)" in (tmp_path / "trace").read_text()
    check(folder, output)


@needs_strace
@pytest.mark.parametrize("calls", ["pwrite64", "fsync,fdatasync"])
def test_a_checkpoint_that_fails_loses_nothing(folder: StoreFolder, tmp_path: Path, calls: str) -> None:
    """Every write to the database file itself fails, as in the checkpoint when the database is closed."""
    options = ["-P", str(folder.catalog), "-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO:when=1+"]
    output = run_traced(options, SCRIPT, str(folder.path), str(WRITES), log=tmp_path / "trace")
    assert "(INJECTED)" in (tmp_path / "trace").read_text()
    check(folder, output, some_fail=False)


def test_a_disk_that_is_full_for_a_while_fails_writes_only_then(folder: StoreFolder) -> None:
    """The WAL may not grow beyond a size that the middle third of the writes exceeds."""
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(folder.path), str(WRITES), "400000"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    check(folder, done.stdout)

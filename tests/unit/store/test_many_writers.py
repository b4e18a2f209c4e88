"""Several processes writing at once: nothing lost, nothing half done, nobody starved, whoever is killed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from s3al.store.database import Rows
from s3al.store.layout import StoreFolder
from s3al.store.sqlite import SqliteDatabase

from .conftest import KEY

SCRIPT = Path(__file__).with_name("writer_process.py")
Start = Callable[[str, int, int], "Writer"]


class Writer:
    """One worker process; what it acknowledged goes to a file, so that no full pipe slows it down."""

    def __init__(self, folder: StoreFolder, name: str, tasks: int, writes: int) -> None:
        self.name = name
        self._output = folder.path.parent / f"{name}.out"
        with self._output.open("w") as output:
            arguments = [sys.executable, str(SCRIPT), str(folder.path), name, str(tasks), str(writes)]
            self.process = subprocess.Popen(
                arguments, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.PIPE, text=True
            )

    def wait_until_opened(self) -> None:
        assert self.process.stderr
        assert self.process.stderr.readline() == "opened\n"

    def go(self) -> None:
        assert self.process.stdin
        self.process.stdin.write("go\n")
        self.process.stdin.flush()

    def end(self) -> int:
        self.process.communicate()
        return self.process.returncode

    def acknowledged(self) -> list[tuple[str, int, float]]:
        """(name written, counter, milliseconds) of each write. A line cut by a kill was not yet acknowledged."""
        lines = self._output.read_text().split("\n")[:-1]
        return [(name, int(counter), float(took)) for name, counter, took in map(str.split, lines)]


@pytest.fixture
def start(folder: StoreFolder) -> Iterator[Start]:
    started: list[Writer] = []

    def start(name: str, tasks: int, writes: int) -> Writer:
        started.append(Writer(folder, name, tasks, writes))
        return started[-1]

    yield start
    for writer in started:
        if writer.process.poll() is None:
            writer.process.kill()
            writer.end()


def run(start: Start, processes: int, tasks: int, writes: int, prefix: str) -> list[Writer]:
    writers = [start(f"{prefix}{number}", tasks, writes) for number in range(processes)]
    for writer in writers:
        writer.wait_until_opened()
    for writer in writers:
        writer.go()
    assert [writer.end() for writer in writers] == [0] * processes
    return writers


def survived(rows: Rows) -> set[str]:
    """Names whose two rows are both there; fails if one is without the other."""
    whole = rows.all("SELECT b.name FROM buckets b JOIN bucket_settings s ON s.bucket_id = b.bucket_id")
    counted = rows.one("SELECT (SELECT count(*) FROM buckets), (SELECT count(*) FROM bucket_settings)")
    assert counted == (len(whole), len(whole))
    return {str(row[0]) for row in whole}


@contextmanager
def opened(folder: StoreFolder) -> Iterator[SqliteDatabase]:
    database = SqliteDatabase(folder.catalog, KEY, folder.locks)
    yield database
    database.close()


def p99(writers: list[Writer]) -> float:
    took = sorted(took for writer in writers for _, _, took in writer.acknowledged())
    return took[len(took) * 99 // 100]


def test_four_processes_lose_nothing_and_none_is_starved(folder: StoreFolder, start: Start) -> None:
    """The bounds are loose, because other tests may have the processors; without the turnstile p99 was seconds."""
    alone = run(start, 1, 4, 150, "alone")
    together = run(start, 4, 4, 150, "p")
    acknowledged = [entry for writer in alone + together for entry in writer.acknowledged()]
    with opened(folder) as database:
        assert database.read_now(survived) == {name for name, _, _ in acknowledged}
    counters = sorted(counter for _, counter, _ in acknowledged)
    assert counters == list(range(counters[0], counters[0] + 5 * 4 * 150))
    assert p99(together) < max(5 * p99(alone), 250)
    assert max(took for _, _, took in acknowledged) < 5000


def test_a_killed_writer_loses_nothing_acknowledged_and_blocks_nobody(
    folder: StoreFolder, start: Start
) -> None:
    victims = [start(f"victim{number}", 4, 0) for number in range(2)]
    for victim in victims:
        victim.wait_until_opened()
        victim.go()
    survivor = run(start, 1, 4, 100, "survivor")[0]
    for victim in victims:
        victim.process.kill()
        victim.end()
    with opened(folder) as database:
        names = database.read_now(survived)
        for writer in (*victims, survivor):
            entries = writer.acknowledged()
            assert entries
            assert names.issuperset(name for name, _, _ in entries)
            unacknowledged = sum(name.startswith(writer.name) for name in names) - len(entries)
            assert 0 <= unacknowledged <= 4
        database.write_now(lambda rows: rows.run("INSERT INTO meta VALUES ('after', 'the kill')"))


def test_reads_do_not_wait_for_writers_of_other_processes(folder: StoreFolder, start: Start) -> None:
    """Thousands of reads while two processes write; each sees one snapshot, in which every write is whole."""
    writers = [start(f"p{number}", 8, 150) for number in range(2)]
    for writer in writers:
        writer.wait_until_opened()
        writer.go()
    seen = [0]
    stop = threading.Event()

    def read() -> None:
        with opened(folder) as database:
            while not stop.is_set():
                seen.append(len(database.read_now(survived)))

    reader = threading.Thread(target=read)
    reader.start()
    assert [writer.end() for writer in writers] == [0, 0]
    stop.set()
    reader.join()
    assert seen == sorted(seen)
    assert len(set(seen)) > 10

"""The task beside the answers: what it unlinks, when, and that no failure ends it."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from s3al.errors import StoreError
from s3al.s3.lifecycle import expiring
from s3al.service import tending as module
from s3al.store import catalog, garbage
from support.house import House, open_house

BUCKET = "tended"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr(module, "PERIOD_S", 3600.0)  # nothing by itself
    monkeypatch.setattr(garbage, "CLOCK_MARGIN_MS", 0)
    with open_house(tmp_path, workers=2) as opened:
        opened.client().create_bucket(Bucket=BUCKET)
        yield opened


def graves(house: House) -> int:
    found: int = house.workers[0].s3.db.read_now(lambda rows: rows.one("SELECT count(*) FROM graveyard"))[0]
    return found


def files(house: House) -> list[Path]:
    return [path for path in (house.config.data / "blobs").glob("*/*/*") if path.is_file()]


def unlink(house: House, worker: int) -> int:
    found: int = house._run(house.workers[worker].tending.unlink_buried())
    return found


def replaced(house: House) -> None:
    for _ in range(2):
        house.client().put_object(Bucket=BUCKET, Key="k", Body=os.urandom(100_000))


def test_a_replaced_blob_is_unlinked_when_every_worker_has_reported(house: House) -> None:
    assert unlink(house, 0) == 0
    replaced(house)
    assert (graves(house), len(files(house))) == (1, 2)
    unlink(house, 0)
    unlink(house, 1)
    unlink(house, 0)
    assert (graves(house), len(files(house))) == (0, 1)


def test_a_blob_outlives_the_oldest_request_on_any_worker(house: House) -> None:
    house.workers[1].gateway.in_flight.begin("reader", house.workers[1].s3.now_ms())
    replaced(house)
    for worker in (0, 1, 0, 1):
        assert unlink(house, worker) == 0
    house.workers[1].gateway.in_flight.end("reader")
    unlink(house, 1)
    unlink(house, 0)
    assert graves(house) == 0


def test_a_blob_of_a_dead_process_that_no_row_names_is_swept(house: House) -> None:
    blobs = house.config.data / "blobs"
    with house.stopped() as store:
        incarnation = "0123456789abcdef"
        store.write(lambda rows: catalog.begin_incarnation(rows, incarnation, 1))
        folder = blobs / incarnation / "ab"
        folder.mkdir(parents=True)
        (folder / ("ab" + "0" * 30)).write_bytes(b"half written")
        (blobs / ".locks" / incarnation).touch()
    house._run(house.workers[0].tending.sweep())
    assert list((blobs / incarnation).rglob("ab*0")) == []
    known = house.workers[0].s3.db.read_now(catalog.list_incarnations)
    assert {row.incarnation for row in known} == {worker.s3.blobs.incarnation for worker in house.workers}


def test_no_failure_of_a_job_ends_the_task(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = house.workers[0]
    rounds: list[int] = []

    async def act() -> None:
        def job(_rows: Any, now_ms: int) -> None:
            rounds.append(now_ms)
            raise ValueError("the-secret")

        tending = module.Tending(
            worker.s3.db, worker.s3.blobs, worker.gateway.in_flight, worker.s3.now_ms,  # type: ignore[arg-type]
            log=worker.gateway.log, executor=worker.s3.executor, jobs=[job],
        )  # fmt: skip
        tending._clock = type("C", (), {"__call__": lambda _: 1, "persist": lambda _, rows: None})()  # type: ignore[assignment]
        tending._is_known = True
        task = asyncio.create_task(tending._run())
        while len(rounds) < 2:
            await asyncio.sleep(0.01)
            assert not task.done()
        task.cancel()

    monkeypatch.setattr(module, "PERIOD_S", 0.0)
    monkeypatch.setattr(module, "_SWEEP_EVERY", 1)
    house._run(act())
    failures = house.events("tending")
    assert len(failures) >= 1 and failures[0]["exception"] == "ValueError"
    assert "the-secret" not in house.log_path.read_text()


def test_steps_go_on_while_there_is_more_to_do(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = house.workers[0]
    answers = [True, True, False, True, False]
    taken: list[bool] = []

    def step() -> bool:
        taken.append(answers[len(taken)] if len(taken) < len(answers) else False)
        return taken[-1]

    async def act() -> None:
        tending = module.Tending(
            worker.s3.db, worker.s3.blobs, worker.gateway.in_flight, worker.s3.now_ms,  # type: ignore[arg-type]
            log=worker.gateway.log, executor=worker.s3.executor, steps=[step],
        )  # fmt: skip
        tending._clock = type("C", (), {"__call__": lambda _: 1, "persist": lambda _, rows: None})()  # type: ignore[assignment]
        tending._is_known = True
        task = asyncio.create_task(tending._run())
        while len(taken) < len(answers):
            await asyncio.sleep(0.01)
            assert not task.done()
        task.cancel()

    monkeypatch.setattr(module, "PERIOD_S", 0.0)
    monkeypatch.setattr(module, "_PAUSE_S", 0.0)
    monkeypatch.setattr(module, "_SWEEP_EVERY", 1)
    house._run(act())
    assert taken[: len(answers)] == answers
    assert house.events("tending") == []


def test_what_a_lifecycle_rule_expires_is_gone_and_buried(house: House) -> None:
    client, s3 = house.client(), house.workers[1].s3
    client.put_object(Bucket=BUCKET, Key="old", Body=os.urandom(100_000))
    client.put_object(Bucket=BUCKET, Key="kept", Body=os.urandom(100_000))
    rule = {"Status": "Enabled", "Filter": {"Prefix": "old"}, "Expiration": {"Date": datetime(2020, 1, 1, tzinfo=UTC)}}
    client.put_bucket_lifecycle_configuration(Bucket=BUCKET, LifecycleConfiguration={"Rules": [rule]})
    with ThreadPoolExecutor(1) as thread:
        while thread.submit(expiring.step, s3).result():
            pass
    assert [found["Key"] for found in client.list_objects_v2(Bucket=BUCKET)["Contents"]] == ["kept"]
    assert graves(house) == 1


def test_the_clock_is_kept_in_the_store(house: House) -> None:
    assert int(house.workers[0].s3.db.read_now(lambda rows: catalog.get_meta(rows, "clock"))) > 1_700_000_000_000


class Full:
    """A database without room for anything more, until told."""

    def __init__(self, *, retryable: bool = True) -> None:
        self.retryable, self.is_full, self.written = retryable, True, 0

    async def write(self, work: Any) -> None:
        if self.is_full:
            raise StoreError("there is no room", retryable=self.retryable)
        self.written += 1


class Ports:
    """Blobs, clock and log of a process that only starts."""

    incarnation = "0123456789abcdef"

    def __init__(self) -> None:
        self.failures: list[str] = []

    def __call__(self) -> int:
        return 1

    def failure(self, name: str, exc: BaseException, /) -> None:
        self.failures.append(type(exc).__name__)


def starting(database: Full, ports: Any, **options: Any) -> module.Tending:
    return module.Tending(database, ports, ports, ports, log=ports, executor=ports, **options)  # type: ignore[arg-type]


def test_a_start_without_room_is_a_start_and_the_process_makes_itself_known_later() -> None:
    database, ports = Full(), Ports()

    async def run() -> None:
        tending = starting(database, ports)
        await tending.start()
        assert ports.failures == ["StoreError"]
        database.is_full = False
        await asyncio.sleep(0)  # the task's first round
        assert database.written == 1
        await tending.stop()

    asyncio.run(run())


def test_a_start_on_a_store_that_does_not_work_is_none() -> None:
    with pytest.raises(StoreError):
        asyncio.run(starting(Full(retryable=False), Ports()).start())


def test_a_stop_waits_for_the_step_that_is_running(monkeypatch: pytest.MonkeyPatch) -> None:
    """It reads from the database, which is closed after that."""
    monkeypatch.setattr(module, "PERIOD_S", 0)
    begun, proceed, ended = threading.Event(), threading.Event(), threading.Event()

    def step() -> bool:
        begun.set()
        assert proceed.wait(30)
        ended.set()
        return False

    async def run() -> None:
        database = Full()
        database.is_full = False
        tending = starting(database, Ports(), steps=(step,))
        await tending.start()
        assert await asyncio.to_thread(begun.wait, 30)
        stopping = asyncio.create_task(tending.stop())
        done, _ = await asyncio.wait({stopping}, timeout=0.1)
        proceed.set()
        assert not done
        await stopping
        assert ended.is_set()

    asyncio.run(run())

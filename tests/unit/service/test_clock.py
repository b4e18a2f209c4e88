"""Time that never goes back, within a process and across restarts; and who reads since when."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from s3al.service.clock import Clock
from s3al.service.in_flight import InFlight
from unit.s3.world import open_world


class Wall:
    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Any]:
    with open_world(tmp_path) as world:
        yield world.s3.db


def test_a_clock_set_back_stands_still() -> None:
    wall = Wall(1000)
    clock = Clock(wall)
    assert clock() == 1000
    wall.now_ms = 900
    assert clock() == 1000
    wall.now_ms = 1001
    assert clock() == 1001


def test_the_high_water_survives_a_restart(database: Any) -> None:
    wall = Wall(5000)
    clock = Clock(wall)
    assert database.read_now(clock.load) == 0
    assert clock() == 5000
    database.write_now(clock.persist)
    behind = Clock(Wall(2000))
    assert database.read_now(behind.load) == 3000
    assert behind() == 5000


def test_a_clock_that_is_behind_never_lowers_what_is_stored(database: Any) -> None:
    database.write_now(Clock(Wall(5000)).persist)
    database.write_now(Clock(Wall(100)).persist)
    assert database.read_now(Clock(Wall(0)).load) == 5000


def test_the_oldest_request_is_the_one_that_counts() -> None:
    in_flight = InFlight()
    assert in_flight.oldest() is None
    for request_id, now_ms in (("a", 5), ("b", 3), ("c", 9)):
        in_flight.begin(request_id, now_ms)
    assert (in_flight.oldest(), len(in_flight)) == (3, 3)
    in_flight.end("b")
    in_flight.end("b")
    in_flight.end("unknown")
    assert (in_flight.oldest(), len(in_flight)) == (5, 2)

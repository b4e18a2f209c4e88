"""Stand-in servers: the supervisor and the edge as real processes, without a store."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support import stand_in
from support.processes import children_of, eventually
from support.raw_http import RawConnection, RawResponse, request


@dataclass
class StandInProcess:
    process: subprocess.Popen[bytes]
    log_path: Path
    port: int
    host: str

    def connection(self, **options: Any) -> RawConnection:
        return RawConnection(self.host, self.port, **options)

    def get(self, target: str, *headers: str) -> RawResponse:
        with self.connection() as connection:
            connection.send(request("GET", target, *headers))
            return connection.receive()

    def workers(self) -> list[int]:
        return children_of(self.process.pid)

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log_path.read_bytes().splitlines()]
        return [line for line in lines if line["event"] == name]

    def await_event(self, name: str) -> dict[str, Any]:
        return eventually(f"the event {name}", lambda: self.events(name))[0]

    def await_replacement(self, victim: int, *, workers: int) -> None:
        """Until `victim` is gone and there are as many workers as there should be."""
        eventually("a new worker", lambda: victim not in (now := self.workers()) and len(now) == workers)


StartStandIn = Callable[..., StandInProcess]


@pytest.fixture
def start_stand_in(tmp_path: Path) -> Iterator[StartStandIn]:
    """start_stand_in(workers, *flags) -> StandInProcess; its port is 0 when it did not start."""
    started: list[StandInProcess] = []

    def start(workers: int = 1, *flags: str, host: str = "127.0.0.1") -> StandInProcess:
        log_path = tmp_path / f"log-{len(started)}.jsonl"
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, stand_in.__file__, str(workers), "--host", host, *flags],
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert process.stdout is not None
        line = process.stdout.readline()
        started.append(StandInProcess(process, log_path, int(line or b"0"), host))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait()
        assert server.process.stdout is not None
        server.process.stdout.close()


@pytest.fixture
def stand_in_server(start_stand_in: StartStandIn) -> StandInProcess:
    """One worker."""
    return start_stand_in(1)

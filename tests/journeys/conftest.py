"""Servers for journeys: real processes, driven by real clients.

`server` is fresh for each test; `standing_server` serves all tests that only need buckets of their own;
`start_server` makes any number with any flags. All are stopped at the end, and a server that logged something it did
not foresee fails the test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.server_process import ServerProcess
from support.settings import NO_RETRIES, new_bucket

StartServer = Callable[..., ServerProcess]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """start_server(*flags, folder=None, environ=None) -> a running ServerProcess."""
    started: list[ServerProcess] = []

    def start(*flags: str, folder: Path | None = None, environ: dict[str, str] | None = None) -> ServerProcess:
        place = folder or tmp_path / f"server-{len(started)}"
        started.append(ServerProcess(place, flags, environ or {}).start())
        return started[-1]

    yield start
    for server in started:
        _end(server)


@pytest.fixture
def server(start_server: StartServer) -> ServerProcess:
    """One worker, plain HTTP."""
    return start_server("--workers", "1")


@pytest.fixture
def server_with_workers(start_server: StartServer) -> ServerProcess:
    """Three workers, plain HTTP."""
    return start_server("--workers", "3")


@pytest.fixture
def tls_server(start_server: StartServer) -> ServerProcess:
    """Two workers, TLS with a local CA; `ca_bundle` names it."""
    return start_server("--workers", "2", "--tls", "auto")


@pytest.fixture(scope="session")
def standing_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Two workers, plain HTTP, for the whole session."""
    server = ServerProcess(tmp_path_factory.mktemp("standing"), ("--workers", "2")).start()
    yield server
    _end(server)


@pytest.fixture(scope="session")
def standing_tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Two workers, TLS, for the whole session."""
    server = ServerProcess(tmp_path_factory.mktemp("standing-tls"), ("--workers", "2", "--tls", "auto")).start()
    yield server
    _end(server)


@pytest.fixture(params=["http", "tls"])
def any_server(request: pytest.FixtureRequest) -> ServerProcess:
    """The standing servers, one after the other: what holds over HTTP holds over TLS."""
    name = "standing_server" if request.param == "http" else "standing_tls_server"
    server: ServerProcess = request.getfixturevalue(name)
    return server


@pytest.fixture
def s3(any_server: ServerProcess) -> Any:
    """boto3 on `any_server`, which must answer rightly the first time."""
    return any_server.client(config=NO_RETRIES)


@pytest.fixture
def bucket(any_server: ServerProcess, s3: Any) -> str:
    """A new bucket of the operator on `any_server`."""
    return new_bucket(any_server, owner=s3)


def _end(server: ServerProcess) -> None:
    server.stop()
    assert server.log_events("unforeseen") == [], "the server met an exception that nobody expected"

"""Thousands of connections that ask for nothing: the rest is served, and what they took is given back."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from s3al.errors import RequestError
from s3al.server.asgi import Edge, EdgeLimits, Request, Response
from s3al.server.health import READY
from s3al.server.logs import Log
from support.processes import eventually
from support.raw_http import RawConnection, request
from support.server_process import ServerProcess

IDLE = 10_000
SPARE = 500  # descriptors for everything else of this process
SOON_S = 5.0
MOST_GROWTH_BYTES = 64 << 20  # of one worker, by all idle connections


@contextmanager
def idle_connections(server: ServerProcess, count: int) -> Iterator[list[socket.socket]]:
    """That many, or as many as the hard limit of descriptors allows; opened without waiting for each."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + SPARE
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, hard)), hard))
    opened: list[socket.socket] = []
    try:
        for _ in range(min(count, max(soft, min(wanted, hard)) - SPARE)):
            opened.append(socket.socket())
            opened[-1].setblocking(False)
            opened[-1].connect_ex((server.host, server.port))
        yield opened
    finally:
        for connection in opened:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def descriptors(server: ServerProcess) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in server.worker_pids())


def memory_bytes(server: ServerProcess) -> int:
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in server.worker_pids()]
    return max(pages) * os.sysconf("SC_PAGE_SIZE")


def is_ready(server: ServerProcess, tls: ssl.SSLContext | None = None) -> bool:
    started = time.monotonic()
    with RawConnection(server.host, server.port, tls=tls, timeout_s=SOON_S) as connection:
        connection.send(request("GET", READY))
        status = connection.receive().status
    return status == 200 and time.monotonic() - started < SOON_S


def test_ten_thousand_idle_connections_keep_nobody_from_being_served(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "server", ("--workers", "2")).start()
    try:
        s3 = server.client()
        s3.create_bucket(Bucket="served")
        idle_descriptors, idle_bytes = descriptors(server), memory_bytes(server)
        with idle_connections(server, IDLE) as opened:
            eventually("they are open", lambda: descriptors(server) >= idle_descriptors + len(opened) * 9 // 10)
            for number in range(5):
                assert is_ready(server)
                s3.put_object(Bucket="served", Key=str(number), Body=b"x" * 100_000)
                assert s3.get_object(Bucket="served", Key=str(number))["Body"].read() == b"x" * 100_000
            assert memory_bytes(server) < idle_bytes + MOST_GROWTH_BYTES
        eventually("descriptors are given back", lambda: descriptors(server) < idle_descriptors + 16)
        assert is_ready(server)
    finally:
        server.stop()
    assert server.log_events("unforeseen") == []


def test_connections_without_a_handshake_keep_nobody_from_being_served(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "server", ("--workers", "1", "--tls", "auto")).start()
    try:
        tls = ssl.create_default_context(cafile=server.ca_bundle)
        tls.check_hostname = False
        idle_descriptors = descriptors(server)
        with idle_connections(server, 2000):
            assert is_ready(server, tls)
        eventually("descriptors are given back", lambda: descriptors(server) < idle_descriptors + 16)
        assert is_ready(server, tls)
    finally:
        server.stop()


def test_more_requests_at_once_than_the_bound_are_told_to_slow_down() -> None:
    """The pipeline raises the refusal in the words of its service; a health page does not look at it."""

    async def run() -> list[RequestError | None]:
        refusals: list[RequestError | None] = []
        all_asked = asyncio.Event()

        async def respond(asked: Request) -> Response:
            refusals.append(asked.refusal)
            if len(refusals) == 3:
                all_asked.set()
            await all_asked.wait()
            return Response(200, [], b"")

        edge = Edge(respond, Log(), limits=EdgeLimits(requests=2))
        scope: dict[str, Any] = {
            "type": "http", "method": "GET", "scheme": "http", "raw_path": b"/", "query_string": b"", "headers": [],
            "client": ("127.0.0.1", 1),
        }  # fmt: skip

        async def send(_: Any) -> None: ...

        async def receive() -> Any:
            raise AssertionError

        await asyncio.gather(*(edge(scope, receive, send) for _ in range(3)))
        return refusals

    told = asyncio.run(run())
    assert [one and one.code for one in told] == [None, None, "SlowDown"]


@pytest.mark.skipif(not os.environ.get("S3AL_SLOW_TESTS"), reason="waits for half a minute: S3AL_SLOW_TESTS=1")
@pytest.mark.parametrize("tls", ["off", "auto"])
def test_idle_connections_are_closed_after_half_a_minute(tmp_path: Path, tls: str) -> None:
    server = ServerProcess(tmp_path / "server", ("--workers", "1", "--tls", tls)).start()
    try:
        before = descriptors(server)
        with idle_connections(server, 50):
            eventually("they are open", lambda: descriptors(server) >= before + 50)
            eventually("the server closes them", lambda: descriptors(server) < before + 5, within_s=50)
    finally:
        server.stop()

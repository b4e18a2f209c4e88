"""The end of a worker: what it may close, and that it leaves the shared socket to the others."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import ssl
import threading
from pathlib import Path

import pytest

from s3al.server.drain import awaiting_answer, stop_accepting
from s3al.server.supervisor import listen
from support.processes import eventually
from support.raw_http import request

LONG_S = 60
_LISTEN = "0A"  # of /proc/net/tcp


@pytest.fixture
def connection():
    """(the port, the client's end, the server's end) of one fresh connection."""
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            select.select([listener], [], [])
            server, _ = listener.accept()
            with server:
                yield port, client, server


def test_a_connection_that_has_said_nothing_yet_is_waited_for_until_it_has_been_quiet(connection):
    port, _, _ = connection
    assert awaiting_answer(port, tls=False, quiet_s=LONG_S)
    assert not awaiting_answer(port, tls=False, quiet_s=0)


def test_a_request_that_lies_unread_is_waited_for_and_one_that_was_answered_is_not(connection):
    port, client, server = connection
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert awaiting_answer(port, tls=False, quiet_s=LONG_S)
    server.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    assert not awaiting_answer(port, tls=False, quiet_s=LONG_S)


def test_a_client_that_has_ended_its_side_is_waited_for(connection):
    port, client, _ = connection
    client.sendall(b"GET / HTTP/1.1\r\n\r\n")
    client.shutdown(socket.SHUT_WR)
    assert awaiting_answer(port, tls=False, quiet_s=LONG_S)


def test_within_tls_bytes_to_the_client_are_no_answer_as_they_may_be_the_handshake(connection):
    port, _, server = connection
    server.sendall(b"hello")
    assert awaiting_answer(port, tls=True, quiet_s=LONG_S)
    assert not awaiting_answer(port, tls=True, quiet_s=0)


def test_connections_of_other_ports_and_listening_sockets_do_not_count(connection):
    port, client, _ = connection
    assert not awaiting_answer(client.getsockname()[1] + port, tls=False, quiet_s=LONG_S)
    with listen("127.0.0.1", 0) as other:
        assert not awaiting_answer(other.getsockname()[1], tls=False, quiet_s=LONG_S)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_socket_that_stops_accepting_stays_with_whoever_shares_it(host):
    with listen(host, 0) as listener, select.epoll() as loop:
        port = listener.getsockname()[1]
        loop.register(listener, select.EPOLLIN | select.EPOLLET)
        with socket.socket(fileno=os.dup(listener.fileno())) as shared:
            stop_accepting(listener)
            with socket.create_connection((host, port)):
                select.select([shared], [], [])
                with pytest.raises(BlockingIOError):
                    listener.accept()
                assert loop.poll(0) == []
                shared.accept()[0].close()
        # It was the last one that knew the port.
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, port))


def test_a_client_that_had_connected_when_its_worker_was_told_to_end_is_answered(start_stand_in):
    server = start_stand_in(1)
    (worker,) = server.workers()
    before = len(_sockets_of(worker))
    with server.connection() as connection:
        eventually("the worker has accepted", lambda: len(_sockets_of(worker)) > before)
        os.kill(worker, signal.SIGTERM)
        eventually("the worker has shut the door", lambda: not _listens(worker, server.port))
        connection.send(request("GET", "/show"))
        response = connection.receive()
        assert (response.status, response.headers["connection"]) == (200, "close")
        assert connection.is_closed_by_peer()


def test_workers_with_tls_are_replaced_without_failing_a_handshake(start_stand_in, tmp_path):
    server = start_stand_in(2, "--tls", str(tmp_path / "tls"))
    context = ssl.create_default_context(cafile=str(tmp_path / "tls" / "ca.pem"))
    statuses: list[int] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            with server.connection(tls=context) as connection:
                connection.send(request("GET", "/show"))
                statuses.append(connection.receive().status)

    clients = [threading.Thread(target=ask) for _ in range(2)]
    for client in clients:
        client.start()
    before = set(server.workers())
    server.process.send_signal(signal.SIGHUP)
    eventually("both workers are new", lambda: len(now := set(server.workers())) == 2 and not now & before)
    done.set()
    for client in clients:
        client.join()
    assert set(statuses) == {200}
    assert server.events("worker_died") == []


def _listens(pid: int, port: int) -> bool:
    """Whether the process has a listening socket of this port."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    inodes = {line[9] for line in lines if line[3] == _LISTEN and int(line[1].rpartition(":")[2], 16) == port}
    return not inodes.isdisjoint(_sockets_of(pid))


def _sockets_of(pid: int) -> set[str]:
    """Inodes of the process's sockets."""
    links = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(os.readlink(entry))
    return {link.removeprefix("socket:[").rstrip("]") for link in links if link.startswith("socket:")}

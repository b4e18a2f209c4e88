"""Processes: workers die with the main process, are replaced for ever, and end gracefully."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from s3al.errors import ConfigError
from s3al.server.supervisor import authority, listen
from support.processes import eventually, is_alive
from support.raw_http import request


def test_workers_end_when_the_main_process_is_killed(start_stand_in):
    server = start_stand_in(3)
    workers = server.workers()
    assert len(workers) == 3
    server.process.kill()
    server.process.wait()
    eventually("workers end", lambda: not any(is_alive(pid) for pid in workers))


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT, signal.SIGUSR1])
def test_workers_end_when_the_main_process_dies_by_any_signal(start_stand_in, number):
    server = start_stand_in(1)
    workers = server.workers()
    assert len(workers) == 1
    server.process.send_signal(number)
    server.process.wait()
    eventually("workers end", lambda: not any(is_alive(pid) for pid in workers))


def test_workers_end_with_a_stopped_event_loop_too(start_stand_in):
    server = start_stand_in(1)
    (worker,) = server.workers()
    os.kill(worker, signal.SIGSTOP)
    server.process.kill()
    server.process.wait()
    eventually("the stopped worker ends", lambda: not is_alive(worker))


def test_a_killed_worker_is_replaced_however_often_it_is_killed(start_stand_in):
    server = start_stand_in(2)
    for _ in range(8):
        victim = server.workers()[0]
        os.kill(victim, signal.SIGKILL)
        server.await_replacement(victim, workers=2)
    assert server.get("/show").status == 200
    assert len(server.events("worker_died")) == 8
    assert server.process.poll() is None


def test_a_request_waiting_in_the_queue_survives_the_death_of_the_only_worker(start_stand_in):
    server = start_stand_in(1)
    (worker,) = server.workers()
    os.kill(worker, signal.SIGSTOP)
    with server.connection() as connection:
        connection.send(request("GET", "/show"))
        os.kill(worker, signal.SIGKILL)
        assert connection.receive().status == 200


def test_a_worker_that_keeps_dying_by_itself_is_retried_for_ever(start_stand_in):
    server = start_stand_in(1)
    for _ in range(4):
        with server.connection() as connection:
            connection.send(request("GET", "/die"))
            with pytest.raises(ConnectionError):
                connection.receive()
    assert server.get("/show").status == 200
    causes = {event["cause"] for event in server.events("worker_died")}
    assert causes == {"exit 3"}


def test_a_worker_that_dies_while_the_server_starts_ends_the_server(start_stand_in):
    server = start_stand_in(2, "--die-young")
    assert server.port == 0
    assert server.process.wait() == 1
    assert "a worker could not start" in server.log_path.read_text()


def test_a_worker_that_cannot_start_ends_the_server_with_its_reason(start_stand_in):
    server = start_stand_in(2, "--fail-start")
    assert server.port == 0
    assert server.process.wait() == 1
    assert "the store cannot be opened / look at the disk" in server.log_path.read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_in_flight_end_before_the_server_does(start_stand_in, number):
    server = start_stand_in(2)
    with server.connection() as connection:
        connection.send(request("GET", "/slow?s=1"))
        server.await_event("slow_begun")
        os.killpg(server.process.pid, number)  # a terminal sends SIGINT to every process of the group
        response = connection.receive()
        assert (response.status, response.body) == (200, b"slow")
    assert server.process.wait() == 0
    assert server.events("worker_died") == []


def test_a_stream_in_flight_ends_before_the_server_does(start_stand_in):
    server = start_stand_in(1)
    with server.connection() as connection:
        connection.send(request("GET", "/stream?pieces=500"))
        connection.receive_head()
        server.process.terminate()
        server.await_event("stopping")
        size = sum(len(piece) for piece in iter(lambda: connection.socket.recv(1 << 20), b""))
    assert size > 400 * (1 << 16)
    assert server.process.wait() == 0
    assert "aborted" not in server.await_event("ended")


def test_idle_connections_do_not_delay_the_end(start_stand_in):
    server = start_stand_in(1)
    with server.connection() as connection:
        connection.send(request("GET", "/show"))
        connection.receive()
        server.process.terminate()
        assert server.process.wait(10) == 0


def test_requests_that_do_not_end_in_time_are_cut_off(start_stand_in):
    server = start_stand_in(1, "--stop-s", "0.3")
    with server.connection() as connection:
        connection.send(request("GET", "/slow?s=60"))
        server.await_event("slow_begun")
        server.process.terminate()
        assert server.process.wait(10) == 0
    assert server.events("worker_killed")


def test_a_second_signal_ends_at_once(start_stand_in):
    server = start_stand_in(1)
    with server.connection() as connection:
        connection.send(request("GET", "/slow?s=60"))
        server.await_event("slow_begun")
        server.process.terminate()
        server.await_event("stopping")
        server.process.terminate()
        assert server.process.wait(10) == 0


def test_new_connections_are_refused_while_stopping(start_stand_in):
    server = start_stand_in(1)
    with server.connection() as connection:
        connection.send(request("GET", "/slow?s=1"))
        server.await_event("slow_begun")
        server.process.terminate()
        server.await_event("stopping")
        eventually("the port is closed", lambda: _refuses(server.port))
        assert connection.receive().status == 200


def test_sighup_replaces_every_worker_without_failing_a_request(start_stand_in):
    server = start_stand_in(2)
    before = set(server.workers())
    statuses: list[int] = []
    done = threading.Event()
    client = threading.Thread(target=_keep_asking, args=(server, statuses, done))
    client.start()
    server.process.send_signal(signal.SIGHUP)
    eventually("both workers are new", lambda: len(now := set(server.workers())) == 2 and not now & before)
    done.set()
    client.join()
    assert set(statuses) == {200}
    assert server.events("worker_died") == []


def _begin_replacement(server) -> int:
    """SIGHUP to a server whose successors are held. Returns the first of them."""
    before = set(server.workers())
    server.process.send_signal(signal.SIGHUP)
    return eventually("a successor", lambda: set(server.workers()) - before).pop()


def test_the_only_worker_serves_until_its_successor_does(start_stand_in, tmp_path):
    (hold := tmp_path / "hold").touch()
    server = start_stand_in(1, "--hold", str(hold))
    (old,) = server.workers()
    successor = _begin_replacement(server)
    assert {json.loads(server.get("/process").body)["pid"] for _ in range(20)} == {old}
    hold.unlink()
    eventually("the old one has ended", lambda: server.workers() == [successor])
    assert json.loads(server.get("/process").body)["pid"] == successor
    assert server.events("worker_died") == []


def test_a_successor_that_dies_before_it_serves_is_tried_again_while_the_old_worker_serves(start_stand_in, tmp_path):
    (hold := tmp_path / "hold").touch()
    server = start_stand_in(1, "--hold", str(hold))
    (old,) = server.workers()
    successor = _begin_replacement(server)
    os.kill(successor, signal.SIGKILL)
    eventually("another successor", lambda: len(now := server.workers()) == 2 and successor not in now)
    assert json.loads(server.get("/process").body)["pid"] == old
    hold.unlink()
    eventually("the old one has ended", lambda: len(now := server.workers()) == 1 and old not in now)
    assert server.get("/show").status == 200


def test_stopping_in_the_middle_of_a_replacement_ends_everybody(start_stand_in, tmp_path):
    (hold := tmp_path / "hold").touch()
    server = start_stand_in(2, "--hold", str(hold), "--stop-s", "1")
    _begin_replacement(server)
    workers = server.workers()
    assert len(workers) == 3
    server.process.terminate()
    assert server.process.wait(timeout=60) == 0
    assert not any(is_alive(pid) for pid in workers)


def test_workers_are_replaced_once_when_the_hourly_look_finds_a_new_certificate(start_stand_in):
    server = start_stand_in(1, "--hourly-s", "0.2")
    server.await_event("replacing_workers")
    eventually("a second worker has started", lambda: b"worker_starts_total 2" in server.get("/_s3al/metrics").body)
    assert len(server.events("replacing_workers")) == 1
    assert server.events("worker_died") == []


def test_no_process_can_be_dumped(start_stand_in):
    server = start_stand_in(1)
    shown = json.loads(server.get("/process").body)
    assert shown["pid"] in server.workers()
    assert (shown["core_limit"], shown["dumpable"]) == ([0, 0], 0)
    for pid in (server.process.pid, *server.workers()):
        limits = Path(f"/proc/{pid}/limits").read_text()
        core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
        assert core.split()[4:6] == ["0", "0"]


def test_metrics_are_summed_over_workers_and_survive_one(start_stand_in):
    server = start_stand_in(2)
    for _ in range(30):
        assert server.get("/show").status == 200
    victim = server.workers()[0]
    os.kill(victim, signal.SIGKILL)
    server.await_replacement(victim, workers=2)
    text = server.get("/_s3al/metrics").body.decode()
    assert 's3al_requests_total{service="test",operation="show",status="200"} 30' in text
    assert "s3al_worker_starts_total 3" in text


def test_port_zero_takes_a_free_port_that_all_workers_share(start_stand_in):
    server = start_stand_in(3)
    assert server.port > 0
    assert all(server.get("/show").status == 200 for _ in range(20))


def test_it_serves_on_ipv6_loopback(start_stand_in):
    server = start_stand_in(1, host="::1")
    shown = json.loads(server.get("/show").body)
    assert shown["client_ip"] == "::1"


def test_a_port_in_use_is_told_in_one_line():
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"cannot listen on 127.0.0.1:{port}: address already in use") as caught:
            listen("127.0.0.1", port)
    assert "--listen" in caught.value.advice


@pytest.mark.parametrize(
    ("host", "words"),
    [("203.0.113.1", "cannot assign requested address"), ("no-such-host.invalid", "cannot listen on")],
)
def test_an_address_that_is_not_ours_is_told_in_one_line(host, words):
    with pytest.raises(ConfigError, match=words):
        listen(host, 0)


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1:9000"), ("::1", "[::1]:9000")])
def test_authorities_are_written_as_in_urls(host, shown):
    assert authority(host, 9000) == shown


def test_the_log_is_nothing_but_json_lines(start_stand_in):
    server = start_stand_in(2)
    server.get("/boom")
    with contextlib.suppress(ConnectionError):
        server.get("/stream?pieces=2&fail=1")
    server.process.send_signal(signal.SIGTERM)
    server.process.wait()
    for line in server.log_path.read_bytes().splitlines():
        event = json.loads(line)
        assert event["time"].endswith("Z")
        assert {"level", "event", "pid"} <= set(event)


def test_a_closed_standard_error_does_not_lend_its_number_to_a_socket():
    script = (
        "from s3al.server.hardening import occupy_standard_descriptors; occupy_standard_descriptors();"
        "import socket; print(socket.socket().fileno())"
    )
    command = ["sh", "-c", f"exec '{sys.executable}' -c '{script}' 2>&-"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) > 2


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def _keep_asking(server, statuses: list[int], done: threading.Event) -> None:
    while not done.is_set():
        statuses.append(server.get("/show").status)

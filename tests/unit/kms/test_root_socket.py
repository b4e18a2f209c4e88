"""The root behind its door: who is let in, what is served, and what a worker does when nobody answers."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from s3al.crypto.encoding import canonical
from s3al.errors import ConfigError, IntegrityError, StoreError
from s3al.kms import root_socket
from s3al.kms.materials import material_place
from s3al.kms.root import Root, Wrapped
from s3al.kms.root_socket import RemoteRoot, door, serve_root

PLACE = material_place("00000000-0000-4000-8000-000000000000", bytes(32))
ROOT = Root(bytes(16), {1: secrets.token_bytes(32)}, 1, random=secrets.token_bytes)
WRAPPED = ROOT.wrap(b"m" * 32, version=1, place=PLACE)


@dataclass
class House:
    """A door, and threads in the place of processes that hold the root."""

    outer: socket.socket
    inner: socket.socket
    root: Root = ROOT
    threads: list[threading.Thread] = field(default_factory=list)

    def serve(self) -> None:
        def run(inner: socket.socket) -> None:
            with inner:
                serve_root(inner, self.root)

        # Each server has an inner end of its own, as a process that inherited it.
        self.threads.append(threading.Thread(target=run, args=(self.inner.dup(),)))
        self.threads[-1].start()

    def knock(self) -> socket.socket:
        """A connection that is let in, driven by hand."""
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        socket.send_fds(self.outer, [b"k"], [theirs.fileno()])
        theirs.close()
        mine.settimeout(5)
        assert mine.recv(10) == b"h"
        return mine

    def knocked(self) -> socket.socket:
        """Let one in by hand, in the place of a root that misbehaves."""
        _, (descriptor,), _, _ = socket.recv_fds(self.inner, 10, 1)
        return socket.socket(fileno=descriptor)


@pytest.fixture
def house() -> Iterator[House]:
    made = House(*door())
    yield made
    made.outer.close()
    for thread in made.threads:
        thread.join(5)
        assert not thread.is_alive(), "the root outlives the last who can knock"
    made.inner.close()


@pytest.fixture
def remote(house: House) -> Iterator[RemoteRoot]:
    made = RemoteRoot(house.outer)
    yield made
    made.close()


def unwraps(remote: RemoteRoot) -> bool:
    return remote.unwrap(WRAPPED, place=PLACE) == b"m" * 32


def test_the_socket_serves_materials_and_nothing_else(house: House, remote: RemoteRoot) -> None:
    house.serve()
    catalog = canonical(b"s3al catalog key v1")
    wrapped = ROOT.wrap(b"the catalog key", version=1, place=catalog)
    with pytest.raises(IntegrityError):
        remote.unwrap(wrapped, place=catalog)
    with pytest.raises(IntegrityError):
        remote.wrap(b"x", version=1, place=catalog)
    assert unwraps(remote)


@pytest.mark.parametrize("request_bytes", [b"x", b"u" * 8, b"u" * 16_385], ids=["short", "no head", "too long"])
def test_what_is_no_request_ends_that_connection_and_no_other(
    house: House, remote: RemoteRoot, request_bytes: bytes
) -> None:
    house.serve()
    assert unwraps(remote)
    other = house.knock()
    other.sendall(request_bytes)
    assert other.recv(100) == b""
    other.close()
    assert unwraps(remote)


def test_an_unknown_request_is_refused(house: House) -> None:
    house.serve()
    end = house.knock()
    end.sendall(b"z" + bytes(8) + PLACE)
    assert end.recv(100) == b"-"
    end.sendall(b"u" + b"\xff" * 8)
    assert end.recv(100) == b"-"
    end.close()


def test_who_asks_without_reading_answers_is_dropped_and_stops_nobody(house: House, remote: RemoteRoot) -> None:
    house.serve()
    greedy = house.knock()
    with pytest.raises(ConnectionError):
        for _ in range(100_000):
            greedy.sendall(b"v" + bytes(8))
    greedy.close()
    assert unwraps(remote)


@pytest.mark.parametrize("files", [0, 1, 2])
def test_who_hands_in_no_socket_is_passed_over(house: House, remote: RemoteRoot, files: int) -> None:
    numbers = [os.open(os.devnull, os.O_RDONLY) for _ in range(files)]
    socket.send_fds(house.outer, [b"k"], numbers)
    for number in numbers:
        os.close(number)
    house.serve()
    assert unwraps(remote)


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        return client, listener.accept()[0]


@pytest.mark.parametrize("pair", [tcp_pair, socket.socketpair], ids=["tcp", "a local stream"])
def test_a_connection_that_leads_elsewhere_is_closed_unanswered(
    house: House, remote: RemoteRoot, pair: Callable[[], tuple[socket.socket, socket.socket]]
) -> None:
    house.serve()
    mine, theirs = pair()
    with mine:
        with theirs:
            socket.send_fds(house.outer, [b"k"], [theirs.fileno()])
        mine.settimeout(5)
        assert mine.recv(10) == b""
    assert unwraps(remote)


def test_more_than_the_most_connections_are_turned_away(
    house: House, remote: RemoteRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(root_socket, "MOST_CONNECTIONS", 2)
    house.serve()
    first, second = house.knock(), house.knock()
    with pytest.raises(StoreError):
        unwraps(remote)
    first.close()
    second.close()
    remote.connect(5)
    assert unwraps(remote)


def test_workers_that_talk_at_once_get_their_own_answers(house: House) -> None:
    house.serve()
    materials = {number: secrets.token_bytes(32) for number in range(8)}
    wrong: list[int] = []

    def worker(number: int) -> None:
        remote = RemoteRoot(house.outer)
        place = material_place(str(number), bytes(32))
        wrapped = remote.wrap(materials[number], version=1, place=place)
        wrong.extend(number for _ in range(300) if remote.unwrap(wrapped, place=place) != materials[number])
        remote.close()

    threads = [threading.Thread(target=worker, args=(number,)) for number in materials]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_without_a_root_a_worker_waits_once_and_then_refuses_at_once(
    house: House, remote: RemoteRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(root_socket, "GRACE_S", 0.2)
    waits = []
    for _ in range(20):
        before = time.monotonic()
        with pytest.raises(StoreError) as raised:
            unwraps(remote)
        assert raised.value.retryable
        waits.append(time.monotonic() - before)
    assert waits[0] >= 0.2
    assert sum(waits[1:]) < 0.2
    house.serve()
    remote.connect(5)
    assert unwraps(remote)


def test_a_successor_lets_in_who_knocked_before_it_ran(house: House, remote: RemoteRoot) -> None:
    threading.Timer(0.05, house.serve).start()
    assert unwraps(remote), "within the grace"


def test_a_request_whose_root_dies_is_asked_of_its_successor(house: House, remote: RemoteRoot) -> None:
    def die_with_a_request_in_hand() -> None:
        end = house.knocked()
        end.sendall(b"h")
        end.recv(5000)
        house.serve()
        end.close()

    first = threading.Thread(target=die_with_a_request_in_hand)
    first.start()
    assert unwraps(remote)
    first.join()


def test_a_root_that_dies_as_it_lets_in_is_passed_over(house: House, remote: RemoteRoot) -> None:
    def die_at_the_door() -> None:
        house.knocked().close()
        house.serve()

    first = threading.Thread(target=die_at_the_door)
    first.start()
    assert unwraps(remote)
    first.join()


def test_an_answer_that_came_too_late_is_taken_for_no_other(
    house: House, remote: RemoteRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(root_socket, "TIMEOUT_S", 0.05)
    late: list[socket.socket] = []

    def welcome_and_keep_silent() -> None:
        late.append(house.knocked())
        late[0].sendall(b"h")

    slow = threading.Thread(target=welcome_and_keep_silent)
    slow.start()
    with pytest.raises(StoreError):
        remote.unwrap(Wrapped(1, b"first"), place=PLACE)
    slow.join()
    with suppress(OSError):
        late[0].sendall(b"+the first answer")
    late[0].close()
    house.serve()
    monkeypatch.setattr(root_socket, "TIMEOUT_S", 2)
    assert unwraps(remote)


def test_a_door_that_is_closed_is_an_infrastructure_error_and_may_be_tried_again() -> None:
    outer, inner = door()
    inner.close()
    remote = RemoteRoot(outer)
    with pytest.raises(StoreError) as raised:
        unwraps(remote)
    assert raised.value.retryable
    outer.close()


def test_a_root_that_cannot_read_its_document_says_so_and_lives(house: House, remote: RemoteRoot) -> None:
    def gone() -> Root:
        raise ConfigError("there is no store")

    house.root = Root(bytes(16), {1: secrets.token_bytes(32)}, 1, random=secrets.token_bytes)
    house.root.read_again = gone
    house.serve()
    with pytest.raises(StoreError) as raised:
        remote.unwrap(Wrapped(7, WRAPPED.sealed), place=PLACE)
    assert raised.value.retryable
    assert remote.current_version == 1


def test_nothing_that_is_shown_holds_a_key(remote: RemoteRoot) -> None:
    assert repr(remote) == "RemoteRoot()"

"""The process that holds the root: its order and answer, what it does to itself, and its keeper. Whole servers are in
tests/journeys/test_root_process.py."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3al.errors import ConfigError, IntegrityError, S3alError, StoreError
from s3al.kms.materials import material_place
from s3al.kms.seals.opening import SealChoice
from s3al.server import root_keeper
from s3al.server.logs import Log
from s3al.server.root_keeper import RootKeeper, restart_pause_s
from s3al.server.root_process import MOST_BYTES, Order, opened
from s3al.store.layout import create_folder
from support.processes import is_alive

PLACE = material_place("00000000-0000-4000-8000-000000000000", bytes(32))
LATER = 1e12  # a moment at which every pause is over
SAY_WHAT_IT_DID_TO_ITSELF = """
import ctypes, json, resource, sys
from s3al.server import root_process

def say(_inner, _root):
    dumpable = ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)
    print(json.dumps([dumpable, resource.getrlimit(resource.RLIMIT_CORE)]), flush=True)

root_process.serve_root = say
root_process.main(int(sys.argv[1]), int(sys.argv[2]))
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return create_folder(tmp_path / "data").path


@pytest.fixture
def seal(tmp_path: Path) -> SealChoice:
    return SealChoice(None, tmp_path / "config")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with (tmp_path / "log").open("wb") as file:
        yield Log(fd=file.fileno())


def logged(tmp_path: Path, event: str) -> int:
    return (tmp_path / "log").read_text().count(f'"{event}"')


@pytest.mark.parametrize("store_id", [None, bytes(range(16))])
@pytest.mark.parametrize("option", [None, "keyfile:/a place/with ünusual names"])
def test_an_order_arrives_as_it_was_given(store_id: bytes | None, option: str | None) -> None:
    order = Order(17, Path("/data"), SealChoice(option, Path("/home/.config")), store_id)
    assert Order.from_bytes(order.to_bytes()) == order
    assert len(order.to_bytes()) < MOST_BYTES


def test_the_answer_is_store_id_and_catalog_key() -> None:
    assert opened(b"+" + bytes(16) + b"c" * 32) == (bytes(16), b"c" * 32)


def test_an_answer_that_did_not_come_says_so() -> None:
    with pytest.raises(S3alError, match="ended before"):
        opened(b"")


@pytest.mark.parametrize("family", ["ConfigError", "IntegrityError", "StoreError", "S3alError"])
def test_a_failure_keeps_its_family_and_its_advice(family: str) -> None:
    with pytest.raises(S3alError, match="no good") as raised:
        opened(b'!["' + family.encode() + b'", "no good", "try another"]')
    assert type(raised.value).__name__ == family
    assert raised.value.advice == "try another"


def test_it_forbids_core_files_and_tracing_before_it_opens_the_seal(data: Path, seal: SealChoice) -> None:
    control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    outer, inner = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with control, theirs, outer, inner:
        numbers = (theirs.fileno(), inner.fileno())
        control.sendall(Order(os.getpid(), data, seal).to_bytes())
        done = subprocess.run(
            [sys.executable, "-c", SAY_WHAT_IT_DID_TO_ITSELF, *map(str, numbers)],
            pass_fds=numbers,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        assert done.stdout.strip() == "[0, [0, 0]]"


def test_it_makes_a_store_then_opens_the_same_one(data: Path, seal: SealChoice) -> None:
    found = []
    for _ in range(2):
        with RootKeeper() as keeper:
            keeper.begin(data, seal)
            found.append(keeper.opened())
    assert found[0] == found[1]
    assert (len(found[0][0]), len(found[0][1])) == (16, 32)


def test_what_one_process_wrapped_its_successor_opens(data: Path, seal: SealChoice, log: Log, tmp_path: Path) -> None:
    with RootKeeper() as keeper:
        keeper.begin(data, seal)
        keeper.opened()
        with contextlib.closing(keeper.connect()) as remote:
            wrapped = remote.wrap(b"m" * 32, version=1, place=PLACE)
        kill(keeper)
        keeper.tend(0, log)
        with contextlib.closing(keeper.connect()) as remote:
            assert remote.unwrap(wrapped, place=PLACE) == b"m" * 32
    assert logged(tmp_path, "root_process_died") == logged(tmp_path, "root_process_started") == 1


def test_a_successor_serves_no_other_store(data: Path, seal: SealChoice, log: Log, tmp_path: Path) -> None:
    with RootKeeper() as keeper:
        keeper.begin(data, seal)
        keeper.opened()
        (data / "store.json").unlink()
        with RootKeeper() as other:
            other.begin(data, seal)
            other.opened()
        kill(keeper)
        keeper.tend(0, log)
        process = keeper._process
        assert process is not None
        assert process.wait(20) == 1
        keeper.connect_s = 0.1
        with pytest.raises(StoreError):
            keeper.connect()


def test_a_seal_that_does_not_open_is_an_error_of_the_operator(data: Path, seal: SealChoice, tmp_path: Path) -> None:
    with RootKeeper() as keeper, pytest.raises(ConfigError, match="no keyfile") as raised:
        with RootKeeper() as first:
            first.begin(data, seal)
            first.opened()
        keeper.begin(data, SealChoice(f"keyfile:{tmp_path}/absent", seal.config_home))
        keeper.opened()
    assert raised.value.advice


def test_a_damaged_document_is_told_as_such_and_in_one_place(
    data: Path, seal: SealChoice, capfd: pytest.CaptureFixture[str]
) -> None:
    (data / "store.json").write_text('{"format": 1, "store_id": "no hex"}')
    for _ in range(10):
        with RootKeeper() as keeper, pytest.raises(IntegrityError):
            keeper.begin(data, seal)
            keeper.opened()
    assert capfd.readouterr().err == ""


def test_a_process_that_dies_instead_of_opening_is_told_as_such(data: Path, seal: SealChoice) -> None:
    with RootKeeper() as keeper:
        kill(keeper)
        keeper.begin(data, seal)
        with pytest.raises(S3alError, match="ended before"):
            keeper.opened()


def test_a_seal_that_does_not_open_in_time_is_told_as_such(data: Path, seal: SealChoice) -> None:
    with RootKeeper(open_s=0.1) as keeper:
        os.kill(pid_of(keeper), signal.SIGSTOP)
        keeper.begin(data, seal)
        with pytest.raises(S3alError, match="in time"):
            keeper.opened()
        os.kill(pid_of(keeper), signal.SIGCONT)


def test_a_stopped_process_is_ended_all_the_same(data: Path, seal: SealChoice) -> None:
    with RootKeeper(stop_s=0.1) as keeper:
        keeper.begin(data, seal)
        keeper.opened()
        pid = pid_of(keeper)
        os.kill(pid, signal.SIGSTOP)
    assert not is_alive(pid)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1])
def test_no_signal_but_sigkill_ends_it(data: Path, seal: SealChoice, number: signal.Signals) -> None:
    with RootKeeper() as keeper:
        os.kill(pid_of(keeper), number)  # from its first moment on
        keeper.begin(data, seal)
        keeper.opened()
        os.kill(pid_of(keeper), number)
        keeper.connect().close()


def test_pauses_between_starts_grow_to_a_limit() -> None:
    assert [restart_pause_s(failures, 5) for failures in (0, 1, 2, 3, 4, 50)] == [0, 0, 0.1, 0.2, 0.4, 5]


def test_a_process_that_keeps_dying_is_started_after_growing_pauses(
    data: Path, seal: SealChoice, log: Log, tmp_path: Path
) -> None:
    with RootKeeper() as keeper:
        keeper.begin(data, seal)
        keeper.opened()
        born, pauses = keeper._born, []
        for _ in range(4):
            kill(keeper)
            keeper.tend(born, log)
            pauses.append(round(keeper.due - born, 1) if keeper.due is not None else 0)
            keeper.tend(LATER, log)
            keeper._born = born
        assert pauses == [0, 0.1, 0.2, 0.4]
        kill(keeper)
        keeper.tend(born + 100, log)
        assert keeper.due is None, "after a long life it is started at once"


def no_process(*_: object, **__: object) -> None:
    raise BlockingIOError(11, "Too many processes")


def test_a_server_whose_root_cannot_be_started_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(root_keeper.subprocess, "Popen", no_process)
    with pytest.raises(S3alError, match="too many processes"), RootKeeper():
        pass


def test_a_start_that_fails_is_tried_again_and_harms_nobody(
    data: Path, seal: SealChoice, log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RootKeeper() as keeper:
        keeper.begin(data, seal)
        keeper.opened()
        kill(keeper)
        with monkeypatch.context() as context:
            context.setattr(root_keeper.subprocess, "Popen", no_process)
            keeper.tend(1000, log)
        assert keeper.due == 1000 + keeper.max_pause_s
        assert logged(tmp_path, "root_process_not_started") == 1
        keeper.tend(LATER, log)
        keeper.connect().close()


def test_a_worker_keeps_the_outer_end_of_the_door_alone() -> None:
    with RootKeeper() as keeper:
        held = (keeper._inner, keeper._control)
        pid = os.fork()
        if pid == 0:
            keeper.leave_to_worker()
            closed = all(end is not None and end.fileno() == -1 for end in held)
            os._exit(0 if closed and keeper._outer.fileno() >= 0 else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def pid_of(keeper: RootKeeper) -> int:
    assert keeper._process is not None
    return keeper._process.pid


def kill(keeper: RootKeeper) -> None:
    assert keeper._process is not None
    keeper._process.kill()
    keeper._process.wait(20)  # for all its threads

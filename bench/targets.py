"""The servers under load: s3al as a user starts it, and the bound; what their processes used.

What lives here: starting, stopping, and the kernel's accounting of a process tree. What does not: load, cases.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from load import Signer

ACCESS_KEY_ID = "S3ALBENCHROOTKEY0001"
SECRET = "s3al-bench-secret-not-for-any-real-use"
_TICKS = os.sysconf("SC_CLK_TCK")
_BOUND = Path(__file__).with_name("bound_server.py")


@dataclass(frozen=True, slots=True)
class Target:
    """A running server. pid: of its main process."""

    name: str
    pid: int
    signer: Signer = field(repr=False)

    @property
    def endpoint(self) -> str:
        return self.signer.endpoint

    def cpu_s(self) -> float:
        """User and system time of all its processes so far."""
        return sum(_cpu_s(pid) for pid in self.pids())

    def peak_bytes(self) -> int:
        """The highest resident size of any one process since the last `forget_peak`."""
        return max(_status_bytes(pid, "VmHWM") for pid in self.pids())

    def forget_peak(self) -> None:
        for pid in self.pids():
            with contextlib.suppress(OSError):
                Path(f"/proc/{pid}/clear_refs").write_text("5")

    def pids(self) -> list[int]:
        return [self.pid, *_descendants(self.pid)]


@contextlib.contextmanager
def s3al(
    folder: Path, workers: int, extra: Sequence[str] = (), *, program: Sequence[str] = ("-m", "s3al")
) -> Iterator[Target]:
    """`s3al serve` with plain HTTP on loopback and a log that goes to a file, as in use."""
    folder.mkdir(parents=True, exist_ok=True)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3AL_"))} | {
        "XDG_CONFIG_HOME": str(folder / "config"),
        "S3AL_ROOT_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "S3AL_ROOT_SECRET_ACCESS_KEY": SECRET,
    }
    command = [sys.executable, *program, "serve", "--json", "--data", str(folder / "data"),
               "--listen", "127.0.0.1:0", "--workers", str(workers), *extra]  # fmt: skip
    with (folder / "log.jsonl").open("ab") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, env=environ, start_new_session=True, text=True
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError((folder / "log.jsonl").read_text()[-1000:])
    with stopped(process):
        yield Target("s3al", process.pid, Signer(json.loads(line)["endpoint"], ACCESS_KEY_ID, SECRET))


@contextlib.contextmanager
def bound(folder: Path, workers: int) -> Iterator[Target]:
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = [sys.executable, str(_BOUND), "--folder", str(folder), "--workers", str(workers), "--port", str(port)]
    process = subprocess.Popen(command, start_new_session=True)
    with stopped(process):
        await_answer(f"http://127.0.0.1:{port}/head/0", process)
        yield Target("bound", process.pid, Signer(f"http://127.0.0.1:{port}", "none", "none"))


@contextlib.contextmanager
def stopped(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def await_answer(url: str, process: subprocess.Popen[bytes], within_s: float = 60) -> None:
    """Until any HTTP answer comes. Raises RuntimeError if none does."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the server does not answer")


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *_descendants(int(child))]
    return found


def _cpu_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _status_bytes(pid: int, name: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    found: Mapping[str, str] = dict(line.split(":", 1) for line in lines)
    return int(found.get(name, "0 kB").split()[0]) * 1024

"""The main process: it holds the socket and the store's lock, forks workers, and keeps them alive.

What lives here: listening, forking, waiting, respawning, stopping, rolling restarts. What does not: serving (`worker`),
the application (`app`), certificates (`tls`).

Laws
- The main process has one thread when it forks, and speaks to no client.
- Nothing secret passes through arguments or environment: a worker inherits memory by fork. The root is not in it: its
  process runs before the first worker and after the last (`root_keeper`), and is started again like a worker.
- A worker that dies is replaced, for ever; only if it dies young, after a growing pause. If a worker cannot start when
  the server does, the server does not start.
- SIGTERM and SIGINT: no new connections, requests of those there are may end within `stop_s`, then workers are killed;
  a second signal kills at once. SIGHUP replaces workers one by one, and no request fails (they read TLS files anew):
  each is told to end only once its successor serves.
- All signals are blocked and taken by `sigtimedwait`, so no handler ever runs between two lines.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn

from s3al.errors import ConfigError, S3alError
from s3al.server.asgi import AsgiApp
from s3al.server.hardening import die_with, forbid_dumps, name_process, raise_descriptor_limit
from s3al.server.logs import Log, capture_foreign_records
from s3al.server.metrics import WORKER_STARTS, Metrics
from s3al.server.root_keeper import RootKeeper, restart_pause_s
from s3al.server.tls import TlsPair
from s3al.server.worker import HttpSettings, serve_forever

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_STARTED = b"started"
_MAX_REPORT_BYTES = 4096
_LOOK_S = 0.05  # how often a replacement is asked whether it serves


@dataclass(frozen=True, slots=True)
class Supervision:
    """How workers are watched.

    workers: how many. stop_s: for requests in flight to end. start_s: for a worker to start when the server does.
    young_s: a worker that dies before this age has failed to start; pauses then double from 0.1 s up to `max_pause_s`.
    hourly_s: how often `Supervisor.hourly` runs.
    """

    workers: int = 1
    stop_s: float = 30
    start_s: float = 60
    young_s: float = 5
    max_pause_s: float = 5
    hourly_s: float = 3600


@dataclass(slots=True)
class _Slot:
    """The place of one worker: who stands there now, and when the next may. number: no two living workers have the
    same. old: whom the worker replaces, until that one has ended. report: where the replacement says that it serves."""

    number: int
    pid: int | None = None
    born: float = 0
    failures: int = 0
    spawn_at: float = 0
    kill_at: float | None = None
    old: _Slot | None = None
    report: int | None = None


@dataclass(slots=True)
class Supervisor:
    """Runs workers until told to stop.

    load: makes the application in a worker, given its slot (1..workers). tls: asked anew for each worker's start.
    hourly: returns True if the workers should be replaced, as when a certificate was renewed. root: entered and left
    by the caller.
    """

    listener: socket.socket
    load: Callable[[int], AsgiApp]
    log: Log
    metrics: Metrics
    tls: TlsPair | None = None
    supervision: Supervision = field(default_factory=Supervision)
    http: HttpSettings = field(default_factory=HttpSettings)
    hourly: Callable[[], bool] | None = None
    root: RootKeeper | None = None
    _slots: list[_Slot] = field(default_factory=list, init=False)
    _rolling: list[_Slot] = field(default_factory=list, init=False)
    _spare: int = field(default=0, init=False)
    _stopping: bool = field(default=False, init=False)
    _lifeline: tuple[int, int] = field(default=(-1, -1), init=False)

    def run(self, on_started: Callable[[], None]) -> None:
        """Start, call `on_started` once every worker serves, and return when all have ended.

        Raises the S3alError that kept a worker from starting.
        """
        forbid_dumps()
        raise_descriptor_limit()
        capture_foreign_records(self.log)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._lifeline = os.pipe()
        try:
            self._slots = [_Slot(number) for number in range(1, self.supervision.workers + 1)]
            self._spare = self.supervision.workers + 1
            self._start_all()
            on_started()
            self._watch()
        finally:
            self._kill_all()
            for descriptor in self._lifeline:
                os.close(descriptor)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _start_all(self) -> None:
        deadline = time.monotonic() + self.supervision.start_s
        reports = [self._spawn(slot) for slot in self._slots]
        for report in reports:
            with os.fdopen(report, "rb", buffering=0) as pipe:
                readable, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
                text = pipe.read(_MAX_REPORT_BYTES) if readable else b""
            if text != _STARTED:
                message, _, advice = text.decode(errors="replace").partition("\n")
                raise S3alError(message or "a worker could not start", advice=advice or "the log says more")

    def _watch(self) -> None:
        next_hour = time.monotonic() + self.supervision.hourly_s
        while not (self._stopping and all(slot.pid is None for slot in self._places())):
            self._act_on(self._wait(next_hour))
            self._reap()
            now = time.monotonic()
            if now >= next_hour:
                next_hour = now + self.supervision.hourly_s
                if self.hourly and self.hourly():
                    self._roll()
            if self.root:
                self.root.tend(now, self.log)
            for slot in self._slots:
                self._tend(slot, now)

    def _wait(self, next_hour: float) -> int | None:
        """The next signal, or None when something else is due."""
        due = [next_hour]
        due += [slot.spawn_at for slot in self._slots if slot.pid is None and not self._stopping]
        due += [slot.kill_at for slot in self._places() if slot.kill_at is not None]
        due += [time.monotonic() + _LOOK_S for slot in self._slots if slot.report is not None]
        due += [self.root.due] if self.root and self.root.due is not None else []
        info = signal.sigtimedwait(_SIGNALS, max(0.0, min(due) - time.monotonic()))
        return info.si_signo if info else None

    def _act_on(self, number: int | None) -> None:
        if number in (signal.SIGTERM, signal.SIGINT):
            if self._stopping:
                self._kill_all()
                return
            self._stopping = True
            self.log.event("stopping", signal=signal.Signals(number).name)
            # New connections are refused as soon as the workers have shut the door too (drain).
            self.listener.close()
            for slot in self._places():
                self._end(slot)
        elif number == signal.SIGHUP:
            self._roll()

    def _roll(self) -> None:
        self.log.event("replacing_workers")
        self._rolling = [slot for slot in self._slots if slot.pid is not None]
        self._roll_next()

    def _roll_next(self) -> None:
        """Make room for the successor of the next worker, if nobody is being replaced."""
        if not self._rolling or self._stopping or any(slot.old for slot in self._slots):
            return
        slot = self._rolling.pop(0)
        if slot.pid is None:  # it has died since, and its place is taken by a new one anyway
            self._roll_next()
            return
        slot.old = _Slot(slot.number, slot.pid, slot.born)
        slot.number, slot.pid, slot.spawn_at = self._spare, None, time.monotonic()

    def _places(self) -> list[_Slot]:
        """Those of workers, and of workers that are being replaced."""
        return [*self._slots, *(slot.old for slot in self._slots if slot.old)]

    def _end(self, slot: _Slot) -> None:
        if slot.pid is not None:
            os.kill(slot.pid, signal.SIGTERM)
            slot.kill_at = time.monotonic() + self.supervision.stop_s

    def _tend(self, slot: _Slot, now: float) -> None:
        if slot.pid is not None and slot.kill_at is not None and now >= slot.kill_at:
            self.log.event("worker_killed", level="warning", worker=slot.number, reason="did not end in time")
            os.kill(slot.pid, signal.SIGKILL)
            slot.kill_at = None
        if slot.pid is None and not self._stopping and now >= slot.spawn_at:
            self._forget_report(slot)
            slot.report = self._spawn(slot)
            if not slot.old:
                self._forget_report(slot)
        if slot.old:
            self._tend_old(slot, slot.old, now)

    def _tend_old(self, slot: _Slot, old: _Slot, now: float) -> None:
        """Tell the one who is replaced to end once the other serves; and go on with the next once it has ended."""
        if slot.report is not None and select.select([slot.report], [], [], 0)[0]:
            started = os.read(slot.report, _MAX_REPORT_BYTES) == _STARTED
            self._forget_report(slot)
            if started:  # else it ends by itself, and another is tried
                self._end(old)
        if old.pid is None:
            self._spare, slot.old = old.number, None
            self._forget_report(slot)
            self._roll_next()
        else:
            self._tend(old, now)

    def _forget_report(self, slot: _Slot) -> None:
        if slot.report is not None:
            os.close(slot.report)
            slot.report = None

    def _reap(self) -> None:
        for slot in self._places():
            if slot.pid is None:
                continue
            pid, status = os.waitpid(slot.pid, os.WNOHANG)
            if pid:
                self._buried(slot, status)

    def _buried(self, slot: _Slot, status: int) -> None:
        now = time.monotonic()
        expected = slot.kill_at is not None or self._stopping
        code = os.waitstatus_to_exitcode(status)
        if not expected:
            cause = signal.Signals(-code).name if code < 0 else f"exit {code}"
            self.log.event("worker_died", level="error", worker=slot.number, worker_pid=slot.pid, cause=cause)
        slot.failures = slot.failures + 1 if not expected and now - slot.born < self.supervision.young_s else 0
        pause = restart_pause_s(slot.failures, self.supervision.max_pause_s)
        slot.pid, slot.kill_at, slot.spawn_at = None, None, now + pause

    def _kill_all(self) -> None:
        for slot in self._places():
            if slot.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(slot.pid, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(slot.pid, 0)
                slot.pid = None

    def _spawn(self, slot: _Slot) -> int:
        """Fork a worker. Returns the read end of the pipe on which it says that it started, or why not."""
        report, report_in = os.pipe()
        supervisor_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            os.close(report)
            self._be_worker(slot.number, supervisor_pid, report_in)
        os.close(report_in)
        slot.pid, slot.born, slot.kill_at = pid, time.monotonic(), None
        self.metrics.add(WORKER_STARTS)
        return report

    def _be_worker(self, number: int, supervisor_pid: int, report: int) -> NoReturn:
        code = 1
        try:
            os.close(self._lifeline[1])
            if self.root:
                self.root.leave_to_worker()
            die_with(supervisor_pid, self._lifeline[0])
            name_process(f"s3al worker {number}")
            self.metrics.attach(number)
            serve_forever(
                self.listener,
                lambda: self.load(number),
                tls=self.tls,
                settings=self.http,
                ready=lambda: _report(report, _STARTED),
            )
            code = 0
        except S3alError as exc:
            self.log.failure("worker_failed", exc, worker=number)
            _report(report, f"{exc}\n{exc.advice}".encode())
        except BaseException as exc:  # noqa: BLE001 - the end of this process; nobody above could be told
            self.log.failure("worker_failed", exc, worker=number)
        finally:
            os._exit(code)


def listen(host: str, port: int, *, backlog: int = HttpSettings().backlog) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ConfigError in one line."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as exc:
        raise ConfigError(f"cannot listen on {host}: {exc.strerror}") from exc
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted sockets inherit it: small responses leave at once.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.bind(address)
        listener.listen(backlog)
        listener.setblocking(False)
    except OSError as exc:
        listener.close()
        busy = exc.errno == errno.EADDRINUSE
        raise ConfigError(
            f"cannot listen on {authority(host, port)}: {(exc.strerror or str(exc)).lower()}",
            advice="another process holds this port: choose one with --listen HOST:PORT" if busy else "",
        ) from exc
    return listener


def authority(host: str, port: int) -> str:
    """`host:port` as URLs write it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _report(descriptor: int, text: bytes) -> None:
    # Nobody reads it when the worker takes the place of one that died.
    with contextlib.suppress(BrokenPipeError):
        os.write(descriptor, text[:_MAX_REPORT_BYTES])
    os.close(descriptor)

"""The main process's side of the process that holds the root: starting it, starting it again, ending it.

What lives here: `RootKeeper`, and what of it a worker keeps. What does not: what runs there (root_process), what is
said at the door (kms.root_socket), workers (supervisor).

Laws
- It is started by exec before any worker and ended after the last. It learns where the seal is, and reads it itself:
  neither the main process nor a worker ever has the root or the seal's key.
- If it dies it is started again, for ever, as a worker is; not the whole server, since all that workers have opened
  goes on, and nothing is lost: what could not be wrapped was not written. A worker that is let in by the new one
  notices nothing else.
- It takes no signal but SIGKILL, for a service manager sends SIGTERM to all processes at once, and requests that are
  still being answered may need it.
- Of the door a worker keeps the outer end alone: the inner one would let it answer in the root's place.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from s3al.errors import S3alError, StoreError
from s3al.kms.root_socket import RemoteRoot, door
from s3al.kms.seals.opening import SealChoice
from s3al.server.logs import Log
from s3al.server.root_process import MOST_BYTES, Order, has_store, opened

_UNHEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def restart_pause_s(failures: int, longest_s: float) -> float:
    """Before another start. The first death of a young process costs no pause: most are kills from outside."""
    return 0.0 if failures < 2 else min(0.1 * 2 ** min(failures - 2, 10), longest_s)


@contextlib.contextmanager
def _terminal_as_it_was() -> Iterator[None]:
    """Ended in the middle of asking for a passphrase, the root's process leaves a terminal that shows nothing typed."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        settings = termios.tcgetattr(terminal)
        try:
            yield
        except BaseException:
            if os.tcgetpgrp(terminal) == os.getpgrp():
                termios.tcsetattr(terminal, termios.TCSADRAIN, settings)
            raise
    finally:
        os.close(terminal)


@dataclass(slots=True)
class RootKeeper:
    """To be entered before anything is served, and left after the last worker has ended.

    open_s: for the seal to open, unless a person is asked. connect_s: for a worker that starts to be let in. stop_s: to
    end. young_s, max_pause_s: as of workers. sealed_pause_s: at most, between two tries of a seal that cannot be
    reached at the start. while_sealed: entered meanwhile; None means that such a start fails.
    """

    open_s: float = 60
    connect_s: float = 20
    stop_s: float = 5
    young_s: float = 5
    max_pause_s: float = 5
    sealed_pause_s: float = 5
    while_sealed: Callable[[], AbstractContextManager[None]] | None = None
    _outer: socket.socket = field(init=False)
    _inner: socket.socket = field(init=False)
    _control: socket.socket | None = field(default=None, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _order: Order | None = field(default=None, init=False)
    _born: float = field(default=0, init=False)
    _failures: int = field(default=0, init=False)
    _spawn_at: float = field(default=0, init=False)

    def __enter__(self) -> Self:
        self._outer, self._inner = door()
        try:
            self._spawn()
        except OSError as error:
            self._stop()
            raise S3alError(
                f"the root's process cannot be started: {(error.strerror or str(error)).lower()}"
            ) from error
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._stop()

    def begin(self, data: Path, seal: SealChoice) -> None:
        """Have the store opened, or made if there is none; the caller holds its lock. Does not wait."""
        self._give(Order(os.getpid(), data, seal))

    def opened(self, log: Log | None = None) -> tuple[bytes, bytes]:
        """(store id, catalog key), after `begin`. Raises the S3alError that kept the store from being opened.

        While the seal of a store that exists cannot be reached, `while_sealed` answers, and it is tried again for ever.
        """
        try:
            with _terminal_as_it_was():
                return self._opened_once()
        except StoreError as error:
            if not (error.retryable and self.while_sealed and self._order and has_store(self._order.data)):
                raise
            reason = error
        log = log or Log()
        log.event("sealed", level="error", reason=str(reason))
        with self.while_sealed():
            found = self._opened_at_last(log)
        log.event("unsealed")
        return found

    def _opened_at_last(self, log: Log) -> tuple[bytes, bytes]:
        failures = 0
        while True:
            time.sleep(min(0.5 * 2 ** min(failures, 10), self.sealed_pause_s))
            failures += 1
            try:
                return self._again()
            except StoreError as error:
                if not error.retryable:
                    raise
                log.event("still_sealed", level="warning", reason=str(error))

    def _again(self) -> tuple[bytes, bytes]:
        """Have another process try what the last one could not."""
        assert self._order is not None
        if self._process is not None:
            self._process.kill()  # it has said why it failed, and has nothing else to do
            self._process.wait()
        self._spawn()
        self._give(self._order)
        return self._opened_once()

    def _opened_once(self) -> tuple[bytes, bytes]:
        assert self._control is not None
        assert self._order is not None
        self._control.settimeout(None if self._order.seal.may_ask else self.open_s)
        try:
            answer = self._control.recv(MOST_BYTES)
        except TimeoutError as error:
            raise S3alError("the seal did not open in time", advice="the log says more") from error
        except ConnectionError:
            answer = b""
        store_id, catalog_key = opened(answer)
        self._order = replace(self._order, store_id=store_id)
        return store_id, catalog_key

    def connect(self) -> RemoteRoot:
        """A connection for this process; a worker makes its own. Raises StoreError if nobody answers in time."""
        remote = RemoteRoot(self._outer)
        try:
            remote.connect(self.connect_s)
        except S3alError:
            remote.close()
            raise
        return remote

    def leave_to_worker(self) -> None:
        """Close, in a process that was just forked, all but the outer end of the door."""
        self._inner.close()
        if self._control is not None:
            self._control.close()

    @property
    def due(self) -> float | None:
        """When `tend` has something to do by itself (`time.monotonic`); a death is told by SIGCHLD."""
        return self._spawn_at if self._process is None else None

    def tend(self, now: float, log: Log) -> None:
        """Start another if it died. Never raises for the sake of the root: the server goes on."""
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return
            self._buried(code, now, log)
        if now >= self._spawn_at:
            try:
                self._spawn()
            except OSError as error:
                log.failure("root_process_not_started", error)
                self._spawn_at = now + self.max_pause_s
                return
            if self._order is not None:
                self._give(self._order)
            log.event("root_process_started", root_pid=self._process.pid if self._process else None)

    def _buried(self, code: int, now: float, log: Log) -> None:
        assert self._process is not None
        cause = signal.Signals(-code).name if code < 0 else f"exit {code}"
        log.event("root_process_died", level="error", root_pid=self._process.pid, cause=cause)
        self._failures = self._failures + 1 if now - self._born < self.young_s else 0
        self._spawn_at = now + restart_pause_s(self._failures, self.max_pause_s)
        self._process = None

    def _give(self, order: Order) -> None:
        assert self._control is not None
        self._order = order
        with contextlib.suppress(ConnectionError):  # it has ended, and whoever waits for it will see
            self._control.sendall(order.to_bytes())

    def _spawn(self) -> None:
        if self._control is not None:
            self._control.close()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        numbers = (theirs.fileno(), self._inner.fileno())
        # -P: nothing is imported from the folder in which the server happens to be started.
        command = [sys.executable, "-P", "-m", "s3al.server.root_process", *map(str, numbers)]
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _UNHEARD)  # which it inherits, and never unblocks
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=numbers
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            theirs.close()
        self._born = time.monotonic()

    def _stop(self) -> None:
        if self._control is not None:
            self._control.close()  # its lifeline
        if self._process is not None:
            try:
                self._process.wait(self.stop_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._outer.close()
        self._inner.close()

"""What every process of the server does to itself before it holds a secret.

What lives here: no core dumps, no tracing by others of the same user, dying with the supervisor, descriptors in order.
What does not: when (supervisor). Linux only; elsewhere the calls that do not exist are left out.

Laws: a secret in memory reaches no core file. A worker never outlives its supervisor: the kernel kills it when the
supervisor's thread ends (PR_SET_PDEATHSIG), and a thread that waits on a pipe held by the supervisor does the same if
the kernel could not (the signal is lost when credentials change).

Source: prctl(2), core(5).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_WANTED_DESCRIPTORS = 65536


def forbid_dumps() -> None:
    """No core files, and no reading of this process's memory by other processes of the user. Children inherit it."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _prctl(_PR_SET_DUMPABLE, 0)


def occupy_standard_descriptors() -> None:
    """/dev/null where 0, 1 or 2 are closed: else the next file opened gets the number that logs are written to."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one


def raise_descriptor_limit() -> None:
    """As many descriptors as the hard limit allows, within reason: each connection and each open blob takes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _WANTED_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def descriptor_limit() -> int:
    """How many this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _WANTED_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft


def name_process(name: str) -> None:
    """What `ps` and `top` show; at most 15 bytes."""
    _prctl(_PR_SET_NAME, name.encode()[:15])


def die_with(supervisor_pid: int, lifeline: int) -> None:
    """End this process when the supervisor ends. lifeline: read end of a pipe that only the supervisor can write."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor_pid:  # it ended before the line above
        os.kill(os.getpid(), signal.SIGKILL)
    threading.Thread(target=_wait_for_end, args=(lifeline,), name="lifeline", daemon=True).start()


def _wait_for_end(lifeline: int) -> None:
    while True:
        try:
            os.read(lifeline, 1)
        except InterruptedError:
            continue
        os.kill(os.getpid(), signal.SIGKILL)


def _prctl(option: int, argument: int | bytes) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, argument, 0, 0, 0)

"""Subprocesses of tests: finding children, killing, waiting with a deadline instead of sleeping blindly."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def children_of(pid: int) -> list[int]:
    """Process ids whose parent is `pid`, oldest first."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and _parent_of(int(entry.name)) == pid:
            found.append(int(entry.name))
    return sorted(found)


def is_alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return _stat_of(pid)[0] != "Z"
    except OSError:
        return False


def arguments_of(pid: int) -> list[str]:
    """The command line; empty if the process has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    os.kill(pid, number)


def eventually(what: str, look: Callable[[], T], *, within_s: float = 20) -> T:
    """The first true value of `look`; fails the test when there is none in time."""
    deadline = time.monotonic() + within_s
    while True:
        value = look()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what}")
        time.sleep(0.02)


def _parent_of(pid: int) -> int:
    try:
        return int(_stat_of(pid)[1])
    except OSError:
        return -1


def _stat_of(pid: int) -> list[str]:
    # The command's name stands in brackets and may hold anything.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()

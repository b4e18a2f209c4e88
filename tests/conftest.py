"""What all tests share: the table of suites and clients at the end of a run, and signals that mean what they say."""

from __future__ import annotations

import signal

import pytest

pytest_plugins = ["support.run_table"]


def pytest_configure(config: pytest.Config) -> None:
    """A shell makes its background jobs ignore these two, and every server that a test starts would inherit that."""
    if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)

"""A pytest plugin: one line a suite and a client, with ran, skipped and failed, before pytest's own last line.

A suite is the folder below `tests/` (for unit tests and journeys the one below that as well). A client is what the
marker `client("name")` says. Works under pytest-xdist, because only reports are counted.
"""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath
from typing import Any

import pytest

_DEEPER = ("unit", "journeys")
_CLIENT = "client"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for marker in item.iter_markers("client"):
            item.user_properties.append((_CLIENT, marker.args[0]))


class RunTable:
    """Counts outcomes by row."""

    def __init__(self) -> None:
        self.suites: dict[str, Counter[str]] = {}
        self.clients: dict[str, Counter[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        outcome = _outcome_of(report)
        if outcome is None:
            return
        self.suites.setdefault(_suite_of(report.nodeid), Counter())[outcome] += 1
        for name, value in report.user_properties:
            if name == _CLIENT:
                self.clients.setdefault(str(value), Counter())[outcome] += 1

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for title, rows in (("suite", self.suites), ("client", self.clients)):
            if rows:
                terminalreporter.write_line("")
                for line in table(title, rows):
                    terminalreporter.write_line(line)


def table(title: str, rows: dict[str, Counter[str]]) -> list[str]:
    """The lines of one table, columns aligned, with a total where there is more than one row."""
    shown = [(name, rows[name]) for name in sorted(rows)]
    if len(shown) > 1:
        shown.append(("all", sum((counts for _, counts in shown), Counter())))
    width = max(len(title), *(len(name) for name, _ in shown))
    lines = [f"{title:<{width}}  {'ran':>6}  {'skipped':>7}  {'failed':>6}"]
    for name, counts in shown:
        ran = counts["passed"] + counts["failed"]
        lines.append(f"{name:<{width}}  {ran:>6}  {counts['skipped']:>7}  {counts['failed']:>6}")
    return lines


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # the workers of xdist report to the process that draws the table
        config.pluginmanager.register(RunTable(), "s3al-run-table")


def _outcome_of(report: pytest.TestReport) -> str | None:
    if report.when == "call" or (report.when == "setup" and report.outcome == "skipped"):
        return report.outcome
    return "failed" if report.failed else None


def _suite_of(nodeid: str) -> str:
    folders = PurePosixPath(nodeid.partition("::")[0]).parts[1:-1]
    depth = 2 if folders and folders[0] in _DEEPER else 1
    return "/".join(folders[:depth]) or "tests"

"""The table of every test of a foreign suite: passes, differs, or not yet.

What lives here: reading and writing the table, and comparing it with a run. What does not: running (run).

Laws: a test stands in one place only; what differs or is not yet stands under its reason; a run that disagrees with
the table fails, also when a test passes that the table does not expect to.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PASSES, DIFFERS, NOT_YET = "passes", "differs", "not_yet"
SUMMARY = "## What the table says"
UNSORTED = "unsorted: nobody has looked at why"


@dataclass
class Table:
    """reasons: kind -> reason -> tests. sources: reason -> where AWS says so."""

    suite: str = ""
    commit: str = ""
    passes: set[str] = field(default_factory=set)
    reasons: dict[str, dict[str, set[str]]] = field(default_factory=lambda: {DIFFERS: {}, NOT_YET: {}})
    sources: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Table:
        table = cls()
        if not path.exists():
            return table
        document = tomllib.loads(path.read_text())
        table.suite, table.commit = document["suite"], document["commit"]
        table.passes = set(document.get(PASSES, ()))
        for kind in (DIFFERS, NOT_YET):
            for group in document.get(kind, ()):
                table.reasons[kind][group["reason"]] = set(group["tests"])
                if "source" in group:
                    table.sources[group["reason"]] = group["source"]
        table.check()
        return table

    def check(self) -> None:
        """Raises ValueError if a test stands in two places, or a difference names no source."""
        seen: set[str] = set()
        for tests in (self.passes, *(tests for kind in self.reasons.values() for tests in kind.values())):
            if twice := seen & tests:
                raise ValueError(f"in two places: {sorted(twice)[:5]}")
            seen |= tests
        for reason in self.reasons[DIFFERS]:
            if not self.sources.get(reason):
                raise ValueError(f"differs without a source: {reason}")

    def kind_of(self, test: str) -> str | None:
        if test in self.passes:
            return PASSES
        for kind, groups in self.reasons.items():
            if any(test in tests for tests in groups.values()):
                return kind
        return None

    def counts(self) -> dict[str, int]:
        return {PASSES: len(self.passes)} | {
            kind: sum(len(tests) for tests in groups.values()) for kind, groups in self.reasons.items()
        }

    def summary(self) -> list[str]:
        """Counts and what is behind those of `not_yet`, as a table of Markdown."""
        counts = self.counts()
        lines = ["| | tests |", "|---|---|", *(f"| {kind} | {count} |" for kind, count in counts.items())]
        lines.append(f"| together | {sum(counts.values())} |")
        lines += ["", "| not_yet, because | tests |", "|---|---|"]
        behind = sorted(self.reasons[NOT_YET].items(), key=lambda group: (-len(group[1]), group[0]))
        return lines + [f"| {reason} | {len(tests)} |" for reason, tests in behind]

    def record(self, outcomes: Mapping[str, bool]) -> None:
        """Move tests that pass to where they belong, and put unknown failures under UNSORTED."""
        for test, passed in outcomes.items():
            if passed:
                self._forget(test)
                self.passes.add(test)
            elif self.kind_of(test) in (None, PASSES):
                self._forget(test)
                self.reasons[NOT_YET].setdefault(UNSORTED, set()).add(test)

    def place(self, kind: str, reason: str, tests: Iterable[str], *, source: str = "") -> None:
        """Give tests a reason."""
        for test in tests:
            self._forget(test)
            self.reasons[kind].setdefault(reason, set()).add(test)
        if source:
            self.sources[reason] = source

    def _forget(self, test: str) -> None:
        self.passes.discard(test)
        for groups in self.reasons.values():
            for reason in list(groups):
                groups[reason].discard(test)
                if not groups[reason]:
                    del groups[reason]

    def write(self, path: Path) -> None:
        lines = [
            "# Every test of the suite below, as tests/conformance/run.py checks it. AWS's documentation is the judge.",
            "# Written by `run.py --record`; reasons are edited by hand.",
            "",
            f"suite = {_text(self.suite)}",
            f"commit = {_text(self.commit)}",
            "",
            *_list("passes", self.passes),
        ]
        for kind, groups in self.reasons.items():
            for reason in sorted(groups):
                lines += ["", f"[[{kind}]]", f"reason = {_text(reason)}"]
                if self.sources.get(reason):
                    lines.append(f"source = {_text(self.sources[reason])}")
                lines += _list("tests", groups[reason])
        path.write_text("\n".join(lines) + "\n")


def replace_summary(readme: str, table: Table) -> str:
    """`readme` with the table's summary after its heading, which is its last."""
    return "\n".join([readme.partition(SUMMARY)[0] + SUMMARY, "", *table.summary(), ""])


def disagreements(table: Table, outcomes: Mapping[str, bool]) -> list[str]:
    """What a run shows that the table does not say, one line each."""
    found = []
    for test, passed in sorted(outcomes.items()):
        kind = table.kind_of(test)
        if kind is None:
            found.append(f"not in the table: {test} ({'passes' if passed else 'fails'})")
        elif kind == PASSES and not passed:
            found.append(f"fails, and should pass: {test}")
        elif kind != PASSES and passed:
            found.append(f"passes, and is listed as {kind}: {test}")
    return found


def _list(name: str, tests: set[str]) -> list[str]:
    return [f"{name} = [", *(f"    {_text(test)}," for test in sorted(tests)), "]"]


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)

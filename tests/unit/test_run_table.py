"""The table at the end of a run."""

from __future__ import annotations

from collections import Counter

from support.run_table import table


def test_rows_are_sorted_aligned_and_summed():
    rows = {"journeys": Counter(passed=2, failed=1), "contract": Counter(passed=10, skipped=3)}
    assert table("suite", rows) == [
        "suite        ran  skipped  failed",
        "contract      10        3       0",
        "journeys       3        0       1",
        "all           13        3       1",
    ]


def test_one_row_has_no_total():
    assert table("client", {"rclone": Counter(skipped=1)}) == [
        "client     ran  skipped  failed",
        "rclone       0        1       0",
    ]

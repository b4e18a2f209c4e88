"""The table itself: whole, sorted, and compared with a run as it should be. The suite is not run here."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.table import DIFFERS, NOT_YET, UNSORTED, Table, disagreements, replace_summary

RECORDED = Path(__file__).with_name("s3-tests.toml")


def test_recorded_table_gives_every_test_one_place_and_every_difference_its_source():
    table = Table.read(RECORDED)
    assert len(table.commit) == 40
    assert sum(table.counts().values()) > 900
    assert UNSORTED not in table.reasons[NOT_YET]
    for kind in (DIFFERS, NOT_YET):
        assert all(reason and tests for reason, tests in table.reasons[kind].items())


def test_readme_sums_up_the_recorded_table():
    readme = RECORDED.with_name("README.md").read_text()
    assert readme == replace_summary(readme, Table.read(RECORDED))


def test_table_reads_back_as_written(tmp_path):
    table = Table("suite", "commit", {"a"})
    table.place(DIFFERS, 'says "no"', ["b", "c[x-1]"], source="https://docs.aws.amazon.com/")
    table.place(NOT_YET, "locks", ["d"])
    table.write(tmp_path / "table.toml")
    assert Table.read(tmp_path / "table.toml") == table


@pytest.mark.parametrize(
    "table",
    [
        Table(passes={"a"}, reasons={DIFFERS: {}, NOT_YET: {"why": {"a"}}}),
        Table(reasons={DIFFERS: {}, NOT_YET: {"why": {"a"}, "other": {"a"}}}),
        Table(reasons={DIFFERS: {"no source": {"a"}}, NOT_YET: {}}),
    ],
    ids=["passes and not yet", "two reasons", "no source"],
)
def test_table_that_contradicts_itself_is_refused(table):
    with pytest.raises(ValueError, match=r"two places|without a source"):
        table.check()


def test_run_that_disagrees_with_the_table_is_told_line_by_line():
    table = Table(passes={"a", "b"})
    table.place(NOT_YET, "why", ["c", "d"])
    assert disagreements(table, {"a": True, "b": False, "c": False, "d": True, "e": False}) == [
        "fails, and should pass: b",
        "passes, and is listed as not_yet: d",
        "not in the table: e (fails)",
    ]


def test_recording_moves_what_passes_and_sets_aside_what_is_unknown():
    table = Table(passes={"a"})
    table.place(NOT_YET, "why", ["b", "c"])
    table.record({"a": False, "b": True, "c": False, "d": False})
    assert table.passes == {"b"}
    assert table.reasons[NOT_YET] == {"why": {"c"}, UNSORTED: {"a", "d"}}

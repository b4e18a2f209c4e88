"""The reports: one document, as its schema says; SARIF; a page that needs nothing and runs nothing; a table."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser

import pytest
from rich.console import Console

from s3al.posture.page import page
from s3al.posture.report import Report
from s3al.posture.requirements import Unmet
from s3al.posture.rules import RULES, judge
from s3al.posture.sarif import sarif
from s3al.posture.table import show
from support.schemas import require_valid
from unit.posture.world import HOSTILE, posture, sound, troubled

UNMET = Unmet("objects.modes", "arn:aws:s3:::x", f"as {HOSTILE}")


@pytest.fixture(params=["sound", "troubled", "empty"])
def report(request) -> Report:
    given = {"sound": sound, "troubled": troubled, "empty": posture}[request.param]()
    return Report(given, judge(given), {"sound": [], "troubled": [UNMET], "empty": None}[request.param])


def test_the_document_is_what_its_schema_says(report):
    require_valid("posture", report.document())


def test_the_document_counts_what_was_found():
    given = troubled()
    document = Report(given, judge(given)).document()
    team = next(each for each in document["buckets"] if each["name"] == "team-share")
    assert team["objects"]["modes"] == {"sse-s3": 4415, "sse-kms": 2267, "sse-c": 1180}
    assert team["objects"]["client_side"] == 95
    ages = {each["material_id"]: (each["age_days"], each["current"]) for each in team["materials"]}
    assert ages == {"ledger-0": (700, False), "shared-0": (980, True), "retired-0": (1200, False)}
    assert sum(document["summary"].values()) == len(document["findings"])


def test_sarif_names_each_finding_by_rule_place_and_a_fingerprint_that_stays(report):
    told = sarif(report)
    (run,) = told["runs"]
    assert told["version"] == "2.1.0"
    assert [each["id"] for each in run["tool"]["driver"]["rules"]] == list(RULES)
    assert len(run["results"]) == len(report.findings)
    for result, finding in zip(run["results"], report.findings, strict=True):
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == finding.rule.rule_id == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == finding.hit.where
    prints = [json.dumps(each["partialFingerprints"]) for each in run["results"]]
    assert len(set(prints)) == len(prints)
    assert sarif(report)["runs"][0]["results"] == run["results"]


class Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[tuple[str, str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.names.add(tag)
        for name, value in attrs:
            assert not name.startswith("on"), f"<{tag} {name}> would run something"
            if name in ("src", "href", "srcset", "data", "action", "style"):
                self.links.append((tag, name, value or ""))


def test_the_page_runs_nothing_loads_nothing_and_shows_hostile_names_as_text(report):
    text = page(report)
    tags = Tags(text)
    assert not {"script", "iframe", "img", "link", "object", "embed", "form", "base"} & tags.names
    assert all(tag == "a" and value.startswith("https://docs.aws.amazon.com/") for tag, _, value in tags.links)
    assert "@import" not in text
    assert "url(" not in text
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "default-src 'none'" in text
    assert "prefers-color-scheme:dark" in text


def test_hostile_names_stand_on_the_page_escaped():
    text = page(Report(troubled(), judge(troubled()), [UNMET]))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;\\u202egnp.exe\\x1b[31m&quot;&#x27;&amp;" in text
    assert text.count("alert(1)") == text.count("&lt;script&gt;alert(1)&lt;/script&gt;")


def test_charts_say_in_words_what_they_show():
    text = page(Report(troubled(), judge(troubled())))
    told = re.findall(r'role="img" aria-label="([^"]*)"', text)
    assert "4,415 SSE-S3, 71,867 SSE-KMS, 12,850 DSSE-KMS, 1,180 SSE-C, 88 not encrypted, 2 not known" in told
    assert "to 30 days: 74,050, to 90: 0, to 180: 0, to a year: 8,400, older: 2,267" in told


def test_the_table_tells_everything_and_moves_no_cursor(report):
    out = io.StringIO()
    show(report, Console(file=out, width=160))
    text = out.getvalue()
    assert "\x1b" not in text
    assert "\u202e" not in text
    for finding in report.findings:
        assert finding.rule.rule_id in text
    assert ("not met: objects.modes" in text) is bool(report.unmet)

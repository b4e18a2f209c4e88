"""Findings as SARIF 2.1.0, as code-scanning services read it.

What lives here: `sarif`. What does not: the findings.

Laws: a finding's place is a logical location, as there is no file; its fingerprint is rule and place, so that the same
finding of the next run is recognised.

Source: OASIS, Static Analysis Results Interchange Format (SARIF) Version 2.1.0; GitHub, "SARIF support for code
scanning" (security-severity).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from s3al import __version__
from s3al.explain.shown import shown
from s3al.posture.facts import LONGEST_NAME
from s3al.posture.report import Report
from s3al.posture.rules import CRITICAL, HIGH, INFO, LOW, MEDIUM, RULES, Finding, Rule

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: Final[Mapping[str, str]] = {CRITICAL: "error", HIGH: "error", MEDIUM: "warning", LOW: "note", INFO: "note"}
_SCORES: Final[Mapping[str, str]] = {CRITICAL: "9.5", HIGH: "8.0", MEDIUM: "5.5", LOW: "3.0", INFO: "0.0"}


def sarif(report: Report) -> dict[str, Any]:
    order = list(RULES)
    driver = {
        "name": "s3al posture",
        "version": __version__,
        "informationUri": "https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html",
        "rules": [_rule(rule) for rule in RULES.values()],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": True,
                "startTimeUtc": report.posture.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        ],
        "results": [_result(each, order) for each in report.findings],
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.rule_id,
        "name": rule.rule_id.title().replace("-", ""),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": f"{rule.title}."},
        "help": {"text": f"{rule.fix} Source: {rule.source}"},
        "helpUri": rule.source,
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"security-severity": _SCORES[rule.severity], "tags": ["security", "encryption"]},
    }


def _result(finding: Finding, order: list[str]) -> dict[str, Any]:
    rule, hit = finding.rule, finding.hit
    said = f"{rule.title}. {shown(hit.where)}: {shown(hit.evidence)}"
    names = ", ".join(shown(name, most=LONGEST_NAME) for name in hit.examples)
    examples = f" For example: {names}." if names else ""
    fingerprint = hashlib.sha256(f"{rule.rule_id}\n{hit.where}\n{'' if hit.count else hit.evidence}".encode())
    return {
        "ruleId": rule.rule_id,
        "ruleIndex": order.index(rule.rule_id),
        "level": _LEVELS[rule.severity],
        "message": {"text": f"{said}.{examples}"},
        "locations": [
            {"logicalLocations": [{"fullyQualifiedName": shown(hit.where), "kind": "resource"}]}
        ],
        "partialFingerprints": {"ruleAndPlace/v1": fingerprint.hexdigest()},
        "properties": {"severity": rule.severity, "objects": hit.count, "fix": rule.fix},
    }

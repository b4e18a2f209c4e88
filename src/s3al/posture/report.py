"""A posture and what was found in it as one document: what `--json` gives, and what the pages are drawn from.

What lives here: `Report` and `document`. What does not: how it looks (table, page, sarif).

Law: docs/schemas/posture.json describes the document; object keys stand in it as they are stored, as JSON text.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from s3al.posture.facts import NONE, Bucket, KmsKey, Posture
from s3al.posture.requirements import Unmet
from s3al.posture.rules import SEVERITIES, Finding

FORMAT: Final = "s3al posture v1"


@dataclass(frozen=True, slots=True)
class Report:
    """unmet: None where nothing was required."""

    posture: Posture
    findings: list[Finding]
    unmet: list[Unmet] | None = None

    def severities(self) -> dict[str, int]:
        counts = Counter(each.rule.severity for each in self.findings)
        return {severity: counts[severity] for severity in SEVERITIES}

    def document(self) -> dict[str, Any]:
        posture = self.posture
        return {
            "format": FORMAT,
            "endpoint": posture.endpoint,
            "is_s3al": posture.is_s3al,
            "account_id": posture.account_id or None,
            "at": _when(posture.at),
            "seconds": round(posture.seconds, 3),
            "summary": self.severities(),
            "buckets": [_bucket(posture, bucket) for bucket in posture.buckets],
            "kms_keys": [_kms_key(posture, key) for key in posture.kms_keys],
            "findings": [_finding(each) for each in self.findings],
            "requirements": None if self.unmet is None else _requirements(self.unmet),
        }


def _bucket(posture: Posture, bucket: Bucket) -> dict[str, Any]:
    default = {"mode": bucket.default_mode, "kms_key": bucket.default_key or None, "bucket_key": bucket.bucket_key}
    objects = bucket.objects
    return {
        "name": bucket.name,
        "default_encryption": None if bucket.default_mode == NONE else default,
        "has_policy": bucket.policy is not None,
        "objects": {
            "how": objects.how,
            "listed": objects.listed,
            "looked_at": objects.looked_at,
            "modes": objects.modes(),
            "client_side": sum(count for under, count in objects.counts.items() if under.client_side),
        },
        "materials": materials_of(posture, bucket),
    }


def materials_of(posture: Posture, bucket: Bucket) -> list[dict[str, Any]]:
    """Objects under KMS keys by key and material."""
    found: Counter[tuple[str, str | None, datetime | None, bool | None]] = Counter()
    for under, count in bucket.objects.counts.items():
        if not under.kms_key:
            continue
        key = posture.kms_key(under.kms_key)
        material = key.material_of(under) if key else None
        name = material.material_id if material else under.material
        since, current = (material.since, material.current) if material else (None, None)
        found[key.arn if key else under.kms_key, name or None, since, current] += count
    return [
        {
            "kms_key": kms_key,
            "material_id": material_id,
            "since": _when(since),
            "age_days": posture.age_days(since),
            "current": current,
            "objects": count,
        }
        for (kms_key, material_id, since, current), count in found.items()
    ]


def _kms_key(posture: Posture, key: KmsKey) -> dict[str, Any]:
    return {
        "arn": key.arn,
        "manager": key.manager or None,
        "state": key.state or None,
        "origin": key.origin or None,
        "created": _when(key.created),
        "rotates": key.rotates,
        "rotation_days": key.rotation_days,
        "objects": sum(count for _, _, count in posture.users_of(key)),
        "materials": [
            {"material_id": each.material_id or None, "since": _when(each.since), "current": each.current}
            for each in key.materials
        ],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    rule, hit = finding.rule, finding.hit
    return {
        "id": rule.rule_id,
        "severity": rule.severity,
        "title": rule.title,
        "where": hit.where,
        "evidence": hit.evidence,
        "objects": hit.count,
        "examples": list(hit.examples),
        "fix": rule.fix,
        "source": rule.source,
    }


def _requirements(unmet: list[Unmet]) -> dict[str, Any]:
    lines = [{"requirement": each.requirement, "where": each.where, "evidence": each.evidence} for each in unmet]
    return {"met": not unmet, "unmet": lines}


def _when(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat(timespec="seconds")

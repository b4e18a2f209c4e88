"""A report in a terminal, drawn with rich.

What lives here: `show`. What does not: what is in it (report).

Law: every name of somebody else's goes through `shown` and is never read as markup.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from s3al.explain.shown import shown
from s3al.posture.facts import LONGEST_NAME, NONE
from s3al.posture.report import Report
from s3al.posture.rules import CRITICAL, HIGH, INFO, LOW, MEDIUM

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_STYLES: Final[Mapping[str, str]] = {
    CRITICAL: "bold white on red", HIGH: "bold red", MEDIUM: "yellow", LOW: "cyan", INFO: "dim",
}  # fmt: skip


def show(report: Report, console: Console) -> None:
    from rich.text import Text

    posture = report.posture
    kind = "s3al" if posture.is_s3al else "S3"
    console.print(Text(f"{kind} at {posture.endpoint}, {len(posture.buckets)} buckets, {posture.seconds:.1f} s\n"))
    console.print(_buckets(report))
    if posture.kms_keys:
        console.print(_kms_keys(report))
    if report.findings:
        console.print(_findings(report))
    counts = ", ".join(f"{count} {severity}" for severity, count in report.severities().items() if count)
    console.print(Text(f"{len(report.findings)} findings{': ' + counts if counts else ''}"))
    for each in report.unmet or ():
        line = f"not met: {each.requirement} on {shown(each.where)}: {shown(each.evidence)}"
        console.print(Text(line, style="bold red"))
    if report.unmet == []:
        console.print(Text("all requirements are met", style="green"))


def _buckets(report: Report) -> Table:
    from rich.text import Text

    table = _table("bucket", "default", "objects by mode", "looked at")
    for bucket in report.posture.buckets:
        modes = "\n".join(f"{count:,} {mode}" for mode, count in bucket.objects.modes().items()) or "-"
        default = bucket.default_mode if bucket.default_mode != NONE else "none"
        seen = f"{bucket.objects.looked_at:,} of {bucket.objects.listed:,} ({bucket.objects.how})"
        table.add_row(*(Text(cell) for cell in (shown(bucket.name), default, modes, seen)))
    return table


def _kms_keys(report: Report) -> Table:
    from rich.text import Text

    table = _table("KMS key", "state", "rotation", "objects", "materials", "newest, days")
    posture = report.posture
    for key in posture.kms_keys:
        rotation = {True: f"every {key.rotation_days} days", False: "off", None: "-"}[key.rotates]
        newest = max((each.since for each in key.materials if each.since), default=None)
        objects = sum(count for _, _, count in posture.users_of(key))
        cells = (
            shown(key.arn), key.state or "-", rotation, f"{objects:,}", str(len(key.materials) or "-"),
            str(posture.age_days(newest) if newest else "-"),
        )  # fmt: skip
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _findings(report: Report) -> Table:
    from rich.text import Text

    table = _table("severity", "finding")
    for finding in report.findings:
        rule, hit = finding.rule, finding.hit
        said = Text(f"{rule.title} ", style="bold").append(f"{rule.rule_id}\n", style="dim")
        said.append(f"{shown(hit.where)}\n{shown(hit.evidence)}\n", style="not bold")
        if hit.examples:
            names = ", ".join(shown(name, most=LONGEST_NAME) for name in hit.examples)
            said.append(f"as {names}\n", style="not bold dim")
        said.append(f"-> {rule.fix}", style="not bold green")
        table.add_row(Text(rule.severity, style=_STYLES[rule.severity]), said)
    return table


def _table(*heads: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_lines=heads[0] == "severity", pad_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold")
    return table

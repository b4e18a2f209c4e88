"""A report as one page of HTML that needs nothing else: style and charts are in it, scripts are not.

What lives here: `page`. What does not: what is in it (report), drawing (charts), the style sheet (page.css).

Laws: every text of somebody else's goes through `markup`, which escapes; the page's own policy forbids scripts and
whatever lies elsewhere, so that a name that got through would still do nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import resources
from typing import Any, Final

from s3al.explain.shown import markup
from s3al.posture.charts import Mark, Share, bar, columns, ring, timeline
from s3al.posture.facts import LONGEST_NAME, NONE, Bucket, KmsKey, Posture
from s3al.posture.report import Report, materials_of
from s3al.posture.rules import Finding

_NAMES: Final = {
    "sse-s3": "SSE-S3", "sse-kms": "SSE-KMS", "dsse-kms": "DSSE-KMS", "sse-c": "SSE-C", "none": "not encrypted",
    "unknown": "not known",
}  # fmt: skip
_SHOWN_UNMET: Final = 6
# Days up to which a material counts to a column.
_AGES: Final = ((30, "to 30 days"), (90, "to 90"), (180, "to 180"), (365, "to a year"), (None, "older"))


def page(report: Report) -> str:
    posture = report.posture
    style = resources.files("s3al.posture").joinpath("page.css").read_text("utf-8")
    sections = [
        _head(report),
        _tiles(report),
        _charts(posture),
        _buckets(report),
        _kms_keys(posture),
        _findings(report.findings),
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; style-src \'unsafe-inline\'">'
        '<meta name="color-scheme" content="light dark"><meta name="referrer" content="no-referrer">'
        f"<title>Encryption posture of {markup(posture.endpoint)}</title><style>{style}</style></head>"
        f"<body><main>{''.join(sections)}</main></body></html>\n"
    )


def _head(report: Report) -> str:
    posture = report.posture
    objects = sum(bucket.objects.looked_at for bucket in posture.buckets)
    facts = [
        f"{_many(len(posture.buckets), 'bucket')}, {_many(objects, 'object')} looked at",
        posture.at.astimezone(UTC).strftime("%d %B %Y, %H:%M UTC"),
        f"account {posture.account_id}" if posture.account_id else "",
    ]
    said = " <i>/</i> ".join(markup(fact) for fact in facts if fact)
    return (
        f'<header><p class="over">s3al posture</p><h1>{markup(posture.endpoint)}</h1><p class="facts">{said}</p>'
        f"{_verdict(report)}</header>"
    )


def _verdict(report: Report) -> str:
    if report.unmet is None:
        return ""
    if not report.unmet:
        return '<p class="verdict met">All requirements are met.</p>'
    lines = "".join(
        f"<li><code>{markup(each.requirement)}</code> on <code>{markup(each.where)}</code>: "
        f"{markup(each.evidence)}</li>"
        for each in report.unmet
    )
    many = f"{_many(len(report.unmet), 'requirement')} not met"
    opened = " open" if len(report.unmet) <= _SHOWN_UNMET else ""
    return f'<details class="verdict unmet"{opened}><summary>{markup(many)}</summary><ul>{lines}</ul></details>'


def _tiles(report: Report) -> str:
    tiles = "".join(
        f'<div class="tile {severity}{"" if count else " zero"}"><b>{count:,}</b><span>{severity}</span></div>'
        for severity, count in report.severities().items()
    )
    return f'<section class="tiles" aria-label="Findings by severity">{tiles}</section>'


def _charts(posture: Posture) -> str:
    shares = _shares(posture.buckets)
    total = sum(share.value for share in shares)
    legend = "".join(
        f'<li><i class="dot {share.look}"></i><span>{markup(share.name)}</span><b>{share.value:,}</b>'
        f"<em>{markup(_percent(share.value, total))}</em></li>"
        for share in shares
    )
    drawn = ring(shares, centre=_short(total), below="objects" if total != 1 else "object")
    modes = '<div class="card"><h2>Objects by mode</h2>'
    modes += f'<div class="split">{drawn}<ul class="legend">{legend}</ul></div>'
    client_side = sum(
        count for bucket in posture.buckets for under, count in bucket.objects.counts.items() if under.client_side
    )
    if client_side:
        modes += f'<p class="note">{_many(client_side, "object")} came already encrypted by a client.</p>'
    return f'<section class="pair">{modes}</div>{_ages(posture)}</section>'


def _ages(posture: Posture) -> str:
    counts = dict.fromkeys((name for _, name in _AGES), 0)
    unknown = 0
    for bucket in posture.buckets:
        for each in materials_of(posture, bucket):
            if each["age_days"] is None:
                unknown += each["objects"]
                continue
            name = next(name for most, name in _AGES if most is None or each["age_days"] <= most)
            counts[name] += each["objects"]
    looks = ("age-0", "age-1", "age-2", "age-3", "age-4")
    shares = [Share(name, count, look) for (name, count), look in zip(counts.items(), looks, strict=True)]
    if unknown:
        shares.append(Share("not known", unknown, "mode-unknown"))
    if any(share.value for share in shares):
        drawn = columns(shares)
    else:
        drawn = '<p class="note">No object looked at is under a KMS key.</p>'
    return f'<div class="card"><h2>Objects by age of their key material</h2>{drawn}</div>'


def _buckets(report: Report) -> str:
    rows = "".join(_bucket_row(report, bucket) for bucket in report.posture.buckets)
    heads = "<th>Bucket<th>Default encryption<th>Modes<th class=number>Objects<th class=number>Findings"
    return (
        f'<section class="card"><h2>Buckets</h2><div class="wide"><table><thead><tr>{heads}</thead>'
        f"<tbody>{rows}</tbody></table></div></section>"
    )


def _bucket_row(report: Report, bucket: Bucket) -> str:
    key = report.posture.kms_key(bucket.default_key)
    under = f"<small>{markup(_tail(key.arn if key else bucket.default_key))}</small>" if bucket.default_key else ""
    default = markup(_NAMES[bucket.default_mode]) if bucket.default_mode != NONE else '<b class="absent">none</b>'
    seen = f"{bucket.objects.looked_at:,}"
    if bucket.objects.looked_at < bucket.objects.listed:
        seen += f"<small>of {bucket.objects.listed:,}</small>"
    own = [each for each in report.findings if each.hit.where == bucket.arn]
    worst = f'<span class="chip {own[0].rule.severity}">{len(own)}</span>' if own else "0"
    return (
        f"<tr><td><b>{markup(bucket.name)}</b><td>{default}{under}"
        f"<td>{bar(_shares([bucket]))}<td class=number>{seen}<td class=number>{worst}"
    )


def _kms_keys(posture: Posture) -> str:
    if not posture.kms_keys:
        return ""
    dates = [each.since for key in posture.kms_keys for each in key.materials if each.since]
    begin = min(dates, default=posture.at)
    used: Counter[tuple[str, str | None]] = Counter()
    for bucket in posture.buckets:
        for each in materials_of(posture, bucket):
            used[each["kms_key"], each["since"]] += each["objects"]
    cards = "".join(_kms_key(posture, key, begin, used) for key in posture.kms_keys)
    return f'<section class="card"><h2>KMS keys and their materials</h2>{cards}</section>'


def _kms_key(posture: Posture, key: KmsKey, begin: datetime, used: Mapping[tuple[str, str | None], int]) -> str:
    objects = sum(count for _, _, count in posture.users_of(key))
    rotation = {True: f"rotates every {key.rotation_days} days", False: "does not rotate by itself", None: ""}
    managed = "managed by the service" if key.manager == "AWS" else ""
    facts = [key.state or "state not known", rotation[key.rotates], managed, _many(objects, "object")]
    said = " <i>/</i> ".join(markup(fact) for fact in facts if fact)
    marks = list(_marks(posture, key, begin, used))
    line = timeline(marks, begins=begin.strftime("%Y-%m-%d"), ends="now") if marks else ""
    return f'<div class="key"><p><code>{markup(key.arn)}</code></p><p class="facts">{said}</p>{line}</div>'


def _marks(
    posture: Posture, key: KmsKey, begin: datetime, used: Mapping[tuple[str, str | None], int]
) -> Iterable[Mark]:
    """A mark for each material, as large as its share of the key's objects. used: (key, since) -> objects."""
    whole = (posture.at - begin).total_seconds() or 1.0
    total = sum(count for _, _, count in posture.users_of(key)) or 1
    for material in key.materials:
        if material.since is None:
            continue
        count = used.get((key.arn, material.since.isoformat(timespec="seconds")), 0)
        name = f"{material.since:%Y-%m-%d}: {_many(count, 'object')}{', current' if material.current else ''}"
        at = min(max((material.since - begin).total_seconds() / whole, 0.0), 1.0)
        yield Mark(at, count / total, "mark current" if material.current else "mark", name)


def _findings(findings: Sequence[Finding]) -> str:
    if not findings:
        return '<section class="card"><h2>Findings</h2><p class="note">None.</p></section>'
    return f'<section class="card"><h2>Findings</h2>{"".join(map(_finding, findings))}</section>'


def _finding(finding: Finding) -> str:
    rule, hit = finding.rule, finding.hit
    examples = ""
    if hit.examples:
        names = "".join(f"<li><code>{markup(name, most=LONGEST_NAME)}</code></li>" for name in hit.examples)
        examples = f'<ul class="examples">{names}</ul>'
    return (
        f'<details class="finding {rule.severity}"><summary><span class="chip {rule.severity}">{rule.severity}</span>'
        f"<span><b>{markup(rule.title)}</b><small>{markup(hit.where)}</small></span></summary>"
        f'<div><p>{markup(hit.evidence)}</p>{examples}<p class="fix">{markup(rule.fix)}</p>'
        f'<p class="source"><code>{rule.rule_id}</code> <a href="{markup(rule.source)}">{markup(rule.source)}</a></p>'
        "</div></details>"
    )


def _shares(buckets: Iterable[Bucket]) -> list[Share]:
    counts: dict[str, Any] = dict.fromkeys(_NAMES, 0)
    for bucket in buckets:
        for mode, count in bucket.objects.modes().items():
            counts[mode] += count
    return [Share(_NAMES[mode], count, f"mode-{mode}") for mode, count in counts.items() if count]


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _percent(part: int, whole: int) -> str:
    share = part / whole * 100
    return "< 1 %" if 0 < share < 1 else f"{share:.0f} %"


def _short(count: int) -> str:
    """At most four figures, for the middle of a ring."""
    for size, letter in ((10**9, "G"), (10**6, "M"), (10**4, "k")):
        if count >= size:
            unit = size if letter != "k" else 1000
            return f"{count / unit:.1f}".rstrip("0").rstrip(".") + letter
    return f"{count:,}"


def _tail(arn: str) -> str:
    return arn.rpartition("/")[2]

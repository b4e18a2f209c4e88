"""Charts as inline SVG: a ring of shares, a bar of shares, columns, and a line of time.

What lives here: drawing. What does not: what is drawn (page), colours (the page's style sheet, by class).

Laws: no script, no reference to anything outside; each chart says in words what it shows, for those who do not see it;
texts are escaped here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from s3al.explain.shown import markup

_GAP: Final = 0.012  # of a ring, in turns, so that neighbours of one hue stay apart


@dataclass(frozen=True, slots=True)
class Share:
    """look: class of the style sheet that fills it."""

    name: str
    value: int
    look: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment on a line of time. at: 0 to 1. weight: 0 to 1, how large it is drawn."""

    at: float
    weight: float
    look: str
    name: str


def ring(shares: Sequence[Share], *, centre: str, below: str) -> str:
    total = sum(share.value for share in shares)
    said = ", ".join(f"{share.value:,} {share.name}" for share in shares) or "nothing"
    parts = [f'<svg class="ring" viewBox="0 0 200 200" role="img" aria-label="{markup(said)}">']
    parts.append('<circle class="track" cx="100" cy="100" r="78"/>')
    start = 0.0
    for share in shares:
        turn = share.value / total
        parts.append(_arc(start, turn, len(shares) > 1, share))
        start += turn
    parts.append(f'<text class="figure" x="100" y="104">{markup(centre)}</text>')
    parts.append(f'<text class="caption" x="100" y="126">{markup(below)}</text></svg>')
    return "".join(parts)


def _arc(start: float, turn: float, has_neighbours: bool, share: Share) -> str:
    around = 2 * math.pi * 78
    drawn = max(turn - _GAP, 0.004) if has_neighbours else turn
    title = f"<title>{markup(share.name)}: {share.value:,}</title>"
    return (
        f'<circle class="arc {share.look}" cx="100" cy="100" r="78" '
        f'stroke-dasharray="{drawn * around:.2f} {around:.2f}" '
        f'transform="rotate({start * 360 - 90:.2f} 100 100)">{title}</circle>'
    )


def bar(shares: Sequence[Share]) -> str:
    """Shares of one whole, side by side, 200 by 10."""
    total = sum(share.value for share in shares)
    said = ", ".join(f"{share.value:,} {share.name}" for share in shares) or "no objects"
    shape = 'class="bar" viewBox="0 0 200 10" preserveAspectRatio="none"'
    parts = [f'<svg {shape} role="img" aria-label="{markup(said)}">']
    parts.append('<rect class="track" width="200" height="10"/>')
    left = 0.0
    for share in shares:
        width = max(share.value / total * 200, 1.5)
        parts.append(f'<rect class="{share.look}" x="{left:.2f}" width="{width:.2f}" height="10">')
        parts.append(f"<title>{markup(share.name)}: {share.value:,}</title></rect>")
        left += width
    return "".join([*parts, "</svg>"])


def columns(shares: Sequence[Share]) -> str:
    """One column each, with its value above and its name below."""
    most = max((share.value for share in shares), default=0) or 1
    step = 440 / max(len(shares), 1)
    said = ", ".join(f"{share.name}: {share.value:,}" for share in shares)
    parts = [f'<svg class="columns" viewBox="0 0 440 200" role="img" aria-label="{markup(said)}">']
    parts.append('<line class="axis" x1="0" y1="166" x2="440" y2="166"/>')
    for number, share in enumerate(shares):
        height = share.value / most * 132
        middle = step * (number + 0.5)
        if share.value:
            shown = max(height, 3)
            parts.append(
                f'<rect class="{share.look}" x="{middle - step * 0.3:.1f}" y="{166 - shown:.1f}" '
                f'width="{step * 0.6:.1f}" height="{shown:.1f}" rx="3"/>'
            )
            parts.append(f'<text class="value" x="{middle:.1f}" y="{158 - shown:.1f}">{share.value:,}</text>')
        parts.append(f'<text class="caption" x="{middle:.1f}" y="186">{markup(share.name)}</text>')
    return "".join([*parts, "</svg>"])


def timeline(marks: Sequence[Mark], *, begins: str, ends: str) -> str:
    said = "; ".join(mark.name for mark in marks) or "nothing known"
    parts = [f'<svg class="timeline" viewBox="0 0 980 46" role="img" aria-label="{markup(said)}">']
    parts.append('<line class="axis" x1="14" y1="16" x2="966" y2="16"/>')
    for mark in marks:
        radius = 4.5 + 6.5 * math.sqrt(mark.weight)
        parts.append(f'<circle class="{mark.look}" cx="{14 + 952 * mark.at:.1f}" cy="16" r="{radius:.1f}">')
        parts.append(f"<title>{markup(mark.name)}</title></circle>")
    parts.append(f'<text class="begins" x="14" y="43">{markup(begins)}</text>')
    parts.append(f'<text class="ends" x="966" y="43">{markup(ends)}</text></svg>')
    return "".join(parts)

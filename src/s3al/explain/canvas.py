"""SVG, a little of it: boxes, lines, text that is wrapped to a width, in colours that read on light and on dark paper.

What lives here: `Canvas`, its palette and its letters' widths. What does not: what is drawn (pictures).

Laws: a picture is self-contained: no script, no link, no font of its own; each text passes through `markup` here and
nowhere else, so that no name can become an element.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Final

from s3al.explain.shown import markup, shown

# Hue -> (fill, edge, text) on light paper, and on dark.
PALETTE: Final = {
    "bytes": (("#eef2f6", "#9aa5b1", "#39434f"), ("#27303b", "#66727f", "#d4dbe3")),
    "client": (("#e3f4e8", "#3f9a5c", "#1d5e34"), ("#16321f", "#4fae6e", "#a9dfba")),
    "data": (("#e4effc", "#3b7dd8", "#1d4a8c"), ("#15294a", "#5b97e6", "#b3d0f7")),
    "outer": (("#e2f5f4", "#2a9d97", "#135f5b"), ("#0f3331", "#3fb5ae", "#a5dfdb")),
    "kms": (("#fdf1dc", "#cf8a1c", "#7b4e08"), ("#3d2b0d", "#dd9f3c", "#f3d29b")),
    "service": (("#e2f5f4", "#2a9d97", "#135f5b"), ("#0f3331", "#3fb5ae", "#a5dfdb")),
    "customer": (("#fae6f3", "#b8519a", "#7a2863"), ("#3b1831", "#cd70b1", "#efbfe0")),
    "root": (("#ece8fb", "#7559c9", "#43308a"), ("#261d47", "#937be0", "#cfc3f5")),
    "seal": (("#3b4350", "#3b4350", "#ffffff"), ("#c7cfda", "#c7cfda", "#1c232c")),
    "safe": (("#e1f3e6", "#3f9a5c", "#1d5e34"), ("#16321f", "#4fae6e", "#a9dfba")),
    "partly": (("#fdf1dc", "#cf8a1c", "#7b4e08"), ("#3d2b0d", "#dd9f3c", "#f3d29b")),
    "open": (("#fbe3e1", "#cf3f36", "#84201a"), ("#431a17", "#e0655c", "#f6beb9")),
    "faded": (("#f4f6f8", "#c6cdd5", "#6b7683"), ("#20272f", "#47525e", "#98a4b1")),
}
_PAPER: Final = ("#ffffff", "#12171d")
_INK: Final = ("#1f2933", "#e6ebf0")
_MUTED: Final = ("#64707d", "#9ba7b4")
_FONTS: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_GLYPH: Final = {9: 5.0, 10: 5.5, 11: 6.0, 12: 6.6, 13: 7.2, 15: 8.3, 19: 10.4}  # mean width by size, in px


class Canvas:
    """Grows downwards as it is drawn on. All measures are px."""

    def __init__(self, width: float, title: str, summary: str) -> None:
        self.width = width
        self.bottom = 0.0
        self._title, self._summary = title, summary
        self._drawn: list[str] = []

    def box(self, x: float, y: float, w: float, h: float, *, hue: str, radius: float = 8, dashed: bool = False) -> None:
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self._drawn.append(
            f'<rect class="{hue}" x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="{radius:g}"{dash}/>'
        )
        self.bottom = max(self.bottom, y + h)

    def text(
        self, x: float, y: float, text: str, *, size: int = 11, hue: str = "ink", bold: bool = False,
        anchor: str = "start", most: float | None = None,
    ) -> None:  # fmt: skip
        """One line with its base at y. most: px, beyond which it is cut in its middle."""
        weight = ' font-weight="600"' if bold else ""
        place = "" if anchor == "start" else f' text-anchor="{anchor}"'
        kept = markup(text, most=None if most is None else max(4, int(most / _GLYPH[size])))
        name = "ink" if hue == "ink" else "muted" if hue == "muted" else f"t-{hue}"
        self._drawn.append(f'<text class="{name}" x="{x:g}" y="{y:g}" font-size="{size}"{weight}{place}>{kept}</text>')
        self.bottom = max(self.bottom, y + 4)

    def line(self, points: Sequence[tuple[float, float]], *, hue: str = "muted", arrow: bool = False,
             dashed: bool = False) -> None:  # fmt: skip
        path = "M" + " L".join(f"{x:g} {y:g}" for x, y in points)
        self._path(path, hue, arrow=arrow, dashed=dashed)

    def lead(
        self, start: tuple[float, float], end: tuple[float, float], *, over: tuple[float, float] | None, hue: str
    ) -> None:
        """A dashed lead from a layer to its key. over: None leads into the key's left side, level at both ends; else
        where it turns upwards (x), and the height (y) at which it passes over what lies between, to come down on the
        key's top."""
        (x1, y1), (x2, y2) = start, end
        if over is None:
            middle = (x1 + x2) / 2
            path = f"M{x1:g} {y1:g} C{middle:g} {y1:g} {middle:g} {y2:g} {x2:g} {y2:g}"
        else:
            turn, top = over
            path = (
                f"M{x1:g} {y1:g} H{turn - 8:g} Q{turn:g} {y1:g} {turn:g} {y1 - 8:g} V{top + 8:g}"
                f" Q{turn:g} {top:g} {turn + 8:g} {top:g} H{x2 - 8:g} Q{x2:g} {top:g} {x2:g} {top + 8:g} V{y2:g}"
            )
        self._path(path, hue, arrow=False, dashed=True)

    def _path(self, path: str, hue: str, *, arrow: bool, dashed: bool) -> None:
        end = ' marker-end="url(#arrow)"' if arrow else ""
        dash = ' stroke-dasharray="4 3"' if dashed else ""
        self._drawn.append(f'<path class="l-{hue}" d="{path}" fill="none"{dash}{end}/>')

    def svg(self) -> str:
        height = self.bottom + 20
        return "\n".join(
            [
                (
                    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {height:g}"'
                    f' width="{self.width:g}" height="{height:g}" role="img"'
                    f' font-family="{_FONTS}">'
                ),
                f"<title>{markup(self._title)}</title>",
                f"<desc>{markup(self._summary)}</desc>",
                f"<style>{_styles()}</style>",
                (
                    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"'
                    ' orient="auto"><path class="tip" d="M0 0 L8 4 L0 8 z"/></marker></defs>'
                ),
                f'<rect class="paper" width="{self.width:g}" height="{height:g}"/>',
                *self._drawn,
                "</svg>\n",
            ]
        )


def wrapped(text: str, width: float, *, size: int = 11) -> list[str]:
    """Lines of `text` that fit `width` px; a word that is too long for one is cut in its middle."""
    most = max(8, int(width / _GLYPH[size]))
    words = (word if len(shown(word)) <= most else _cut(word, most) for word in text.split(" "))
    return textwrap.wrap(" ".join(words), most, break_on_hyphens=False) or [""]


def _cut(word: str, most: int) -> str:
    return f"{word[: most * 2 // 3 - 1]}\u2026{word[len(word) - most // 3 :]}"


def _styles() -> str:
    return f"{_scheme(0)}@media (prefers-color-scheme:dark){{{_scheme(1)}}}"


def _scheme(which: int) -> str:
    rules = [
        f".paper{{fill:{_PAPER[which]}}}.ink{{fill:{_INK[which]}}}.muted{{fill:{_MUTED[which]}}}",
        f".l-muted{{stroke:{_MUTED[which]};stroke-width:1.3}}.tip{{fill:{_MUTED[which]}}}",
    ]
    for hue, schemes in PALETTE.items():
        fill, edge, letters = schemes[which]
        rules.append(f".{hue}{{fill:{fill};stroke:{edge};stroke-width:1.3}}.t-{hue}{{fill:{letters}}}")
        rules.append(f".l-{hue}{{stroke:{edge};stroke-width:1.5}}")
    return "".join(rules)

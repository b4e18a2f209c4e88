"""The matrix of a key as a picture: who may use it, who manages it, and which statement says so.

What lives here: where each cell stands. What does not: facts (the document), their wording (tables), SVG (canvas).

Laws: a picture holds nothing that its document does not, and the same document gives the same picture. Colour is never
alone: each cell has its symbol too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from s3al.explain.canvas import Canvas
from s3al.explain.tables import action, by_words, grouped, number, person, symbol

Document = Mapping[str, Any]
_LEFT: Final = 28
_NAMES: Final = 210
_COLUMN: Final = 118
_ROW: Final = 24
_TOP: Final = 84
_HUES: Final = {True: "safe", False: "faded"}


def matrix_picture(document: Document) -> str:
    """SVG. document: of WhoMayUseKey, its pages joined (tables.joined)."""
    people = document["rows"]
    width = max(640, 2 * _LEFT + _NAMES + _COLUMN * len(people))
    title = f"Who may do what with {document['key']}"
    canvas = Canvas(width, title, f"{len(people)} principals, {len(document['columns'])} actions")
    canvas.text(_LEFT, 36, "Who may do what with a KMS key", size=19, bold=True)
    canvas.text(_LEFT, 56, f"{document['key']}, {document['state']}", size=11, hue="muted", most=width - 2 * _LEFT)
    for at, row in enumerate(people):
        middle = _x(at) + _COLUMN / 2
        canvas.text(middle, _TOP, person(row, document["key"]), bold=True, anchor="middle", most=_COLUMN - 8)
    y: float = _TOP + 20
    for words, columns in grouped(document):
        canvas.text(_LEFT, y + 10, words, size=12, bold=True)
        y += 20
        for place, column in columns:
            canvas.text(_LEFT + 10, y + 15, action(column), most=_NAMES - 10)
            for at, row in enumerate(people):
                _cell(canvas, _x(at), y, row["cells"][place])
            y += _ROW
        y += 8
    _legend(canvas, document, y + 12, width)
    return canvas.svg()


def _x(at: int) -> float:
    return _LEFT + _NAMES + at * _COLUMN


def _cell(canvas: Canvas, x: float, y: float, cell: Document) -> None:
    hue = "open" if cell["effect"] == "explicit-deny" else _HUES[cell["allowed"]]
    canvas.box(x + 4, y + 2, _COLUMN - 8, _ROW - 4, hue=hue, radius=5)
    canvas.text(x + _COLUMN / 2, y + 16, f"{symbol(cell)} {number(cell)}".strip(), hue=hue, anchor="middle")


def _legend(canvas: Canvas, document: Document, y: float, width: float) -> None:
    canvas.text(_LEFT, y, "The number in a cell is the statement that decides it", size=12, bold=True)
    for at, statement in enumerate(document["statements"]):
        y += 18
        canvas.text(_LEFT, y, f"{at + 1}", bold=True)
        canvas.text(_LEFT + 24, y, by_words(statement), most=width - 2 * _LEFT - 24)

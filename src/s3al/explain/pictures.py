"""Explanations as pictures: the envelope of an object, and the life of a KMS key.

What lives here: where each part of a document stands in its picture. What does not: facts (the document), their wording
(words), SVG itself (canvas).

Laws: a picture holds nothing that its document does not; the same document gives the same picture. Time in the picture
of a key is ordered, not to scale: rotations may be seconds or years apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from s3al.explain.canvas import Canvas, wrapped
from s3al.explain.words import (
    ALSO_TAKEN,
    MATERIAL_STATES,
    READS,
    counted,
    day,
    holder,
    key_name,
    made_words,
    node_words,
    short,
    size,
)

Document = Mapping[str, Any]
_MARGIN: Final = 28
_LEFT: Final = 430
_GAP: Final = 70
_TOP: Final = 110
_CARD: Final = 284
_BETWEEN: Final = 34
_HUES: Final = {
    "client-data-key": "client",
    "client-master-key": "client",
    "data-key": "data",
    "bucket-key": "kms",
    "one-off-key": "kms",
    "kms-material": "kms",
    "service-material": "service",
    "customer-key": "customer",
    "root": "root",
    "seal": "seal",
}
_READ_HUES: Final = {"nothing": "safe", "names": "partly", "metadata": "partly", "bytes": "open"}


def picture(document: Document) -> str:
    """The SVG of an explanation. Raises KeyError for one that has no picture (a topic)."""
    return {"object": envelope, "kms-key": timeline}[document["explains"]](document)


# --- the envelope


def envelope(document: Document) -> str:
    nodes = {node["id"]: node for node in document["keys"]}
    columns = _columns(nodes)
    width = 2 * _MARGIN + _LEFT + _GAP + len(columns) * _CARD + (len(columns) - 1) * 20
    name = f"s3://{document['bucket']}/{document['object_key']}"
    ways = " inside ".join(dict.fromkeys(layer["way"] for layer in document["encrypted_by"]))
    canvas = Canvas(width, f"The envelope of {name}", f"{ways}: layers from the disk to the bytes, and the keys")
    canvas.text(_MARGIN, 42, name, size=19, bold=True, most=width - 2 * _MARGIN)
    about = f"{ways} \u00b7 version {document['version_id']} \u00b7 {size(document['size_bytes'])}"
    canvas.text(_MARGIN, 64, about, size=12, hue="muted", most=width - 2 * _MARGIN)
    inlets = _nested(canvas, document, top=_TOP)
    cards = _chain(canvas, nodes, columns, top=_TOP)
    for number, (node_id, start) in enumerate(inlets.items()):
        card = cards[node_id]
        first = node_id == columns[0][0]
        end = (card.x, card.y + 20) if first else (card.x + card.w / 2 - 14 * number, card.y)
        canvas.lead(start, end, over=None if first else _over(number), hue=_hue(nodes[node_id]))
    _outcomes(canvas, document["thieves"], top=_bottom_of_nested(document) + 46)
    below = max(card.y + card.h for card in cards.values()) + 46
    _readers(canvas, document["readers"], x=_MARGIN + _LEFT + _GAP, top=below)
    return canvas.svg()


def _over(number: int) -> tuple[float, float]:
    """Where the lead of an inner layer passes, each in a lane of its own."""
    return _MARGIN + _LEFT + 4 + 9 * number, _TOP - 5 - 7 * number


def _hue(node: Document) -> str:
    return "outer" if node["id"] == "outer-data-key" else _HUES[node["kind"]]


def _columns(nodes: Mapping[str, Document]) -> list[list[str]]:
    """One column for each data key: it, and what opens it, until the root, which all share."""
    columns = []
    placed: set[str] = set()
    for first in ("outer-data-key", "data-key", "client-data-key"):  # as their layers lie, from the outside
        column, node_id = [], first
        while node_id in nodes and nodes[node_id]["kind"] not in ("root", "seal") and node_id not in placed:
            column.append(node_id)
            placed.add(node_id)
            node_id = next(iter(nodes[node_id]["opened_by"]), "")
        if column:
            columns.append(column)
    return columns


_STEP: Final = 46


def _shells(document: Document) -> list[tuple[str, str, str, str]]:
    """(hue, title, fact, data key that seals it), from the disk inwards."""
    files = document["disk"]["files"]
    where = files[0] if files else "a row of the encrypted database"
    more = f" and {document['streams']['count'] - 1} more" if document["streams"]["count"] > 1 else ""
    shells = [("bytes", "on the disk", f"{where}{more}", "")]
    segment = size(document["streams"]["segment_bytes"])
    server = [layer for layer in document["encrypted_by"] if layer["who"] == "server"]
    for layer in reversed(server):
        outer = layer["layer"] == 2
        title = "sealed by the server" if len(server) == 1 else f"{'outer' if outer else 'inner'} layer, by the server"
        fact = f"AES-256-GCM, segments of {segment}"
        shells.append(("outer" if outer else "data", title, fact, "outer-data-key" if outer else "data-key"))
    client = document["client_side"]
    if client is not None:
        shells.append(("client", f"sealed by the client ({client['format']})", client["content"], "client-data-key"))
    return shells


def _bottom_of_nested(document: Document) -> float:
    return _TOP + 2 * _STEP * len(_shells(document)) * 0.72 + 92


def _nested(canvas: Canvas, document: Document, *, top: float) -> dict[str, tuple[float, float]]:
    """Boxes in boxes. Returns, for each data key, the point at which the layer that it seals leaves to the right."""
    shells = _shells(document)
    bottom = _bottom_of_nested(document)
    inlets: dict[str, tuple[float, float]] = {}
    for depth, (hue, title, fact, data_key) in enumerate(shells):
        x, y = _MARGIN + 18 * depth, top + _STEP * depth
        w, h = _LEFT - 36 * depth, bottom - y - 20 * depth
        canvas.box(x, y, w, h, hue=hue, radius=10)
        canvas.text(x + 14, y + 18, title, size=12, hue=hue, bold=True, most=w - 28)
        canvas.text(x + 14, y + 34, fact, size=10, hue=hue, most=w - 28)
        if data_key:
            inlets[data_key] = (x + w, y + 20)
    depth = len(shells)
    x, y = _MARGIN + 18 * depth, top + _STEP * depth
    w, h = _LEFT - 36 * depth, bottom - y - 20 * depth
    canvas.box(x, y, w, h, hue="faded", radius=10, dashed=True)
    came = " of ciphertext came" if document["client_side"] is not None else ""
    canvas.text(x + w / 2, y + h / 2 - 2, "the bytes", size=13, bold=True, anchor="middle")
    canvas.text(x + w / 2, y + h / 2 + 15, f"{size(document['size_bytes'])}{came}", hue="muted", anchor="middle")
    return inlets


@dataclass(frozen=True, slots=True)
class _Card:
    x: float
    y: float
    w: float
    h: float


def _chain(
    canvas: Canvas, nodes: Mapping[str, Document], columns: Sequence[Sequence[str]], *, top: float
) -> dict[str, _Card]:
    left = _MARGIN + _LEFT + _GAP
    cards: dict[str, _Card] = {}
    ends = []
    for number, column in enumerate(columns):
        y = top
        for node_id in column:
            cards[node_id] = _card(canvas, nodes[node_id], left + number * (_CARD + 20), y, _CARD)
            y = cards[node_id].y + cards[node_id].h + _BETWEEN
        ends.append(y)
    y = max(ends)
    span = len(columns) * _CARD + (len(columns) - 1) * 20
    for kind in ("root", "seal"):
        row = [node for node in nodes.values() if node["kind"] == kind]
        if not row:
            continue
        width = min(span / len(row) - 10, 420) if len(row) > 1 else min(span, 420)
        start = left + (span - len(row) * width - (len(row) - 1) * 20) / 2
        for place, node in enumerate(row):
            cards[node["id"]] = _card(canvas, node, start + place * (width + 20), y, width)
        y = max(cards[node["id"]].y + cards[node["id"]].h for node in row) + _BETWEEN
    _arrows(canvas, nodes, cards)
    return cards


def _card(canvas: Canvas, node: Document, x: float, y: float, w: float) -> _Card:
    title, facts = node_words(node)
    lines = [line for fact in facts for line in wrapped(fact, w - 26, size=10)]
    h = 30 + 14 * len(lines)
    outside = node["kind"] in ("customer-key", "client-master-key")
    hue = _hue(node)
    canvas.box(x, y, w, h, hue=hue, dashed=outside)
    canvas.text(x + 13, y + 19, title, size=12, hue=hue, bold=True)
    for number, line in enumerate(lines):
        canvas.text(x + 13, y + 35 + 14 * number, line, size=10, hue=hue)
    return _Card(x, y, w, h)


def _arrows(canvas: Canvas, nodes: Mapping[str, Document], cards: Mapping[str, _Card]) -> None:
    """From what opens to what is opened: upwards."""
    for node_id, card in cards.items():
        above = [one for one in nodes[node_id]["opened_by"] if one in cards]
        for opener in above:
            lower = cards[opener]
            x = card.x + card.w / 2
            x2 = min(max(x, lower.x + 24), lower.x + lower.w - 24)
            middle = lower.y - _BETWEEN / 2
            points = [(x2, lower.y), (x2, middle), (x, middle), (x, card.y + card.h + 2)]
            canvas.line(points, arrow=True)
            if len(above) == 1:
                canvas.text(x + 8, card.y + card.h + 15, "opens", size=9, hue="muted")
        if len(above) > 1:
            canvas.text(card.x + card.w / 2 + 8, card.y + card.h + 15, "each of them opens", size=9, hue="muted")


def _outcomes(canvas: Canvas, thieves: Sequence[Document], *, top: float) -> None:
    canvas.text(_MARGIN, top, "Who reads it, having taken", size=12, bold=True)
    y = top + 12
    for one in thieves:
        hue = _READ_HUES[one["reads"]]
        why = one["because"] + (f"; unless {one['unless']}" if one["unless"] else "")
        lines = wrapped(why, _LEFT - 24, size=9)
        height = 26 + 12 * len(lines)
        canvas.box(_MARGIN, y, _LEFT, height, hue=hue, radius=6)
        canvas.text(_MARGIN + 12, y + 16, one["thief"], size=11, hue=hue, bold=True)
        reads = READS[one["reads"]].lower()
        canvas.text(_MARGIN + _LEFT - 12, y + 16, reads, size=11, hue=hue, bold=True, anchor="end")
        for number, line in enumerate(lines):
            canvas.text(_MARGIN + 12, y + 30 + 12 * number, line, size=9, hue=hue)
        y += height + 6


_MOST_READERS: Final = 8


def _readers(canvas: Canvas, readers: Document | None, *, x: float, top: float) -> None:
    """In the last corner. One chip for each person, up to a few; the others are counted."""
    if readers is None:
        return
    width = canvas.width - _MARGIN - x
    canvas.text(x, top, "Who can read it now", size=12, bold=True)
    also = " and ".join(ALSO_TAKEN[name] for name in readers["also_takes"])
    if readers["closed"] or also:
        note = f"nobody: {readers['closed']}" if readers["closed"] else f"with {also} as well"
        canvas.text(x, top + 16, note, size=10, hue="muted", most=width)
        top += 16
    y = top + 12
    for one in readers["may_read"][:_MOST_READERS]:
        lines = [line for by in one["by"] for line in wrapped(f"{by['action']} {by['by']}", width - 24, size=9)]
        height = 28 + 12 * len(lines)
        canvas.box(x, y, width, height, hue="client", radius=6)
        canvas.text(x + 12, y + 16, holder(one), size=11, hue="client", bold=True, most=width - 24)
        for number, line in enumerate(lines):
            canvas.text(x + 12, y + 30 + 12 * number, line, size=9, hue="client")
        y += height + 6
    more = len(readers["may_read"]) - _MOST_READERS
    others = f"{more} more can; " if more > 0 else ""
    asked = "" if readers["complete"] else "; there are more people, who were not asked about"
    canvas.text(x, y + 12, f"{others}{len(readers['may_not'])} cannot{asked}", size=10, hue="muted", most=width)


# --- the life of a key

_WIDE: Final = 960
_MOST_MATERIALS: Final = 12


def timeline(document: Document) -> str:
    name = key_name({"aliases": document["aliases"], "key_arn": document["arn"]})
    canvas = Canvas(_WIDE, f"The KMS key {name}", "its materials from first to last, and what each may still do")
    canvas.text(_MARGIN, 42, name, size=19, bold=True, most=620)
    canvas.text(_MARGIN, 64, document["arn"], size=11, hue="muted", most=_WIDE - 2 * _MARGIN)
    hue = "safe" if document["state"] == "Enabled" else "open"
    canvas.box(_WIDE - _MARGIN - 170, 24, 170, 26, hue=hue, radius=13)
    canvas.text(_WIDE - _MARGIN - 85, 41, document["state"], size=12, hue=hue, bold=True, anchor="middle")
    y = _materials(canvas, document, top=96)
    _people(canvas, document["people"], top=y + 28)
    return canvas.svg()


def _materials(canvas: Canvas, document: Document, *, top: float) -> float:
    materials = document["materials"]
    if materials is None:
        canvas.text(_MARGIN, top, "its materials may not be told to you", hue="muted")
        return top
    shown = materials[-_MOST_MATERIALS:]
    rotation = document["rotation"] or {}
    left, right = _MARGIN + 190, _WIDE - _MARGIN - 130
    step = (right - left) / (len(shown) + 1)
    now_x = left + step * len(shown)
    bottom = top + 26 + 44 * len(shown)
    if len(materials) > len(shown):
        canvas.text(_MARGIN, top + 4, f"{len(materials) - len(shown)} older ones are not drawn", size=10, hue="muted")
    for number, one in enumerate(shown):
        x = left + step * number
        canvas.line([(x, top + 14), (x, bottom)], dashed=True)
        canvas.text(x, top + 8, day(one["made_at_ms"]), size=10, hue="muted", anchor="middle")
        _material(
            canvas, document, one, (x, top + 26 + 44 * number, x + step if number + 1 < len(shown) else now_x, right)
        )
    canvas.line([(now_x, top + 14), (now_x, bottom)], hue="root")
    canvas.text(now_x, top + 8, f"now, {day(document['asked_at_ms'])}", size=10, hue="root", bold=True, anchor="middle")
    due = rotation.get("next_at_ms")
    canvas.text(right + 8, top - 4, f"next {day(due)}" if due else "no rotation", size=10, hue="muted", bold=bool(due))
    canvas.text(right + 8, top + 8, "by the clock", size=10, hue="muted")
    canvas.text(left, bottom + 18, "in order, not to scale", size=9, hue="muted")
    return bottom + 22


def _material(canvas: Canvas, document: Document, one: Document, place: tuple[float, float, float, float]) -> None:
    """place: x of its making, y, x of the next one's making, right edge."""
    x, y, until, right = place
    state, gone = one["state"], one["state"] == "gone"
    canvas.text(_MARGIN, y + 14, f"material {one['sequence']}, {made_words(one)}", size=11, bold=True, most=180)
    canvas.text(_MARGIN, y + 28, short(one["material_id"]), size=9, hue="muted")
    canvas.box(until, y + 7, right - until, 16, hue="faded" if gone else "data", radius=3, dashed=state != "encrypts")
    canvas.box(x, y, until - x, 30, hue="faded" if gone or state == "waits" else "kms", radius=5)
    label = "encrypted" if state == "decrypts" else MATERIAL_STATES[state].partition(",")[0]
    if until - x > 60:
        canvas.text(
            x + 10,
            y + 19,
            label,
            size=10,
            hue="faded" if gone else "kms",
            bold=state == "encrypts",
            most=until - x - 16,
        )
    canvas.text(until + 8, y + 19, "encrypts and decrypts" if state == "encrypts" else "decrypts", size=9,
                hue="faded" if gone else "data", most=right - until - 10)  # fmt: skip
    count = one["objects"]
    canvas.text(right + 8, y + 19, counted(count, "object version"), size=11, bold=count > 0)


def _people(canvas: Canvas, people: Document | None, *, top: float) -> None:
    if people is None:
        return
    both = set(people["both"])
    half = (_WIDE - 2 * _MARGIN - 24) / 2
    columns = (("administers it", "administrators", "root"), ("uses it", "users", "client"))
    for number, (title, member, hue) in enumerate(columns):
        x, y = _MARGIN + number * (half + 24), top + 14
        canvas.text(x, top, f"Who {title}", size=12, bold=True)
        for one in people[member][:12]:
            chip = "open" if one["principal"] in both else hue
            canvas.box(x, y, half, 36, hue=chip, radius=6)
            canvas.text(x + 12, y + 15, holder(one), size=11, hue=chip, bold=True, most=half - 24)
            canvas.text(x + 12, y + 29, one["by"][0]["by"], size=9, hue=chip, most=half - 24)
            y += 42
        if not people[member]:
            canvas.text(x, y + 10, "nobody", hue="muted")
    canvas.text(_MARGIN, canvas.bottom + 18, "red: both at once" if both else "nobody is both", size=10, hue="muted")

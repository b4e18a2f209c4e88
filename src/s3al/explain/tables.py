"""Decisions as text: the matrix of a key, one decision with its remedy, a refusal.

What lives here: from the documents that the server computed to lines for a person. What does not: any fact, and the
matrix as a picture (matrix_picture).

Laws: nothing is said that the document does not hold; whatever somebody else named passes through `shown`, JSON is
written in ASCII; lines are not wrapped. Imports nothing of the server, so that the base install can print.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from s3al.explain.shown import shown
from s3al.explain.words import moment

Document = Mapping[str, Any]
ALLOWED, DENIED, SILENT = "\u2713", "\u2717", "\u00b7"
GROUPS: Final[Mapping[str, str]] = {
    "use": "use the key",
    "manage": "manage it",
    "widen": "widen rights",
    "look": "look at it",
}
_LEGEND: Final = f"{ALLOWED} allowed   {SILENT} not allowed   {DENIED} denied, whatever else allows"
_WIDTH: Final = 100
_NAME: Final = 24
_KINDS: Final[Mapping[str, str]] = {
    "bucket-policy": "the bucket policy",
    "key-policy": "the key policy",
    "trust-policy": "the role's trust policy",
    "identity-policy": "an identity policy",
    "permissions-boundary": "the permissions boundary",
    "session-policy": "the session policy",
    "grant": "a grant",
}


def joined(pages: Sequence[Document]) -> dict[str, Any]:
    """One matrix of its pages; statements stand once, in the order of their policies."""
    whole: dict[str, Any] = {**pages[0], "rows": [], "statements": []}
    whole.pop("next", None)
    places: dict[tuple[Any, ...], int] = {}
    for page in pages:
        moved = []
        for statement in page["statements"]:
            name = (statement["kind"], statement["policy"], statement["index"])
            if name not in places:
                places[name] = len(whole["statements"])
                whole["statements"].append(statement)
            moved.append(places[name])
        for row in page["rows"]:
            cells = [
                cell | {"statement": None if cell["statement"] is None else moved[cell["statement"]]}
                for cell in row["cells"]
            ]
            whole["rows"].append(row | {"cells": cells})
    return _ordered(whole)


def _ordered(matrix: dict[str, Any]) -> dict[str, Any]:
    def name(at: int) -> tuple[bool, str, int]:
        statement = matrix["statements"][at]
        return statement["kind"] != "key-policy", statement["policy"], statement["index"] or 0

    order = sorted(range(len(matrix["statements"])), key=name)
    moved = {old: new for new, old in enumerate(order)}
    for row in matrix["rows"]:
        for cell in row["cells"]:
            cell["statement"] = moved.get(cell["statement"])
    return matrix | {"statements": [matrix["statements"][at] for at in order]}


def symbol(cell: Document) -> str:
    return ALLOWED if cell["allowed"] else DENIED if cell["effect"] == "explicit-deny" else SILENT


def number(cell: Document) -> str:
    """Of the statement that decided, counted from 1 as the legend counts."""
    return "" if cell["statement"] is None else str(cell["statement"] + 1)


def person(row: Document, key: str) -> str:
    """Short within the key's account; not yet escaped."""
    account = key.split(":")[4]
    name = str(row["principal"]).removeprefix(f"arn:aws:iam::{account}:").removeprefix("arn:aws:iam::")
    return name + ("" if row["exists"] else "?") + ("*" if row["key_side_alone"] else "")


def action(column: Document) -> str:
    name = str(column["action"]).removeprefix("kms:")
    return f"{name} via S3" if column["via"] == "s3" else name


def grouped(document: Document) -> Iterator[tuple[str, list[tuple[int, Document]]]]:
    """(words of the group, its columns with their places)."""
    for group, words in GROUPS.items():
        found = [(at, column) for at, column in enumerate(document["columns"]) if column["group"] == group]
        if found:
            yield words, found


def matrix_lines(document: Document, *, verbose: bool = False) -> list[str]:
    """Actions downwards, people across, the deciding statement's number beside each symbol; then the statements.
    verbose: with their JSON, and why what is not allowed is not."""
    lines = [f"Who may do what with {shown(document['key'])} ({document['state']})"]
    people = [(row, shown(person(row, document["key"]), most=_NAME)) for row in document["rows"]]
    left = max((len(action(column)) for column in document["columns"]), default=0) + 4
    for block in _blocks(people, left):
        widths = [max(len(name), 4) + 2 for _, name in block]
        lines.append("")
        lines.append(
            (" " * left + "".join(f"{name:<{w}}" for (_, name), w in zip(block, widths, strict=True))).rstrip()
        )
        for words, columns in grouped(document):
            lines.append(words)
            for at, column in columns:
                cells = [row["cells"][at] for row, _ in block]
                marks = "".join(f"{symbol(cell) + number(cell):<{w}}" for cell, w in zip(cells, widths, strict=True))
                lines.append(f"  {action(column):<{left - 2}}{marks}".rstrip())
    lines += ["", _LEGEND, *_notes(document)]
    lines += [
        line for at, statement in enumerate(document["statements"]) for line in _statement(at, statement, verbose)
    ]
    return lines + (_reasons(document) if verbose else [])


def _blocks(people: Sequence[tuple[Document, str]], left: int) -> Iterator[list[tuple[Document, str]]]:
    """People who fit beside each other."""
    block: list[tuple[Document, str]] = []
    used = left
    for one in people:
        width = max(len(one[1]), 4) + 2
        if block and used + width > _WIDTH:
            yield block
            block, used = [], left
        block.append(one)
        used += width
    if block:
        yield block


def _notes(document: Document) -> Iterator[str]:
    if any(column["via"] == "s3" for column in document["columns"]):
        yield f"via S3: for an object in the bucket {shown(document['via_s3_bucket'])}"
    if any(row["key_side_alone"] for row in document["rows"]):
        yield "*: of another account: what the key allows; his own account must allow it too"
    if not all(row["exists"] for row in document["rows"]):
        yield "?: named by the policy, and not there (any more)"
    if document["state"] != "Enabled":
        yield f"The key is {document['state']}: whatever is allowed here, its use is refused until that changes."


def _statement(at: int, statement: Document, verbose: bool) -> Iterator[str]:
    yield f"{at + 1:>3}  {shown(by_words(statement))}"
    if verbose and statement["statement"] is not None:
        yield f"     {json.dumps(statement['statement'])}"


def by_words(by: Document) -> str:
    """Which statement or grant; not yet escaped."""
    if by["kind"] == "grant":
        return f"grant {by['policy']}"
    name = f"statement {by['index'] + 1}" + (f" {by['sid']}" if by["sid"] else "")
    policy = "" if by["policy"] == by["kind"] else f" {by['policy']}"
    effect = (by["statement"] or {}).get("Effect", "")
    says = {"Allow": ", which allows", "Deny": ", which denies"}.get(effect, "")
    return f"{name} of {_KINDS.get(by['kind'], by['kind'])}{policy}{says}"


def _reasons(document: Document) -> list[str]:
    lines = []
    for row in document["rows"]:
        for column, cell in zip(document["columns"], row["cells"], strict=True):
            if not cell["allowed"] and cell["reason"]:
                who = person(row, document["key"])
                lines.append(shown(f"{who}: {action(column)} is refused {cell['reason']}"))
    return ["", *lines] if lines else []


# --- one decision


def can_lines(document: Document) -> list[str]:
    lines = []
    for verdict in document["verdicts"]:
        lines += list(_verdict(document["principal"], verdict))
    return lines + list(_remedy(document["remedy"]))


def _verdict(principal: str, verdict: Document) -> Iterator[str]:
    may = "may" if verdict["allowed"] else "may not"
    yield f"{shown(principal)} {may} {verdict['action']} on {shown(verdict['resource'])}"
    if verdict["by"]:
        yield f"  decided by {shown(by_words(verdict['by']))}"
        if verdict["by"]["statement"] is not None:
            yield f"  {json.dumps(verdict['by']['statement'])}"
    if verdict["reason"]:
        yield f"  {shown(verdict['reason'])}"
    if not verdict["complete"]:
        yield "  what another account's policies say is left out"
    for miss in verdict["mismatches"]:
        yield f"  {_miss(miss)}"


def _miss(miss: Document) -> str:
    would = "would allow" if miss["effect"] == "Allow" else "would deny"
    what = f"another {miss['element']}"
    if miss["element"] == "condition":
        wanted = " or ".join(shown(value) for value in miss["wanted"])
        found = " and ".join(shown(value) for value in miss["found"]) or "nothing"
        what = f"{miss['operator']} {shown(miss['condition_key'])} {wanted}; the request has {found}"
    return f"nearly: {shown(by_words({**miss, 'statement': None}))} {would}, but for {what}"


def _remedy(remedy: Document | None) -> Iterator[str]:
    if remedy is None:
        return
    yield ""
    if remedy["verified"]:
        yield "The smallest change that allows it, tried on these policies:"
    elif remedy["changes"]:
        yield "This much can be changed, and is not enough:"
    for at, change in enumerate(remedy["changes"], 1):
        yield from _change(at, change)
    for words in remedy["otherwise"]:
        yield shown(words)


_DO: Final[Mapping[str, str]] = {
    "add": "add this statement",
    "narrow": "in place of this statement",
    "remove": "remove this statement",
}


def _change(at: int, change: Document) -> Iterator[str]:
    policy = "" if change["policy"] in (None, change["kind"]) else f" {shown(change['policy'])}"
    yield f"{at}. {_KINDS[change['kind']]}{policy}"
    for edit in change["edits"]:
        before = edit["statement"] if edit["replaces"] is None else edit["replaces"]
        yield f"   {_DO[edit['do']]}: {json.dumps(before)}"
        if edit["do"] == "narrow":
            yield f"   this one: {json.dumps(edit['statement'])}"
    yield f"   {shown(change['command'])}"
    if change["document"] is not None:
        yield "   (policy.json is the member document of --json)"


def why_lines(document: Document) -> list[str]:
    who, when = shown(document["principal"]), moment(document["refused_at_ms"])
    lines = [f"{who} was refused {document['service']} {document['operation']} at {when}"]
    lines.append(f"  answered: {shown(document['message'])}")
    then = document["then"]
    if then is not None:
        lines.append(f"  what was refused: {then['action']} on {shown(then['resource'])}")
        lines += list(_then(then))
    if document["now"] is not None:
        lines += ["", "Now:", *can_lines(document["now"])]
    return [*lines, *([shown(document["hint"])] if document["hint"] else [])]


def _then(then: Document) -> Iterable[str]:
    if then["reason"]:
        yield f"  {shown(then['reason'])}"
    if then["statement"]:
        statement = then["statement"]
        yield f"  by statement {statement['index'] + 1} of {shown(statement['policy'])}: {shown(statement['text'])}"
    for name, value in sorted(then["context"].items()):
        values = value if isinstance(value, list) else [value]
        yield f"  {shown(name)} = {', '.join(shown(one) for one in values)}"

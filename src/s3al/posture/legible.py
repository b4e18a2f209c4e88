"""Names as a person can read them, whoever chose them.

What lives here: `legible`. What does not: escaping for HTML or a terminal's markup (the reports).

Law: nothing that moves the cursor, turns the direction of text or is invisible reaches a page or a terminal.
"""

from __future__ import annotations

from typing import Final

_LONGEST: Final = 200


def legible(text: str) -> str:
    """Characters that do not print (Unicode: control, format, surrogate, private, unassigned, separators but the space)
    as their escapes; at most 200 characters."""
    cut = text if len(text) <= _LONGEST else text[:_LONGEST] + "..."
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in cut)

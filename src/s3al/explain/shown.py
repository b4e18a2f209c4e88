"""Names that others chose, made fit to be shown: on a terminal, in a page, in a picture.

What lives here: the one place where such text is escaped. What does not: what is shown (words, pictures).

Laws: what is shown is one line, reads from left to right as it was written, and cannot be taken for another text: every
character that a reader does not see, or that changes how others are seen, is written as an escape, and so is the
backslash. Not detected: letters that look like others.

Source: Unicode Standard Annex 44, general categories; Unicode Technical Report 36, Bidirectional text spoofing.
"""

from __future__ import annotations

import html
import unicodedata
from typing import Final

# Control, format (bidi marks among them), surrogate, private, unassigned; line, paragraph and odd space separators.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
_CUT: Final = "\u2026"


def shown(text: str, *, most: int | None = None) -> str:
    """`text` as one harmless line. most: characters of the result, a longer one is cut in its middle."""
    escaped = "".join(character if _is_plain(character) else _escape(character) for character in text)
    if most is None or len(escaped) <= most:
        return escaped
    head = (most - 1) * 2 // 3
    return escaped[:head] + _CUT + escaped[len(escaped) - (most - 1 - head) :]


def markup(text: str, *, most: int | None = None) -> str:
    """`shown`, for the text and the quoted attributes of HTML and SVG."""
    return html.escape(shown(text, most=most), quote=True)


def _is_plain(character: str) -> bool:
    return character == " " or (character != "\\" and unicodedata.category(character) not in _UNSEEN)


def _escape(character: str) -> str:
    if character == "\\":
        return "\\\\"
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"

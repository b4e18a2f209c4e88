"""Matching of names and ARNs against the patterns of a policy.

What lives here: `Patterns`, a compiled set of patterns, and the question whether a pattern can match inside
a bucket. What does not: reading patterns out of a document (policy_grammar).

Laws: matching is linear in the text for each pattern (atomic groups: no pattern makes the server search); in
an ARN a wildcard stays within its segment, except in the sixth, which holds all that follows the fifth
colon; comparison is exact in case, so callers that compare without case lower both sides.

Source: IAM User Guide, "Resource" (wildcards in ARN segments), "Amazon Resource Name (ARN) condition
operators".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

from s3al.auth.variables import Context, Fixed, Token, Variable, Wildcard, expand, has_variables

_ARN_SEGMENTS = 6
_MATCH_ALL = (Wildcard.MANY,)
_Match = Callable[[str], bool]


class Patterns:
    """A set of patterns; a text matches the set if it matches one of them."""

    __slots__ = ("_arns", "_everything", "_exact", "_globs", "_plain", "_prefixes", "_templates", "prefixes")

    def __init__(self, patterns: Iterable[tuple[Token, ...]], *, arns: bool = False) -> None:
        self._arns = arns
        exact: set[str] = set()
        prefixes: list[str] = []
        globs: list[_Match] = []
        templates: list[tuple[Token, ...]] = []
        self._everything = False
        begins: set[str] = set()
        for tokens in patterns:
            begins.add(tokens[0] if tokens and isinstance(tokens[0], str) else "")
            if has_variables(tokens):
                templates.append(tokens)
                continue
            fixed = tuple(token for token in tokens if not isinstance(token, Variable))
            if fixed == _MATCH_ALL:
                self._everything = True
            elif (literal := _literal(fixed)) is not None:
                exact.add(literal)
            elif (prefix := _plain_prefix(fixed, arns=arns)) is not None:
                prefixes.append(prefix)
            else:
                globs.append(_compile(fixed, arns=arns))
        self.prefixes = frozenset(begins)  # every text that matches begins with one of them
        self._exact = frozenset(exact)
        self._prefixes = tuple(prefixes)
        self._globs = tuple(globs)
        self._templates = tuple(templates)
        self._plain = not globs and not templates

    def match(self, text: str, context: Context | None = None) -> bool:
        """context: what variables take their values from; without it patterns with variables match nothing."""
        if text.startswith(self._prefixes) or text in self._exact or self._everything:
            return True
        if self._plain:
            return False
        for glob in self._globs:
            if glob(text):
                return True
        if context is not None:
            for template in self._templates:
                tokens = expand(template, context)
                if tokens is not None and _match_expanded(template, tokens, text, arns=self._arns):
                    return True
        return False


def _literal(tokens: tuple[Fixed, ...]) -> str | None:
    """The text of a pattern without wildcards."""
    texts = [token for token in tokens if isinstance(token, str)]
    return "".join(texts) if len(texts) == len(tokens) else None


def _plain_prefix(tokens: tuple[Fixed, ...], *, arns: bool) -> str | None:
    """The literal before a final `*` that nothing else restricts, the commonest pattern."""
    if len(tokens) != 2 or not isinstance(tokens[0], str) or tokens[1] is not Wildcard.MANY:
        return None
    return tokens[0] if not arns or tokens[0].count(":") >= _ARN_SEGMENTS - 1 else None


def _match_expanded(template: tuple[Token, ...], tokens: tuple[Fixed, ...], text: str, *, arns: bool) -> bool:
    if arns and _shifts_segments(template, tokens):
        return False
    literal = _literal(tokens)
    return _compiled_once(tokens, arns=arns)(text) if literal is None else text == literal


def _shifts_segments(template: tuple[Token, ...], tokens: tuple[Fixed, ...]) -> bool:
    """Whether a variable before the fifth colon inserted a colon, which would move what follows to other segments."""
    colons = 0
    for written, value in zip(template, tokens, strict=True):
        if not isinstance(value, str):
            continue
        if isinstance(written, Variable):
            if colons < _ARN_SEGMENTS - 1 and ":" in value:
                return True
        else:
            colons += value.count(":")
    return False


def _compile(tokens: tuple[Fixed, ...], *, arns: bool) -> _Match:
    if not arns:
        return _glob(tokens)
    segments = _segments(tokens)
    if len(segments) < _ARN_SEGMENTS:
        if segments[-1][-1:] != [Wildcard.MANY]:
            return _nothing
        segments += [[Wildcard.MANY]] * (_ARN_SEGMENTS - len(segments))
    if all(isinstance(token, str) for segment in segments[:-1] for token in segment):
        return _glob(tokens)  # every wildcard stands in the sixth segment
    globs = [_glob(tuple(segment)) for segment in segments]

    def match(text: str) -> bool:
        parts = text.split(":", _ARN_SEGMENTS - 1)
        return len(parts) == _ARN_SEGMENTS and all(glob(part) for glob, part in zip(globs, parts, strict=True))

    return match


_compiled_once = lru_cache(maxsize=4096)(_compile)  # variables take the same few values, request after request


def _nothing(text: str) -> bool:
    return False


def _segments(tokens: tuple[Fixed, ...]) -> list[list[Fixed]]:
    """At most six: the sixth keeps its colons."""
    segments: list[list[Fixed]] = [[]]
    for token in tokens:
        if not isinstance(token, str):
            segments[-1].append(token)
            continue
        pieces = token.split(":", _ARN_SEGMENTS - len(segments))
        for index, piece in enumerate(pieces):
            if index:
                segments.append([])
            if piece:
                segments[-1].append(piece)
    return segments


def _glob(tokens: tuple[Fixed, ...]) -> _Match:
    """What stands between two `*` is taken at its first place and never given back: enough for a glob, and linear."""
    runs: list[list[Fixed]] = [[]]
    for token in tokens:
        if token is not Wildcard.MANY:
            runs[-1].append(token)
        elif runs[-1] or len(runs) == 1:
            runs.append([])
    texts = [_literal(tuple(run)) for run in runs]
    literals = [text for text in texts if text is not None]
    return _search(literals) if len(literals) == len(runs) else _expression(runs)


def _search(runs: list[str]) -> _Match:
    if len(runs) == 1:
        return runs[0].__eq__
    first, *middle, last = runs
    shortest = len(first) + len(last)

    def match(text: str) -> bool:
        if len(text) < shortest or not text.startswith(first) or not text.endswith(last):
            return False
        position, end = len(first), len(text) - len(last)
        for run in middle:
            found = text.find(run, position, end)
            if found < 0:
                return False
            position = found + len(run)
        return True

    return match


def _expression(runs: list[list[Fixed]]) -> _Match:
    """For patterns with `?`: the same search as an expression with atomic groups."""
    written = ["".join("." if token is Wildcard.ONE else re.escape(str(token)) for token in run) for run in runs]
    first, last = written[0], written[-1]
    middle = "".join(f"(?>.*?{run})" for run in written[1:-1])
    expression = _compiled(f"{first}{middle}.*{last}" if len(written) > 1 else first)

    def match(text: str) -> bool:
        return expression.fullmatch(text) is not None

    return match


@lru_cache(maxsize=1024)
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.DOTALL)


def can_match_prefix(tokens: tuple[Token, ...], prefix: str) -> bool:
    """Whether some text that begins with `prefix` matches; a variable counts as `*`."""
    return bool(_positions_after(tokens, prefix))


def can_match(tokens: tuple[Token, ...], text: str) -> bool:
    """Whether `text` matches for some values of the variables."""
    flat = _flatten(tokens)
    return len(flat) in _positions_after(tokens, text)


def _positions_after(tokens: tuple[Token, ...], text: str) -> set[int]:
    """The places in the pattern that can be reached by reading all of `text`."""
    flat = _flatten(tokens)
    places = _skip_stars(flat, {0})
    for character in text:
        after = set()
        for place in places:
            if place == len(flat):
                continue
            if flat[place] is Wildcard.MANY:
                after.add(place)
            elif flat[place] is Wildcard.ONE or flat[place] == character:
                after.add(place + 1)
        places = _skip_stars(flat, after)
    return places


def _flatten(tokens: tuple[Token, ...]) -> list[Fixed]:
    flat: list[Fixed] = []
    for token in tokens:
        if isinstance(token, str):
            flat.extend(token)
        elif token is Wildcard.ONE:
            flat.append(token)
        elif flat[-1:] != [Wildcard.MANY]:  # `**` is `*`
            flat.append(Wildcard.MANY)
    return flat


def _skip_stars(flat: list[Fixed], places: set[int]) -> set[int]:
    reached = set(places)
    for place in places:
        while place < len(flat) and flat[place] is Wildcard.MANY:
            place += 1
            reached.add(place)
    return reached

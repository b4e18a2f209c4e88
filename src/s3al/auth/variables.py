"""Policy text with wildcards and policy variables, read once into tokens.

What lives here: the tokens of a policy string, the values of a request that variables take, `expand`. What
does not: the comparison with a request (policy_patterns, conditions).

Laws: variables exist only in documents of version 2012-10-17; a variable takes single-valued keys only; one
that has no value makes its text equal to nothing (never the empty string); what a variable inserts is
literal, wildcards included.

Source: IAM User Guide, "IAM policy elements: Variables and tags".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Wildcard(Enum):
    ONE = "?"
    MANY = "*"


@dataclass(frozen=True, slots=True)
class Variable:
    """`${key}` or `${key, 'default'}`."""

    key: str
    default: str | None = None


Token = str | Wildcard | Variable
Fixed = str | Wildcard

_VARIABLE = re.compile(
    r"\$\{(?:(?P<special>[*?$])|(?P<key>[A-Za-z0-9.\-]{1,64}:[^{}',*?$]{1,256})(?:,\s?'(?P<default>[^'{}]{0,256})')?)\}"
)
_WILDCARDS = re.compile(r"[*?]")


class Context:
    """The condition keys of one request, compared without case.

    A key spelled exactly as in the request is found first, so that tag keys that differ only in case stay apart.
    """

    __slots__ = ("_by_lower_case", "_exact")

    def __init__(self, context: Mapping[str, str | list[str]]) -> None:
        self._exact = context
        self._by_lower_case: dict[str, tuple[str, ...]] | None = None

    def values(self, key: str) -> tuple[str, ...]:
        """All values of the key; empty where the request has none."""
        exact = self._exact.get(key)
        if exact is not None:
            return (exact,) if isinstance(exact, str) else tuple(exact)
        if self._by_lower_case is None:
            self._by_lower_case = {}
            for name, value in self._exact.items():
                values = (value,) if isinstance(value, str) else tuple(value)
                lower = name.lower()
                self._by_lower_case[lower] = self._by_lower_case.get(lower, ()) + values
        return self._by_lower_case.get(key.lower(), ())

    def single(self, key: str) -> str | None:
        """The value a variable takes: None where there is none, it is empty, or there are several."""
        values = self.values(key)
        return values[0] if len(values) == 1 and values[0] else None


def read_tokens(text: str, *, wildcards: bool, variables: bool) -> tuple[Token, ...]:
    """Raises ValueError where `${` does not begin a well-formed variable."""
    tokens: list[Token] = []
    position = 0
    while variables and (start := text.find("${", position)) >= 0:
        match = _VARIABLE.match(text, start)
        if match is None:
            raise ValueError("malformed policy variable")
        _add_text(tokens, text[position:start], wildcards=wildcards)
        if match["special"]:
            _add_literal(tokens, match["special"])
        else:
            tokens.append(Variable(match["key"].strip(), match["default"]))
        position = match.end()
    _add_text(tokens, text[position:], wildcards=wildcards)
    return tuple(tokens)


def _add_text(tokens: list[Token], text: str, *, wildcards: bool) -> None:
    position = 0
    if wildcards:
        for match in _WILDCARDS.finditer(text):
            _add_literal(tokens, text[position : match.start()])
            tokens.append(Wildcard(match[0]))
            position = match.end()
    _add_literal(tokens, text[position:])


def _add_literal(tokens: list[Token], text: str) -> None:
    if not text:
        return
    if tokens and isinstance(tokens[-1], str):
        tokens[-1] += text
    else:
        tokens.append(text)


def has_variables(tokens: tuple[Token, ...]) -> bool:
    return any(isinstance(token, Variable) for token in tokens)


def expand(tokens: tuple[Token, ...], context: Context) -> tuple[Fixed, ...] | None:
    """The tokens with every variable replaced by its value; None where one has no value."""
    expanded: list[Fixed] = []
    for token in tokens:
        if isinstance(token, Variable):
            value = context.single(token.key)
            if value is None:
                value = token.default
            if value is None:
                return None
            expanded.append(value)
        else:
            expanded.append(token)
    return tuple(expanded)

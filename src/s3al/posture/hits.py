"""What a rule finds in one place.

What lives here: `Hit`. What does not: the rules.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hit:
    """where: a bucket's ARN or a key's. evidence: one sentence. count: objects; 0 where it is not about objects.
    examples: object keys as they are stored."""

    where: str
    evidence: str
    count: int = 0
    examples: tuple[str, ...] = ()

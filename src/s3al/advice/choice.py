"""From requirements to the options that meet all of them, and for each other option why it fails.

What lives here: `advise`. What does not: the tables (options, requirements).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from s3al.advice.options import OPTIONS
from s3al.advice.requirements import EXISTS, REQUIREMENTS, Requirement
from s3al.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Rejection:
    """requirement_id: the first, in the order asked, that the option fails."""

    option_id: str
    requirement_id: str
    reason: str
    source: str


@dataclass(frozen=True, slots=True)
class Advice:
    """chosen: option ids, the simplest first. notes: what a chosen option needs so as to meet a requirement."""

    chosen: tuple[str, ...]
    rejected: tuple[Rejection, ...]
    notes: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """As `--json` gives it; docs/reference/advise.md has the schema."""
        rejected = [
            {"id": each.option_id, "requirement": each.requirement_id, "reason": each.reason} for each in self.rejected
        ]
        return {"chosen": list(self.chosen), "rejected": rejected}


def advise(required: Iterable[str]) -> Advice:
    """required: requirement ids. Raises ConfigError for one that is not in the table."""
    asked = [EXISTS]
    for requirement_id in dict.fromkeys(required):
        if requirement_id not in REQUIREMENTS:
            raise ConfigError(
                f"{requirement_id!r} is not a requirement that is known", advice="they are: " + ", ".join(REQUIREMENTS)
            )
        asked.append(REQUIREMENTS[requirement_id])
    rejected = tuple(found for option_id in OPTIONS if (found := _rejection(option_id, asked)))
    chosen = tuple(option_id for option_id in OPTIONS if option_id not in {each.option_id for each in rejected})
    notes = tuple(each.note for each in asked if each.note)
    return Advice(chosen, rejected, notes)


def _rejection(option_id: str, asked: list[Requirement]) -> Rejection | None:
    for requirement in asked:
        if option_id in requirement.fails:
            reason = requirement.fails[option_id]
            return Rejection(option_id, requirement.requirement_id, reason, requirement.source)
    return None

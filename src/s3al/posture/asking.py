"""One question to a service that may not answer: the answer, nothing, or why not.

What lives here: `Asking`. What does not: the questions.

Law: an answer that something is not there is a fact; any other refusal is remembered, and becomes a finding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from s3al.explain.shown import shown


@dataclass(slots=True)
class Asking:
    """unread: what was asked -> the code of the refusal."""

    unread: dict[str, str] = field(default_factory=dict)

    def ask(self, what: str, question: Callable[[], dict[str, Any]], *absent: str) -> dict[str, Any] | None:
        """None if it is not there (`absent`: codes that say so) or was refused."""
        from botocore.exceptions import ClientError

        try:
            return question()
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "")) or "no code"
            if code not in absent:
                self.unread[what] = shown(code)
            return None

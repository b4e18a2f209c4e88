"""`s3al serve` without an audit trail, to be measured against the one with it; used by `audit_cost` alone.

There is no such setting: this program takes the trail out of the program that it starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from s3al import app
from s3al.cli import main


class Unaudited:
    """Records nothing."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def used(self, *_: object) -> None:
        pass

    def touched(self, *_: object) -> None:
        pass

    def happened(self, event_name: str, key_arn: str, now_ms: int, details: Mapping[str, Any]) -> None:
        pass

    def follow(self, *_: object) -> None:
        pass

    def reserve(self, *_: object) -> None:
        pass

    def concerns(self, *_: object) -> bool:
        return False

    def settle(self, *_: object) -> None:
        pass


if __name__ == "__main__":
    app.Trail = Unaudited  # type: ignore[assignment, misc]
    main()

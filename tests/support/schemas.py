"""The published schemas of `--json` answers, and whether an answer is what one of them describes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema

_FOLDER = Path(__file__).resolve().parents[2] / "docs" / "schemas"


def require_valid(name: str, document: Any) -> None:
    """name: of the command. Raises jsonschema.ValidationError, which says where."""
    schema = json.loads((_FOLDER / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(json.loads(json.dumps(document)))

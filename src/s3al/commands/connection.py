"""The flags with which a command finds its server, and how it prints an answer.

What lives here: annotated option types, `show`, and writing a picture. What does not: the call itself (own_api_client).

Law: endpoint, region and credentials are found as the AWS CLI finds them, unless a flag says otherwise.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from s3al.errors import ConfigError

Endpoint = Annotated[str | None, typer.Option("--endpoint-url", metavar="URL", help="Server to call.")]
Profile = Annotated[str | None, typer.Option("--profile", help="Profile of ~/.aws to use.")]
Region = Annotated[str | None, typer.Option("--region", help="Region to sign for.")]
CaBundle = Annotated[str | None, typer.Option("--ca-bundle", metavar="PATH", help="Certificates to trust.")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer as one JSON document.")]


def show(answer: dict[str, Any], *, as_json: bool) -> None:
    """One line for each member; one JSON document with `as_json`."""
    if as_json:
        typer.echo(json.dumps(answer))
        return
    for name, value in answer.items():
        if isinstance(value, dict):
            value = " ".join(f"{member}={str(inner).lower()}" for member, inner in value.items())
        typer.echo(f"{name}: {str(value).lower() if isinstance(value, bool) else value}")


def write_picture(picture: str, path: Path) -> None:
    """Raises ConfigError if it cannot be."""
    try:
        path.write_text(picture, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{os.fspath(path)} cannot be written: {error.strerror}") from error

"""`s3al prove DIR`: evidence that a data folder holds ciphertext, all of it sound, and nothing else.

What lives here: flags and printing. What does not: the proof (prove).

Law: exit code 0 sound, 1 findings, 2 could not run.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from s3al import config
from s3al.commands.connection import AsJson
from s3al.errors import ConfigError, S3alError

if TYPE_CHECKING:
    from s3al.prove import Proof

command = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@command.command("prove")
def prove_command(
    data: Annotated[Path, typer.Argument(help="Folder of a store, stopped or beside a running server.")],
    root_key: Annotated[
        str | None,
        typer.Option(metavar="SEAL", help="What opens the root key.", show_default="keyfile:, in the config folder"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Authenticate everything in a data folder; name what is damaged or unexplained."""
    from s3al import prove

    settings = config.ServeConfig(data=data, root_key=root_key, config_home=config.config_home(os.environ))
    try:
        proof = prove.prove(settings, progress=_progress if sys.stderr.isatty() else lambda _: None)
    except S3alError as error:
        raise ConfigError(f"the proof could not be made: {error}", advice=error.advice) from error
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(proof)))
    else:
        typer.echo("\n".join(_lines(proof)))
    if proof.findings:
        raise typer.Exit(1)


def _progress(proof: Proof) -> None:
    mebibytes = proof.authenticated_bytes / (1 << 20)
    typer.echo(f"\r{mebibytes:.0f} MiB authenticated, {proof.files} files seen", nl=False, err=True)


def _lines(proof: Proof) -> list[str]:
    from s3al.prove import SEEN

    beside = ", beside a running server" if proof.beside_a_server else ""
    lines = [
        f"store {proof.store_id}{beside}",
        f"{proof.versions} versions, {proof.uploads} uploads, {proof.files} files of {proof.file_bytes} bytes",
    ]
    if proof.opened:
        lines += [
            f"{proof.authenticated_bytes} bytes of ciphertext authenticated with the keys of this store",
            f"{proof.closed_bytes} bytes that no key of this store opens: a customer's key, or a destroyed KMS key",
        ]
    else:
        lines.append("the root key was not found: files were judged by their place and their look alone")
    lines += [f"{seen.what} {seen.where}: {SEEN[seen.what]}" for seen in proof.findings]
    return [*lines, f"{len(proof.findings)} findings, in {proof.seconds:.1f} s"]

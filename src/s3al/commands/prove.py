"""`s3al prove DIR`: evidence that a data folder holds ciphertext, all of it sound, and nothing else.

What lives here: flags and printing. What does not: the proof (prove).

Laws: exit code 0 sound, 1 findings or a report that was changed, 2 could not run; names of files, and what a report
says, are escaped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from s3al import config
from s3al.commands.connection import AsJson
from s3al.errors import ConfigError, IntegrityError, S3alError
from s3al.explain.shown import shown

if TYPE_CHECKING:
    from s3al.prove import Progress, Proof

command = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@command.command("prove")
def prove_command(
    data: Annotated[
        Path | None, typer.Argument(help="Folder of a store, stopped or beside a running server.")
    ] = None,
    root_key: Annotated[
        str | None,
        typer.Option(metavar="SEAL", help="What opens the root key.", show_default="keyfile:, in the config folder"),
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the signed report, too.")] = None,
    verify_report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Say whether this report is as it was signed.")
    ] = None,
    signer: Annotated[
        str | None, typer.Option(metavar="HEX", help="With --verify-report: the public key that must have signed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Authenticate everything in a data folder; name what is damaged or unexplained."""
    if verify_report is not None:
        if data is not None:
            raise ConfigError("--verify-report looks at a report, not at a folder", advice="leave the folder out")
        _verify(verify_report, signer, as_json=as_json)
        return
    if data is None or signer is not None:
        raise ConfigError("name the folder of a store", advice="--signer goes with --verify-report")
    from s3al import prove

    settings = config.ServeConfig(data=data, root_key=root_key, config_home=config.config_home(os.environ))
    try:
        with _progress() as progress:
            proved = prove.prove(settings, progress=progress)
        if report is not None:
            report.write_text(json.dumps(proved, indent=1) + "\n", "utf-8")
    except S3alError as error:
        raise ConfigError(f"the proof could not be made: {error}", advice=error.advice) from error
    except OSError as error:
        raise ConfigError(f"the proof could not be made: {error}") from error
    typer.echo(json.dumps(proved) if as_json else "\n".join(_lines(proved)))
    if proved["findings"]:
        raise typer.Exit(1)


def _verify(path: Path, signer: str | None, *, as_json: bool) -> None:
    from s3al.prove.signing import verified

    try:
        document = verified(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if signer is not None and document["public_key"] != signer.lower():
        raise IntegrityError(f"the report is signed by another key: {document['public_key']}")
    findings = len(document["findings"])
    if as_json:
        told = {name: document[name] for name in ("store_id", "at", "public_key")}
        typer.echo(json.dumps(told | {"findings": findings, "signer_compared": signer is not None}))
        return
    typer.echo(f"as it was signed: store {shown(document['store_id'])}, {shown(document['at'])}, {findings} findings")
    typer.echo(f"signed by {shown(document['public_key'])}")
    if signer is None:
        typer.echo("compare that key with the one that `s3al prove` tells of the store, or name it with --signer")


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on standard error, if that is a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda _proof, _done, _total: None
        return
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    )  # fmt: skip
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task("s3al prove", total=None)

        def told(proof: Proof, done: int, total: int) -> None:
            bars.update(task, description=f"{len(proof.findings)} findings", completed=done, total=max(done, total))

        yield told


def _lines(proof: dict[str, Any]) -> list[str]:
    from s3al.prove import SEEN

    beside = ", beside a running server" if proof["beside_a_server"] else ""
    counted = f"{proof['versions']} versions, {proof['uploads']} uploads, {proof['materials']} key materials"
    lines = [
        f"store {proof['store_id']}{beside}",
        f"{counted}, {proof['trail_records']} records of the trail",
        f"{proof['files']} files of {proof['file_bytes']} bytes",
        "covered: " + ", ".join(f"{count} bytes {way.replace('_', ' ')}" for way, count in _covered(proof)),
    ]
    if proof["opened"]:
        lines += [
            f"{proof['authenticated_bytes']} bytes of ciphertext authenticated with the keys of this store",
            f"{proof['closed_bytes']} bytes that no key of this store opens: a customer's key, or a destroyed KMS key",
        ]
    else:
        lines.append("the root key was not found: files were judged by their place and their look alone")
    if proof["windows"]:
        lines.append(
            f"{proof['windows']} windows looked at, the most uneven by {proof['most_uneven']} standard deviations"
            + (f": {shown(proof['most_uneven_where'])}" if proof["most_uneven_where"] else "")
        )
    lines += [f"{seen['what']} {shown(seen['where'])}: {SEEN[seen['what']]}" for seen in proof["findings"]]
    if proof["signature"]:
        lines.append(f"signed by {proof['public_key']}")
    return [*lines, f"{len(proof['findings'])} findings, in {proof['seconds']:.1f} s"]


def _covered(proof: dict[str, Any]) -> list[tuple[str, int]]:
    return [(way, count) for way, count in proof["covered_bytes"].items() if count]

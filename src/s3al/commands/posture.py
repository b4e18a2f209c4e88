"""`s3al posture s3://bucket|all`: how buckets, objects and keys are encrypted and guarded, and what to mend.

What lives here: flags, progress, where a report goes. What does not: facts, rules, reports (posture).

Law: exit code 0 unless `--require` is not met (1); 2 could not run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlsplit

import typer

from s3al.commands.connection import AsJson, CaBundle, Endpoint, Profile, Region
from s3al.errors import ConfigError, S3alError

if TYPE_CHECKING:
    from s3al.posture.gathering import Clients, Progress
    from s3al.posture.report import Report

command = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@command.command("posture")
def posture_command(
    what: Annotated[str, typer.Argument(metavar="s3://BUCKET|all", help="One bucket, or all of yours.")],
    sample: Annotated[
        int, typer.Option(min=0, metavar="N", help="Objects of a bucket to ask for, off s3al; 0: every one.")
    ] = 1000,
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=64, help="Objects asked for at once.")] = 16,
    require: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TOML of requirements; exit code 1 if one is not met.")
    ] = None,
    as_sarif: Annotated[bool, typer.Option("--sarif", help="Answer as SARIF 2.1.0.")] = False,
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write a page with charts, too.")] = None,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """Say how objects and keys are encrypted and guarded, on s3al or any S3, and what to mend."""
    from s3al.posture import requirements
    from s3al.posture.gathering import gather
    from s3al.posture.objects import Sampling
    from s3al.posture.report import Report
    from s3al.posture.rules import judge

    bucket = _bucket(what)
    if as_json and as_sarif:
        raise ConfigError("--json and --sarif are two answers", advice="ask for one of them")
    required = requirements.load(require) if require else None
    with _failures_as_could_not_run(), _progress() as progress:
        clients = _clients(endpoint_url, profile, region, ca_bundle, parallel)
        posture = gather(clients, bucket, Sampling(sample, parallel), progress, at=datetime.now(UTC))
    findings = judge(posture)
    report = Report(posture, findings, requirements.unmet(required, posture, findings) if required else None)
    _tell(report, as_json=as_json, as_sarif=as_sarif, html=html)
    if report.unmet:
        raise typer.Exit(1)


def _bucket(what: str) -> str | None:
    if what == "all":
        return None
    bucket = what.removeprefix("s3://").rstrip("/")
    if not what.startswith("s3://") or not bucket or "/" in bucket:
        raise ConfigError(f"{what!r} names no bucket", advice="write s3://BUCKET, or all")
    return bucket


@contextmanager
def _failures_as_could_not_run() -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ConfigError:
        raise
    except (BotoCoreError, ClientError, S3alError) as error:
        raise ConfigError(f"the posture could not be told: {error}") from error


def _clients(
    endpoint_url: str | None, profile: str | None, region: str | None, ca_bundle: str | None, parallel: int
) -> Clients:
    import boto3
    from botocore.config import Config

    from s3al.own_api_client import Connection, OwnApi
    from s3al.posture.gathering import Clients

    session = boto3.Session(profile_name=profile, region_name=region)
    known = {"endpoint_url": endpoint_url, "verify": ca_bundle}

    @lru_cache
    def kms(of_region: str) -> Any:
        return session.client("kms", **known, region_name=of_region or None)

    s3 = session.client("s3", **known, config=Config(max_pool_connections=parallel))
    endpoint = s3.meta.endpoint_url
    api = None
    if not (urlsplit(endpoint).hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn")):
        own = OwnApi(Connection(endpoint, profile, region, ca_bundle))
        api = own if own.is_there() else None
    return Clients(s3, session.client("sts", **known), kms, api)


@contextmanager
def _progress() -> Iterator[Progress]:
    """A bar on standard error, if that is a terminal."""
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda *_: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bars

    from s3al.explain.shown import shown

    with Bars(TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), console=console,
              transient=True) as bars:  # fmt: skip
        task = bars.add_task("", total=None)

        def seen(bucket: str, looked_at: int, expected: int | None) -> None:
            bars.update(task, description=shown(bucket), completed=looked_at, total=expected)

        yield seen


def _tell(report: Report, *, as_json: bool, as_sarif: bool, html: Path | None) -> None:
    if html is not None:
        from s3al.posture.page import page

        try:
            html.write_text(page(report), "utf-8")
        except OSError as error:
            raise ConfigError(f"{html} cannot be written: {error.strerror}") from error
    if as_sarif:
        from s3al.posture.sarif import sarif

        typer.echo(json.dumps(sarif(report)))
    elif as_json:
        typer.echo(json.dumps(report.document()))
    else:
        from rich.console import Console

        from s3al.posture.table import show

        # Piped, lines are as long as they need to be, so that they can be searched.
        show(report, Console(file=sys.stdout, width=None if sys.stdout.isatty() else 160, highlight=False))

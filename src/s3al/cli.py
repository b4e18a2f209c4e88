"""The `s3al` command.

What lives here: commands, their flags, and what is printed. What does not: what commands do (`app`,
`client`).

Laws of the terminal: results go to standard output, everything else to standard error; errors read `s3al:
what is wrong`, lower case, without a full stop, in one line in which names that others chose are escaped,
with a hint on the next line; exit code 2 for what the operator must change, 1 for all else. What does not go
to a terminal is never wrapped, cut, coloured or prompted for, and `--json` gives one stable JSON document.
Imports of a command's needs happen inside it, so that the base install and `--help` do without the server's
libraries.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from s3al import __version__, config
from s3al.commands.accounts import accounts
from s3al.commands.advise import command as advise
from s3al.commands.backup import commands as backups
from s3al.commands.cse import cse
from s3al.commands.decisions import commands as decisions
from s3al.commands.explain import command as explain
from s3al.commands.keys import keys
from s3al.commands.objects import commands as objects
from s3al.commands.posture import command as posture
from s3al.commands.prove import command as prove
from s3al.commands.seals import seals
from s3al.commands.trail import trail
from s3al.errors import ConfigError, S3alError
from s3al.explain.shown import shown

if TYPE_CHECKING:
    from s3al.app import Prepared
    from s3al.server.tls import TlsPair

cli = typer.Typer(
    name="s3al",
    help="Object storage in which nothing is ever stored in the clear.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


cli.add_typer(accounts, name="account")
cli.add_typer(keys, name="key")
cli.add_typer(decisions)
cli.add_typer(advise)
cli.add_typer(explain)
cli.add_typer(objects)
cli.add_typer(cse, name="cse")
cli.add_typer(backups)
cli.add_typer(seals, name="seal")
cli.add_typer(prove)
cli.add_typer(trail, name="trail")
cli.add_typer(posture)


def main() -> None:
    """Entry point: run a command, and say in one line why it failed."""
    try:
        cli()
    except S3alError as exc:
        print(f"s3al: {shown(str(exc))}", file=sys.stderr)
        if exc.advice:
            print(f"      {exc.advice}", file=sys.stderr)
        raise SystemExit(2 if isinstance(exc, ConfigError) else 1) from None
    except BrokenPipeError:
        # Whoever read our output has gone: end quietly, and keep the interpreter from flushing into the void.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except Exception as exc:
        # What the server answered to a command that speaks through boto3; anything else is a fault of ours.
        if not type(exc).__module__.startswith(("botocore.", "boto3.")):
            raise
        print(f"s3al: {shown(str(exc))}", file=sys.stderr)
        raise SystemExit(1) from None


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"s3al {__version__}")
        raise typer.Exit


@cli.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Object storage in which nothing is ever stored in the clear."""


@cli.command()
def serve(
    data: Annotated[Path, typer.Option(help="Folder of the store; made if there is none.")] = config.DEFAULT_DATA,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Port 0 takes a free one.")] = config.DEFAULT_LISTEN,
    workers: Annotated[
        int | None, typer.Option(help="Processes that serve.", show_default="one for each processor, at most 8")
    ] = None,
    tls: Annotated[str, typer.Option(metavar="off|auto|CERT:KEY", help="auto makes a local CA.")] = "off",
    insecure_http: Annotated[bool, typer.Option("--insecure-http", help="Plain HTTP beyond loopback.")] = False,
    root_key: Annotated[
        str | None,
        typer.Option(metavar="SEAL", help="What opens the root key.", show_default="keyfile:, in the config folder"),
    ] = None,
    domain: Annotated[str | None, typer.Option(metavar="NAME", help="Serve buckets as BUCKET.NAME too.")] = None,
    trusted_proxy: Annotated[
        list[str] | None, typer.Option(metavar="CIDR", help="Believe X-Forwarded-* from here; may be repeated.")
    ] = None,
    log_names: Annotated[bool, typer.Option("--log-names", help="Log names of buckets and objects.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Say where it serves as one JSON line.")] = False,
) -> None:
    """Serve S3 from a folder in which everything is encrypted."""
    host, port = config.parse_listen(listen)
    settings = config.ServeConfig(
        data=data,
        host=host,
        port=port,
        workers=config.default_workers() if workers is None else workers,
        tls=config.parse_tls(tls),
        insecure_http=insecure_http,
        root_key=root_key,
        domain=config.parse_domain(domain),
        trusted_proxies=config.parse_networks(trusted_proxy or []),
        log_names=log_names,
        config_home=config.config_home(os.environ),
        root_credentials=config.root_credentials(os.environ),
    )
    os.environ.pop("S3AL_ROOT_SECRET_ACCESS_KEY", None)
    _serve(settings, as_json=as_json)


@cli.command()
def check(
    data: Annotated[Path, typer.Argument(help="Folder of a stopped store.")],
    root_key: Annotated[
        str | None,
        typer.Option(metavar="SEAL", help="What opens the root key.", show_default="keyfile:, in the config folder"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer as one JSON document.")] = False,
) -> None:
    """Verify a stopped store and remove its garbage. Exit code 1 if anything is damaged."""
    from s3al import offline

    settings = config.ServeConfig(data=data, root_key=root_key, config_home=config.config_home(os.environ))
    report = offline.check(settings)
    print(json.dumps(dataclasses.asdict(report)) if as_json else "\n".join(report.lines()))
    if report.damage:
        raise typer.Exit(1)


def _serve(settings: config.ServeConfig, *, as_json: bool) -> None:
    try:
        from s3al import app
        from s3al.server import hardening, root_keeper, sealed, supervisor
        from s3al.server.logs import Log
    except ModuleNotFoundError as exc:
        if (exc.name or "").partition(".")[0] == "s3al":
            raise
        raise ConfigError(
            f"serving needs the module {exc.name}, which is not installed", advice="pip install 's3al[server]'"
        ) from exc
    os.umask(0o077)
    hardening.occupy_standard_descriptors()
    hardening.forbid_dumps()
    # The port comes first: nothing is created for a server that cannot serve.
    with supervisor.listen(settings.host, settings.port) as listener, root_keeper.RootKeeper() as root_process:
        settings = dataclasses.replace(settings, port=listener.getsockname()[1])
        pair = _tls_pair(settings)
        root_process.while_sealed = lambda: sealed.sealed_server(listener, Log(), pair)
        prepared = app.prepare(settings, root_process)
        supervisor.Supervisor(
            listener=listener,
            load=lambda _slot: app.worker(prepared),
            log=prepared.log,
            metrics=prepared.metrics,
            tls=pair,
            supervision=supervisor.Supervision(workers=settings.workers),
            hourly=_renewal(settings, pair),
            root=root_process,
        ).run(lambda: _announce(settings, prepared, pair, as_json=as_json))


def _tls_pair(settings: config.ServeConfig) -> TlsPair | None:
    from s3al.server import tls

    if isinstance(settings.tls, config.TlsFiles):
        return tls.given_pair(settings.tls.certificate, settings.tls.key)
    if settings.tls == "auto":
        return tls.automatic_pair(
            settings.tls_folder, domain=settings.domain, listen_host=settings.host, now=datetime.now(UTC)
        )
    return None


def _renewal(settings: config.ServeConfig, pair: TlsPair | None) -> Callable[[], bool] | None:
    """Renews a certificate of `--tls auto` while serving; True if there is a new one."""
    if settings.tls != "auto" or pair is None:
        return None

    def renew() -> bool:
        before = pair.certificate.read_bytes()
        _tls_pair(settings)
        return pair.certificate.read_bytes() != before

    return renew


def _announce(settings: config.ServeConfig, prepared: Prepared, pair: TlsPair | None, *, as_json: bool) -> None:
    ca = str(pair.ca) if pair and pair.ca else None
    if as_json:
        facts = {"endpoint": settings.endpoint, "pid": os.getpid(), "workers": settings.workers, "ca_bundle": ca}
        print(json.dumps(facts), flush=True)
        return
    many = "worker" if settings.workers == 1 else "workers"
    lines = [f"s3al {__version__} serves {settings.endpoint} with {settings.workers} {many}"]
    lines += [f"export AWS_CA_BUNDLE={ca}"] if ca else []
    print(*lines, *prepared.banner_lines, sep="\n", flush=True)

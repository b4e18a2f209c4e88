"""`s3al cp|cat|ls|sync|rm`: objects that are encrypted before they are uploaded.

What lives here: flags and what is printed. What does not: encryption and requests (`s3al.client`), what a command does
to many objects (`client.bulk`).

Laws: those of `s3al.cli`; `--json` gives one stable document on standard output.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from s3al.commands.client_side import (
    FormatOption,
    KeyOption,
    ParallelOption,
    QuietOption,
    Server,
    client_of,
    extra_of,
    files_told,
    tell,
)
from s3al.commands.connection import AsJson, CaBundle, Endpoint, Profile, Region
from s3al.errors import ConfigError

commands = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@commands.command()
def cp(
    source: Annotated[str, typer.Argument(help="A file, - for standard input, or s3://BUCKET/KEY.")],
    target: Annotated[str, typer.Argument(help="A file or folder, - for standard output, or s3://BUCKET/KEY.")],
    key: KeyOption,
    object_format: FormatOption = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="A folder, and all that is in it.")] = False,
    parallel: ParallelOption = 8,
    quiet: QuietOption = False,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """Copy a file or a folder up or down, or one object to another, encrypted with KEY."""
    from s3al.client import bulk

    client = client_of(key, Server(endpoint_url, profile, region, ca_bundle))
    extra = extra_of(key, object_format)
    if recursive:
        options = bulk.SyncOptions(extra, parallel, everything=True)
        with bulk.Progress(quiet=quiet) as progress:
            done = bulk.sync(client, source, target, options, progress)
        tell(done, f"{done.copied} copied", as_json=as_json)
        return
    if target.startswith("s3://"):
        with files_told(), bulk.Progress(quiet=quiet) as progress:
            target = _copy_up(client, source, target, extra, progress)
    elif source == target == "-" or not source.startswith("s3://"):
        raise ConfigError("one of the two names an object, as s3://BUCKET/KEY")
    elif target == "-":
        _print_object(client, source)
        return
    else:
        path = Path(target) / source.rpartition("/")[2] if Path(target).is_dir() else Path(target)
        with files_told(), bulk.Progress(quiet=quiet) as progress:
            bulk.download(client, bulk.place(source), path, progress)
        target = str(path)
    if as_json:
        typer.echo(json.dumps({"source": source, "target": target}))


@commands.command()
def cat(
    source: Annotated[str, typer.Argument(help="s3://BUCKET/KEY")],
    key: KeyOption,
    byte_range: Annotated[str | None, typer.Option("--range", metavar="FIRST-LAST", help="Some bytes of it.")] = None,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
) -> None:
    """Print an object's plaintext, once it is authenticated."""
    _print_object(client_of(key, Server(endpoint_url, profile, region, ca_bundle)), source, byte_range)


@commands.command()
def ls(
    prefix: Annotated[str, typer.Argument(help="s3://BUCKET[/PREFIX]")],
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """List objects with the lengths of their plaintext; needs no key."""
    from s3al.client import bulk

    s3, (bucket, start) = Server(endpoint_url, profile, region, ca_bundle).client("s3"), bulk.split(prefix)
    rows = bulk.listed(s3, bucket, start)
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        typer.echo(f"{row['size']:>14}  {row['modified']}  {row['key']}")


@commands.command()
def sync(
    source: Annotated[str, typer.Argument(help="A folder, or s3://BUCKET[/PREFIX].")],
    target: Annotated[str, typer.Argument(help="s3://BUCKET[/PREFIX], or a folder.")],
    key: KeyOption,
    object_format: FormatOption = None,
    parallel: ParallelOption = 8,
    delete: Annotated[bool, typer.Option("--delete", help="Remove what the source does not have.")] = False,
    quiet: QuietOption = False,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """Make target equal to source. Run it again after an interruption: what is there already is left alone."""
    from s3al.client import bulk

    client = client_of(key, Server(endpoint_url, profile, region, ca_bundle))
    options = bulk.SyncOptions(extra_of(key, object_format), parallel, delete)
    with bulk.Progress(quiet=quiet) as progress:
        done = bulk.sync(client, source, target, options, progress)
    words = f"{done.copied} copied, {done.unchanged} unchanged, {done.removed} removed"
    tell(done, words, as_json=as_json)


@commands.command()
def rm(
    target: Annotated[str, typer.Argument(help="s3://BUCKET/KEY")],
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Everything in a folder or bucket.")] = False,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """Delete an object and its instruction file; needs no key."""
    from s3al.client import bulk

    s3 = Server(endpoint_url, profile, region, ca_bundle).client("s3")
    done = bulk.remove(s3, target, recursive=recursive)
    if as_json or done.failures:
        tell(done, f"{done.removed} removed", as_json=as_json)


def _copy_up(client: Any, source: str, target: str, extra: dict[str, str], progress: Any) -> str:
    """The target, whole."""
    from s3al.client import bulk

    bucket, key = bulk.split(target)
    if not key or key.endswith("/"):
        if source == "-":
            raise ConfigError("standard input has no name", advice=f"Say which: {target.rstrip('/')}/NAME")
        key += source.rpartition("/")[2]
    if source.startswith("s3://"):
        from_bucket, from_key = bulk.place(source)
        client.copy({"Bucket": from_bucket, "Key": from_key}, bucket, key, ExtraArgs=extra or None)
    elif source == "-":
        client.upload_fileobj(sys.stdin.buffer, bucket, key, ExtraArgs=extra or None)
    else:
        bulk.upload(client, Path(source), (bucket, key), extra, progress)
    return f"s3://{bucket}/{key}"


def _print_object(client: Any, source: str, byte_range: str | None = None) -> None:
    from s3al.client import bulk

    bucket, key = bulk.place(source)
    asked = {"Range": f"bytes={byte_range}"} if byte_range else {}
    body = client.get_object(Bucket=bucket, Key=key, **asked)["Body"]
    while piece := body.read(1 << 20):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()

"""The client's commands: `s3al cp|cat|ls|sync|rm`, and `s3al cse scan|rekey|keygen`.

What lives here: flags and what is printed. What does not: encryption and requests (`s3al.client`), what a command does
to many objects (`bulk`).

Laws of the terminal: those of `s3al.cli`: results to standard output, all else to standard error, `--json` gives one
stable document. Keys stand in files or in a KMS, never in the command line.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from s3al.client import bulk
from s3al.client.config import S3EncryptionClientConfig
from s3al.client.errors import ClientConfigError
from s3al.client.formats.suites import CommitmentPolicy
from s3al.client.key_option import keyring_of
from s3al.client.sync import S3EncryptionClient

commands = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
cse = typer.Typer(
    name="cse", help="Client-side encrypted objects: scan, rekey, and keys of your own.", no_args_is_help=True,
    rich_markup_mode=None, pretty_exceptions_enable=False,
)  # fmt: skip
commands.add_typer(cse)

KeyOption = Annotated[str, typer.Option("--key", metavar="KEY", help="kms:ARN, aes:FILE, rsa:FILE, or none.")]
EndpointOption = Annotated[
    str | None, typer.Option("--endpoint-url", envvar="AWS_ENDPOINT_URL", help="The server; AWS by default.")
]
FormatOption = Annotated[str | None, typer.Option("--format", help="stream, for ranged reads; V3 by default.")]
ParallelOption = Annotated[int, typer.Option("--parallel", min=1, max=64, help="Files at once.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Answer as one JSON document.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]


@commands.command()
def cp(
    source: Annotated[str, typer.Argument(help="A file, - for standard input, or s3://BUCKET/KEY.")],
    target: Annotated[str, typer.Argument(help="A file or folder, - for standard output, or s3://BUCKET/KEY.")],
    key: KeyOption,
    endpoint_url: EndpointOption = None,
    object_format: FormatOption = None,
    quiet: QuietOption = False,
) -> None:
    """Copy one file up or down, or one object to another, encrypted with KEY."""
    client = _client(key, endpoint_url)
    extra = {"format": object_format} if object_format and key != "none" else {}
    with bulk.Progress(quiet=quiet) as progress:
        if target.startswith("s3://"):
            _copy_up(client, source, target, extra, progress)
        elif source == target == "-" or not source.startswith("s3://"):
            raise ClientConfigError("one of the two names an object, as s3://BUCKET/KEY")
        elif target == "-":
            _print_object(client, source)
        else:
            path = Path(target) / source.rpartition("/")[2] if Path(target).is_dir() else Path(target)
            bulk.download(client, bulk.place(source), path, progress)


@commands.command()
def cat(
    source: Annotated[str, typer.Argument(help="s3://BUCKET/KEY")],
    key: KeyOption,
    endpoint_url: EndpointOption = None,
    byte_range: Annotated[str | None, typer.Option("--range", metavar="FIRST-LAST", help="Some bytes of it.")] = None,
) -> None:
    """Print an object's plaintext, once it is authenticated."""
    _print_object(_client(key, endpoint_url), source, byte_range)


@commands.command()
def ls(
    prefix: Annotated[str, typer.Argument(help="s3://BUCKET[/PREFIX]")],
    endpoint_url: EndpointOption = None,
    as_json: JsonOption = False,
) -> None:
    """List objects with the lengths of their plaintext; needs no key."""
    s3, (bucket, start) = _s3(endpoint_url), bulk.split(prefix)
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
    endpoint_url: EndpointOption = None,
    object_format: FormatOption = None,
    parallel: ParallelOption = 8,
    delete: Annotated[bool, typer.Option("--delete", help="Remove what the source does not have.")] = False,
    quiet: QuietOption = False,
) -> None:
    """Make target equal to source. Run it again after an interruption: what is there already is left alone."""
    client = _client(key, endpoint_url)
    extra = {"format": object_format} if object_format and key != "none" else {}
    with bulk.Progress(quiet=quiet) as progress:
        done = bulk.sync(client, source, target, bulk.SyncOptions(extra, parallel, delete), progress)
    typer.echo(f"{done.copied} copied, {done.unchanged} unchanged, {done.removed} removed", err=True)
    for failure in done.failures:
        typer.echo(f"s3al: {failure}", err=True)
    if done.failures:
        raise typer.Exit(1)


@commands.command()
def rm(
    target: Annotated[str, typer.Argument(help="s3://BUCKET/KEY")],
    endpoint_url: EndpointOption = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Everything below a prefix.")] = False,
) -> None:
    """Delete an object and its instruction file; needs no key."""
    s3, (bucket, key) = _s3(endpoint_url), bulk.split(target)
    if not key and not recursive:
        raise ClientConfigError("a bucket is emptied only with --recursive")
    keys = [row["Key"] for row in bulk.objects(s3, bucket, key)] if recursive else [key, f"{key}.instruction"]
    for at in range(0, len(keys), 1000):
        named = [{"Key": one} for one in keys[at : at + 1000]]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": named, "Quiet": True})
        if answer.get("Errors"):
            raise ClientConfigError(f"{answer['Errors'][0]['Key']} was not deleted: {answer['Errors'][0]['Code']}")


@cse.command()
def scan(
    prefix: Annotated[str, typer.Argument(help="s3://BUCKET[/PREFIX]")],
    endpoint_url: EndpointOption = None,
    parallel: ParallelOption = 16,
    as_json: JsonOption = False,
) -> None:
    """Say of each object which format it has and which key it is under; needs no key."""
    rows = bulk.scan(_s3(endpoint_url), prefix, parallel)
    if as_json:
        typer.echo(json.dumps(rows))
        return
    for row in rows:
        typer.echo(f"{row['format']:<10} {row['wrap'] or '-':<14} {row['described_by'] or '-':<40} {row['key']}")
    counts = {name: sum(row["format"] == name for row in rows) for name in sorted({row["format"] for row in rows})}
    typer.echo(", ".join(f"{count} {name}" for name, count in counts.items()) or "no objects", err=True)


@cse.command()
def rekey(
    prefix: Annotated[str, typer.Argument(help="s3://BUCKET[/PREFIX]")],
    from_key: Annotated[str, typer.Option("--from", metavar="KEY", help="The key that opens the objects now.")],
    to_key: Annotated[str, typer.Option("--to", metavar="KEY", help="The key that shall open them.")],
    endpoint_url: EndpointOption = None,
    parallel: ParallelOption = 4,
    quiet: QuietOption = False,
) -> None:
    """Move objects to another key: instruction files without moving data, other objects by sealing them anew."""
    old, new = _client(from_key, endpoint_url), _client(to_key, endpoint_url)
    if not isinstance(old, S3EncryptionClient) or not isinstance(new, S3EncryptionClient):
        raise ClientConfigError("rekeying needs two keys; with none there is nothing to rekey")
    with bulk.Progress(quiet=quiet) as progress:
        done = bulk.rekey(old, new, prefix, parallel, progress)
    typer.echo(f"{done.copied} sealed anew, {done.rewrapped} wrapped anew, {done.unchanged} left", err=True)
    for failure in done.failures:
        typer.echo(f"s3al: {failure}", err=True)
    if done.failures:
        raise typer.Exit(1)


@cse.command()
def keygen(
    kind: Annotated[str, typer.Argument(metavar="aes|rsa", help="What to make.")],
    path: Annotated[Path, typer.Argument(help="File of the key; must not exist. rsa also writes FILE.pub.")],
) -> None:
    """Make a key of your own, readable by you alone. Without it the objects are lost: keep a copy."""
    if kind == "aes":
        _new_file(path, base64.b64encode(os.urandom(32)) + b"\n", 0o600)
    elif kind == "rsa":
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        key = rsa.generate_private_key(public_exponent=65537, key_size=4096)
        pkcs8, no_password = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        _new_file(path, key.private_bytes(serialization.Encoding.PEM, pkcs8, no_password), 0o600)
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        _new_file(Path(f"{path}.pub"), public, 0o644)
    else:
        raise ClientConfigError("a key is aes or rsa")
    typer.echo(f"{kind}:{path}")


def _new_file(path: Path, content: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except OSError as exc:
        raise ClientConfigError(f"{path} cannot be made: {exc.strerror}") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


def _s3(endpoint_url: str | None, service: str = "s3") -> Any:
    import boto3

    return boto3.session.Session().client(service, endpoint_url=endpoint_url)


def _client(key: str, endpoint_url: str | None) -> Any:
    """Our client, or boto3's own for `none`: plaintext, because someone said so."""
    s3 = _s3(endpoint_url)
    if key == "none":
        return s3
    config = S3EncryptionClientConfig(
        keyring=keyring_of(key, lambda: _s3(endpoint_url, "kms")),
        commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT,
    )
    return S3EncryptionClient(s3, config)


def _copy_up(client: Any, source: str, target: str, extra: dict[str, str], progress: bulk.Progress) -> None:
    bucket, key = bulk.split(target)
    if source.startswith("s3://"):
        from_bucket, from_key = bulk.split(source)
        client.copy({"Bucket": from_bucket, "Key": from_key}, bucket, key, ExtraArgs=extra or None)
        return
    if not key or key.endswith("/"):
        key += Path(source).name
    if source == "-":
        client.upload_fileobj(sys.stdin.buffer, bucket, key, ExtraArgs=extra or None)
        return
    bulk.upload(client, Path(source), (bucket, key), extra, progress)


def _print_object(client: Any, source: str, byte_range: str | None = None) -> None:
    bucket, key = bulk.place(source)
    asked = {"Range": f"bytes={byte_range}"} if byte_range else {}
    body = client.get_object(Bucket=bucket, Key=key, **asked)["Body"]
    while piece := body.read(1 << 20):
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()

"""`s3al cse scan|rekey|keygen`: which objects are encrypted how, other keys for them, and keys of one's own.

What lives here: flags and printing, and the key files. What does not: the work on objects (`client.bulk`).

Laws: a key file is made readable by its owner alone and never replaces one; `rekey` moves no data where an instruction
file holds the key.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Annotated

import typer

from s3al.commands.client_side import ParallelOption, QuietOption, Server, client_of, tell
from s3al.commands.connection import AsJson, CaBundle, Endpoint, Profile, Region
from s3al.errors import ConfigError

cse = typer.Typer(
    help="Client-side encrypted objects: scan, rekey, and keys of your own.", no_args_is_help=True,
    rich_markup_mode=None, pretty_exceptions_enable=False,
)  # fmt: skip


@cse.command()
def scan(
    prefix: Annotated[str, typer.Argument(help="s3://BUCKET[/PREFIX]")],
    parallel: ParallelOption = 16,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """Say of each object which format it has and which key it is under; needs no key."""
    from s3al.client import bulk

    rows = bulk.scan(Server(endpoint_url, profile, region, ca_bundle).client("s3"), prefix, parallel)
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
    parallel: ParallelOption = 4,
    quiet: QuietOption = False,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """Move objects to another key: instruction files without moving data, other objects by sealing them anew."""
    from s3al.client import bulk

    if "none" in {from_key, to_key}:
        raise ConfigError("rekeying needs two keys; with none there is nothing to rekey")
    server = Server(endpoint_url, profile, region, ca_bundle)
    old, new = client_of(from_key, server), client_of(to_key, server)
    with bulk.Progress(quiet=quiet) as progress:
        done = bulk.rekey(old, new, prefix, parallel, progress)
    words = f"{done.copied} sealed anew, {done.rewrapped} wrapped anew, {done.unchanged} left"
    tell(done, words, as_json=as_json)


@cse.command()
def keygen(
    kind: Annotated[str, typer.Argument(metavar="aes|rsa", help="What to make.")],
    path: Annotated[Path, typer.Argument(help="File of the key; must not exist. rsa also writes FILE.pub.")],
    as_json: AsJson = False,
) -> None:
    """Make a key of your own, readable by you alone. Without it the objects are lost: keep a copy."""
    if kind == "aes":
        _new_file(path, base64.b64encode(os.urandom(32)) + b"\n", 0o600)
    elif kind == "rsa":
        _new_pair(path)
    else:
        raise ConfigError("a key is aes or rsa")
    typer.echo(json.dumps({"key": f"{kind}:{path}"}) if as_json else f"{kind}:{path}")


def _new_pair(path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    pair = rsa.generate_private_key(public_exponent=65537, key_size=4096)
    pkcs8, no_password = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    _new_file(path, pair.private_bytes(serialization.Encoding.PEM, pkcs8, no_password), 0o600)
    public = pair.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _new_file(Path(f"{path}.pub"), public, 0o644)


def _new_file(path: Path, content: bytes, mode: int) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except OSError as exc:
        raise ConfigError(f"{path} cannot be made: {exc.strerror}") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)

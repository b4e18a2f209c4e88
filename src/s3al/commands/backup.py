"""`s3al backup`, `s3al restore`, and what is left of a deleted key.

What lives here: flags and printing. What does not: what a backup is (kms.backups), the ledger (kms.ledger).

Law: run on the machine that has the store, with one of its seals at hand; the store may be served meanwhile.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from s3al import config
from s3al.commands.connection import AsJson, CaBundle, Endpoint, Profile, Region, show
from s3al.own_api_client import Connection, call

commands = typer.Typer()

RootKey = Annotated[
    str | None, typer.Option(metavar="SEAL", help="The seal to open it with.", show_default="keyfile:, the default one")
]


@commands.command()
def backup(
    to: Annotated[Path, typer.Argument(metavar="TO", help="A new folder, best on another machine's disk.")],
    data: Annotated[Path, typer.Option(help="Folder of the store; it may be served meanwhile.")] = config.DEFAULT_DATA,
    root_key: RootKey = None,
    with_blobs: Annotated[bool, typer.Option("--with-blobs", help="Copy the objects' bytes too.")] = False,
    as_json: AsJson = False,
) -> None:
    """Back up keys and catalog, sealed as they are, as of one moment."""
    from s3al.kms.backups import back_up
    from s3al.service.clock import wall_ms
    from s3al.store.layout import open_folder

    manifest = back_up(
        open_folder(data), _choice(root_key), to, with_blobs=with_blobs, now_ms=wall_ms, random=secrets.token_bytes
    )
    if as_json:
        show(manifest, as_json=True)
        return
    copied = f"{manifest['blobs']} blobs of {manifest['blob_bytes']} bytes" if with_blobs else "without blobs"
    show({"backup": manifest["backup_id"], "to": str(to), "copied": copied}, as_json=False)


@commands.command()
def restore(
    source: Annotated[Path, typer.Argument(metavar="FROM", help="Folder of the backup.")],
    data: Annotated[Path, typer.Option(help="New folder, or one in which only blobs are left.")] = config.DEFAULT_DATA,
    root_key: RootKey = None,
    without_ledger: Annotated[
        bool, typer.Option("--without-ledger", help="Restore though keys destroyed since may return.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make a store of a backup; keys that were destroyed since are left out."""
    from s3al.kms.backups import restore as restore_backup

    done = restore_backup(source, data, _choice(root_key), without_ledger=without_ledger, random=secrets.token_bytes)
    answer: dict[str, Any] = asdict(done)
    if not as_json:
        answer["left_out"] = ", ".join(done.left_out) or "no key"
        answer["next"] = f"s3al check {data}"
    show(answer, as_json=as_json)


@commands.command("deleted-key")
def deleted_key(
    key: Annotated[str, typer.Argument(help="Id or ARN of a KMS key that was deleted.")],
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """Say when a key was destroyed, and the oldest backup from which it could return."""
    answer = call(Connection(endpoint_url, profile, region, ca_bundle), "DescribeKeyDeletion", {"key_id": key})
    if as_json:
        show(answer, as_json=True)
        return
    for deletion in answer["deletions"]:
        typer.echo(f"{answer['key_id']} in {deletion['region']}: {deletion['explanation']}")


def _choice(option: str | None) -> Any:
    from s3al.kms.seals.opening import SealChoice

    return SealChoice(option, config.config_home(os.environ).parent)

"""`s3al seal ...`: what opens the root key of a store, and the root itself.

What lives here: flags and printing. What does not: the seals (kms.seals), the changes (kms.store_seals), our own API.

Law: what needs a seal is done on the machine that has the store's folder, beside the server or without one: a seal's
secret goes neither through arguments nor through the server.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from s3al import config
from s3al.commands.connection import AsJson, CaBundle, Endpoint, Profile, Region, show
from s3al.own_api_client import Connection, call

seals = typer.Typer(help="What opens the root key of a store.", no_args_is_help=True)

Data = Annotated[Path, typer.Option(help="Folder of the store; its server may be running.")]
MaybeData = Annotated[Path | None, typer.Option(help="Folder of the store, instead of a server.")]
RootKey = Annotated[
    str | None, typer.Option(metavar="SEAL", help="The seal to open it with.", show_default="keyfile:, the default one")
]


@seals.command()
def add(
    seal: Annotated[str, typer.Argument(metavar="SEAL", help="keyfile:PATH, passphrase:, pkcs11:... or kms:ARN.")],
    data: Data = config.DEFAULT_DATA,
    root_key: RootKey = None,
    name: Annotated[str | None, typer.Option(help="Of the new seal.", show_default="primary or recovery")] = None,
    as_json: AsJson = False,
) -> None:
    """Give a store another seal; each one alone opens it."""
    from s3al.kms.store_seals import add_seal
    from s3al.store.layout import open_folder

    folder = open_folder(data)
    added = _choice(seal)
    record = add_seal(folder, _choice(root_key), added, name=name, random=secrets.token_bytes)
    answer: dict[str, Any] = {"name": record.name, "kind": record.kind}
    if not as_json:
        store_id = bytes.fromhex(folder.read_document()["store_id"])
        answer["protects"] = "; ".join(added.protection(store_id, folder.path))
    show(answer, as_json=as_json)


@seals.command()
def remove(
    name: Annotated[str, typer.Argument(help="Of the seal, as `s3al seal list` shows it.")],
    data: Data = config.DEFAULT_DATA,
    root_key: RootKey = None,
    as_json: AsJson = False,
) -> None:
    """Take a seal from a store, which is opened with another; the last one stays."""
    from s3al.kms.store_seals import remove_seal
    from s3al.store.layout import open_folder

    remove_seal(open_folder(data), _choice(root_key), name, random=secrets.token_bytes)
    advice = "whoever has it and an old store.json can open the root of that time: s3al seal rotate-root ends that"
    show({"removed": name} if as_json else {"removed": name, "next": advice}, as_json=as_json)


@seals.command("rotate-root")
def rotate_root(
    data: Data = config.DEFAULT_DATA,
    root_key: Annotated[
        list[str] | None, typer.Option(metavar="SEAL", help="Once for each seal.", show_default="keyfile:, the default")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Replace the root key, also while the store is served; run it again if it was interrupted."""
    from s3al.kms.store_seals import rotate, shown
    from s3al.service.clock import wall_ms
    from s3al.store.layout import open_folder

    choices = [_choice(option) for option in root_key] if root_key else [_choice(None)]
    keys = rotate(open_folder(data), choices, now_ms=wall_ms(), random=secrets.token_bytes)
    show({"root_version": keys.document.current_root, **_brief(shown(keys.document), as_json)}, as_json=as_json)


@seals.command("list")
def list_seals(
    data: MaybeData = None,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """List the seals of a store. Takes no secret."""
    found = _status(data, Connection(endpoint_url, profile, region, ca_bundle))["seals"]
    if as_json:
        show({"seals": found}, as_json=True)
        return
    for seal in found:
        detail = " ".join(str(seal["parameters"][name]) for name in ("key_arn", "token", "object")
                          if name in seal["parameters"])  # fmt: skip
        typer.echo(f"{seal['name']}  {seal['kind']}  {detail}".rstrip())


@seals.command()
def status(
    data: MaybeData = None,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """Show seals and versions of the root; of a server also whether it has the root now."""
    found = _status(data, Connection(endpoint_url, profile, region, ca_bundle))
    show(_brief(found, as_json), as_json=as_json)


def _status(data: Path | None, connection: Connection) -> dict[str, Any]:
    if data is None:
        return call(connection, "GetSealStatus", {})
    from s3al.kms.store_document import StoreDocument
    from s3al.kms.store_seals import shown
    from s3al.store.layout import open_folder

    return shown(StoreDocument.from_json(open_folder(data).read_document()))


def _brief(found: dict[str, Any], as_json: bool) -> dict[str, Any]:
    """One line a member, unless it is for a program."""
    if as_json:
        return found
    seals = ", ".join(f"{seal['name']} ({seal['kind']})" for seal in found["seals"])
    roots = ", ".join(f"{root['version']}{' (current)' if root['is_current'] else ''}" for root in found["roots"])
    return found | {"seals": seals, "roots": roots}


def _choice(option: str | None) -> Any:
    from s3al.kms.seals.opening import SealChoice

    return SealChoice(option, config.config_home(os.environ).parent)

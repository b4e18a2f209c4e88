"""`s3al account ...`: the accounts of a server, by our own API; `reset-root` also on a stopped store.

What lives here: flags and printing. What does not: the API (own_api_client), the rules (iam.accounts).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from s3al import config
from s3al.commands.connection import AsJson, CaBundle, Endpoint, Profile, Region, show
from s3al.errors import ConfigError
from s3al.own_api_client import Connection, call

accounts = typer.Typer(help="Accounts of a server; the operator's root only.", no_args_is_help=True)


@accounts.command()
def create(
    name: Annotated[str, typer.Argument(help="Letters, digits and _ . -")],
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """Make an account and its root access key, whose secret is shown this once."""
    answer = call(Connection(endpoint_url, profile, region, ca_bundle), "CreateAccount", {"name": name})
    show(answer, as_json=as_json)


@accounts.command("list")
def list_accounts(
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """List all accounts."""
    connection = Connection(endpoint_url, profile, region, ca_bundle)
    found: list[dict[str, Any]] = []
    after = ""
    while True:
        page = call(connection, "ListAccounts", {"after": after})
        found += page["accounts"]
        if "next" not in page:
            break
        after = page["next"]
    if as_json:
        typer.echo(json.dumps({"accounts": found}))
        return
    for account in found:
        operator = "  operator" if account["is_operator"] else ""
        typer.echo(f"{account['account_id']}  {account['name']}{operator}")


@accounts.command("set")
def set_account(
    account: Annotated[str, typer.Argument(help="Id or name.")],
    block_sse_c: Annotated[
        bool | None, typer.Option("--block-sse-c/--allow-sse-c", help="For buckets made from now on.")
    ] = None,
    block_public_access: Annotated[
        bool | None, typer.Option("--block-public-access/--allow-public-access", help="The same.")
    ] = None,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """Change what an account gives its new buckets."""
    wanted = {"block_sse_c": block_sse_c, "block_public_access": block_public_access}
    changes = {name: value for name, value in wanted.items() if value is not None}
    if not changes:
        raise ConfigError("nothing to change", advice="see s3al account set --help")
    connection = Connection(endpoint_url, profile, region, ca_bundle)
    show(call(connection, "SetAccount", {"account": account, "settings": changes}), as_json=as_json)


@accounts.command("reset-root")
def reset_root(
    account: Annotated[str, typer.Argument(help="Id or name.")],
    data: Annotated[Path | None, typer.Option(help="Folder of a stopped store, instead of a server.")] = None,
    root_key: Annotated[str | None, typer.Option(metavar="SEAL", help="With --data: what opens the root key.")] = None,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """Replace the root access key of an account; the old one is refused from then on."""
    if data is None:
        connection = Connection(endpoint_url, profile, region, ca_bundle)
        show(call(connection, "ResetAccountRoot", {"account": account}), as_json=as_json)
        return
    from s3al.offline import reset_root_key

    settings = config.ServeConfig(data=data, root_key=root_key, config_home=config.config_home(os.environ))
    row, access_key = reset_root_key(settings, account)
    answer = {"account_id": row.account_id, "name": row.name}
    answer |= {"access_key_id": access_key.access_key_id, "secret_access_key": access_key.secret}
    show(answer, as_json=as_json)

"""`s3al can` and `s3al why`: one decision explained, before it is asked for or after it was refused.

What lives here: flags, printing, exit codes. What does not: the decision and the change that would turn it (the
server), their wording (explain.tables).

Law: `can` ends with 0 if it is allowed, 1 if it is not, 2 if that could not be told.
"""

from __future__ import annotations

import json
import time
from typing import Annotated, Any, Final

import typer

from s3al.commands.connection import AsJson, CaBundle, Endpoint, Profile, Region
from s3al.errors import ConfigError, S3alError
from s3al.own_api_client import Connection, call

commands = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
# A refusal is stored a moment after it was answered (service.refusals).
_TRIES: Final = 5
_BETWEEN_S: Final = 0.3


@commands.command()
def can(
    principal: Annotated[str, typer.Argument(help="ARN, or root, user/NAME, role/NAME, anonymous.")],
    action: Annotated[str, typer.Argument(metavar="SERVICE:ACTION", help="As policies write it.")],
    resource: Annotated[str, typer.Argument(help="ARN, s3://BUCKET/KEY, a key's id or alias, or *.")],
    context: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A condition key of the request; may be repeated.")
    ] = None,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """Say whether somebody may do something, by which statement, and the smallest change that would let him."""
    from s3al.explain.tables import can_lines

    connection = Connection(endpoint_url, profile, region, ca_bundle)
    asked = {"principal": principal, "action": action, "resource": resource, "context": _context(context or [])}
    try:
        document = call(connection, "Can", asked)
    except ConfigError:
        raise
    except S3alError as error:
        raise ConfigError(str(error), advice=error.advice) from error  # exit code 2: it could not be told
    typer.echo(json.dumps(document) if as_json else "\n".join(can_lines(document)))
    if not document["allowed"]:
        raise typer.Exit(1)


def _context(pairs: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            raise ConfigError(f"{pair!r} is no condition key with a value", advice="write KEY=VALUE")
        if name in found:
            before = found[name]
            found[name] = [*(before if isinstance(before, list) else [before]), value]
        else:
            found[name] = value
    return found


@commands.command()
def why(
    request_id: Annotated[str, typer.Argument(help="Of the request that was answered AccessDenied.")],
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """Say why a request was refused, and what would be decided now."""
    from s3al.explain.tables import why_lines

    connection = Connection(endpoint_url, profile, region, ca_bundle)
    document = _refusal(connection, request_id)
    typer.echo(json.dumps(document) if as_json else "\n".join(why_lines(document)))


def _refusal(connection: Connection, request_id: str) -> dict[str, Any]:
    for tries_left in range(_TRIES - 1, -1, -1):
        try:
            return call(connection, "WhyDenied", {"request_id": request_id})
        except S3alError as error:
            if not (tries_left and str(error).startswith("NoSuchEntity")):
                raise
        time.sleep(_BETWEEN_S)
    raise AssertionError("the last try returns or raises")

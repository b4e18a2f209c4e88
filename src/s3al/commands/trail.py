"""`s3al trail ...`: who did what with which key, and whether the record of it is whole.

What lives here: flags, following, printing. What does not: searching (trail.lookup), verifying (trail.verification),
the folder of a store (offline).

Laws: `verify` ends with 1 when something is wrong, and says of each chain what is first wrong with it; with --data it
needs no server, only the folder and its seal. What is printed has no secret, as the trail has none; a record is one
line, in which names that others chose are escaped.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from s3al import config
from s3al.commands.connection import AsJson, CaBundle, Endpoint, Profile, Region
from s3al.errors import ConfigError
from s3al.explain.shown import shown
from s3al.own_api_client import Connection, call

trail = typer.Typer(help="The audit trail: who did what with which key.", no_args_is_help=True)

_EVERY_S = 1.0
_HIDDEN = "SearchTrail"  # by whoever follows the trail, every second

MaybeData = Annotated[Path | None, typer.Option(help="Folder of the store, instead of a server.")]
RootKey = Annotated[
    str | None, typer.Option(metavar="SEAL", help="With --data: what opens the root key.", show_default="keyfile:")
]
Since = Annotated[str, typer.Option(metavar="TIME", help="As in 2026-11-28T00:00:00Z.")]
Attribute = Annotated[
    str | None, typer.Option("--where", metavar="NAME=VALUE", help="An attribute of LookupEvents: EventName, Username, "
                             "ResourceName, EventSource, AccessKeyId, EventId, ReadOnly, ResourceType.")
]  # fmt: skip
Account = Annotated[str | None, typer.Option(help="Only records that belong to this account.")]


@trail.command()
def tail(
    count: Annotated[int, typer.Option("--count", "-n", help="How many to begin with.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until interrupted.")] = False,
    where: Attribute = None,
    account: Account = None,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document a line.")] = False,
) -> None:
    """The newest records, the last one last."""
    connection = Connection(endpoint_url, profile, region, ca_bundle)
    question = _question(where, account, "", "")
    worded = json.dumps if as_json else _line
    newest = _newest(connection, question, count)
    _print(newest, worded)
    while follow:
        time.sleep(_EVERY_S)
        since = newest[-1]["eventTime"] if newest else ""
        known = {event["eventID"] for event in newest}
        fresh = [one for one in _pages(connection, question | {"since": since}) if one["eventID"] not in known]
        fresh.reverse()
        _print(fresh, worded)
        at_once = [one for one in newest if fresh and one["eventTime"] == fresh[-1]["eventTime"]]
        newest = at_once + fresh or newest


@trail.command()
def search(
    where: Attribute = None,
    since: Since = "",
    until: Since = "",
    account: Account = None,
    most: Annotated[int, typer.Option(help="No more than so many.")] = 1000,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """Records, newest first, of calls, of uses of keys, and of objects where a bucket asks for it."""
    question = _question(where, account, since, until)
    events: list[dict[str, Any]] = []
    for event in _pages(Connection(endpoint_url, profile, region, ca_bundle), question):
        if len(events) == most:
            break
        events.append(event)
    if as_json:
        typer.echo(json.dumps({"events": events}))
    else:
        _print(events, _line)


@trail.command()
def verify(
    data: MaybeData = None,
    root_key: RootKey = None,
    against: Annotated[
        list[Path] | None, typer.Option(metavar="FILE", help="A checkpoint that --to wrote; may be repeated.")
    ] = None,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """Open every record in its place; name the first that was altered, removed or inserted. Exit code 1 if one was."""
    if data is not None:
        found = _verified_here(data, root_key, against or [])
    else:
        found = _verified_there(Connection(endpoint_url, profile, region, ca_bundle), against or [])
    typer.echo(json.dumps(found) if as_json else "\n".join(_verdict(found)))
    if found["findings"]:
        raise typer.Exit(1)


@trail.command()
def export(
    to: Annotated[Path | None, typer.Option(help="A new file; standard output by default.")] = None,
    data: MaybeData = None,
    root_key: RootKey = None,
    since: Since = "",
    until: Since = "",
    account: Account = None,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
) -> None:
    """All records as JSON, one a line: newest first from a server, oldest first from a folder."""
    if data is not None:
        events = _read_here(data, root_key, _question(None, account, since, until))
    else:
        connection = Connection(endpoint_url, profile, region, ca_bundle)
        events = _pages(connection, _question(None, account, since, until))
    lines = (json.dumps(event) for event in events)
    if to is None:
        for line in lines:
            typer.echo(line)
        return
    with _new_file(to) as file:
        count = sum(1 for line in lines if file.write(line + "\n"))
    typer.echo(f"{count} records in {to}")


@trail.command()
def checkpoint(
    to: Annotated[Path | None, typer.Option(help="A new file, best on another machine.")] = None,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
) -> None:
    """The newest signed checkpoint. Kept elsewhere, it shows later whether the trail was cut off or put back."""
    document = call(Connection(endpoint_url, profile, region, ca_bundle), "GetTrailCheckpoint", {})
    if to is None:
        typer.echo(json.dumps(document))
        return
    with _new_file(to) as file:
        file.write(json.dumps(document) + "\n")
    records = sum(chain["count"] for chain in document["chains"].values())
    typer.echo(f"checkpoint {document['number']} of {records} records in {to}")


# --- asking a server


def _question(where: str | None, account: str | None, since: str, until: str) -> dict[str, Any]:
    name, found, value = (where or "").partition("=")
    if where and not (found and value):
        raise ConfigError(f"{where!r} names no attribute", advice="give NAME=VALUE, as in EventName=Decrypt")
    question = {"attribute": name, "value": value, "account": account, "since": since, "until": until}
    return {member: given for member, given in question.items() if given}


def _pages(connection: Connection, question: dict[str, Any]) -> Iterator[dict[str, Any]]:
    marker = None
    while True:
        page = call(connection, "SearchTrail", question | ({"marker": marker} if marker else {}))
        yield from page["events"]
        marker = page.get("next")
        if marker is None:
            return


def _newest(connection: Connection, question: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """The newest last."""
    newest = []
    for event in _pages(connection, question):
        if event["eventName"] != _HIDDEN:
            newest.append(event)
        if len(newest) >= count:
            break
    return newest[::-1]


def _verified_there(connection: Connection, against: list[Path]) -> dict[str, Any]:
    """A chain a call, once for each checkpoint that was kept, so that no call takes long."""
    from s3al.trail.checkpoints import load_exported

    total: dict[str, Any] = {"records": 0, "chains": 0, "beyond": 0, "torn": [], "findings": []}
    exported = [{"against": load_exported(path).to_json()} for path in against]
    for number, kept in enumerate(exported or [{}]):
        following: str | None = ""
        while following is not None:
            asked = {"incarnation": following, **kept}
            page = call(connection, "VerifyTrail", asked)
            if number == 0:
                for name in ("records", "chains", "beyond"):
                    total[name] += page[name]
                total["torn"] += page["torn"]
                total |= {name: page[name] for name in ("vouched_number", "vouched_at")}
            total["findings"] += [one for one in page["findings"] if one not in total["findings"]]
            following = page.get("next")
    return total


# --- reading a folder


def _verified_here(data: Path, root_key: str | None, against: list[Path]) -> dict[str, Any]:
    from s3al.offline import verify_trail
    from s3al.trail.checkpoints import load_exported

    return verify_trail(_settings(data, root_key), [load_exported(path) for path in against]).to_json()


def _read_here(data: Path, root_key: str | None, question: dict[str, Any]) -> Iterator[dict[str, Any]]:
    from s3al.offline import read_trail
    from s3al.trail.lookup import matches
    from s3al.trail.own import question_of

    asked = question_of(question)
    for record in read_trail(_settings(data, root_key)):
        if matches(record.event, asked):
            yield json.loads(record.event)


def _settings(data: Path, root_key: str | None) -> config.ServeConfig:
    return config.ServeConfig(data=data, root_key=root_key, config_home=config.config_home(os.environ))


def _new_file(path: Path) -> Any:
    """That only we can read. Raises ConfigError if one is there."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"{path} cannot be made: {error.strerror}", advice="name a new file") from error
    return os.fdopen(descriptor, "w")


# --- printing


def _print(events: list[dict[str, Any]], worded: Callable[[dict[str, Any]], str]) -> None:
    for event in events:
        if event["eventName"] != _HIDDEN:
            typer.echo(worded(event))
    sys.stdout.flush()


def _line(event: dict[str, Any]) -> str:
    """When, what, who, on what, under which encryption context; and why it was refused."""
    who = event.get("userIdentity") or {}
    params = event.get("requestParameters") or {}
    parts = [event["eventTime"], f"{event['eventSource'].partition('.')[0]}:{event['eventName']}"]
    parts.append(who.get("arn") or who.get("invokedBy") or who.get("type") or "-")
    if who.get("arn") and who.get("invokedBy"):
        parts.append("via S3")
    parts += [one["ARN"] for one in event["resources"][-1:]]
    parts += [f"{name}={value}" for name, value in (params.get("encryptionContext") or {}).items()]
    if event.get("errorCode"):
        parts.append(f"REFUSED {event['errorCode']}")
    return "  ".join(shown(part) for part in parts)


def _verdict(found: dict[str, Any]) -> list[str]:
    from s3al.trail.verification import TrailFinding

    lines = [f"{found['records']} records in {found['chains']} chains opened in their places"]
    if found["vouched_number"] is not None:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found["vouched_at"] / 1000))
        lines.append(f"checkpoint {found['vouched_number']} of {at} vouches for all but the newest {found['beyond']}")
    lines += [f"{shown(name)} ends with a record cut short, as a crash leaves it" for name in found["torn"]]
    lines += [shown(str(TrailFinding(**one))) for one in found["findings"]]
    return [*lines, f"{len(found['findings'])} findings"]

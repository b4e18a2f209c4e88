"""`s3al explain`: the envelope of an object, the life of a KMS key, or what a word of the field means.

What lives here: what was asked about, and printing. What does not: the facts (the server), their wording and pictures
(explain.words, explain.pictures), the answers to topics (explain.topics).

Law: a topic is answered without a server too, then without this store's example.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from s3al.commands.connection import AsJson, CaBundle, Endpoint, Profile, Region, write_picture
from s3al.errors import ConfigError, S3alError
from s3al.explain.pages import add_page
from s3al.explain.topics import TOPICS
from s3al.explain.words import lines
from s3al.own_api_client import Connection, call

command = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
_MOST_VERSIONS: Final = 100_000


@command.command("explain")
def explain_command(
    what: Annotated[
        str | None, typer.Argument(metavar="s3://BUCKET/KEY | kms:KEY | TOPIC", help="Without it: the topics.")
    ] = None,
    version_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Of the object; the current one without.")
    ] = None,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it, too.")] = None,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """Say what encrypts an object and who can read it, how a KMS key came to its materials, or what a word means."""
    connection = Connection(endpoint_url, profile, region, ca_bundle)
    if what is None:
        _list_topics(as_json=as_json)
        return
    document = _document(connection, what, version_id)
    if svg is not None:
        _draw(document, svg)
    typer.echo(json.dumps(document) if as_json else "\n".join(lines(document)))


def _list_topics(*, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"topics": {topic.topic: topic.question for topic in TOPICS.values()}}))
        return
    width = max(len(topic) for topic in TOPICS)
    typer.echo("\n".join(f"{topic.topic:<{width}}  {topic.question}" for topic in TOPICS.values()))


def _document(connection: Connection, what: str, version_id: str | None) -> dict[str, Any]:
    if what.startswith("s3://"):
        bucket, _, key = what.removeprefix("s3://").partition("/")
        if not bucket or not key:
            raise ConfigError(f"{what!r} names no object", advice="write s3://BUCKET/KEY")
        asked = {"bucket": bucket, "key": key} | ({"version_id": version_id} if version_id else {})
        return call(connection, "ExplainObject", asked)
    if version_id is not None:
        raise ConfigError("--version-id is for objects", advice="write s3://BUCKET/KEY")
    if what.startswith(("kms:", "arn:aws:kms:")):
        return _key(connection, what.removeprefix("kms:"))
    return _topic(connection, what)


def _key(connection: Connection, name: str) -> dict[str, Any]:
    """Page after page is counted, until all of it was looked at or it becomes too much."""
    if not name:
        raise ConfigError("kms: names no key", advice="write kms:ID, kms:ARN or kms:alias/NAME")
    document = call(connection, "ExplainKey", {"key": name})
    while "next" in document and document["objects"]["looked_at"] < _MOST_VERSIONS:
        add_page(document, call(connection, "ExplainKey", {"key": name, "marker": document["next"]}))
    return document


def _topic(connection: Connection, name: str) -> dict[str, Any]:
    topic = TOPICS.get(name.lower())
    if topic is None:
        near = difflib.get_close_matches(name.lower(), TOPICS, n=3, cutoff=0.5)
        advice = f"perhaps {' or '.join(near)}" if near else "s3al explain lists the topics"
        raise ConfigError(f"there is no topic {name!r}", advice=advice)
    try:
        return call(connection, "ExplainTopic", {"topic": topic.topic})
    except S3alError:  # no server, no credentials, or not let ask: the answer holds without an example
        return topic.document()


def _draw(document: dict[str, Any], path: Path) -> None:
    from s3al.explain.pictures import picture

    if document["explains"] == "topic":
        raise ConfigError("a topic has no picture", advice="draw an object or a KMS key")
    write_picture(picture(document), path)

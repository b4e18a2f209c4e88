"""`s3al advise`: from requirements to the ways of encrypting that meet them, and why the others do not.

What lives here: flags made of the table of requirements, questions on a terminal, printing. What does not: the tables
and the choice (advice), what is done on a bucket (choice_in_place).

Laws: with any requirement given, or without a terminal, nothing is asked; `--check` ends with 1 if the choice does not
hold.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from s3al.advice.choice import Advice, advise
from s3al.advice.documents import Documents, Place, documents_for
from s3al.advice.options import OPTIONS
from s3al.advice.requirements import REQUIREMENTS
from s3al.commands.connection import AsJson, CaBundle, Endpoint, Profile, Region
from s3al.errors import ConfigError, S3alError

_FLAGS = "\n\n".join(f"--{each.requirement_id}: {each.question}" for each in REQUIREMENTS.values())

command = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)


@command.command(
    "advise",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    epilog=f"Requirements, each a flag:\n\n{_FLAGS}",
)
def advise_command(
    context: typer.Context,
    documents: Annotated[
        bool, typer.Option("--documents", help="Print policies and code that put the first choice in place.")
    ] = False,
    option: Annotated[str | None, typer.Option(metavar="ID", help="Take this option instead of the first.")] = None,
    apply_to: Annotated[
        str | None, typer.Option("--apply", metavar="s3://BUCKET", help="Put it in place on this bucket.")
    ] = None,
    check_on: Annotated[
        str | None, typer.Option("--check", metavar="s3://BUCKET", help="Say whether it holds on this bucket.")
    ] = None,
    measure_on: Annotated[
        str | None, typer.Option("--measure", metavar="s3://BUCKET", help="Measure what each choice costs there.")
    ] = None,
    kms_key: Annotated[str | None, typer.Option(metavar="ARN", help="The KMS key to use.")] = None,
    admin: Annotated[list[str] | None, typer.Option(metavar="ARN", help="Administers the key; repeatable.")] = None,
    user: Annotated[list[str] | None, typer.Option(metavar="ARN", help="Uses the key; repeatable.")] = None,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """Say which way of encrypting meets your requirements, and why the others do not."""
    required = _required(context.args)
    if not required and not as_json and sys.stdin.isatty() and sys.stdout.isatty():
        required = [each.requirement_id for each in REQUIREMENTS.values() if typer.confirm(each.question)]
    advice = advise(required)
    taken = _taken(advice, option)
    bucket = _bucket(apply_to or check_on or measure_on)
    place = _place(bucket, kms_key, admin or [], user or [])
    answer: dict[str, Any] = advice.document()
    lines = _lines(advice)
    if documents and taken:
        answer["documents"] = asdict(documents_for(taken, place))
        lines += ["", *_document_lines(documents_for(taken, place))]
    if bucket:
        if taken is None:
            raise S3alError("no option meets all requirements: nothing to put in place")
        from s3al import choice_in_place

        clients = _clients(endpoint_url, profile, region, ca_bundle)
        if apply_to:
            answer["applied"] = choice_in_place.apply(clients, taken, place)
            lines += ["", *answer["applied"]]
        if check_on:
            answer["findings"] = choice_in_place.check(clients, taken, place)
            lines += ["", *(answer["findings"] or [f"{taken} holds on {bucket}"])]
        if measure_on:
            answer["costs"] = {each: choice_in_place.measure(clients, each, place) for each in advice.chosen}
            lines += ["", *_cost_lines(answer["costs"])]
    typer.echo(json.dumps(answer) if as_json else "\n".join(lines))
    if answer.get("findings"):
        raise typer.Exit(1)


def _required(arguments: list[str]) -> list[str]:
    for argument in arguments:
        if not argument.startswith("--"):
            raise ConfigError(f"{argument!r} is not a flag", advice="see s3al advise --help")
    return [argument.removeprefix("--") for argument in arguments]


def _taken(advice: Advice, option: str | None) -> str | None:
    if option is None:
        return advice.chosen[0] if advice.chosen else None
    if option not in OPTIONS:
        raise ConfigError(f"{option!r} is not an option", advice="they are: " + ", ".join(OPTIONS))
    for each in advice.rejected:
        if each.option_id == option:
            raise ConfigError(f"{option} fails {each.requirement_id}: {each.reason}")
    return option


def _bucket(url: str | None) -> str | None:
    if url is None:
        return None
    bucket = url.removeprefix("s3://").rstrip("/")
    if not url.startswith("s3://") or not bucket or "/" in bucket:
        raise ConfigError(f"{url!r} names no bucket", advice="write s3://BUCKET")
    return bucket


def _place(bucket: str | None, kms_key: str | None, administrators: list[str], users: list[str]) -> Place:
    place = Place(administrators=tuple(administrators), users=tuple(users))
    changes: dict[str, Any] = {"bucket": bucket} if bucket else {}
    if kms_key:
        parts = kms_key.split(":")
        if len(parts) != 6 or parts[2] != "kms" or not parts[5].startswith("key/"):
            raise ConfigError(f"{kms_key!r} is not the ARN of a KMS key", advice="arn:aws:kms:REGION:ACCOUNT:key/ID")
        changes |= {"kms_key": kms_key, "account_id": parts[4]}
    return Place(**(asdict(place) | changes))


def _clients(endpoint_url: str | None, profile: str | None, region: str | None, ca_bundle: str | None) -> Any:
    import boto3

    from s3al.choice_in_place import Clients

    session = boto3.Session(profile_name=profile, region_name=region)
    s3 = session.client("s3", endpoint_url=endpoint_url, verify=ca_bundle)
    return Clients(s3, session.client("kms", endpoint_url=endpoint_url, verify=ca_bundle))


def _lines(advice: Advice) -> list[str]:
    lines = ["These meet all of it:" if advice.chosen else "No option meets all of it."]
    lines += [f"  {option_id}: {OPTIONS[option_id].summary}" for option_id in advice.chosen]
    lines += ["", "These do not:"]
    lines += [f"  {each.option_id} ({each.requirement_id}): {each.reason}" for each in advice.rejected]
    return lines + (["", *advice.notes] if advice.notes else [])


def _document_lines(documents: Documents) -> list[str]:
    parts = {
        "Default encryption of the bucket": documents.default_encryption,
        "Policy of the bucket": documents.bucket_policy,
        "Policy of the KMS key": documents.key_policy,
    }
    lines = []
    for title, document in parts.items():
        if document is not None:
            lines += [f"{title}:", json.dumps(document, indent=2), ""]
    return [*lines, "Code:", documents.client_code]


def _cost_lines(costs: dict[str, dict[str, float]]) -> list[str]:
    lines = ["Median of a 4 KiB request, on this server, in ms:"]
    return lines + [f"  {each}: PUT {cost['put_ms']:.1f}, GET {cost['get_ms']:.1f}" for each, cost in costs.items()]

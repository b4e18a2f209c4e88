"""`s3al key ...`: KMS keys whose roles are held apart, and data keys wrapped anew under the newest material.

What lives here: flags, progress, printing. What does not: the policy (advice.key_policy), the KMS and S3 themselves,
which are called as anybody calls them, and the pages of our own API (s3.own).
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from s3al.advice.key_policy import separated
from s3al.commands.connection import AsJson, CaBundle, Endpoint, Profile, Region, show, write_picture
from s3al.own_api_client import Connection, call

keys = typer.Typer(help="KMS keys: roles held apart, rotation followed up.", no_args_is_help=True)

Principals = Annotated[list[str] | None, typer.Option(metavar="ARN", help="May be repeated.")]


@keys.command()
def create(
    alias: Annotated[str | None, typer.Option(help="As in alias/NAME.")] = None,
    description: Annotated[str, typer.Option(help="What the key is for.")] = "",
    admin: Principals = None,
    user: Principals = None,
    auditor: Principals = None,
    admins_change_policy: Annotated[
        bool, typer.Option("--admins-change-policy", help="Administrators may put another policy.")
    ] = False,
    rotation_days: Annotated[int | None, typer.Option(help="Rotate by itself, every 90 to 2560 days.")] = None,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """Make a key that its administrators cannot use and its users cannot manage."""
    session = _session(profile, region)
    kms = session.client("kms", endpoint_url=endpoint_url, verify=ca_bundle)
    account_id = session.client("sts", endpoint_url=endpoint_url, verify=ca_bundle).get_caller_identity()["Account"]
    policy = separated(
        account_id,
        administrators=admin or [],
        users=user or [],
        auditors=auditor or [],
        administrators_change_policy=admins_change_policy,
    )
    made = kms.create_key(Description=description)["KeyMetadata"]
    answer: dict[str, Any] = {"arn": made["Arn"], "key_id": made["KeyId"]}
    if alias:
        name = alias if alias.startswith("alias/") else f"alias/{alias}"
        kms.create_alias(AliasName=name, TargetKeyId=made["KeyId"])
        answer["alias"] = name
    if rotation_days is not None:
        kms.enable_key_rotation(KeyId=made["KeyId"], RotationPeriodInDays=rotation_days)
        answer["rotation_days"] = rotation_days
    # Last: from here on whoever makes the key has only the rights that the policy gives.
    kms.put_key_policy(KeyId=made["KeyId"], PolicyName="default", Policy=json.dumps(policy))
    show(answer | {"policy": policy} if as_json else answer, as_json=as_json)


@keys.command()
def who(
    kms_key: Annotated[str, typer.Argument(metavar="KEY", help="Id, ARN, alias or alias ARN.")],
    action: Annotated[
        list[str] | None, typer.Option(metavar="kms:ACTION", help="Only these; may be repeated.")
    ] = None,
    bucket: Annotated[str | None, typer.Option(help="For which bucket's objects to ask what S3 would.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Statements as JSON, and why others may not.")] = False,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw it, too.")] = None,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """Say who may do what with a key, and which statement or grant decides each."""
    from s3al.explain.matrix_picture import matrix_picture
    from s3al.explain.tables import joined, matrix_lines

    connection = Connection(endpoint_url, profile, region, ca_bundle)
    asked = {"key": kms_key} | ({"actions": action} if action else {}) | ({"bucket": bucket} if bucket else {})
    pages = [call(connection, "WhoMayUseKey", asked)]
    while "next" in pages[-1]:
        pages.append(call(connection, "WhoMayUseKey", asked | {"after": pages[-1]["next"]}))
    document = joined(pages)
    if svg is not None:
        write_picture(matrix_picture(document), svg)
    typer.echo(json.dumps(document) if as_json else "\n".join(matrix_lines(document, verbose=verbose)))


@keys.command()
def rewrap(
    kms_key: Annotated[str, typer.Argument(metavar="KEY", help="Id, ARN, alias or alias ARN.")],
    bucket: Annotated[list[str] | None, typer.Option(help="Only these; all of yours by default.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    endpoint_url: Endpoint = None,
    profile: Profile = None,
    region: Region = None,
    ca_bundle: CaBundle = None,
    as_json: AsJson = False,
) -> None:
    """Wrap the data keys of existing objects under the key's newest material. No data moves; run it again at will."""
    session = _session(profile, region)
    kms = session.client("kms", endpoint_url=endpoint_url, verify=ca_bundle)
    arn = kms.describe_key(KeyId=kms_key)["KeyMetadata"]["Arn"]
    if not bucket:
        listed = session.client("s3", endpoint_url=endpoint_url, verify=ca_bundle).list_buckets()["Buckets"]
        bucket = [each["Name"] for each in listed]
    connection = Connection(endpoint_url, profile, region, ca_bundle)
    before, rewrapped, changed = _passes(connection, arn, bucket, dry_run=dry_run)
    after = before if dry_run else _passes(connection, arn, bucket, dry_run=True)[0]
    answer: dict[str, Any] = {
        "kms_key": arn,
        "rewrapped": rewrapped,
        "changed_meanwhile": changed,
        "before": dict(before),
        "after": dict(after),
    }
    if as_json:
        typer.echo(json.dumps(answer))
        return
    typer.echo(f"{rewrapped} data keys wrapped anew, {changed} left alone because they changed meanwhile")
    for material in sorted(before | after):
        typer.echo(f"  material {material[:16]}: {before[material]} versions before, {after[material]} after")


def _passes(
    connection: Connection, kms_key: str, buckets: list[str], *, dry_run: bool
) -> tuple[Counter[str], int, int]:
    """Versions by material as they were found, how many were wrapped anew, how many changed meanwhile."""
    materials: Counter[str] = Counter()
    rewrapped = changed = 0
    for name in buckets:
        marker = None
        while True:
            asked = {"bucket": name, "kms_key": kms_key, "marker": marker, "dry_run": dry_run}
            page = call(connection, "RewrapObjects", asked)
            materials.update(page["materials"])
            rewrapped += page["rewrapped"]
            changed += page["changed_meanwhile"]
            if sys.stderr.isatty():
                typer.echo(f"\r{name}: {materials.total()} versions seen, {rewrapped} wrapped anew", nl=False, err=True)
            marker = page.get("next")
            if marker is None:
                break
    return materials, rewrapped, changed


def _session(profile: str | None, region: str | None) -> Any:
    import boto3

    return boto3.Session(profile_name=profile, region_name=region)

"""What the commands of client-side encryption share: the key option, the clients made of it, and how work is told.

What lives here: option types, `s3_of`, `client_of`, `tell`. What does not: the commands (objects, cse).

Laws: keys stand in files or in a KMS, never in the command line; `none` is plaintext, because someone said so. The
client's libraries are imported when a command runs.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from s3al.errors import ConfigError

if TYPE_CHECKING:
    from s3al.client.bulk import Done

KeyOption = Annotated[str, typer.Option("--key", metavar="KEY", help="kms:ARN, aes:FILE, rsa:FILE, or none.")]
FormatOption = Annotated[str | None, typer.Option("--format", help="stream, for ranged reads; V3 by default.")]
ParallelOption = Annotated[int, typer.Option("--parallel", min=1, max=64, help="Files at once.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]

_CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Server:
    """Where to call, as the shared flags say it."""

    endpoint_url: str | None
    profile: str | None
    region: str | None
    ca_bundle: str | None

    def client(self, service: str) -> Any:
        """boto3's client; what no flag says is found as the AWS CLI finds it."""
        import boto3
        from botocore.config import Config

        session = boto3.session.Session(profile_name=self.profile, region_name=self.region)
        return session.client(
            service, endpoint_url=self.endpoint_url, verify=self.ca_bundle,
            config=Config(max_pool_connections=_CONNECTIONS),
        )  # fmt: skip


def client_of(key: str, server: Server) -> Any:
    """Our client under `key`, or boto3's own for `none`."""
    s3 = server.client("s3")
    if key == "none":
        return s3
    from s3al.client.config import S3EncryptionClientConfig
    from s3al.client.formats.suites import CommitmentPolicy
    from s3al.client.key_option import keyring_of
    from s3al.client.sync import S3EncryptionClient

    config = S3EncryptionClientConfig(
        keyring=keyring_of(key, lambda: server.client("kms")),
        commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT,
    )
    return S3EncryptionClient(s3, config)


def extra_of(key: str, object_format: str | None) -> dict[str, str]:
    """What `--format` adds to a write. Raises ConfigError for what `key` cannot have."""
    if object_format is None:
        return {}
    if key == "none" or object_format != "stream":
        raise ConfigError("--format is stream, and needs a key", advice="Leave it out for V3, the default.")
    return {"format": object_format}


@contextmanager
def files_told() -> Iterator[None]:
    """A file that cannot be read or written is the caller's to mend: one line says which, and why."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise ConfigError(f"{exc.filename or 'a file'}: {exc.strerror or exc}") from None


def tell(done: Done, words: str, *, as_json: bool) -> None:
    """What came of work on many objects: one JSON document, or `words`; exit code 1 if something failed."""
    if as_json:
        typer.echo(json.dumps(dataclasses.asdict(done)))
    else:
        typer.echo(words, err=True)
        for failure in done.failures:
            typer.echo(f"s3al: {failure}", err=True)
    if done.failures:
        raise typer.Exit(1)

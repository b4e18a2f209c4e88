"""A client of our own API, for commands: finds endpoint, region and credentials as the AWS CLI does.

What lives here: one signed call. What does not: what the operations mean (iam.admin), printing (cli).

botocore is imported at the first call, so that `s3al --help` starts without it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.session import Session

from s3al.errors import ConfigError, S3alError

SERVICE = "s3al"
DEFAULT_ENDPOINT = "http://127.0.0.1:9000"


@dataclass(frozen=True, slots=True)
class Connection:
    """Where to call and as whom; None means: as the AWS CLI would find it."""

    endpoint_url: str | None = None
    profile: str | None = None
    region: str | None = None
    ca_bundle: str | None = None


def call(connection: Connection, operation: str, document: dict[str, Any]) -> dict[str, Any]:
    """Raises ConfigError without credentials or a server, S3alError with what the server answered
    otherwise."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.exceptions import BotoCoreError, HTTPClientError, NoCredentialsError
    from botocore.exceptions import ConnectionError as NoConnection
    from botocore.httpsession import URLLib3Session
    from botocore.session import Session

    try:
        session = Session(profile=connection.profile)
        credentials = session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        region = connection.region or session.get_config_variable("region") or "us-east-1"
        endpoint = connection.endpoint_url or _endpoint(session)
        verify = connection.ca_bundle or session.get_config_variable("ca_bundle") or True
        request = AWSRequest(
            method="POST",
            url=f"{endpoint.rstrip('/')}/_s3al/v1/{operation}",
            data=json.dumps(document),
            headers={"Content-Type": "application/json"},
        )
        SigV4Auth(credentials.get_frozen_credentials(), SERVICE, region).add_auth(request)
        response = URLLib3Session(verify=verify).send(request.prepare())
    except (HTTPClientError, NoConnection) as error:
        raise ConfigError(f"no server answers at {endpoint}", advice="name it with --endpoint-url") from error
    except BotoCoreError as error:
        raise ConfigError(str(error), advice="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile") from error
    return _answer(response.status_code, response.content)


def _endpoint(session: Session) -> str:
    """The server that the AWS CLI would call for S3."""
    found = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return str(found or session.get_scoped_config().get("endpoint_url") or DEFAULT_ENDPOINT)


def _answer(status: int, content: bytes) -> dict[str, Any]:
    try:
        document: Any = json.loads(content)
    except ValueError:
        document = None
    if status == 200 and isinstance(document, dict):
        return document
    error = document.get("error", {}) if isinstance(document, dict) else {}
    raise S3alError(f"{error.get('code', status)}: {error.get('message', 'the server gave no reason')}")

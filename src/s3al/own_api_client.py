"""A client of our own API, for commands: finds endpoint, region and credentials as the AWS CLI does.

What lives here: signed calls. What does not: what the operations mean (iam.admin), printing (cli).

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
_LIVE = "/_s3al/health/live"
DEFAULT_ENDPOINT = "http://127.0.0.1:9000"


@dataclass(frozen=True, slots=True)
class Connection:
    """Where to call and as whom; None means: as the AWS CLI would find it."""

    endpoint_url: str | None = None
    profile: str | None = None
    region: str | None = None
    ca_bundle: str | None = None


class OwnApi:
    """Calls over one kept connection, for commands that ask page after page."""

    def __init__(self, connection: Connection) -> None:
        """Raises ConfigError without credentials."""
        from botocore.exceptions import BotoCoreError, NoCredentialsError
        from botocore.httpsession import URLLib3Session
        from botocore.session import Session

        try:
            session = Session(profile=connection.profile)
            self._credentials = session.get_credentials()
            if self._credentials is None:
                raise NoCredentialsError
            self._region = connection.region or session.get_config_variable("region") or "us-east-1"
            self.endpoint = connection.endpoint_url or _endpoint(session)
            verify = connection.ca_bundle or session.get_config_variable("ca_bundle") or True
        except BotoCoreError as error:
            raise _unusable(error) from error
        self._http = URLLib3Session(verify=verify)

    def is_there(self) -> bool:
        """Whether it is a server of s3al that answers at the endpoint; asks without a signature."""
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import BotoCoreError, HTTPClientError

        request = AWSRequest(method="GET", url=f"{self.endpoint.rstrip('/')}{_LIVE}")
        try:
            response = self._http.send(request.prepare())
        except (BotoCoreError, HTTPClientError):
            return False
        return bool(response.status_code == 200 and response.content == b"live\n")

    def call(self, operation: str, document: dict[str, Any]) -> dict[str, Any]:
        """Raises ConfigError without a server, S3alError with what the server answered otherwise."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import BotoCoreError, HTTPClientError
        from botocore.exceptions import ConnectionError as NoConnection

        request = AWSRequest(
            method="POST",
            url=f"{self.endpoint.rstrip('/')}/_s3al/v1/{operation}",
            data=json.dumps(document),
            headers={"Content-Type": "application/json"},
        )
        try:
            SigV4Auth(self._credentials.get_frozen_credentials(), SERVICE, self._region).add_auth(request)
            response = self._http.send(request.prepare())
        except (HTTPClientError, NoConnection) as error:
            raise ConfigError(
                f"no server answers at {self.endpoint}", advice="name it with --endpoint-url"
            ) from error
        except BotoCoreError as error:
            raise _unusable(error) from error
        return _answer(response.status_code, response.content)


def call(connection: Connection, operation: str, document: dict[str, Any]) -> dict[str, Any]:
    """One call. Raises ConfigError without credentials or a server, S3alError with what the server answered
    otherwise."""
    return OwnApi(connection).call(operation, document)


def _unusable(error: Exception) -> ConfigError:
    return ConfigError(str(error), advice="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile")


def _endpoint(session: Session) -> str:
    """The server that the AWS CLI would call for S3."""
    found = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return str(found or session.get_scoped_config().get("endpoint_url") or DEFAULT_ENDPOINT)


def _answer(status: int, content: bytes) -> dict[str, Any]:
    try:
        document: Any = json.loads(content)
    except (ValueError, RecursionError):
        document = None
    if status == 200 and isinstance(document, dict):
        return document
    said = document.get("error") if isinstance(document, dict) else None
    error = said if isinstance(said, dict) else {}
    raise S3alError(f"{error.get('code', status)}: {error.get('message', 'the server gave no reason')}")

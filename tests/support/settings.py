"""What journeys set up and ask around the thing they test: buckets, KMS keys, accounts, metrics.

All of it goes through the server's own interfaces, as a user would.
"""

from __future__ import annotations

import json
import re
import secrets
import ssl
import urllib.request
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from support.raw_http import request
from support.server_process import ServerProcess

SSE_KMS = "aws:kms"
DSSE_KMS = "aws:kms:dsse"
NO_RETRIES = Config(retries={"total_max_attempts": 1})  # a retry would hide what went wrong


@dataclass(frozen=True, slots=True)
class Account:
    """An account of the server and what its root signs with."""

    account_id: str
    access_key_id: str
    secret_access_key: str = field(repr=False)

    @property
    def root_arn(self) -> str:
        return f"arn:aws:iam::{self.account_id}:root"

    def client(self, server: ServerProcess, service: str = "s3", **options: Any) -> Any:
        keys = {"aws_access_key_id": self.access_key_id, "aws_secret_access_key": self.secret_access_key}
        return server.client(service, **keys, **options)


def new_bucket(server: ServerProcess, *, owner: Any = None) -> str:
    """A bucket of a name that no other test has. owner: a client; the operator's by default."""
    name = f"journey-{secrets.token_hex(6)}"
    (owner or server.client()).create_bucket(Bucket=name)
    return name


def new_key(server: ServerProcess, **options: Any) -> str:
    """The ARN of a new KMS key of the operator."""
    arn: str = server.client("kms").create_key(**options)["KeyMetadata"]["Arn"]
    return arn


def set_default(s3: Any, bucket: str, mode: str, key: str | None = None, *, bucket_key: bool = False) -> None:
    default = {"SSEAlgorithm": mode} | ({"KMSMasterKeyID": key} if key else {})
    rule = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": bucket_key}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})


def allow_sse_c(s3: Any, bucket: str) -> None:
    rule = {"BlockedEncryptionTypes": {"EncryptionType": ["NONE"]}}
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})


def put_policy(s3: Any, bucket: str, *statements: dict[str, Any]) -> None:
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))


def own_api(server: Any, operation: str, **members: Any) -> dict[str, Any]:
    """Call `/_s3al/v1/<operation>` as whoever `server` has credentials of. Raises urllib.error.HTTPError."""
    url = f"{server.endpoint}/_s3al/v1/{operation}"
    asked = AWSRequest("POST", url, data=json.dumps(members), headers={"Content-Type": "application/json"})
    credentials = Credentials(server.access_key_id, server.secret_access_key)
    SigV4Auth(credentials, "s3al", server.region).add_auth(asked)
    sent = urllib.request.Request(url, asked.data.encode(), dict(asked.headers), method="POST")
    tls = ssl.create_default_context(cafile=server.ca_bundle) if server.ca_bundle else None
    with urllib.request.urlopen(sent, timeout=30, context=tls) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def new_account(server: ServerProcess) -> Account:
    made = own_api(server, "CreateAccount", name=f"account-{secrets.token_hex(4)}")
    return Account(made["account_id"], made["access_key_id"], made["secret_access_key"])


def kms_calls(server: ServerProcess) -> dict[str, int]:
    """Uses of KMS keys by operation, over all workers, as `/_s3al/metrics` tells them. Plain HTTP only."""
    with server.connection() as connection:
        connection.send(request("GET", "/_s3al/metrics"))
        text = connection.receive().body.decode()
    return {name: int(value) for name, value in re.findall(r's3al_kms_calls_total\{operation="(\w+)"\} (\d+)', text)}


class Refusal:
    """The AWS error that a block must raise: `with refused("NoSuchKey", 404): ...`"""

    def __init__(self, code: str, status: int | None = None) -> None:
        self._code, self._status = code, status
        self._raises: Any = pytest.raises(ClientError)
        self.message = ""

    def __enter__(self) -> Refusal:
        self._caught = self._raises.__enter__()
        return self

    def __exit__(self, *what: Any) -> bool:
        swallowed = self._raises.__exit__(*what)
        if swallowed:
            response = self._caught.value.response
            self.message = response["Error"].get("Message", "")
            told = (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"])
            assert told[0] == self._code, response["Error"]
            assert self._status in (None, told[1])
        return bool(swallowed)


def refused(code: str, status: int | None = None) -> Refusal:
    return Refusal(code, status)

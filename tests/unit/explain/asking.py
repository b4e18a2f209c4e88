"""Objects of every mode in a store, and people of the operator's account who ask to have them explained."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from jsonschema import Draft202012Validator

from s3al.explain.pages import add_page
from support.house import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Answer, House
from support.modes import MODES, mode_of
from support.settings import allow_sse_c

SCHEMAS = Path(__file__).resolve().parents[3] / "docs" / "schemas"
ROOT = {"aws_access_key_id": ACCESS_KEY_ID, "aws_secret_access_key": SECRET_ACCESS_KEY}
EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def ask(house: House, operation: str, keys: Mapping[str, str] = ROOT, *, secure: bool = True, **members: Any) -> Answer:
    """An operation of our own API, by whoever has these access keys."""
    host, target, body = "127.0.0.1:9000", f"/_s3al/v1/{operation}", json.dumps(members).encode()
    asked = AWSRequest("POST", f"https://{host}{target}", data=body, headers={"Host": host})
    credentials = Credentials(keys["aws_access_key_id"], keys["aws_secret_access_key"])
    SigV4Auth(credentials, "s3al", REGION).add_auth(asked)
    headers = {name: str(value) for name, value in asked.headers.items()}
    return house.ask("POST", target, headers, body, secure=secure)


def check(document: dict[str, Any]) -> dict[str, Any]:
    """The document, which must be as its schema says."""
    name = {"object": "explain-object", "kms-key": "explain-key", "topic": "explain-topic"}[document["explains"]]
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    Draft202012Validator(schema).validate(document)
    return document


@dataclass
class Desk:
    """The operator's account with a bucket and a KMS key of its own."""

    house: House
    bucket: str = field(default_factory=lambda: f"desk-{secrets.token_hex(5)}")
    key: str = field(init=False)

    def __post_init__(self) -> None:
        self.s3.create_bucket(Bucket=self.bucket)
        allow_sse_c(self.s3, self.bucket)
        self.key = self.kms.create_key()["KeyMetadata"]["Arn"]

    @property
    def s3(self) -> Any:
        return self.house.client()

    @property
    def kms(self) -> Any:
        return self.house.client("kms")

    @property
    def account(self) -> str:
        return self.key.split(":")[4]

    def put_every_mode(self, size: int = 100) -> None:
        for name in MODES:
            mode = mode_of(name, self.key)
            self.s3.put_object(Bucket=self.bucket, Key=name, Body=b"x" * size, **mode.put)

    def put(self, object_key: str = "object", mode: str = "sse-kms", **more: Any) -> str:
        self.s3.put_object(Bucket=self.bucket, Key=object_key, **(mode_of(mode, self.key).put | {"Body": b"x"} | more))
        return object_key

    def user(self, *statements: dict[str, Any]) -> tuple[str, dict[str, str]]:
        """(ARN, access keys) of a new user of the operator's account."""
        iam, name = self.house.client("iam"), f"user-{secrets.token_hex(5)}"
        arn: str = iam.create_user(UserName=name)["User"]["Arn"]
        if statements:
            policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            iam.put_user_policy(UserName=name, PolicyName="mine", PolicyDocument=policy)
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return arn, {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}

    def key_policy(self, *statements: dict[str, Any]) -> None:
        """Beside the statement of the account."""
        account = {"Sid": "Account", "Effect": "Allow", "Principal": {"AWS": self.account}, "Action": "kms:*",
                   "Resource": "*"}  # fmt: skip
        policy = json.dumps({"Version": "2012-10-17", "Statement": [account, *statements]})
        self.kms.put_key_policy(KeyId=self.key, PolicyName="default", Policy=policy)

    def explain(self, object_key: str, keys: Mapping[str, str] = ROOT, **members: Any) -> dict[str, Any]:
        answer = ask(self.house, "ExplainObject", keys, bucket=self.bucket, key=object_key, **members)
        assert answer.status == 200, answer.body
        return check(answer.document)

    def explain_key(self, keys: Mapping[str, str] = ROOT, **members: Any) -> dict[str, Any]:
        """All pages, added up."""
        document = self.key_page(keys, **members)
        while "next" in document:
            add_page(document, self.key_page(keys, **(members | {"marker": document["next"]})))
        return document

    def key_page(self, keys: Mapping[str, str] = ROOT, **members: Any) -> dict[str, Any]:
        answer = ask(self.house, "ExplainKey", keys, **({"key": self.key} | members))
        assert answer.status == 200, answer.body
        return check(answer.document)


def outcome(document: dict[str, Any], thief: str) -> str:
    """What this thief reads."""
    return next(one["reads"] for one in document["thieves"] if one["thief"] == thief)


def cautions(document: dict[str, Any]) -> set[str]:
    return {one["id"] for one in document["cautions"]}

"""No secret of any way to send a request is kept: in the trail, in the log, in the refusals, in what `why` tells."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.config import Config

from support.house import Answer, House, open_house
from support.people import allow, give, make_user, trust
from support.settings import allow_sse_c

BUCKET = "secrets"
KEY = os.urandom(32)
CUSTOMER = {
    "x-amz-server-side-encryption-customer-algorithm": "AES256",
    "x-amz-server-side-encryption-customer-key": base64.b64encode(KEY).decode(),
    "x-amz-server-side-encryption-customer-key-md5": base64.b64encode(hashlib.md5(KEY).digest()).decode(),
}
V4 = Config(signature_version="s3v4", s3={"addressing_style": "path"})


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("house")) as opened:
        opened.client().create_bucket(Bucket=BUCKET)
        allow_sse_c(opened.client(), BUCKET)
        opened.own_api("SetBucketTrail", bucket=BUCKET, data_events=True)
        yield opened
        assert opened.events("unforeseen") == []


@pytest.fixture(scope="module")
def session(house: House) -> dict[str, str]:
    """Credentials of a role session that may do nothing but write `mine/*`."""
    account_id = house.client("sts").get_caller_identity()["Account"]
    server_key = house.workers[0].gateway.services["iam"].ports.server_key
    iam, database = house.client("iam"), house.workers[0].s3.db
    user = database.write_now(lambda rows: make_user(rows, server_key, account_id, "taker"))
    role = iam.create_role(RoleName="worn", AssumeRolePolicyDocument=trust({"AWS": account_id}))["Role"]["Arn"]
    mine = allow("s3:PutObject", f"arn:aws:s3:::{BUCKET}/mine/*")
    database.write_now(lambda rows: [give(rows, user.arn, allow("sts:AssumeRole")), give(rows, role, mine)])
    taken = house.client("sts", **user.keys).assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    return {
        "aws_access_key_id": taken["AccessKeyId"],
        "aws_secret_access_key": taken["SecretAccessKey"],
        "aws_session_token": taken["SessionToken"],
    }


def posted(house: House, fields: dict[str, str]) -> Answer:
    begin = '--xx\r\nContent-Disposition: form-data; name='
    parts = [f'{begin}"{name}"\r\n\r\n{value}\r\n' for name, value in fields.items()]
    parts.append(f'{begin}"file"; filename="f"\r\n\r\nthe file\r\n--xx--\r\n')
    content_type = {"content-type": "multipart/form-data; boundary=xx"}
    return house.ask("POST", f"/{BUCKET}", content_type, "".join(parts).encode())


def kept(house: House, request_ids: list[str]) -> str:
    """All that the store keeps of requests, opened, and what it tells of those that it refused."""
    told = [house.own_api("WhyDenied", request_id=one) for one in request_ids]
    trail = house.own_api("SearchTrail", since="2000-01-01T00:00:00Z")["events"]
    found: list[Any] = [told, trail, house.log_path.read_text()]
    with house.stopped() as store:
        rows = store.all("SELECT * FROM refusals")
        assert len(rows) >= len(request_ids) > 0
        found.append(repr(rows))
    return json.dumps(found)


def test_no_way_to_send_a_request_leaves_a_secret(house: House, session: dict[str, str]) -> None:
    s3 = house.client(config=V4, **session)
    secrets = {session["aws_secret_access_key"], session["aws_session_token"], *list(CUSTOMER.values())[1:], KEY.hex()}
    refused: list[str] = []

    def note(answer: Answer, status: int) -> None:
        assert answer.status == status, answer.body
        if status == 403 and b"Policy Condition" not in answer.body and b"SignatureDoesNot" not in answer.body:
            refused.append(answer.headers["x-amz-request-id"])

    for key, status in (("mine/a", 204), ("others/a", 403)):
        customer = {**CUSTOMER, "x-amz-meta-private": os.urandom(16).hex()}
        form: dict[str, str] = s3.generate_presigned_post(
            BUCKET, key, Fields=customer, Conditions=[{name: value} for name, value in customer.items()]
        )["fields"]
        secrets |= {form["policy"], form["x-amz-signature"], customer["x-amz-meta-private"]}
        note(posted(house, form), status)
        note(posted(house, form | {"x-amz-server-side-encryption-customer-key": "other"}), 403)
        note(posted(house, form | {"x-amz-signature": "0" * 64}), 403)
        asked = {"Bucket": BUCKET, "Key": key}
        signed = {
            "SSECustomerAlgorithm": "AES256",
            "SSECustomerKey": CUSTOMER["x-amz-server-side-encryption-customer-key"],
            "SSECustomerKeyMD5": CUSTOMER["x-amz-server-side-encryption-customer-key-md5"],
        }
        for method, more, headers, expected in (
            ("put_object", {}, {}, 200 if status == 204 else 403),
            ("put_object", signed, CUSTOMER, 200 if status == 204 else 403),
            ("get_object", {}, {}, 403),
            ("get_object", signed, CUSTOMER, 403),
        ):
            url = urlsplit(s3.generate_presigned_url(method, Params=asked | more))
            secrets.add(parse_qs(url.query)["X-Amz-Signature"][0])
            headers = headers | {"referer": f"https://127.0.0.1:9000{url.path}?{url.query}"}
            body = b"the body" if method == "put_object" else b""
            note(house.ask("PUT" if body else "GET", f"{url.path}?{url.query}", headers, body), expected)
    assert len(refused) == 7
    text = kept(house, refused)
    for secret in secrets:
        assert secret not in text, text[max(0, text.index(secret) - 300) : text.index(secret) + 100]

"""Forms and CORS through the whole pipeline: what a form may say, who may send it, what its answer shows."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET

import pytest
from botocore.config import Config

from support.house import Answer, House, open_house
from support.settings import put_policy

BUCKET = "forms"
V4 = Config(signature_version="s3v4")
OPEN = {"Effect": "Allow", "Principal": "*", "Action": ["s3:PutObject", "s3:GetObject"],
        "Resource": f"arn:aws:s3:::{BUCKET}/*"}  # fmt: skip
RULES = {"CORSRules": [{"AllowedOrigins": ["https://a.example"], "AllowedMethods": ["GET", "POST"],
                        "ExposeHeaders": ["etag"]}]}  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("house")) as opened:
        s3 = opened.client()
        s3.create_bucket(Bucket=BUCKET)
        s3.delete_public_access_block(Bucket=BUCKET)
        put_policy(s3, BUCKET, OPEN)
        s3.put_bucket_cors(Bucket=BUCKET, CORSConfiguration=RULES)
        yield opened
        assert [event["at"] for event in opened.events("unforeseen")] == []


def form(fields: dict[str, str], file: bytes | None = b"the file") -> bytes:
    parts = [f'--xx\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
             for name, value in fields.items()]  # fmt: skip
    if file is not None:
        parts.append(b'--xx\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + file + b"\r\n")
    return b"".join(parts) + b"--xx--\r\n"


def post(house: House, fields: dict[str, str], file: bytes | None = b"the file", **headers: str) -> Answer:
    content_type = {"content-type": "multipart/form-data; boundary=xx"}
    return house.ask("POST", f"/{BUCKET}", content_type | headers, form(fields, file))


def signed(house: House, object_key: str, **options: Any) -> dict[str, str]:
    fields: dict[str, str] = house.client(config=V4).generate_presigned_post(BUCKET, object_key, **options)["fields"]
    return fields


def get(house: House, object_key: str) -> bytes:
    body: bytes = house.client().get_object(Bucket=BUCKET, Key=object_key)["Body"].read()
    return body


@pytest.mark.parametrize("size", [0, 10, 300_000])
def test_an_anonymous_form_is_stored_where_the_bucket_is_open(house: House, size: int) -> None:
    assert post(house, {"key": "anonymous"}, bytes(size)).status == 204
    assert get(house, "anonymous") == bytes(size)


def test_a_signed_form_is_stored_and_its_policy_holds(house: House) -> None:
    conditions = [["content-length-range", 5, 10]]
    fields = signed(house, "signed", Conditions=conditions)
    assert post(house, fields, b"12345").status == 204
    for file, code in ((b"1234", b"EntityTooSmall"), (b"12345678901", b"EntityTooLarge")):
        answer = post(house, fields, file)
        assert answer.status == 400 and b"<Code>" + code in answer.body
    assert get(house, "signed") == b"12345"
    assert b"<Code>AccessDenied" in post(house, fields | {"acl": "private"}, b"12345").body
    assert b"<Code>AccessDenied" in post(house, fields | {"key": "another"}, b"12345").body


@pytest.mark.parametrize("name", ["x-amz-signature", "policy"])
def test_a_form_whose_signature_or_policy_was_altered_is_refused(house: House, name: str) -> None:
    fields = signed(house, "altered")
    if name == "policy":
        policy = json.loads(base64.b64decode(fields["policy"]))
        later = datetime.now(UTC) + timedelta(days=365)
        policy["expiration"] = later.strftime("%Y-%m-%dT%H:%M:%SZ")
        fields["policy"] = base64.b64encode(json.dumps(policy).encode()).decode()
    else:
        fields[name] = "0" * 64
    answer = post(house, fields)
    assert (answer.status, b"<Code>SignatureDoesNotMatch" in answer.body) == (403, True)


def test_a_form_of_an_unknown_key_is_refused(house: House) -> None:
    fields = signed(house, "unknown")
    credential = fields["x-amz-credential"].split("/", 1)[1]
    answer = post(house, fields | {"x-amz-credential": f"AKIANOBODY/{credential}"})
    assert (answer.status, b"<Code>InvalidAccessKeyId" in answer.body) == (403, True)


@pytest.mark.parametrize(
    "name", ["Content-Type", "Expires", "Content-Encoding", "Cache-Control", "Content-Disposition"]
)
def test_a_field_that_would_break_an_answers_head_is_refused(house: House, name: str) -> None:
    answer = post(house, {"key": "broken", name: "one\r\nX-Evil: 1"})
    assert (answer.status, b"<Code>InvalidArgument" in answer.body) == (400, True)


@pytest.mark.parametrize("url", ["http://x/\r\nX-Evil: 1", "javascript:alert(1)", "http://[", "//x", ""])
def test_what_is_no_url_is_no_redirect(house: House, url: str) -> None:
    answer = post(house, {"key": "redirected", "success_action_redirect": url})
    assert answer.status == 204 and "location" not in answer.headers


def test_a_redirect_names_what_was_stored(house: House) -> None:
    answer = post(house, {"key": "a b", "success_action_redirect": "https://x.example/done?a=1"})
    assert answer.status == 303
    assert answer.headers["location"].startswith("https://x.example/done?a=1&bucket=forms&key=a+b&etag=%22")


@pytest.mark.parametrize(("wanted", "status"), [("200", 200), ("201", 201), ("204", 204), ("999", 204), ("x", 204)])
def test_the_status_is_one_of_three(house: House, wanted: str, status: int) -> None:
    assert post(house, {"key": "status", "success_action_status": wanted}).status == status


@pytest.mark.parametrize("object_key", ["plain", "a/b c+d", "<&>\"'", "tab\tand\x01\x1b\x7f", "\ufffe\u2028é😀"])
def test_a_document_of_201_is_well_formed_for_every_key_and_its_location_names_the_object(
    house: House, object_key: str
) -> None:
    answer = post(house, {"key": object_key, "success_action_status": "201"}, b"found")
    assert (answer.status, answer.headers["content-type"]) == (201, "application/xml")
    document = ET.fromstring(answer.body)  # expat, which refuses what XML 1.0 cannot express
    assert [element.tag for element in document] == ["Location", "Bucket", "Key", "ETag"]
    location = urlsplit(document.findtext("Location") or "")
    assert location.path.isascii() and unquote(location.path) == f"/{BUCKET}/{object_key}"
    assert house.ask("GET", location.path, {}).body == b"found"
    unreadable = {1: "\ufffd", 0x1B: "\ufffd", 0xFFFE: "\ufffd"}
    assert document.findtext("Key") == object_key.translate(unreadable)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (form({"key": "k"}, None), b"IncorrectNumberOfFilesInPostRequest"),
        (form({}), b"InvalidArgument"),
        (form({"key": "k"})[:-20], b"MalformedPOSTRequest"),
        (b"no form at all", b"MalformedPOSTRequest"),
        (b"", b""),
    ],
)
def test_what_is_no_form_is_refused(house: House, body: bytes, code: bytes) -> None:
    answer = house.ask("POST", f"/{BUCKET}", {"content-type": "multipart/form-data; boundary=xx"}, body)
    assert 400 <= answer.status < 500 and code in answer.body


def test_cors_headers_are_on_answers_and_on_refusals_of_allowed_origins_only(house: House) -> None:
    house.client().put_object(Bucket=BUCKET, Key="k", Body=b"body")
    for target, status in ((f"/{BUCKET}/k", 200), (f"/{BUCKET}/nothing", 403)):
        allowed = house.ask("GET", target, {"origin": "https://a.example"})
        assert allowed.status == status
        assert allowed.headers["access-control-allow-origin"] == "https://a.example"
        other = house.ask("GET", target, {"origin": "https://b.example"})
        assert other.status == status and "access-control-allow-origin" not in other.headers
    gone = house.ask("GET", "/no-such-bucket/k", {"origin": "https://a.example"})
    assert gone.status == 404 and "access-control-allow-origin" not in gone.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://a.example", "access-control-request-method": "GET"}, 200),
        ({"origin": "https://a.example", "access-control-request-method": "DELETE"}, 403),
        ({"origin": "https://b.example", "access-control-request-method": "GET"}, 403),
        ({"access-control-request-method": "GET"}, 400),
        ({"origin": "https://a.example"}, 400),
    ],
)
def test_a_preflight_is_answered_by_the_buckets_rules(house: House, headers: dict[str, str], status: int) -> None:
    assert house.ask("OPTIONS", f"/{BUCKET}/k", headers).status == status

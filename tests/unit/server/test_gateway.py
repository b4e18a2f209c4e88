"""The pipeline: every failure, at whichever step, is answered in the protocol and the words of the service asked."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from s3al.errors import IntegrityError, RequestError, StoreError
from s3al.iam.errors import IAM_ERRORS
from s3al.kms.errors import KMS_ERRORS
from s3al.s3.errors import S3_ERRORS
from s3al.server.refusals import TRANSLATIONS, worded
from support.house import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Answer, House, open_house

HOST = "127.0.0.1:9000"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that succeeds: the simplest operation of one service."""

    service: str
    operation: str
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


FORM = {"content-type": "application/x-www-form-urlencoded"}
ASKED = {
    "s3": Asked("s3", "ListBuckets", "GET", "/", {}),
    "kms": Asked("kms", "ListKeys", "POST", "/",
                 {"x-amz-target": "TrentService.ListKeys", "content-type": "application/x-amz-json-1.1"}, b"{}"),
    "sts": Asked("sts", "GetCallerIdentity", "POST", "/", FORM, b"Action=GetCallerIdentity&Version=2011-06-15"),
    "s3al": Asked("s3al", "ListAccounts", "POST", "/_s3al/v1/ListAccounts", {"content-type": "text/json"}, b"{}"),
}  # fmt: skip
SERVICES = tuple(ASKED)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("house")) as opened:
        yield opened


def signed(
    asked: Asked, *, access_key_id: str = ACCESS_KEY_ID, secret: str = SECRET_ACCESS_KEY, scope: str | None = None
) -> dict[str, str]:
    headers = {"Host": HOST, **asked.headers}
    request = AWSRequest(asked.method, f"https://{HOST}{asked.target}", data=asked.body, headers=headers)
    signer = S3SigV4Auth if asked.service == "s3" else SigV4Auth
    signer(Credentials(access_key_id, secret), scope or asked.service, REGION).add_auth(request)
    return {name.lower(): str(value) for name, value in request.headers.items()}


def ask(house: House, asked: Asked, headers: Mapping[str, str]) -> Answer:
    return house.ask(asked.method, asked.target, headers, asked.body)


def refusal(answer: Answer) -> tuple[int, str]:
    """(status, code), read as a client of the service reads it."""
    if answer.headers["content-type"].startswith("application/x-amz-json"):
        return answer.status, answer.document["__type"].rpartition("#")[2]
    if answer.headers["content-type"] == "application/json":
        return answer.status, answer.document["error"]["code"]
    found = re.search(rb"<Code>(.*?)</Code>", answer.body)
    assert found, answer.body
    return answer.status, found[1].decode()


# What is wrong -> (status, code) by service.
REFUSALS: dict[str, dict[str, tuple[int, str]]] = {
    "unknown access key": {
        "s3": (403, "InvalidAccessKeyId"),
        "kms": (400, "UnrecognizedClientException"),
        "sts": (403, "InvalidClientTokenId"),
        "s3al": (403, "InvalidClientTokenId"),
    },
    "wrong secret": {
        "s3": (403, "SignatureDoesNotMatch"),
        "kms": (400, "InvalidSignatureException"),
        "sts": (403, "SignatureDoesNotMatch"),
        "s3al": (403, "SignatureDoesNotMatch"),
    },
    "token nobody gave": {
        "s3": (400, "InvalidToken"),
        "kms": (400, "UnrecognizedClientException"),
        "sts": (403, "InvalidClientTokenId"),
        "s3al": (403, "InvalidClientTokenId"),
    },
    "no signature": {
        "s3": (403, "AccessDenied"),
        "kms": (400, "MissingAuthenticationTokenException"),
        "sts": (403, "MissingAuthenticationToken"),
        "s3al": (403, "MissingAuthenticationToken"),
    },
    "header and query signed": {
        "s3": (400, "InvalidArgument"),
        "kms": (400, "ValidationException"),
        "sts": (400, "ValidationError"),
        "s3al": (400, "ValidationError"),
    },
    "head too large": {
        "s3": (400, "RequestHeaderSectionTooLarge"),
        "kms": (400, "ValidationException"),
        "sts": (400, "ValidationError"),
        "s3al": (400, "ValidationError"),
    },
    "query that is not UTF-8": {
        "s3": (400, "InvalidURI"),
        "kms": (400, "ValidationException"),
        "sts": (400, "ValidationError"),
        "s3al": (400, "ValidationError"),
    },
}


def broken(asked: Asked, fault: str) -> tuple[Asked, dict[str, str]]:
    if fault == "unknown access key":
        return asked, signed(asked, access_key_id="AKIANOBODYHASTHISKEY")
    if fault == "wrong secret":
        return asked, signed(asked, secret="another secret")
    if fault == "token nobody gave":
        with_token = replace(asked, headers={**asked.headers, "x-amz-security-token": "made up"})
        return with_token, signed(with_token)
    if fault == "no signature":
        return asked, {"host": HOST, **asked.headers}
    if fault == "header and query signed":
        return replace(asked, target=f"{asked.target}?X-Amz-Signature=00&X-Amz-Algorithm=AWS4-HMAC-SHA256"), signed(
            asked
        )
    if fault == "head too large":
        return asked, signed(asked) | {"x-large": "x" * 200_000}
    assert fault == "query that is not UTF-8"
    return replace(asked, target=f"{asked.target}?a=%ff"), signed(asked)


@pytest.mark.parametrize("service", SERVICES)
def test_a_sound_request_succeeds(house: House, service: str) -> None:
    assert ask(house, ASKED[service], signed(ASKED[service])).status == 200


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("fault", REFUSALS)
def test_every_service_refuses_in_its_own_words(house: House, fault: str, service: str) -> None:
    asked, headers = broken(ASKED[service], fault)
    answer = ask(house, asked, headers)
    assert refusal(answer) == REFUSALS[fault][service]
    assert b"AKIANOBODY" not in answer.body or service == "s3"


@pytest.mark.parametrize(
    ("service", "expected"),
    [("kms", (400, "ValidationException")), ("sts", (413, "RequestEntityTooLarge")),
     ("s3al", (413, "RequestEntityTooLarge"))],
)  # fmt: skip
def test_a_body_beyond_all_bounds_is_refused(house: House, service: str, expected: tuple[int, str]) -> None:
    asked = replace(ASKED[service], body=b" " * (2 << 20))
    assert refusal(ask(house, asked, signed(asked))) == expected


@pytest.mark.parametrize(
    ("service", "changes", "expected"),
    [
        ("kms", {"headers": {"x-amz-target": "TrentService.Nothing"}}, (400, "UnknownOperationException")),
        ("kms", {"body": b"{"}, (400, "SerializationException")),
        ("sts", {"body": b"Action=Nothing&Version=2011-06-15"}, (400, "InvalidAction")),
        ("s3al", {"target": "/_s3al/v1/Nothing"}, (400, "InvalidAction")),
        ("s3al", {"method": "GET", "body": b""}, (400, "InvalidAction")),
        ("s3al", {"body": b"{"}, (400, "MalformedInput")),
        ("s3al", {"body": b"[]"}, (400, "MalformedInput")),
        ("s3al", {"body": b"\xff"}, (400, "MalformedInput")),
        ("s3al", {"body": b'{"a":' * 5000}, (400, "MalformedInput")),
        ("s3al", {"body": b'{"after": 7}'}, (400, "ValidationError")),
        ("s3", {"method": "PATCH"}, (405, "MethodNotAllowed")),
    ],
)
def test_what_no_operation_understands_is_refused(
    house: House, service: str, changes: dict[str, Any], expected: tuple[int, str]
) -> None:
    asked = replace(ASKED[service], **changes)
    assert refusal(ask(house, asked, signed(asked))) == expected


def test_a_request_to_our_own_api_must_be_signed_for_it(house: House) -> None:
    asked = ASKED["s3al"]
    assert refusal(ask(house, asked, signed(asked, scope="s3"))) == (403, "SignatureDoesNotMatch")


FAILURES: dict[str, tuple[Exception, dict[str, tuple[int, str]], str]] = {
    "integrity": (
        IntegrityError("the-secret-place"),
        {"s3": (500, "InternalError"), "kms": (500, "KMSInternalException"), "sts": (500, "InternalFailure"),
         "s3al": (500, "InternalFailure")},
        "integrity",
    ),
    "a disk that may come back": (
        StoreError("the-secret-place", retryable=True),
        {"s3": (503, "ServiceUnavailable"), "kms": (503, "DependencyTimeoutException"),
         "sts": (503, "ServiceUnavailable"), "s3al": (503, "ServiceUnavailable")},
        "store",
    ),
    "a disk that will not": (
        StoreError("the-secret-place", retryable=False),
        {"s3": (500, "InternalError"), "kms": (500, "KMSInternalException"), "sts": (500, "InternalFailure"),
         "s3al": (500, "InternalFailure")},
        "store",
    ),
    "unforeseen": (
        ValueError("the-secret-place"),
        {"s3": (500, "InternalError"), "kms": (500, "KMSInternalException"), "sts": (500, "InternalFailure"),
         "s3al": (500, "InternalFailure")},
        "unforeseen",
    ),
    "a code that no table knows": (
        RequestError("NobodyKnowsThis", "a sentence"),
        dict.fromkeys(SERVICES, (400, "NobodyKnowsThis")),
        "request",
    ),
}  # fmt: skip


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failing_handler_is_answered_logged_and_forgotten(
    house: House, monkeypatch: pytest.MonkeyPatch, service: str, failure: str
) -> None:
    error, expected, event = FAILURES[failure]
    gateway, asked = house.workers[0].gateway, ASKED[service]
    operations = gateway.services[service].operations

    async def fail(*_: Any) -> Any:
        raise error

    monkeypatch.setitem(operations, asked.operation, replace(operations[asked.operation], handle=fail))
    before = len(house.events(event))
    answer = ask(house, asked, signed(asked))
    assert refusal(answer) == expected[service]
    assert b"the-secret-place" not in answer.body
    assert "the-secret-place" not in house.log_path.read_text()
    assert len(house.events(event)) == before + 1
    assert house.events("request")[-1]["status"] == answer.status
    assert len(gateway.in_flight) == 0


@pytest.mark.parametrize("service", SERVICES)
def test_a_failure_to_decorate_or_to_refuse_leaves_no_request_in_flight(
    house: House, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    gateway = house.workers[0].gateway

    def fail(*_: Any) -> None:
        raise ValueError

    object.__setattr__(gateway, "decorate", fail)
    try:
        assert ask(house, ASKED[service], signed(ASKED[service])).status == 500
    finally:
        object.__setattr__(gateway, "decorate", None)
    assert len(gateway.in_flight) == 0


@pytest.mark.parametrize("service", [service for service in TRANSLATIONS if service not in ("cloudtrail", "iam")])
def test_every_translation_ends_in_the_services_own_table(service: str) -> None:
    errors = {"s3": S3_ERRORS, "kms": KMS_ERRORS}.get(service, IAM_ERRORS)
    for code, translated in TRANSLATIONS[service].items():
        assert code in S3_ERRORS
        assert translated in errors


def test_a_generic_code_shows_the_message_of_what_it_stands_for() -> None:
    assert worded(RequestError("InvalidURI"), "kms", KMS_ERRORS)[2] == S3_ERRORS["InvalidURI"][1]
    assert worded(RequestError("InvalidURI", "said so"), "kms", KMS_ERRORS)[2] == "said so"
    assert worded(RequestError("InvalidToken"), "kms", KMS_ERRORS)[2] == KMS_ERRORS["UnrecognizedClientException"][1]


def test_only_the_operator_has_our_own_api(house: House) -> None:
    made = own(house, "CreateAccount", {"name": "someone"}).document
    keys = {"access_key_id": made["access_key_id"], "secret": made["secret_access_key"]}
    for operation in ("ListAccounts", "CreateAccount", "SetAccount", "ResetAccountRoot"):
        assert refusal(own(house, operation, {"account": "someone"}, **keys)) == (403, "AccessDenied")
    assert refusal(own(house, "CreateAccount", {"name": "someone"})) == (409, "EntityAlreadyExists")
    assert refusal(own(house, "CreateAccount", {"name": "no name"})) == (400, "ValidationError")
    assert refusal(own(house, "SetAccount", {"account": "nobody", "settings": {"block_sse_c": True}})) == (
        404,
        "NoSuchEntity",
    )
    assert refusal(own(house, "SetAccount", {"account": "someone", "settings": {"block_sse_c": 1}})) == (
        400,
        "ValidationError",
    )


def own(house: House, operation: str, members: dict[str, Any], **keys: str) -> Answer:
    asked = replace(ASKED["s3al"], target=f"/_s3al/v1/{operation}", body=json.dumps(members).encode())
    return ask(house, asked, signed(asked, **keys))


def test_a_reset_key_is_refused_at_once_and_its_successor_serves(house: House) -> None:
    made = own(house, "CreateAccount", {"name": "reset"}).document
    old = {"access_key_id": made["access_key_id"], "secret": made["secret_access_key"]}
    assert ask(house, ASKED["s3"], signed(ASKED["s3"], **old)).status == 200
    again = own(house, "ResetAccountRoot", {"account": "reset"}).document
    new = {"access_key_id": again["access_key_id"], "secret": again["secret_access_key"]}
    assert refusal(ask(house, ASKED["s3"], signed(ASKED["s3"], **old))) == (403, "InvalidAccessKeyId")
    assert ask(house, ASKED["s3"], signed(ASKED["s3"], **new)).status == 200


def test_a_long_document_is_read_in_a_thread(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    reading: list[threading.Thread] = []
    operations = house.workers[0].gateway.router.plan_of("s3").operations
    plan = operations["DeleteObjects"]

    def parse(*arguments: Any) -> Any:
        reading.append(threading.current_thread())
        return plan.parse(*arguments)

    monkeypatch.setitem(operations, "DeleteObjects", replace(plan, parse=parse))  # type: ignore[arg-type]
    for keys in (1, 1000):
        entries = "".join(f"<Object><Key>{number:040}</Key></Object>" for number in range(keys))
        document = f"<Delete>{entries}</Delete>".encode()
        md5 = b64encode(hashlib.md5(document).digest()).decode()
        asked = Asked("s3", "DeleteObjects", "POST", "/nowhere?delete", {"content-md5": md5}, document)
        assert refusal(ask(house, asked, signed(asked))) == (404, "NoSuchBucket")
    short, long = reading
    assert short.ident == house.thread_ident
    assert long.ident != house.thread_ident

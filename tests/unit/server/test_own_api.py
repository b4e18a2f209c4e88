"""The wire of our own API."""

from __future__ import annotations

import json

import pytest

from s3al.errors import RequestError
from s3al.iam import admin
from s3al.server import own_api

PLANS = own_api.plans(admin.OPERATIONS)


@pytest.mark.parametrize("name", admin.OPERATIONS)
def test_every_operation_has_a_path(name: str) -> None:
    found = own_api.route(own_api.PREFIX + name, "POST", PLANS)
    assert (found.operation_name, found.service) == (name, "s3al")
    assert found.plan is PLANS[name]


@pytest.mark.parametrize(
    "path", ["", "Nothing", "createaccount", "CreateAccount/", "../v1/CreateAccount", "%43reateAccount"]
)
def test_no_other_path_is_an_operation(path: str) -> None:
    with pytest.raises(RequestError) as refused:
        own_api.route(own_api.PREFIX + path, "POST", PLANS)
    assert refused.value.code == "InvalidAction"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "post"])
def test_operations_are_posted(method: str) -> None:
    with pytest.raises(RequestError) as refused:
        own_api.route(own_api.PREFIX + "ListAccounts", method, PLANS)
    assert refused.value.code == "InvalidAction"


@pytest.mark.parametrize(
    ("body", "params"), [(None, {}), (b"", {}), (b"{}", {}), (b'{"a": [1, "\xc3\xa4"]}', {"a": [1, "\xe4"]})]
)
def test_a_body_is_an_object(body: bytes | None, params: dict[str, object]) -> None:
    plan = PLANS["ListAccounts"]
    assert plan.parse(own_api.route(own_api.PREFIX + "ListAccounts", "POST", PLANS), [], {}, body) == params


@pytest.mark.parametrize("body", [b"[]", b"1", b'"a"', b"null", b"{", b"\xff", b'{"a":' * 2000, b'{"a":NaN}', b" "])
def test_nothing_else_is(body: bytes) -> None:
    plan = PLANS["ListAccounts"]
    with pytest.raises(RequestError) as refused:
        plan.parse(own_api.route(own_api.PREFIX + "ListAccounts", "POST", PLANS), [], {}, body)
    assert refused.value.code == "MalformedInput"


def test_answers_and_errors_are_json_with_a_request_id() -> None:
    answer = PLANS["ListAccounts"].serialize({"accounts": []}, request_id="R")
    assert (answer.status, json.loads(answer.body)) == (200, {"accounts": []})
    assert ("x-amzn-requestid", "R") in answer.headers
    error = own_api.serialize_error("Code", 403, 'a "message"', "R")
    assert (error.status, json.loads(error.body)) == (
        403,
        {"error": {"code": "Code", "message": 'a "message"'}, "request_id": "R"},
    )

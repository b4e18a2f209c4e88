"""CORS: what may be stored, which rule matches, what a preflight and another answer carry."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3al.s3.cors import matching_rule, parse_cors, preflight_headers, response_headers
from s3al.s3.limits import CORS_RULES_MAX
from s3al.s3.state import BucketState
from unit.s3.world import ANONYMOUS, World, refused

_VARY = ("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")


def rule(**members: Any) -> dict[str, Any]:
    return {"AllowedMethods": ["GET"], "AllowedOrigins": ["https://example.com"]} | members


def document(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"CORSRules": list(rules)}


@pytest.mark.parametrize(
    ("members", "code", "message"),
    [
        ({"AllowedMethods": []}, "MalformedXML", None),
        ({"AllowedOrigins": []}, "MalformedXML", None),
        ({"AllowedMethods": None}, "MalformedXML", None),
        ({"ID": "i" * 256}, "MalformedXML", None),
        ({"MaxAgeSeconds": -1}, "MalformedXML", None),
        (
            {"AllowedMethods": ["GET", "OPTIONS"]},
            "InvalidRequest",
            "Found unsupported HTTP method in CORS config. Unsupported method is OPTIONS",
        ),
        ({"AllowedMethods": ["get"]}, "InvalidRequest", None),
        (
            {"AllowedOrigins": ["http://*.*.com"]},
            "InvalidRequest",
            'AllowedOrigin "http://*.*.com" can not have more than one wildcard.',
        ),
        (
            {"AllowedHeaders": ["x-*-*"]},
            "InvalidRequest",
            'AllowedHeader "x-*-*" can not have more than one wildcard.',
        ),
        (
            {"ExposeHeaders": ["*"]},
            "InvalidRequest",
            'ExposeHeader "*" contains wildcard. We currently do not support wildcard for ExposeHeader.',
        ),
    ],
)
def test_rule_that_aws_refuses_is_refused(members: dict[str, Any], code: str, message: str | None) -> None:
    with refused(code, message):
        parse_cors(document(rule(**members)))


def test_hundred_rules_are_taken_and_one_more_refused() -> None:
    assert len(parse_cors(document(*[rule()] * CORS_RULES_MAX))["CORSRules"]) == 100
    message = "The number of CORS rules should not exceed allowed limit of 100 rules."
    with refused("InvalidRequest", message):
        parse_cors(document(*[rule()] * (CORS_RULES_MAX + 1)))


def test_document_beyond_64_kib_is_refused() -> None:
    large = rule(AllowedOrigins=["https://" + "a" * 700 + f"{number:03}.example" for number in range(100)])
    with refused("MalformedXML"):
        parse_cors(document(large))


def test_no_rules_are_malformed() -> None:
    for configuration in (None, {}, {"CORSRules": []}):
        with refused("MalformedXML"):
            parse_cors(configuration)


@pytest.mark.parametrize(
    ("pattern", "origin", "matches"),
    [
        ("*", "https://anything", True),
        ("https://example.com", "https://example.com", True),
        ("https://example.com", "https://example.com.evil", False),
        ("https://example.com", "http://example.com", False),
        ("https://example.com", "https://exampleXcom", False),
        ("https://*.example.com", "https://a.example.com", True),
        ("https://*.example.com", "https://a.b.example.com", True),
        ("https://*.example.com", "https://example.com", False),
        ("start*end", "startend", True),
        ("start*end", "start12end", True),
        ("start*end", "0start12end", False),
        ("*suffix", "foo.suffix", True),
        ("*suffix", "foo.suffix.get", False),
        ("prefix*", "prefix.suffix", True),
    ],
)
def test_origin_matches_with_one_wildcard(pattern: str, origin: str, matches: bool) -> None:
    found = matching_rule(document(rule(AllowedOrigins=[pattern])), origin=origin, method="GET")
    assert (found is not None) is matches


@given(st.text(max_size=30), st.text(max_size=30))
def test_origin_without_wildcard_matches_only_itself(pattern: str, origin: str) -> None:
    plain = pattern.replace("*", "x")
    found = matching_rule(document(rule(AllowedOrigins=[plain])), origin=origin, method="GET")
    assert (found is not None) is (plain == origin)


@pytest.mark.parametrize(
    ("allowed", "requested", "matches"),
    [
        ([], [], True),
        ([], ["x-a"], False),
        (["*"], ["x-a", "Authorization"], True),
        (["X-A"], ["x-a"], True),
        (["x-amz-*"], ["X-Amz-Date"], True),
        (["x-amz-*"], ["x-amz-date", "x-other"], False),
    ],
)
def test_every_requested_header_must_be_allowed(allowed: list[str], requested: list[str], matches: bool) -> None:
    found = matching_rule(
        document(rule(AllowedHeaders=allowed)),
        origin="https://example.com",
        method="GET",
        requested_headers=requested,
    )
    assert (found is not None) is matches


def test_first_rule_that_matches_decides() -> None:
    rules = document(
        rule(AllowedMethods=["PUT"]), rule(ExposeHeaders=["ETag"]), rule(ExposeHeaders=["x-amz-version-id"])
    )
    found = matching_rule(rules, origin="https://example.com", method="GET")
    assert found is not None
    assert found["ExposeHeaders"] == ["ETag"]


def test_preflight_of_one_origin_names_it_and_allows_credentials() -> None:
    rules = document(
        rule(AllowedMethods=["GET", "PUT"], AllowedHeaders=["*"], ExposeHeaders=["ETag"], MaxAgeSeconds=600)
    )
    headers = {
        "origin": "https://example.com",
        "access-control-request-method": "PUT",
        "access-control-request-headers": "X-Amz-Date, Content-Type",
    }
    assert preflight_headers(rules, headers, resource_type="OBJECT") == [
        ("Access-Control-Allow-Origin", "https://example.com"),
        ("Access-Control-Allow-Methods", "GET, PUT"),
        ("Access-Control-Allow-Headers", "x-amz-date, content-type"),
        ("Access-Control-Expose-Headers", "ETag"),
        ("Access-Control-Max-Age", "600"),
        ("Access-Control-Allow-Credentials", "true"),
        _VARY,
    ]


def test_preflight_of_any_origin_allows_no_credentials() -> None:
    headers = {"origin": "https://example.com", "access-control-request-method": "GET"}
    shown = preflight_headers(document(rule(AllowedOrigins=["*"])), headers, resource_type="BUCKET")
    assert shown == [("Access-Control-Allow-Origin", "*"), ("Access-Control-Allow-Methods", "GET"), _VARY]


@pytest.mark.parametrize(
    ("rules", "headers", "code", "message"),
    [
        (document(rule()), {}, "BadRequest", "Insufficient information. Origin request header needed."),
        (
            document(rule()),
            {"origin": "https://example.com"},
            "BadRequest",
            "Invalid Access-Control-Request-Method: null",
        ),
        (
            document(rule()),
            {"origin": "https://example.com", "access-control-request-method": "PATCH"},
            "BadRequest",
            "Invalid Access-Control-Request-Method: PATCH",
        ),
        (
            None,
            {"origin": "https://example.com", "access-control-request-method": "GET"},
            "AccessForbidden",
            "CORSResponse: CORS is not enabled for this bucket.",
        ),
        (
            document(rule()),
            {"origin": "https://other.example", "access-control-request-method": "GET"},
            "AccessForbidden",
            None,
        ),
    ],
)
def test_preflight_that_no_rule_allows_is_refused(
    rules: dict[str, Any] | None, headers: dict[str, str], code: str, message: str | None
) -> None:
    with refused(code, message):
        preflight_headers(rules, headers, resource_type="BUCKET")


def test_preflight_needs_no_credentials_and_looks_at_the_bucket(world: World) -> None:
    world.bucket()
    asked = {"origin": "https://example.com", "access-control-request-method": "GET"}
    with refused("AccessForbidden", "CORSResponse: CORS is not enabled for this bucket."):
        world.call("Preflight", as_=ANONYMOUS, headers=asked, Bucket="bucket", Key="k")
    world.call("PutBucketCors", Bucket="bucket", CORSConfiguration=document(rule()))
    reply = world.call("Preflight", as_=ANONYMOUS, headers=asked, Bucket="bucket", Key="k")
    assert reply.status == 200
    assert ("Access-Control-Allow-Origin", "https://example.com") in reply.headers


def test_preflight_on_a_missing_bucket_is_refused_without_saying_more(world: World) -> None:
    asked = {"origin": "https://example.com", "access-control-request-method": "GET"}
    with refused("AccessForbidden", "CORSResponse: Bucket not found"):
        world.call("Preflight", as_=ANONYMOUS, headers=asked, Bucket="missing")


def test_configuration_is_given_back_as_it_was_put(world: World) -> None:
    world.bucket()
    rules = document(rule(ID="one", AllowedHeaders=["*"], ExposeHeaders=["ETag"], MaxAgeSeconds=5), rule())
    world.call("PutBucketCors", Bucket="bucket", CORSConfiguration=rules)
    assert world.output("GetBucketCors", Bucket="bucket") == rules


@pytest.mark.parametrize(
    ("method", "headers", "origin"),
    [
        ("GET", {}, None),
        ("GET", {"origin": "https://example.com"}, "https://example.com"),
        ("GET", {"origin": "https://other.example"}, None),
        ("PUT", {"origin": "https://example.com"}, None),
        ("PUT", {"origin": "https://example.com", "access-control-request-method": "GET"}, "https://example.com"),
    ],
)
def test_other_answers_carry_the_headers_of_the_matching_rule(
    world: World, method: str, headers: dict[str, str], origin: str | None
) -> None:
    world.bucket()
    world.call("PutBucketCors", Bucket="bucket", CORSConfiguration=document(rule()))
    state: BucketState = world.rows(lambda rows: world.s3.buckets.get(rows, "bucket"))
    shown = dict(response_headers(state, method=method, headers=headers))
    assert shown.get("Access-Control-Allow-Origin") == origin
    assert bool(shown) is (origin is not None)

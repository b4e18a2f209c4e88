"""Verifying signatures: AWS's documented examples, what a signature covers, time, and the codes by service."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from s3al.auth.sigv4 import (
    Scope,
    SignedRequest,
    claimed_service,
    parse_authorization,
    payload_digest_needed,
    require_region,
    verify,
)
from s3al.auth.sigv4_faults import SERVICES, codes_of
from s3al.auth.sigv4_sign import Unsigned, presign, sign
from s3al.errors import AccessError, RequestError
from s3al.iam.errors import IAM_ERRORS
from s3al.s3.errors import S3_ERRORS

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
NOW = datetime(2013, 5, 24, tzinfo=UTC)
SCOPE = Scope("AKIAIOSFODNN7EXAMPLE", "20130524", "us-east-1", "s3")
EMPTY = hashlib.sha256(b"").hexdigest()
HOST = {"host": "examplebucket.s3.amazonaws.com"}


def accepted(
    signed: SignedRequest | None,
    request: Unsigned,
    headers: dict[str, str],
    *,
    now: datetime = NOW,
    secret: str = SECRET,
) -> str:
    assert signed is not None
    seed = verify(
        signed, secret, method=request.method, raw_path=request.raw_path, query=request.query, headers=headers, now=now
    )
    return seed.signature


# Source: S3 API Reference, "Signature Calculations for the Authorization Header", the examples at the end of each page.
DOCUMENTED = {
    "GET object": (
        Unsigned("GET", "/test.txt", {**HOST, "range": "bytes=0-9"}, (), EMPTY),
        "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ),
    "PUT object": (
        Unsigned(
            "PUT",
            "/test%24file.text",
            {**HOST, "date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            (),
            hashlib.sha256(b"Welcome to Amazon S3.").hexdigest(),
        ),
        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ),
    "GET bucket lifecycle": (
        Unsigned("GET", "/", HOST, [("lifecycle", "")], EMPTY),
        "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ),
    "list objects": (
        Unsigned("GET", "/", HOST, [("max-keys", "2"), ("prefix", "J")], EMPTY),
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ),
    "seed of a chunked upload": (
        Unsigned(
            "PUT",
            "/examplebucket/chunkObject.txt",
            {
                "host": "s3.amazonaws.com",
                "content-encoding": "aws-chunked",
                "content-length": "66824",
                "x-amz-decoded-content-length": "66560",
                "x-amz-storage-class": "REDUCED_REDUNDANCY",
            },
            (),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        ),
        "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
    ),
    "seed of a chunked upload with a trailer": (
        Unsigned(
            "PUT",
            "/examplebucket/chunkObject.txt",
            {
                "host": "s3.amazonaws.com",
                "content-encoding": "aws-chunked",
                "x-amz-decoded-content-length": "66560",
                "x-amz-storage-class": "REDUCED_REDUNDANCY",
                "x-amz-trailer": "x-amz-checksum-crc32c",
            },
            (),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        ),
        "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
    ),
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_documented_example_is_signed_and_accepted_as_documented(name: str) -> None:
    request, signature = DOCUMENTED[name]
    head = sign(request, SCOPE, SECRET, now=NOW)
    assert head.seed.signature == signature
    assert accepted(parse_authorization(head.headers, request.query), request, head.headers) == signature


def test_documented_presigned_url_is_signed_and_accepted_as_documented() -> None:
    request = Unsigned("GET", "/test.txt", HOST)
    query = presign(request, SCOPE, SECRET, now=NOW, expires_s=86400)
    assert query[-1] == ("X-Amz-Signature", "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")
    sent = replace(request, query=query)
    assert accepted(parse_authorization(HOST, query), sent, HOST) == query[-1][1]


def test_a_request_without_any_trace_of_a_signature_is_anonymous() -> None:
    assert parse_authorization(HOST, [("prefix", "Signatures"), ("uploads", "")]) is None


# --- What the signature covers ---

REQUEST = Unsigned(
    "PUT", "/bucket/a%20b", {**HOST, "x-amz-meta-a": "1"}, [("partNumber", "1"), ("uploadId", "u")], EMPTY
)
ALTERED = {
    "method": replace(REQUEST, method="POST"),
    "path": replace(REQUEST, raw_path="/bucket/a%20c"),
    "path with a segment of dots": replace(REQUEST, raw_path="/bucket/./a%20b"),
    "path with a doubled slash": replace(REQUEST, raw_path="/bucket//a%20b"),
    "value in the query": replace(REQUEST, query=[("partNumber", "2"), ("uploadId", "u")]),
    "name in the query": replace(REQUEST, query=[("partNumbeR", "1"), ("uploadId", "u")]),
    "parameter added": replace(REQUEST, query=[*REQUEST.query, ("acl", "")]),
    "parameter removed": replace(REQUEST, query=[("partNumber", "1")]),
    "parameter doubled": replace(REQUEST, query=[*REQUEST.query, ("uploadId", "u")]),
    "signed header": replace(REQUEST, headers={**REQUEST.headers, "x-amz-meta-a": "2"}),
    "signed header removed": replace(REQUEST, headers=HOST),
    "host": replace(REQUEST, headers={**REQUEST.headers, "host": "other.s3.amazonaws.com"}),
    "payload hash": replace(REQUEST, payload_hash="f" * 64),
    "payload left open": replace(REQUEST, payload_hash="UNSIGNED-PAYLOAD"),
}


@pytest.mark.parametrize("what", ALTERED)
def test_a_head_altered_after_signing_is_refused(what: str) -> None:
    head = sign(REQUEST, SCOPE, SECRET, now=NOW)
    altered = ALTERED[what]
    kept = {name: head.headers[name] for name in ("authorization", "x-amz-date")}
    headers = {**altered.headers, **kept, "x-amz-content-sha256": altered.payload_hash}
    with pytest.raises(RequestError) as refused:
        accepted(parse_authorization(headers, altered.query), altered, headers)
    assert refused.value.code == "SignatureDoesNotMatch"


@pytest.mark.parametrize("field", ["access_key_id", "region"])
def test_a_scope_altered_after_signing_is_refused(field: str) -> None:
    head = sign(REQUEST, SCOPE, SECRET, now=NOW)
    signed = parse_authorization(head.headers, REQUEST.query)
    assert signed is not None
    if field == "access_key_id":  # not itself signed: the secret that belongs to it is another one
        with pytest.raises(RequestError, match="SignatureDoesNotMatch"):
            accepted(signed, REQUEST, head.headers, secret="another secret")
    else:
        altered = replace(signed, scope=replace(signed.scope, region="eu-west-1"))
        with pytest.raises(RequestError, match="SignatureDoesNotMatch"):
            accepted(altered, REQUEST, head.headers)


@pytest.mark.parametrize("signature", ["", "x", "é", "0" * 64, "F" * 64, "0" * 63, "0" * 65, "\x00"])
def test_a_signature_of_any_shape_is_only_ever_wrong(signature: str) -> None:
    head = sign(REQUEST, SCOPE, SECRET, now=NOW)
    signed = parse_authorization(head.headers, REQUEST.query)
    assert signed is not None
    with pytest.raises(RequestError, match="SignatureDoesNotMatch"):
        accepted(replace(signed, signature=signature), REQUEST, head.headers)


@pytest.mark.parametrize(
    ("raw_path", "sent"),
    [
        ("/b/a%2Bb", "/b/a+b"),
        ("/b/a%2Fb", "/b/a%2Fb"),
        ("/b/a%2fb", "/b/a%2fb"),
        ("/b/%7Ea", "/b/~a"),
        ("/b/~a", "/b/%7Ea"),
        ("/b/a%3Db", "/b/a=b"),
        ("/b/%C3%A9", "/b/%c3%a9"),
    ],
)
def test_a_path_may_be_encoded_otherwise_on_the_wire_than_it_was_signed(raw_path: str, sent: str) -> None:
    head = sign(replace(REQUEST, raw_path=raw_path), SCOPE, SECRET, now=NOW)
    request = replace(REQUEST, raw_path=sent)
    assert accepted(parse_authorization(head.headers, REQUEST.query), request, head.headers)


@pytest.mark.parametrize(
    ("name", "kind", "refused"),
    [
        ("x-amz-acl", "header", True),
        ("x-amz-acl", "query", True),
        ("x-amz-content-sha256", "query", True),
        ("x-amz-security-token", "header", True),
        ("x-amz-date", "query", True),
        ("x-amz-cf-id", "header", False),
        ("x-amz-cf-id", "query", False),
        ("x-amzn-trace-id", "header", False),
        ("content-type", "header", False),
        ("user-agent", "query", False),
    ],
)
def test_every_header_that_means_something_must_be_signed(name: str, kind: str, refused: bool) -> None:
    request = Unsigned("GET", "/bucket/key", HOST, (), EMPTY)
    if kind == "header":
        headers = {**sign(request, SCOPE, SECRET, now=NOW).headers, name: EMPTY}
    else:
        request = replace(request, query=presign(request, SCOPE, SECRET, now=NOW, expires_s=60))
        headers = {**HOST, name: EMPTY}
    signed = parse_authorization(headers, request.query)
    if not refused:
        assert accepted(signed, request, headers)
        return
    with pytest.raises(AccessError) as error:
        accepted(signed, request, headers)
    assert error.value.code == "AccessDenied"
    assert error.value.message == "There were headers present in the request which were not signed"
    assert error.value.fields == {"HeadersNotSigned": name}


def test_the_payload_hash_needs_no_signed_header_because_it_is_signed_itself() -> None:
    head = sign(REQUEST, SCOPE, SECRET, now=NOW)
    signed = parse_authorization(head.headers, REQUEST.query)
    assert signed is not None
    fewer = replace(signed, signed_headers=tuple(name for name in signed.signed_headers if "sha256" not in name))
    with pytest.raises(RequestError, match="SignatureDoesNotMatch"):  # past the check of coverage
        accepted(fewer, REQUEST, head.headers)


@pytest.mark.parametrize(
    ("service", "code"),
    [
        ("s3", "AccessDenied"),
        ("kms", "InvalidSignatureException"),
        ("sts", "SignatureDoesNotMatch"),
        ("s3al", "SignatureDoesNotMatch"),
    ],
)
def test_host_must_be_signed(service: str, code: str) -> None:
    request = Unsigned("POST", "/", {"content-type": "x"}, (), EMPTY)
    head = sign(request, replace(SCOPE, service=service), SECRET, now=NOW)
    headers = {**head.headers, **HOST}
    with pytest.raises(RequestError) as refused:
        accepted(parse_authorization(headers, ()), request, headers)
    assert refused.value.code == code


def test_the_target_of_a_json_request_must_be_signed() -> None:
    request = Unsigned("POST", "/", HOST, (), EMPTY)
    head = sign(request, replace(SCOPE, service="kms"), SECRET, now=NOW)
    headers = {**head.headers, "x-amz-target": "TrentService.Decrypt"}
    signed = parse_authorization(headers, ())
    assert signed is not None
    with pytest.raises(RequestError) as refused:
        accepted(replace(signed, payload_hash=EMPTY), request, headers)
    assert refused.value.code == "InvalidSignatureException"


# --- Time ---

SECOND = timedelta(seconds=1)
SKEW = timedelta(minutes=15)


@pytest.mark.parametrize("shift", [-SKEW, timedelta(0), SKEW])
def test_a_clock_wrong_by_a_quarter_of_an_hour_is_tolerated(shift: timedelta) -> None:
    head = sign(REQUEST, SCOPE, SECRET, now=NOW)
    assert accepted(parse_authorization(head.headers, REQUEST.query), REQUEST, head.headers, now=NOW + shift)


@pytest.mark.parametrize("shift", [-SKEW - SECOND, SKEW + SECOND, timedelta(days=400), -timedelta(days=400)])
def test_a_clock_wrong_by_more_is_refused(shift: timedelta) -> None:
    head = sign(REQUEST, SCOPE, SECRET, now=NOW)
    with pytest.raises(RequestError) as refused:
        accepted(parse_authorization(head.headers, REQUEST.query), REQUEST, head.headers, now=NOW + shift)
    assert refused.value.code == "RequestTimeTooSkewed"
    assert refused.value.fields == {
        "RequestTime": "20130524T000000Z",
        "ServerTime": (NOW + shift).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "MaxAllowedSkewMilliseconds": "900000",
    }


@pytest.mark.parametrize(
    ("service", "code", "shift", "sentence"),
    [
        (
            "kms",
            "InvalidSignatureException",
            SKEW + SECOND,
            "Signature expired: 20130524T000000Z is now earlier than 20130524T000001Z (20130524T001501Z - 15 min.)",
        ),
        (
            "sts",
            "SignatureDoesNotMatch",
            -SKEW - SECOND,
            (
                "Signature not yet current: 20130524T000000Z is still later than 20130523T235959Z "
                "(20130523T234459Z + 15 min.)"
            ),
        ),
    ],
)
def test_other_services_word_a_wrong_clock_as_a_wrong_signature(
    service: str, code: str, shift: timedelta, sentence: str
) -> None:
    request = Unsigned("POST", "/", HOST, (), EMPTY)
    head = sign(request, replace(SCOPE, service=service), SECRET, now=NOW)
    with pytest.raises(RequestError) as refused:
        accepted(parse_authorization(head.headers, ()), request, head.headers, now=NOW + shift)
    assert (refused.value.code, refused.value.message) == (code, sentence)


@pytest.mark.parametrize(
    ("expires_s", "age", "sentence"),
    [
        (60, timedelta(0), None),
        (60, timedelta(seconds=60), None),
        (60, timedelta(seconds=61), "Request has expired"),
        (0, timedelta(0), None),
        (0, SECOND, "Request has expired"),
        (604800, timedelta(days=7), None),
        (604800, timedelta(days=7) + SECOND, "Request has expired"),
        (60, -SKEW, None),
        (60, -SKEW - SECOND, "Request is not yet valid"),
    ],
)
def test_a_presigned_url_counts_from_its_date_for_its_seconds(
    expires_s: int, age: timedelta, sentence: str | None
) -> None:
    request = Unsigned("GET", "/bucket/key", HOST)
    request = replace(request, query=presign(request, SCOPE, SECRET, now=NOW, expires_s=expires_s))
    signed = parse_authorization(HOST, request.query)
    if sentence is None:
        assert accepted(signed, request, HOST, now=NOW + age)
        return
    with pytest.raises(AccessError) as refused:
        accepted(signed, request, HOST, now=NOW + age)
    assert (refused.value.code, refused.value.message) == ("AccessDenied", sentence)


def test_an_expired_url_says_when_it_expired() -> None:
    request = Unsigned("GET", "/bucket/key", HOST)
    request = replace(request, query=presign(request, SCOPE, SECRET, now=NOW, expires_s=60))
    with pytest.raises(AccessError) as refused:
        accepted(parse_authorization(HOST, request.query), request, HOST, now=NOW + timedelta(hours=1))
    assert refused.value.fields == {
        "X-Amz-Expires": "60",
        "Expires": "2013-05-24T00:01:00Z",
        "ServerTime": "2013-05-24T01:00:00Z",
    }


def test_a_date_header_stands_in_for_x_amz_date() -> None:
    head = sign(
        replace(REQUEST, headers={**REQUEST.headers, "date": "Fri, 24 May 2013 00:00:00 GMT"}), SCOPE, SECRET, now=NOW
    )
    headers = {name: value for name, value in head.headers.items() if name != "x-amz-date"}
    signed = parse_authorization(headers, ())
    assert signed is not None
    assert signed.signed_at == NOW


# --- What is said of a wrong signature ---


def test_a_wrong_signature_shows_what_would_have_been_signed_but_no_secret() -> None:
    headers = {**REQUEST.headers, "x-amz-server-side-encryption-customer-key": "c2VjcmV0IGtleQ=="}
    request = replace(REQUEST, headers=headers)
    head = sign(request, SCOPE, "another secret", now=NOW)
    with pytest.raises(RequestError) as refused:
        accepted(parse_authorization(head.headers, request.query), request, head.headers)
    fields = refused.value.fields
    assert fields["AWSAccessKeyId"] == SCOPE.access_key_id
    assert fields["StringToSign"].startswith("AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\n")
    assert bytes.fromhex(fields["StringToSignBytes"]).decode() == fields["StringToSign"]
    shown = " ".join([str(refused.value), *fields.values()])
    for hidden in ("c2VjcmV0", SECRET, head.seed.signature):
        assert hidden not in shown


def test_secrets_and_signatures_stay_out_of_repr() -> None:
    head = sign(REQUEST, SCOPE, SECRET, now=NOW)
    signed = parse_authorization({**head.headers, "x-amz-security-token": "token-of-a-session"}, REQUEST.query)
    shown = repr((head, signed))
    for hidden in (SECRET, head.seed.signature, repr(head.seed.signing_key), "token-of-a-session"):
        assert hidden not in shown


@pytest.mark.parametrize("service", SERVICES)
def test_a_wrong_signature_has_the_code_of_its_service(service: str) -> None:
    request = Unsigned("POST", "/", HOST, (), EMPTY)
    head = sign(request, replace(SCOPE, service=service), "another secret", now=NOW)
    signed = parse_authorization(head.headers, ())
    assert signed is not None
    with pytest.raises(RequestError) as refused:
        accepted(replace(signed, payload_hash=EMPTY), request, head.headers)
    assert refused.value.code == codes_of(service).mismatch


@pytest.mark.parametrize(("service", "table"), [("s3", S3_ERRORS), ("sts", IAM_ERRORS), ("iam", IAM_ERRORS)])
def test_the_table_of_errors_has_the_codes_of_its_service(service: str, table: dict[str, object]) -> None:
    codes = codes_of(service)
    wanted = {codes.missing, codes.incomplete, codes.mismatch, codes.unknown_key, codes.expired_token}
    assert wanted <= set(table)


# --- Helpers ---


@pytest.mark.parametrize(
    ("payload_hash", "needed"),
    [
        (EMPTY, EMPTY),
        ("UNSIGNED-PAYLOAD", None),
        ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", None),
        ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", None),
        ("", None),
    ],
)
def test_a_payload_digest_is_needed_where_the_head_names_one(payload_hash: str, needed: str | None) -> None:
    signed = SignedRequest("header", SCOPE, ("host",), "", NOW, None, payload_hash)
    assert payload_digest_needed(signed) == needed


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("header", "AuthorizationHeaderMalformed"),
        ("query", "AuthorizationQueryParametersError"),
        ("post", "InvalidArgument"),
    ],
)
def test_a_scope_of_another_region_is_told_the_right_one(kind: str, code: str) -> None:
    signed = SignedRequest(kind, SCOPE, ("host",), "", NOW, None, EMPTY)  # type: ignore[arg-type]
    require_region(signed, "us-east-1")
    with pytest.raises(RequestError) as refused:
        require_region(signed, "eu-west-1")
    assert refused.value.code == code
    assert refused.value.fields["Region"] == "eu-west-1"
    assert "the region 'us-east-1' is wrong; expecting 'eu-west-1'" in str(refused.value)


@pytest.mark.parametrize(
    ("headers", "query", "service"),
    [
        ({"authorization": "AWS4-HMAC-SHA256 Credential=A/20130524/r/kms/aws4_request, Nonsense"}, [], "kms"),
        ({"authorization": "AWS4-HMAC-SHA256 Credential=A/20130524/r/dynamodb/aws4_request"}, [], None),
        ({"authorization": "nonsense"}, [], None),
        ({}, [("X-Amz-Credential", "A/1/r/sts/x")], "sts"),
        ({}, [("X-Amz-Credential", "A/1/r/sts")], None),
        ({}, [], None),
    ],
)
def test_the_service_that_a_scope_claims_is_read_even_if_the_rest_is_malformed(
    headers: dict[str, str], query: list[tuple[str, str]], service: str | None
) -> None:
    assert claimed_service(headers, query) == service

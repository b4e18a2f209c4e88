"""Signed form policies: AWS's documented example, botocore's, every condition, and every malformed document."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.auth import S3SigV4PostAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from s3al.auth.post_policy import POLICY_MAX_BYTES, PostPolicy, parse_form_authorization, verify_post_policy
from s3al.auth.sigv4 import Scope
from s3al.auth.sigv4_canonical import signature_of, signing_key
from s3al.auth.sigv4_sign import sign_form
from s3al.errors import AccessError, RequestError

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
NOW = datetime(2015, 12, 29, tzinfo=UTC)
SCOPE = Scope("AKIAIOSFODNN7EXAMPLE", "20151229", "us-east-1", "s3")
CREDENTIAL = f"AKIAIOSFODNN7EXAMPLE/{SCOPE}"

# Source: S3 API Reference, "Example: Browser-Based Upload using HTTP POST"; with CRLF, as there.
DOCUMENTED_POLICY = "\r\n".join(
    [
        '{ "expiration": "2015-12-30T12:00:00.000Z",',
        '  "conditions": [',
        '    {"bucket": "sigv4examplebucket"},',
        '    ["starts-with", "$key", "user/user1/"],',
        '    {"acl": "public-read"},',
        '    {"success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"},',
        '    ["starts-with", "$Content-Type", "image/"],',
        '    {"x-amz-meta-uuid": "14365123651274"},',
        '    {"x-amz-server-side-encryption": "AES256"},',
        '    ["starts-with", "$x-amz-meta-tag", ""],',
        "",
        f'    {{"x-amz-credential": "{CREDENTIAL}"}},',
        '    {"x-amz-algorithm": "AWS4-HMAC-SHA256"},',
        '    {"x-amz-date": "20151229T000000Z" }',
        "  ]",
        "}",
    ]
)
DOCUMENTED_SIGNATURE = "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"
DOCUMENTED_FIELDS = {
    "key": "user/user1/photo.jpg",
    "acl": "public-read",
    "success_action_redirect": "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html",
    "content-type": "image/jpeg",
    "x-amz-meta-uuid": "14365123651274",
    "x-amz-server-side-encryption": "AES256",
    "x-amz-meta-tag": "",
    "bucket": "sigv4examplebucket",
}


def signed(document: str | bytes | Mapping[str, Any]) -> dict[str, str]:
    """The fields of a form that carries `document`, rightly signed."""
    if isinstance(document, Mapping):
        document = json.dumps(document)
    if isinstance(document, str):
        return sign_form(document, SCOPE, SECRET, now=NOW)
    return resigned(b64encode(document).decode())


def resigned(encoded: str) -> dict[str, str]:
    key = signing_key(SECRET, SCOPE.date, SCOPE.region, SCOPE.service)
    return {**signed(""), "policy": encoded, "x-amz-signature": signature_of(key, encoded)}


OWN = [
    {"x-amz-credential": CREDENTIAL},
    ["eq", "$x-amz-algorithm", "AWS4-HMAC-SHA256"],
    ["starts-with", "$x-amz-date", ""],
]


def policy_of(*conditions: Any) -> PostPolicy:
    document = {"expiration": "2015-12-30T12:00:00Z", "conditions": [*OWN, {"bucket": "b"}, *conditions]}
    return verify_post_policy(signed(document), SECRET, now=NOW)


def fields_of(**fields: str) -> dict[str, str]:
    return {**signed(""), "bucket": "b", **{name.replace("_", "-"): value for name, value in fields.items()}}


def test_documented_form_is_signed_and_accepted_as_documented() -> None:
    fields = signed(DOCUMENTED_POLICY)
    assert fields["x-amz-signature"] == DOCUMENTED_SIGNATURE
    assert parse_form_authorization(fields) == SCOPE
    policy = verify_post_policy(fields, SECRET, now=NOW)
    assert policy.expires_at == datetime(2015, 12, 30, 12, tzinfo=UTC)
    policy.check({**fields, **DOCUMENTED_FIELDS}, 5 << 30)
    assert (policy.smallest_bytes, policy.largest_bytes) == (None, None)


@pytest.mark.parametrize("name", DOCUMENTED_FIELDS)
def test_each_condition_of_the_documented_form_holds_the_form_to_it(name: str) -> None:
    fields = {**signed(DOCUMENTED_POLICY), **DOCUMENTED_FIELDS}
    policy = verify_post_policy(fields, SECRET, now=NOW)
    missing = {key: value for key, value in fields.items() if key != name}
    altered = fields | {name: "other"}
    for form in (missing, altered):
        if form is altered and name == "x-amz-meta-tag":  # may have any value
            continue
        with pytest.raises(AccessError, match="Invalid according to Policy: Policy Condition failed: "):
            policy.check_fields(form)


def test_a_form_that_botocore_signed_is_accepted() -> None:
    credentials = Credentials("AKIAIOSFODNN7EXAMPLE", SECRET)
    request = AWSRequest("POST", "http://localhost:9000/b")
    fields = {"key": "uploads/${filename}", "acl": "private"}
    conditions = [
        {"bucket": "b"},
        ["starts-with", "$key", "uploads/"],
        {"acl": "private"},
        ["content-length-range", 1, 10],
    ]
    request.context["s3-presign-post-fields"] = fields
    request.context["s3-presign-post-policy"] = {"expiration": "2099-01-01T00:00:00Z", "conditions": conditions}
    S3SigV4PostAuth(credentials, "s3", "eu-west-1").add_auth(request)
    form = {name.lower(): value for name, value in request.context["s3-presign-post-fields"].items()}
    policy = verify_post_policy(form, SECRET, now=datetime.now(UTC))
    policy.check({**form, "bucket": "b", "key": "uploads/cat.jpg"}, 10)
    assert policy.largest_bytes == 10


@pytest.mark.parametrize("fields", [{}, {"key": "a"}, {"key": "a", "acl": "private", "content-type": "x"}])
def test_a_form_without_any_trace_of_a_signature_is_anonymous(fields: dict[str, str]) -> None:
    assert parse_form_authorization(fields) is None
    with pytest.raises(AccessError):
        verify_post_policy(fields, SECRET, now=NOW)


@pytest.mark.parametrize("name", ["policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"])
@pytest.mark.parametrize("kept", [False, True])
def test_each_field_of_the_signature_must_be_there(name: str, kept: bool) -> None:
    fields = {key: value for key, value in signed("{}").items() if key != name} | ({name: ""} if kept else {})
    with pytest.raises(RequestError) as refused:
        parse_form_authorization(fields)
    assert refused.value.code == "InvalidArgument"
    assert refused.value.fields == {"ArgumentName": name, "ArgumentValue": ""}
    assert refused.value.message == (
        f"Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."
    )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"awsaccesskeyid": "A", "signature": "s"}, "InvalidRequest"),
        ({"signature": "s"}, "InvalidRequest"),
        ({"x-amz-algorithm": "AWS4-ECDSA-P256-SHA256"}, "InvalidArgument"),
        ({"x-amz-algorithm": "aws4-hmac-sha256"}, "InvalidArgument"),
        ({"x-amz-credential": "nonsense"}, "InvalidArgument"),
        ({"x-amz-credential": CREDENTIAL.replace("s3", "kms")}, "InvalidArgument"),
        ({"x-amz-credential": CREDENTIAL + "x"}, "InvalidArgument"),
        ({"x-amz-credential": CREDENTIAL.replace("20151229", "20151228")}, "InvalidArgument"),
        ({"x-amz-date": "Tue, 29 Dec 2015 00:00:00 GMT"}, "InvalidArgument"),
        ({"x-amz-date": "20151329T000000Z"}, "InvalidArgument"),
        ({"x-amz-signature": "0" * 64}, "SignatureDoesNotMatch"),
        ({"x-amz-signature": "é"}, "SignatureDoesNotMatch"),
        ({"policy": b64encode(b"{ }").decode()}, "SignatureDoesNotMatch"),
        ({"policy": "not even base64"}, "SignatureDoesNotMatch"),
        ({"x-amz-credential": CREDENTIAL.replace("us-east-1", "eu-west-1")}, "SignatureDoesNotMatch"),
    ],
)
def test_a_wrong_field_of_the_signature_is_refused(change: dict[str, str], code: str) -> None:
    with pytest.raises(RequestError) as refused:
        verify_post_policy({**signed(DOCUMENTED_POLICY), **change}, SECRET, now=NOW)
    assert refused.value.code == code


def test_a_form_signed_with_another_secret_is_refused() -> None:
    with pytest.raises(RequestError, match="SignatureDoesNotMatch"):
        verify_post_policy(signed(DOCUMENTED_POLICY), "another secret", now=NOW)


@pytest.mark.parametrize(
    ("after", "expired"), [(timedelta(0), False), (timedelta(microseconds=1), True), (timedelta(days=-300), False)]
)
def test_a_policy_holds_until_it_expires(after: timedelta, expired: bool) -> None:
    moment = datetime(2015, 12, 30, 12, tzinfo=UTC) + after
    if not expired:
        assert verify_post_policy(signed(DOCUMENTED_POLICY), SECRET, now=moment).conditions
        return
    with pytest.raises(AccessError) as refused:
        verify_post_policy(signed(DOCUMENTED_POLICY), SECRET, now=moment)
    assert refused.value.message == "Invalid according to Policy: Policy expired."


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2015-12-30T12:00:00Z", datetime(2015, 12, 30, 12, tzinfo=UTC)),
        ("2015-12-30T12:00:00.000Z", datetime(2015, 12, 30, 12, tzinfo=UTC)),
        ("2015-12-30T12:00:00.123456789Z", datetime(2015, 12, 30, 12, tzinfo=UTC)),
        ("2015-12-30T12:00:00+02:00", datetime(2015, 12, 30, 10, tzinfo=UTC)),
    ],
)
def test_the_expiration_may_have_a_fraction_and_an_offset(text: str, moment: datetime) -> None:
    assert verify_post_policy(signed({"expiration": text, "conditions": []}), SECRET, now=NOW).expires_at == moment


UNTIL = "2015-12-30T12:00:00Z"
MALFORMED: dict[str, tuple[str | bytes | dict[str, Any], str]] = {
    "empty": (" ", "Invalid JSON."),
    "not JSON": ("{expiration}", "Invalid JSON."),
    "not UTF-8": (b"\xff\xfe", "invalid Base64 encoding."),
    "a list": ("[]", "Invalid JSON."),
    "a text": ('"{}"', "Invalid JSON."),
    "a name twice": (f'{{"expiration": "{UNTIL}", "expiration": "{UNTIL}", "conditions": []}}', "Invalid JSON."),
    "too deep": ("[" * 5000 + "]" * 5000, "Invalid JSON."),
    "too long": ('{"conditions": []' + " " * POLICY_MAX_BYTES + "}", "Invalid JSON."),
    "no expiration": ({"conditions": []}, "Policy missing expiration."),
    "no conditions": ({"expiration": UNTIL}, "Policy missing conditions."),
    "conditions in capitals": ({"expiration": UNTIL, "CONDITIONS": []}, "Unexpected: 'CONDITIONS'"),
    "something else": ({"expiration": UNTIL, "conditions": [], "comment": ""}, "Unexpected: 'comment'"),
    "conditions of another kind": (
        {"expiration": UNTIL, "conditions": {}},
        "Invalid 'conditions' value: must be a List.",
    ),
    "expiration of another kind": ({"expiration": 1, "conditions": []}, "Invalid 'expiration' value: '1'"),
    "expiration without zone": (
        {"expiration": "2015-12-30T12:00:00", "conditions": []},
        "Invalid 'expiration' value: '2015-12-30T12:00:00'",
    ),
    "expiration on no day": (
        {"expiration": "2015-13-30T12:00:00Z", "conditions": []},
        "Invalid 'expiration' value: '2015-13-30T12:00:00Z'",
    ),
    "expiration before all time": (
        {"expiration": "0001-01-01T00:00:00+23:00", "conditions": []},
        "Invalid 'expiration' value: '0001-01-01T00:00:00+23:00'",
    ),
}
BAD_CONDITIONS: dict[str, tuple[Any, str]] = {
    "a text": ("eq", "Invalid condition test: must be a List or Object."),
    "null": (None, "Invalid condition test: must be a List or Object."),
    "no property": ({}, "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."),
    "two properties": (
        {"acl": "a", "key": "b"},
        "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
    ),
    "value of another kind": ({"acl": 1}, "Invalid Simple-Condition: value must be a string."),
    "empty list": ([], "Invalid Condition: missing operation identifier."),
    "operation of another kind": ([1, "$key", "a"], "Invalid Condition: missing operation identifier."),
    "unknown operation": (["ends-with", "$key", "a"], "Invalid Condition: unknown operation 'ends-with'."),
    "eq of two": (["eq", "$key"], "Invalid eq: wrong number of arguments."),
    "starts-with of four": (["starts-with", "$key", "a", "b"], "Invalid starts-with: wrong number of arguments."),
    "eq with a number": (["eq", "$key", 1], "Invalid JSON."),
    "range of two": (["content-length-range", 1], "Invalid content-length-range: wrong number of arguments."),
    **{
        f"range with {value!r}": (
            ["content-length-range", 0, value],
            "Invalid content-length-range: the limits must be whole numbers.",
        )
        for value in (-1, 1.5, "x", "-1", "٣", "", None, True, "9" * 19)
    },
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_document_is_refused(name: str) -> None:
    document, reason = MALFORMED[name]
    with pytest.raises(RequestError) as refused:
        verify_post_policy(signed(document), SECRET, now=NOW)
    assert (refused.value.code, refused.value.message) == ("InvalidPolicyDocument", f"Invalid Policy: {reason}")


@pytest.mark.parametrize("encoded", ["!", "e30", "e30=e30="])
def test_a_document_in_malformed_base64_is_refused(encoded: str) -> None:
    with pytest.raises(RequestError) as refused:
        verify_post_policy(resigned(encoded), SECRET, now=NOW)
    assert refused.value.message == "Invalid Policy: invalid Base64 encoding."


def test_a_document_in_base64_of_several_lines_is_read() -> None:
    encoded = signed(DOCUMENTED_POLICY)["policy"]
    lines = "\r\n".join(encoded[at : at + 76] for at in range(0, len(encoded), 76))
    assert len(verify_post_policy(resigned(lines), SECRET, now=NOW).conditions) == 11


@pytest.mark.parametrize("name", BAD_CONDITIONS)
def test_a_malformed_condition_is_refused(name: str) -> None:
    condition, reason = BAD_CONDITIONS[name]
    with pytest.raises(RequestError) as refused:
        policy_of(condition)
    assert (refused.value.code, refused.value.message) == ("InvalidPolicyDocument", f"Invalid Policy: {reason}")


@pytest.mark.parametrize("name", ["key", "$", ""])
def test_a_condition_names_its_field_with_a_dollar(name: str) -> None:
    with pytest.raises(AccessError, match="Policy Condition failed"):
        policy_of(["eq", name, "a"])


HOLDS: dict[str, tuple[Any, str, bool]] = {
    "eq equal": (["eq", "$key", "a"], "a", True),
    "eq in other case": (["eq", "$key", "a"], "A", False),
    "eq longer": (["eq", "$key", "a"], "ab", False),
    "object equal": ({"key": "a"}, "a", True),
    "object different": ({"key": "a"}, "b", False),
    "name in other case": (["Eq", "$KeY", "a"], "a", True),
    "starts with": (["starts-with", "$key", "user/"], "user/a", True),
    "starts with itself": (["starts-with", "$key", "user/"], "user/", True),
    "starts with in other case": (["StArTs-WiTh", "$key", "user/"], "User/a", False),
    "starts with nothing": (["starts-with", "$key", ""], "anything", True),
    "starts otherwise": (["starts-with", "$key", "user/"], "/user/", False),
    "comma in a key": (["starts-with", "$key", "a"], "a,b", True),
    "escaped dollar": (["eq", "$key", "$price"], "$price", True),
}


@pytest.mark.parametrize("name", HOLDS)
def test_a_condition_holds_or_fails(name: str) -> None:
    condition, key, holds = HOLDS[name]
    policy = policy_of(condition)
    if holds:
        policy.check_fields(fields_of(key=key))
        return
    with pytest.raises(AccessError, match="Invalid according to Policy: Policy Condition failed: "):
        policy.check_fields(fields_of(key=key))


def test_the_failed_condition_is_shown() -> None:
    with pytest.raises(AccessError) as refused:
        policy_of(["starts-with", "$key", "user/"]).check_fields(fields_of(key="other"))
    assert (
        refused.value.message
        == 'Invalid according to Policy: Policy Condition failed: ["starts-with", "$key", "user/"]'
    )
    with pytest.raises(AccessError) as refused:
        policy_of({"key": "a"}).check_fields(fields_of(key="other"))
    assert refused.value.message == 'Invalid according to Policy: Policy Condition failed: ["eq", "$key", "a"]'


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        ("image/png", True),
        ("image/png,image/gif", True),
        ("image/png, image/gif", True),
        ("image/png,text/html", False),
    ],
)
def test_each_of_several_content_types_must_start_so(value: str, holds: bool) -> None:
    policy = policy_of(["starts-with", "$Content-Type", "image/"])
    if holds:
        policy.check_fields(fields_of(content_type=value))
    else:
        with pytest.raises(AccessError):
            policy.check_fields(fields_of(content_type=value))


def test_two_conditions_on_one_field_must_both_hold() -> None:
    policy = policy_of(["starts-with", "$key", "a"], ["starts-with", "$key", "ab"])
    policy.check_fields(fields_of(key="abc"))
    with pytest.raises(AccessError):
        policy.check_fields(fields_of(key="ac"))


@pytest.mark.parametrize(
    "name", ["x-amz-meta-a", "acl", "tagging", "success_action_status", "submit", "x-ignor", "bucket2"]
)
def test_a_field_that_no_condition_names_is_refused(name: str) -> None:
    with pytest.raises(AccessError) as refused:
        policy_of().check_fields({**fields_of(), name: "v"})
    assert refused.value.message == f"Invalid according to Policy: Extra input fields: {name}"


@pytest.mark.parametrize("name", ["x-ignore-", "x-ignore-anything", "file"])
def test_a_field_that_needs_no_condition_is_let_pass(name: str) -> None:
    policy_of().check_fields({**fields_of(), name: "v"})


def test_a_policy_must_name_the_bucket() -> None:
    policy = verify_post_policy(signed({"expiration": UNTIL, "conditions": OWN}), SECRET, now=NOW)
    with pytest.raises(AccessError, match="Extra input fields: bucket"):
        policy.check_fields(fields_of())


@pytest.mark.parametrize("text", [r'"\$price"', r'"\u0024price"', '"$price"'])
def test_a_dollar_may_be_escaped_as_s3_writes_it(text: str) -> None:
    document = f'{{"expiration": "{UNTIL}", "conditions": [{{"bucket": "b"}}, ["eq", "$key", {text}]]}}'
    policy = verify_post_policy(signed(document), SECRET, now=NOW)
    assert policy.conditions[-1].value == "$price"


def test_a_backslash_before_a_dollar_stays_one_where_it_is_escaped_itself() -> None:
    policy = policy_of(["eq", "$key", "\\$foo"])
    policy.check_fields(fields_of(key="\\$foo"))


SIZES = [(0, False), (1, True), (10, True), (11, False)]


@pytest.mark.parametrize("limits", [(1, 10), ("1", "10")])
@pytest.mark.parametrize(("size", "fits"), SIZES)
def test_the_file_must_have_a_size_within_the_range(limits: tuple[Any, Any], size: int, fits: bool) -> None:
    policy = policy_of(["content-length-range", *limits])
    assert (policy.smallest_bytes, policy.largest_bytes) == (1, 10)
    if fits:
        policy.check_length(size)
        return
    with pytest.raises(RequestError) as refused:
        policy.check(fields_of(), size)
    limit = ("MinSizeAllowed", "1") if size < 1 else ("MaxSizeAllowed", "10")
    assert refused.value.code == ("EntityTooSmall" if size < 1 else "EntityTooLarge")
    assert refused.value.fields == {"ProposedSize": str(size), limit[0]: limit[1]}


def test_of_two_ranges_both_hold() -> None:
    policy = policy_of(["content-length-range", 0, 10], ["content-length-range", 5, 100])
    assert (policy.smallest_bytes, policy.largest_bytes) == (5, 10)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(conditions=st.lists(JSON, max_size=4), expiration=JSON | st.just(UNTIL))
def test_any_signed_document_is_either_read_or_refused_by_a_request_error(
    conditions: list[Any], expiration: Any
) -> None:
    try:
        policy = verify_post_policy(signed({"expiration": expiration, "conditions": conditions}), SECRET, now=NOW)
    except RequestError:
        return
    assert isinstance(policy, PostPolicy)


@given(document=st.binary(max_size=60))
def test_any_signed_bytes_are_either_read_or_refused_by_a_request_error(document: bytes) -> None:
    with pytest.raises(RequestError):
        verify_post_policy(signed(document), SECRET, now=NOW)

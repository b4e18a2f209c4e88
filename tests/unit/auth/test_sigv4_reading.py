"""Reading signatures: whatever is not one whole signature is an error with AWS's code, never anonymous."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3al.auth.sigv4 import Scope, parse_authorization
from s3al.errors import RequestError

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
CREDENTIAL = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"
SIGNATURE = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
WHOLE = f"AWS4-HMAC-SHA256 Credential={CREDENTIAL},SignedHeaders=host;x-amz-date,Signature={SIGNATURE}"
HEADERS = {"host": "h", "x-amz-date": "20130524T000000Z", "x-amz-content-sha256": EMPTY, "authorization": WHOLE}
SCOPE = Scope("AKIAIOSFODNN7EXAMPLE", "20130524", "us-east-1", "s3")


def header_with(credential: str = CREDENTIAL, signed: str = "host", signature: str = SIGNATURE) -> str:
    return f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature={signature}"


def refusal(headers: dict[str, str], query: list[tuple[str, str]], hint: str | None = None) -> RequestError:
    with pytest.raises(RequestError) as refused:
        parse_authorization(headers, query, service_hint=hint)
    return refused.value


@pytest.mark.parametrize(
    "authorization",
    [
        WHOLE,
        WHOLE.replace(",", ", "),
        WHOLE.replace(",", " ,  "),
        f"  {WHOLE} ",
        f"AWS4-HMAC-SHA256   Signature={SIGNATURE}, Credential={CREDENTIAL}, SignedHeaders=Host;X-Amz-Date",
    ],
)
def test_the_header_is_read_with_any_spacing_and_order(authorization: str) -> None:
    signed = parse_authorization({**HEADERS, "authorization": authorization}, [])
    assert signed is not None
    assert signed.kind == "header"
    assert signed.scope == SCOPE
    assert str(signed.scope) == "20130524/us-east-1/s3/aws4_request"
    assert signed.signed_headers == ("host", "x-amz-date")
    assert signed.signature == SIGNATURE
    assert signed.signed_at == datetime(2013, 5, 24, tzinfo=UTC)
    assert (signed.expires_s, signed.payload_hash, signed.session_token) == (None, EMPTY, None)


MALFORMED = "The authorization header is malformed; "
BAD_CREDENTIAL = 'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".'
COMPONENTS = "the authorization header requires three components: Credential, SignedHeaders, and Signature."
UNSUPPORTED = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."

# Authorization -> (code, message)
BAD_HEADERS = {
    "empty": ("", "InvalidArgument", "Authorization header is invalid -- one and only one ' ' (space) required."),
    "algorithm alone": (
        "AWS4-HMAC-SHA256",
        "InvalidArgument",
        "Authorization header is invalid -- one and only one ' ' (space) required.",
    ),
    "version 2": ("AWS AKIAIOSFODNN7EXAMPLE:frJIUN8DYpKDtOLCwo//yllqDzg=", "InvalidRequest", UNSUPPORTED),
    "basic": ("Basic dXNlcjpwYXNz", "InvalidArgument", "Unsupported Authorization Type"),
    "bearer": ("Bearer eyJ", "InvalidArgument", "Unsupported Authorization Type"),
    "lower case": (WHOLE.lower(), "InvalidArgument", "Unsupported Authorization Type"),
    "version 4A": (
        WHOLE.replace("HMAC-SHA256", "ECDSA-P256-SHA256"),
        "NotImplemented",
        "AWS4-ECDSA-P256-SHA256 is not implemented. Please use AWS4-HMAC-SHA256.",
    ),
    "nothing after the algorithm": (
        "AWS4-HMAC-SHA256 ,",
        "AuthorizationHeaderMalformed",
        MALFORMED + 'the authorization component "" is malformed.',
    ),
    "no credential": (
        f"AWS4-HMAC-SHA256 SignedHeaders=host, Signature={SIGNATURE}",
        "AuthorizationHeaderMalformed",
        MALFORMED + "missing Credential.",
    ),
    "no signed headers": (
        f"AWS4-HMAC-SHA256 Credential={CREDENTIAL}, Signature={SIGNATURE}",
        "AuthorizationHeaderMalformed",
        MALFORMED + "missing SignedHeaders.",
    ),
    "no signature": (
        f"AWS4-HMAC-SHA256 Credential={CREDENTIAL}, SignedHeaders=host",
        "AuthorizationHeaderMalformed",
        MALFORMED + "missing Signature.",
    ),
    "empty signature": (
        header_with(signature=""),
        "AuthorizationHeaderMalformed",
        MALFORMED + 'the authorization component "Signature" is malformed.',
    ),
    "component without equal sign": (
        f"{WHOLE},nonsense",
        "AuthorizationHeaderMalformed",
        MALFORMED + 'the authorization component "nonsense" is malformed.',
    ),
    "unknown component": (f"{WHOLE},Extra=1", "AuthorizationHeaderMalformed", MALFORMED + COMPONENTS),
    "component twice": (f"{WHOLE},Signature=0", "AuthorizationHeaderMalformed", MALFORMED + COMPONENTS),
    "header twice": (f"{WHOLE},{WHOLE}", "AuthorizationHeaderMalformed", MALFORMED + COMPONENTS),
    "credential of four parts": (
        header_with("AK/20130524/us-east-1/s3"),
        "AuthorizationHeaderMalformed",
        MALFORMED + BAD_CREDENTIAL,
    ),
    "credential of six parts": (
        header_with("A/K/20130524/us-east-1/s3/aws4_request"),
        "AuthorizationHeaderMalformed",
        MALFORMED + BAD_CREDENTIAL,
    ),
    "empty access key id": (
        header_with("/20130524/us-east-1/s3/aws4_request"),
        "AuthorizationHeaderMalformed",
        MALFORMED + BAD_CREDENTIAL,
    ),
    "overlong access key id": (
        header_with("A" * 129 + "/20130524/us-east-1/s3/aws4_request"),
        "AuthorizationHeaderMalformed",
        MALFORMED + BAD_CREDENTIAL,
    ),
    "region of strange characters": (
        header_with("AK/20130524/us east/s3/aws4_request"),
        "AuthorizationHeaderMalformed",
        MALFORMED + BAD_CREDENTIAL,
    ),
    "overlong region": (
        header_with(f"AK/20130524/{'r' * 65}/s3/aws4_request"),
        "AuthorizationHeaderMalformed",
        MALFORMED + BAD_CREDENTIAL,
    ),
    "date with dashes": (
        header_with("AK/2013-05-24/us-east-1/s3/aws4_request"),
        "AuthorizationHeaderMalformed",
        MALFORMED + 'incorrect date format "2013-05-24". This date in the credential must be in the format "yyyyMMdd".',
    ),
    "date of other digits": (
        header_with("AK/٢٠١٣٠٥٢٤/us-east-1/s3/aws4_request"),
        "AuthorizationHeaderMalformed",
        MALFORMED + 'incorrect date format "٢٠١٣٠٥٢٤". This date in the credential must be in the format "yyyyMMdd".',
    ),
    "unknown service": (
        header_with("AK/20130524/us-east-1/dynamodb/aws4_request"),
        "AuthorizationHeaderMalformed",
        MALFORMED + 'incorrect service "dynamodb". This endpoint belongs to "s3".',
    ),
    "unknown terminator": (
        header_with("AK/20130524/us-east-1/s3/aws5_request"),
        "AuthorizationHeaderMalformed",
        MALFORMED + 'incorrect terminal "aws5_request". This endpoint uses "aws4_request".',
    ),
    "date of another day": (
        header_with("AK/20130523/us-east-1/s3/aws4_request"),
        "AuthorizationHeaderMalformed",
        MALFORMED + 'Invalid credential date "20130523". This date is not the same as X-Amz-Date: "20130524".',
    ),
}


@pytest.mark.parametrize("name", BAD_HEADERS)
def test_a_malformed_header_gets_the_code_of_s3(name: str) -> None:
    authorization, code, message = BAD_HEADERS[name]
    refused = refusal({**HEADERS, "authorization": authorization}, [])
    assert (refused.code, refused.message) == (code, message)
    assert SIGNATURE not in str(refused.fields) + str(refused)


@pytest.mark.parametrize(
    ("name", "query_code", "json_code"),
    [
        ("empty", "IncompleteSignature", "IncompleteSignatureException"),
        ("basic", "IncompleteSignature", "IncompleteSignatureException"),
        ("version 2", "IncompleteSignature", "IncompleteSignatureException"),
        ("no credential", "IncompleteSignature", "IncompleteSignatureException"),
        ("component without equal sign", "IncompleteSignature", "IncompleteSignatureException"),
        ("credential of four parts", "IncompleteSignature", "IncompleteSignatureException"),
        ("unknown service", "SignatureDoesNotMatch", "InvalidSignatureException"),
        ("unknown terminator", "SignatureDoesNotMatch", "InvalidSignatureException"),
        ("date of another day", "SignatureDoesNotMatch", "InvalidSignatureException"),
    ],
)
def test_a_malformed_header_gets_the_code_of_the_service_asked(name: str, query_code: str, json_code: str) -> None:
    for service, code in (("sts", query_code), ("iam", query_code), ("s3al", query_code), ("kms", json_code)):
        authorization = BAD_HEADERS[name][0].replace("/s3/", f"/{service}/")
        assert refusal({**HEADERS, "authorization": authorization}, [], service).code == code


def test_a_scope_of_another_service_than_the_one_asked_is_refused() -> None:
    refused = refusal(HEADERS, [], "kms")
    assert refused.code == "InvalidSignatureException"
    assert refused.message == "Credential should be scoped to correct service: 'kms'."


@pytest.mark.parametrize("service", ["kms", "sts", "iam", "cloudtrail", "s3al"])
def test_other_services_need_no_payload_hash(service: str) -> None:
    headers = {name: value for name, value in HEADERS.items() if name != "x-amz-content-sha256"}
    signed = parse_authorization({**headers, "authorization": WHOLE.replace("/s3/", f"/{service}/")}, [])
    assert signed is not None
    assert (signed.scope.service, signed.payload_hash) == (service, "")


@pytest.mark.parametrize(
    ("headers", "code", "message"),
    [
        ({"x-amz-date": None}, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header"),
        ({"x-amz-date": "yesterday"}, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header"),
        ({"x-amz-date": "20130524"}, "AccessDenied", "AWS authentication requires a valid Date or x-amz-date header"),
        (
            {"x-amz-date": "20130532T000000Z"},
            "AccessDenied",
            "AWS authentication requires a valid Date or x-amz-date header",
        ),
        (
            {"x-amz-date": "20130524T240000Z"},
            "AccessDenied",
            "AWS authentication requires a valid Date or x-amz-date header",
        ),
        (
            {"x-amz-date": None, "date": "never"},
            "AccessDenied",
            "AWS authentication requires a valid Date or x-amz-date header",
        ),
        (
            {"x-amz-date": "bad", "date": "Fri, 24 May 2013 00:00:00 GMT"},
            "AccessDenied",
            "AWS authentication requires a valid Date or x-amz-date header",
        ),
        (
            {"x-amz-content-sha256": None},
            "InvalidRequest",
            "Missing required header for this request: x-amz-content-sha256",
        ),
        ({"x-amz-content-sha256": ""}, "InvalidArgument", None),
        ({"x-amz-content-sha256": "e3b0"}, "InvalidArgument", None),
        ({"x-amz-content-sha256": EMPTY.upper()}, "InvalidArgument", None),
        ({"x-amz-content-sha256": "STREAMING-NOTHING"}, "InvalidArgument", None),
        ({"x-amz-content-sha256": "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"}, "NotImplemented", None),
        ({"x-amz-content-sha256": "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"}, "NotImplemented", None),
    ],
)
def test_date_and_payload_hash_must_be_there_and_well_formed(
    headers: dict[str, str | None], code: str, message: str | None
) -> None:
    sent = {name: value for name, value in {**HEADERS, **headers}.items() if value is not None}
    refused = refusal(sent, [])
    assert refused.code == code
    if message:
        assert refused.message == message


@pytest.mark.parametrize(
    "date",
    [
        "20130524T000000Z",
        "Fri, 24 May 2013 00:00:00 GMT",
        "Fri, 24 May 2013 00:00:00 -0000",
        "Fri, 24 May 2013 02:00:00 +0200",
        "Thu, 23 May 2013 23:30:00 -0030",
    ],
)
def test_the_date_header_may_have_either_form(date: str) -> None:
    headers = {name: value for name, value in HEADERS.items() if name != "x-amz-date"}
    signed = parse_authorization({**headers, "date": date}, [])
    assert signed is not None
    assert signed.signed_at == datetime(2013, 5, 24, tzinfo=UTC)


# --- Presigned URLs ---

QUERY = {
    "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
    "X-Amz-Credential": CREDENTIAL,
    "X-Amz-Date": "20130524T000000Z",
    "X-Amz-Expires": "86400",
    "X-Amz-SignedHeaders": "host",
    "X-Amz-Signature": SIGNATURE,
}
INCOMPLETE = None  # the table of errors has the sentence
IN_CREDENTIAL = "Error parsing the X-Amz-Credential parameter; "


def test_a_presigned_url_is_read() -> None:
    signed = parse_authorization({"host": "h"}, [("prefix", "x"), *QUERY.items(), ("X-Amz-Security-Token", "t")])
    assert signed is not None
    assert (signed.kind, signed.scope, signed.signed_headers) == ("query", SCOPE, ("host",))
    assert (signed.expires_s, signed.payload_hash, signed.session_token) == (86400, "UNSIGNED-PAYLOAD", "t")


BAD_QUERIES: dict[str, tuple[dict[str, str | None], str, str | None]] = {
    **{f"no {name}": ({name: None}, "AuthorizationQueryParametersError", INCOMPLETE) for name in QUERY},
    **{f"empty {name}": ({name: ""}, "AuthorizationQueryParametersError", INCOMPLETE) for name in QUERY},
    "unknown algorithm": (
        {"X-Amz-Algorithm": "AWS5"},
        "AuthorizationQueryParametersError",
        'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"',
    ),
    "version 4A": ({"X-Amz-Algorithm": "AWS4-ECDSA-P256-SHA256"}, "NotImplemented", None),
    "credential of three parts": (
        {"X-Amz-Credential": "a/b/c"},
        "AuthorizationQueryParametersError",
        IN_CREDENTIAL + BAD_CREDENTIAL,
    ),
    "unknown service": (
        {"X-Amz-Credential": CREDENTIAL.replace("/s3/", "/ec2/")},
        "AuthorizationQueryParametersError",
        IN_CREDENTIAL + 'incorrect service "ec2". This endpoint belongs to "s3".',
    ),
    "unknown terminator": (
        {"X-Amz-Credential": CREDENTIAL + "s"},
        "AuthorizationQueryParametersError",
        IN_CREDENTIAL + 'incorrect terminal "aws4_requests". This endpoint uses "aws4_request".',
    ),
    "date of another day": (
        {"X-Amz-Date": "20130525T000000Z"},
        "AuthorizationQueryParametersError",
        'Invalid credential date "20130524". This date is not the same as X-Amz-Date: "20130525".',
    ),
    "malformed date": (
        {"X-Amz-Date": "2013-05-24T00:00:00Z"},
        "AuthorizationQueryParametersError",
        "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"",
    ),
    "expires in words": (
        {"X-Amz-Expires": "soon"},
        "AuthorizationQueryParametersError",
        "X-Amz-Expires should be a number",
    ),
    "expires with a fraction": (
        {"X-Amz-Expires": "1.5"},
        "AuthorizationQueryParametersError",
        "X-Amz-Expires should be a number",
    ),
    "expires of a thousand digits": (
        {"X-Amz-Expires": "9" * 1000},
        "AuthorizationQueryParametersError",
        "X-Amz-Expires should be a number",
    ),
    "negative expires": (
        {"X-Amz-Expires": "-1"},
        "AuthorizationQueryParametersError",
        "X-Amz-Expires must be non-negative",
    ),
    "expires after more than a week": (
        {"X-Amz-Expires": "604801"},
        "AuthorizationQueryParametersError",
        (
            "X-Amz-Expires must be less than a week (in seconds); "
            "that is, the given X-Amz-Expires must be less than 604800 seconds"
        ),
    ),
    "malformed payload hash": ({"X-Amz-Content-Sha256": "x"}, "InvalidArgument", None),
    "streaming named in the query alone": (
        {"X-Amz-Content-Sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"},
        "InvalidRequest",
        None,
    ),
}


@pytest.mark.parametrize("name", BAD_QUERIES)
def test_a_malformed_presigned_url_gets_the_code_of_s3(name: str) -> None:
    change, code, message = BAD_QUERIES[name]
    sent = [(key, value) for key, value in {**QUERY, **change}.items() if value is not None]
    refused = refusal({"host": "h"}, sent)
    assert refused.code == code
    if message:
        assert refused.message == message


@pytest.mark.parametrize("service", ["sts", "kms"])
@pytest.mark.parametrize("name", [name for name in BAD_QUERIES if "ayload" not in name and "streaming" not in name])
def test_a_malformed_presigned_url_gets_the_code_of_the_service_asked(name: str, service: str) -> None:
    wrong = {"unknown service", "unknown terminator", "date of another day"}
    change = {
        key: value.replace("/s3/", f"/{service}/") if value else value for key, value in BAD_QUERIES[name][0].items()
    }
    whole = {key: value.replace("/s3/", f"/{service}/") for key, value in QUERY.items()}
    sent = [(key, value) for key, value in {**whole, **change}.items() if value is not None]
    suffix = "Exception" if service == "kms" else ""
    mismatch = "InvalidSignatureException" if service == "kms" else "SignatureDoesNotMatch"
    expected = mismatch if name in wrong else f"IncompleteSignature{suffix}"
    assert refusal({"host": "h"}, sent, service).code == expected


@pytest.mark.parametrize("name", QUERY)
def test_a_parameter_of_the_signature_given_twice_is_refused(name: str) -> None:
    assert refusal({"host": "h"}, [*QUERY.items(), (name, QUERY[name])]).code == "AuthorizationQueryParametersError"


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({}, "UNSIGNED-PAYLOAD"),
        ({"query": EMPTY}, EMPTY),
        ({"header": EMPTY}, EMPTY),
        ({"header": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}, "STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
    ],
)
def test_a_presigned_url_may_name_its_payload(payload: dict[str, str], expected: str) -> None:
    headers = {"host": "h"} | ({"x-amz-content-sha256": payload["header"]} if "header" in payload else {})
    query = [*QUERY.items()] + ([("X-Amz-Content-Sha256", payload["query"])] if "query" in payload else [])
    signed = parse_authorization(headers, query)
    assert signed is not None
    assert signed.payload_hash == expected


@pytest.mark.parametrize(
    "query", [[("AWSAccessKeyId", "A"), ("Signature", "s"), ("Expires", "1")], [("Signature", "s")]]
)
def test_a_url_presigned_by_version_2_is_refused(query: list[tuple[str, str]]) -> None:
    refused = refusal({"host": "h"}, query)
    assert (refused.code, refused.message) == ("InvalidRequest", UNSUPPORTED)


@pytest.mark.parametrize("query", [[*QUERY.items()], [("X-Amz-Signature", "s")], [("Signature", "s")]])
def test_two_signatures_in_one_request_are_refused(query: list[tuple[str, str]]) -> None:
    refused = refusal(HEADERS, query)
    assert refused.code == "InvalidArgument"
    assert (refused.message or "").startswith("Only one auth mechanism allowed")
    assert refused.fields == {"ArgumentName": "Authorization", "ArgumentValue": "AWS4-HMAC-SHA256"}


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\x00"), max_size=60)
PIECES = st.sampled_from(
    ["AWS4-HMAC-SHA256", " ", ",", "=", "/", ";", "Credential", "Signature", "SignedHeaders", "s3", CREDENTIAL]
)


@given(
    authorization=st.lists(PIECES | TEXTS, max_size=12).map("".join), hint=st.sampled_from([None, "s3", "kms", "sts"])
)
def test_any_header_is_either_read_or_refused_by_a_request_error(authorization: str, hint: str | None) -> None:
    try:
        signed = parse_authorization({**HEADERS, "authorization": authorization}, [], service_hint=hint)
    except RequestError:
        return
    assert signed is not None
    assert signed.scope.access_key_id


@given(
    change=st.dictionaries(st.sampled_from(sorted(QUERY)), TEXTS | PIECES, max_size=4),
    extra=st.lists(st.tuples(TEXTS, TEXTS), max_size=3),
)
def test_any_query_is_either_read_or_refused_by_a_request_error(
    change: dict[str, str], extra: list[tuple[str, str]]
) -> None:
    try:
        signed = parse_authorization({"host": "h"}, [*{**QUERY, **change}.items(), *extra])
    except RequestError:
        return
    assert signed is not None
    assert signed.kind == "query"

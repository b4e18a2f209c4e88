"""Signatures made by botocore are accepted, and ours equal botocore's, over odd paths, queries and headers."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote, unquote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import assume, given
from hypothesis import strategies as st

from s3al.auth.sigv4 import Scope, SignedRequest, parse_authorization, verify
from s3al.auth.sigv4_canonical import canonical_paths, parse_timestamp
from s3al.auth.sigv4_sign import Unsigned, sign
from s3al.errors import RequestError

SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
CREDENTIALS = Credentials("AKIAIOSFODNN7EXAMPLE", SECRET)
REGION = "eu-west-1"
HOST = "localhost:9000"
SERVICES = st.sampled_from(["s3", "kms", "sts", "iam", "s3al"])

Pairs = list[tuple[str, str]]

# As an SDK encodes a key, and as other clients leave it on the wire.
KEYS = st.text(st.characters(codec="utf-8"), max_size=12)
PIECES = st.sampled_from(
    ["a", "/", "//", "/./", "/../", ".", "..", "~", "%7E", "+", "%2B", "%20", "%2F", "%2f", "%25", "%252F", "%C3%A9",
     "%c3%a9", "%F0%9F%97%9D", "=", "%3D", "&", ":", ";", "@", "!", "$", "'", "(", ")", "*", ",", "%00", "-", "_"]
)  # fmt: skip
SDK_PATHS = st.lists(KEYS, max_size=4).map(lambda keys: "/" + quote("/".join(keys), safe="/-_.~"))
RAW_PATHS = st.lists(PIECES, max_size=10).map(lambda pieces: "/" + "".join(pieces))
WORDS = st.sampled_from(
    ["", "a", "A", "b=c", "=", "a+b", "a b", "%", "%41", "é", "~", "/", "&", "list-type", "a-b", "a.b", "\U0001f5dd"]
)
QUERIES = st.lists(st.tuples(WORDS.filter(bool) | KEYS.filter(bool), WORDS | KEYS), max_size=5)
HEADER_VALUES = st.lists(
    st.sampled_from(["a", "B", " ", "  ", "\t", ",", ";", '"q  q"', "=", ":", "text/plain", "~"]), max_size=8
).map("".join)
HEADERS = st.dictionaries(
    st.sampled_from(["X-Amz-Meta-A", "x-amz-meta-b", "Content-Type", "Range", "X-Amz-Acl", "Zeta", "Cache-Control"]),
    HEADER_VALUES,
    max_size=4,
)


def raw_query(pairs: Pairs) -> str:
    return "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)


def sent_headers(request: AWSRequest) -> dict[str, str]:
    """As the server hands them on: lower case, surrounding blanks gone, host added by the client."""
    headers: dict[str, str] = {"host": HOST}
    for name, value in request.headers.items():
        headers[name.lower()] = str(value).strip(" \t")
    return headers


def check(signed: SignedRequest | None, method: str, raw_path: str, query: Pairs, headers: dict[str, str]) -> None:
    assert signed is not None
    verify(signed, SECRET, method=method, raw_path=raw_path, query=query, headers=headers, now=signed.signed_at)


@given(path=SDK_PATHS | RAW_PATHS, query=QUERIES, headers=HEADERS, method=st.sampled_from(["GET", "PUT", "DELETE"]))
def test_a_head_that_botocore_signed_for_s3_is_accepted(
    path: str, query: Pairs, headers: dict[str, str], method: str
) -> None:
    url = f"http://{HOST}{path}" + (f"?{raw_query(query)}" if query else "")
    request = AWSRequest(method, url, headers, data=b"body")
    assume(urlsplit(url).netloc == HOST)
    S3SigV4Auth(CREDENTIALS, "s3", REGION).add_auth(request)
    sent = sent_headers(request)
    signed = parse_authorization(sent, query)
    check(signed, method, path, query, sent)
    assert signed is not None
    assert signed.payload_hash == hashlib.sha256(b"body").hexdigest()


@given(path=SDK_PATHS, query=QUERIES, headers=HEADERS)
def test_our_signature_for_s3_equals_that_of_botocore(path: str, query: Pairs, headers: dict[str, str]) -> None:
    url = f"http://{HOST}{path}" + (f"?{raw_query(query)}" if query else "")
    request = AWSRequest("GET", url, headers)
    S3SigV4Auth(CREDENTIALS, "s3", REGION).add_auth(request)
    sent = sent_headers(request)
    now = parse_timestamp(sent["x-amz-date"])
    assert now is not None
    bare = {name: value for name, value in sent.items() if name != "authorization"}
    scope = Scope(CREDENTIALS.access_key, sent["x-amz-date"][:8], REGION, "s3")
    ours = sign(Unsigned("GET", path, bare, query, sent["x-amz-content-sha256"]), scope, SECRET, now=now)
    assert ours.headers["authorization"] == sent["authorization"]


@given(path=SDK_PATHS | RAW_PATHS, query=QUERIES, headers=HEADERS, service=SERVICES.filter(lambda name: name != "s3"))
def test_a_head_that_botocore_signed_for_another_service_is_accepted(
    path: str, query: Pairs, headers: dict[str, str], service: str
) -> None:
    url = f"http://{HOST}{path}" + (f"?{raw_query(query)}" if query else "")
    request = AWSRequest("POST", url, headers, data=b"{}")
    SigV4Auth(CREDENTIALS, service, REGION).add_auth(request)
    sent = sent_headers(request)
    signed = parse_authorization(sent, query, service_hint=service)
    assert signed is not None
    check(replace(signed, payload_hash=hashlib.sha256(b"{}").hexdigest()), "POST", path, query, sent)


@given(
    path=SDK_PATHS | RAW_PATHS,
    query=st.dictionaries(WORDS.filter(bool), WORDS, max_size=4).map(lambda pairs: list(pairs.items())),
    headers=HEADERS,
    expires_s=st.integers(1, 604800),
)
def test_a_url_that_botocore_presigned_is_accepted(
    path: str, query: Pairs, headers: dict[str, str], expires_s: int
) -> None:
    request = AWSRequest("GET", f"http://{HOST}{path}" + (f"?{raw_query(query)}" if query else ""), headers)
    S3SigV4QueryAuth(CREDENTIALS, "s3", REGION, expires=expires_s).add_auth(request)
    pairs = [tuple(map(unquote, pair.split("=", 1))) for pair in urlsplit(request.url).query.split("&")]
    sent = sent_headers(request)
    signed = parse_authorization(sent, pairs)  # type: ignore[arg-type]
    assert signed is not None
    assert signed.expires_s == expires_s
    check(signed, "GET", path, pairs, sent)  # type: ignore[arg-type]


def test_a_caller_identity_that_botocore_presigned_is_accepted() -> None:
    """The token that clusters hand to their API servers."""
    url = f"http://{HOST}/?Action=GetCallerIdentity&Version=2011-06-15"
    request = AWSRequest("GET", url, {"x-k8s-aws-id": "cluster"})
    SigV4QueryAuth(CREDENTIALS, "sts", REGION, expires=60).add_auth(request)
    pairs = [tuple(map(unquote, pair.split("=", 1))) for pair in urlsplit(request.url).query.split("&")]
    signed = parse_authorization(sent_headers(request), pairs)  # type: ignore[arg-type]
    assert signed is not None
    whole = replace(signed, payload_hash=hashlib.sha256(b"").hexdigest())
    check(whole, "GET", "/", pairs, sent_headers(request))  # type: ignore[arg-type]


def test_a_session_token_is_read_from_header_and_query() -> None:
    credentials = Credentials("ASIAIOSFODNN7EXAMPLE", SECRET, "the/session+token==")
    request = AWSRequest("GET", f"http://{HOST}/b/k")
    S3SigV4Auth(credentials, "s3", REGION).add_auth(request)
    signed = parse_authorization(sent_headers(request), [])
    assert signed is not None
    assert signed.session_token == "the/session+token=="
    check(signed, "GET", "/b/k", [], sent_headers(request))
    request = AWSRequest("GET", f"http://{HOST}/b/k")
    S3SigV4QueryAuth(credentials, "s3", REGION).add_auth(request)
    pairs = [tuple(map(unquote, pair.split("=", 1))) for pair in urlsplit(request.url).query.split("&")]
    signed = parse_authorization({"host": HOST}, pairs)  # type: ignore[arg-type]
    assert signed is not None
    assert signed.session_token == "the/session+token=="
    check(signed, "GET", "/b/k", pairs, {"host": HOST})  # type: ignore[arg-type]


@given(signed_path=SDK_PATHS | RAW_PATHS, sent_path=SDK_PATHS | RAW_PATHS)
def test_a_signature_for_one_path_opens_no_other(signed_path: str, sent_path: str) -> None:
    """Two forms of one path are accepted; two paths never share a form."""
    now = datetime(2026, 1, 2, tzinfo=UTC)
    scope = Scope("A", "20260102", REGION, "s3")
    head = sign(Unsigned("GET", signed_path, {"host": HOST}), scope, SECRET, now=now)
    signed = parse_authorization(head.headers, [])
    same = unquote(signed_path, errors="surrogateescape") == unquote(sent_path, errors="surrogateescape")
    if same:
        check(signed, "GET", sent_path, [], head.headers)
    else:
        with pytest.raises(RequestError, match="SignatureDoesNotMatch"):
            check(signed, "GET", sent_path, [], head.headers)


@given(raw_path=st.text(st.characters(max_codepoint=255), max_size=20), service=SERVICES)
def test_any_path_has_a_canonical_form(raw_path: str, service: str) -> None:
    forms = canonical_paths(service, raw_path)
    assert forms[0].isascii()
    assert canonical_paths("s3", forms[0])[0] == forms[0] or service != "s3"

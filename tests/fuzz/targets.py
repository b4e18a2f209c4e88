"""Every parser that reads bytes from outside, as a function of bytes.

What lives here: `TARGETS`, for hypothesis (test_parsers) and for atheris (atheris_targets), with seeds that lead past
the first check. What does not: the whole server under arbitrary requests (test_requests).

Law: a target raises nothing but the errors that the server answers; anything else is a finding.
"""

# ruff: noqa: E501, ISC004  (inputs are written as they are)
from __future__ import annotations

import base64
import ipaddress
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from types import SimpleNamespace
from typing import Any

from botocore.loaders import Loader

from s3al.auth.evaluate import AccessRequest, evaluate_resource_policy
from s3al.auth.policy import Policy, PolicyKind
from s3al.auth.post_policy import parse_form_authorization, verify_post_policy
from s3al.auth.principal import ANONYMOUS
from s3al.auth.publicness import is_public
from s3al.auth.sigv4 import Scope, parse_authorization, verify
from s3al.auth.sigv4_sign import sign_form
from s3al.crypto.keys import open_kms, parse_kms_blob, unwrap
from s3al.crypto.records import open_record
from s3al.crypto.stream import SegmentOpener, StreamOpener
from s3al.errors import ConfigError, IntegrityError, RequestError
from s3al.kms.paging import page_of
from s3al.kms.root_socket import _HEAD as _ROOT_HEAD
from s3al.kms.root_socket import _answer as answer_root_request
from s3al.kms.store_document import StoreDocument
from s3al.s3.copy import copy_source
from s3al.s3.preconditions import matches
from s3al.s3.ranges import resolve, resolve_copy
from s3al.s3.tag_set import parse_tagging_header
from s3al.s3.tokens import make_token, read_token
from s3al.server.asgi import request_of
from s3al.server.own_api import plans as own_api_plans
from s3al.server.own_api import route as own_api_route
from s3al.server.payload import DecodedBody
from s3al.server.proxies import client_of
from s3al.wire.body import decode, framing_of, stored_content_encoding
from s3al.wire.checksums import content_md5, declared_checksum, trailer_checksum
from s3al.wire.form import Form
from s3al.wire.model import compile_service
from s3al.wire.operations import ALLOWED
from s3al.wire.plan import Route, ServicePlan
from s3al.wire.quirks import quirks_of
from s3al.wire.router import Router
from s3al.wire.xml import read_document

from .stored_targets import STORED

# How many times as many examples as CI takes.
TIMES = int(os.environ.get("FUZZ_TIMES", "1"))
ANSWERED = (RequestError, IntegrityError)
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEY = bytes(range(32))
SECRET = "secret-of-nobody"
_PROXIES = ipaddress.ip_network("10.0.0.0/8")
SCOPE = Scope("AKIDEXAMPLE", "20260101", "us-east-1", "s3")


@dataclass(frozen=True)
class Target:
    """run: takes the bytes. seeds: whole inputs. expected: what it may raise."""

    run: Callable[[bytes], object]
    seeds: tuple[bytes, ...] = ()
    expected: tuple[type[Exception], ...] = ANSWERED


@cache
def plan_of(service: str) -> ServicePlan:
    document = Loader().load_service_model(service, "service-2")
    return compile_service(document, operations=ALLOWED[service], quirks=quirks_of(service))


@cache
def router() -> Router:
    return Router((plan_of("s3"), plan_of("kms"), plan_of("sts")), domain="s3.example")


def lines(data: bytes) -> list[str]:
    return data.decode("latin-1").split("\n")


def request(data: bytes) -> Any:
    """First line: method, target. Then headers, as many as there are."""
    first, *rest = data.split(b"\n")
    method, _, target = first.partition(b" ")
    path, _, query = target.partition(b"?")
    headers = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(b":") for line in rest)]
    scope = {
        "type": "http",
        "method": method.decode("latin-1"),
        "scheme": "http",
        "raw_path": b"/" + path.lstrip(b"/"),
        "query_string": query,
        "headers": headers,
        "client": ("127.0.0.1", 1),
    }

    async def receive() -> dict[str, Any]:
        raise AssertionError("a head alone reads no body")

    return request_of(scope, receive)


def head(data: bytes) -> None:
    """All that is done with a head before and after it is authenticated."""
    asked = request(data)
    if asked.refusal:
        raise asked.refusal
    signed = parse_authorization(asked.headers, asked.query)
    service = signed.scope.service if signed else None
    if signed:
        with suppress(RequestError):
            verify(
                signed, SECRET, method=asked.method, raw_path=asked.raw_path, query=asked.query, headers=asked.headers,
                now=NOW,
            )  # fmt: skip
    route = router().route(
        asked.method, asked.headers.get("host", ""), asked.raw_path, asked.query, asked.headers, service=service
    )
    DecodedBody(asked, signed.payload_hash if signed else None, None)
    stored_content_encoding(asked.headers)
    content_md5(asked.headers)
    declared_checksum(asked.headers)
    if route.plan:
        route.plan.parse(route, asked.query, asked.headers, None)


def document(service: str) -> Callable[[bytes], None]:
    """The body of any operation of a service; the first line names it, or its number."""

    def run(data: bytes) -> None:
        name, _, body = data.partition(b"\n")
        plan = plan_of(service)
        names = sorted(plan.operations)
        chosen = name.decode("latin-1")
        if chosen not in plan.operations:
            chosen = names[sum(name) % len(names)]
        operation = plan.operations[chosen]
        operation.parse(Route(operation, chosen, service, "bucket", "key", False), [], {}, body)

    return run


def form(data: bytes) -> None:
    content_type, _, body = data.partition(b"\n")
    reader = Form(content_type.decode("latin-1"))
    for at in range(0, len(body), 7):
        reader.feed(body[at : at + 7])
    reader.finish()
    parse_form_authorization(reader.fields)


def post_policy(data: bytes) -> None:
    fields = sign_form(data.decode("utf-8", "replace"), SCOPE, SECRET, now=NOW)
    policy = verify_post_policy(fields, SECRET, now=NOW)
    policy.check({**fields, "key": "a"}, 5)


def form_fields(data: bytes) -> None:
    fields = dict(line.partition("=")[::2] for line in lines(data))
    parse_form_authorization(fields)
    verify_post_policy(fields, SECRET, now=NOW)


class _AnySignature:
    def chunk(self, signature: str, data_sha256_hex: str) -> None: ...

    def trailer(self, signature: str, canonical_trailers: bytes) -> None: ...


def chunked(data: bytes) -> None:
    """Headers, an empty line, the body."""
    text, _, body = data.partition(b"\n\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines(text))}
    decoder = decode(framing_of(headers), _AnySignature())
    for at in range(0, len(body), 5):
        decoder.feed(body[at : at + 5])
    decoder.finish()
    trailer_checksum("CRC32", decoder.trailers)


def policy(data: bytes) -> None:
    kind = list(PolicyKind)[len(data) % len(PolicyKind)]
    parsed = Policy.parse(data, kind=kind, max_bytes=20_480, bucket_name="bucket")
    asked = AccessRequest(ANONYMOUS, "s3:GetObject", "arn:aws:s3:::bucket/key", {"aws:SourceIp": "10.0.0.1"})
    evaluate_resource_policy(parsed, asked, resource_account="111111111111")
    is_public(parsed)


def kms_blob(data: bytes) -> None:
    open_kms(KEY, parse_kms_blob(data), {})


def stream(data: bytes) -> None:
    opener = StreamOpener(KEY, b"", segment_bytes=4096)
    for at in range(0, len(data), 1000):
        opener.update(data[at : at + 1000])
    opener.finalize()


def segment(data: bytes) -> None:
    sealed_bytes = int.from_bytes(data[:4], "big")
    opener = SegmentOpener(KEY, b"", header=data[4:44], sealed_bytes=sealed_bytes, segment_bytes=4096)
    opener.open(0, data[44:])


def store_document(data: bytes) -> None:
    """As store.layout reads store.json, then as kms takes it."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(found, dict):
        StoreDocument.from_json(found)


def kms_marker(data: bytes) -> None:
    marker = data.decode("latin-1")
    page_of(SimpleNamespace(operation="ListKeys", params={"Marker": marker}))  # type: ignore[arg-type]


def root_request(data: bytes) -> None:
    class Root:
        current_version = 1

        def wrap(self, secret: bytes, *, version: int, place: bytes) -> Any:
            return SimpleNamespace(sealed=secret)

        def unwrap(self, wrapped: Any, *, place: bytes) -> bytes:
            return unwrap(KEY, wrapped.sealed, associated_data=place)

    answer_root_request(data.ljust(_ROOT_HEAD.size, b"\0"), Root())  # type: ignore[arg-type]


def own_api(data: bytes) -> None:
    plans = own_api_plans(["CreateAccount"])
    route = own_api_route("/_s3al/v1/CreateAccount", "POST", plans)
    plans["CreateAccount"].parse(route, [], {}, data)


def forwarded(data: bytes) -> None:
    """First line: X-Forwarded-For; second: X-Forwarded-Proto."""
    hops, _, scheme = data.decode("latin-1").partition("\n")
    client_of("10.0.0.1", False, {"x-forwarded-for": hops, "x-forwarded-proto": scheme}, [_PROXIES])


_XML = (
    b"<CompleteMultipartUpload><Part><ETag>a</ETag><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
    b"<Delete><Object><Key>k</Key><VersionId>v</VersionId></Object><Quiet>true</Quiet></Delete>",
    b"<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>",
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    b"<a>" * 40 + b"</a>" * 40,
)
_SIGNED = (
    b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-date,"
    b" Signature=" + b"0" * 64
)
_CHUNKS = (
    b"x-amz-content-sha256: STREAMING-%s\nx-amz-decoded-content-length: 5\nx-amz-trailer: x-amz-checksum-crc32\n\n"
)
_FORM = (
    b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nk\r\n--b\r\nContent-Disposition: form-data; name="file";'
    b' filename="f"\r\n\r\nbytes\r\n--b--\r\n'
)
_POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": "arn:aws:s3:::bucket/*",
                "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "DateLessThan": {"aws:CurrentTime": "2030"}},
            }
        ],
    }
).encode()

TARGETS: dict[str, Target] = {
    "xml": Target(read_document, _XML),
    "s3 documents": Target(
        document("s3"),
        tuple(
            name + b"\n" + body
            for name, body in zip(
                (b"CompleteMultipartUpload", b"DeleteObjects", b"PutObjectTagging"), _XML, strict=False
            )
        ),
    ),
    "kms documents": Target(
        document("kms"),
        (
            b'Encrypt\n{"KeyId": "a", "Plaintext": "YQ==", "EncryptionContext": {"a": "b"}}',
            b'CreateKey\n{"Description": "\\ud800", "Tags": [{"TagKey": "a", "TagValue": "b"}]}',
            b'ListKeys\n{"Limit": 1e400}',
        ),
    ),
    "sts documents": Target(
        document("sts"), (b"GetCallerIdentity\nAction=GetCallerIdentity&Version=2011-06-15&a=b&a.=c",)
    ),
    "heads": Target(
        head,
        (
            b"GET /bucket/key?partNumber=1&versionId=x\nhost: localhost\nrange: bytes=0-1\nauthorization: " + _SIGNED,
            b"PUT /b/%e2%82%ac?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=9999999999999999999999&X-Amz-Date="
            b"20260101T000000Z&X-Amz-SignedHeaders=host&X-Amz-Signature=0&X-Amz-Credential=a/20260101/b/s3/aws4_request",
            b"POST /\nx-amz-target: TrentService.Encrypt\nx-amz-date: 20260101T000000Z\nauthorization: " + _SIGNED,
            b"PUT /b/k\nhost: b.s3.example\nx-amz-copy-source: /a/b\nx-amz-checksum-crc32: AAAAAA==\ncontent-md5: x",
            b"PUT /b/k\nx-amz-object-lock-retain-until-date: 9999999999999\nif-modified-since: 0\nexpires: x",
        ),
    ),
    "forms": Target(form, (b"multipart/form-data; boundary=b\n" + _FORM,)),
    "form policies": Target(
        post_policy,
        (
            b'{"expiration": "2030-01-01T00:00:00Z", "conditions": [["eq", "$key", "a"], ["content-length-range", 0, 9]]}',
        ),
    ),
    "form fields": Target(form_fields, (b"policy=e30=\nx-amz-algorithm=AWS4-HMAC-SHA256\nx-amz-signature=\xe9",)),
    "chunked bodies": Target(
        chunked,
        (
            _CHUNKS % b"UNSIGNED-PAYLOAD-TRAILER" + b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
            _CHUNKS % b"AWS4-HMAC-SHA256-PAYLOAD"
            + b"5;chunk-signature="
            + b"0" * 64
            + b"\r\nhello\r\n0;chunk-signature="
            + b"0" * 64
            + b"\r\n\r\n",
        ),
    ),
    "policies": Target(policy, tuple(_POLICY + b" " * n for n in range(len(PolicyKind)))),
    "kms ciphertext": Target(kms_blob),
    "wrapped keys": Target(lambda data: unwrap(KEY, data, associated_data=b"")),
    "records": Target(lambda data: open_record(KEY, data, associated_data=b"")),
    "streams": Target(stream),
    "segments": Target(segment),
    "store.json": Target(
        store_document, (b'{"format": 1, "store_id": "00", "roots": [{}]}',), (*ANSWERED, ConfigError)
    ),
    "ranges": Target(lambda data: resolve(data.decode("latin-1"), 100), (b"bytes=0-1", b"bytes=-5", b"bytes=5-")),
    "copy ranges": Target(lambda data: resolve_copy(data.decode("latin-1"), 100), (b"bytes=0-1",)),
    "copy sources": Target(
        lambda data: copy_source({"CopySource": data.decode("latin-1")}),
        (b"/b/%e9?versionId=%ff", b"b/k?versionId=null"),
    ),
    "tokens": Target(
        lambda data: read_token(data.decode("latin-1"), "ListObjectsV2", scope=b"s"),
        (make_token("ListObjectsV2", scope=b"s", position=b"key").encode(),),
    ),
    "kms markers": Target(kms_marker, (base64.urlsafe_b64encode(b"ListKeys\nkey"),)),
    "tags in a header": Target(lambda data: parse_tagging_header(data.decode("latin-1")), (b"a=b&c=%ff",)),
    "etags": Target(lambda data: matches(data.decode("latin-1"), '"etag"'), (b'"etag", W/"x", *',)),
    "the root's socket": Target(root_request, (b"\x03\x00\x00\x00\x01\x00\x00",)),
    "bodies of our own api": Target(own_api, (b'{"name": "n", "settings": {}}',)),
    "forwarded addresses": Target(forwarded, (b"192.0.2.1, ::ffff:10.0.0.1, 10.0.0.2\nhttp,https",)),
} | {name: Target(*parts) for name, parts in STORED.items()}

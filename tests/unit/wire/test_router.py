"""Every request finds its own operation, and an operation that is not answered is never taken for another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3al.errors import RequestError
from s3al.wire.address import decode_query
from s3al.wire.operations import ALLOWED
from s3al.wire.router import Router

COPY = {"x-amz-copy-source": "b/k"}
FORM = {"content-type": "multipart/form-data; boundary=x"}

# method, target, headers, operation
PLACES = [
    ("GET", "/", {}, "ListBuckets"),
    ("HEAD", "/b", {}, "HeadBucket"),
    ("PUT", "/b", {}, "CreateBucket"),
    ("PUT", "/b/", {}, "CreateBucket"),
    ("DELETE", "/b", {}, "DeleteBucket"),
    ("GET", "/b", {}, "ListObjects"),
    ("GET", "/b?prefix=x&delimiter=/", {}, "ListObjects"),
    ("GET", "/b?list-type=2", {}, "ListObjectsV2"),
    ("GET", "/b/?list-type=2&prefix=a", {}, "ListObjectsV2"),
    ("GET", "/b?versions", {}, "ListObjectVersions"),
    ("GET", "/b?uploads", {}, "ListMultipartUploads"),
    ("GET", "/b?location", {}, "GetBucketLocation"),
    ("GET", "/b?lifecycle", {}, "GetBucketLifecycleConfiguration"),
    ("GET", "/b?notification", {}, "GetBucketNotificationConfiguration"),
    ("GET", "/b?object-lock", {}, "GetObjectLockConfiguration"),
    ("GET", "/b?encryption", {}, "GetBucketEncryption"),
    ("POST", "/b?delete", {}, "DeleteObjects"),
    ("POST", "/b?delete=", {}, "DeleteObjects"),
    ("POST", "/b", FORM, "PostObject"),
    ("OPTIONS", "/b", {}, "Preflight"),
    ("OPTIONS", "/b/k?x=y", {}, "Preflight"),
    ("GET", "/b/k", {}, "GetObject"),
    ("GET", "/b/k?x-id=GetObject", {}, "GetObject"),
    ("GET", "/b/k?partNumber=2", {}, "GetObject"),
    ("GET", "/b/k?versionId=1&response-content-type=a", {}, "GetObject"),
    ("GET", "/b/k?unknown=1", {}, "GetObject"),
    ("GET", "/b/k?uploadId=1", {}, "ListParts"),
    ("GET", "/b/k?attributes", {"x-amz-object-attributes": "ETag"}, "GetObjectAttributes"),
    ("GET", "/b/k?tagging", {}, "GetObjectTagging"),
    ("HEAD", "/b/k", {}, "HeadObject"),
    ("PUT", "/b/k", {}, "PutObject"),
    ("PUT", "/b/k", COPY, "CopyObject"),
    ("PUT", "/b/k?partNumber=1&uploadId=2", {}, "UploadPart"),
    ("PUT", "/b/k?partNumber=1&uploadId=2", COPY, "UploadPartCopy"),
    ("PUT", "/b/k?encryption", {}, "UpdateObjectEncryption"),
    ("PUT", "/b/k?tagging", {}, "PutObjectTagging"),
    ("DELETE", "/b/k", {}, "DeleteObject"),
    ("DELETE", "/b/k?uploadId=1", {}, "AbortMultipartUpload"),
    ("DELETE", "/b/k?tagging", {}, "DeleteObjectTagging"),
    ("PUT", "/b?object-lock", {}, "PutObjectLockConfiguration"),
    ("PUT", "/b?lifecycle", {}, "PutBucketLifecycleConfiguration"),
    ("DELETE", "/b?lifecycle", {}, "DeleteBucketLifecycle"),
    ("PUT", "/b/k?retention", {}, "PutObjectRetention"),
    ("PUT", "/b/k?legal-hold", {}, "PutObjectLegalHold"),
    ("POST", "/b/k?uploads", {}, "CreateMultipartUpload"),
    ("POST", "/b/k?uploadId=1", {}, "CompleteMultipartUpload"),
]

# method, target, headers, code
REFUSED = [
    ("PUT", "/b?website", {}, "NotImplemented"),
    ("PUT", "/b?replication", {}, "NotImplemented"),
    ("PUT", "/b?notification", {}, "NotImplemented"),
    ("PUT", "/b?logging", {}, "NotImplemented"),
    ("PUT", "/b/k?renameObject", {}, "NotImplemented"),
    ("GET", "/b/k?torrent", {}, "NotImplemented"),
    ("GET", "/b?analytics", {}, "NotImplemented"),
    ("GET", "/b?analytics&id=1", {}, "NotImplemented"),
    ("GET", "/b?session", {}, "NotImplemented"),
    ("POST", "/b/k?restore", {}, "NotImplemented"),
    ("POST", "/b/k?select&select-type=2", {}, "NotImplemented"),
    ("PUT", "/b/k?partNumber=1", {}, "InvalidArgument"),
    ("PUT", "/b/k?uploadId=1", {}, "InvalidArgument"),
    ("PUT", "/b/k?uploadId=1", COPY, "InvalidArgument"),
    ("GET", "/b?list-type=3", {}, "InvalidArgument"),
    ("GET", "/b?acl&policy", {}, "InvalidArgument"),
    ("PUT", "/b/k?acl&tagging", {}, "InvalidArgument"),
    ("POST", "/b/k", {}, "MethodNotAllowed"),
    ("POST", "/b/k", FORM, "MethodNotAllowed"),
    ("POST", "/", {}, "MethodNotAllowed"),
    ("PUT", "/", {}, "MethodNotAllowed"),
    ("OPTIONS", "/", {}, "MethodNotAllowed"),
    ("PATCH", "/b/k", {}, "MethodNotAllowed"),
    ("BREW", "/b", {}, "MethodNotAllowed"),
    ("PUT", "/b/k?policy", {}, "MethodNotAllowed"),
    ("PUT", "/b?location", {}, "MethodNotAllowed"),
    ("HEAD", "/b/k?tagging", {}, "MethodNotAllowed"),
    ("DELETE", "/b/k?acl", {}, "MethodNotAllowed"),
    ("POST", "/b", {}, "PreconditionFailed"),
    ("GET", "//k", {}, "InvalidURI"),
    ("GET", "/b/%zz", {}, "InvalidURI"),
    ("GET", "/b/%", {}, "InvalidURI"),
    ("GET", "/b/%ff", {}, "InvalidURI"),
    ("GET", "/b/%c0%af", {}, "InvalidURI"),
    ("GET", "/b/%ed%a0%80", {}, "InvalidURI"),
    ("GET", "b/k", {}, "InvalidURI"),
    ("GET", "http://h/b/k", {}, "InvalidURI"),
]


def route(router, method, target, headers=None, host="localhost:9000", service="s3"):
    path, _, raw_query = target.partition("?")
    return router.route(method, host, path, decode_query(raw_query), headers or {}, service=service)


@pytest.mark.parametrize(("method", "target", "headers", "operation"), PLACES)
def test_a_request_finds_its_operation(method, target, headers, operation, router):
    assert route(router, method, target, headers).operation_name == operation


@pytest.mark.parametrize(("method", "target", "headers", "code"), REFUSED)
def test_a_request_without_a_place_is_refused(method, target, headers, code, router):
    with pytest.raises(RequestError) as refused:
        route(router, method, target, headers)
    assert refused.value.code == code


def test_every_operation_of_the_model_routes_to_itself_or_is_refused_as_not_implemented(models, plans, router):
    seen = set()
    for pattern in plans["s3"].patterns:
        path = {"service": "/", "bucket": "/b", "object": "/b/k"}[pattern.level]
        query = [*pattern.flags, *(f"{name}={value or 1}" for name, value in pattern.query.items())]
        headers = dict.fromkeys(pattern.headers, "x")
        target = path + "?" + "&".join(query)
        if pattern.operation_name in ALLOWED["s3"]:
            found = route(router, pattern.method, target, headers)
            assert found.operation_name == pattern.operation_name
            assert found.plan is plans["s3"].operations[pattern.operation_name]
        else:
            with pytest.raises(RequestError, match=f"^{pattern.operation_name} is not implemented") as refused:
                route(router, pattern.method, target, headers)
            assert refused.value.code == "NotImplemented"
        seen.add(pattern.operation_name)
    left = set(models["s3"].operation_names) - seen
    deprecated = {"GetBucketLifecycle", "GetBucketNotification", "PutBucketLifecycle", "PutBucketNotification"}
    assert left == deprecated | {"ListDirectoryBuckets", "WriteGetObjectResponse"}


def test_method_not_allowed_names_the_methods_that_are(router):
    with pytest.raises(RequestError) as refused:
        route(router, "PUT", "/b?location")
    assert refused.value.headers == {"allow": "GET"}
    assert refused.value.fields == {"Method": "PUT", "ResourceType": "LOCATION"}


# raw path, bucket, key
PATHS = [
    ("/b/k", "b", "k"),
    ("/b/", "b", None),
    ("/b//", "b", "/"),
    ("/b//k", "b", "/k"),
    ("/b/a%2Fb", "b", "a/b"),
    ("/b/../c", "b", "../c"),
    ("/b/./c/", "b", "./c/"),
    ("/b/a+b%20c", "b", "a+b c"),
    ("/b/%25zz", "b", "%zz"),
    ("/b/%C3%A9", "b", "é"),
    ("/b/\xc3\xa9", "b", "é"),
    ("/b/%F0%9F%94%91", "b", "🔑"),
    ("/b/%01", "b", "\x01"),
]


@pytest.mark.parametrize(("raw_path", "bucket", "object_key"), PATHS)
def test_a_path_is_decoded_once_and_never_normalised(raw_path, bucket, object_key, router):
    found = route(router, "GET", raw_path)
    assert (found.bucket, found.object_key, found.virtual_host) == (bucket, object_key, False)


# host, raw path, bucket, key, from the host
HOSTS = [
    ("b.s3.example", "/k", "b", "k", True),
    ("b.s3.example:9000", "/k", "b", "k", True),
    ("B.S3.Example", "/k", "b", "k", True),
    ("a.b.s3.example", "/", "a.b", None, True),
    ("b.s3.example", "//k", "b", "/k", True),
    ("s3.example", "/b/k", "b", "k", False),
    ("s3.example:9000", "/b/k", "b", "k", False),
    ("other.example", "/b/k", "b", "k", False),
    ("xs3.example", "/b/k", "b", "k", False),
    (".s3.example", "/b/k", "b", "k", False),
    ("127.0.0.1:9000", "/b/k", "b", "k", False),
    ("[::1]:9000", "/b/k", "b", "k", False),
    ("", "/b/k", "b", "k", False),
]


@pytest.mark.parametrize(("host", "raw_path", "bucket", "object_key", "virtual_host"), HOSTS)
def test_a_bucket_in_the_host_is_found_under_the_domain_only(host, raw_path, bucket, object_key, virtual_host, router):
    found = route(router, "GET", raw_path, host=host)
    assert (found.bucket, found.object_key, found.virtual_host) == (bucket, object_key, virtual_host)


def test_without_a_domain_every_host_is_path_style(plans):
    found = route(Router(plans.values()), "GET", "/b/k", host="x.s3.example")
    assert (found.bucket, found.virtual_host) == ("b", False)


@pytest.mark.parametrize(
    ("raw", "pairs"),
    [
        ("", []),
        ("acl", [("acl", "")]),
        ("a=1&a=2&&b", [("a", "1"), ("a", "2"), ("b", "")]),
        ("prefix=a+b%2Bc%20d", [("prefix", "a b+c d")]),
        ("x=a=b", [("x", "a=b")]),
        ("%61cl=%C3%A9", [("acl", "é")]),
    ],
)
def test_a_query_string_is_decoded_into_pairs_in_order(raw, pairs):
    assert decode_query(raw) == pairs


@pytest.mark.parametrize("raw", ["a=%", "a=%f", "a=%ff", "%zz"])
def test_a_malformed_query_string_is_an_invalid_uri(raw):
    with pytest.raises(RequestError) as refused:
        decode_query(raw)
    assert refused.value.code == "InvalidURI"


@given(st.binary(max_size=40), st.text(max_size=20))
def test_any_bytes_of_a_path_give_a_route_or_an_invalid_uri(raw, query):
    path = "/" + raw.decode("latin-1")
    try:
        found = _split(path)
        decode_query(query.encode("utf-8", "replace").decode("latin-1"))
    except RequestError as refused:
        assert refused.code == "InvalidURI"
    else:
        assert found[0] is None or isinstance(found[0], str)


def _split(path):
    from s3al.wire.address import split_address

    return split_address("localhost", path, ".s3.example")


KMS = {"x-amz-target": "TrentService.Decrypt", "content-type": "application/x-amz-json-1.1"}
URLENCODED = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


def test_kms_is_found_by_its_target(router):
    found = route(router, "POST", "/", KMS, service="kms")
    assert (found.service, found.operation_name, found.plan.service) == ("kms", "Decrypt", "kms")


def test_an_unsigned_target_names_its_service(router):
    assert router.service_of("POST", KMS) == "kms"
    assert route(router, "POST", "/", KMS, service=None).operation_name == "Decrypt"


def test_a_target_does_not_turn_a_request_signed_for_s3_into_one_for_kms(router):
    assert route(router, "PUT", "/b/k", KMS, service="s3").operation_name == "PutObject"


@pytest.mark.parametrize(
    "target", ["TrentService.Nothing", "TrentService.", "Decrypt", "", "Other.Decrypt", "TrentService.x.Decrypt"]
)
def test_an_unknown_target_is_an_unknown_operation(target, router):
    with pytest.raises(RequestError) as refused:
        route(router, "POST", "/", {"x-amz-target": target}, service="kms")
    assert refused.value.code == "UnknownOperationException"


@pytest.mark.parametrize(("service", "code"), [("kms", "UnknownOperationException"), ("sts", "InvalidAction")])
def test_the_other_services_know_no_other_methods(service, code, router):
    with pytest.raises(RequestError) as refused:
        route(router, "PUT", "/?Action=GetCallerIdentity", KMS, service=service)
    assert refused.value.code == code


def test_an_action_in_the_query_string_is_found_at_once(router):
    found = route(router, "GET", "/?Action=GetCallerIdentity&Version=2011-06-15", service="sts")
    assert found.operation_name == "GetCallerIdentity"


@pytest.mark.parametrize("service", ["sts", None])
def test_an_action_in_the_body_is_resolved_later(service, router):
    first = route(router, "POST", "/", URLENCODED, service=service)
    assert (first.plan, first.unresolved) == (None, True)
    found = router.resolve(first, b"Action=GetCallerIdentity&Version=2011-06-15")
    assert (found.service, found.operation_name, found.unresolved) == ("sts", "GetCallerIdentity", False)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"Action=AssumeRoleWithSAML&Version=2011-06-15", "InvalidAction"),
        (b"Action=Nothing&Version=2011-06-15", "InvalidAction"),
        (b"Action=GetCallerIdentity&Version=2010-05-08", "InvalidAction"),
        (b"", "MissingAction"),
        (b"Action=", "MissingAction"),
        (b"Action=GetCallerIdentity&Action=AssumeRole", "MalformedInput"),
        (b"Action=%ff", "MalformedInput"),
        (b"\xff", "MalformedInput"),
        (b"&".join(b"a%d=1" % number for number in range(5000)), "MalformedInput"),
    ],
)
def test_a_form_without_a_known_action_is_refused(body, code, router):
    first = route(router, "POST", "/", URLENCODED, service="sts")
    with pytest.raises(RequestError) as refused:
        router.resolve(first, body)
    assert refused.value.code == code


@pytest.mark.parametrize("body", [b"Action=Nothing", b"", b"\xff", b"a=1"])
def test_an_unsigned_form_that_is_no_action_is_a_post_to_s3_which_has_none(body, router):
    first = route(router, "POST", "/", URLENCODED, service=None)
    with pytest.raises(RequestError) as refused:
        router.resolve(first, body)
    assert refused.value.code == "MethodNotAllowed"


def test_an_unsigned_get_with_an_unknown_action_lists_buckets(router):
    assert route(router, "GET", "/?Action=Nothing", service=None).operation_name == "ListBuckets"


def test_a_scope_of_an_unknown_service_is_left_to_s3_to_refuse(router):
    assert route(router, "GET", "/b/k", service="ec2").service == "s3"

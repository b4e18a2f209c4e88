"""Arguments and payloads of S3 requests: what is taken, and which error each bad one gets."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from s3al.errors import RequestError
from s3al.wire.address import decode_query

NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def parse(router, method, target, headers=None, body=None):
    path, _, raw_query = target.partition("?")
    query = decode_query(raw_query)
    headers = headers or {}
    route = router.route(method, "localhost", path, query, headers, service="s3")
    return route.plan.parse(route, query, headers, body)


def refusal(router, *request):
    with pytest.raises(RequestError) as refused:
        parse(router, *request)
    return refused.value


def test_a_put_is_read_from_path_headers_and_metadata(router):
    headers = {
        "content-type": "text/plain",
        "content-length": "12",
        "x-amz-meta-color": "green",
        "x-amz-meta-": "nameless",
        "x-amz-server-side-encryption-bucket-key-enabled": "true",
        "x-amz-object-lock-retain-until-date": "2030-01-02T03:04:05Z",
        "if-none-match": "*",
        "expires": "never",
        "user-agent": "x",
    }
    assert parse(router, "PUT", "/b/a%20b", headers) == {
        "Bucket": "b",
        "Key": "a b",
        "ContentType": "text/plain",
        "ContentLength": 12,
        "Metadata": {"color": "green", "": "nameless"},
        "BucketKeyEnabled": True,
        "ObjectLockRetainUntilDate": datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
        "IfNoneMatch": "*",
        "Expires": "never",
    }


def test_dates_of_conditions_are_read_in_every_form_and_ignored_when_they_are_none(router):
    moment = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)
    for text in ("Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z", "Sunday, 06-Nov-94 08:49:37 GMT"):
        assert parse(router, "GET", "/b/k", {"if-modified-since": text})["IfModifiedSince"] == moment
    assert "IfModifiedSince" not in parse(router, "GET", "/b/k", {"if-modified-since": "yesterday"})


def test_object_attributes_are_a_list_in_one_header(router):
    headers = {"x-amz-object-attributes": "ETag, Checksum,ObjectSize"}
    assert parse(router, "GET", "/b/k?attributes", headers)["ObjectAttributes"] == ["ETag", "Checksum", "ObjectSize"]


# request, code, fields that must be there
BAD_ARGUMENTS = [
    (("GET", "/b?max-keys=blah"), "InvalidArgument", {"ArgumentName": "max-keys", "ArgumentValue": "blah"}),
    (("GET", "/b?max-keys=-1"), "InvalidArgument", {"ArgumentName": "max-keys"}),
    (("GET", "/b?max-keys=99999999999"), "InvalidArgument", {"ArgumentName": "max-keys"}),
    (("GET", "/b?max-keys=1_0"), "InvalidArgument", {}),
    (("GET", "/b?max-keys=%D9%A3"), "InvalidArgument", {}),
    (("GET", "/?max-buckets=0"), "InvalidArgument", {"ArgumentName": "max-buckets"}),
    (("GET", "/?max-buckets=10001"), "InvalidArgument", {"ArgumentName": "max-buckets"}),
    (("GET", "/b?encoding-type=base64"), "InvalidArgument", {"ArgumentName": "encoding-type"}),
    (("GET", "/b?list-type=2&fetch-owner=maybe"), "InvalidArgument", {"ArgumentName": "fetch-owner"}),
    (("GET", "/b?list-type=2&prefix=a&prefix=b"), "InvalidArgument", {"ArgumentName": "prefix"}),
    (("GET", "/b/k?versionId="), "InvalidArgument", {"ArgumentName": "versionId"}),
    (("GET", "/b/k?versionId=1&versionId=1"), "InvalidArgument", {"ArgumentName": "versionId"}),
    (("GET", "/b/k?partNumber=0"), "InvalidArgument", {"ArgumentName": "partNumber"}),
    (("PUT", "/b/k?partNumber=10001&uploadId=1"), "InvalidArgument", {"ArgumentName": "partNumber"}),
    (("GET", "/b/k?response-content-type=a%0d%0ax:y"), "InvalidArgument", {"ArgumentName": "response-content-type"}),
    (("GET", "/b/k?response-expires=a%0ab"), "InvalidArgument", {"ArgumentName": "response-expires"}),
    (("GET", "/b/k?attributes", {}), "InvalidArgument", {}),
    (("GET", "/b/k?attributes", {"x-amz-object-attributes": ""}), "InvalidArgument", {}),
    (
        ("GET", "/b/k?attributes", {"x-amz-object-attributes": "ETag,Color"}),
        "InvalidArgument",
        {"ArgumentValue": "Color"},
    ),
    (("PUT", "/b/k", {"x-amz-acl": "everybody"}), "InvalidArgument", {"ArgumentName": "x-amz-acl"}),
    (
        ("PUT", "/b/k", {"x-amz-copy-source": "a/b", "x-amz-metadata-directive": "MERGE"}),
        "InvalidArgument",
        {"ArgumentName": "x-amz-metadata-directive"},
    ),
    (("PUT", "/b/k", {"x-amz-object-lock-retain-until-date": "soon"}), "InvalidArgument", {}),
    (("PUT", "/b/k", {"x-amz-server-side-encryption-bucket-key-enabled": "yes"}), "InvalidArgument", {}),
    (("GET", "/b/k", {"x-amz-server-side-encryption": "AES256"}), "InvalidArgument", {}),
    (("HEAD", "/b/k", {"x-amz-server-side-encryption-aws-kms-key-id": "x"}), "InvalidArgument", {}),
    (("PUT", "/b/k?partNumber=1&uploadId=1", {"x-amz-server-side-encryption": "aws:kms"}), "InvalidArgument", {}),
]


@pytest.mark.parametrize(("request_", "code", "fields"), BAD_ARGUMENTS)
def test_a_bad_argument_is_refused_by_name(request_, code, fields, router):
    refused = refusal(router, *request_)
    assert refused.code == code
    assert fields.items() <= refused.fields.items()


@pytest.mark.parametrize("count", [0, 1000, 2**31 - 1])
def test_page_sizes_are_taken_up_to_the_largest_integer(count, router):
    assert parse(router, "GET", f"/b?max-keys={count}")["MaxKeys"] == count


def test_an_empty_page_size_is_no_page_size(router):
    assert "MaxKeys" not in parse(router, "GET", "/b?max-keys=")


@pytest.mark.parametrize("part_number", [1, 10000])
def test_part_numbers_are_taken_at_both_ends(part_number, router):
    assert parse(router, "GET", f"/b/k?partNumber={part_number}")["PartNumber"] == part_number


TAGGING = "<TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet>"
TAGS = {"TagSet": [{"Key": "a", "Value": "1"}]}


@pytest.mark.parametrize(
    "document",
    [
        f"<Tagging>{TAGGING}</Tagging>",
        f"<Tagging {NAMESPACE}>{TAGGING}</Tagging>",
        f'<x:Tagging xmlns:x="urn:other"><x:TagSet>{TAGGING[8:-9]}</x:TagSet></x:Tagging>'.replace("<Tag", "<x:Tag")
        .replace("</Tag", "</x:Tag")
        .replace("<Key", "<x:Key")
        .replace("</Key", "</x:Key")
        .replace("<Value", "<x:Value")
        .replace("</Value", "</x:Value"),
        f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- c --><Tagging>\n  {TAGGING}\n<Extra><Deep/></Extra></Tagging>\n',
        "<Tagging><TagSet><Tag><Key><![CDATA[a]]></Key><Value>&#49;</Value></Tag></TagSet></Tagging>",
        "<Tagging><TagSet><Tag><Value>1</Value><Key>a<!-- c --></Key></Tag></TagSet></Tagging>",
    ],
)
def test_a_document_is_read_whatever_its_namespace_layout_and_extras(document, router):
    assert parse(router, "PUT", "/b?tagging", {}, document.encode())["Tagging"] == TAGS


BAD_DOCUMENTS = [
    "<Tagging>",
    "no xml",
    "<Other><TagSet/></Other>",
    "<Tagging/>",
    "<Tagging><TagSet/><TagSet/></Tagging>",
    "<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>",
    "<Tagging><TagSet><Tag><Key>a</Key><Key>b</Key><Value/></Tag></TagSet></Tagging>",
    "<Tagging><TagSet><Tag><Key><b>a</b></Key><Value/></Tag></TagSet></Tagging>",
    '<!DOCTYPE Tagging [<!ENTITY a "b">]><Tagging><TagSet/></Tagging>',
    "<Tagging><TagSet><Tag><Key>&a;</Key><Value/></Tag></TagSet></Tagging>",
]


@pytest.mark.parametrize("document", BAD_DOCUMENTS)
def test_a_document_that_breaks_the_schema_is_malformed(document, router):
    assert refusal(router, "PUT", "/b?tagging", {}, document.encode()).code == "MalformedXML"


# target, document
BAD_VALUES = [
    ("/b?versioning", "<VersioningConfiguration><Status>On</Status></VersioningConfiguration>"),
    (
        "/b?cors",
        (
            "<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin>"
            "<MaxAgeSeconds>long</MaxAgeSeconds></CORSRule></CORSConfiguration>"
        ),
    ),
    ("/b?cors", "<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>"),
    (
        "/b?publicAccessBlock",
        "<PublicAccessBlockConfiguration><BlockPublicAcls>1</BlockPublicAcls></PublicAccessBlockConfiguration>",
    ),
    ("/b/k?encryption", "<ObjectEncryption/>"),
    ("/b/k?encryption", "<ObjectEncryption><SSE-KMS/></ObjectEncryption>"),
]


@pytest.mark.parametrize(("target", "document"), BAD_VALUES)
def test_a_value_outside_the_model_is_malformed(target, document, router):
    assert refusal(router, "PUT", target, {}, document.encode()).code == "MalformedXML"


def test_a_missing_document_is_named(router):
    assert refusal(router, "PUT", "/b?tagging", {}, b"").code == "MissingRequestBodyError"
    assert refusal(router, "PUT", "/b?policy", {}, None).code == "MissingRequestBodyError"
    refused = refusal(router, "POST", "/b/k?uploadId=1", {}, b"")
    assert (refused.code, refused.message) == ("InvalidRequest", "You must specify at least one part")


def test_a_bucket_may_be_created_without_a_document(router):
    assert parse(router, "PUT", "/b", {}, b"") == {"Bucket": "b"}


def test_a_region_the_model_does_not_know_is_left_to_the_handler(router):
    document = b"<CreateBucketConfiguration><LocationConstraint>here-1</LocationConstraint></CreateBucketConfiguration>"
    assert parse(router, "PUT", "/b", {}, document)["CreateBucketConfiguration"] == {"LocationConstraint": "here-1"}


def test_a_policy_is_the_text_as_sent(router):
    assert parse(router, "PUT", "/b?policy", {}, b' {"a": "\xc3\xa9"} ')["Policy"] == ' {"a": "é"} '
    assert refusal(router, "PUT", "/b?policy", {}, b"\xff").code == "InvalidArgument"


def test_keys_in_documents_keep_every_space_and_line_end(router):
    document = b"<Delete><Object><Key> a\n b&#13;&amp;&#x9; </Key></Object><Quiet>true</Quiet></Delete>"
    assert parse(router, "POST", "/b?delete", {}, document)["Delete"] == {
        "Objects": [{"Key": " a\n b\r&\t "}],
        "Quiet": True,
    }


def test_a_streamed_body_is_not_asked_for(plans):
    operations = plans["s3"].operations
    assert {name for name, plan in operations.items() if plan.streaming_input} == {"PutObject", "UploadPart"}
    assert {name for name, plan in operations.items() if plan.streaming_output} == {"GetObject"}
    assert operations["PutObject"].body_limit == 0
    assert operations["GetObject"].body_limit == 0
    assert operations["DeleteObjects"].body_limit >= 2 * 1024 * 1024
    assert operations["PutBucketPolicy"].body_limit > 20 * 1024


_AND = "<Filter><And><Prefix>a</Prefix><Tag><Key>k</Key><Value>v</Value></Tag><Size/></And></Filter>"
_RULE = "<Rule><ID>x</ID><Status>Enabled</Status>{}<Expiration><Days>1</Days></Expiration></Rule>"


@pytest.mark.parametrize(
    ("target", "document"),
    [
        ("/b?lifecycle", f"<LifecycleConfiguration>{_RULE.format('<Filter><prefix>logs/</prefix></Filter>')}"),
        ("/b?lifecycle", f"<LifecycleConfiguration>{_RULE.format('<Filter>logs/</Filter>')}"),
        ("/b?lifecycle", f"<LifecycleConfiguration>{_RULE.format('<Filter><Prefix>a</Prefix>b</Filter>')}"),
        ("/b?lifecycle", f"<LifecycleConfiguration>{_RULE.format(_AND)}"),
        ("/b?lifecycle", f"<LifecycleConfiguration>{_RULE.format('<Filter/><Size>1</Size>')}"),
        ("/b?object-lock", "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><rule/>"),
        ("/b/k?retention", "<Retention><mode>GOVERNANCE</mode>"),
    ],
)
def test_a_misspelt_filter_or_retention_is_not_passed_by(router, target, document):
    root = document[1 : document.index(">")]
    body = f"{document}</{root}>".encode()
    assert refusal(router, "PUT", target, {}, body).code == "MalformedXML"


def test_white_space_and_comments_are_no_text(router):
    body = f"<LifecycleConfiguration>\n {_RULE.format(' <Filter> <!-- all --> </Filter> ')}\n</LifecycleConfiguration>"
    [rule] = parse(router, "PUT", "/b?lifecycle", {}, body.encode())["LifecycleConfiguration"]["Rules"]
    assert rule["Filter"] == {}

"""Headers, documents and errors of S3 answers, byte for byte where clients depend on it."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree as ET

import pytest
from botocore.awsrequest import HeadersDict
from botocore.parsers import create_parser

from s3al.wire.model import compile_service
from s3al.wire.operations import ALLOWED
from s3al.wire.quirks import quirks_of
from s3al.wire.serialize import serialize_error

MOMENT = datetime(2009, 10, 12, 17, 50, 30, 7000, tzinfo=UTC)
XMLNS = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'


def answer(plans, operation, output):
    return plans["s3"].operations[operation].serialize(output, request_id="R1", host_id="H1")


def document(response):
    body = response.body.decode()
    assert body.startswith(DECLARATION)
    return body[len(DECLARATION) :]


def test_an_object_is_described_in_headers_only(plans):
    response = answer(
        plans,
        "GetObject",
        {
            "ETag": '"abc"',
            "LastModified": MOMENT,
            "ContentLength": 5,
            "ContentType": "text/plain",
            "Metadata": {"Color": "green", "b": ""},
            "DeleteMarker": False,
            "ObjectLockRetainUntilDate": MOMENT,
            "Expires": "never",
            "VersionId": None,
        },
    )
    assert (response.status, response.body) == (200, b"")
    assert response.headers == [
        ("x-amz-request-id", "R1"),
        ("x-amz-id-2", "H1"),
        ("etag", '"abc"'),
        ("last-modified", "Mon, 12 Oct 2009 17:50:30 GMT"),
        ("content-length", "5"),
        ("content-type", "text/plain"),
        ("x-amz-meta-color", "green"),
        ("x-amz-meta-b", ""),
        ("x-amz-delete-marker", "false"),
        ("x-amz-object-lock-retain-until-date", "2009-10-12T17:50:30.007Z"),
        ("expires", "never"),
    ]


# operation, output, document
DOCUMENTS = [
    (
        "GetBucketLocation",
        {"LocationConstraint": "eu-west-1"},
        f"<LocationConstraint {XMLNS}>eu-west-1</LocationConstraint>",
    ),
    ("GetBucketLocation", {}, f"<LocationConstraint {XMLNS}></LocationConstraint>"),
    ("GetBucketVersioning", {}, f"<VersioningConfiguration {XMLNS}></VersioningConfiguration>"),
    ("GetBucketLogging", {}, f"<BucketLoggingStatus {XMLNS}></BucketLoggingStatus>"),
    ("GetBucketNotificationConfiguration", {}, f"<NotificationConfiguration {XMLNS}></NotificationConfiguration>"),
    (
        "CopyObject",
        {"CopyObjectResult": {"ETag": '"a"', "LastModified": MOMENT}, "VersionId": "1"},
        (
            f"<CopyObjectResult {XMLNS}><ETag>&quot;a&quot;</ETag>"
            "<LastModified>2009-10-12T17:50:30.007Z</LastModified></CopyObjectResult>"
        ),
    ),
    (
        "UploadPartCopy",
        {"CopyPartResult": {"ETag": '"a"'}},
        f"<CopyPartResult {XMLNS}><ETag>&quot;a&quot;</ETag></CopyPartResult>",
    ),
    (
        "GetObjectTagging",
        {"TagSet": [{"Key": "a", "Value": "1"}], "VersionId": "v"},
        f"<Tagging {XMLNS}><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>",
    ),
    ("GetObjectTagging", {"TagSet": []}, f"<Tagging {XMLNS}><TagSet></TagSet></Tagging>"),
    (
        "ListObjects",
        {"Name": "b", "Prefix": "", "IsTruncated": False, "CommonPrefixes": [{"Prefix": "a/"}, {"Prefix": "b/"}]},
        (
            f"<ListBucketResult {XMLNS}><Name>b</Name><Prefix></Prefix><IsTruncated>false</IsTruncated>"
            "<CommonPrefixes><Prefix>a/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>b/</Prefix></CommonPrefixes>"
            "</ListBucketResult>"
        ),
    ),
    (
        "ListBuckets",
        {"Buckets": [{"Name": "b", "CreationDate": MOMENT}], "Owner": {"ID": "1"}},
        (
            f"<ListAllMyBucketsResult {XMLNS}><Buckets><Bucket><Name>b</Name>"
            "<CreationDate>2009-10-12T17:50:30.007Z</CreationDate></Bucket></Buckets><Owner><ID>1</ID></Owner>"
            "</ListAllMyBucketsResult>"
        ),
    ),
    (
        "GetBucketAcl",
        {"Grants": [{"Grantee": {"ID": "1", "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}]},
        (
            f"<AccessControlPolicy {XMLNS}><AccessControlList><Grant>"
            '<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">'
            "<ID>1</ID></Grantee>"
            "<Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>"
        ),
    ),
    (
        "DeleteObjects",
        {"Deleted": [{"Key": "a\x01<"}], "Errors": [{"Key": "b", "Code": "AccessDenied"}]},
        (
            f"<DeleteResult {XMLNS}><Deleted><Key>a&#x1;&lt;</Key></Deleted>"
            "<Error><Key>b</Key><Code>AccessDenied</Code></Error></DeleteResult>"
        ),
    ),
]


@pytest.mark.parametrize(("operation", "output", "expected"), DOCUMENTS)
def test_a_document_is_written_as_s3_writes_it(operation, output, expected, plans):
    response = answer(plans, operation, output)
    assert document(response) == expected
    assert ("content-type", "application/xml") in response.headers


def test_every_root_is_the_one_the_api_reference_shows(plans):
    roots = {}
    for name, plan in plans["s3"].operations.items():
        response = plan.serialize({}, request_id="R1")
        if response.body and ("content-type", "application/xml") in response.headers:
            roots[name] = ET.fromstring(response.body).tag.rpartition("}")[2]
    assert roots == {
        "CompleteMultipartUpload": "CompleteMultipartUploadResult",
        "CopyObject": "CopyObjectResult",
        "CreateMultipartUpload": "InitiateMultipartUploadResult",
        "DeleteObjects": "DeleteResult",
        "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
        "GetBucketAcl": "AccessControlPolicy",
        "GetBucketCors": "CORSConfiguration",
        "GetBucketEncryption": "ServerSideEncryptionConfiguration",
        "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
        "GetBucketLocation": "LocationConstraint",
        "GetBucketLogging": "BucketLoggingStatus",
        "GetBucketNotificationConfiguration": "NotificationConfiguration",
        "GetBucketOwnershipControls": "OwnershipControls",
        "GetBucketPolicyStatus": "PolicyStatus",
        "GetBucketReplication": "ReplicationConfiguration",
        "GetBucketRequestPayment": "RequestPaymentConfiguration",
        "GetBucketTagging": "Tagging",
        "GetBucketVersioning": "VersioningConfiguration",
        "GetBucketWebsite": "WebsiteConfiguration",
        "GetObjectAcl": "AccessControlPolicy",
        "GetObjectAttributes": "GetObjectAttributesResponse",
        "GetObjectLegalHold": "LegalHold",
        "GetObjectLockConfiguration": "ObjectLockConfiguration",
        "GetObjectRetention": "Retention",
        "GetObjectTagging": "Tagging",
        "GetPublicAccessBlock": "PublicAccessBlockConfiguration",
        "ListBuckets": "ListAllMyBucketsResult",
        "ListMultipartUploads": "ListMultipartUploadsResult",
        "ListObjectVersions": "ListVersionsResult",
        "ListObjects": "ListBucketResult",
        "ListObjectsV2": "ListBucketResult",
        "ListParts": "ListPartsResult",
        "UploadPartCopy": "CopyPartResult",
    }


def test_a_policy_is_answered_as_the_text_stored(plans):
    response = answer(plans, "GetBucketPolicy", {"Policy": '{"é": 1}'})
    assert response.body == '{"é": 1}'.encode()
    assert ("content-type", "application/json") in response.headers


def test_answers_without_content_are_204_and_empty(plans):
    empty = {name for name, plan in plans["s3"].operations.items() if plan.success_status == 204}
    assert empty == {
        "AbortMultipartUpload",
        "DeleteBucket",
        "DeleteBucketCors",
        "DeleteBucketEncryption",
        "DeleteBucketLifecycle",
        "DeleteBucketOwnershipControls",
        "DeleteBucketPolicy",
        "DeleteBucketTagging",
        "DeleteObject",
        "DeleteObjectTagging",
        "DeletePublicAccessBlock",
        "PutBucketPolicy",
        "PutBucketTagging",
    }
    for name in empty:
        response = answer(plans, name, {})
        assert (response.status, response.body) == (204, b"")


@pytest.mark.parametrize("value", ["a\r\nx-evil: 1", "a\nb", "\x00", "\x7f", "\ud800"])
def test_no_header_value_can_add_a_header(value, plans):
    with pytest.raises(ValueError, match="control character"):
        answer(plans, "GetObject", {"ContentType": value})


def test_metadata_that_cannot_be_sent_is_counted(plans):
    response = answer(plans, "HeadObject", {"Metadata": {"a": "x\r\ny", "b c": "1", "": "2", "ok": "\t1"}})
    assert response.headers[2:] == [("x-amz-meta-ok", "\t1"), ("x-amz-missing-meta", "3")]


def test_header_values_are_text(plans):
    value = 'attachment; filename="é🔑.txt"'
    assert ("content-disposition", value) in answer(plans, "GetObject", {"ContentDisposition": value}).headers


@pytest.mark.parametrize(
    ("operation", "output"),
    [
        ("GetObject", {"Etag": "x"}),
        ("GetObject", {"Body": b"x"}),
        ("PutBucketCors", {"x": 1}),
        ("ListBuckets", {"Buckets": [{"Named": "x"}]}),
    ],
)
def test_a_member_the_model_does_not_have_is_a_mistake_of_the_handler(operation, output, plans):
    with pytest.raises(ValueError, match="has no"):
        answer(plans, operation, output)


def test_a_name_on_the_list_that_the_model_lacks_is_reported(models):
    plan = compile_service(
        models["s3"]._service_description, operations=["GetObject", "FoldObject"], quirks=quirks_of("s3")
    )
    assert plan.missing == ("FoldObject",)
    assert set(plan.operations) == {"GetObject"}


def test_the_installed_models_have_every_operation_on_the_list(plans):
    assert {service: plan.missing for service, plan in plans.items()} == dict.fromkeys(plans, ())
    assert {service: len(set(names)) for service, names in ALLOWED.items()} == {
        service: len(names) for service, names in ALLOWED.items()
    }


def test_a_protocol_that_is_not_spoken_is_refused_at_start():
    with pytest.raises(ValueError, match="protocol rest-json is not spoken"):
        compile_service({"metadata": {"protocol": "rest-json"}, "operations": {}}, operations=[])


ERROR = {"code": "NoSuchKey", "status": 404, "message": "No <key> \x01", "request_id": "R1", "host_id": "H1"}


def test_an_s3_error_has_code_message_fields_and_ids_in_order(plans):
    response = serialize_error(plans["s3"], fields={"Key": "a\x00&b"}, resource="/b/a", **ERROR)
    assert response.status == 404
    assert response.headers == [
        ("x-amz-request-id", "R1"),
        ("x-amz-id-2", "H1"),
        ("content-type", "application/xml"),
    ]
    assert document(response) == (
        "<Error><Code>NoSuchKey</Code><Message>No &lt;key&gt; \ufffd</Message><Key>a\ufffd&amp;b</Key>"
        "<Resource>/b/a</Resource><RequestId>R1</RequestId><HostId>H1</HostId></Error>"
    )


@pytest.mark.parametrize("change", [{"head": True}, {"status": 304}])
def test_errors_without_a_body_keep_their_ids(change, plans):
    response = serialize_error(plans["s3"], **(ERROR | change))
    assert (response.body, response.headers) == (b"", [("x-amz-request-id", "R1"), ("x-amz-id-2", "H1")])


@pytest.mark.parametrize(
    ("service", "content_type"),
    [("s3", "application/xml"), ("kms", "application/x-amz-json-1.1"), ("sts", "text/xml"), ("iam", "text/xml")],
)
def test_botocore_reads_the_error_of_every_protocol(service, content_type, plans, models):
    response = serialize_error(plans[service], fields={"Extra": "1"}, **ERROR)
    assert ("content-type", content_type) in response.headers
    parsed = create_parser(models[service].metadata["protocol"]).parse(
        {"body": response.body, "headers": HeadersDict(response.headers), "status_code": 404},
        models[service].operation_model(next(iter(models[service].operation_names))).output_shape,
    )
    assert parsed["Error"]["Code"] == "NoSuchKey"
    assert parsed["Error"]["Message"].startswith("No <key>")
    assert parsed["ResponseMetadata"]["RequestId"] == "R1"
    assert parsed["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_an_error_of_a_protocol_by_name_needs_no_plan():
    for protocol in ("rest-xml", "json", "query"):
        assert b"NoSuchKey" in serialize_error(protocol, **ERROR).body


def test_a_query_error_says_whose_fault_it_is(plans):
    assert b"<Type>Sender</Type>" in serialize_error(plans["sts"], **ERROR).body
    assert b"<Type>Receiver</Type>" in serialize_error(plans["sts"], **(ERROR | {"status": 500})).body
    assert (
        b'<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        in serialize_error(plans["sts"], **ERROR).body
    )

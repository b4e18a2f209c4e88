"""A whole boto3 client against the wire alone: its handlers, its URLs and its reading of answers."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError

from s3al.errors import RequestError
from s3al.wire.address import decode_query
from s3al.wire.serialize import serialize_error
from s3al.wire.values import url_encode_listing

MOMENT = datetime(2009, 10, 12, 17, 50, 30, tzinfo=UTC)


class Raw(io.BytesIO):
    def stream(self, **_):
        yield self.read()


class Wire:
    """Answers every request with `output`, and remembers what it parsed to."""

    def __init__(self, router, service):
        self.router, self.service = router, service
        self.output, self.payload, self.refusal = {}, b"", None
        self.route = self.params = None

    def client(self, style="path"):
        client = boto3.client(
            self.service,
            region_name="us-east-1",
            endpoint_url="http://s3.example:9000",
            aws_access_key_id="AKIDEXAMPLE",
            aws_secret_access_key="x",
            config=Config(s3={"addressing_style": style}, retries={"total_max_attempts": 1}),
        )
        client.meta.events.register("before-send.*", self.answer)
        return client

    def answer(self, request, **_):
        headers = {name.lower(): text(value) for name, value in request.headers.items()}
        url = urlsplit(request.url)
        body = request.body.read() if hasattr(request.body, "read") else request.body
        body = body.encode() if isinstance(body, str) else body
        query = decode_query(url.query)
        route = self.router.route(request.method, url.netloc, url.path, query, headers, service=self.service)
        self.route = self.router.resolve(route, body) if route.unresolved else route
        self.params = self.route.plan.parse(self.route, query, headers, body)
        if self.refusal:
            plan = self.router.plan_of(self.service)
            response = serialize_error(
                plan, request_id="R1", host_id="H1", head=request.method == "HEAD", **self.refusal
            )
        else:
            response = self.route.plan.serialize(self.output, request_id="R1", host_id="H1")
        return AWSResponse(request.url, response.status, dict(response.headers), Raw(response.body or self.payload))


def text(value):
    return value.decode() if isinstance(value, bytes) else value


@pytest.fixture
def s3(router):
    return Wire(router, "s3")


@pytest.mark.parametrize("style", ["path", "virtual"])
@pytest.mark.parametrize("key", ["a", "a/b c", "é🔑", "../x", "a//b/", "+&?#%25", "~'()*", "\x01"])
def test_any_key_arrives_in_both_styles(style, key, s3):
    s3.output = {"ETag": '"e"', "ContentLength": 0}
    assert s3.client(style).get_object(Bucket="bucket", Key=key)["ETag"] == '"e"'
    assert (s3.params["Bucket"], s3.params["Key"]) == ("bucket", key)
    assert s3.route.virtual_host == (style == "virtual")


def test_an_upload_arrives_with_what_boto3_adds(s3):
    s3.output = {"ETag": '"e"', "ServerSideEncryption": "AES256", "VersionId": "v1"}
    answer = s3.client().put_object(
        Bucket="bucket", Key="k", Body=b"data", Metadata={"A": "1"}, ContentType="text/plain", Expires=MOMENT
    )
    assert (answer["ETag"], answer["VersionId"]) == ('"e"', "v1")
    expected = {
        "Bucket": "bucket",
        "Key": "k",
        "ContentType": "text/plain",
        "Metadata": {"a": "1"},
        "Expires": "Mon, 12 Oct 2009 17:50:30 GMT",
        "ChecksumAlgorithm": "CRC32",
    }
    assert expected.items() <= s3.params.items()
    added = set(s3.params) - set(expected)
    assert added <= {"ContentLength", "ContentEncoding", "ChecksumCRC32"}


def test_a_download_carries_body_metadata_and_times(s3):
    s3.output = {
        "ContentLength": 4,
        "ETag": '"e"',
        "LastModified": MOMENT,
        "Metadata": {"a": "1"},
        "Expires": "not a date",
        "MissingMeta": 0,
    }
    s3.payload = b"data"
    answer = s3.client().get_object(Bucket="bucket", Key="k")
    assert answer["Body"].read() == b"data"
    assert (answer["LastModified"], answer["Metadata"], answer["MissingMeta"]) == (MOMENT, {"a": "1"}, 0)
    assert answer["ExpiresString"] == "not a date"


@pytest.mark.parametrize("key", ["a b", "é", "a\x01b", "a&<>\"'b", "a+b%20c", "a\r\nb", "\ufffe"])
def test_listings_give_every_key_back(key, s3):
    encoded = url_encode_listing(key)
    s3.output = {
        "Name": "bucket",
        "IsTruncated": False,
        "EncodingType": "url",
        "Prefix": encoded,
        "Contents": [{"Key": encoded, "Size": 3, "LastModified": MOMENT, "ETag": '"e"', "StorageClass": "STANDARD"}],
        "CommonPrefixes": [{"Prefix": encoded}],
    }
    answer = s3.client().list_objects_v2(Bucket="bucket", Prefix=key)
    assert s3.route.operation_name == "ListObjectsV2"
    assert s3.params == {"Bucket": "bucket", "Prefix": key, "EncodingType": "url"}
    assert answer["Contents"] == [
        {"Key": key, "Size": 3, "LastModified": MOMENT, "ETag": '"e"', "StorageClass": "STANDARD"}
    ]
    assert (answer["Prefix"], answer["CommonPrefixes"]) == (key, [{"Prefix": key}])


def test_a_listing_not_encoded_keeps_every_key_that_xml_can_express(s3):
    s3.output = {"Contents": [{"Key": "a\r\n\t&<>é🔑"}]}
    answer = s3.client().list_objects(Bucket="bucket", EncodingType="url")
    assert answer["Contents"] == [{"Key": "a\r\n\t&<>é🔑"}]


@pytest.mark.parametrize(("given", "read"), [({}, None), ({"LocationConstraint": "eu-west-1"}, "eu-west-1")])
def test_the_location_is_the_text_of_the_root(given, read, s3):
    s3.output = given
    assert s3.client().get_bucket_location(Bucket="bucket")["LocationConstraint"] == read


def test_several_deletions_travel_with_line_ends_in_their_keys(s3):
    s3.output = {"Deleted": [{"Key": "a\rb"}]}
    answer = s3.client().delete_objects(Bucket="bucket", Delete={"Objects": [{"Key": "a\rb"}, {"Key": "é\n"}]})
    assert s3.params["Delete"] == {"Objects": [{"Key": "a\rb"}, {"Key": "é\n"}]}
    assert answer["Deleted"] == [{"Key": "a\rb"}]


def test_a_copy_names_its_source(s3):
    s3.output = {"CopyObjectResult": {"ETag": '"e"', "LastModified": MOMENT}}
    answer = s3.client().copy_object(
        Bucket="bucket", Key="k", CopySource={"Bucket": "b2", "Key": "a é", "VersionId": "v"}
    )
    assert (s3.route.operation_name, s3.params["CopySource"]) == ("CopyObject", "b2/a%20%C3%A9?versionId=v")
    assert answer["CopyObjectResult"] == {"ETag": '"e"', "LastModified": MOMENT}


def test_parts_and_their_completion_arrive(s3):
    client = s3.client()
    client.upload_part(Bucket="bucket", Key="k", PartNumber=3, UploadId="u", Body=b"x")
    assert (s3.route.operation_name, s3.params["PartNumber"], s3.params["UploadId"]) == ("UploadPart", 3, "u")
    s3.output = {"Location": "l", "Bucket": "bucket", "Key": "k", "ETag": '"e-1"'}
    parts = {"Parts": [{"PartNumber": 3, "ETag": '"e"'}]}
    client.complete_multipart_upload(Bucket="bucket", Key="k", UploadId="u", MultipartUpload=parts)
    assert s3.params["MultipartUpload"] == parts


def test_an_error_reaches_the_caller_with_code_message_and_id(s3):
    s3.refusal = {"code": "NoSuchKey", "status": 404, "message": "None.", "fields": {"Key": "\x00"}}
    client = s3.client()
    with pytest.raises(client.exceptions.NoSuchKey) as refused:
        client.get_object(Bucket="bucket", Key="k")
    assert refused.value.response["Error"] == {"Code": "NoSuchKey", "Message": "None.", "Key": "\ufffd"}
    assert refused.value.response["ResponseMetadata"]["RequestId"] == "R1"
    assert refused.value.response["ResponseMetadata"]["HostId"] == "H1"


@pytest.mark.parametrize("status", [404, 304, 403])
def test_an_error_of_a_head_has_no_body_and_its_status_for_a_code(status, s3):
    s3.refusal = {"code": "Whatever", "status": status, "message": "m"}
    with pytest.raises(ClientError) as refused:
        s3.client().head_object(Bucket="bucket", Key="k")
    assert refused.value.response["Error"]["Code"] == str(status)


def test_what_has_no_handler_is_refused_before_anything_is_parsed(s3):
    with pytest.raises(RequestError, match="PutBucketLogging is not implemented"):
        s3.client().put_bucket_logging(Bucket="bucket", BucketLoggingStatus={})
    with pytest.raises(RequestError, match="GetObjectTorrent is not implemented"):
        s3.client().get_object_torrent(Bucket="bucket", Key="k")


def test_a_presigned_url_parses_like_the_request_it_stands_for(s3, router):
    url = urlsplit(
        s3.client().generate_presigned_url("get_object", {"Bucket": "bucket", "Key": "a b", "VersionId": "v"})
    )
    query = decode_query(url.query)
    route = router.route("GET", url.netloc, url.path, query, {}, service="s3")
    assert route.plan.parse(route, query, {}, None) == {"Bucket": "bucket", "Key": "a b", "VersionId": "v"}


def test_kms_speaks_json(router):
    kms = Wire(router, "kms")
    kms.output = {"CiphertextBlob": b"\x00\xff", "KeyId": "arn"}
    client = kms.client()
    answer = client.encrypt(KeyId="alias/a", Plaintext=b"\x01", EncryptionContext={"é": "b"})
    assert (answer["CiphertextBlob"], answer["KeyId"]) == (b"\x00\xff", "arn")
    assert kms.params == {"KeyId": "alias/a", "Plaintext": b"\x01", "EncryptionContext": {"é": "b"}}
    kms.refusal = {"code": "DisabledException", "status": 400, "message": "off"}
    with pytest.raises(client.exceptions.DisabledException, match="off"):
        client.encrypt(KeyId="k", Plaintext=b"\x01")


def test_sts_speaks_query(router):
    sts = Wire(router, "sts")
    sts.output = {"Account": "111122223333"}
    client = sts.client()
    assert client.get_caller_identity()["Account"] == "111122223333"
    sts.refusal = {"code": "ExpiredToken", "status": 403, "message": "late"}
    with pytest.raises(ClientError, match="ExpiredToken") as refused:
        client.get_caller_identity()
    assert refused.value.response["ResponseMetadata"]["RequestId"] == "R1"

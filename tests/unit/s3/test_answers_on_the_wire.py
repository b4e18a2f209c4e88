"""Every answer of these operations survives the wire: serialized by our plans, read by botocore, equal again.

A member that the model does not know, or of another type, would be lost on the way.
"""

from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest
from botocore.awsrequest import HeadersDict
from botocore.model import ServiceModel
from botocore.parsers import create_parser

from s3al.wire import quirks
from s3al.wire.model import compile_service
from s3al.wire.operations import ALLOWED
from s3al.wire.plan import ServicePlan
from unit.s3.world import STRANGER, World

_MODEL = botocore.session.get_session().get_component("data_loader").load_service_model("s3", "service-2")
_RULES = [
    {"ID": "x", "AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 3}
]
_POLICY = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": STRANGER},
                "Action": "s3:GetObject",
                "Resource": "arn:aws:s3:::bucket/*",
            }
        ],
    }
)
_TAGGING = {"TagSet": [{"Key": "a", "Value": "b c"}]}
_CALLS: list[tuple[str, dict[str, Any]]] = [
    ("HeadBucket", {}),
    ("GetBucketLocation", {}),
    ("GetBucketVersioning", {}),
    ("GetBucketPolicy", {}),
    ("GetBucketPolicyStatus", {}),
    ("GetPublicAccessBlock", {}),
    ("GetBucketOwnershipControls", {}),
    ("GetBucketEncryption", {}),
    ("GetBucketTagging", {}),
    ("GetBucketCors", {}),
    ("GetBucketAcl", {}),
    ("GetBucketLogging", {}),
    ("GetBucketAccelerateConfiguration", {}),
    ("GetBucketRequestPayment", {}),
    ("GetBucketNotificationConfiguration", {}),
    ("ListObjects", {"Delimiter": "/", "MaxKeys": 1}),
    ("ListObjectsV2", {"FetchOwner": True}),
    ("ListObjectsV2", {"Delimiter": "/", "MaxKeys": 1}),
    ("ListObjectsV2", {"StartAfter": "zz"}),
    ("ListObjectVersions", {}),
    ("ListObjectVersions", {"Delimiter": "/", "MaxKeys": 1}),
    ("ListMultipartUploads", {}),
    ("ListMultipartUploads", {"MaxUploads": 0}),
    ("GetObjectAcl", {"Key": "b/1"}),
    ("GetObjectTagging", {"Key": "b/1"}),
    ("PutObjectTagging", {"Key": "b/1", "Tagging": _TAGGING}),
    ("DeleteObjectTagging", {"Key": "b/1"}),
    ("PutBucketTagging", {"Tagging": _TAGGING}),
    ("DeleteBucketTagging", {}),
]


@pytest.fixture(scope="module")
def plan() -> ServicePlan:
    return compile_service(_MODEL, operations=ALLOWED["s3"], quirks=quirks.S3)


@pytest.fixture
def filled(world: World) -> World:
    world.bucket()
    world.call("PutBucketVersioning", Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    world.call("PutBucketPolicy", Bucket="bucket", Policy=_POLICY)
    world.call("PutBucketTagging", Bucket="bucket", Tagging=_TAGGING)
    world.call("PutBucketCors", Bucket="bucket", CORSConfiguration={"CORSRules": _RULES})
    world.put("bucket", "a", "b/1", "b/2", version_id="v1", checksum_algorithms=("CRC32",), checksum_type="FULL_OBJECT")
    world.put("bucket", "a", version_id="v2", marker=True)
    world.upload("bucket", "up", checksum_algorithm="CRC32", checksum_type="COMPOSITE")
    return world


def without_empties(value: Any) -> Any:
    """An absent list and an empty one are the same in XML, and so are an absent member and None."""
    if isinstance(value, dict):
        return {name: without_empties(member) for name, member in value.items() if member not in (None, [])}
    return [without_empties(entry) for entry in value] if isinstance(value, list) else value


def assert_survives(plan: ServicePlan, operation: str, output: dict[str, Any]) -> None:
    response = plan.operations[operation].serialize(output, request_id="request")
    sent = {"status_code": response.status, "headers": HeadersDict(dict(response.headers)), "body": response.body}
    read = create_parser("rest-xml").parse(sent, ServiceModel(_MODEL, "s3").operation_model(operation).output_shape)
    read.pop("ResponseMetadata")
    assert without_empties(read) == without_empties(output)


@pytest.mark.parametrize(("operation", "params"), _CALLS, ids=lambda value: value if isinstance(value, str) else None)
def test_answer_is_read_as_it_was_meant(
    plan: ServicePlan, filled: World, operation: str, params: dict[str, Any]
) -> None:
    assert_survives(plan, operation, filled.output(operation, Bucket="bucket", **params))


def test_answers_about_all_buckets_are_read_as_they_were_meant(plan: ServicePlan, filled: World) -> None:
    assert_survives(plan, "CreateBucket", filled.output("CreateBucket", Bucket="second"))
    assert_survives(plan, "ListBuckets", filled.output("ListBuckets", Prefix="b"))
    assert_survives(plan, "ListBuckets", filled.output("ListBuckets", MaxBuckets=1))


def test_parts_are_read_as_they_were_meant(plan: ServicePlan, filled: World) -> None:
    upload_id = filled.upload("bucket", "parts", checksum_algorithm="CRC32", checksum_type="COMPOSITE")
    filled.part(upload_id, 1)
    output = filled.output("ListParts", Bucket="bucket", Key="parts", UploadId=upload_id)
    assert_survives(plan, "ListParts", output)

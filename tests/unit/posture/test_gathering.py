"""Gathering against stand-ins of S3 and KMS that refuse, lack and lie as real ones do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError, ParamValidationError

from s3al.errors import S3alError
from s3al.posture.facts import Under
from s3al.posture.gathering import Clients, gather
from s3al.posture.kms_keys import look_up
from s3al.posture.objects import Sampling, by_heads

AT = datetime(2026, 11, 28, tzinfo=UTC)
KEY = "arn:aws:kms:us-east-1:111122223333:key/k"


def refusal(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Asked")


class Answers:
    """A client whose operations answer what they are given: a value, an error, or a function of the arguments."""

    class meta:
        endpoint_url = "https://elsewhere.example"

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def ask(**arguments: Any) -> Any:
            self.asked.append(operation)
            answer = self.answers.get(operation, refusal("AccessDenied", 403))
            answer = answer(**arguments) if callable(answer) else answer
            if isinstance(answer, Exception):
                raise answer
            return answer

        return ask


def listing(count: int) -> Callable[..., Any]:
    """Pages of ten."""

    def page(ContinuationToken: str = "0", **_: Any) -> dict[str, Any]:
        start = int(ContinuationToken)
        names = [{"Key": f"k{number}"} for number in range(start, min(start + 10, count))]
        more = start + 10 < count
        return {"Contents": names, "IsTruncated": more} | ({"NextContinuationToken": str(start + 10)} if more else {})

    return page


def heads(s3: Answers, **sampling: int) -> Any:
    return by_heads(s3, "b", Sampling(**sampling), lambda *_: None)


def test_what_a_head_says_and_what_its_refusals_mean():
    answers = {
        "k0": {"ServerSideEncryption": "AES256", "LastModified": AT},
        "k1": {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY, "LastModified": AT,
               "Metadata": {"X-Amz-Key-V2": "e30="}},
        "k2": {"LastModified": AT},
        "k3": refusal("400", 400),
        "k4": refusal("403", 403),
        "k5": ParamValidationError(report="no such key can be sent"),
        "k6": {"SSECustomerAlgorithm": "AES256", "LastModified": AT},
        "k7": {"ServerSideEncryption": "aws:kms:dsse", "SSEKMSKeyId": KEY, "LastModified": AT},
    }  # fmt: skip
    found = heads(Answers(list_objects_v2=listing(8), head_object=lambda Key, **_: answers[Key]))
    assert found.counts == {
        Under("sse-s3"): 1, Under("sse-kms", KEY, "", AT.date(), client_side=True): 1, Under("none"): 1,
        Under("sse-c"): 2, Under("unknown"): 2, Under("dsse-kms", KEY, "", AT.date()): 1,
    }  # fmt: skip


def test_a_sample_is_drawn_from_the_whole_listing_and_is_the_same_again():
    s3 = Answers(list_objects_v2=listing(95), head_object={"LastModified": AT})
    first, again = heads(s3, sample=20), heads(s3, sample=20)
    assert (first.listed, first.looked_at) == (95, 20)
    assert first.examples == again.examples
    everything = heads(s3, sample=0)
    assert (everything.listed, everything.looked_at) == (95, 95)
    numbers = set()
    for sample in range(1, 60, 7):
        heads(Answers(list_objects_v2=listing(95), head_object=lambda Key, **_: numbers.add(int(Key[1:])) or
                      {"LastModified": AT}), sample=sample)  # fmt: skip
    assert max(numbers) > 80


def test_a_key_that_may_not_be_looked_at_is_a_key_of_which_nothing_is_known():
    key = look_up(Answers(), KEY)
    assert (key.arn, key.state, key.rotates, key.unread) == (KEY, "", None, {"DescribeKey": "AccessDenied"})
    assert look_up(Answers(describe_key=refusal("NotFoundException")), KEY).state == "Gone"


def test_materials_are_those_of_the_list_of_rotations_from_the_keys_making_on():
    first, second = datetime(2024, 1, 1, tzinfo=UTC), datetime(2025, 1, 1, tzinfo=UTC)
    kms = Answers(
        describe_key={"KeyMetadata": {"Arn": KEY, "KeyId": "k", "KeyManager": "CUSTOMER", "CreationDate": first}},
        get_key_policy={"Policy": "{}"},
        get_key_rotation_status={"KeyRotationEnabled": True, "RotationPeriodInDays": 90},
        list_key_rotations=lambda **asked: {
            "Rotations": [{"KeyMaterialId": "m2", "RotationDate": second, "KeyMaterialState": "CURRENT"}]
            if "Marker" in asked else [{"KeyMaterialId": "m1", "KeyMaterialState": "NON_CURRENT"}],
            "Truncated": "Marker" not in asked, "NextMarker": "x",
        },
    )  # fmt: skip
    key = look_up(kms, "alias/a")
    assert [(each.material_id, each.since, each.current) for each in key.materials] == [
        ("m1", first, False), ("m2", second, True),
    ]  # fmt: skip
    assert key.names == {"alias/a", KEY, "k"}
    assert (key.rotates, key.rotation_days, key.unread) == (True, 90, {})


def test_a_server_without_a_list_of_rotations_has_the_material_a_key_was_made_with():
    made = {"Arn": KEY, "KeyId": "k", "KeyManager": "CUSTOMER", "CreationDate": AT}
    kms = Answers(describe_key={"KeyMetadata": made}, list_key_rotations=refusal("UnsupportedOperationException"))
    assert [(each.since, each.current) for each in look_up(kms, KEY).materials] == [(AT, True)]
    assert look_up(Answers(describe_key={"KeyMetadata": made}), KEY).materials == ()


class Api:
    def call(self, operation: str, _document: dict[str, Any]) -> dict[str, Any]:
        raise S3alError("AccessDenied: not you")


def test_whatever_is_refused_is_told_and_the_rest_is_asked_all_the_same():
    kms = Answers()
    s3 = Answers(
        list_objects_v2=listing(1),
        head_object={"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": KEY, "LastModified": AT},
        get_bucket_encryption=refusal("ServerSideEncryptionConfigurationNotFoundError", 404),
        get_bucket_policy=refusal("NoSuchBucketPolicy", 404),
        get_public_access_block=refusal("NotImplemented", 501),
    )
    regions: list[str] = []
    clients = Clients(s3, Answers(), lambda region: regions.append(region) or kms, Api())  # type: ignore[arg-type]
    found = gather(clients, "b", Sampling(), lambda *_: None, at=AT)
    (bucket,) = found.buckets
    assert bucket.default_mode == "none"
    assert bucket.unread == {
        "GetInventory": "AccessDenied", "GetBucketAcl": "AccessDenied", "GetBucketOwnershipControls": "AccessDenied",
    }  # fmt: skip
    assert bucket.objects.how == "heads"
    assert (found.account_id, found.unread) == ("", {"GetCallerIdentity": "AccessDenied"})
    assert [key.arn for key in found.kms_keys] == [KEY]
    assert regions == ["us-east-1"]

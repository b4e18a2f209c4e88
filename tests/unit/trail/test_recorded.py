"""What whole workers record: which calls and uses, of whom, visible where, and when nothing may be answered."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore import UNSIGNED
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from s3al.kms.jobs import jobs_of
from s3al.trail.chain import FileCalls
from support.house import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, House, open_house
from support.people import allow, give, make_user

BUCKET = "recorded"
CUSTOMER_KEY = os.urandom(32)
DAY_MS = 24 * 3600 * 1000


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("house"), workers=2) as house:
        house.client().create_bucket(Bucket=BUCKET)
        yield house
        assert house.events("unforeseen") == []


@pytest.fixture
def key(house: House) -> str:
    arn: str = house.client("kms").create_key()["KeyMetadata"]["Arn"]
    return arn


def events(house: House, name: str, key: str | None = None, *, worker: int = 1) -> list[dict[str, Any]]:
    """Of this name (and key), newest first, as another worker than the one that was asked shows them."""
    asked = [{"AttributeKey": "EventName", "AttributeValue": name}]
    pages = house.client("cloudtrail", worker=worker).get_paginator("lookup_events").paginate(LookupAttributes=asked)
    found = [json.loads(event["CloudTrailEvent"]) for page in pages for event in page["Events"]]
    return [one for one in found if key is None or key in [each["ARN"] for each in one["resources"]]]


def code_of(function: Any, **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        function(**arguments)
    code: str = caught.value.response["Error"]["Code"]
    return code


def test_a_direct_use_is_recorded_with_its_context_and_without_its_secrets(house: House, key: str) -> None:
    kms = house.client("kms")
    blob = kms.encrypt(KeyId=key, Plaintext=b"secret text", EncryptionContext={"of": "mine"})["CiphertextBlob"]
    kms.decrypt(CiphertextBlob=blob, EncryptionContext={"of": "mine"})
    (event,) = events(house, "Decrypt", key)
    assert event["requestParameters"] == {"encryptionContext": {"of": "mine"}}
    assert event["userIdentity"]["type"] == "Root"
    assert (event["readOnly"], event["managementEvent"], event["responseElements"]) == (True, True, None)
    assert event["additionalEventData"]["keyMaterialId"]
    assert len(event["requestID"]) == 16


def test_a_use_for_s3_is_the_kms_s_and_the_requester_s(house: House, key: str) -> None:
    s3 = house.client()
    s3.put_object(Bucket=BUCKET, Key="used", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    s3.get_object(Bucket=BUCKET, Key="used")
    (made,), (opened,) = events(house, "GenerateDataKey", key), events(house, "Decrypt", key)
    for event in (made, opened):
        assert event["eventSource"] == "kms.amazonaws.com"
        assert event["userIdentity"]["arn"].endswith(":root")
        assert event["userIdentity"]["invokedBy"] == event["sourceIPAddress"] == "AWS Internal"
        assert event["requestParameters"]["encryptionContext"] == {"aws:s3:arn": f"arn:aws:s3:::{BUCKET}/used"}
        assert event["requestParameters"]["keyId"] == key
    assert made["additionalEventData"] == opened["additionalEventData"]


def test_a_bucket_key_at_hand_is_no_use_of_the_kms_but_a_refusal_is(house: House, key: str) -> None:
    s3, how = house.client(), {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key, "BucketKeyEnabled": True}
    for name in ("a", "b"):
        s3.put_object(Bucket=BUCKET, Key=name, Body=b"x", **how)
        s3.get_object(Bucket=BUCKET, Key=name)
    (made,) = events(house, "GenerateDataKey", key)
    assert made["requestParameters"]["encryptionContext"] == {"aws:s3:arn": f"arn:aws:s3:::{BUCKET}"}
    assert events(house, "Decrypt", key) == []
    house.client("kms").disable_key(KeyId=key)
    assert code_of(s3.get_object, Bucket=BUCKET, Key="a") == "KMS.DisabledException"
    (refused,) = events(house, "Decrypt", key)
    assert refused["errorCode"] == "DisabledException"
    assert refused["resources"][0]["ARN"] == key


def test_a_refused_call_is_recorded_of_whoever_made_it(house: House, key: str) -> None:
    s3 = house.workers[0].s3
    account_id = key.split(":")[4]
    server_key = house.workers[0].gateway.credentials._server_key
    nobody = s3.db.write_now(lambda rows: make_user(rows, server_key, account_id, "nobody"))
    kms = house.client("kms", **nobody.keys)
    assert code_of(kms.describe_key, KeyId=key) == "AccessDeniedException"
    (event,) = [one for one in events(house, "DescribeKey", key) if one.get("errorCode")]
    assert (event["errorCode"], event["userIdentity"]["userName"]) == ("AccessDeniedException", "nobody")
    assert "not authorized" in event["errorMessage"]
    s3.db.write_now(lambda rows: give(rows, nobody.arn, allow("cloudtrail:LookupEvents")))
    looking = house.client("cloudtrail", **nobody.keys)
    asked = [{"AttributeKey": "Username", "AttributeValue": "nobody"}]
    assert looking.lookup_events(LookupAttributes=asked)["Events"][0]["Username"] == "nobody"


def test_what_nobody_signed_rightly_leaves_no_record(house: House) -> None:
    stranger = {"aws_access_key_id": "S3ALTESTROOTKEY00001", "aws_secret_access_key": "not the one" + "x" * 20}
    assert code_of(house.client("kms", **stranger).list_aliases) == "InvalidSignatureException"
    assert code_of(house.client("s3", **stranger).get_bucket_policy, Bucket=BUCKET) == "SignatureDoesNotMatch"
    assert events(house, "ListAliases") == []
    assert events(house, "GetBucketPolicy") == []


def test_a_policy_s_change_is_an_event_of_its_own(house: House, key: str) -> None:
    kms = house.client("kms")
    policy = kms.get_key_policy(KeyId=key)["Policy"]
    kms.put_key_policy(KeyId=key, Policy=policy)
    assert code_of(kms.put_key_policy, KeyId=key, Policy="{}") == "MalformedPolicyDocumentException"
    done = next(one for one in events(house, "PutKeyPolicy", key) if not one.get("errorCode"))
    (change,) = events(house, "KeyPolicyChanged", key)
    assert change["serviceEventDetails"]["policy"] == policy
    assert change["serviceEventDetails"]["callEventID"] == done["eventID"]
    assert change["eventType"] == "AwsServiceEvent"


def test_objects_are_recorded_where_the_bucket_asks_for_it(house: House) -> None:
    s3 = house.client()
    s3.put_object(Bucket=BUCKET, Key="before", Body=b"x")
    assert house.own_api("GetBucketTrail", bucket=BUCKET) == {"bucket": BUCKET, "data_events": False}
    assert house.own_api("SetBucketTrail", bucket=BUCKET, data_events=True)["data_events"]
    customer = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": CUSTOMER_KEY}
    assert code_of(s3.get_object, Bucket=BUCKET, Key="none", **customer) == "NoSuchKey"
    s3.put_object(Bucket=BUCKET, Key="after", Body=b"the body itself")
    house.own_api("SetBucketTrail", bucket=BUCKET, data_events=False)
    s3.put_object(Bucket=BUCKET, Key="later", Body=b"x")
    found = house.own_api("SearchTrail", attribute="ResourceName", value=f"{BUCKET}/after")["events"]
    (put,) = found
    assert (put["eventName"], put["eventCategory"]) == ("PutObject", "Data")
    assert put["requestParameters"] == {"bucketName": BUCKET, "key": "after"}
    (refused,) = house.own_api("SearchTrail", attribute="EventName", value="GetObject")["events"]
    assert refused["errorCode"] == "NoSuchKey"
    names = [one["requestParameters"]["key"] for one in house.own_api("SearchTrail", attribute="EventName",
             value="PutObject")["events"]]  # fmt: skip
    assert names == ["after"]
    assert events(house, "PutObject") == []  # LookupEvents has management events alone


def test_what_the_service_does_to_a_key_by_itself_is_recorded(house: House) -> None:
    worker, kms = house.workers[0], house.client("kms")
    rotating, doomed = (kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2))
    kms.enable_key_rotation(KeyId=rotating, RotationPeriodInDays=90)
    kms.schedule_key_deletion(KeyId=doomed, PendingWindowInDays=7)
    now_ms = worker.gateway.now_ms() + 91 * DAY_MS
    for job in jobs_of(worker.gateway.services["kms"].ports):
        worker.s3.db.write_now(lambda rows, job=job: job(rows, now_ms))
    (rotated,), (deleted,) = events(house, "RotateKey", rotating), events(house, "DeleteKey", doomed)
    for event in (rotated, deleted):
        assert event["eventType"] == "AwsServiceEvent"
        assert event["userIdentity"]["invokedBy"] == "AWS Internal"
    assert rotated["serviceEventDetails"]["rotationType"] == "AUTOMATIC"


def test_no_secret_is_in_the_trail(house: House, key: str) -> None:
    iam, kms, sts = house.client("iam"), house.client("kms"), house.client("sts")
    iam.create_user(UserName="keeper")
    made = iam.create_access_key(UserName="keeper")["AccessKey"]
    session = sts.get_session_token()["Credentials"]
    data_key = kms.generate_data_key(KeyId=key, KeySpec="AES_256")
    told = json.dumps([house.own_api("SearchTrail", attribute="EventName", value=name)["events"]
                       for name in ("CreateAccessKey", "GetSessionToken", "GenerateDataKey")])  # fmt: skip
    assert made["AccessKeyId"] in told
    for secret in (made["SecretAccessKey"], session["SecretAccessKey"], session["SessionToken"], SECRET_ACCESS_KEY,
                   data_key["Plaintext"].hex()):  # fmt: skip
        assert secret not in told


def own_api(house: House, operation: str, body: bytes) -> int:
    """The status of an answer to any body."""
    host, target = "127.0.0.1:9000", f"/_s3al/v1/{operation}"
    asked = AWSRequest("POST", f"https://{host}{target}", data=body, headers={"Host": host})
    SigV4Auth(Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY), "s3al", REGION).add_auth(asked)
    headers = {name: str(value) for name, value in asked.headers.items()}
    return house.ask("POST", target, headers, body).status


def test_a_change_is_recorded_whatever_is_sent_beside_it(house: House) -> None:
    for number, more in enumerate(
        (
            b'"EncryptionContext":' + b"[" * 400 + b"]" * 400,
            b'"EncryptionContext":{"a":"' + b"x" * (300 << 10) + b'"}',
            b'"UserName":"' + b"x" * 1_000_000 + b'"',
            b'"RoleName":"' + b"\\u0001" * 150_000 + b'"',
        )
    ):
        bucket = f"noisy-{number}"
        house.client().create_bucket(Bucket=bucket)
        body = b'{"bucket":"%b","data_events":true,%b}' % (bucket.encode(), more)
        assert own_api(house, "SetBucketTrail", body) == 200
        newest = house.own_api("SearchTrail", attribute="EventName", value="SetBucketTrail")["events"][0]
        assert newest["userIdentity"]["type"] == "Root"
        assert newest["requestParameters"] is None or newest["requestParameters"]["bucket"] == bucket
        house.own_api("SetBucketTrail", bucket=bucket, data_events=False)
    assert _verified(house)["findings"] == []


def test_a_name_as_long_as_a_body_hides_no_record_that_follows(house: House, key: str) -> None:
    assert own_api(house, "GetTrailCheckpoint", b'{"UserName":"' + b"A" * ((1 << 20) - 16) + b'"}') == 200
    house.client("kms").enable_key(KeyId=key)
    assert len(events(house, "EnableKey", key)) == 1
    (chain,) = house.own_api("SearchTrail", attribute="ResourceType", value="AWS::IAM::User")["events"][:1]
    assert len(chain["resources"][0]["ARN"]) == 2048


@pytest.fixture
def other(house: House) -> Iterator[dict[str, str]]:
    """The root of another account."""
    made = house.own_api("CreateAccount", name=f"other-{os.urandom(4).hex()}")
    yield {"aws_access_key_id": made["access_key_id"], "aws_secret_access_key": made["secret_access_key"]}


def open_to_anybody(house: House, bucket: str, action: str) -> None:
    s3 = house.client()
    s3.create_bucket(Bucket=bucket)
    s3.delete_public_access_block(Bucket=bucket)
    resource = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    statement = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": resource}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def test_who_owns_a_bucket_sees_what_others_change_of_it(house: House, other: dict[str, str]) -> None:
    open_to_anybody(house, "open-to-change", "s3:PutBucketVersioning")
    enabled = {"Bucket": "open-to-change", "VersioningConfiguration": {"Status": "Enabled"}}
    house.client(**other).put_bucket_versioning(**enabled)
    house.client(config=Config(signature_version=UNSIGNED)).put_bucket_versioning(**enabled)
    mine = events(house, "PutBucketVersioning")
    assert {one["userIdentity"].get("accountId") for one in mine} >= {"anonymous"}
    assert len(mine) == 2
    shared = [one for one in mine if one.get("sharedEventID")]
    looking = house.client("cloudtrail", **other)
    asked = [{"AttributeKey": "EventName", "AttributeValue": "PutBucketVersioning"}]
    (theirs,) = [json.loads(one["CloudTrailEvent"]) for one in looking.lookup_events(LookupAttributes=asked)["Events"]]
    assert [one["sharedEventID"] for one in shared] == [theirs["sharedEventID"]]


def test_who_owns_a_key_sees_its_use_by_another_account_that_hangs_up(
    house: House, key: str, other: dict[str, str]
) -> None:
    kms = house.client("kms")
    policy = json.loads(kms.get_key_policy(KeyId=key)["Policy"])
    policy["Statement"].append({"Effect": "Allow", "Principal": "*", "Action": "kms:GenerateDataKey", "Resource": "*"})
    kms.put_key_policy(KeyId=key, Policy=json.dumps(policy))
    house.client(**other).create_bucket(Bucket="of-another")
    host, target = "127.0.0.1:9000", "/of-another/half"
    headers = {
        "Host": host,
        "Content-Length": "1000",
        "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD",
        "X-Amz-Server-Side-Encryption": "aws:kms",
        "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": key,
    }
    asked = AWSRequest("PUT", f"https://{host}{target}", headers=headers)
    signer = Credentials(other["aws_access_key_id"], other["aws_secret_access_key"])
    S3SigV4Auth(signer, "s3", REGION).add_auth(asked)
    slow = house.workers[0].begin("PUT", target, {name: str(value) for name, value in asked.headers.items()})
    slow.send(b"half")
    slow.hang_up()
    slow.take()
    (used,) = events(house, "GenerateDataKey", key)
    assert used["userIdentity"]["accountId"] != key.split(":")[4]


def test_pages_of_lookup_events_have_each_record_once(house: House, key: str) -> None:
    kms, looking = house.client("kms"), house.client("cloudtrail")
    for _ in range(7):
        kms.describe_key(KeyId=key)
    asked = {"LookupAttributes": [{"AttributeKey": "ResourceName", "AttributeValue": key}], "MaxResults": 3}
    found, token = [], None
    while True:
        page = looking.lookup_events(**asked, **({"NextToken": token} if token else {}))
        assert len(page["Events"]) <= 3
        found += [event["EventId"] for event in page["Events"]]
        token = page.get("NextToken")
        if token is None:
            break
    assert len(found) == len(set(found)) == 8
    first = looking.lookup_events(**asked)["NextToken"]
    assert code_of(looking.lookup_events, **asked | {"NextToken": first[:-4] + "AAAA"}) == "InvalidNextTokenException"
    other = asked | {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "DescribeKey"}]}
    assert code_of(looking.lookup_events, **other, NextToken=first) == "InvalidNextTokenException"
    span = {"StartTime": 2_000_000_000, "EndTime": 1_000_000_000}
    assert code_of(looking.lookup_events, **span) == "InvalidTimeRangeException"
    assert looking.lookup_events(StartTime=4_000_000_000)["Events"] == []
    two = [*asked["LookupAttributes"], {"AttributeKey": "ReadOnly", "AttributeValue": "true"}]
    assert code_of(looking.lookup_events, LookupAttributes=two) == "InvalidLookupAttributesException"


class FailingCalls(FileCalls):
    """The operating system, with one call that fails while `failing` names it."""

    failing = ""

    def pwrite(self, descriptor: int, content: bytes, offset: int) -> int:
        self._fail("pwrite")
        return super().pwrite(descriptor, content, offset)

    def sync(self, descriptor: int) -> None:
        self._fail("sync")
        super().sync(descriptor)

    def allocate(self, descriptor: int, offset: int, size: int) -> None:
        self._fail("allocate")
        super().allocate(descriptor, offset, size)

    def _fail(self, name: str) -> None:
        if self.failing == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.fixture
def calls(house: House) -> Iterator[FailingCalls]:
    auditor: Any = house.workers[0].gateway.auditor
    sound, auditor._chain._calls = auditor._chain._calls, FailingCalls()
    yield auditor._chain._calls
    auditor._chain._calls = sound


def test_without_a_record_there_is_no_answer_and_plain_objects_are_served(
    house: House, key: str, calls: FailingCalls
) -> None:
    s3, kms = house.client(), house.client("kms")
    s3.put_object(Bucket=BUCKET, Key="plain", Body=b"plain")
    s3.put_object(Bucket=BUCKET, Key="sealed", Body=b"sealed", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    calls.failing = "pwrite"
    assert s3.get_object(Bucket=BUCKET, Key="plain")["Body"].read() == b"plain"
    s3.put_object(Bucket=BUCKET, Key="plain", Body=b"anew")
    assert code_of(s3.get_object, Bucket=BUCKET, Key="sealed") == "ServiceUnavailable"
    assert code_of(kms.generate_data_key, KeyId=key, KeySpec="AES_256") == "DependencyTimeoutException"
    assert code_of(kms.describe_key, KeyId="no-such-key") == "DependencyTimeoutException"
    assert house.events("trail")
    calls.failing = ""
    assert s3.get_object(Bucket=BUCKET, Key="sealed")["Body"].read() == b"sealed"
    assert _verified(house)["findings"] == []


def test_a_change_that_could_not_be_recorded_is_refused_before_it_is_made(
    house: House, key: str, calls: FailingCalls
) -> None:
    kms, chain = house.client("kms"), house.workers[0].gateway.auditor._chain  # type: ignore[attr-defined]
    calls.failing, chain._room_to = "allocate", 0
    assert code_of(kms.disable_key, KeyId=key) == "DependencyTimeoutException"
    how = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    assert code_of(house.client().put_object, Bucket=BUCKET, Key="new", Body=b"x", **how) == "ServiceUnavailable"
    calls.failing = ""
    assert house.client("kms", worker=1).describe_key(KeyId=key)["KeyMetadata"]["KeyState"] == "Enabled"
    assert code_of(house.client().get_object, Bucket=BUCKET, Key="new") == "NoSuchKey"
    kms.disable_key(KeyId=key)


def test_a_failing_sync_fails_the_change_s_answer_and_the_chain_goes_on(
    house: House, key: str, calls: FailingCalls
) -> None:
    kms = house.client("kms")
    before = len(list((house.config.data / "trail").iterdir()))
    calls.failing = "sync"
    assert code_of(kms.disable_key, KeyId=key) == "DependencyTimeoutException"
    calls.failing = ""
    kms.enable_key(KeyId=key)
    assert len(list((house.config.data / "trail").iterdir())) == before + 1, "a file whose sync failed is left"
    assert [one["eventName"] for one in events(house, "EnableKey", key)] == ["EnableKey"]
    assert _verified(house)["findings"] == []


def _verified(house: House) -> dict[str, Any]:
    """All chains; the newest records may be beyond the last checkpoint."""
    findings, following = [], ""
    while following is not None:
        page = house.own_api("VerifyTrail", incarnation=following)
        findings += page["findings"]
        following = page.get("next")
    return {"findings": findings}


def test_a_store_whose_trail_could_not_begin_serves_what_needs_no_record(tmp_path: Path) -> None:
    with open_house(tmp_path) as house:
        house.client().create_bucket(Bucket=BUCKET)
        house.client().put_object(Bucket=BUCKET, Key="plain", Body=b"plain")
        house.close()
        trail = house.config.data / "trail"
        aside = trail.rename(house.folder / "aside")
        trail.symlink_to("/proc")  # where no file can be made
        house.open()
        assert house.client().get_object(Bucket=BUCKET, Key="plain")["Body"].read() == b"plain"
        assert code_of(house.client("kms").create_key) == "DependencyTimeoutException"
        trail.unlink()
        aside.rename(trail)
        house.workers[0].gateway.auditor._chain.begin(lambda: None)  # type: ignore[attr-defined]
        house.client("kms").create_key()

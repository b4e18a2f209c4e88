"""Requests that meet: two workers on one store, and every interleaving ends in a state that one order explains."""

# ruff: noqa: B023  (every lambda here is called before its loop goes on)
from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from s3al.offline import check
from s3al.store import garbage
from support.house import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, House, SlowRequest, open_house
from support.settings import put_policy

PART = 5 << 20
ROUNDS = 12
OK, REFUSED = 200, 412


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("house"), workers=2) as opened:
        for worker in (0, 1):  # clients are not made by two threads at once
            opened.client(worker=worker)
        yield opened
        assert [event["at"] for event in opened.events("unforeseen")] == []
        opened.close()
        report = check(opened.config)
        assert report.damage == []


@pytest.fixture
def bucket(house: House, request: pytest.FixtureRequest) -> str:
    name = f"b{abs(hash(request.node.name)):x}"
    house.client().create_bucket(Bucket=name)
    return name


def status(attempt: Callable[[], Any]) -> int:
    try:
        return int(attempt()["ResponseMetadata"]["HTTPStatusCode"])
    except ClientError as refused:
        return int(refused.response["ResponseMetadata"]["HTTPStatusCode"])


def at_once(*attempts: Callable[[], Any]) -> list[int]:
    with ThreadPoolExecutor(len(attempts)) as threads:
        return list(threads.map(status, attempts))


@pytest.mark.parametrize("size", [10, 200_000])
def test_of_writers_that_must_be_first_exactly_one_is(house: House, bucket: str, size: int) -> None:
    for number in range(ROUNDS):
        bodies = [os.urandom(size) for _ in range(6)]
        results = at_once(*(
            lambda key=f"k{number}", body=body, worker=worker: house.client(worker=worker % 2).put_object(
                Bucket=bucket, Key=key, Body=body, IfNoneMatch="*")
            for worker, body in enumerate(bodies)
        ))  # fmt: skip
        assert sorted(results) == [OK] + [REFUSED] * 5
        got = house.client().get_object(Bucket=bucket, Key=f"k{number}")["Body"].read()
        assert got == bodies[results.index(OK)]


def test_of_writers_that_replace_what_they_read_exactly_one_does(house: House, bucket: str) -> None:
    etag = house.client().put_object(Bucket=bucket, Key="k", Body=b"0")["ETag"]
    for number in range(ROUNDS):
        results = at_once(*(
            lambda worker=worker: house.client(worker=worker % 2).put_object(
                Bucket=bucket, Key="k", Body=b"%d %d" % (number, worker), IfMatch=etag)
            for worker in range(4)
        ))  # fmt: skip
        assert sorted(results) == [OK] + [REFUSED] * 3
        etag = house.client().head_object(Bucket=bucket, Key="k")["ETag"]


def test_a_key_changed_while_the_object_is_replaced_leaves_one_whole_object(house: House, bucket: str) -> None:
    s3, kms = house.client(), house.client("kms")
    keys = [kms.create_key()["KeyMetadata"]["Arn"] for _ in range(2)]
    for number in range(ROUNDS):
        s3.put_object(Bucket=bucket, Key="k", Body=b"old")
        results = at_once(
            *(
                lambda worker=worker, key=key: house.client(worker=worker).update_object_encryption(
                    Bucket=bucket, Key="k", ObjectEncryption={"SSEKMS": {"KMSKeyArn": key}})
                for worker, key in enumerate(keys)
            ),
            lambda: house.client().put_object(Bucket=bucket, Key="k", Body=b"new"),
        )  # fmt: skip
        assert set(results[:2]) <= {OK, 409} and results[2] == OK
        found = s3.get_object(Bucket=bucket, Key="k")
        assert found["Body"].read() == b"new", number


def test_tags_put_while_the_key_is_changed_are_kept(house: House, bucket: str) -> None:
    key = house.client("kms").create_key()["KeyMetadata"]["Arn"]
    for number in range(ROUNDS):
        house.client().put_object(Bucket=bucket, Key="k", Body=b"body", Tagging="n=old")
        tags = {"TagSet": [{"Key": "n", "Value": str(number)}]}
        results = at_once(
            lambda: house.client(worker=0).update_object_encryption(
                Bucket=bucket, Key="k", ObjectEncryption={"SSEKMS": {"KMSKeyArn": key}}
            ),
            lambda tags=tags: house.client(worker=1).put_object_tagging(Bucket=bucket, Key="k", Tagging=tags),
        )
        assert results == [OK, OK]
        assert house.client().get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == tags["TagSet"]
        assert house.client().head_object(Bucket=bucket, Key="k")["SSEKMSKeyId"] == key


def new_upload(house: House, bucket: str, *bodies: bytes) -> tuple[dict[str, str], list[dict[str, Any]]]:
    s3, place = house.client(), {"Bucket": bucket, "Key": "k"}
    place["UploadId"] = s3.create_multipart_upload(**place)["UploadId"]
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**place, PartNumber=number, Body=body)["ETag"]}
        for number, body in enumerate(bodies, 1)
    ]
    return place, parts


def test_an_upload_completed_twice_at_once_is_one_object(house: House, bucket: str) -> None:
    s3 = house.client()
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for _ in range(ROUNDS):
        place, parts = new_upload(house, bucket, b"part")
        before = len(s3.list_object_versions(Bucket=bucket).get("Versions", ()))
        results = at_once(*(
            lambda worker=worker: house.client(worker=worker % 2).complete_multipart_upload(
                **place, MultipartUpload={"Parts": parts})
            for worker in range(4)
        ))  # fmt: skip
        assert results == [OK] * 4
        assert len(s3.list_object_versions(Bucket=bucket)["Versions"]) == before + 1
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"part"


def test_completed_and_aborted_at_once_one_of_them_happened(house: House, bucket: str) -> None:
    s3 = house.client()
    for _ in range(ROUNDS):
        s3.delete_object(Bucket=bucket, Key="k")
        place, parts = new_upload(house, bucket, b"part")
        completed, aborted = at_once(
            lambda: house.client(worker=0).complete_multipart_upload(**place, MultipartUpload={"Parts": parts}),
            lambda: house.client(worker=1).abort_multipart_upload(**place),
        )
        assert (completed, aborted) in ((200, 404), (404, 204))
        assert status(lambda: s3.get_object(Bucket=bucket, Key="k")) == completed


@pytest.mark.parametrize("size", [100, 300_000])
def test_parts_that_race_an_abort_leave_no_row_behind(house: House, bucket: str, size: int) -> None:
    for _ in range(ROUNDS):
        place, _ = new_upload(house, bucket, b"part")
        results = at_once(
            *(
                lambda worker=worker: house.client(worker=worker % 2).upload_part(
                    **place, PartNumber=worker + 1, Body=os.urandom(size))
                for worker in range(4)
            ),
            lambda: house.client(worker=1).abort_multipart_upload(**place),
        )  # fmt: skip
        assert set(results[:4]) <= {OK, 404} and results[4] == 204
    assert rows(house, "SELECT count(*) FROM uploads WHERE bucket_id = (SELECT bucket_id FROM buckets WHERE name = ?)",
                bucket) == [(0,)]  # fmt: skip
    assert rows(house, "SELECT count(*) FROM parts WHERE upload_id NOT IN (SELECT upload_id FROM uploads)") == [(0,)]
    unowned = (
        "SELECT count(*) FROM streams WHERE object_id NOT IN"
        " (SELECT object_id FROM versions UNION ALL SELECT object_id FROM uploads)"
    )
    assert rows(house, unowned) == [(0,)]


def test_one_part_number_sent_many_times_at_once_is_one_whole_part(house: House, bucket: str) -> None:
    place, _ = new_upload(house, bucket)
    bodies = [bytes([number]) * 200_000 for number in range(6)]
    assert at_once(*(
        lambda worker=worker, body=body: house.client(worker=worker % 2).upload_part(**place, PartNumber=1, Body=body)
        for worker, body in enumerate(bodies)
    )) == [OK] * 6  # fmt: skip
    (part,) = house.client().list_parts(**place)["Parts"]
    done = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    house.client().complete_multipart_upload(**place, MultipartUpload=done)
    assert house.client().get_object(Bucket=bucket, Key="k")["Body"].read() in bodies


def test_a_read_that_has_begun_outlives_the_object_it_reads(
    house: House, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two blobs; the object is deleted, and garbage removed without any margin of time, while the first is sent."""
    monkeypatch.setattr(garbage, "CLOCK_MARGIN_MS", 0)
    body = os.urandom(PART + 1_500_000)
    place, parts = new_upload(house, bucket, body[:PART], body[PART:])
    house.client().complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
    begun_ms = house.workers[0].s3.now_ms()
    slow = begin(house, "GET", f"/{bucket}/k", worker=0, held=True)
    slow.await_first_piece()
    house.client(worker=1).delete_object(Bucket=bucket, Key="k")
    graves = f"SELECT count(*) FROM graveyard WHERE buried_at >= {begun_ms}"
    assert rows(house, graves) == [(2,)]
    for _ in range(2):
        unlink_garbage(house)
    assert rows(house, graves) == [(2,)]
    answer = slow.take()
    assert (answer.status, answer.aborted) == (OK, False) and answer.body == body
    for _ in range(3):  # until every worker has said that it reads nothing older
        unlink_garbage(house)
    assert rows(house, graves) == [(0,)]


def test_reads_that_race_replacement_get_one_object_whole(house: House, bucket: str) -> None:
    bodies = [bytes([number]) * 300_000 for number in range(4)]
    house.client().put_object(Bucket=bucket, Key="k", Body=bodies[0])
    got: list[bytes] = []

    def read(worker: int) -> None:
        for _ in range(20):
            got.append(house.client(worker=worker).get_object(Bucket=bucket, Key="k")["Body"].read())

    def write() -> None:
        for number in range(20):
            house.client(worker=1).put_object(Bucket=bucket, Key="k", Body=bodies[number % 4])

    with ThreadPoolExecutor(3) as threads:
        for done in [threads.submit(read, 0), threads.submit(read, 1), threads.submit(write)]:
            done.result()
    assert len(got) == 40 and set(got) <= set(bodies)


def rows(house: House, sql: str, *params: Any) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = house.workers[0].s3.db.read_now(lambda read: read.all(sql, params))
    return found


def unlink_garbage(house: House) -> None:
    for worker in house.workers:
        house._run(worker.tending.unlink_buried())


class Unsigned(S3SigV4Auth):  # type: ignore[misc]
    """Signs the head alone."""

    def payload(self, request: Any) -> str:
        return "UNSIGNED-PAYLOAD"


def begin(house: House, method: str, target: str, *, worker: int, length: int | None = None, **options: Any) -> (
    SlowRequest):  # fmt: skip
    """A signed request whose payload is not covered by the signature, so that it may come later."""
    credentials = options.pop("credentials", (ACCESS_KEY_ID, SECRET_ACCESS_KEY))
    host = "127.0.0.1:9000"
    asked = AWSRequest(method, f"https://{host}{target}", headers={"Host": host})
    Unsigned(Credentials(*credentials), "s3", REGION).add_auth(asked)
    headers = {name: str(value) for name, value in asked.headers.items()}
    if length is not None:
        headers["content-length"] = str(length)
    return house.workers[worker].begin(method, target, headers, **options)


DENY = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::{}/*"}


def refused_while_uploading(house: House, bucket: str, change: Callable[[], Any], **options: Any) -> bytes:
    """Begin a PUT on worker 1, change something on worker 0, end the PUT. Returns the refusal."""
    slow = begin(house, "PUT", f"/{bucket}/late", worker=1, length=300_000, **options)
    slow.send(bytes(150_000))
    wait_until_received(house)
    change()
    slow.send(bytes(150_000), last=True)
    answer = slow.take()
    assert answer.status >= 400
    return answer.body


def wait_until_received(house: House) -> None:
    """Until worker 1 has authorized what it was sent: a request that begins now is answered by it afterwards."""
    for _ in range(3):
        house.client(worker=1).list_buckets()


def test_a_put_denied_while_it_is_uploaded_stores_nothing(house: House, bucket: str) -> None:
    deny = DENY | {"Resource": f"arn:aws:s3:::{bucket}/*"}
    refusal = refused_while_uploading(house, bucket, lambda: put_policy(house.client(), bucket, deny))
    assert b"<Code>AccessDenied</Code>" in refusal
    assert house.client().list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_put_into_a_bucket_that_was_replaced_meanwhile_stores_nothing(house: House, bucket: str) -> None:
    def replace() -> None:
        house.client().delete_bucket(Bucket=bucket)
        house.client().create_bucket(Bucket=bucket)

    assert b"<Code>NoSuchBucket</Code>" in refused_while_uploading(house, bucket, replace)
    assert house.client().list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_put_signed_with_a_key_that_was_reset_meanwhile_stores_nothing(house: House, bucket: str) -> None:
    made = house.own_api("CreateAccount", name=f"owner-of-{bucket}")
    grant = {"Effect": "Allow", "Principal": {"AWS": made["account_id"]}, "Action": "s3:PutObject",
             "Resource": f"arn:aws:s3:::{bucket}/*"}  # fmt: skip
    put_policy(house.client(), bucket, grant)
    keys = (made["access_key_id"], made["secret_access_key"])
    refusal = refused_while_uploading(
        house, bucket, lambda: house.own_api("ResetAccountRoot", account=made["account_id"]), credentials=keys
    )
    assert b"<Code>InvalidAccessKeyId</Code>" in refusal
    assert house.client().list_objects_v2(Bucket=bucket)["KeyCount"] == 0


def test_a_policy_put_on_one_worker_binds_the_next_request_on_the_other(house: House, bucket: str) -> None:
    for number in range(ROUNDS):
        one, other = house.client(worker=number % 2), house.client(worker=1 - number % 2)
        other.put_object(Bucket=bucket, Key="k", Body=b"body")
        put_policy(one, bucket, DENY | {"Resource": f"arn:aws:s3:::{bucket}/*"})
        assert status(lambda other=other: other.put_object(Bucket=bucket, Key="k", Body=b"body")) == 403
        one.delete_bucket_policy(Bucket=bucket)
        assert status(lambda other=other: other.put_object(Bucket=bucket, Key="k", Body=b"body")) == OK


def test_delete_objects_is_authorized_key_by_key(house: House, bucket: str) -> None:
    s3 = house.client()
    for key in ("open/1", "kept/1", "open/2"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"body")
    put_policy(s3, bucket, {"Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject",
                            "Resource": f"arn:aws:s3:::{bucket}/kept/*"})  # fmt: skip
    wanted = {"Objects": [{"Key": key} for key in ("open/1", "kept/1", "open/2", "nothing")]}
    answer = house.client(worker=1).delete_objects(Bucket=bucket, Delete=wanted)
    assert [each["Key"] for each in answer["Deleted"]] == ["open/1", "open/2", "nothing"]
    assert [(each["Key"], each["Code"]) for each in answer["Errors"]] == [("kept/1", "AccessDenied")]
    assert [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["kept/1"]


def test_a_client_that_hangs_up_within_its_upload_leaves_nothing(house: House, bucket: str) -> None:
    slow = begin(house, "PUT", f"/{bucket}/gone", worker=0, length=3_000_000)
    slow.send(bytes(2_000_000))
    slow.hang_up()
    slow.take()
    assert house.client().list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    assert len(house.workers[0].gateway.in_flight) == 0
    assert house.events("request")[-2]["aborted"] == "client-gone"

"""The story of one key, told by the people in it: who is given it, who is refused, how it turns, how it is taken away.

Three workers of one store, boto3 as each person, and a clock that can be set. What the people were told and what the
trail says of it are compared at the end; then one byte of the trail is altered.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from s3al import app, offline
from s3al.advice.key_policy import separated
from s3al.kms.rotation import rotate_all_due
from s3al.service.clock import Clock, wall_ms
from support.house import House, open_house

WORKERS = 3
DAY_MS = 24 * 3600 * 1000
BUCKET = "ledgers"
EVERY_OBJECT = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}


class Wall:
    """The wall clock, off by `ahead_ms`."""

    ahead_ms = 0

    def __call__(self) -> int:
        return wall_ms() + self.ahead_ms


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> Wall:
    wall = Wall()
    monkeypatch.setattr(app, "Clock", lambda: Clock(wall))
    return wall


@pytest.fixture
def house(wall: Wall, tmp_path: Path) -> Iterator[House]:
    with open_house(tmp_path, workers=WORKERS) as house:
        yield house
        assert house.events("unforeseen") == []


class Person:
    """An IAM user of the operator's account, and boto3 as that user on any worker."""

    def __init__(self, house: House, name: str, *statements: dict[str, Any]) -> None:
        iam = house.client("iam")
        self._house = house
        self.arn: str = iam.create_user(UserName=name)["User"]["Arn"]
        policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="given", PolicyDocument=policy)
        made = iam.create_access_key(UserName=name)["AccessKey"]
        self.secret: str = made["SecretAccessKey"]
        self._keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": self.secret}

    def client(self, service: str, worker: int = 0) -> Any:
        return self._house.client(service, worker=worker, **self._keys)

    def reads(self, object_key: str, worker: int = 0) -> bytes:
        body: bytes = self.client("s3", worker).get_object(Bucket=BUCKET, Key=object_key)["Body"].read()
        return body


@contextmanager
def refused(code: str) -> Iterator[None]:
    with pytest.raises(ClientError) as caught:
        yield
    assert caught.value.response["Error"]["Code"] == code


def test_the_story_of_a_key(house: House, wall: Wall) -> None:
    operator = house.client("kms")
    administrator = Person(house, "administrator", EVERY_OBJECT)
    reader, stranger = Person(house, "reader", EVERY_OBJECT), Person(house, "stranger", EVERY_OBJECT)

    # The key is made with its roles held apart; from then on the administrator manages it.
    key: str = operator.create_key(Description="of the ledgers")["KeyMetadata"]["Arn"]
    account_id = key.split(":")[4]
    policy = separated(account_id, administrators=[administrator.arn])
    operator.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    policy = separated(account_id, administrators=[administrator.arn], users=[reader.arn])
    operator.put_key_policy(KeyId=key, PolicyName="default", Policy=json.dumps(policy))
    house.client().create_bucket(Bucket=BUCKET)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}}
    house.client().put_bucket_encryption(Bucket=BUCKET, ServerSideEncryptionConfiguration={"Rules": [rule]})

    # The one who was given its use reads and writes; full rights to S3, or to the key's management, do not suffice.
    bodies = {"first": os.urandom(5000)}
    reader.client("s3").put_object(Bucket=BUCKET, Key="first", Body=bodies["first"])
    for worker in range(WORKERS):
        assert reader.reads("first", worker) == bodies["first"]
        with refused("AccessDenied"):
            stranger.reads("first", worker)
        with refused("AccessDenied"):
            administrator.reads("first", worker)
    with refused("AccessDeniedException"):
        administrator.client("kms").encrypt(KeyId=key, Plaintext=b"for me")

    # It rotates by the clock, then on demand; what was written before is read all the same.
    administrator.client("kms").enable_key_rotation(KeyId=key, RotationPeriodInDays=90)
    wall.ahead_ms = 91 * DAY_MS
    gateway = house.workers[1].gateway
    rotated = gateway.db.write_now(lambda rows: rotate_all_due(rows, gateway.services["kms"].ports, gateway.now_ms()))
    assert rotated == 1
    bodies["second"] = os.urandom(50_000)
    reader.client("s3", 2).put_object(Bucket=BUCKET, Key="second", Body=bodies["second"])
    wall.ahead_ms = 92 * DAY_MS
    administrator.client("kms", 2).rotate_key_on_demand(KeyId=key)
    bodies["third"] = os.urandom(100)
    reader.client("s3", 1).put_object(Bucket=BUCKET, Key="third", Body=bodies["third"])
    rotations = administrator.client("kms").list_key_rotations(KeyId=key)["Rotations"]
    assert sorted(one["RotationType"] for one in rotations if "RotationType" in one) == ["AUTOMATIC", "ON_DEMAND"]
    for worker in range(WORKERS):
        assert {name: reader.reads(name, worker) for name in bodies} == bodies

    # Disabled on one worker, it is closed on all of them with the next request.
    wall.ahead_ms = 93 * DAY_MS
    administrator.client("kms").disable_key(KeyId=key)
    for worker in range(WORKERS):
        with refused("KMS.DisabledException"):
            reader.reads("first", worker)

    _the_trail_tells_it(house, key, {"administrator": administrator, "reader": reader, "stranger": stranger})
    _one_byte_is_found(house)


def _the_trail_tells_it(house: House, key: str, people: dict[str, Person]) -> None:
    told = list(_story(house, key))
    asked = [(who, name, code) for who, name, code in told if name != "ListKeyRotations"]
    turns = [step for step in asked if step[0] not in ("reader", "stranger")]
    assert [step for step in turns if step[1] not in ("Decrypt", "Encrypt")] == [
        ("operator", "CreateKey", None),
        ("operator", "PutKeyPolicy", None),
        ("operator", "KeyPolicyChanged", None),
        ("operator", "PutKeyPolicy", None),
        ("operator", "KeyPolicyChanged", None),
        ("administrator", "EnableKeyRotation", None),
        ("service", "RotateKey", None),
        ("administrator", "RotateKeyOnDemand", None),
        ("administrator", "DisableKey", None),
    ]
    assert asked.count(("stranger", "Decrypt", "AccessDeniedException")) == WORKERS
    assert asked.count(("administrator", "Decrypt", "AccessDeniedException")) == WORKERS
    assert asked.count(("administrator", "Encrypt", "AccessDeniedException")) == 1
    assert asked.count(("reader", "GenerateDataKey", None)) == 3
    assert asked.count(("reader", "Decrypt", None)) == WORKERS + 3 * WORKERS
    assert asked.count(("reader", "Decrypt", "DisabledException")) == WORKERS
    everything = json.dumps(_events(house))
    assert not any(person.secret in everything for person in people.values())


def _story(house: House, key: str) -> Iterator[tuple[str, str, str | None]]:
    """Who did what with the key, oldest first, and why it was refused; as CloudTrail's API tells it."""
    for event in sorted(_events(house), key=lambda event: str(event["eventTime"])):
        if key not in [one["ARN"] for one in event["resources"]]:
            continue
        who = event["userIdentity"]
        name = who["arn"].rpartition("/")[2].rpartition(":")[2] if "arn" in who else "service"
        if event["eventSource"] == "kms.amazonaws.com" and who.get("invokedBy") and "arn" in who:
            assert event["requestParameters"]["encryptionContext"]["aws:s3:arn"].startswith(f"arn:aws:s3:::{BUCKET}/")
        yield "operator" if name == "root" else name, event["eventName"], event.get("errorCode")


def _events(house: House) -> list[dict[str, Any]]:
    """In the order of the trail, for what happened within one second."""
    pages = house.client("cloudtrail", worker=1).get_paginator("lookup_events").paginate()
    newest_first = [json.loads(event["CloudTrailEvent"]) for page in pages for event in page["Events"]]
    return newest_first[::-1]


def _one_byte_is_found(house: House) -> None:
    house.close()
    sound = offline.verify_trail(house.config, [])
    assert sound.findings == []
    assert (sound.chains, sound.beyond) == (WORKERS, 0)
    files = sorted((house.config.data / "trail").glob("*.000000"), key=lambda path: path.stat().st_size)
    content = bytearray(files[-1].read_bytes())
    content[len(content) // 2] ^= 1
    files[-1].write_bytes(content)
    (finding,) = offline.verify_trail(house.config, []).findings
    assert (finding.what, finding.where) == ("record-altered", files[-1].name)
    content[len(content) // 2] ^= 1
    files[-1].write_bytes(content)
    assert offline.verify_trail(house.config, []).findings == []

"""GetKeyLastUsage: what is remembered, by whom, and when it is written."""

from __future__ import annotations

import contextlib
from typing import Any

from s3al.errors import RequestError
from s3al.kms.jobs import jobs_of
from s3al.store.key_usage import Use, last_use, record_use
from unit.kms.world import BUCKET, REGION, World


def last(world: World, key_id: str, **more: Any) -> dict[str, Any] | None:
    used: dict[str, Any] | None = world.do("GetKeyLastUsage", KeyId=key_id, **more).get("KeyLastUsage")
    return used


def test_a_key_that_was_never_used_says_since_when_that_is_known(world: World) -> None:
    key_id = world.create_key()
    answer = world.do("GetKeyLastUsage", KeyId=key_id)
    assert "KeyLastUsage" not in answer
    assert answer["TrackingStartDate"] == answer["KeyCreationDate"]


def test_the_last_use_that_succeeded_is_told(world: World) -> None:
    key_id, other = world.create_key(), world.create_key()
    world.now += 5000
    blob = world.do("Encrypt", KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
    first = last(world, key_id)
    assert first is not None
    assert (first["Operation"], first["Timestamp"].timestamp() * 1000) == ("Encrypt", world.now)
    with contextlib.suppress(RequestError):
        world.do("Decrypt", CiphertextBlob=blob, EncryptionContext={"a": "b"})
    assert last(world, key_id) == first
    world.do("ReEncrypt", CiphertextBlob=blob, DestinationKeyId=other)
    for used in (key_id, other):
        told = last(world, used)
        assert told is not None
        assert told["Operation"] == "ReEncrypt"


def test_uses_by_s3_count_too(world: World) -> None:
    key_id = world.create_key()
    world.database.read_now(
        lambda rows: world.data_keys.generate(rows, world.s3(), bucket=BUCKET, kms_key=key_id, context={})
    )
    told = last(world, key_id)
    assert told is not None
    assert told["Operation"] == "GenerateDataKey"


def test_another_worker_knows_of_a_use_when_it_was_written(world: World) -> None:
    key_id = world.create_key()
    other = world.worker()
    world.do("Encrypt", KeyId=key_id, Plaintext=b"x")
    assert last(world, key_id, worker=other) is None
    for job in jobs_of(world.kms):
        world.database.write_now(lambda rows, job=job: job(rows, world.now))
    assert world.database.write_now(world.kms.usage.write) == 0
    told = last(world, key_id, worker=other)
    assert told == last(world, key_id)
    assert told is not None


def test_an_older_use_does_not_replace_a_newer(world: World) -> None:
    for use in (Use("Encrypt", 2, "b"), Use("Decrypt", 1, "a")):
        world.database.write_now(lambda rows, use=use: record_use(rows, "k", REGION, use))
    assert world.database.read_now(lambda rows: last_use(rows, "k", REGION)) == Use("Encrypt", 2, "b")

"""Settings that do not exist here answer as AWS does where they were never set."""

from __future__ import annotations

from typing import Any

import pytest

from s3al.s3.registry import OPERATIONS
from unit.s3.world import STRANGER, World, refused, root_of

_ERRORS = {
    "GetBucketWebsite": "NoSuchWebsiteConfiguration",
    "GetBucketReplication": "ReplicationConfigurationNotFoundError",
}
_ANSWERS: dict[str, dict[str, Any]] = {
    "GetBucketLogging": {},
    "GetBucketAccelerateConfiguration": {},
    "GetBucketRequestPayment": {"Payer": "BucketOwner"},
    "GetBucketNotificationConfiguration": {},
}


@pytest.mark.parametrize("operation", sorted(_ERRORS))
def test_unset_setting_is_its_error(world: World, operation: str) -> None:
    world.bucket()
    with refused(_ERRORS[operation]):
        world.call(operation, Bucket="bucket")


@pytest.mark.parametrize("operation", sorted(_ANSWERS))
def test_unset_setting_is_its_empty_answer(world: World, operation: str) -> None:
    world.bucket()
    assert world.output(operation, Bucket="bucket") == _ANSWERS[operation]


@pytest.mark.parametrize("operation", sorted(_ERRORS | _ANSWERS))
def test_missing_and_foreign_buckets_come_first(world: World, operation: str) -> None:
    world.bucket()
    with refused("NoSuchBucket"):
        world.call(operation, Bucket="missing")
    with refused("AccessDenied"):
        world.call(operation, as_=root_of(STRANGER), Bucket="bucket")


@pytest.mark.parametrize("operation", ["PutBucketWebsite", "PutBucketReplication"])
def test_writing_such_a_setting_has_no_operation(operation: str) -> None:
    assert operation not in OPERATIONS

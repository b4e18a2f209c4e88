"""The table of limits, typed a second time from AWS's pages."""

from __future__ import annotations

import pytest

from s3al.s3 import limits

_DOCUMENTED = {
    "BUCKET_NAME_MIN_BYTES": 3,
    "BUCKET_NAME_MAX_BYTES": 63,
    "OBJECT_KEY_MAX_BYTES": 1024,
    "BUCKETS_PER_ACCOUNT": 10_000,
    "PUT_MAX_BYTES": 5_368_709_120,
    "PART_MAX_BYTES": 5_368_709_120,
    "PART_MIN_BYTES": 5_242_880,
    "PARTS_MAX": 10_000,
    "OBJECT_MAX_BYTES": 54_975_581_388_800,
    "COPY_SOURCE_MAX_BYTES": 5_368_709_120,
    "METADATA_MAX_BYTES": 2048,
    "OBJECT_TAGS_MAX": 10,
    "BUCKET_TAGS_MAX": 50,
    "TAG_KEY_MAX_CHARACTERS": 128,
    "TAG_VALUE_MAX_CHARACTERS": 256,
    "POLICY_MAX_BYTES": 20_480,
    "CORS_RULES_MAX": 100,
    "LIST_PAGE_MAX": 1000,
    "DELETE_OBJECTS_MAX": 1000,
    "PRESIGN_MAX_S": 604_800,
    "CLOCK_SKEW_MAX_S": 900,
}


@pytest.mark.parametrize("name", sorted(_DOCUMENTED))
def test_limit_is_the_one_aws_documents(name: str) -> None:
    assert getattr(limits, name) == _DOCUMENTED[name]

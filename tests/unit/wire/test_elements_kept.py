"""Structures that are kept are written as others are, by whichever writer."""

from __future__ import annotations

from typing import Any

from s3al import app
from s3al.wire.protocols.elements import Kept

ENTRY = {"Key": "a & b", "Size": 3, "StorageClass": "STANDARD"}


def written(operation: str, entry: dict[str, Any]) -> bytes:
    plan = app.compile_plan("s3").operations[operation]
    return plan.serialize({"Contents": [entry, entry]}, request_id="", host_id="").body


def test_a_kept_entry_is_written_as_any_other_by_each_of_two_writers() -> None:
    kept = Kept(ENTRY)
    for operation in ("ListObjectsV2", "ListObjects", "ListObjectsV2"):
        assert written(operation, kept) == written(operation, ENTRY)
    assert kept == ENTRY


def test_what_is_made_of_a_kept_entry_is_kept_no_more() -> None:
    kept = Kept(ENTRY)
    written("ListObjectsV2", kept)
    assert b"<Key>other</Key>" in written("ListObjectsV2", {**kept, "Key": "other"})
    assert b"<Key>other</Key>" in written("ListObjectsV2", kept | {"Key": "other"})

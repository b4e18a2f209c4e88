"""Preconditions as tables: of reads (RFC 9110, section 13.2.2), of copy sources, of writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from s3al.s3.preconditions import check_copy_source, check_read, check_write, has_write_precondition, matches

from .world import refused

ETAG = "0123456789abcdef0123456789abcdef"
SAME, OTHER = f'"{ETAG}"', '"another"'
STORED = datetime(2024, 5, 5, 12, 0, 0, 750_000, UTC)  # HTTP dates know whole seconds only
BEFORE, AT, AFTER = (STORED.replace(microsecond=0) + timedelta(seconds=seconds) for seconds in (-1, 0, 1))
FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

# (If-Match, If-None-Match, If-Modified-Since, If-Unmodified-Since) -> outcome
READS: dict[tuple[Any, Any, Any, Any], str | None] = {
    (None, None, None, None): None,
    (SAME, None, None, None): None,
    (OTHER, None, None, None): "PreconditionFailed",
    ("*", None, None, None): None,
    (None, SAME, None, None): "NotModified",
    (None, OTHER, None, None): None,
    (None, "*", None, None): "NotModified",
    (None, None, BEFORE, None): None,
    (None, None, AT, None): "NotModified",
    (None, None, AFTER, None): "NotModified",
    (None, None, None, BEFORE): "PreconditionFailed",
    (None, None, None, AT): None,
    (None, None, None, AFTER): None,
    # If-Match true makes If-Unmodified-Since void; If-None-Match present makes If-Modified-Since void
    (SAME, None, None, BEFORE): None,
    (OTHER, None, None, AFTER): "PreconditionFailed",
    (None, OTHER, AFTER, None): None,
    (None, SAME, BEFORE, None): "NotModified",
    # the first of two that fail decides
    (OTHER, SAME, None, None): "PreconditionFailed",
    (SAME, SAME, None, None): "NotModified",
    (None, SAME, None, BEFORE): "PreconditionFailed",
    (None, None, AFTER, BEFORE): "PreconditionFailed",
    # the ends of all time
    (None, None, FIRST, LAST): None,
    (None, None, LAST, None): "NotModified",
    (None, None, None, FIRST): "PreconditionFailed",
}
_NAMES = ("IfMatch", "IfNoneMatch", "IfModifiedSince", "IfUnmodifiedSince")


def params(row: tuple[Any, ...], prefix: str = "") -> dict[str, Any]:
    return {prefix + name: value for name, value in zip(_NAMES, row, strict=True) if value is not None}


@pytest.mark.parametrize("row", READS)
def test_reads_follow_the_order_of_the_rfc(row: tuple[Any, ...]) -> None:
    outcome = READS[row]
    if outcome is None:
        check_read(params(row), ETAG, STORED)
        return
    with refused(outcome):
        check_read(params(row), ETAG, STORED)


@pytest.mark.parametrize("row", READS)
def test_a_copy_sources_preconditions_fail_alike(row: tuple[Any, ...]) -> None:
    given = params(row, "CopySource")
    if READS[row] is None:
        check_copy_source(given, ETAG, STORED)
        return
    with refused("PreconditionFailed"):
        check_copy_source(given, ETAG, STORED)


# (If-Match, If-None-Match, current ETag) -> outcome
WRITES: dict[tuple[str | None, str | None, str | None], str | None] = {
    (None, None, None): None,
    (None, None, ETAG): None,
    (None, "*", None): None,
    (None, "*", ETAG): "PreconditionFailed",
    (None, SAME, None): "NotImplemented",
    (None, SAME, ETAG): "NotImplemented",
    (SAME, None, ETAG): None,
    (ETAG, None, ETAG): None,
    (OTHER, None, ETAG): "PreconditionFailed",
    (SAME, None, None): "NoSuchKey",
}


@pytest.mark.parametrize("row", WRITES)
def test_writes_know_two_preconditions(row: tuple[str | None, str | None, str | None]) -> None:
    if_match, if_none_match, current = row
    given = params((if_match, if_none_match, None, None))
    assert has_write_precondition(given) == bool(given)
    outcome = WRITES[row]
    if outcome is None:
        check_write(given, current)
        return
    with refused(outcome):
        check_write(given, current)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (SAME, True), (ETAG, True), (f"W/{SAME}", True), (f"{OTHER}, {SAME}", True), (f"{OTHER},{OTHER}", False),
        ("*", True), (" * ", True), ("", False), ('""', False), (ETAG.upper(), False), (ETAG[:-1], False),
    ],
)  # fmt: skip
def test_a_list_matches_if_one_of_its_etags_does(header: str, expected: bool) -> None:
    assert matches(header, ETAG) is expected

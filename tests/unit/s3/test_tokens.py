"""Continuation tokens."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3al.s3.tokens import make_token, read_token
from unit.s3.world import refused


@given(st.binary(max_size=1024), st.binary(max_size=32))
def test_token_names_its_position_again(position: bytes, scope: bytes) -> None:
    token = make_token("ListObjectsV2", scope=scope, position=position)
    assert read_token(token, "ListObjectsV2", scope=scope) == position


def test_token_fits_one_operation_and_one_scope() -> None:
    token = make_token("ListObjectsV2", scope=b"one", position=b"key")
    for operation, scope in (("ListBuckets", b"one"), ("ListObjectsV2", b"other")):
        with refused("InvalidArgument", "The continuation token provided is incorrect"):
            read_token(token, operation, scope=scope)


@given(st.text(max_size=200))
def test_foreign_text_is_refused(text: str) -> None:
    with refused("InvalidArgument"):
        read_token(text, "ListObjectsV2", scope=b"")


@pytest.mark.parametrize("at", range(23))
def test_altered_token_is_refused(at: int) -> None:
    token = make_token("ListObjectsV2", scope=b"bucket", position=b"some/key")
    altered = token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]
    with refused("InvalidArgument"):
        read_token(altered, "ListObjectsV2", scope=b"bucket")


@given(st.integers(min_value=0, max_value=1023))
def test_truncated_token_is_refused(length: int) -> None:
    token = make_token("ListObjectsV2", scope=b"bucket", position=b"k" * 1024)
    with refused("InvalidArgument"):
        read_token(token[:length], "ListObjectsV2", scope=b"bucket")


def test_token_shows_no_position_as_plain_text() -> None:
    assert "some/key" not in make_token("ListObjectsV2", scope=b"bucket", position=b"some/key")

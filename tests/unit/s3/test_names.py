"""Names of buckets and keys."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3al.s3.names import bounded_integer, is_bucket_name, new_bucket_name, object_key_bytes
from unit.s3.world import OWNER, STRANGER, refused

_GOOD = ["abc", "a" * 63, "my.bucket-1", "1bucket", "bucket1", "a.b.c", "my-bucket--x", "1.2.3.4.5", "1234.1.1.1"]
_BAD = {
    "two characters": "ab",
    "64 characters": "a" * 64,
    "upper case": "Bucket",
    "underscore": "my_bucket",
    "begins with a dot": ".bucket",
    "ends with a dot": "bucket.",
    "begins with a hyphen": "-bucket",
    "ends with a hyphen": "bucket-",
    "two dots": "my..bucket",
    "dot and hyphen": "foo.-bar",
    "hyphen and dot": "foo-.bar",
    "an IP address": "192.168.5.4",
    "punycode": "xn--bucket",
    "reserved for documentation": "amzn-s3-demo-bucket",
    "reserved sthree": "sthree-bucket",
    "access point alias": "bucket-s3alias",
    "Object Lambda": "bucket--ol-s3",
    "directory bucket": "bucket--x-s3",
    "table bucket": "bucket--table-s3",
    "multi-region access point": "bucket.mrap",
    "account-regional without asking": "bucket-an",
    "not ASCII": "bücket",
    "trailing newline": "bucket\n",
    "empty": "",
    "slash": "a/b",
}


@pytest.mark.parametrize("name", _GOOD)
def test_name_within_the_rules_is_taken(name: str) -> None:
    assert new_bucket_name(name, account_id=OWNER, region="us-east-1") == name


@pytest.mark.parametrize("reason", sorted(_BAD))
def test_name_against_the_rules_is_refused(reason: str) -> None:
    with refused("InvalidBucketName"):
        new_bucket_name(_BAD[reason], account_id=OWNER, region="us-east-1")


@given(st.text(max_size=70))
def test_any_text_is_judged_without_failing_and_good_names_are_plain(name: str) -> None:
    if is_bucket_name(name):
        assert 3 <= len(name) <= 63
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")


def test_account_regional_name_must_carry_the_callers_account_and_region() -> None:
    name = f"mine-{OWNER}-eu-west-1-an"
    asked = {"account_id": OWNER, "region": "eu-west-1", "namespace": "account-regional"}
    assert new_bucket_name(name, **asked) == name
    for change in ({"account_id": STRANGER}, {"region": "us-east-1"}, {"namespace": "global"}, {"namespace": None}):
        with refused("InvalidBucketName"):
            new_bucket_name(name, **(asked | change))
    with refused("InvalidBucketName"):
        new_bucket_name("plain-name", **asked)


def test_unknown_namespace_is_an_invalid_argument() -> None:
    with refused("InvalidArgument"):
        new_bucket_name("bucket", account_id=OWNER, region="us-east-1", namespace="galactic")


def test_key_of_1024_bytes_is_taken_and_of_1025_refused() -> None:
    assert object_key_bytes("k" * 1024) == b"k" * 1024
    with refused("KeyTooLongError") as caught:
        object_key_bytes("k" * 1025)
    assert caught[0].fields == {"Size": "1025", "MaxSizeAllowed": "1024"}


def test_key_length_is_counted_in_utf8_bytes() -> None:
    assert len(object_key_bytes("€" * 341)) == 1023
    with refused("KeyTooLongError"):
        object_key_bytes("€" * 342)


@pytest.mark.parametrize("object_key", ["", "\ud800"])
def test_key_that_no_uri_can_carry_is_refused(object_key: str) -> None:
    with refused("InvalidURI"):
        object_key_bytes(object_key)


@pytest.mark.parametrize("object_key", ["a//b", "../x", ".", "/", " ", "a\x00b", "\n", "日本/語"])
def test_key_is_kept_as_it_is(object_key: str) -> None:
    assert object_key_bytes(object_key).decode() == object_key


@pytest.mark.parametrize(
    ("value", "expected"), [(None, 1000), (0, 0), (1, 1), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)]
)
def test_page_size_is_capped(value: int | None, expected: int) -> None:
    assert bounded_integer(value, name="max-keys", maximum=1000) == expected


@pytest.mark.parametrize("value", [-1, 2**31])
def test_page_size_out_of_range_is_an_invalid_argument(value: int) -> None:
    with refused("InvalidArgument", "Argument max-keys must be an integer between 0 and 2147483647"):
        bounded_integer(value, name="max-keys", maximum=1000)

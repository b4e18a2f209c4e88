"""Timestamps, integers and listing encoding as AWS writes and reads them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import unquote, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3al.wire.values import (
    blob_of,
    boolean_of,
    http_date,
    integer_of,
    iso8601,
    timestamp_of,
    unix_seconds,
    url_encode_listing,
)

MOMENT = datetime(2009, 10, 12, 17, 50, 30, 7000, tzinfo=UTC)
EASTERN = timezone(timedelta(hours=-5))


def test_times_are_written_in_utc_in_each_form():
    for moment in (MOMENT, MOMENT.astimezone(EASTERN)):
        assert iso8601(moment) == "2009-10-12T17:50:30.007Z"
        assert http_date(moment) == "Mon, 12 Oct 2009 17:50:30 GMT"
        assert unix_seconds(moment) == 1255369830.007
    assert iso8601(datetime(2009, 10, 12, tzinfo=UTC)) == "2009-10-12T00:00:00.000Z"
    assert http_date(datetime(1, 1, 1, tzinfo=UTC)) == "Mon, 01 Jan 0001 00:00:00 GMT"


@given(st.datetimes(min_value=datetime(1000, 1, 1), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_times_come_back_from_what_was_written(moment):
    assert timestamp_of(iso8601(moment)) == moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    assert timestamp_of(http_date(moment)) == moment.replace(microsecond=0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2009-13-01",
        "2009-10-12T25:00:00Z",
        "99999999999999",
        "Mon, 32 Oct 2009 17:50:30 GMT",
        "-",
        "1e3",
        "nan",
    ],
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ValueError, match="not a timestamp"):
        timestamp_of(text)


@given(st.text(max_size=30))
def test_any_text_is_a_time_in_utc_or_refused(text):
    try:
        assert timestamp_of(text).tzinfo is UTC
    except ValueError as refused:
        assert str(refused) == "not a timestamp"


@pytest.mark.parametrize("text", ["", "a", "1.0", "1_0", "٣", "0x1", "+-1", "9" * 20, " "])
def test_what_is_no_integer_is_refused(text):
    with pytest.raises(ValueError, match="integer"):
        integer_of(text)


@pytest.mark.parametrize(("kind", "most"), [("integer", 2**31 - 1), ("long", 2**63 - 1)])
def test_integers_are_bounded_by_their_kind(kind, most):
    assert integer_of(f" {most}\n", kind) == most
    assert integer_of(str(-most - 1), kind) == -most - 1
    with pytest.raises(ValueError, match="range"):
        integer_of(str(most + 1), kind)


def test_booleans_and_blobs_are_strict():
    assert (boolean_of("true"), boolean_of("False")) == (True, False)
    assert blob_of("AAEC") == b"\x00\x01\x02"
    for text in ("1", "yes", ""):
        with pytest.raises(ValueError, match="boolean"):
            boolean_of(text)
    for text in ("A", "AA=A", "AAE-", "é"):
        with pytest.raises(ValueError, match="base64"):
            blob_of(text)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_an_encoded_listing_decodes_with_and_without_the_plus_rule_and_is_plain_ascii(text):
    encoded = url_encode_listing(text)
    assert unquote_plus(encoded) == unquote(encoded) == text
    assert encoded.isascii()
    assert encoded.isprintable()


def test_a_listing_is_encoded_so_that_both_ways_of_decoding_read_it():
    assert url_encode_listing("a b/c+d*é\x01&") == "a%20b/c%2Bd*%C3%A9%01%26"

"""The Range header, against a second reading of RFC 9110, section 14, and of what S3 does with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3al.s3.ranges import resolve, resolve_copy

from .world import refused

SIZE = 1000

# header -> (offset, length), None for the whole object, "InvalidRange"
RANGES: dict[str | None, tuple[int, int] | str | None] = {
    None: None,
    "": None,
    "bytes=0-0": (0, 1),
    "bytes=0-999": (0, 1000),
    "bytes=0-1000": (0, 1000),
    "bytes=0-99999999999999999999999": (0, 1000),
    "bytes=999-": (999, 1),
    "bytes=999-999": (999, 1),
    "bytes=1000-": "InvalidRange",
    "bytes=1000-2000": "InvalidRange",
    "bytes=-1": (999, 1),
    "bytes=-1000": (0, 1000),
    "bytes=-1001": (0, 1000),
    "bytes=-0": "InvalidRange",
    "bytes=5-4": None,
    "bytes=-": None,
    "bytes=": None,
    "bytes=0-1,3-4": None,
    "bytes 0-1": None,
    "octets=0-1": None,
    "bytes=a-b": None,
    "bytes=+1-2": None,
    "bytes=1 2-3": None,
    "bytes=\u0661-\u0662": None,  # digits, but not ASCII
    "BYTES=0-1": (0, 2),
    " bytes = 0 - 1 ": (0, 2),
}


@pytest.mark.parametrize("header", RANGES)
def test_a_range_means_what_the_rfc_says(header: str | None) -> None:
    expected = RANGES[header]
    if isinstance(expected, str):
        with refused(expected):
            resolve(header, SIZE)
    else:
        assert resolve(header, SIZE) == expected


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-0", "bytes=5-9"])
def test_no_range_of_an_empty_object_can_be_satisfied(header: str) -> None:
    with refused("InvalidRange"):
        resolve(header, 0)


@given(size=st.integers(1, 50), first=st.integers(0, 60), last=st.one_of(st.none(), st.integers(0, 60)))
def test_every_range_yields_the_bytes_it_names(size: int, first: int, last: int | None) -> None:
    body = bytes(range(size))
    header = f"bytes={first}-{'' if last is None else last}"
    if last is not None and last < first:
        assert resolve(header, size) is None
    elif first >= size:
        with refused("InvalidRange"):
            resolve(header, size)
    else:
        found = resolve(header, size)
        assert found is not None
        offset, length = found
        assert body[offset : offset + length] == body[first:] if last is None else body[first : last + 1]


@given(size=st.integers(1, 50), wanted=st.integers(1, 60))
def test_every_suffix_yields_the_last_bytes(size: int, wanted: int) -> None:
    body = bytes(range(size))
    found = resolve(f"bytes=-{wanted}", size)
    assert found is not None
    assert body[found[0] : found[0] + found[1]] == body[-wanted:]


@given(header=st.text(max_size=30), size=st.integers(0, 1000))
def test_no_header_yields_bytes_outside_the_object(header: str, size: int) -> None:
    found = resolve(header, size)
    assert found is None or (found[0] >= 0 and found[1] > 0 and sum(found) <= size)


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-5", "0-5", "bytes=5-4", "bytes=0-1000", "bytes=0-1,2-3", ""])
def test_a_copy_range_must_be_exact_and_inside(header: str) -> None:
    with refused("InvalidArgument"):
        resolve_copy(header, SIZE)


def test_numbers_that_no_size_has_are_no_range() -> None:
    assert resolve(f"bytes=0-{'9' * 5000}", SIZE) is None
    with refused("InvalidArgument"):
        resolve_copy(f"bytes=0-{'9' * 5000}", SIZE)


def test_a_copy_range_is_taken_as_it_stands() -> None:
    assert resolve_copy(None, SIZE) == (0, SIZE)
    assert resolve_copy("bytes=0-999", SIZE) == (0, 1000)
    assert resolve_copy("bytes=5-5", SIZE) == (5, 1)

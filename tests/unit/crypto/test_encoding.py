"""The canonical encoding is injective."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3al.crypto.encoding import canonical, canonical_map

FIELDS = st.lists(st.binary(max_size=20), max_size=6)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
MAPS = st.dictionaries(TEXT, TEXT, max_size=5)


def decode(encoded: bytes) -> list[bytes]:
    fields = []
    while encoded:
        end = 4 + int.from_bytes(encoded[:4], "big")
        assert end <= len(encoded)
        fields.append(encoded[4:end])
        encoded = encoded[end:]
    return fields


@given(FIELDS)
def test_fields_can_be_read_back_so_no_two_lists_share_an_encoding(fields: list[bytes]) -> None:
    assert decode(canonical(*fields)) == fields


@given(MAPS)
def test_a_map_can_be_read_back_in_byte_order(mapping: dict[str, str]) -> None:
    fields = decode(canonical_map(mapping))
    names = fields[::2]
    assert names == sorted(names)
    assert {name.decode(): value.decode() for name, value in zip(names, fields[1::2], strict=True)} == mapping


@given(MAPS)
def test_the_order_of_insertion_does_not_matter(mapping: dict[str, str]) -> None:
    assert canonical_map(dict(reversed(mapping.items()))) == canonical_map(mapping)


def test_empty_and_absent_maps_are_the_same() -> None:
    assert canonical_map({}) == canonical_map(None) == b""


def test_bytes_are_exactly_length_and_field() -> None:
    assert canonical(b"a", b"", b"bc") == b"\x00\x00\x00\x01a\x00\x00\x00\x00\x00\x00\x00\x02bc"
    assert canonical_map({"b": "", "a": "1"}) == canonical(b"a", b"1", b"b", b"")


def test_text_without_utf8_form_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        canonical_map({"a": "\ud800"})

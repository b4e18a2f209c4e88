"""Bounds of what is read, and every character of what is written."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3al.errors import RequestError
from s3al.wire.xml import MAX_ATTRIBUTES, MAX_DEPTH, MAX_TAGS, escape, escape_readable, local_name, read_document


def nested(depth):
    return b"<a>" * depth + b"</a>" * depth


def with_attributes(count):
    return b"<a><b " + b" ".join(b'x%d="1"' % number for number in range(count)) + b"/></a>"


BOMBS = {
    "billion laughs": b'<!DOCTYPE a [<!ENTITY x "y"><!ENTITY z "&x;&x;">]><a>&z;</a>',
    "external entity": b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    "external subset": b'<!DOCTYPE a SYSTEM "http://localhost/x.dtd"><a/>',
    "undeclared entity": b"<a>&x;</a>",
    "one level too deep": nested(MAX_DEPTH + 1),
    "100,000 levels": nested(100_000),
    "one attribute too many": with_attributes(MAX_ATTRIBUTES + 1),
    "100,000 attributes": with_attributes(100_000),
    "too many tags": b"<a>" + b"<b/>" * MAX_TAGS + b"</a>",
    "a name of 100,000 characters": b"<" + b"a" * 100_000 + b"/>",
    "UTF-16 hiding a DTD": '<!DOCTYPE a [<!ENTITY x "y">]><a/>'.encode("utf-16"),
    "UTF-7 hiding a DTD": b'<?xml version="1.0" encoding="utf-7"?>+ADwAIQ-DOCTYPE a+AD4-<a/>',
    "latin-1": b'<?xml version="1.0" encoding="ISO-8859-1"?><a>\xe9</a>',
    "not UTF-8": b"<a>\xff</a>",
    "a NUL": b"<a>\x00</a>",
    "a control character by reference": b"<a>&#1;</a>",
    "two roots": b"<a/><b/>",
    "no root": b"<!-- -->",
    "nothing": b"",
    "undeclared prefix in an attribute": b'<a x:b="1" x:b="2"/>',
}


@pytest.mark.parametrize("name", BOMBS)
def test_hostile_documents_are_malformed(name):
    with pytest.raises(RequestError) as refused:
        read_document(BOMBS[name])
    assert refused.value.code == "MalformedXML"


def test_documents_at_the_bounds_are_read():
    assert read_document(nested(MAX_DEPTH)).tag == "a"
    assert read_document(with_attributes(MAX_ATTRIBUTES)).tag == "a"


@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_malformed(body):
    try:
        assert isinstance(read_document(body).tag, str)
    except RequestError as refused:
        assert refused.code == "MalformedXML"


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"], include_characters="\t\n\r"), max_size=50))
def test_text_that_xml_can_express_comes_back_equal(text):
    document = f'<a b="{escape(text)}">{escape(text)}</a>'.encode()
    assert (ET.fromstring(document).text or "") == text
    assert (read_document(document).text or "") == text


@given(st.text(max_size=50))
def test_text_made_readable_is_well_formed_whatever_it_holds(text):
    assert ET.fromstring(f"<a>{escape_readable(text)}</a>").tag == "a"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('"etag"', "&quot;etag&quot;"),
        ("a&b<c>", "a&amp;b&lt;c&gt;"),
        ("\x01", "&#x1;"),
        ("\x00\x1f", "&#x0;&#x1f;"),
        ("a\rb\nc\td", "a&#13;b\nc\td"),
        ("\ufffe\uffff", "&#xfffe;&#xffff;"),
        ("\ud800", "&#xd800;"),
        ("é🔑\x7f\u2028", "é🔑\x7f\u2028"),
    ],
)
def test_no_character_is_lost_in_writing(text, written):
    assert escape(text) == written


def test_a_tag_is_known_by_its_local_name():
    assert [local_name(tag) for tag in ("a", "{urn:x}a", "{}a")] == ["a", "a", "a"]

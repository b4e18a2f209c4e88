"""Requests from scopes, and bodies, without a server."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3al.errors import RequestError
from s3al.server.asgi import ClientGone, EdgeLimits, RequestBody, parse_query, request_of

SCOPE = {
    "type": "http",
    "method": "GET",
    "raw_path": b"/b/k",
    "query_string": b"",
    "scheme": "http",
    "client": ("192.0.2.1", "1"),
    "headers": [],
}

QUERIES = [
    ("", []),
    ("acl", [("acl", "")]),
    ("a=1&a=2", [("a", "1"), ("a", "2")]),
    ("a=b=c", [("a", "b=c")]),
    ("a+b=c+d", [("a b", "c d")]),
    ("a=%2B%20", [("a", "+ ")]),
    ("&&a&", [("a", "")]),
    ("a=%zz", [("a", "%zz")]),
    ("=x", [("", "x")]),
]


@pytest.mark.parametrize(("raw", "pairs"), QUERIES, ids=[raw or "empty" for raw, _ in QUERIES])
def test_query_pairs_are_decoded_in_order(raw, pairs):
    assert parse_query(raw) == pairs


@given(st.lists(st.tuples(st.text(min_size=1), st.text())))
def test_what_is_percent_encoded_comes_back(pairs):
    raw = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    assert parse_query(raw) == pairs


@pytest.mark.parametrize("raw", ["a=%ff", "%c3=1", "prefix=%ed%a0%80"])
def test_a_query_that_is_not_utf8_is_refused(raw):
    with pytest.raises(RequestError) as caught:
        parse_query(raw)
    assert caught.value.code == "InvalidURI"


@pytest.mark.parametrize(
    ("what", "changes", "code"),
    [
        ("a head too large", {"headers": [(b"x", b"a" * 40_000)]}, "RequestHeaderSectionTooLarge"),
        ("a query too large", {"query_string": b"a" * 40_000}, "RequestHeaderSectionTooLarge"),
        ("a query not UTF-8", {"query_string": b"a=%ff"}, "InvalidURI"),
        ("an unknown coding", {"headers": [(b"transfer-encoding", b"gzip, chunked")]}, "NotImplemented"),
    ],
)
def test_what_is_wrong_with_a_head_stands_in_its_refusal(what, changes, code):
    request = request_of(SCOPE | changes, _receive())
    assert request.refusal is not None
    assert request.refusal.code == code


@given(st.lists(st.tuples(st.binary(min_size=1, max_size=8), st.binary(max_size=8))), st.binary(max_size=30))
def test_no_head_raises(headers, query):
    request = request_of(SCOPE | {"headers": headers, "query_string": query}, _receive())
    assert all(name == name.lower() for name in request.headers)


@pytest.mark.parametrize(
    ("headers", "complete"),
    [
        ([], True),
        ([(b"content-length", b"0")], True),
        ([(b"content-length", b"5")], False),
        ([(b"transfer-encoding", b"chunked")], False),
    ],
)
def test_a_request_without_a_body_is_complete_at_once(headers, complete):
    assert request_of(SCOPE | {"headers": headers}, _receive()).body.complete is complete


def test_a_body_is_iterated_without_empty_pieces():
    body = RequestBody(_receive(b"ab", b"", b"c", b""), complete=False, idle_s=5)
    assert asyncio.run(_pieces(body)) == [b"ab", b"c"]
    assert body.complete
    assert body.received_bytes == 3


def test_a_body_cut_short_is_never_taken_for_complete():
    body = RequestBody(_receive(b"ab", end="http.disconnect"), complete=False, idle_s=5)
    with pytest.raises(ClientGone):
        asyncio.run(_pieces(body))
    assert not body.complete


def test_a_body_read_whole_is_bounded():
    assert asyncio.run(RequestBody(_receive(b"ab", b"cd"), complete=False, idle_s=5).read(4)) == b"abcd"
    with pytest.raises(RequestError) as caught:
        asyncio.run(RequestBody(_receive(b"ab", b"cd"), complete=False, idle_s=5).read(3))
    assert caught.value.code == "EntityTooLarge"


@pytest.mark.parametrize(
    ("pieces", "end", "reached"),
    [(3, "http.request", True), (100, "http.request", False), (3, "http.disconnect", False)],
)
def test_draining_says_whether_it_reached_the_end(pieces, end, reached):
    body = RequestBody(_receive(*[b"x" * 10] * pieces, end=end), complete=False, idle_s=5)
    assert asyncio.run(body.drain(EdgeLimits(drain_bytes=100))) is reached


def test_draining_is_bounded_in_time():
    async def never():
        await asyncio.Event().wait()

    body = RequestBody(never, complete=False, idle_s=5)
    assert asyncio.run(body.drain(EdgeLimits(drain_s=0.01))) is False


def _receive(*pieces: bytes, end: str = "http.request"):
    """A `receive` that yields pieces, then an empty last one, or `end`."""
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": end, "body": b"", "more_body": False})

    async def receive():
        return messages.pop(0)

    return receive


async def _pieces(body: RequestBody) -> list[bytes]:
    return [piece async for piece in body]

"""The edge behind Granian on real sockets: refusals, 100-continue, HEAD, abnormal ends, header bombs."""

from __future__ import annotations

import contextlib
import json
import socket

import pytest

from support.raw_http import request
from support.stand_in import PIECE

MIB = 1 << 20


def test_a_refusal_reaches_a_client_that_sends_its_whole_body_first(stand_in_server):
    with stand_in_server.connection() as connection:
        connection.send(request("PUT", "/refuse", f"Content-Length: {20 * MIB}"), *[bytes(MIB)] * 20)
        response = connection.receive()
        assert (response.status, response.body) == (403, b"<Error/>")
        connection.send(request("GET", "/show"))
        assert connection.receive().status == 200, "the connection is good for another request"


def test_a_refusal_is_sent_before_the_body_has_arrived(stand_in_server):
    with stand_in_server.connection() as connection:
        connection.send(request("PUT", "/refuse", f"Content-Length: {20 * MIB}"))
        assert connection.receive().status == 403


def test_a_refused_chunked_body_is_drained_to_its_end(stand_in_server):
    chunk = b"%x\r\n%s\r\n" % (MIB, bytes(MIB))
    with stand_in_server.connection() as connection:
        connection.send(request("PUT", "/refuse", "Transfer-Encoding: chunked"), *[chunk] * 5, b"0\r\n\r\n")
        assert connection.receive().status == 403
        connection.send(request("GET", "/show"))
        assert connection.receive().status == 200


def test_a_client_waiting_for_100_continue_is_refused_without_being_invited(stand_in_server):
    with stand_in_server.connection() as connection:
        connection.send(request("PUT", "/refuse", f"Content-Length: {5 * MIB}", "Expect: 100-continue"))
        status, headers = connection.receive_head()
        assert status == 403, "not 100"
        assert headers["connection"] == "close"
        assert connection.is_closed_by_peer()


def test_a_client_waiting_for_100_continue_is_invited_when_its_body_is_wanted(stand_in_server):
    with stand_in_server.connection() as connection:
        connection.send(request("PUT", "/count", f"Content-Length: {MIB}", "Expect: 100-continue"))
        assert connection.receive_head()[0] == 100
        connection.send(bytes(MIB))
        assert connection.receive().body == str(MIB).encode()


def test_a_body_beyond_the_drain_bound_gets_its_answer_and_a_closed_connection(start_stand_in):
    server = start_stand_in(1, "--drain", str(MIB))
    with server.connection() as connection:
        connection.send(request("PUT", "/refuse", f"Content-Length: {64 * MIB}"))
        response = connection.receive()
        assert response.status == 403
        assert response.headers["connection"] == "close"
        with pytest.raises(OSError, match=r"reset|[Bb]roken pipe"):
            for _ in range(64):
                connection.send(bytes(MIB))


@pytest.mark.parametrize(
    ("target", "announced"), [("/refuse", 8), ("/stream?pieces=3", 3 * PIECE), ("/stream?pieces=0", 0)]
)
def test_head_tells_the_length_and_sends_no_body(stand_in_server, target, announced):
    with stand_in_server.connection() as connection:
        connection.send(request("HEAD", target))
        response = connection.receive(head_only=True)
        assert response.headers["content-length"] == str(announced)
        connection.send(request("GET", "/show"))
        assert connection.receive().status == 200, "what follows is the next response, not a stray body"


def test_a_stream_arrives_whole_and_is_closed(stand_in_server):
    response = stand_in_server.get("/stream?pieces=40")
    assert response.body == b"".join(bytes([index]) * PIECE for index in range(40))
    stand_in_server.await_event("stream_closed")
    assert stand_in_server.await_event("ended")["sent_bytes"] == 40 * PIECE


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("/stream?pieces=8&fail=3", "IntegrityError"),
        ("/stream?pieces=3&announced=8", "AbnormalEnd"),
        ("/stream?pieces=8&announced=3", "AbnormalEnd"),
    ],
)
def test_a_stream_that_fails_or_has_another_length_never_looks_complete(stand_in_server, target, why):
    with contextlib.suppress(ConnectionError):  # the cut may overtake the head
        response = stand_in_server.get(target)
        assert response.status == 200
        assert not response.complete or "announced=3" in target, "all that was announced did arrive there"
    assert stand_in_server.await_event("response_aborted")["exception"] == why
    assert stand_in_server.await_event("ended")["aborted"] == "stream-failed"
    assert "the-secret" not in stand_in_server.log_path.read_text()


def test_a_stream_that_fails_before_its_first_byte_answers_500(stand_in_server):
    assert stand_in_server.get("/stream?pieces=8&fail=0").status == 500


def test_a_client_that_leaves_stops_the_stream(stand_in_server):
    with stand_in_server.connection() as connection:
        connection.send(request("GET", "/stream?pieces=100000"))
        connection.receive_head()
    assert stand_in_server.await_event("ended")["aborted"] == "client-gone"
    assert stand_in_server.await_event("ended")["sent_bytes"] < 50_000 * PIECE
    stand_in_server.await_event("stream_closed")


def test_a_client_that_never_reads_is_given_up(start_stand_in):
    server = start_stand_in(1, "--idle-s", "0.3")
    with server.connection() as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.send(request("GET", "/stream?pieces=2000"))
        assert server.await_event("ended")["aborted"] == "idle"


def test_a_body_that_stops_coming_is_answered_request_timeout(start_stand_in):
    server = start_stand_in(1, "--idle-s", "0.3")
    with server.connection() as connection:
        connection.send(request("PUT", "/count", "Content-Length: 10"), b"12345")
        assert connection.receive().status == 500  # the stand-in foresees nothing
    assert server.await_event("unforeseen")["exception"] == "RequestError"


def test_a_client_that_leaves_within_its_body_is_no_failure(stand_in_server):
    with stand_in_server.connection() as connection:
        connection.send(request("PUT", "/count", "Content-Length: 1000000"), bytes(1000))
    assert stand_in_server.get("/show").status == 200
    assert stand_in_server.events("unforeseen") == []


def test_an_unforeseen_exception_is_a_500_and_its_message_is_not_logged(stand_in_server):
    response = stand_in_server.get("/boom")
    assert response.status == 500
    assert b"<Code>InternalError</Code>" in response.body
    event = stand_in_server.await_event("unforeseen")
    assert event["exception"] == "ValueError"
    assert "path_boom" in event["at"]
    assert "the-secret" not in stand_in_server.log_path.read_text()


@pytest.mark.parametrize("body", [b"", b"x", bytes(3 * MIB)])
def test_bodies_of_any_size_are_counted_exactly(stand_in_server, body):
    with stand_in_server.connection() as connection:
        connection.send(request("PUT", "/count", f"Content-Length: {len(body)}"), body)
        assert connection.receive().body == str(len(body)).encode()


def test_path_query_and_headers_arrive_as_sent(stand_in_server):
    response = stand_in_server.get("/show?a=1&b&c=%C3%A9+%2B&a=2", "X-A: 1", "X-A: 2", "X-Utf: caf\u00c3\u00a9")
    shown = json.loads(response.body)
    assert shown["query"] == [["a", "1"], ["b", ""], ["c", "\u00e9 +"], ["a", "2"]]
    assert shown["headers"]["x-a"] == "1,2"
    assert shown["headers"]["x-utf"] == "caf\u00e9"
    assert shown["client_ip"] == "127.0.0.1"


HEADS = [
    ("200 headers", request("GET", "/show", *(f"X-{n}: 1" for n in range(200))), 431),
    ("a megabyte of header", request("GET", "/show", "X-A: " + "a" * MIB), 431),
    ("a megabyte of query", request("GET", "/show?" + "a" * MIB), 431),
    ("a header beyond our own bound", request("GET", "/show", "X-A: " + "a" * 40_000), 400),
    ("a query that is not UTF-8", request("GET", "/show?prefix=%FF"), 400),
    ("a transfer coding besides chunked", request("PUT", "/count", "Transfer-Encoding: gzip, chunked"), 400),
    ("two different lengths", request("PUT", "/count", "Content-Length: 1", "Content-Length: 2"), 400),
    ("a length that is not a number", request("PUT", "/count", "Content-Length: x"), 400),
    ("no HTTP at all", b"\x16\x03\x01\x02\x00\r\n\r\n", 400),
]


@pytest.mark.parametrize(("what", "sent", "status"), HEADS, ids=[head[0] for head in HEADS])
def test_heads_that_are_too_large_or_contradictory_are_refused(stand_in_server, what, sent, status):
    with stand_in_server.connection() as connection:
        try:
            connection.send(sent)
            answer = connection.receive_head()[0]
        except ConnectionError:
            assert len(sent) >= MIB, "only what is too large to be read to its end may be cut off"
            answer = status
        assert answer == status, what
    assert stand_in_server.get("/show").status == 200


def test_a_length_and_chunks_at_once_cannot_smuggle_a_request(stand_in_server):
    smuggled = b"0\r\n\r\nGET /boom HTTP/1.1\r\nHost: x\r\n\r\n"
    headers = (f"Content-Length: {len(smuggled)}", "Transfer-Encoding: chunked")
    with stand_in_server.connection() as connection:
        connection.send(request("PUT", "/count", *headers), smuggled)
        assert connection.receive().body == b"0", "the chunks count"
        assert connection.is_closed_by_peer(), "what follows is not read"
    assert stand_in_server.events("unforeseen") == []


def test_a_trusted_proxy_is_believed(start_stand_in):
    server = start_stand_in(1, "--proxy", "127.0.0.0/8")
    shown = json.loads(server.get("/show", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https").body)
    assert (shown["client_ip"], shown["secure"]) == ("203.0.113.9", True)


def test_forwarded_headers_of_anybody_else_are_not_believed(stand_in_server):
    shown = json.loads(stand_in_server.get("/show", "X-Forwarded-For: 203.0.113.9", "X-Forwarded-Proto: https").body)
    assert (shown["client_ip"], shown["secure"]) == ("127.0.0.1", False)

"""What no client library sends, over raw sockets: broken framing, bombs, bodies that are cut short or are not what was
signed. Each is answered as an error or by closing the connection; nothing is changed, and the server goes on."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from support.processes import eventually
from support.raw_http import RawConnection, RawResponse, request
from support.server_process import ServerProcess
from support.settings import NO_RETRIES, new_bucket

KIB, MIB = 1 << 10, 1 << 20
STREAMING = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
UNSIGNED = "UNSIGNED-PAYLOAD"
SIGNATURE = b"0" * 64
Send = Callable[..., "RawResponse | None"]


@pytest.fixture
def s3(standing_server) -> Any:
    return standing_server.client(config=NO_RETRIES)


@pytest.fixture
def bucket(standing_server, s3) -> Iterator[str]:
    """A bucket with one object, which is as it was when the test is over."""
    name = new_bucket(standing_server, owner=s3)
    s3.put_object(Bucket=name, Key="key", Body=b"before")
    yield name
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=name)["Contents"]] == ["key"]
    assert s3.get_object(Bucket=name, Key="key")["Body"].read() == b"before"
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=name)


@pytest.fixture
def send(standing_server) -> Send:
    """Send bytes; the answer, or None when the connection was closed without one."""

    def send(*pieces: bytes, half_close: bool = False) -> RawResponse | None:
        with standing_server.connection() as connection:
            try:
                connection.send(*pieces)
                if half_close:
                    connection.socket.shutdown(socket.SHUT_WR)
                return connection.receive()
            except OSError:  # closed while we were sending, or before we could say that we are done
                return None

    return send


def _signed(
    server: ServerProcess, method: str, target: str, *, payload: str = UNSIGNED, secret: str | None = None, **more: str
) -> bytes:
    """The head of a request, signed for this payload hash; more: headers, `_` for `-`, signed too."""
    headers = {name.replace("_", "-"): value for name, value in more.items()} | {"x-amz-content-sha256": payload}
    asked = AWSRequest(method, server.endpoint + target, headers=headers)
    signer = S3SigV4Auth(Credentials(server.access_key_id, secret or server.secret_access_key), "s3", server.region)
    signer.payload = lambda _request: payload  # botocore would hash the body that it does not have
    signer.add_auth(asked)
    # botocore sets its own payload hash into the header while signing.
    lines = [f"{name}: {value}" for name, value in asked.headers.items()]
    return request(method, target, *lines, host=urlsplit(server.endpoint).netloc)


def _code(response: RawResponse | None) -> str:
    assert response is not None
    return response.body.partition(b"<Code>")[2].partition(b"</Code>")[0].decode()


BROKEN_FRAMING = {
    "no request line": b"\x00\x01\x02\x03\r\n\r\n",
    "preface of HTTP/2 and garbage": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(64),
    "a TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(60),
    "two lengths": b"PUT /b/key HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "a negative length": b"PUT /b/key HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "an endless length": b"PUT /b/key HTTP/1.1\r\nHost: x\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
    "a length and chunks": b"PUT /b/key HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks without a size": b"PUT /b/key HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"zz\r\nxx\r\n0\r\n\r\n",
    "a header name with a space": b"GET / HTTP/1.1\r\nHost: x\r\nBad Name: x\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c: d\r\n\r\n",
    "thousands of headers": b"GET / HTTP/1.1\r\nHost: x\r\n"
    + b"".join(b"h%d: x\r\n" % n for n in range(5000))
    + b"\r\n",
    "one very long header": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * MIB + b"\r\n\r\n",
    "a very long path": b"GET /" + b"x" * MIB + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a broken percent": b"GET /b/%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    "bytes that are no UTF-8": b"GET /b/%ff%fe HTTP/1.1\r\nHost: x\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
}


@pytest.mark.parametrize("name", BROKEN_FRAMING)
def test_broken_framing_is_refused(standing_server, send, name):
    response = send(BROKEN_FRAMING[name], half_close=True)
    assert response is None or 400 <= response.status < 500
    alive = send(request("GET", "/_s3al/health/ready"))
    assert alive is not None
    assert alive.status == 200


def _chunk(
    data: bytes, *, size: bytes | None = None, signature: bytes | None = SIGNATURE, end: bytes = b"\r\n"
) -> bytes:
    extension = b";chunk-signature=" + signature if signature else b""
    return (size or b"%x" % len(data)) + extension + b"\r\n" + data + end


# Framing, announced length, body on the wire, AWS's code.
BROKEN_CHUNKS = {
    "a signature that is not": (STREAMING, 5, _chunk(b"after") + _chunk(b""), "SignatureDoesNotMatch"),
    "no signature": (STREAMING, 5, _chunk(b"after", signature=None) + _chunk(b"", signature=None), None),
    "a size that is no number": (TRAILER, 5, _chunk(b"after", size=b"zz", signature=None), None),
    "a negative size": (TRAILER, 5, _chunk(b"after", size=b"-5", signature=None), None),
    "an endless size": (TRAILER, 5, b"0" * 100_000, None),
    "a size of terabytes": (TRAILER, 5, _chunk(b"after", size=b"ffffffffffff", signature=None), None),
    "no line end": (TRAILER, 5, _chunk(b"after", signature=None, end=b"xx") + b"0\r\n\r\n", None),
    "less than announced": (TRAILER, 6, _chunk(b"after", signature=None) + b"0\r\n\r\n", "IncompleteBody"),
    "more than announced": (TRAILER, 4, _chunk(b"after", signature=None) + b"0\r\n\r\n", "IncompleteBody"),
    "no last chunk": (TRAILER, 5, _chunk(b"after", signature=None), "IncompleteBody"),
    "a wrong trailer": (TRAILER, 5, _chunk(b"after", signature=None) + b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n",
                        "BadDigest"),
    "endless trailers": (TRAILER, 5, _chunk(b"after", signature=None) + b"0\r\n" + b"a:b\r\n" * 50_000 + b"\r\n", None),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN_CHUNKS)
def test_broken_chunks_are_refused(standing_server, bucket, send, name):
    framing, announced, body, code = BROKEN_CHUNKS[name]
    more = {"x_amz_trailer": "x-amz-checksum-crc32"} if framing == TRAILER else {}
    head = _signed(
        standing_server, "PUT", f"/{bucket}/key", payload=framing, content_encoding="aws-chunked",
        x_amz_decoded_content_length=str(announced), content_length=str(len(body)), **more,
    )  # fmt: skip
    response = send(head, body)
    assert response is not None
    assert 400 <= response.status < 500
    assert _code(response) == code or code is None


@pytest.mark.parametrize("target", ["key", "new"])
@pytest.mark.parametrize("size", [100, 3 * MIB])
def test_a_body_cut_short_changes_nothing(standing_server, bucket, target, size):
    before = len(standing_server.log_events("request"))
    head = _signed(standing_server, "PUT", f"/{bucket}/{target}", content_length=str(size))
    with standing_server.connection() as connection:
        connection.send(head, os.urandom(size - 1))
    eventually("the request is over", lambda: len(standing_server.log_events("request")) > before)


@pytest.mark.parametrize(
    "payload, secret, code",
    [
        (hashlib.sha256(b"another").hexdigest(), None, "XAmzContentSHA256Mismatch"),
        (UNSIGNED, "another secret", "SignatureDoesNotMatch"),
        ("NOT-A-HASH", None, None),
    ],
)
def test_a_body_that_was_not_signed_is_refused(standing_server, bucket, send, payload, secret, code):
    head = _signed(standing_server, "PUT", f"/{bucket}/key", payload=payload, secret=secret, content_length="5")
    response = send(head, b"after")
    assert response is not None
    assert 400 <= response.status < 500
    assert _code(response) == code or code is None


@pytest.mark.parametrize("waits", [True, False])
def test_a_refused_client_that_announced_to_wait_is_told_even_if_it_does_not(standing_server, bucket, waits):
    size = 20 * MIB
    head = _signed(standing_server, "PUT", f"/{bucket}/key", secret="another", content_length=str(size))
    head = head.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    with standing_server.connection() as connection:
        connection.send(head, b"" if waits else bytes(size))
        status, headers = connection.receive_head()
        assert (status, headers["connection"]) == (403, "close"), "the client is told, and not invited"
        assert eventually("the connection is closed", lambda: _is_over(connection))


def test_an_empty_body_that_is_announced_with_expect_ends_its_connection(standing_server, bucket):
    # botocore would misread the next response on it, and wait until the server closes.
    head = _signed(standing_server, "PUT", f"/{bucket}/key", secret="another", content_length="0")
    head = head.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")
    with standing_server.connection() as connection:
        connection.send(head)
        status, headers = connection.receive_head()
    assert (status, headers["connection"]) == (403, "close")


def _is_over(connection: RawConnection) -> bool:
    try:
        return connection.socket.recv(65_536) == b""
    except ConnectionError:
        return True


LAUGHS = b'<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa">' + b"".join(
    b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(8)
)
XML_BOMBS = {
    "entities": LAUGHS + b"]><Delete><Object><Key>&i;</Key></Object></Delete>",
    "an external entity": b'<!DOCTYPE d [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    b"<Delete><Object><Key>&x;</Key></Object></Delete>",
    "deep nesting": b"<Delete>" + b"<Object>" * 100_000,
    "not closed": b"<Delete><Object><Key>key</Key>",
    "nothing": b"<Delete/>",
    "too many": b"<Delete>" + b"<Object><Key>key</Key></Object>" * 1001 + b"</Delete>",
    "not XML": b"{}",
}


@pytest.mark.parametrize("name", XML_BOMBS)
def test_xml_bombs_are_refused(standing_server, bucket, send, name):
    body = XML_BOMBS[name]
    head = _signed(
        standing_server, "POST", f"/{bucket}?delete=", payload=hashlib.sha256(body).hexdigest(),
        content_length=str(len(body)),
    )  # fmt: skip
    response = send(head, body)
    assert response is not None
    assert response.status == 400
    assert _code(response) == "MalformedXML"
    assert b"root:" not in response.body


def test_a_client_that_stops_halfway_does_not_hold_up_others(standing_server, bucket, s3):
    stalled: list[RawConnection] = []
    try:
        for _ in range(50):
            connection = standing_server.connection()
            connection.send(_signed(standing_server, "PUT", f"/{bucket}/stalled", content_length=str(MIB)), bytes(KIB))
            stalled.append(connection)
        for _ in range(20):
            assert s3.get_object(Bucket=bucket, Key="key")["Body"].read() == b"before"
    finally:
        for connection in stalled:
            connection.socket.close()

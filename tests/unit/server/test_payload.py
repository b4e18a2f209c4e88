"""Payloads of S3 requests as they arrive: framing taken off, chunk signatures, lengths and claims checked."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from s3al.errors import RequestError
from s3al.server.asgi import Request, RequestBody
from s3al.server.payload import EMPTY_SHA256, DecodedBody

CONTENT = b"0123456789" * 50
SHA256 = hashlib.sha256(CONTENT).hexdigest()
CRC32 = base64.b64encode(zlib.crc32(CONTENT).to_bytes(4, "big")).decode()


def request(headers: Mapping[str, str], pieces: Sequence[bytes]) -> Request:
    messages = [
        {"type": "http.request", "body": piece, "more_body": number < len(pieces)}
        for number, piece in enumerate(pieces, 1)
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    body = RequestBody(receive, complete=not pieces, idle_s=5)
    return Request("PUT", "/b/k", "", [], headers, "127.0.0.1", True, body, 0.0)


def body(headers: Mapping[str, str], *pieces: bytes, payload_hash: str | None = None) -> DecodedBody:
    return DecodedBody(request(headers, pieces), payload_hash, None)


async def _whole(decoded: DecodedBody) -> bytes:
    return b"".join([piece async for piece in decoded])


def whole(decoded: DecodedBody) -> bytes:
    return asyncio.run(_whole(decoded))


def verified(decoded: DecodedBody, most: int = 1 << 20) -> bytes:
    return asyncio.run(decoded.read_verified(most))


UNSIGNED = {
    "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
    "x-amz-decoded-content-length": str(len(CONTENT)),
    "x-amz-trailer": "x-amz-checksum-crc32",
    "content-encoding": "aws-chunked",
}
FRAMED = b"%x\r\n%s\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n" % (len(CONTENT), CONTENT, CRC32.encode())


def test_a_plain_body_comes_as_it_is() -> None:
    plain = body({"content-length": str(len(CONTENT))}, CONTENT[:7], CONTENT[7:])
    assert plain.decoded_bytes == len(CONTENT)
    assert whole(plain) == CONTENT and plain.trailers == {}


def test_no_body_is_empty() -> None:
    assert whole(body({"content-length": "0"})) == b""
    assert verified(body({}), 0) == b""
    assert hashlib.sha256(b"").hexdigest() == EMPTY_SHA256


@pytest.mark.parametrize("step", [1, 7, 64, 10_000])
def test_chunks_are_unframed_wherever_the_network_cuts(step: int) -> None:
    framed = body(UNSIGNED, *[FRAMED[at : at + step] for at in range(0, len(FRAMED), step)])
    assert framed.decoded_bytes == len(CONTENT)
    assert whole(framed) == CONTENT
    assert framed.trailers == {"x-amz-checksum-crc32": CRC32}


@pytest.mark.parametrize(
    ("pieces", "announced"),
    [
        ([FRAMED[:-30]], len(CONTENT)),
        ([FRAMED], len(CONTENT) + 1),
        ([FRAMED], len(CONTENT) - 1),
        ([b"zz\r\n"], len(CONTENT)),
        ([b"5;" + b"x" * 5000], len(CONTENT)),
    ],
)
def test_broken_framing_is_refused(pieces: list[bytes], announced: int) -> None:
    with pytest.raises(RequestError) as refused:
        whole(body(UNSIGNED | {"x-amz-decoded-content-length": str(announced)}, *pieces))
    assert refused.value.code in ("IncompleteBody", "InvalidRequest", "InvalidChunkSizeError")


@pytest.mark.parametrize(
    "payload_hash", ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", None, "A" * 64, "a" * 63]
)
def test_what_is_no_hash_is_not_taken_for_one(payload_hash: str | None) -> None:
    assert body({}, payload_hash=payload_hash).payload_sha256 is None


def test_a_small_body_is_read_and_verified_at_once() -> None:
    md5 = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
    headers = {"content-md5": md5, "x-amz-checksum-crc32": CRC32}
    assert verified(body(headers, CONTENT, payload_hash=SHA256)) == CONTENT
    assert verified(body(UNSIGNED, FRAMED)) == CONTENT


@pytest.mark.parametrize(
    ("headers", "payload_hash", "code"),
    [
        ({}, "0" * 64, "XAmzContentSHA256Mismatch"),
        ({"content-md5": base64.b64encode(bytes(16)).decode()}, SHA256, "BadDigest"),
        ({"content-md5": "x"}, SHA256, "InvalidDigest"),
        ({"x-amz-checksum-crc32": "AAAAAA=="}, None, "BadDigest"),
        ({"x-amz-checksum-crc32": "x"}, None, "InvalidRequest"),
    ],
)
def test_a_small_body_that_is_not_what_was_claimed_is_refused(
    headers: dict[str, str], payload_hash: str | None, code: str
) -> None:
    with pytest.raises(RequestError) as refused:
        verified(body(headers, CONTENT, payload_hash=payload_hash))
    assert refused.value.code == code


def test_a_false_trailer_of_a_small_body_is_refused() -> None:
    with pytest.raises(RequestError) as refused:
        verified(body(UNSIGNED, FRAMED.replace(CRC32.encode(), b"AAAAAA==")))
    assert refused.value.code == "BadDigest"


def test_a_small_body_is_bounded_as_it_is_read() -> None:
    assert verified(body({}, CONTENT), len(CONTENT)) == CONTENT
    with pytest.raises(RequestError) as refused:
        verified(body({}, *[CONTENT] * 100), len(CONTENT))
    assert refused.value.code == "MaxMessageLengthExceeded"

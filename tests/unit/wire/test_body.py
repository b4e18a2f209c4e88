"""Payload framing: AWS's documented bodies, botocore's, every cut of the input, every malformed frame."""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime

import pytest
from botocore.httpchecksum import AwsChunkedWrapper, Crc32Checksum
from hypothesis import given
from hypothesis import strategies as st

from s3al.auth.chunks import ChunkVerifier
from s3al.auth.sigv4 import Seed
from s3al.auth.sigv4_canonical import signing_key, timestamp_of
from s3al.auth.sigv4_sign import ChunkSigner
from s3al.errors import RequestError
from s3al.wire.body import (
    CHUNK_HEADER_MAX_BYTES,
    CHUNK_MIN_BYTES,
    TRAILERS_MAX_BYTES,
    ChunkedBody,
    Framing,
    PlainBody,
    Verifier,
    decode,
    framing_of,
    stored_content_encoding,
)

DATA = b"a" * 65536 + b"a" * 1024
KEY = signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", "s3")
SEED = Seed(KEY, "20130524/us-east-1/s3/aws4_request", timestamp_of(datetime(2013, 5, 24, tzinfo=UTC)), "0" * 64)
CRC = "x-amz-checksum-crc32c"


def seed(signature: str) -> Seed:
    return Seed(KEY, SEED.scope_string, SEED.timestamp, signature)


# Source: S3 API Reference, "Transferring Payload in Multiple Chunks" and "Including Trailing Headers", the examples.
DOCUMENTED = (
    b"10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n"
    + b"a" * 65536
    + b"\r\n"
    b"400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n" + b"a" * 1024 + b"\r\n"
    b"0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n"
)
DOCUMENTED_SEED = seed("4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9")
DOCUMENTED_TRAILER = (
    b"10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n"
    + b"a" * 65536
    + b"\r\n"
    b"400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n" + b"a" * 1024 + b"\r\n"
    b"0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n"
    b"x-amz-checksum-crc32c:sOO8/Q==\r\n"
    b"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n"
)
DOCUMENTED_TRAILER_SEED = seed("106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e")

SIGNED = Framing(chunked=True, signed=True, decoded_bytes=len(DATA))
SIGNED_TRAILER = Framing(chunked=True, signed=True, decoded_bytes=len(DATA), trailer_names=frozenset({CRC}))


def unsigned(size: int, *names: str) -> Framing:
    return Framing(chunked=True, decoded_bytes=size, trailer_names=frozenset(names))


def framed(chunks: list[bytes], trailers: list[tuple[str, str]] = [], *, signer: ChunkSigner | None = None) -> bytes:  # noqa: B006
    """A body as a client writes it."""
    body = b""
    for chunk in [*chunks, b""]:
        extension = f";chunk-signature={signer.chunk(hashlib.sha256(chunk).hexdigest())}" if signer else ""
        body += f"{len(chunk):x}{extension}\r\n".encode() + chunk + (b"\r\n" if chunk else b"")
    lines = "".join(f"{name}:{value}\n" for name, value in trailers)
    if signer and trailers:
        trailers = [*trailers, ("x-amz-trailer-signature", signer.trailer(lines.encode()))]
    return body + "".join(f"{name}:{value}\r\n" for name, value in trailers).encode() + b"\r\n"


def decoded(
    framing: Framing, body: bytes, verifier: Verifier | None = None, *, cut: int = 1 << 30
) -> tuple[bytes, dict[str, str]]:
    decoder = decode(framing, verifier)
    pieces = [piece for at in range(0, len(body), cut) for piece in decoder.feed(body[at : at + cut])]
    decoder.finish()
    return b"".join(pieces), decoder.trailers


def refusal(framing: Framing, body: bytes, verifier: Verifier | None = None, *, cut: int = 1 << 30) -> RequestError:
    with pytest.raises(RequestError) as refused:
        decoded(framing, body, verifier, cut=cut)
    return refused.value


# --- Which framing ---

CHUNKED = {"x-amz-decoded-content-length": "10", "content-encoding": "aws-chunked"}
FRAMINGS: dict[str, tuple[dict[str, str], Framing | str]] = {
    "nothing said": ({}, Framing(chunked=False)),
    "content length": ({"content-length": "7"}, Framing(chunked=False, decoded_bytes=7)),
    "payload hash": (
        {"x-amz-content-sha256": "0" * 64, "content-length": "7"},
        Framing(chunked=False, decoded_bytes=7),
    ),
    "unsigned payload": ({"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}, Framing(chunked=False)),
    "signed": (
        {**CHUNKED, "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"},
        Framing(chunked=True, signed=True, decoded_bytes=10),
    ),
    "signed with trailer": (
        {**CHUNKED, "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "x-amz-trailer": CRC},
        Framing(chunked=True, signed=True, decoded_bytes=10, trailer_names=frozenset({CRC})),
    ),
    "unsigned with trailer": (
        {**CHUNKED, "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x-amz-trailer": f" {CRC.upper()} ,"},
        unsigned(10, CRC),
    ),
    "unsigned with no trailer announced": (
        {**CHUNKED, "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"},
        unsigned(10),
    ),
    "boto3 without credentials": ({**CHUNKED, "x-amz-trailer": CRC}, unsigned(10, CRC)),
    "aws-chunked by name alone": ({"content-encoding": "aws-chunked"}, Framing(chunked=False)),
    "ECDSA": ({**CHUNKED, "x-amz-content-sha256": "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"}, "NotImplemented"),
    "ECDSA with trailer": (
        {**CHUNKED, "x-amz-content-sha256": "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"},
        "NotImplemented",
    ),
    "unknown": ({**CHUNKED, "x-amz-content-sha256": "STREAMING-PAYLOAD"}, "InvalidArgument"),
    "no decoded length": ({"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"}, "MissingContentLength"),
    "decoded length in words": (
        {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x-amz-decoded-content-length": "ten"},
        "MissingContentLength",
    ),
    "negative decoded length": (
        {"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x-amz-decoded-content-length": "-1"},
        "MissingContentLength",
    ),
    "trailer of a plain body": ({"x-amz-content-sha256": "UNSIGNED-PAYLOAD", "x-amz-trailer": CRC}, "InvalidRequest"),
    "trailer of a signed body without trailers": (
        {**CHUNKED, "x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "x-amz-trailer": CRC},
        "InvalidRequest",
    ),
}


@pytest.mark.parametrize("name", FRAMINGS)
def test_headers_announce_the_framing(name: str) -> None:
    headers, expected = FRAMINGS[name]
    if isinstance(expected, Framing):
        assert framing_of(headers) == expected
        return
    with pytest.raises(RequestError) as refused:
        framing_of(headers)
    assert refused.value.code == expected


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (None, None),
        ("", None),
        ("gzip", "gzip"),
        ("aws-chunked", None),
        ("AWS-Chunked", None),
        ("aws-chunked,gzip", "gzip"),
        ("gzip,aws-chunked", "gzip"),
        ("gzip, aws-chunked , br", "gzip, br"),
        ("gzip, br", "gzip, br"),
        ("my-aws-chunked", "my-aws-chunked"),
    ],
)
def test_the_transfer_coding_is_not_stored(value: str | None, stored: str | None) -> None:
    assert stored_content_encoding({} if value is None else {"content-encoding": value}) == stored


def test_an_anonymous_request_cannot_have_signed_chunks() -> None:
    with pytest.raises(RequestError) as refused:
        decode(SIGNED, None)
    assert refused.value.code == "InvalidRequest"


# --- Plain bodies ---


@pytest.mark.parametrize("announced", [None, 6])
def test_a_plain_body_comes_out_as_it_went_in(announced: int | None) -> None:
    decoder = PlainBody(announced)
    pieces = [b"abc", b"", b"def"]
    assert [decoder.feed(piece) for piece in pieces] == [[b"abc"], [], [b"def"]]
    decoder.finish()
    assert decoder.trailers == {}


@pytest.mark.parametrize("announced", [0, 5, 7])
def test_a_plain_body_of_another_length_than_announced_is_incomplete(announced: int) -> None:
    assert refusal(Framing(chunked=False, decoded_bytes=announced), b"abcdef").code == "IncompleteBody"


# --- Chunked bodies ---


@pytest.mark.parametrize("cut", [1, 2, 3, 63, 87, 88, 89, 90, 8191, 65536, 65626, 70000])
def test_documented_bodies_are_decoded_however_they_are_cut(cut: int) -> None:
    assert decoded(SIGNED, DOCUMENTED, ChunkVerifier(DOCUMENTED_SEED), cut=cut) == (DATA, {})
    verifier = ChunkVerifier(DOCUMENTED_TRAILER_SEED)
    assert decoded(SIGNED_TRAILER, DOCUMENTED_TRAILER, verifier, cut=cut) == (DATA, {CRC: "sOO8/Q=="})


@given(size=st.integers(0, 3 << 20), cut=st.integers(1, 1 << 20))
def test_a_body_that_botocore_framed_is_decoded(size: int, cut: int) -> None:
    data = (bytes(range(256)) * (size // 256 + 1))[:size]
    wrapper = AwsChunkedWrapper(io.BytesIO(data), checksum_cls=Crc32Checksum, checksum_name="x-amz-checksum-crc32")
    body = wrapper.read()
    checksum = Crc32Checksum()
    checksum.update(data)
    expected = {"x-amz-checksum-crc32": checksum.b64digest()}
    assert decoded(unsigned(size, "x-amz-checksum-crc32"), body, cut=max(cut, size // 50 + 1)) == (data, expected)


@given(
    sizes=st.lists(st.integers(CHUNK_MIN_BYTES, 3 * CHUNK_MIN_BYTES), max_size=3),
    last=st.integers(0, 100),
    cuts=st.lists(st.integers(1, 9000), min_size=1, max_size=8),
    signed=st.booleans(),
    trailers=st.booleans(),
)
def test_any_chunks_come_out_whole_however_they_are_cut(
    sizes: list[int], last: int, cuts: list[int], signed: bool, trailers: bool
) -> None:
    chunks = [bytes([at % 251]) * size for at, size in enumerate([*sizes, last]) if size]
    data = b"".join(chunks)
    names = frozenset({CRC}) if trailers else None if signed else frozenset()
    framing = Framing(True, signed, len(data), names)
    body = framed(chunks, [(CRC, "AAAAAA==")] if trailers else [], signer=ChunkSigner(SEED) if signed else None)
    decoder = decode(framing, ChunkVerifier(SEED) if signed else None)
    pieces, at, turn = [], 0, 0
    while at < len(body):
        pieces += decoder.feed(body[at : at + cuts[turn % len(cuts)]])
        at += cuts[turn % len(cuts)]
        turn += 1
    decoder.finish()
    assert b"".join(pieces) == data
    assert decoder.trailers == ({CRC: "AAAAAA=="} if trailers else {})


def test_data_within_one_chunk_is_handed_on_without_copying() -> None:
    decoder = ChunkedBody(unsigned(100_000, CRC), None)
    decoder.feed(b"186A0\r\n")
    data = bytes(60_000)
    [piece] = decoder.feed(data)
    assert piece is data
    [rest] = decoder.feed(bytes(40_000) + b"\r\n0\r\n")
    assert isinstance(rest, memoryview)


@pytest.mark.parametrize("end", range(0, len(DOCUMENTED_TRAILER), 997))
def test_a_body_that_ends_early_is_incomplete(end: int) -> None:
    verifier = ChunkVerifier(DOCUMENTED_TRAILER_SEED)
    assert refusal(SIGNED_TRAILER, DOCUMENTED_TRAILER[:end], verifier).code == "IncompleteBody"


@pytest.mark.parametrize("missing", range(1, 8))
def test_a_body_that_lacks_its_last_bytes_is_incomplete(missing: int) -> None:
    assert refusal(SIGNED, DOCUMENTED[:-missing], ChunkVerifier(DOCUMENTED_SEED)).code == "IncompleteBody"


@pytest.mark.parametrize("cut", [1, 1 << 30])
@pytest.mark.parametrize("rest", [b"\r", b"\r\n", b"x", b"0\r\n\r\n"])
def test_a_body_that_goes_on_after_its_end_is_refused(rest: bytes, cut: int) -> None:
    assert refusal(SIGNED, DOCUMENTED + rest, ChunkVerifier(DOCUMENTED_SEED), cut=cut).code == "IncompleteBody"


CHUNK = b"x" * CHUNK_MIN_BYTES
SMALL = b"x" * (CHUNK_MIN_BYTES - 1)
MALFORMED: dict[str, tuple[int, bytes, str]] = {
    "nothing": (0, b"", "IncompleteBody"),
    "size in words": (1, b"one\r\nx\r\n0\r\n\r\n", "IncompleteBody"),
    "size with a sign": (1, b"+1\r\nx\r\n0\r\n\r\n", "IncompleteBody"),
    "size with a prefix": (1, b"0x1\r\nx\r\n0\r\n\r\n", "IncompleteBody"),
    "size with an underscore": (16, b"1_0\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n", "IncompleteBody"),
    "empty size": (0, b"\r\n0\r\n\r\n", "IncompleteBody"),
    "size before a space": (1, b"1 \r\nx\r\n0\r\n\r\n", "IncompleteBody"),
    "size of a chunk beyond all bounds": (1, b"f" * 16 + b"\r\nx\r\n", "IncompleteBody"),
    "size of more digits than any": (1, b"0" * 17 + b"1\r\nx\r\n0\r\n\r\n", "IncompleteBody"),
    "unknown extension": (1, b"1;name=value\r\nx\r\n0\r\n\r\n", "IncompleteBody"),
    "signature where none is announced": (
        1,
        b"1;chunk-signature=" + b"0" * 64 + b"\r\nx\r\n0;chunk-signature=" + b"0" * 64 + b"\r\n\r\n",
        "IncompleteBody",
    ),
    "line ended by LF alone": (1, b"1\nx\n0\n\n", "IncompleteBody"),
    "endless head": (1, b"0" * (CHUNK_HEADER_MAX_BYTES + 3), "IncompleteBody"),
    "chunk longer than its size": (4, b"1\r\nxxxx\r\n0\r\n\r\n", "IncompleteBody"),
    "chunk shorter than its size": (4, b"4\r\nx\r\n0\r\n\r\n", "IncompleteBody"),
    "chunk without its line end": (1, b"1\r\nx0\r\n\r\n", "IncompleteBody"),
    "more than announced": (3, b"4\r\nxxxx\r\n0\r\n\r\n", "IncompleteBody"),
    "more than announced by a further chunk": (
        CHUNK_MIN_BYTES,
        b"2000\r\n" + CHUNK + b"\r\n1\r\nx\r\n0\r\n\r\n",
        "IncompleteBody",
    ),
    "less than announced": (5, b"4\r\nxxxx\r\n0\r\n\r\n", "IncompleteBody"),
    "small chunk before another": (
        CHUNK_MIN_BYTES,
        b"1fff\r\n" + SMALL + b"\r\n1\r\nx\r\n0\r\n\r\n",
        "InvalidChunkSizeError",
    ),
    "trailer not announced": (0, b"0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", "MalformedTrailerError"),
    "trailer signature not announced": (0, b"0\r\nx-amz-trailer-signature:0\r\n\r\n", "MalformedTrailerError"),
}


@pytest.mark.parametrize("cut", [1, 1 << 30])
@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_frame_is_refused(name: str, cut: int) -> None:
    size, body, code = MALFORMED[name]
    assert refusal(unsigned(size), body, cut=cut).code == code


def test_a_small_chunk_is_told_by_number_and_size() -> None:
    size, body, _ = MALFORMED["small chunk before another"]
    assert refusal(unsigned(size), body).fields == {"Chunk": "1", "BadChunkSize": "8191"}


TRAILERS: dict[str, tuple[bytes, str | dict[str, str]]] = {
    "as announced": (b"x-amz-checksum-crc32c:AAAAAA==\r\n\r\n", {CRC: "AAAAAA=="}),
    "with blanks": (b"X-Amz-Checksum-CRC32C : \tAAAAAA== \r\n\r\n", {CRC: "AAAAAA=="}),
    "ended by LF and CRLF": (b"x-amz-checksum-crc32c:AAAAAA==\n\r\n\r\n", {CRC: "AAAAAA=="}),
    "after an empty line": (b"\r\nx-amz-checksum-crc32c:AAAAAA==\r\n\r\n", {CRC: "AAAAAA=="}),
    "none": (b"\r\n", "IncompleteBody"),  # an empty line may come before the trailers
    "none after two lines": (b"\r\n\r\n", "MalformedTrailerError"),
    "another": (b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n", "MalformedTrailerError"),
    "twice": (b"x-amz-checksum-crc32c:AAAAAA==\r\nx-amz-checksum-crc32c:AAAAAA==\r\n\r\n", "MalformedTrailerError"),
    "one more": (b"x-amz-checksum-crc32c:AAAAAA==\r\nx-amz-meta-a:1\r\n\r\n", "MalformedTrailerError"),
    "without colon": (b"x-amz-checksum-crc32c\r\n\r\n", "MalformedTrailerError"),
    "without name": (b":AAAAAA==\r\n\r\n", "MalformedTrailerError"),
    "with a blank in the name": (b"x-amz checksum:AAAAAA==\r\n\r\n", "MalformedTrailerError"),
    "beyond ASCII": ("x-amz-checksum-crc32c:é\r\n\r\n".encode(), "MalformedTrailerError"),
    "without end": (b"x-amz-checksum-crc32c:AAAAAA==\r\n", "IncompleteBody"),
    "too long": (b"x-amz-checksum-crc32c:" + b"A" * TRAILERS_MAX_BYTES + b"\r\n\r\n", "MalformedTrailerError"),
    "endless": (b"A" * (TRAILERS_MAX_BYTES * 2), "MalformedTrailerError"),
}


@pytest.mark.parametrize("cut", [1, 1 << 30])
@pytest.mark.parametrize("name", TRAILERS)
def test_trailers_must_be_those_announced(name: str, cut: int) -> None:
    body, expected = TRAILERS[name]
    if isinstance(expected, dict):
        assert decoded(unsigned(1, CRC), b"1\r\nx\r\n0\r\n" + body, cut=cut) == (b"x", expected)
    else:
        assert refusal(unsigned(1, CRC), b"1\r\nx\r\n0\r\n" + body, cut=cut).code == expected


# --- Signed chunks ---


def altered(body: bytes, at: int) -> bytes:
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


@pytest.mark.parametrize(
    ("what", "at"),
    [
        ("data of the first chunk", 100),
        ("data of the second chunk", DOCUMENTED_TRAILER.index(b"400;") + 100),
        ("first signature", DOCUMENTED_TRAILER.index(b"=") + 1),
        ("last signature", DOCUMENTED_TRAILER.index(b"\n0;chunk-signature=") + 19),
        ("trailer", DOCUMENTED_TRAILER.index(b"sOO8")),
        ("trailer signature", DOCUMENTED_TRAILER.rindex(b":") + 2),
    ],
)
def test_a_signed_body_altered_anywhere_is_refused(what: str, at: int) -> None:
    verifier = ChunkVerifier(DOCUMENTED_TRAILER_SEED)
    assert refusal(SIGNED_TRAILER, altered(DOCUMENTED_TRAILER, at), verifier).code == "SignatureDoesNotMatch"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"1\r\nx\r\n0\r\n\r\n", "IncompleteBody"),
        (b"1;chunk-signature=\r\nx\r\n0\r\n\r\n", "IncompleteBody"),
        (b"1;chunk-signature=" + b"0" * 63 + b"\r\nx\r\n", "IncompleteBody"),
        (b"1;chunk-signature=" + b"0" * 64 + b"\r\nx\r\n", "SignatureDoesNotMatch"),
        (b"0;chunk-signature=" + b"0" * 64 + b"\r\n\r\n", "SignatureDoesNotMatch"),
    ],
)
def test_a_chunk_without_its_signature_is_refused(body: bytes, code: str) -> None:
    assert refusal(Framing(True, signed=True, decoded_bytes=1), body, ChunkVerifier(SEED)).code == code


def test_signed_chunks_in_another_order_are_refused() -> None:
    first, second = b"1" * CHUNK_MIN_BYTES, b"2" * CHUNK_MIN_BYTES
    body = framed([first, second], signer=ChunkSigner(SEED))
    framing = Framing(True, signed=True, decoded_bytes=2 * CHUNK_MIN_BYTES)
    assert decoded(framing, body, ChunkVerifier(SEED))[0] == first + second
    half = body.index(b"\r\n2000;") + 2
    end = body.index(b"\r\n0;") + 2
    swapped = body[half:end] + body[:half] + body[end:]
    assert refusal(framing, swapped, ChunkVerifier(SEED)).code == "SignatureDoesNotMatch"


def test_a_signed_trailer_needs_its_signature() -> None:
    signer = ChunkSigner(SEED)
    body = framed([b"x"], signer=signer)[:-2] + b"x-amz-checksum-crc32c:AAAAAA==\r\n\r\n"
    framing = Framing(True, True, 1, frozenset({CRC}))
    assert refusal(framing, body, ChunkVerifier(SEED)).code == "MalformedTrailerError"


def test_nothing_may_follow_the_signature_of_the_trailers() -> None:
    body = framed([b"x"], [(CRC, "AAAAAA==")], signer=ChunkSigner(SEED))[:-2] + b"x-amz-checksum-crc32:AAAAAA==\r\n\r\n"
    framing = Framing(True, True, 1, frozenset({CRC, "x-amz-checksum-crc32"}))
    assert refusal(framing, body, ChunkVerifier(SEED)).code == "MalformedTrailerError"


def test_trailers_as_minio_writes_them_are_read() -> None:
    signer = ChunkSigner(SEED)
    body = framed([b"x"], signer=signer)[:-2]
    signature = signer.trailer(b"x-amz-checksum-crc32c:AAAAAA==\n")
    body += b"x-amz-checksum-crc32c:AAAAAA==\n\r\nx-amz-trailer-signature:" + signature.encode() + b"\r\n\r\n"
    framing = Framing(True, True, 1, frozenset({CRC}))
    assert decoded(framing, body, ChunkVerifier(SEED)) == (b"x", {CRC: "AAAAAA=="})


def test_what_failed_once_cannot_go_on() -> None:
    decoder = decode(unsigned(1, CRC), None)
    with pytest.raises(RequestError):
        decoder.feed(b"nonsense\r\n")
    for call in (lambda: decoder.feed(b"1\r\nx\r\n0\r\n"), decoder.finish):
        with pytest.raises(RequestError, match="IncompleteBody"):
            call()


@given(
    body=st.lists(st.binary(max_size=20) | st.sampled_from([b"1\r\n", b"0\r\n", b"\r\n", b"x", b":"]), max_size=12).map(
        b"".join
    )
)
def test_any_bytes_are_either_decoded_or_refused_by_a_request_error(body: bytes) -> None:
    for framing, verifier in ((unsigned(1, CRC), None), (unsigned(0), None), (SIGNED, ChunkVerifier(SEED))):
        try:
            data, _ = decoded(framing, body, verifier, cut=3)
        except RequestError:
            continue
        assert len(data) == framing.decoded_bytes

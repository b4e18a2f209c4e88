"""The framing of an S3 payload: plain, or `aws-chunked` with or without signatures and trailers. Sans-IO.

What lives here: which framing the headers announce, and decoders fed with the body's bytes as they come. What
does not: the chain of signatures (auth.chunks, reached through `Verifier`), checksums (checksums), sockets
(server).

Laws: the decoded length is exactly the announced one; what follows the end is an error; memory is bounded by
one line. A chunk's bytes are handed out before its signature, which covers all of it, can be checked: nobody
may keep them for good before `finish` has returned.

Source: S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in
Multiple Chunks", and the same "Including Trailing Headers".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from s3al.errors import RequestError

CHUNK_HEADER_MAX_BYTES = 1024
TRAILERS_MAX_BYTES = 8 * 1024
CHUNK_MAX_BYTES = 5 << 30
CHUNK_MIN_BYTES = 8 * 1024  # of every chunk that another one with data follows

_CODING = "aws-chunked"
_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_TRAILER_SIGNATURE = "x-amz-trailer-signature"
_LENGTH = re.compile(r"[0-9]{1,19}")
_CHUNK_HEADER = re.compile(rb"([0-9a-fA-F]{1,16})(?:;chunk-signature=([0-9a-f]{64}))?")
_TRAILER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:[ \t]*([\x20-\x7e\t]*)")

Piece = bytes | memoryview


class Verifier(Protocol):
    """The signatures of chunks and trailers in the order they come; each method raises if one is wrong."""

    def chunk(self, signature: str, data_sha256_hex: str) -> None: ...

    def trailer(self, signature: str, canonical_trailers: bytes) -> None: ...


class Decoder(Protocol):
    """`feed` returns the plaintext among the bytes it is given; `finish` raises unless the body was whole.

    trailers: lower-case names; complete once `finish` has returned.
    """

    trailers: dict[str, str]

    def feed(self, data: bytes) -> list[Piece]: ...

    def finish(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Framing:
    """How a body is framed. decoded_bytes: its length without the framing, None if a plain body announces
    none.

    signed: each chunk carries a signature. trailer_names: what must follow the last chunk; None where no
    trailers may.
    """

    chunked: bool
    signed: bool = False
    decoded_bytes: int | None = None
    trailer_names: frozenset[str] | None = None


# x-amz-content-sha256 -> (signed, with trailers)
_STREAMING: Mapping[str, tuple[bool, bool]] = {
    "STREAMING-UNSIGNED-PAYLOAD-TRAILER": (False, True),
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": (True, False),
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": (True, True),
}


def framing_of(headers: Mapping[str, str]) -> Framing:
    """Raises NotImplemented, InvalidArgument, InvalidRequest or MissingContentLength for headers that
    contradict.
    """
    payload = headers.get("x-amz-content-sha256", "")
    names = frozenset(name for name in _tokens(headers.get("x-amz-trailer", "")))
    if not payload and names and _CODING in _tokens(headers.get("content-encoding", "")):
        payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"  # boto3 without credentials names it by these two alone
    if not payload.startswith("STREAMING-"):
        if names:
            raise RequestError("InvalidRequest", "The value specified in the x-amz-trailer header is not supported")
        return Framing(chunked=False, decoded_bytes=_length(headers.get("content-length")))
    if payload.startswith("STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"):
        raise RequestError("NotImplemented", f"{payload[:64]} is not implemented.")
    if payload not in _STREAMING:
        raise RequestError(
            "InvalidArgument",
            "x-amz-content-sha256 names no known streaming payload.",
            ArgumentName="x-amz-content-sha256",
            ArgumentValue=payload[:128],
        )
    signed, with_trailers = _STREAMING[payload]
    if names and not with_trailers:
        raise RequestError("InvalidRequest", "The value specified in the x-amz-trailer header is not supported")
    decoded_bytes = _length(headers.get("x-amz-decoded-content-length"))
    if decoded_bytes is None:
        raise RequestError("MissingContentLength")
    return Framing(True, signed, decoded_bytes, names if with_trailers else None)


def stored_content_encoding(headers: Mapping[str, str]) -> str | None:
    """Content-Encoding as the object keeps it: without `aws-chunked`, which frames the request only."""
    value = headers.get("content-encoding", "").strip()
    if _CODING in value.lower():
        kept = [coding for coding in value.split(",") if coding.strip() and coding.strip().lower() != _CODING]
        value = ",".join(kept).strip()
    return value or None


def decode(framing: Framing, verifier: Verifier | None) -> Decoder:
    """verifier: None for an anonymous request, which cannot have signed chunks (InvalidRequest)."""
    if not framing.chunked:
        return PlainBody(framing.decoded_bytes)
    if not framing.signed:
        return ChunkedBody(framing, None)
    if verifier is None:
        raise RequestError(
            "InvalidRequest",
            "Anonymous requests don't support this x-amz-content-sha256 value. "
            "Please use UNSIGNED-PAYLOAD or STREAMING-UNSIGNED-PAYLOAD-TRAILER.",
        )
    return ChunkedBody(framing, verifier)


def _tokens(value: str) -> list[str]:
    return [token.strip().lower() for token in value.split(",") if token.strip()]


def _length(text: str | None) -> int | None:
    return int(text) if text is not None and _LENGTH.fullmatch(text) else None


def _incomplete() -> RequestError:
    return RequestError("IncompleteBody")


def _malformed_trailer() -> RequestError:
    return RequestError("MalformedTrailerError")


class PlainBody:
    """A body without framing. decoded_bytes: as Content-Length says, None if it says nothing."""

    def __init__(self, decoded_bytes: int | None) -> None:
        self.trailers: dict[str, str] = {}
        self._announced = decoded_bytes
        self._seen = 0

    def feed(self, data: bytes) -> list[Piece]:
        self._seen += len(data)
        if self._announced is not None and self._seen > self._announced:
            raise _incomplete()
        return [data] if data else []

    def finish(self) -> None:
        if self._announced is not None and self._seen != self._announced:
            raise _incomplete()


# What the decoder of chunks waits for; BROKEN after any error, so that what failed once cannot go on.
_HEADER, _DATA, _DATA_END, _TRAILERS, _DONE, _BROKEN = range(6)


class ChunkedBody:
    """`size[;chunk-signature=..] CRLF data CRLF` repeated, an empty chunk, trailers, an empty line."""

    def __init__(self, framing: Framing, verifier: Verifier | None) -> None:
        self.trailers: dict[str, str] = {}
        self._verifier = verifier
        self._announced = framing.decoded_bytes or 0
        self._trailer_names = framing.trailer_names
        self._state = _HEADER
        self._held = b""  # the beginning of a line that has not ended yet
        self._seen = 0  # decoded bytes, those announced by the current chunk included
        self._left = 0  # bytes of the current chunk still to come
        self._chunk_bytes: int | None = None
        self._chunks = 0
        self._signature = b""
        self._sha256 = hashlib.sha256()
        self._canonical_trailers = bytearray()
        self._trailer_signature: str | None = None
        self._trailer_bytes = 0

    def feed(self, data: bytes) -> list[Piece]:
        state, self._state = self._state, _BROKEN
        pieces: list[Piece] = []
        position, end = 0, len(data)
        while position < end:
            if state == _DATA:
                position = self._take_data(data, position, pieces)
                state = _DATA if self._left else _DATA_END
                continue
            line, position = self._take_line(data, position, state)
            if line is not None:
                state = self._next_state(state, line)
        self._state = state
        return pieces

    def finish(self) -> None:
        if self._state != _DONE:
            raise _incomplete()

    def _take_data(self, data: bytes, position: int, pieces: list[Piece]) -> int:
        stop = min(position + self._left, len(data))
        piece: Piece = data if stop - position == len(data) else memoryview(data)[position:stop]
        self._left -= stop - position
        if self._verifier is not None:
            self._sha256.update(piece)
        pieces.append(piece)
        return stop

    def _take_line(self, data: bytes, position: int, state: int) -> tuple[bytes | None, int]:
        """A line without its CRLF, or None if it has not ended; and where to go on."""
        most = TRAILERS_MAX_BYTES if state == _TRAILERS else CHUNK_HEADER_MAX_BYTES
        window = self._held + data[position : position + most + 2]
        end = window.find(b"\r\n")
        if end < 0:
            if len(window) > most or state in (_DATA_END, _DONE):
                self._refuse_held(window, state)
            self._held = window
            return None, len(data)
        position += end + 2 - len(self._held)
        self._held = b""
        return window[:end], position

    def _refuse_held(self, window: bytes, state: int) -> None:
        """A chunk's data ends with CRLF at once, and nothing follows the end: one CR may be waiting for its
        LF.
        """
        if state == _DATA_END and window == b"\r":
            return
        raise _malformed_trailer() if state == _TRAILERS else _incomplete()

    def _next_state(self, state: int, line: bytes) -> int:
        if state == _HEADER:
            return self._begin_chunk(line)
        if state == _DATA_END:
            if line:
                raise _incomplete()
            self._end_chunk()
            return _HEADER
        if state == _TRAILERS:
            return self._take_trailer(line)
        raise _incomplete()

    def _begin_chunk(self, line: bytes) -> int:
        match = _CHUNK_HEADER.fullmatch(line)
        if match is None or (match[2] is None) != (self._verifier is None):
            raise _incomplete()
        size = int(match[1], 16)
        self._signature = match[2] or b""
        self._chunks += 1
        if size and self._chunk_bytes is not None and self._chunk_bytes < CHUNK_MIN_BYTES:
            raise RequestError(
                "InvalidChunkSizeError", Chunk=str(self._chunks - 1), BadChunkSize=str(self._chunk_bytes)
            )
        self._chunk_bytes = self._left = size
        self._seen += size
        if size > CHUNK_MAX_BYTES or self._seen > self._announced:
            raise _incomplete()
        if size:
            return _DATA
        self._end_chunk()
        if self._seen != self._announced:
            raise _incomplete()
        return _TRAILERS

    def _end_chunk(self) -> None:
        if self._verifier is not None:
            digest = self._sha256.hexdigest() if self._chunk_bytes else _EMPTY_SHA256
            self._sha256 = hashlib.sha256()
            self._verifier.chunk(self._signature.decode("ascii"), digest)

    def _take_trailer(self, line: bytes) -> int:
        self._trailer_bytes += len(line) + 2
        if self._trailer_bytes > TRAILERS_MAX_BYTES:
            raise _malformed_trailer()
        if not line:
            return self._end_trailers()
        if self._trailer_names is None:
            raise _incomplete()
        for part in line.split(b"\n"):  # some clients end a trailer with LF before the CRLF
            if part:
                self._add_trailer(part)
        return _TRAILERS

    def _add_trailer(self, line: bytes) -> None:
        match = _TRAILER.fullmatch(line)
        if match is None or self._trailer_signature is not None or self._trailer_names is None:
            raise _malformed_trailer()
        name, value = match[1].decode("ascii").lower(), match[2].decode("ascii").strip()
        if name == _TRAILER_SIGNATURE and self._verifier is not None:
            self._trailer_signature = value
            return
        if name not in self._trailer_names or name in self.trailers:
            raise _malformed_trailer()
        self.trailers[name] = value
        self._canonical_trailers += f"{name}:{value}\n".encode()

    def _end_trailers(self) -> int:
        names = self._trailer_names
        if names is None:
            return _DONE
        if names and not self.trailers and self._trailer_bytes == 2:
            return _TRAILERS  # an empty line between the last chunk and the trailers, as some clients send
        if len(self.trailers) != len(names):
            raise _malformed_trailer()
        if self._verifier is not None:
            if self._trailer_signature is None:
                raise _malformed_trailer()
            self._verifier.trailer(self._trailer_signature, bytes(self._canonical_trailers))
        return _DONE

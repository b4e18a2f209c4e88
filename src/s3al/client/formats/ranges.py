"""Ranges of plaintext: which ciphertext they need, and how it is opened.

What lives here: reading a Range header, the spans of each suite, opening a span. What does not: fetching.

Laws: a range of a stream is made of whole segments, each authenticated. A range of GCM (as CTR) and CBC is not
authenticated at all and is opened only where the caller chose that; it never shows the tag as plaintext.

Source: RFC 9110, Range; Amazon S3 Encryption Client specification, ranged gets; spec/client-stream-format.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC as CBC_MODE
from cryptography.hazmat.primitives.ciphers.modes import CTR as CTR_MODE
from cryptography.hazmat.primitives.padding import PKCS7

from s3al.client.errors import ClientConfigError, DecryptionError
from s3al.client.formats.content import Buffer, check_commitment, stream_associated_data
from s3al.client.formats.derivation import FIXED_IV
from s3al.client.formats.envelope import Envelope
from s3al.client.formats.suites import CBC, COMMITTING_GCM
from s3al.crypto.stream import HEADER_BYTES, SegmentOpener, plaintext_offset, segment_span, segments_for
from s3al.errors import IntegrityError

_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")
_BLOCK: Final = 16


@dataclass(frozen=True, slots=True)
class PlainRange:
    """Bytes [start, end) of the plaintext."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


def parse_range(header: str, total_bytes: int) -> PlainRange | None:
    """One range of an object with `total_bytes` of plaintext; None if it cannot be satisfied.

    Raises ClientConfigError for what is not one range of bytes.
    """
    matched = _RANGE.fullmatch(header.strip())
    if not matched or matched.group(1) == matched.group(2) == "":
        raise ClientConfigError("Range must be one range of bytes, such as bytes=0-99")
    first, last = matched.groups()
    if not first:
        start, end = max(0, total_bytes - int(last)), total_bytes
    else:
        start, end = int(first), min(int(last) + 1 if last else total_bytes, total_bytes)
        if last and int(last) < start:
            raise ClientConfigError("Range ends before it starts")
    return PlainRange(start, end) if start < end else None


class StreamRanges:
    """Opens ranges of one stream-format object, segment by segment, in any order, from any thread."""

    def __init__(self, envelope: Envelope, data_key: bytes, *, header: Buffer, ciphertext_bytes: int) -> None:
        """header: the first 40 bytes of the object. Raises DecryptionError, CommitmentError."""
        check_commitment(envelope, data_key)
        associated_data = stream_associated_data(envelope.message_id, envelope.segment_bytes)
        try:
            self._opener = SegmentOpener(
                data_key,
                associated_data,
                header=header,
                sealed_bytes=ciphertext_bytes,
                segment_bytes=envelope.segment_bytes,
            )
        except IntegrityError:
            raise DecryptionError from None
        self.plaintext_bytes = self._opener.plaintext_bytes
        self.segment_bytes = envelope.segment_bytes
        self.ciphertext_bytes = ciphertext_bytes

    @property
    def segments(self) -> int:
        return self._opener.segments

    def span(self, segments: range) -> tuple[int, int]:
        """[start, end) of the ciphertext of these segments, which follow each other."""
        start, _ = segment_span(segments[0], self.ciphertext_bytes, self.segment_bytes)
        last, length = segment_span(segments[-1], self.ciphertext_bytes, self.segment_bytes)
        return start, last + length

    def segments_for(self, wanted: PlainRange) -> range:
        return segments_for(wanted.start, wanted.length, self.plaintext_bytes, self.segment_bytes)

    def offset(self, segment: int) -> int:
        """Where in the plaintext a segment begins."""
        return plaintext_offset(segment, self.segment_bytes)

    def open(self, segment: int, ciphertext: Buffer) -> bytes:
        """Plaintext of one segment. Raises DecryptionError."""
        try:
            return self._opener.open(segment, ciphertext)
        except IntegrityError:
            raise DecryptionError from None

    def open_span(self, segments: range, ciphertext: Buffer) -> bytes:
        """Plaintext of segments that follow each other, from the bytes of their `span`."""
        view = memoryview(ciphertext)
        start, end = self.span(segments)
        if len(view) != end - start:
            raise DecryptionError
        parts = []
        for segment in segments:
            at, length = segment_span(segment, self.ciphertext_bytes, self.segment_bytes)
            parts.append(self.open(segment, view[at - start : at - start + length]))
        return parts[0] if len(parts) == 1 else b"".join(parts)


STREAM_HEADER_BYTES: Final = HEADER_BYTES


def unauthenticated_span(envelope: Envelope, wanted: PlainRange, ciphertext_bytes: int) -> tuple[int, int]:
    """[start, end) of the ciphertext that a legacy range needs: whole blocks, never the tag; for CBC one block more."""
    start = wanted.start - wanted.start % _BLOCK
    end = -(-wanted.end // _BLOCK) * _BLOCK
    if envelope.suite is CBC:
        return max(0, start - _BLOCK), min(end, ciphertext_bytes)
    return start, min(end, ciphertext_bytes - 16)


def open_unauthenticated(
    envelope: Envelope, data_key: bytes, wanted: PlainRange, ciphertext: Buffer, *, ciphertext_bytes: int
) -> bytes:
    """Plaintext of a legacy range, from the bytes of its span; the commitment, if there is one, is verified."""
    content_key = check_commitment(envelope, data_key)
    start, end = unauthenticated_span(envelope, wanted, ciphertext_bytes)
    if len(ciphertext) != end - start:
        raise DecryptionError
    if envelope.suite is CBC:
        plain, base = _open_cbc(envelope, content_key, ciphertext, last=end == ciphertext_bytes, start=start)
    else:
        iv = FIXED_IV if envelope.suite is COMMITTING_GCM else envelope.iv
        # GCM encrypts with CTR from block 2 of IV | counter: block 1 masks the tag.
        counter = iv + (2 + start // _BLOCK).to_bytes(4, "big")
        plain, base = Cipher(AES(content_key), CTR_MODE(counter)).decryptor().update(ciphertext), start
    return plain[wanted.start - base : wanted.end - base]


def _open_cbc(envelope: Envelope, key: bytes, ciphertext: Buffer, *, last: bool, start: int) -> tuple[bytes, int]:
    """(plaintext, its offset). The block before the range is the IV, but for the first."""
    iv, body, base = envelope.iv, memoryview(ciphertext), 0
    if start > 0:
        iv, body, base = bytes(body[:_BLOCK]), body[_BLOCK:], start + _BLOCK
    try:
        plain = Cipher(AES(key), CBC_MODE(iv)).decryptor().update(body)
        if last:
            unpadder = PKCS7(128).unpadder()
            plain = unpadder.update(plain) + unpadder.finalize()
    except ValueError:
        raise DecryptionError from None
    return plain, base

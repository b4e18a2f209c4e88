"""Reading objects with boto3: fetch, find the envelope, open the key, give the plaintext.

What lives here: `read`, `head`, ranges, and instruction files. What does not: what a body does (bodies).

Laws: one GET reads an object; a range costs one more, which brings envelope and header. All requests for one object are
pinned to the version and ETag of the first. Whatever fails closes the response.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore.exceptions import ClientError

from s3al.client.config import S3EncryptionClientConfig
from s3al.client.errors import ClientConfigError, EnvelopeError, PolicyError
from s3al.client.formats import content
from s3al.client.formats.envelope import Envelope
from s3al.client.formats.ranges import (
    STREAM_HEADER_BYTES,
    PlainRange,
    StreamRanges,
    open_unauthenticated,
    parse_range,
    unauthenticated_span,
)
from s3al.client.formats.suites import STREAM
from s3al.client.formats.text import MAX_INSTRUCTION_FILE_BYTES
from s3al.client.transfer.bodies import (
    CHUNK_BYTES,
    DecryptedBody,
    Exactly,
    Readable,
    opened_as_it_comes,
    opened_when_authenticated,
)
from s3al.client.transfer.envelopes import envelope_of, without_instruction_file, wrapped_key_of
from s3al.client.transfer.instruction_files import is_missing
from s3al.client.transfer.parameters import (
    OwnParameters,
    for_further_gets,
    for_instruction_file,
    known,
    of_plaintext,
    take_own,
    total_bytes,
)


def read(s3: Any, config: S3EncryptionClientConfig, given: Mapping[str, Any]) -> dict[str, Any]:
    """GetObject of the plaintext. given: parameters of GetObject and our own."""
    parameters = dict(given)
    own = take_own(config, parameters)
    if "PartNumber" in parameters:
        raise ClientConfigError("parts of an encrypted object cannot be read by number", advice="Use Range.")
    if "Range" in parameters:
        return _read_range(s3, config, parameters, own)
    answer = s3.get_object(**parameters)
    source: Readable = answer["Body"]
    try:
        envelope = find_envelope(s3, config, parameters, own, answer.get("Metadata") or {})
        data_key = config.keyring.unwrap(envelope.suite, wrapped_key_of(envelope), own.context)
        body = decrypted(config, envelope, data_key, source, length=answer["ContentLength"])
        shown = of_plaintext(answer, envelope, answer["ContentLength"])
    except BaseException:
        source.close()
        raise
    return shown | {"Body": body}


def decrypted(
    config: S3EncryptionClientConfig, envelope: Envelope, data_key: bytes, source: Readable, *, length: int | None
) -> DecryptedBody:
    """The plaintext of a whole body. Raises CommitmentError at once; DecryptionError as it is read."""

    def make_opener() -> content.Opener:
        return content.opener(envelope, data_key, ciphertext_bytes=length)

    opener = make_opener()
    if opener.authenticates_chunks or config.enable_delayed_authentication:
        pieces = opened_as_it_comes(source, opener)
    else:
        pieces = opened_when_authenticated(
            source, opener, make_opener, memory_bytes=config.spool_memory_bytes, length=length
        )
    return DecryptedBody(pieces, source.close)


def find_envelope(
    s3: Any,
    config: S3EncryptionClientConfig,
    parameters: Mapping[str, Any],
    own: OwnParameters,
    metadata: Mapping[str, str],
) -> Envelope:
    """The envelope from metadata, or from the instruction file if it must be there."""
    envelope = envelope_of(config, metadata)
    if envelope is not None:
        return envelope
    instruction = fetch_instruction_file(s3, parameters, own.suffix)
    found = envelope_of(config, metadata, instruction)
    assert found is not None
    return found


def fetch_instruction_file(s3: Any, parameters: Mapping[str, Any], suffix: str) -> bytes:
    """Its body, bounded. Raises PlaintextObjectError if there is none."""
    try:
        answer = s3.get_object(**for_instruction_file(s3, "GetObject", parameters, suffix))
    except ClientError as exc:
        if is_missing(exc):
            raise without_instruction_file() from None
        raise
    with answer["Body"] as body:
        found: bytes = body.read(MAX_INSTRUCTION_FILE_BYTES + 1)
    if len(found) > MAX_INSTRUCTION_FILE_BYTES:
        raise EnvelopeError("the instruction file is too long to be one")
    return found


def head(s3: Any, config: S3EncryptionClientConfig, given: Mapping[str, Any]) -> dict[str, Any]:
    """HeadObject as it is for the plaintext. No key is asked for."""
    parameters = dict(given)
    own = take_own(config, parameters)
    refuse_partial_head(parameters)
    answer = s3.head_object(**parameters)
    envelope = find_envelope(s3, config, parameters, own, answer.get("Metadata") or {})
    return of_plaintext(answer, envelope, answer["ContentLength"])


def refuse_partial_head(parameters: Mapping[str, Any]) -> None:
    """Raises ClientConfigError for a HEAD of a part or a range, whose length says nothing of the plaintext."""
    if parameters.keys() & {"PartNumber", "Range"}:
        raise ClientConfigError("only a whole encrypted object has a head", advice="Leave out PartNumber and Range.")


@dataclass(frozen=True, slots=True)
class RangeReader:
    """Reads ranges of one object's plaintext, any number of them, from any thread. Every request is pinned."""

    answer: Mapping[str, Any]  # of the first request, as it is for the plaintext
    envelope: Envelope
    length: int  # bytes of plaintext
    span_of: Callable[[PlainRange], tuple[int, int]]
    fetch: Callable[[int, int], Any]  # [start, end) of ciphertext -> response
    open_span: Callable[[PlainRange, bytes], bytes]
    pieces_of: Callable[[PlainRange, Readable], Iterator[bytes]]

    def read(self, wanted: PlainRange) -> bytes:
        """The bytes of a range that lies within the object. Raises DecryptionError."""
        start, end = self.span_of(wanted)
        with self.fetch(start, end)["Body"] as body:
            return self.open_span(wanted, body.read())

    def prove_length(self) -> None:
        """Open the end of the object: then its length is authenticated too, not only what is read."""
        if self.envelope.suite is STREAM:
            self.read(PlainRange(max(0, self.length - 1), self.length))


def range_reader(
    s3: Any, config: S3EncryptionClientConfig, parameters: Mapping[str, Any], own: OwnParameters
) -> RangeReader:
    """One GET of the first bytes brings envelope, length, header. Raises PolicyError for what no range can prove."""
    answer = first_bytes(s3, known(s3, "GetObject", parameters))
    with answer["Body"] as body:
        header: bytes = body.read(STREAM_HEADER_BYTES)
    envelope = find_envelope(s3, config, parameters, own, answer.get("Metadata") or {})
    check_ranges(config, envelope)
    data_key = config.keyring.unwrap(envelope.suite, wrapped_key_of(envelope), own.context)
    pinned = for_further_gets(parameters, answer)

    def fetch(start: int, end: int) -> Any:
        return s3.get_object(**pinned, Range=f"bytes={start}-{end - 1}")

    return reader_of(answer, header, envelope, data_key, fetch)


FIRST_BYTES: Final = {"Range": f"bytes=0-{STREAM_HEADER_BYTES - 1}"}


def first_bytes(s3: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The GET that brings envelope and header. An empty object has no first byte, but it too says what it is."""
    try:
        return dict(s3.get_object(**parameters, **FIRST_BYTES))
    except ClientError as exc:
        if not is_empty(exc):
            raise
        return dict(s3.get_object(**parameters))


def is_empty(exc: ClientError) -> bool:
    return exc.response.get("Error", {}).get("Code") in {"InvalidRange", "416"}


def check_ranges(config: S3EncryptionClientConfig, envelope: Envelope) -> None:
    """Raises PolicyError for what a range cannot authenticate, unless the caller chose that."""
    if envelope.suite is not STREAM and not config.enable_legacy_unauthenticated_modes:
        raise PolicyError(
            f"a range of a {envelope.object_format.value} object cannot be authenticated",
            advice="Write with format='stream', or set enable_legacy_unauthenticated_modes=True.",
        )


def reader_of(
    answer: dict[str, Any], header: bytes, envelope: Envelope, data_key: bytes, fetch: Callable[[int, int], Any]
) -> RangeReader:
    """answer: of the GET that brought the first bytes, `header`. fetch: [start, end) of ciphertext -> response."""
    ciphertext_bytes = total_bytes(answer)
    shown = of_plaintext(answer, envelope, ciphertext_bytes)
    if envelope.suite is STREAM:
        ranges = StreamRanges(envelope, data_key, header=header, ciphertext_bytes=ciphertext_bytes)
        return _stream_reader(shown, envelope, ranges, fetch)
    return _legacy_reader(shown, envelope, data_key, fetch, ciphertext_bytes=ciphertext_bytes)


def _stream_reader(
    shown: Mapping[str, Any], envelope: Envelope, ranges: StreamRanges, fetch: Callable[[int, int], Any]
) -> RangeReader:
    def span_of(wanted: PlainRange) -> tuple[int, int]:
        return ranges.span(ranges.segments_for(wanted))

    def open_span(wanted: PlainRange, ciphertext: bytes) -> bytes:
        segments = ranges.segments_for(wanted)
        base = ranges.offset(segments[0])
        plain = ranges.open_span(segments, ciphertext)
        whole = wanted.start == base and len(plain) == wanted.length
        return plain if whole else plain[wanted.start - base : wanted.end - base]

    def pieces_of(wanted: PlainRange, source: Readable) -> Iterator[bytes]:
        segments = ranges.segments_for(wanted)
        for segment in segments:
            begin, end = ranges.span(range(segment, segment + 1))
            base = ranges.offset(segment)
            plain = ranges.open(segment, _read_exactly(source, end - begin))
            yield plain[max(0, wanted.start - base) : wanted.end - base]
        source.close()

    return RangeReader(shown, envelope, ranges.plaintext_bytes, span_of, fetch, open_span, pieces_of)


def _legacy_reader(
    shown: Mapping[str, Any],
    envelope: Envelope,
    data_key: bytes,
    fetch: Callable[[int, int], Any],
    *,
    ciphertext_bytes: int,
) -> RangeReader:
    length = envelope.plaintext_bytes(ciphertext_bytes)
    if length is None:
        raise PolicyError("the object does not tell the length of its plaintext, which a range needs")

    def span_of(wanted: PlainRange) -> tuple[int, int]:
        return unauthenticated_span(envelope, wanted, ciphertext_bytes)

    def open_span(wanted: PlainRange, ciphertext: bytes) -> bytes:
        return open_unauthenticated(envelope, data_key, wanted, ciphertext, ciphertext_bytes=ciphertext_bytes)

    def pieces_of(wanted: PlainRange, source: Readable) -> Iterator[bytes]:
        # By stretches of whole blocks, each with what it needs from before it, so that memory stays bounded.
        at, carried = wanted.start, b""
        while at < wanted.end:
            stretch = PlainRange(at, min(wanted.end, at - at % 16 + CHUNK_BYTES))
            start, end = span_of(stretch)
            ciphertext = carried + _read_exactly(source, end - start - len(carried))
            yield open_span(stretch, ciphertext)
            at = stretch.end
            kept = end - span_of(PlainRange(at, at + 1))[0] if at < wanted.end else 0
            carried = ciphertext[len(ciphertext) - kept :] if kept else b""
        source.close()

    return RangeReader(shown, envelope, length, span_of, fetch, open_span, pieces_of)


def _read_range(
    s3: Any, config: S3EncryptionClientConfig, parameters: dict[str, Any], own: OwnParameters
) -> dict[str, Any]:
    header = parameters.pop("Range")
    reader = range_reader(s3, config, parameters, own)
    wanted = parse_range(header, reader.length)
    if wanted is None:
        raise not_satisfiable(reader.length)
    start, end = reader.span_of(wanted)
    response = reader.fetch(start, end)
    body = DecryptedBody(reader.pieces_of(wanted, response["Body"]), response["Body"].close)
    return {
        **reader.answer,
        "ContentLength": wanted.length,
        "ContentRange": f"bytes {wanted.start}-{wanted.end - 1}/{reader.length}",
        "Body": body,
    }


def not_satisfiable(length: int) -> ClientError:
    """As S3 says it of plaintext."""
    message = "The requested range is not satisfiable"
    error = {"Code": "InvalidRange", "Message": message, "ActualObjectSize": str(length)}
    return ClientError({"Error": error, "ResponseMetadata": {"HTTPStatusCode": 416}}, "GetObject")


def _read_exactly(source: Readable, length: int) -> bytes:
    parts = []
    exactly = Exactly(source, length)
    while length:
        part = exactly.read(length)
        parts.append(part)
        length -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)

"""Envelopes: what stands beside the ciphertext, read from metadata and instruction file and written to them.

What lives here: detection and decoding of V1, V2, V3 and stream, encoding of V2, V3 and stream, and every rule against
taking one for another. What does not: opening the data key (keyrings) or the content (content).

Laws: exactly one format; each entry is where its format puts it; the tables of V2 and V3 are never mixed; names are
compared in lower case; an empty value is an absent one (Go writes such); what is unknown is refused.
Not detected here: metadata replaced as a whole by that of another object; the content does not open then.

Source: Amazon S3 Encryption Client specification, content metadata; spec/client-stream-format.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from s3al.client.errors import EnvelopeError, PlaintextObjectError
from s3al.client.formats.derivation import COMMITMENT_BYTES, MESSAGE_ID_BYTES
from s3al.client.formats.suites import (
    CBC,
    COMMITTING_GCM,
    GCM,
    GCM_TAG_BYTES,
    STREAM,
    V3_WRAP_CODES,
    AlgorithmSuite,
    ObjectFormat,
    WrapAlgorithm,
)
from s3al.client.formats.text import decode_binary, decode_description, encode_binary, encode_description
from s3al.crypto.stream import DEFAULT_SEGMENT_BYTES, MAX_SEGMENT_BYTES, MIN_SEGMENT_BYTES, plaintext_bytes
from s3al.errors import IntegrityError

STREAM_ID_BYTES: Final = 32
STREAM_COMMITMENT_BYTES: Final = 32
_PLAIN_LENGTH: Final = "x-amz-unencrypted-content-length"
_KEY_NAMES: Final = {
    "x-amz-key": ObjectFormat.V1,
    "x-amz-key-v2": ObjectFormat.V2,
    "x-amz-3": ObjectFormat.V3,
    "s3al-key": ObjectFormat.STREAM,
}
# Entries that stand on the object also when the key stands in an instruction file, and never in that file.
_V3_ON_OBJECT: Final = frozenset({"x-amz-c", "x-amz-d", "x-amz-i"})
_STREAM_ON_OBJECT: Final = frozenset({"s3al-stream", "s3al-commitment", "s3al-id", "s3al-segment"})
_V3_WITH_KEY: Final = frozenset({"x-amz-3", "x-amz-w", "x-amz-t", "x-amz-m"})
_STREAM_WITH_KEY: Final = frozenset({"s3al-key", "s3al-wrap", "s3al-context"})
_OLD: Final = frozenset(
    {"x-amz-key", "x-amz-key-v2", "x-amz-iv", "x-amz-matdesc", "x-amz-wrap-alg", "x-amz-cek-alg", "x-amz-tag-len"}
)
ENVELOPE_NAMES: Final = (
    _OLD | {_PLAIN_LENGTH} | _V3_ON_OBJECT | _V3_WITH_KEY | _STREAM_ON_OBJECT | _STREAM_WITH_KEY
    | {"x-amz-crypto-instr-file"}
)  # fmt: skip
_V2_SUITES: Final = {GCM.value: GCM, CBC.value: CBC}
_V3_SUITES: Final = {COMMITTING_GCM.value: COMMITTING_GCM}
_WRAPS_BY_CODE: Final = {code: wrap for wrap, code in V3_WRAP_CODES.items()}
_IV_BYTES: Final = {GCM: 12, CBC: 16}
_AES_WRAPPED_BYTES: Final = 48  # V1 without x-amz-wrap-alg: more than this is RSA


@dataclass(frozen=True, slots=True)
class Envelope:
    """One object's encryption, decoded. message_id: of V3 and stream; iv: of V1 and V2."""

    object_format: ObjectFormat
    suite: AlgorithmSuite
    wrap: WrapAlgorithm
    wrapped_key: bytes = field(repr=False)
    description: Mapping[str, str]  # encryption context with KMS, materials description otherwise
    iv: bytes = b""
    message_id: bytes = b""
    commitment: bytes = b""
    segment_bytes: int = DEFAULT_SEGMENT_BYTES
    claimed_plaintext_bytes: int | None = None
    in_instruction_file: bool = False

    def plaintext_bytes(self, ciphertext_bytes: int) -> int | None:
        """Bytes of plaintext in so many of ciphertext; None if only decrypting would tell. Raises EnvelopeError."""
        if self.suite is STREAM:
            return stream_plaintext_bytes(ciphertext_bytes, self.segment_bytes)
        if self.suite is CBC:
            claimed = self.claimed_plaintext_bytes
            return claimed if claimed is not None and 0 < ciphertext_bytes - claimed <= 16 else None
        if ciphertext_bytes < GCM_TAG_BYTES:
            raise EnvelopeError("the object is shorter than its tag")
        return ciphertext_bytes - GCM_TAG_BYTES


def stream_plaintext_bytes(ciphertext_bytes: int, segment_bytes: int) -> int:
    """Plaintext of a stream of so many bytes. Raises EnvelopeError if no stream has that length."""
    try:
        return plaintext_bytes(ciphertext_bytes, segment_bytes)
    except (IntegrityError, ValueError):
        raise EnvelopeError("no object of the stream format has this length") from None


def entries_of(metadata: Mapping[str, str]) -> dict[str, str]:
    """The entries of an envelope among user metadata: lower-case names, empty values left out."""
    found: dict[str, str] = {}
    for name, value in metadata.items():
        lower = name.lower()
        if lower in ENVELOPE_NAMES and value != "" and found.setdefault(lower, value) != value:
            raise EnvelopeError(f"the metadata entry {lower} stands twice")
    return found


def user_metadata(metadata: Mapping[str, str]) -> dict[str, str]:
    """User metadata without the entries of the envelope."""
    return {name: value for name, value in metadata.items() if name.lower() not in ENVELOPE_NAMES}


def key_is_elsewhere(entries: Mapping[str, str]) -> bool:
    """Whether the wrapped key, if there is one at all, must stand in an instruction file."""
    return not any(name in entries for name in _KEY_NAMES)


def may_be_encrypted(entries: Mapping[str, str]) -> bool:
    """False when nothing on the object speaks of encryption: only an instruction file could."""
    return bool(entries)


def decode(entries: Mapping[str, str], instruction: Mapping[str, str] | None = None) -> Envelope:
    """The envelope from `entries_of` the object and, if its key is there, the entries of the instruction file.

    Raises PlaintextObjectError if there is none, EnvelopeError for whatever no format says.
    """
    if instruction is None:
        return _decode_joined(entries, in_instruction_file=False)
    given = {name: value for name, value in instruction.items() if value != ""}
    if not key_is_elsewhere(entries):
        raise EnvelopeError("the object has its key in its metadata and in an instruction file")
    unknown = given.keys() - ENVELOPE_NAMES
    if unknown:
        raise EnvelopeError("the instruction file holds entries that are none of an instruction file's")
    if given.keys() & (_V3_ON_OBJECT | _STREAM_ON_OBJECT):
        raise EnvelopeError("the instruction file holds entries that only the object may have")
    old = given.keys() & _OLD
    if old and entries.keys() - {_PLAIN_LENGTH}:
        raise EnvelopeError("encryption metadata stands both on the object and in its instruction file")
    return _decode_joined({**entries, **given}, in_instruction_file=True)


def _decode_joined(entries: Mapping[str, str], *, in_instruction_file: bool) -> Envelope:
    formats = {object_format for name, object_format in _KEY_NAMES.items() if name in entries}
    if not formats:
        if not entries.keys() - {_PLAIN_LENGTH, "x-amz-crypto-instr-file"}:
            raise PlaintextObjectError("the object is not encrypted by a client")
        raise EnvelopeError("the object's encryption metadata has no wrapped key")
    if len(formats) > 1:
        raise EnvelopeError("the object's encryption metadata is of several formats")
    object_format = formats.pop()
    _refuse_foreign_entries(object_format, entries)
    if object_format is ObjectFormat.V3:
        return _decode_v3(entries, in_instruction_file)
    if object_format is ObjectFormat.STREAM:
        return _decode_stream(entries, in_instruction_file)
    return _decode_old(object_format, entries, in_instruction_file)


def _refuse_foreign_entries(object_format: ObjectFormat, entries: Mapping[str, str]) -> None:
    v3, stream = _V3_ON_OBJECT | _V3_WITH_KEY, _STREAM_ON_OBJECT | _STREAM_WITH_KEY
    foreign = {
        ObjectFormat.V1: v3 | stream,
        ObjectFormat.V2: v3 | stream,
        ObjectFormat.V3: _OLD | stream,
        ObjectFormat.STREAM: _OLD | v3,
    }[object_format]
    if entries.keys() & foreign:
        raise EnvelopeError("the object's encryption metadata is of several formats")


def _decode_old(object_format: ObjectFormat, entries: Mapping[str, str], in_instruction_file: bool) -> Envelope:
    is_v1 = object_format is ObjectFormat.V1
    name = "x-amz-key" if is_v1 else "x-amz-key-v2"
    wrapped_key = _binary(entries, name)
    suite = _old_suite(entries, is_v1=is_v1)
    _check_tag_length(entries, suite)
    return Envelope(
        object_format=object_format,
        suite=suite,
        wrap=_old_wrap(entries, wrapped_key, is_v1=is_v1),
        wrapped_key=wrapped_key,
        description=_description(entries, "x-amz-matdesc"),
        iv=_binary(entries, "x-amz-iv", _IV_BYTES[suite]),
        claimed_plaintext_bytes=_plain_length(entries),
        in_instruction_file=in_instruction_file,
    )


def _old_suite(entries: Mapping[str, str], *, is_v1: bool) -> AlgorithmSuite:
    named = entries.get("x-amz-cek-alg")
    if named is None and is_v1:
        return CBC
    suite = _V2_SUITES.get(named or "")
    if suite is None or (is_v1 and suite is not CBC):
        raise EnvelopeError("the object's content encryption algorithm is unknown in its format")
    return suite


def _old_wrap(entries: Mapping[str, str], wrapped_key: bytes, *, is_v1: bool) -> WrapAlgorithm:
    named = entries.get("x-amz-wrap-alg")
    if named is None:
        if not is_v1:
            raise EnvelopeError("the metadata entry x-amz-wrap-alg is missing")
        return WrapAlgorithm.RSA if len(wrapped_key) > _AES_WRAPPED_BYTES else WrapAlgorithm.AES
    try:
        wrap = WrapAlgorithm(named)
    except ValueError:
        raise EnvelopeError("the object's key wrapping algorithm is unknown") from None
    if is_v1 and not wrap.legacy:
        raise EnvelopeError("the object's key wrapping algorithm is unknown in its format")
    return wrap


def _check_tag_length(entries: Mapping[str, str], suite: AlgorithmSuite) -> None:
    named = entries.get("x-amz-tag-len")
    if named is not None and named != ("128" if suite is GCM else "0"):
        raise EnvelopeError("the object's tag length is not that of its algorithm")


def _decode_v3(entries: Mapping[str, str], in_instruction_file: bool) -> Envelope:
    suite = _V3_SUITES.get(_text(entries, "x-amz-c"))
    wrap = _WRAPS_BY_CODE.get(_text(entries, "x-amz-w"))
    if suite is None or wrap is None:
        raise EnvelopeError("an algorithm of the object is unknown in its format")
    mine, other = ("x-amz-t", "x-amz-m") if wrap.with_kms else ("x-amz-m", "x-amz-t")
    if _description(entries, other):
        raise EnvelopeError(f"the metadata entry {other} does not belong to the object's key wrapping algorithm")
    return Envelope(
        object_format=ObjectFormat.V3,
        suite=suite,
        wrap=wrap,
        wrapped_key=_binary(entries, "x-amz-3"),
        description=_description(entries, mine),
        message_id=_binary(entries, "x-amz-i", MESSAGE_ID_BYTES),
        commitment=_binary(entries, "x-amz-d", COMMITMENT_BYTES),
        claimed_plaintext_bytes=_plain_length(entries),
        in_instruction_file=in_instruction_file,
    )


def _decode_stream(entries: Mapping[str, str], in_instruction_file: bool) -> Envelope:
    if _text(entries, "s3al-stream") != "1":
        raise EnvelopeError("the object is of a version of the stream format that is not known here")
    try:
        wrap = WrapAlgorithm(_text(entries, "s3al-wrap"))
    except ValueError:
        raise EnvelopeError("the object's key wrapping algorithm is unknown") from None
    segment_bytes = _number(entries, "s3al-segment")
    if wrap.legacy or segment_bytes is None or not MIN_SEGMENT_BYTES <= segment_bytes <= MAX_SEGMENT_BYTES:
        raise EnvelopeError("an algorithm or size of the object is not one of its format")
    return Envelope(
        object_format=ObjectFormat.STREAM,
        suite=STREAM,
        wrap=wrap,
        wrapped_key=_binary(entries, "s3al-key"),
        description=_description(entries, "s3al-context"),
        message_id=_binary(entries, "s3al-id", STREAM_ID_BYTES),
        commitment=_binary(entries, "s3al-commitment", STREAM_COMMITMENT_BYTES),
        segment_bytes=segment_bytes,
        in_instruction_file=in_instruction_file,
    )


def encode(envelope: Envelope) -> dict[str, str]:
    """The entries of an envelope that is to be written. Raises ValueError for formats that are only read."""
    if envelope.object_format is ObjectFormat.V3:
        return _encode_v3(envelope)
    if envelope.object_format is ObjectFormat.STREAM:
        return _encode_stream(envelope)
    if envelope.object_format is not ObjectFormat.V2 or envelope.suite is not GCM:
        raise ValueError("this format is only read")
    return {
        "x-amz-key-v2": encode_binary(envelope.wrapped_key),
        "x-amz-iv": encode_binary(envelope.iv),
        "x-amz-matdesc": encode_description(envelope.description),
        "x-amz-wrap-alg": envelope.wrap.value,
        "x-amz-cek-alg": envelope.suite.value,
        "x-amz-tag-len": "128",
    }


def _encode_v3(envelope: Envelope) -> dict[str, str]:
    entries = {
        "x-amz-c": envelope.suite.value,
        "x-amz-3": encode_binary(envelope.wrapped_key),
        "x-amz-w": V3_WRAP_CODES[envelope.wrap],
        "x-amz-d": encode_binary(envelope.commitment),
        "x-amz-i": encode_binary(envelope.message_id),
    }
    if envelope.description:
        entries["x-amz-t" if envelope.wrap.with_kms else "x-amz-m"] = encode_description(envelope.description)
    return entries


def _encode_stream(envelope: Envelope) -> dict[str, str]:
    entries = {
        "s3al-stream": "1",
        "s3al-key": encode_binary(envelope.wrapped_key),
        "s3al-wrap": envelope.wrap.value,
        "s3al-commitment": encode_binary(envelope.commitment),
        "s3al-id": encode_binary(envelope.message_id),
        "s3al-segment": str(envelope.segment_bytes),
    }
    if envelope.description:
        entries["s3al-context"] = encode_description(envelope.description)
    return entries


def split_for_instruction_file(entries: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """(entries on the object, entries in the instruction file)."""
    stay = _V3_ON_OBJECT | _STREAM_ON_OBJECT
    on_object = {name: value for name, value in entries.items() if name in stay}
    return on_object, {name: value for name, value in entries.items() if name not in stay}


def _text(entries: Mapping[str, str], name: str) -> str:
    try:
        return entries[name]
    except KeyError:
        raise EnvelopeError(f"the metadata entry {name} is missing") from None


def _binary(entries: Mapping[str, str], name: str, length: int | None = None) -> bytes:
    value = decode_binary(name, _text(entries, name))
    if not value or (length is not None and len(value) != length):
        raise EnvelopeError(f"the metadata entry {name} does not have its length")
    return value


def _description(entries: Mapping[str, str], name: str) -> Mapping[str, str]:
    return MappingProxyType(decode_description(name, entries.get(name, "")))


def _number(entries: Mapping[str, str], name: str) -> int | None:
    value = entries.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdecimal() and len(value) <= 15):
        raise EnvelopeError(f"the metadata entry {name} is not a number")
    return int(value)


def _plain_length(entries: Mapping[str, str]) -> int | None:
    return _number(entries, _PLAIN_LENGTH)

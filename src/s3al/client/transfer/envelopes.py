"""From settings to a write and from metadata to a data key: the decisions that both clients share.

What lives here: preparing a write, and the order of checks of a read. What does not: S3 calls.

Laws: a read goes detect, decode, policy, legacy switch, keyring, commitment: nothing is asked of a KMS for an object
that may not be read. A write draws all its randomness here, once.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from s3al.client.config import S3EncryptionClientConfig
from s3al.client.errors import PlaintextObjectError, PolicyError
from s3al.client.formats import content
from s3al.client.formats.content import Randomness
from s3al.client.formats.envelope import (
    Envelope,
    decode,
    encode,
    entries_of,
    key_is_elsewhere,
    split_for_instruction_file,
)
from s3al.client.formats.suites import COMMITTING_GCM, STREAM, AlgorithmSuite, ObjectFormat
from s3al.client.formats.text import decode_instruction_file
from s3al.client.keyrings.port import DataKey, WrappedKey

INSTRUCTION_MARK = "x-amz-crypto-instr-file"
_FORMATS = {COMMITTING_GCM: ObjectFormat.V3, STREAM: ObjectFormat.STREAM}


@dataclass(frozen=True, slots=True)
class Writing:
    """One object about to be written. entries: for its metadata; instruction: body of its instruction file, if any."""

    envelope: Envelope
    sealer: content.Sealer
    entries: Mapping[str, str]
    instruction: bytes | None = field(repr=False)


def prepare_write(
    config: S3EncryptionClientConfig, data_key: DataKey, suite: AlgorithmSuite, *, instruction_file: bool
) -> Writing:
    """Seal under `data_key`, with fresh randomness."""
    message_bytes, stream_bytes = Randomness.bytes_needed(suite)
    message = os.urandom(message_bytes)
    content_key, commitment = content.keys_of(suite, data_key.plaintext, message)
    object_format = _FORMATS.get(suite, ObjectFormat.V2)
    envelope = Envelope(
        object_format=object_format,
        suite=suite,
        wrap=data_key.wrapped.wrap,
        wrapped_key=data_key.wrapped.ciphertext,
        description=data_key.wrapped.description,
        iv=message if object_format is ObjectFormat.V2 else b"",
        message_id=b"" if object_format is ObjectFormat.V2 else message,
        commitment=commitment,
        segment_bytes=config.segment_bytes,
    )
    entries, instruction = encode(envelope), None
    if instruction_file:
        entries, beside = split_for_instruction_file(entries)
        instruction = instruction_body(beside)
    sealer = content.sealer(envelope, content_key, stream_random=os.urandom(stream_bytes))
    return Writing(envelope, sealer, entries, instruction)


def instruction_body(entries: Mapping[str, str]) -> bytes:
    return json.dumps(dict(entries), separators=(",", ":")).encode("ascii")


def envelope_of(
    config: S3EncryptionClientConfig, metadata: Mapping[str, str], instruction: bytes | None = None
) -> Envelope | None:
    """The envelope, its policy checked; None if an instruction file must be fetched first.

    instruction: the file's body, when it was fetched. Raises what stands in `errors`.
    """
    entries = entries_of(metadata)
    if instruction is None:
        if key_is_elsewhere(entries):
            if config.instruction_file_config.disable_get_object:
                raise PlaintextObjectError("the object has no wrapped key, and instruction files are not looked for")
            return None
        envelope = decode(entries)
    else:
        envelope = decode(entries, decode_instruction_file(instruction))
    check_policy(config, envelope)
    return envelope


def check_policy(config: S3EncryptionClientConfig, envelope: Envelope) -> None:
    """Raises PolicyError before any key is asked for."""
    config.commitment_policy.check_decrypt(envelope.suite)
    if envelope.suite.legacy and not config.enable_legacy_unauthenticated_modes:
        raise PolicyError(
            f"the object is encrypted with {envelope.suite.name}, which does not authenticate it",
            advice="enable_legacy_unauthenticated_modes=True reads it.",
        )


def wrapped_key_of(envelope: Envelope) -> WrappedKey:
    return WrappedKey(envelope.wrap, envelope.wrapped_key, envelope.description)


def without_instruction_file() -> PlaintextObjectError:
    """What a missing instruction file means."""
    return PlaintextObjectError(
        "the object is not encrypted by a client: neither its metadata nor a file beside it says so"
    )


def details(envelope: Envelope) -> dict[str, object]:
    """What callers are shown about an object's encryption."""
    return {
        "Format": envelope.object_format.value,
        "Algorithm": envelope.suite.name,
        "WrapAlgorithm": envelope.wrap.value,
        "Description": dict(envelope.description),
        "InstructionFile": envelope.in_instruction_file,
    }

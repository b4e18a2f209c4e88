"""Lists with the lengths of plaintext.

What lives here: turning the entries of a list. What does not: listing.

Laws: a list does not tell how an object was encrypted, so each is asked, in parallel and bounded; an object that no
client encrypted keeps its size, and one that vanishes meanwhile keeps what the list said. No key is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import unquote_plus

from botocore.exceptions import ClientError

from s3al.client.config import S3EncryptionClientConfig
from s3al.client.errors import EnvelopeError, PlaintextObjectError
from s3al.client.formats.envelope import decode, entries_of, key_is_elsewhere, stream_plaintext_bytes
from s3al.client.formats.suites import GCM_TAG_BYTES
from s3al.client.formats.text import MAX_INSTRUCTION_FILE_BYTES, decode_instruction_file

_PARALLEL: Final = 16
_PLACE: Final = ("Bucket", "ExpectedBucketOwner", "RequestPayer")


def with_plaintext_lengths(
    s3: Any, config: S3EncryptionClientConfig, parameters: Mapping[str, Any], answer: dict[str, Any]
) -> dict[str, Any]:
    """`answer` of ListObjects(V2), each Size that of the plaintext; CiphertextSize is what is stored.

    parameters: of the list; who asked for keys in URL encoding got them so.
    """
    entries: list[dict[str, Any]] = answer.get("Contents") or []
    if not entries or not config.list_plaintext_lengths:
        return answer
    suffix = config.instruction_file_config.suffix
    key_of = unquote_plus if parameters.get("EncodingType") == "url" else str
    keys = {key_of(entry["Key"]) for entry in entries}
    place = {name: parameters[name] for name in _PLACE if name in parameters}

    def length_of(entry: Mapping[str, Any]) -> int | None:
        key = key_of(entry["Key"])
        beside = f"{key}{suffix}"
        return _plaintext_bytes(s3, place, key, beside if beside in keys else None)

    with ThreadPoolExecutor(min(_PARALLEL, len(entries)), thread_name_prefix="s3al-list") as threads:
        lengths = list(threads.map(length_of, entries))
    changed = [
        entry if length is None else {**entry, "Size": length, "CiphertextSize": entry["Size"]}
        for entry, length in zip(entries, lengths, strict=True)
    ]
    return {**answer, "Contents": changed}


def _plaintext_bytes(s3: Any, place: Mapping[str, Any], key: str, instruction_file: str | None) -> int | None:
    """None if the object is not encrypted, or nothing but decrypting would tell."""
    try:
        head = s3.head_object(**place, Key=key)
        entries, ciphertext_bytes = entries_of(head.get("Metadata") or {}), int(head["ContentLength"])
        if not key_is_elsewhere(entries):
            return decode(entries).plaintext_bytes(ciphertext_bytes)
        if instruction_file is None:
            return _length_without_key(entries, ciphertext_bytes)
        with s3.get_object(**place, Key=instruction_file)["Body"] as body:
            found = decode_instruction_file(body.read(MAX_INSTRUCTION_FILE_BYTES))
        return decode(entries, found).plaintext_bytes(ciphertext_bytes)
    except (ClientError, EnvelopeError, PlaintextObjectError):
        return None


def _length_without_key(entries: Mapping[str, str], ciphertext_bytes: int) -> int | None:
    """V3 and stream tell it by what stands on the object, wherever the instruction file is."""
    if entries.get("x-amz-c") == "115" and ciphertext_bytes >= GCM_TAG_BYTES:
        return ciphertext_bytes - GCM_TAG_BYTES
    segment_bytes = entries.get("s3al-segment", "")
    if "s3al-stream" in entries and segment_bytes.isdecimal():
        return stream_plaintext_bytes(ciphertext_bytes, int(segment_bytes))
    return None


class PlaintextPaginator:
    """boto3's paginator of a list, its pages turned."""

    def __init__(self, s3: Any, config: S3EncryptionClientConfig, operation: str) -> None:
        self._s3 = s3
        self._config = config
        self._paginator = s3.get_paginator(operation)

    def paginate(self, **given: Any) -> Iterator[dict[str, Any]]:
        for page in self._paginator.paginate(**given):
            yield with_plaintext_lengths(self._s3, self._config, given, page)

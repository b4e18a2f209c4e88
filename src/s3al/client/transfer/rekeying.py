"""Other keys for old objects: copies, re-encryption, and instruction files wrapped anew.

What lives here: copy_object with its envelope, copy between keys, re-encryption of an instruction file. What does not:
doing it for many objects (cli).

Laws: a server-side copy keeps the envelope, whatever it does to the other metadata. Wrapping anew never touches the
object: the same data key, proven by its commitment where the format has one, under another key.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode

from s3al.client.config import S3EncryptionClientConfig
from s3al.client.errors import ClientConfigError
from s3al.client.formats import content
from s3al.client.formats.envelope import Envelope, encode, entries_of, key_is_elsewhere, split_for_instruction_file
from s3al.client.formats.envelope import user_metadata as without_envelope
from s3al.client.formats.suites import ObjectFormat
from s3al.client.keyrings.port import DataKey, Keyring, WrappedKey
from s3al.client.transfer.downloads import fetch_instruction_file, find_envelope, read
from s3al.client.transfer.envelopes import instruction_body, wrapped_key_of
from s3al.client.transfer.instruction_files import BesideObject, written_beside
from s3al.client.transfer.parameters import checked_metadata, known, take_own
from s3al.client.transfer.uploads import Callback, write

_KEPT: Final = (
    "ContentType", "ContentEncoding", "ContentDisposition", "ContentLanguage", "CacheControl", "StorageClass",
)  # fmt: skip


def copy_object(s3: Any, config: S3EncryptionClientConfig, given: Mapping[str, Any]) -> dict[str, Any]:
    """CopyObject on the server: ciphertext, envelope and instruction file, under the same key."""
    parameters = dict(given)
    own = take_own(config, parameters)
    source = source_of(parameters["CopySource"])
    head = s3.head_object(**source)
    entries = entries_of(head.get("Metadata") or {})
    suffix = own.suffix
    instruction = fetch_instruction_file(s3, source, suffix) if key_is_elsewhere(entries) else None
    if parameters.get("MetadataDirective") == "REPLACE":
        parameters["Metadata"] = checked_metadata(parameters) | entries
    # Pinned: what was looked at is what is copied.
    parameters.setdefault("CopySourceIfMatch", head["ETag"])
    with written_beside(s3, parameters, instruction, suffix):
        answer: dict[str, Any] = s3.copy_object(**parameters)
    return answer


def copy_between_keys(
    source_s3: Any,
    s3: Any,
    config: S3EncryptionClientConfig,
    copy_source: Any,
    target: Mapping[str, Any],
    *,
    reading: S3EncryptionClientConfig | None = None,
    callback: Callback | None = None,
) -> dict[str, Any]:
    """Open the source, seal it anew under the writing key, store it as `target`. reading: settings of the source."""
    named = {**source_of(copy_source)}
    opened = read(source_s3, reading or config, named)
    with opened["Body"] as body:
        kept: dict[str, Any] = {name: opened[name] for name in _KEPT if name in opened}
        if opened.get("TagCount") and "Tagging" not in target:
            told = source_s3.get_object_tagging(**known(source_s3, "GetObjectTagging", named))
            kept["Tagging"] = urlencode([(tag["Key"], tag["Value"]) for tag in told["TagSet"]])
        kept["Metadata"] = without_envelope(opened["Metadata"])
        return write(s3, config, {**kept, **target}, body, callback=callback)


def rewrap_instruction_file(
    s3: Any,
    config: S3EncryptionClientConfig,
    given: Mapping[str, Any],
    keyring: Keyring,
    *,
    suffix: str | None = None,
) -> Envelope:
    """Wrap the object's data key with `keyring` and write the instruction file; the object is not touched.

    suffix: of the new file, if it shall stand beside the old one. Raises ClientConfigError if the object's key is in
    its metadata, which only writing the object again can change.
    """
    parameters = dict(given)
    own = take_own(config, parameters)
    head = s3.head_object(**known(s3, "HeadObject", parameters))
    metadata = head.get("Metadata") or {}
    envelope = find_envelope(s3, config, parameters, own, metadata)
    if not envelope.in_instruction_file:
        raise ClientConfigError("the object's wrapped key is in its metadata", advice="Copy the object between keys.")
    data_key = config.keyring.unwrap(envelope.suite, wrapped_key_of(envelope), own.context)
    content.check_commitment(envelope, data_key)
    if not envelope.suite.committing:
        _prove(s3, config, parameters, envelope, data_key)
    wrapped = rewrap(keyring, envelope, data_key, own.context)
    renewed = Envelope(
        object_format=_written_as(envelope),
        suite=envelope.suite,
        wrap=wrapped.wrap,
        wrapped_key=wrapped.ciphertext,
        description=wrapped.description,
        iv=envelope.iv,
        message_id=envelope.message_id,
        commitment=envelope.commitment,
        segment_bytes=envelope.segment_bytes,
        in_instruction_file=True,
    )
    _on_object, beside = split_for_instruction_file(encode(renewed))
    s3.put_object(**BesideObject(s3, parameters, suffix or own.suffix).write(instruction_body(beside)))
    return renewed


def rewrap(
    keyring: Keyring, envelope: Envelope, data_key: bytes, context: Mapping[str, str] | None
) -> WrappedKey:
    """A known data key under another keyring. Raises ClientConfigError for keyrings that cannot wrap a given key."""
    wrap = getattr(keyring, "wrap", None)
    if wrap is None:
        raise ClientConfigError("this keyring cannot wrap a data key that exists")
    wrapped: WrappedKey = wrap(envelope.suite, data_key, context)
    DataKey(data_key, wrapped)
    return wrapped


def source_of(copy_source: Any) -> dict[str, Any]:
    """Bucket, Key and VersionId of boto3's CopySource, dict or string."""
    if isinstance(copy_source, Mapping):
        return dict(copy_source)
    path, _, query = str(copy_source).partition("?")
    bucket, _, key = unquote(path).lstrip("/").partition("/")
    version = dict(parse_qsl(query)).get("versionId")
    return {"Bucket": bucket, "Key": key} | ({"VersionId": version} if version else {})


def _written_as(envelope: Envelope) -> ObjectFormat:
    if envelope.object_format is ObjectFormat.V1 or envelope.suite.legacy:
        raise ClientConfigError("a V1 object is not wrapped anew", advice="Copy the object between keys.")
    return envelope.object_format


def _prove(
    s3: Any, config: S3EncryptionClientConfig, parameters: Mapping[str, Any], envelope: Envelope, data_key: bytes
) -> None:
    """A format that commits to nothing: only opening the object shows that this is its data key."""
    answer = s3.get_object(**known(s3, "GetObject", parameters))
    opener = content.opener(envelope, data_key)
    with answer["Body"] as body:
        while chunk := body.read(1024 * 1024):
            opener.update(chunk)
    opener.finalize()

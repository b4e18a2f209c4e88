"""The sealed records that describe an object: public, private, manifest, tags, upload, part.

What lives here: their fields, their encoding (version byte, then JSON; a manifest is packed), and under which
key each is sealed. What does not: how a data key is chosen or opened (sse), where rows lie (store.catalog).

Laws: every record begins with a version; a record opens only in the place it was sealed for; public records
hang from the server's own key so that LIST and HEAD work when a KMS key is disabled; the private record hangs
from the data key, so that checksums of the plaintext open only where the request may use that key.

Source: spec/object-format.md, Records.
"""

from __future__ import annotations

import hashlib
import struct
from base64 import b64encode
from binascii import a2b_base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import orjson

from s3al.crypto.context import private_record_associated_data, public_record_associated_data, public_record_prefix
from s3al.crypto.encoding import canonical
from s3al.crypto.keys import derive, private_record_key
from s3al.crypto.records import RecordCipher
from s3al.errors import IntegrityError
from s3al.s3.object_lock.rules import Lock
from s3al.s3.remembered import Remembered
from s3al.store.catalog import NULL_VERSION, ListedRow, PartRow, UploadRow, VersionRow

T = TypeVar("T")

_MATERIAL_ID_BYTES = 32
_CACHED_CIPHERS = 1024
_OPENED_RECORDS = 2048  # some 3 KiB each
_LISTED_ENTRIES = 4096  # some 2 KiB each
_VERSION = b"\x01"
_MARKER = "marker"
_MANIFEST_ENTRY = struct.Struct(">HQI16s")  # part number, plaintext bytes, segment bytes, stream id


class Listed(Protocol):
    """A row of a listing: where its record was sealed, and the record."""

    @property
    def object_key(self) -> bytes: ...

    @property
    def version_id(self) -> str: ...

    @property
    def object_id(self) -> bytes: ...

    @property
    def public_record(self) -> bytes: ...


class BucketKeys(Protocol):
    """The service key as S3 sees it: one 32-byte key per bucket and material, derived, never stored."""

    def current_material(self) -> bytes:
        """Id (32 bytes) of the service key's newest material."""
        ...

    def bucket_key(self, bucket_id: bytes, material_id: bytes) -> bytes:
        """Raises IntegrityError for a material id the key store does not know."""
        ...


@dataclass(frozen=True, slots=True)
class Envelope:
    """How the data key of one object is protected. Everything needed to open it again, and no secret.

    wrapped: the data key. AES256: under the bucket's service key of `material_id`. aws:kms: the KMS
    ciphertext, or, where `intermediate` is given, under the key that `intermediate` (KMS ciphertext) holds:
    an S3 Bucket Key (`bucket_key_enabled`) or the one-off key of UpdateObjectEncryption. SSE-C: under the
    customer's key and `salt`. outer, outer_commitment: the second data key of DSSE-KMS, under the bucket's
    service key of `material_id`. context: the whole encryption context of the KMS call.
    """

    mode: str
    wrapped: bytes
    commitment: bytes
    material_id: bytes = b""
    kms_key_arn: str = ""
    context: Mapping[str, str] = field(default_factory=dict)
    intermediate: bytes = b""
    bucket_key_enabled: bool = False
    outer: bytes = b""
    outer_commitment: bytes = b""
    salt: bytes = b""


@dataclass(frozen=True, slots=True)
class Stream:
    """One sealed stream of an object: part_number 0 for an object that was put whole. size_bytes:
    plaintext."""

    stream_id: bytes
    size_bytes: int
    segment_bytes: int
    part_number: int = 0


@dataclass(frozen=True, slots=True)
class PublicRecord:
    """What HEAD and LIST show, and how to open the rest. etag is without quotes.

    stream: of an object put whole; None when `manifest_digest` (SHA-256) names a manifest. upload_id: of the
    multipart upload that made it, by which a repeated completion is recognised. headers: stored response
    headers by botocore member name (ContentType, CacheControl ...). lock: None without retention and legal hold.
    """

    size_bytes: int
    etag: str
    envelope: Envelope
    stream: Stream | None = None
    parts_count: int = 0
    manifest_digest: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    storage_class: str = "STANDARD"
    checksum_algorithms: tuple[str, ...] = ()
    checksum_type: str | None = None
    upload_id: str = ""
    lock: Lock | None = None


@dataclass(frozen=True, slots=True)
class UploadRecord:
    """What CreateMultipartUpload fixed for all parts."""

    envelope: Envelope
    headers: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    storage_class: str = "STANDARD"
    checksum_algorithm: str | None = None
    checksum_type: str | None = None
    lock: Lock | None = None


@dataclass(frozen=True, slots=True)
class PartRecord:
    size_bytes: int
    etag: str
    stream: Stream
    checksum_algorithm: str | None = None


class Records:
    """Seals and opens every record of one store. One instance per worker; caches one cipher and one
    wrapping key per bucket and material."""

    def __init__(self, store_id: bytes, keys: BucketKeys, random: Callable[[int], bytes]) -> None:
        self._store_id = store_id
        self._keys = keys
        self._random = random
        self._ciphers: Remembered[tuple[bytes, bytes], RecordCipher] = Remembered(_CACHED_CIPHERS)
        self._wrapping_keys: Remembered[tuple[bytes, bytes], bytes] = Remembered(_CACHED_CIPHERS)
        self._opened: Remembered[tuple[bytes, bytes, str, bytes, bytes], PublicRecord] = Remembered(_OPENED_RECORDS)
        self._listed: Remembered[bytes, tuple[bytes, ListedRow, Any]] = Remembered(_LISTED_ENTRIES)

    def seal_public(
        self, bucket_id: bytes, object_key: bytes, version_id: str, object_id: bytes, record: PublicRecord
    ) -> bytes:
        place = public_record_associated_data(self._store_id, bucket_id, object_key, version_id, object_id)
        return self._seal(bucket_id, _encode(_public_to_json(record)), place)

    def open_public(self, bucket_id: bytes, object_key: bytes, row: Listed) -> PublicRecord:
        name = (bucket_id, object_key, row.version_id, row.object_id, row.public_record)
        return self._opened.get(name) or self._opened.remember(name, self._open_public(bucket_id, object_key, row))

    def _open_public(self, bucket_id: bytes, object_key: bytes, row: Listed) -> PublicRecord:
        place = public_record_associated_data(self._store_id, bucket_id, object_key, row.version_id, row.object_id)
        document = _decode(self._open(bucket_id, row.public_record, place))
        if _MARKER in document:
            raise IntegrityError("a delete marker is stored as an object")
        return _public_from_json(document)

    def listed(
        self, bucket_id: bytes, rows: Iterable[ListedRow], describe: Callable[[ListedRow, dict[str, Any]], T]
    ) -> list[T]:
        """What `describe`, always the same, makes of rows of one bucket and of their records (`listed_opener`)."""
        open_listed, known = self.listed_opener(bucket_id), self._listed
        listed = []
        for row in rows:
            found = known.get(row.public_record)  # by one member, whose hash is formed once, and then by all
            if found is None or found[1] != row or found[0] != bucket_id:
                found = known.remember(row.public_record, (bucket_id, row, describe(row, open_listed(row))))
            listed.append(found[2])
        return listed

    def listed_opener(self, bucket_id: bytes) -> Callable[[Listed], dict[str, Any]]:
        """A function that opens public records as far as a listing shows them: `size`, `etag`, `class`, and where the
        object has a checksum `checksums` and `checksum_type`.

        Authenticated like any record; what a listing does not show is not decoded.
        """
        fields = (self._store_id, bucket_id)
        begun = public_record_prefix(*fields)
        null_version = canonical(NULL_VERSION.encode())
        ciphers: dict[bytes, Callable[..., bytes]] = {}

        def open_listed(row: Listed) -> dict[str, Any]:
            sealed = row.public_record
            material_id = sealed[:_MATERIAL_ID_BYTES]
            opener = ciphers.get(material_id)
            if opener is None:
                if len(material_id) != _MATERIAL_ID_BYTES:
                    raise IntegrityError("a stored record is too short")
                opener = ciphers[material_id] = self._cipher(bucket_id, material_id).open
            object_key, version_id = row.object_key, row.version_id
            version = null_version if version_id == NULL_VERSION else canonical(version_id.encode())
            place = begun + canonical(object_key) + version + canonical(row.object_id)
            return _decode(opener(sealed[_MATERIAL_ID_BYTES:], associated_data=place))

        return open_listed

    def seal_marker(self, bucket_id: bytes, object_key: bytes, version_id: str, object_id: bytes) -> bytes:
        """The record of a delete marker: it says nothing, but only here."""
        place = public_record_associated_data(self._store_id, bucket_id, object_key, version_id, object_id)
        return self._seal(bucket_id, _encode({_MARKER: True}), place)

    def open_marker(self, row: VersionRow) -> None:
        """Raises IntegrityError unless the delete marker was made for this place."""
        place = public_record_associated_data(
            self._store_id, row.bucket_id, row.object_key, row.version_id, row.object_id
        )
        if _MARKER not in _decode(self._open(row.bucket_id, row.public_record, place)):
            raise IntegrityError("an object is stored as a delete marker")

    def seal_manifest(self, bucket_id: bytes, object_id: bytes, streams: Sequence[Stream]) -> tuple[bytes, bytes]:
        """(sealed manifest, SHA-256 for the public record)."""
        packed = b"".join(
            _MANIFEST_ENTRY.pack(s.part_number, s.size_bytes, s.segment_bytes, s.stream_id) for s in streams
        )
        return self._seal(bucket_id, _VERSION + packed, self._place(b"manifest", bucket_id, object_id)), hashlib.sha256(
            packed
        ).digest()

    def open_manifest(self, bucket_id: bytes, object_id: bytes, sealed: bytes, digest: bytes) -> list[Stream]:
        packed = _versioned(self._open(bucket_id, sealed, self._place(b"manifest", bucket_id, object_id)))
        if hashlib.sha256(packed).digest() != digest:
            raise IntegrityError("the manifest is not the one its public record names")
        return [
            Stream(stream_id, size, segment, number)
            for number, size, segment, stream_id in _MANIFEST_ENTRY.iter_unpack(packed)
        ]

    def seal_tags(self, row: VersionRow, tags: Mapping[str, str]) -> bytes:
        return self.seal_tags_at(row.bucket_id, row.object_key, row.version_id, row.object_id, tags)

    def seal_tags_at(
        self, bucket_id: bytes, object_key: bytes, version_id: str, object_id: bytes, tags: Mapping[str, str]
    ) -> bytes:
        place = self._place(b"tags", bucket_id, object_key, version_id.encode(), object_id)
        return self._seal(bucket_id, _encode(dict(tags)), place)

    def open_tags(self, row: VersionRow) -> dict[str, str]:
        if not row.tag_record:
            return {}
        place = self._place(b"tags", row.bucket_id, row.object_key, row.version_id.encode(), row.object_id)
        return _decode(self._open(row.bucket_id, row.tag_record, place))

    def seal_upload(
        self, bucket_id: bytes, object_key: bytes, upload_id: str, object_id: bytes, record: UploadRecord
    ) -> bytes:
        place = self._place(b"upload", bucket_id, object_key, upload_id.encode(), object_id)
        return self._seal(bucket_id, _encode(_upload_to_json(record)), place)

    def open_upload(self, row: UploadRow) -> UploadRecord:
        place = self._place(b"upload", row.bucket_id, row.object_key, row.upload_id.encode(), row.object_id)
        return _upload_from_json(_decode(self._open(row.bucket_id, row.record, place)))

    def seal_part(self, upload: UploadRow, part_number: int, record: PartRecord) -> bytes:
        place = self._place(b"part", upload.bucket_id, upload.upload_id.encode(), struct.pack(">H", part_number))
        return self._seal(upload.bucket_id, _encode(_part_to_json(record)), place)

    def open_part(self, upload: UploadRow, row: PartRow) -> PartRecord:
        place = self._place(b"part", upload.bucket_id, upload.upload_id.encode(), struct.pack(">H", row.part_number))
        return _part_from_json(_decode(self._open(upload.bucket_id, row.public_record, place)), row.part_number)

    def seal_private(
        self, data_key: bytes, bucket_id: bytes, object_id: bytes, stream_id: bytes, checksums: Mapping[str, bytes]
    ) -> bytes:
        """Checksums of the plaintext by algorithm, under the data key. stream_id: b"" for the whole
        object."""
        place = private_record_associated_data(self._store_id, bucket_id, object_id, stream_id)
        body = _encode({name: _b64(value) for name, value in checksums.items()})
        return RecordCipher(private_record_key(data_key)).seal(body, associated_data=place, nonce=self._random(12))

    def open_private(
        self, data_key: bytes, bucket_id: bytes, object_id: bytes, stream_id: bytes, sealed: bytes
    ) -> dict[str, bytes]:
        place = private_record_associated_data(self._store_id, bucket_id, object_id, stream_id)
        opened = _decode(RecordCipher(private_record_key(data_key)).open(sealed, associated_data=place))
        return {name: a2b_base64(value) for name, value in opened.items()}

    def data_key_wrapping_key(self, bucket_id: bytes, material_id: bytes) -> bytes:
        """The key that wraps the data keys of one bucket under one material of the service key (32 bytes)."""
        known, name = self._wrapping_keys, (bucket_id, material_id)
        return known.get(name) or known.remember(name, derive(self._keys.bucket_key(*name), b"s3al data keys v1"))

    def current_material(self) -> bytes:
        return self._keys.current_material()

    def _place(self, kind: bytes, *where: bytes) -> bytes:
        return canonical(b"s3al " + kind + b" v1", self._store_id, *where)

    def _cipher(self, bucket_id: bytes, material_id: bytes) -> RecordCipher:
        known, name = self._ciphers, (bucket_id, material_id)
        return known.get(name) or known.remember(
            name, RecordCipher(derive(self._keys.bucket_key(*name), b"s3al records v1"))
        )

    def _seal(self, bucket_id: bytes, plaintext: bytes, place: bytes) -> bytes:
        material_id = self._keys.current_material()
        sealed = self._cipher(bucket_id, material_id).seal(plaintext, associated_data=place, nonce=self._random(12))
        return material_id + sealed

    def _open(self, bucket_id: bytes, sealed: bytes, place: bytes) -> bytes:
        material_id = bytes(sealed[:_MATERIAL_ID_BYTES])
        if len(material_id) != _MATERIAL_ID_BYTES:
            raise IntegrityError("a stored record is too short")
        return self._cipher(bucket_id, material_id).open(sealed[_MATERIAL_ID_BYTES:], associated_data=place)


def join_private_records(sealed: Iterable[bytes]) -> bytes:
    """The sealed private records of an object's parts, in order, as they lie beside its manifest."""
    return orjson.dumps([_b64(record) for record in sealed])


def split_private_records(private_manifest: bytes) -> list[bytes]:
    """The sealed records again. The list itself is not sealed: raises IntegrityError for what is none."""
    try:
        return [a2b_base64(sealed) for sealed in orjson.loads(private_manifest)]
    except (ValueError, TypeError):
        raise IntegrityError("a manifest of private records is no list of them") from None


def _b64(value: bytes) -> str:
    return b64encode(value).decode("ascii")


def _encode(document: dict[str, Any]) -> bytes:
    return _VERSION + orjson.dumps(document)


def _versioned(record: bytes) -> bytes:
    if record[:1] != _VERSION:
        raise IntegrityError("a stored record has a version this program does not know")
    return record[1:]


def _decode(record: bytes) -> dict[str, Any]:
    decoded: dict[str, Any] = orjson.loads(_versioned(record))
    return decoded


_ENVELOPE_BYTES = ("wrapped", "commitment", "material_id", "intermediate", "outer", "outer_commitment", "salt")


def _envelope_to_json(envelope: Envelope) -> dict[str, Any]:
    document: dict[str, Any] = {"mode": envelope.mode}
    for name in _ENVELOPE_BYTES:
        value = getattr(envelope, name)
        if value:
            document[name] = _b64(value)
    if envelope.kms_key_arn:
        document["kms_key_arn"] = envelope.kms_key_arn
    if envelope.context:
        document["context"] = dict(envelope.context)
    if envelope.bucket_key_enabled:
        document["bucket_key_enabled"] = True
    return document


def _envelope_from_json(document: dict[str, Any]) -> Envelope:
    for name, value in document.items():
        if name in _ENVELOPE_BYTES:
            document[name] = a2b_base64(value)
    return Envelope(**document)


def _stream_to_json(stream: Stream) -> list[Any]:
    return [_b64(stream.stream_id), stream.size_bytes, stream.segment_bytes]


def _stream_from_json(document: list[Any], part_number: int = 0) -> Stream:
    return Stream(a2b_base64(document[0]), document[1], document[2], part_number)


def _public_to_json(record: PublicRecord) -> dict[str, Any]:
    document: dict[str, Any] = {
        "size": record.size_bytes,
        "etag": record.etag,
        "envelope": _envelope_to_json(record.envelope),
    }
    if record.stream:
        document["stream"] = _stream_to_json(record.stream)
    if record.manifest_digest:
        document |= {"parts": record.parts_count, "manifest": _b64(record.manifest_digest), "upload": record.upload_id}
    if record.checksum_algorithms:
        document |= {"checksums": record.checksum_algorithms, "checksum_type": record.checksum_type}
    if record.lock:
        document["lock"] = _lock_to_json(record.lock)
    return document | {
        "headers": dict(record.headers),
        "metadata": dict(record.metadata),
        "class": record.storage_class,
    }


def _public_from_json(document: dict[str, Any]) -> PublicRecord:
    stream = document.get("stream")
    return PublicRecord(
        size_bytes=document["size"],
        etag=document["etag"],
        envelope=_envelope_from_json(document["envelope"]),
        stream=_stream_from_json(stream) if stream else None,
        parts_count=document.get("parts", 0),
        manifest_digest=a2b_base64(document.get("manifest", "")),
        headers=document["headers"],
        metadata=document["metadata"],
        storage_class=document["class"],
        checksum_algorithms=tuple(document.get("checksums", ())),
        checksum_type=document.get("checksum_type"),
        upload_id=document.get("upload", ""),
        lock=_lock_from_json(document.get("lock")),
    )


def _lock_to_json(lock: Lock) -> list[Any]:
    return [lock.mode, lock.until_ms, lock.hold]


def _lock_from_json(document: list[Any] | None) -> Lock | None:
    return Lock(*document) if document else None


def _upload_to_json(record: UploadRecord) -> dict[str, Any]:
    lock = {"lock": _lock_to_json(record.lock)} if record.lock else {}
    return lock | {
        "envelope": _envelope_to_json(record.envelope),
        "headers": dict(record.headers),
        "metadata": dict(record.metadata),
        "tags": dict(record.tags),
        "class": record.storage_class,
        "checksum": record.checksum_algorithm,
        "checksum_type": record.checksum_type,
    }


def _upload_from_json(document: dict[str, Any]) -> UploadRecord:
    return UploadRecord(
        envelope=_envelope_from_json(document["envelope"]),
        headers=document["headers"],
        metadata=document["metadata"],
        tags=document["tags"],
        storage_class=document["class"],
        checksum_algorithm=document["checksum"],
        checksum_type=document["checksum_type"],
        lock=_lock_from_json(document.get("lock")),
    )


def _part_to_json(record: PartRecord) -> dict[str, Any]:
    return {
        "size": record.size_bytes,
        "etag": record.etag,
        "stream": _stream_to_json(record.stream),
        "checksum": record.checksum_algorithm,
    }


def _part_from_json(document: dict[str, Any], part_number: int) -> PartRecord:
    stream = _stream_from_json(document["stream"], part_number)
    return PartRecord(document["size"], document["etag"], stream, document["checksum"])

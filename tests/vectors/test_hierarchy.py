"""The small store of spec/vectors/hierarchy.json, opened from keyfile to plaintext twice.

Once with the independent reader, by the spec alone; once through the rooms that serve (kms, s3), so that a change there
which would orphan stored data fails here.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import struct
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from s3al.crypto.context import stream_associated_data, wrapped_key_associated_data
from s3al.crypto.keys import commitment, derive, stream_key, unwrap
from s3al.crypto.stream import StreamOpener
from s3al.errors import IntegrityError
from s3al.kms.root import StoreKeys, open_store_keys
from s3al.kms.seals.keyfile import KeyfileSeal
from s3al.kms.service_key import ServiceKeys
from s3al.s3.records import Records, Stream
from s3al.store import keystore, meta
from s3al.store.catalog import VersionRow
from vectors import independent, make_vectors
from vectors.fixed import plain

Vector = dict[str, Any]


def unused_random(length: int) -> bytes:
    raise AssertionError("opening draws nothing random")


@pytest.fixture(scope="module")
def store() -> Vector:
    document = json.loads((make_vectors.FOLDER / "hierarchy.json").read_text(encoding="ascii"))
    return document["vectors"][0]


class TestByTheSpecAlone:
    def test_the_keyfile_opens_the_root_and_the_catalog_key(self, store: Vector) -> None:
        seal_key = bytes.fromhex(store["keyfile"])
        (seal,), store_id = store["store_json"]["seals"], bytes.fromhex(store["store_json"]["store_id"])
        assert independent.derive(seal_key, b"s3al seal check v1", store_id, 32) == b64decode(seal["check_value"])
        catalog = b64decode(store["store_json"]["roots"][0]["catalog_key"])
        place = independent.fields(b"s3al catalog key v1")
        assert open_under_root(store, catalog, place).hex() == store["catalog_key"]

    def test_every_object_opens_to_its_plaintext(self, store: Vector) -> None:
        assert len(store["objects"]) == 3
        for stored in store["objects"]:
            ids = [bytes.fromhex(store["store_json"]["store_id"])]
            ids += [bytes.fromhex(stored[name]) for name in ("bucket_id", "object_id")]
            place = independent.fields(
                b"s3al public record v1", *ids[:2], stored["object_key"].encode(), stored["version_id"].encode(), ids[2]
            )
            public = json.loads(bucket_record(store, stored["public_record"], place))
            data_key = data_key_of(store, stored, public["envelope"], ids)
            for stream_id, size, segment_bytes, sealed in streams_of(store, stored, public, ids):
                key = independent.derive(data_key, b"s3al stream key v1", stream_id, 32)
                place = independent.fields(b"s3al stream v1", b"\x00", *ids, stream_id)
                assert independent.open_stream(key, sealed, place, segment_bytes) == plain(size)

    def test_the_access_key_secret_opens(self, store: Vector) -> None:
        sealed = bytes.fromhex(store["access_key"]["sealed"])
        context = independent.fields(bytes.fromhex(store["store_json"]["store_id"]), b"access key secret")
        key = independent.derive(material_of(store, sealed), b"s3al server key v1", context, 32)
        place = store["access_key"]["access_key_id"].encode()
        assert independent.open_record(key, sealed[32:], place).decode() == store["access_key"]["secret"]


def open_under_root(store: Vector, wrapped: bytes, inner: bytes) -> bytes:
    document = store["store_json"]
    store_id, version = bytes.fromhex(document["store_id"]), struct.pack(">I", document["current_root"])
    seal_key = independent.derive(bytes.fromhex(store["keyfile"]), b"s3al seal wrap v1", b"", 32)
    sealed = b64decode(document["seals"][0]["sealed_roots"]["1"])
    root = independent.unwrap(seal_key, sealed, independent.fields(b"s3al sealed root v1", store_id, version))
    return independent.unwrap(root, wrapped, independent.fields(b"s3al root wrap v1", store_id, version, inner))


def material_of(store: Vector, sealed: bytes) -> bytes:
    """The service key's material that a stored record names."""
    row = store["material"]
    assert sealed[:32].hex() == row["material_id"]
    place = independent.fields(b"s3al material v1", row["key_id"].encode(), sealed[:32])
    return open_under_root(store, bytes.fromhex(row["wrapped"]), place)


def bucket_key(store: Vector, material: bytes) -> bytes:
    ids = bytes.fromhex(store["store_json"]["store_id"]) + bytes.fromhex(store["bucket"]["bucket_id"])
    key = independent.derive(material, b"s3al bucket key v1", ids, 32)
    assert key.hex() == store["bucket"]["service_bucket_key"]
    return key


def bucket_record(store: Vector, sealed_hex: str, place: bytes) -> bytes:
    sealed = bytes.fromhex(sealed_hex)
    key = independent.derive(bucket_key(store, material_of(store, sealed)), b"s3al records v1", b"", 32)
    content = independent.open_record(key, sealed[32:], place)
    assert content[:1] == b"\x01"
    return content[1:]


def data_key_of(store: Vector, stored: Vector, envelope: Vector, ids: list[bytes]) -> bytes:
    if envelope["mode"] == "SSE-C":
        customer_key = bytes.fromhex(stored["customer_key"])
        wrapping_key = independent.derive(customer_key, b"s3al customer key v1", b64decode(envelope["salt"]), 32)
    else:
        key = bucket_key(store, material_of(store, b64decode(envelope["material_id"])))
        wrapping_key = independent.derive(key, b"s3al data keys v1", b"", 32)
    place = independent.fields(b"s3al wrapped data key v1", *ids)
    data_key = independent.unwrap(wrapping_key, b64decode(envelope["wrapped"]), place)
    assert independent.derive(data_key, b"s3al commitment v1", ids[2], 32) == b64decode(envelope["commitment"])
    return data_key


def streams_of(
    store: Vector, stored: Vector, public: Vector, ids: list[bytes]
) -> Iterator[tuple[bytes, int, int, bytes]]:
    sealed = {bytes.fromhex(s["stream_id"]): b64decode(s["sealed_base64"]) for s in stored["streams"]}
    if "stream" in public:
        stream_id, size, segment_bytes = b64decode(public["stream"][0]), *public["stream"][1:]
        yield stream_id, size, segment_bytes, sealed[stream_id]
        return
    entries = bucket_record(store, stored["manifest"], independent.fields(b"s3al manifest v1", *ids))
    assert hashlib.sha256(entries).digest() == b64decode(public["manifest"])
    for _, size, segment_bytes, stream_id in struct.iter_unpack(">HQI16s", entries):
        yield stream_id, size, segment_bytes, sealed[stream_id]


class MemoryRows:
    """Rows over the standard library's SQLite, for one test."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect(":memory:")
        self._connection.executescript(meta.TABLES + keystore.TABLES)

    def one(self, sql: str, params: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
        return self._connection.execute(sql, params).fetchone()

    def all(self, sql: str, params: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql, params).fetchall()

    def run(self, sql: str, params: tuple[Any, ...] = ()) -> int:
        return self._connection.execute(sql, params).rowcount

    def read_now(self, read: Callable[[MemoryRows], Any]) -> Any:
        return read(self)

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def keys(store: Vector, tmp_path_factory: pytest.TempPathFactory) -> StoreKeys:
    keyfile: Path = tmp_path_factory.mktemp("keys") / "store.rootkey"
    keyfile.touch(mode=0o600)
    keyfile.write_text(store["keyfile"], encoding="ascii")
    return open_store_keys(store["store_json"], KeyfileSeal.open(keyfile), random=unused_random)


@pytest.fixture(scope="module")
def service_keys(store: Vector, keys: StoreKeys) -> Iterator[ServiceKeys]:
    rows, told = MemoryRows(), store["material"]
    words = {"state": "Enabled", "key_spec": "SYMMETRIC_DEFAULT", "key_usage": "ENCRYPT_DECRYPT", "origin": "AWS_KMS"}
    key = keystore.KeyRow(
        key_id=told["key_id"], account_id="", region="", manager=keystore.SERVICE, **words, description="", policy=""
    )
    material = keystore.MaterialRow(
        material_id=bytes.fromhex(told["material_id"]),
        key_id=told["key_id"],
        sequence=1,
        root_version=told["root_version"],
        wrapped=bytes.fromhex(told["wrapped"]),
    )
    keystore.insert_key(rows, key)
    keystore.set_current_root(rows, told["root_version"])
    keystore.add_material(rows, material, replaces=None)
    yield ServiceKeys(rows, keys.root, store_id=keys.store_id, random=unused_random)  # type: ignore[arg-type]
    rows.close()


class TestThroughTheServingRooms:
    def test_the_keyfile_opens_the_catalog_key(self, store: Vector, keys: StoreKeys) -> None:
        assert keys.catalog_key.hex() == store["catalog_key"]

    def test_the_service_key_opens_bucket_and_secret(self, store: Vector, service_keys: ServiceKeys) -> None:
        bucket_id, material_id = bytes.fromhex(store["bucket"]["bucket_id"]), service_keys.current_material()
        assert service_keys.bucket_key(bucket_id, material_id).hex() == store["bucket"]["service_bucket_key"]
        told = store["access_key"]
        sealed, place = bytes.fromhex(told["sealed"]), told["access_key_id"].encode()
        assert service_keys.open(b"access key secret", sealed, place=place).decode() == told["secret"]

    def test_every_object_opens_to_its_records_and_plaintext(
        self, store: Vector, keys: StoreKeys, service_keys: ServiceKeys
    ) -> None:
        records = Records(keys.store_id, service_keys, unused_random)
        for stored in store["objects"]:
            row = version_row(stored)
            public = records.open_public(row.bucket_id, row.object_key, row)
            assert (public.headers, public.metadata) == ({"ContentType": "image/jpeg"}, {"a": "b"})
            assert records.open_tags(row) == {"colour": "blue"}
            data_key = self.data_key(stored, records, row, keys.store_id)
            streams = self.streams(stored, records, row)
            assert sum(stream.size_bytes for stream in streams) == public.size_bytes
            for stream, sealed in zip(streams, stored["streams"], strict=True):
                place = stream_associated_data(keys.store_id, row.bucket_id, row.object_id, stream.stream_id)
                key = stream_key(data_key, stream.stream_id)
                opener = StreamOpener(key, place, segment_bytes=stream.segment_bytes)
                opened = opener.update(b64decode(sealed["sealed_base64"])) + opener.finalize()
                assert opened == plain(stream.size_bytes)
            self.check_private(stored, records, row, streams, data_key)

    def test_a_record_moved_to_another_version_is_refused(
        self, store: Vector, keys: StoreKeys, service_keys: ServiceKeys
    ) -> None:
        records = Records(keys.store_id, service_keys, unused_random)
        stored = store["objects"][0]
        for moved in (
            {"version_id": "other"},
            {"object_key": "other"},
            {"object_id": "00" * 16},
            {"bucket_id": "00" * 16},
        ):
            row = version_row(stored | moved)
            with pytest.raises(IntegrityError):
                records.open_public(row.bucket_id, row.object_key, row)

    def data_key(self, stored: Vector, records: Records, row: VersionRow, store_id: bytes) -> bytes:
        envelope = records.open_public(row.bucket_id, row.object_key, row).envelope
        if envelope.mode == "SSE-C":
            wrapping_key = derive(bytes.fromhex(stored["customer_key"]), b"s3al customer key v1", envelope.salt)
        else:
            wrapping_key = records.data_key_wrapping_key(row.bucket_id, envelope.material_id)
        place = wrapped_key_associated_data(store_id, row.bucket_id, row.object_id)
        data_key = unwrap(wrapping_key, envelope.wrapped, associated_data=place)
        assert commitment(data_key, row.object_id) == envelope.commitment
        return data_key

    def streams(self, stored: Vector, records: Records, row: VersionRow) -> list[Stream]:
        public = records.open_public(row.bucket_id, row.object_key, row)
        if public.stream is not None:
            return [public.stream]
        manifest = bytes.fromhex(stored["manifest"])
        return records.open_manifest(row.bucket_id, row.object_id, manifest, public.manifest_digest)

    def check_private(
        self, stored: Vector, records: Records, row: VersionRow, streams: list[Stream], data_key: bytes
    ) -> None:
        sealed = {b"": bytes.fromhex(stored["private_record"])} if "private_record" in stored else {}
        if "private_manifest" in stored:
            parts = [b64decode(part) for part in json.loads(stored["private_manifest"])]
            sealed = {stream.stream_id: part for stream, part in zip(streams, parts, strict=True)}
        for (stream_id, record), stream in zip(sealed.items(), streams, strict=True):
            opened = records.open_private(data_key, row.bucket_id, row.object_id, stream_id, record)
            assert opened == {"SHA256": hashlib.sha256(plain(stream.size_bytes)).digest()}


def version_row(stored: Vector) -> VersionRow:
    return VersionRow(
        bucket_id=bytes.fromhex(stored["bucket_id"]),
        object_key=stored["object_key"].encode(),
        version_id=stored["version_id"],
        last_modified=0,
        object_id=bytes.fromhex(stored["object_id"]),
        public_record=bytes.fromhex(stored["public_record"]),
        tag_record=bytes.fromhex(stored["tag_record"]),
    )

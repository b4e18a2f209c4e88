"""One small store as it lies on the disk, made from fixed keys: every step of spec/key-hierarchy.md in one vector.

What lives here: the steps, with labels typed from the spec, and nothing of s3al but its crypto room. What does not: the
walk back from the keyfile to the plaintext (test_hierarchy), once independently and once through the rooms that serve.
"""

from __future__ import annotations

import hashlib
import json
import struct
from base64 import b64encode
from typing import Any

from s3al.crypto.context import (
    private_record_associated_data,
    public_record_associated_data,
    stream_associated_data,
    wrapped_key_associated_data,
)
from s3al.crypto.encoding import canonical
from s3al.crypto.keys import commitment, derive, private_record_key, stream_key, wrap
from s3al.crypto.records import seal_record
from s3al.crypto.stream import StreamSealer
from vectors.fixed import BUCKET, OBJECT, STORE, fixed, plain

Vector = dict[str, Any]

SEAL_KEY, ROOT_KEY, CATALOG_KEY = fixed("seal key"), fixed("root key"), fixed("catalog key")
MATERIAL, MATERIAL_ID = fixed("service material"), fixed("service material id")
KEY_ID = "00000000-0000-4000-8000-000000000001"
DATA_KEY, CUSTOMER_KEY, CUSTOMER_SALT = fixed("object data key"), fixed("customer key"), fixed("customer salt")
OBJECT_KEY, VERSION_ID, UPLOAD_ID = "photos/2026/Grüße.jpg", "null", "an upload id"
ACCESS_KEY_ID, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
SEGMENT = 4096
ROOT_VERSION = 1
PARTS = ((1, fixed("part 1", 16), 5000), (2, fixed("part 2", 16), 100))
VERSION = b"\x01"


def hierarchy_vectors() -> list[Vector]:
    root = {"store_json": store_json(), "keyfile": SEAL_KEY.hex() + "\n", "catalog_key": CATALOG_KEY.hex()}
    material = {"key_id": KEY_ID, "material_id": MATERIAL_ID.hex(), "root_version": ROOT_VERSION}
    material |= {"wrapped": under_root(canonical(b"s3al material v1", KEY_ID.encode(), MATERIAL_ID), MATERIAL).hex()}
    bucket = {"bucket_id": BUCKET.hex(), "service_bucket_key": bucket_key().hex()}
    access_key = {"access_key_id": ACCESS_KEY_ID, "sealed": sealed_secret().hex(), "secret": SECRET}
    store = root | {"material": material, "bucket": bucket, "access_key": access_key}
    rows = [whole_object("AES256"), whole_object("SSE-C") | {"customer_key": CUSTOMER_KEY.hex()}, multipart_object()]
    return [{"name": "one small store", "verdict": "opens", **store, "objects": rows}]


def store_json() -> Vector:
    sealed_place = canonical(b"s3al sealed root v1", STORE, struct.pack(">I", ROOT_VERSION))
    sealing_key = derive(SEAL_KEY, b"s3al seal wrap v1")
    sealed = wrap(sealing_key, ROOT_KEY, associated_data=sealed_place, random=fixed("sealed root random", 28))
    seal = {"name": "primary", "kind": "keyfile", "check_value": b64(derive(SEAL_KEY, b"s3al seal check v1", STORE))}
    catalog = under_root(canonical(b"s3al catalog key v1"), CATALOG_KEY)
    return {
        "format": 1,
        "store_id": STORE.hex(),
        "current_root": ROOT_VERSION,
        "roots": [{"version": ROOT_VERSION, "created_at": 1_760_000_000_000, "catalog_key": b64(catalog)}],
        "seals": [seal | {"sealed_roots": {str(ROOT_VERSION): b64(sealed)}}],
    }


def under_root(place: bytes, secret: bytes) -> bytes:
    outer = canonical(b"s3al root wrap v1", STORE, struct.pack(">I", ROOT_VERSION), place)
    return wrap(ROOT_KEY, secret, associated_data=outer, random=fixed("root random" + place.hex(), 28))


def bucket_key() -> bytes:
    return derive(MATERIAL, b"s3al bucket key v1", STORE + BUCKET)


def sealed_secret() -> bytes:
    key = derive(MATERIAL, b"s3al server key v1", canonical(STORE, b"access key secret"))
    nonce = fixed("secret nonce", 12)
    return MATERIAL_ID + seal_record(key, SECRET.encode(), associated_data=ACCESS_KEY_ID.encode(), nonce=nonce)


def bucket_record(content: bytes, place: bytes) -> bytes:
    key = derive(bucket_key(), b"s3al records v1")
    return MATERIAL_ID + seal_record(key, content, associated_data=place, nonce=fixed("nonce" + place.hex(), 12))


def envelope(mode: str) -> Vector:
    place = wrapped_key_associated_data(STORE, BUCKET, OBJECT)
    members: Vector = {"mode": mode, "commitment": b64(commitment(DATA_KEY, OBJECT))}
    if mode == "AES256":
        wrapping_key, members["material_id"] = derive(bucket_key(), b"s3al data keys v1"), b64(MATERIAL_ID)
    else:
        wrapping_key = derive(CUSTOMER_KEY, b"s3al customer key v1", CUSTOMER_SALT)
        members["salt"] = b64(CUSTOMER_SALT)
    random = fixed("data key random" + mode, 28)
    return members | {"wrapped": b64(wrap(wrapping_key, DATA_KEY, associated_data=place, random=random))}


def sealed_stream(stream_id: bytes, length: int) -> str:
    place = stream_associated_data(STORE, BUCKET, OBJECT, stream_id)
    random = fixed("stream random" + stream_id.hex(), 39)
    sealer = StreamSealer(stream_key(DATA_KEY, stream_id), place, random=random, segment_bytes=SEGMENT)
    return b64(sealer.update(plain(length)) + sealer.finalize())


def private_record(stream_id: bytes, plaintext: bytes) -> bytes:
    place = private_record_associated_data(STORE, BUCKET, OBJECT, stream_id)
    content = VERSION + to_json({"SHA256": b64(hashlib.sha256(plaintext).digest())})
    nonce = fixed("private nonce" + stream_id.hex(), 12)
    return seal_record(private_record_key(DATA_KEY), content, associated_data=place, nonce=nonce)


def public_record(members: Vector) -> bytes:
    place = public_record_associated_data(STORE, BUCKET, OBJECT_KEY.encode(), VERSION_ID, OBJECT)
    told = {
        "etag": "9a0364b9e99bb480dd25e1f0284c8555",
        "headers": {"ContentType": "image/jpeg"},
        "metadata": {"a": "b"},
    }
    return bucket_record(VERSION + to_json(members | told | {"class": "STANDARD"}), place)


def whole_object(mode: str) -> Vector:
    stream_id, length = fixed("whole stream", 16), 10_000
    stream = [b64(stream_id), length, SEGMENT]
    public = public_record({"size": length, "envelope": envelope(mode), "stream": stream})
    streams = [{"stream_id": stream_id.hex(), "sealed_base64": sealed_stream(stream_id, length)}]
    return row(public) | {"private_record": private_record(b"", plain(length)).hex(), "streams": streams}


def multipart_object() -> Vector:
    entries = b"".join(struct.pack(">HQI", number, size, SEGMENT) + stream_id for number, stream_id, size in PARTS)
    members = {"size": sum(size for _, _, size in PARTS), "envelope": envelope("AES256"), "parts": len(PARTS)}
    members |= {"manifest": b64(hashlib.sha256(entries).digest()), "upload": UPLOAD_ID}
    manifest = bucket_record(VERSION + entries, canonical(b"s3al manifest v1", STORE, BUCKET, OBJECT))
    private = [b64(private_record(stream_id, plain(size))) for _, stream_id, size in PARTS]
    streams = [
        {"stream_id": stream_id.hex(), "sealed_base64": sealed_stream(stream_id, size)} for _, stream_id, size in PARTS
    ]
    manifests = {"manifest": manifest.hex(), "private_manifest": to_json(private).decode()}
    return row(public_record(members)) | manifests | {"streams": streams}


def row(public: bytes) -> Vector:
    ids = {"bucket_id": BUCKET.hex(), "object_id": OBJECT.hex()}
    tags = canonical(b"s3al tags v1", STORE, BUCKET, OBJECT_KEY.encode(), VERSION_ID.encode(), OBJECT)
    tag_record = bucket_record(VERSION + to_json({"colour": "blue"}), tags)
    sealed = {"public_record": public.hex(), "tag_record": tag_record.hex()}
    return ids | {"object_key": OBJECT_KEY, "version_id": VERSION_ID} | sealed


def b64(value: bytes) -> str:
    return b64encode(value).decode("ascii")


def to_json(document: Vector | list[str]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()

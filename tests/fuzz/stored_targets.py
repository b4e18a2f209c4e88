"""Parsers of what was in somebody's reach since it was written: clients' objects, records, tokens that come back.

What lives here: `STORED`, which is a part of TARGETS. What does not: parsers of requests (targets).

Law: as of targets; and what was not sealed by this store is refused, never read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from s3al.client.errors import ClientConfigError, DecryptionError, EnvelopeError, S3EncryptionClientError
from s3al.client.formats.content import opener
from s3al.client.formats.envelope import decode, entries_of
from s3al.client.formats.ranges import parse_range
from s3al.client.formats.text import decode_description, decode_instruction_file
from s3al.errors import ConfigError, IntegrityError, RequestError
from s3al.kms.imports import ImportToken
from s3al.prove.proof import FORMAT as PROOF
from s3al.prove.signing import verified
from s3al.s3.records import Records, split_private_records
from s3al.s3.sse import _caller_context
from s3al.store.catalog import VersionRow
from s3al.trail.checkpoints import ChainState, Checkpoint, Signer
from s3al.trail.frames import HEAD_BYTES, FileHead, framed, frames

Parts = tuple[Callable[[bytes], object], tuple[bytes, ...], tuple[type[Exception], ...]]

KEY = bytes(range(32))
ID = bytes(16)


class _OneKey:
    """BucketKeys: one key, whichever material is asked for."""

    def current_material(self) -> bytes:
        return bytes(32)

    def bucket_key(self, bucket_id: bytes, material_id: bytes) -> bytes:
        return KEY


_RECORDS = Records(ID, _OneKey(), bytes)


def object_record(data: bytes) -> None:
    row = VersionRow(ID, b"key", "null", 0, ID, data, tag_record=data or None)
    for read in (lambda: _RECORDS.open_public(ID, b"key", row), lambda: _RECORDS.open_tags(row)):
        try:
            read()
        except IntegrityError:
            continue
        assert not data, "a record that nobody sealed was read"
    _RECORDS.open_marker(row)


def import_token(data: bytes) -> None:
    ImportToken.open(data, KEY, SimpleNamespace(key_id="key"), now_ms=0)  # type: ignore[arg-type]


def trail_file(data: bytes) -> None:
    try:
        assert FileHead.decode(data).encode() == data[:HEAD_BYTES]
    finally:
        ends = [HEAD_BYTES, *(frame.end for frame in frames(data, HEAD_BYTES))]
        assert ends == sorted(set(ends))
        assert len(ends) == 1 or ends[-1] <= len(data)


def checkpoint(data: bytes) -> None:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return
    found = Checkpoint.from_json(document)
    assert found.key == _SIGNED.key, "a checkpoint that nobody signed was believed"


def report(data: bytes) -> None:
    verified(data)
    raise AssertionError("a report that nobody signed was believed")


_SIGNED = Signer(Ed25519PrivateKey.from_private_bytes(KEY)).sign(
    Checkpoint(ID, 1, 2, {"0123456789abcdef": ChainState(1, bytes(32), 1, HEAD_BYTES)})
)
_CHECKPOINT = json.dumps(_SIGNED.to_json()).encode()
_NO_NUMBER = _CHECKPOINT.replace(b'"number": 1', b'"number": 1e400')
_HEADED = FileHead(bytes(32), "0123456789abcdef", 1, 0, 0, bytes(32)).encode()
_REPORT = {"format": PROOF, "store_id": ID.hex(), "at": "", "findings": [], "public_key": KEY.hex(), "signature": "00"}


def client_object(data: bytes) -> None:
    """First line: its metadata, or after a NUL that of its instruction file, as JSON. Then its content."""
    head, _, content = data.partition(b"\n")
    metadata, _, instruction = head.partition(b"\0")
    try:
        found: Any = json.loads(metadata)
    except (ValueError, RecursionError):
        return
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        return  # metadata arrives as headers
    envelope = decode(entries_of(found), decode_instruction_file(instruction) if instruction else None)
    try:
        opened = opener(envelope, KEY)
    except DecryptionError:
        return
    for at in range(0, len(content), 11):
        opened.update(content[at : at + 11])
    opened.finalize()


def _metadata(content: bytes = b"0123456789abcdef" * 3, **entries: str) -> bytes:
    named = {"x-amz-" + name.replace("_", "-"): value for name, value in entries.items()}
    return json.dumps(named).encode() + b"\n" + content


_IV12, _IV16, _KEY32 = "AAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
_V2 = {"key_v2": _KEY32, "wrap_alg": "kms+context", "matdesc": '{"aws:x-amz-cek-alg":"AES/GCM/NoPadding"}'}
_CLIENT_SEEDS = (
    _metadata(key=_KEY32, iv=_IV16, matdesc="{}"),
    _metadata(**_V2, iv=_IV12, cek_alg="AES/GCM/NoPadding", tag_len="128"),
    _metadata(**_V2, iv=_IV16, cek_alg="AES/CBC/PKCS5Padding", unencrypted_content_length="40"),
    _metadata(c="115", w="12", d="A" * 38, i="A" * 38, t='{"a":"b"}', **{"3": _KEY32}),
    b'{"x-amz-crypto-instr-file": ""}\0{"x-amz-key-v2": "AAAA", "x-amz-tag-len": 128}\nabc',
)

_CLIENT = (S3EncryptionClientError,)
STORED: dict[str, Parts] = {
    "object records": (object_record, (), (IntegrityError,)),
    "private manifests": (split_private_records, (b'["AAAA", "AAAA"]',), (IntegrityError,)),
    "trail files": (trail_file, (_HEADED, _HEADED + framed(0, bytes(40)) + framed(1, bytes(50))), (IntegrityError,)),
    "checkpoints": (checkpoint, (_CHECKPOINT, _NO_NUMBER), (IntegrityError,)),
    "reports of proofs": (report, (json.dumps(_REPORT).encode(),), (IntegrityError, ConfigError)),
    "import tokens": (import_token, (), (RequestError,)),
    "encryption contexts": (
        lambda data: _caller_context(data.decode("latin-1")),
        (b"eyJhIjogImIifQ==",),
        (RequestError,),
    ),
    "clients' objects": (client_object, _CLIENT_SEEDS, _CLIENT),
    "clients' descriptions": (
        lambda data: decode_description("x-amz-matdesc", data.decode("latin-1")),
        (b'{"a": "b"}', b"=?UTF-8?B?eyJhIjoiYiJ9?=", b"=?UTF-8?Q?=7B=7D?="),
        (EnvelopeError,),
    ),
    "clients' instruction files": (decode_instruction_file, (b'{"x-amz-tag-len": 128}',), (EnvelopeError,)),
    "clients' ranges": (
        lambda data: parse_range(data.decode("latin-1"), 100),
        (b"bytes=0-9", b"bytes=-9"),
        (ClientConfigError,),
    ),
}

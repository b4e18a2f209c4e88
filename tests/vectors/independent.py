"""A second reading of the specs: opens what s3al sealed without a line of s3al.

What lives here: decoders written from spec/object-format.md and spec/key-hierarchy.md with other people's primitives:
PyPI `tink` for streams, cryptography's KBKDF for derivation. What does not: anything imported from s3al. Every decoder
raises `Refused` for what does not open.
"""

from __future__ import annotations

import io
import struct

import tink
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode
from tink import proto_keyset_format, secret_key_access, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

streaming_aead.register()
_STREAM_TYPE = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"


class Refused(Exception):
    """It does not open."""


def derive(key: bytes, label: bytes, context: bytes, length: int) -> bytes:
    kdf = KBKDFHMAC(
        algorithm=hashes.SHA256(),
        mode=Mode.CounterMode,
        length=length,
        rlen=4,
        llen=4,
        location=CounterLocation.BeforeFixed,
        label=label,
        context=context,
        fixed=None,
    )
    return kdf.derive(key)


def fields(*values: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(value)) + value for value in values)


def encryption_context(mapping: dict[str, str]) -> bytes:
    names = sorted(mapping, key=lambda name: name.encode("utf-8"))
    return b"".join(fields(name.encode("utf-8"), mapping[name].encode("utf-8")) for name in names)


def unwrap(wrapping_key: bytes, wrapped: bytes, associated_data: bytes) -> bytes:
    if len(wrapped) < 45 or wrapped[0] != 1:
        raise Refused
    message_key = derive(wrapping_key, b"s3al wrap v1", wrapped[1:17], 32)
    return _decrypt(AESGCM(message_key), wrapped[17:29], wrapped[29:], associated_data)


def open_record(key: bytes, sealed: bytes, associated_data: bytes) -> bytes:
    if len(sealed) < 29 or sealed[0] != 1:
        raise Refused
    return _decrypt(AESGCMSIV(key), sealed[1:13], sealed[13:], b"\x01" + associated_data)


def open_kms(material: bytes, blob: bytes, context: dict[str, str]) -> tuple[str, bytes, bytes]:
    """(key id, material id, plaintext)."""
    if blob[:5] != b"s3al\x01" or not 6 <= len(blob) <= 6144:
        raise Refused
    end = 6 + blob[5]
    key_id, material_id = blob[6:end], blob[end : end + 32]
    salt, iv, sealed = blob[end + 32 : end + 48], blob[end + 48 : end + 60], blob[end + 60 :]
    if not 1 <= len(key_id) <= 64 or len(sealed) < 17:
        raise Refused
    message_key = derive(material, b"s3al kms wrap v1", salt, 32)
    associated_data = fields(blob[: end + 32], encryption_context(context))
    return key_id.decode("ascii"), material_id, _decrypt(AESGCM(message_key), iv, sealed, associated_data)


def tink_stream(stream_key: bytes, segment_bytes: int) -> streaming_aead.StreamingAead:
    params = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
        ciphertext_segment_size=segment_bytes, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256
    )
    key = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(version=0, key_value=stream_key, params=params)
    keyset = tink_pb2.Keyset(primary_key_id=1)
    entry = keyset.key.add()
    entry.key_data.type_url = _STREAM_TYPE
    entry.key_data.value = key.SerializeToString()
    entry.key_data.key_material_type = tink_pb2.KeyData.SYMMETRIC
    entry.status = tink_pb2.ENABLED
    entry.key_id = 1
    entry.output_prefix_type = tink_pb2.RAW
    handle = proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN)
    return handle.primitive(streaming_aead.StreamingAead)


def open_stream(stream_key: bytes, sealed: bytes, associated_data: bytes, segment_bytes: int) -> bytes:
    try:
        reader = tink_stream(stream_key, segment_bytes).new_decrypting_stream(io.BytesIO(sealed), associated_data)
        return reader.read()
    except tink.TinkError as error:
        raise Refused from error


class _Kept(io.BytesIO):
    """Tink closes what it writes to; this keeps what was written."""

    written = b""

    def close(self) -> None:
        if not self.closed:
            self.written = self.getvalue()
        super().close()


def seal_stream(stream_key: bytes, plaintext: bytes, associated_data: bytes, segment_bytes: int) -> bytes:
    target = _Kept()
    with tink_stream(stream_key, segment_bytes).new_encrypting_stream(target, associated_data) as writer:
        writer.write(plaintext)
    return target.written


def _decrypt(cipher: AESGCM | AESGCMSIV, iv: bytes, sealed: bytes, associated_data: bytes) -> bytes:
    try:
        return cipher.decrypt(iv, sealed, associated_data)
    except InvalidTag:
        raise Refused from None

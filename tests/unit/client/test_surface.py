"""What the package promises around the client: imports, one's own keyring, Tink, and a features page that is true."""

from __future__ import annotations

import base64
import io
import re
import struct
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from s3al.client import (
    AesKeyring,
    AlgorithmSuite,
    DataKey,
    S3EncryptionClient,
    S3EncryptionClientConfig,
    WrapAlgorithm,
    WrappedKey,
)
from unit.client.world import WRAPPING_KEY, FakeS3

ROOT = Path(__file__).resolve().parents[3]


def test_the_client_imports_with_the_base_install_only() -> None:
    """Server rooms and extras are not even loaded."""
    code = (
        "import sys, s3al.client\n"
        "loaded = {name.split('.')[0] if not name.startswith('s3al.') else '.'.join(name.split('.')[:2])"
        " for name in sys.modules}\n"
        "print(' '.join(sorted(loaded)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    forbidden = {"s3al.s3", "s3al.kms", "s3al.server", "s3al.store", "s3al.wire", "s3al.auth", "apsw", "granian",
                 "lxml", "orjson", "fsspec", "aiobotocore", "tink"}  # fmt: skip
    assert not forbidden & set(loaded)


def test_a_keyring_of_ones_own_works() -> None:
    class Vault:
        waits = False

        def generate(self, suite: AlgorithmSuite, context: Mapping[str, str] | None) -> DataKey:
            return DataKey(bytes(32), WrappedKey(WrapAlgorithm.AES_GCM, b"vault:" + suite.binding.encode(), {"v": "1"}))

        def unwrap(self, suite: AlgorithmSuite, wrapped: WrappedKey, context: Mapping[str, str] | None) -> bytes:
            assert wrapped.ciphertext == b"vault:" + suite.binding.encode()
            assert wrapped.description == {"v": "1"}
            return bytes(32)

    client = S3EncryptionClient(FakeS3(), S3EncryptionClientConfig(keyring=Vault()))
    for extra in ({}, {"format": "stream"}):
        client.put_object(Bucket="b", Key="k", Body=b"vaulted", **extra)
        assert client.get_object(Bucket="b", Key="k")["Body"].read() == b"vaulted"


@pytest.mark.parametrize("size", [0, 1, 4096 - 56, 4096 - 55, 20_000])
def test_a_stream_object_opens_with_tink(size: int) -> None:
    tink = pytest.importorskip("tink")
    from tink import cleartext_keyset_handle, streaming_aead
    from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

    s3, keyring, body = FakeS3(), AesKeyring(WRAPPING_KEY), bytes(range(256)) * 100
    client = S3EncryptionClient(s3, S3EncryptionClientConfig(keyring=keyring, segment_bytes=4096))
    client.put_object(Bucket="b", Key="k", Body=body[:size], format="stream")
    stored = s3.objects["k"]
    wrapped = WrappedKey(WrapAlgorithm.AES_GCM, base64.b64decode(stored.metadata["s3al-key"]), {})
    data_key = keyring.unwrap(AlgorithmSuite.ALG_AES_256_GCM_HKDF_SHA256_STREAM, wrapped, None)
    fields = (b"s3al client stream v1", base64.b64decode(stored.metadata["s3al-id"]), struct.pack(">I", 4096))
    associated_data = b"".join(struct.pack(">I", len(one)) + one for one in fields)

    streaming_aead.register()
    parameters = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
        ciphertext_segment_size=4096, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256
    )
    key = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(version=0, params=parameters, key_value=data_key)
    key_data = tink_pb2.KeyData(
        type_url="type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey",
        value=key.SerializeToString(),
        key_material_type=tink_pb2.KeyData.SYMMETRIC,
    )
    one = tink_pb2.Keyset.Key(
        key_data=key_data, status=tink_pb2.ENABLED, key_id=1, output_prefix_type=tink_pb2.RAW
    )
    keyset = tink_pb2.Keyset(primary_key_id=1, key=[one]).SerializeToString()
    handle = cleartext_keyset_handle.read(tink.BinaryKeysetReader(keyset))
    primitive = handle.primitive(streaming_aead.StreamingAead)
    with primitive.new_decrypting_stream(io.BytesIO(stored.body), associated_data) as opened:
        assert opened.read() == body[:size]


def test_every_test_that_the_features_page_names_exists() -> None:
    page = (ROOT / "docs/client-features.md").read_text()
    named = re.findall(r"(unit|journeys|vectors)/(test_\w+\.py)::(\w+)", page)
    assert len(named) > 30
    folders = {"unit": "tests/unit/client", "journeys": "tests/journeys", "vectors": "tests/vectors"}
    for place, file, name in named:
        source = (ROOT / folders[place] / file).read_text()
        assert re.search(rf"(def|class) {name}\b", source), f"{place}/{file}::{name}"

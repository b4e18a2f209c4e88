"""Static objects of AWS's Go client, opened offline; the source of the values stands in the file."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest

import s3al.client as cse
from s3al.client.formats.derivation import derive
from unit.client.world import FakeS3, Stored

DOCUMENT = json.loads((Path(__file__).parent / "client/go_client.json").read_text())


class StaticKms:
    """Answers every Decrypt with one data key, as the Go tests' server does."""

    def __init__(self, data_key: str) -> None:
        self._data_key = base64.b64decode(data_key)

    def decrypt(self, **_: Any) -> dict[str, Any]:
        return {"Plaintext": self._data_key}


def client_for(vector: dict[str, Any], s3: Any) -> cse.S3EncryptionClient:
    keyring = cse.KmsDiscoveryKeyring(StaticKms(vector["data_key"]), enable_legacy_wrapping_algorithms=True)
    config = cse.S3EncryptionClientConfig(
        keyring=keyring,
        commitment_policy=cse.CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT,
        enable_legacy_unauthenticated_modes=True,
    )
    return cse.S3EncryptionClient(s3, config)


@pytest.mark.parametrize("vector", DOCUMENT["objects"], ids=lambda vector: vector["name"])
def test_static_object_has_its_verdict(vector: dict[str, Any]) -> None:
    s3 = FakeS3({"k": Stored(bytes.fromhex(vector["body"]), {"Metadata": vector["metadata"]})})
    client = client_for(vector, s3)
    if vector["verdict"] != "opens":
        with pytest.raises(getattr(cse, vector["verdict"])):
            client.get_object(Bucket="b", Key="k")
        return
    plaintext = bytes.fromhex(vector["plaintext"])
    assert client.get_object(Bucket="b", Key="k")["Body"].read() == plaintext
    target = io.BytesIO()
    client.download_fileobj("b", "k", target)
    assert target.getvalue() == plaintext


@pytest.mark.parametrize("vector", [one for one in DOCUMENT["objects"] if one["verdict"] == "opens"],
                         ids=lambda vector: vector["name"])  # fmt: skip
def test_ranges_of_static_objects_open_as_java_reads_them(vector: dict[str, Any]) -> None:
    plaintext = bytes.fromhex(vector["plaintext"])
    metadata = vector["metadata"] | {"x-amz-unencrypted-content-length": str(len(plaintext))}
    s3 = FakeS3({"k": Stored(bytes.fromhex(vector["body"]), {"Metadata": metadata})})
    client = client_for(vector, s3)
    for start in range(0, len(plaintext), 5):
        for end in (start, start + 3, start + 17, len(plaintext) - 1, len(plaintext) + 40):
            if end < start:
                continue
            opened = client.get_object(Bucket="b", Key="k", Range=f"bytes={start}-{end}")
            assert opened["Body"].read() == plaintext[start : end + 1], (start, end)


@pytest.mark.parametrize("vector", DOCUMENT["derivations"], ids=["first", "second"])
def test_known_answers_of_the_key_derivation(vector: dict[str, str]) -> None:
    content_key, commitment = derive(bytes.fromhex(vector["data_key"]), bytes.fromhex(vector["message_id"]))
    assert content_key.hex() == vector["content_key"]
    assert commitment.hex() == vector["commitment"]

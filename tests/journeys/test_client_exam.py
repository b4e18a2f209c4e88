"""The exam question: objects must be encrypted before they are uploaded. Which keys can do that, and which cannot?"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from journeys.recording_proxy import RecordingProxy
from s3al.client import AesKeyring, KmsKeyring, S3EncryptionClient, S3EncryptionClientConfig, S3ManagedKeyError
from support.needles import search_all
from support.server_process import ServerProcess
from support.settings import SSE_KMS, new_bucket, new_key

KEYRINGS: dict[str, Callable[[ServerProcess], Any]] = {
    "a KMS key": lambda server: KmsKeyring(server.client("kms"), new_key(server)),
    "a key of the application": lambda server: AesKeyring(os.urandom(32)),
}


@pytest.mark.parametrize("object_format", [None, "stream"], ids=["V3", "stream"])
@pytest.mark.parametrize("name", KEYRINGS)
def test_with_this_key_neither_traffic_nor_disk_ever_hold_plaintext(
    name: str, object_format: str | None, start_server: Callable[..., ServerProcess], tmp_path: Path
) -> None:
    server = start_server("--workers", "1")
    keyring, bucket = KEYRINGS[name](server), new_bucket(server)
    small, large = secrets.token_bytes(5000), secrets.token_bytes(20_000_000)
    needles = {
        "small": small[:16], "small, later": small[2500:2516],
        "large": large[:16], "large, middle": large[10**7 :][:16], "large, end": large[-16:],
    }  # fmt: skip
    record = tmp_path / "traffic"
    extra = {"format": object_format} if object_format else {}
    with RecordingProxy(server.host, server.port, record=record) as proxy:
        client = S3EncryptionClient(
            server.client(endpoint_url=proxy.endpoint), S3EncryptionClientConfig(keyring=keyring)
        )
        client.put_object(Bucket=bucket, Key="small", Body=small, **extra)
        client.put_object(Bucket=bucket, Key="large", Body=large, **extra)
        assert client.get_object(Bucket=bucket, Key="small")["Body"].read() == small
        assert client.get_object(Bucket=bucket, Key="large")["Body"].read() == large
    assert record.stat().st_size > 2 * (len(small) + len(large))
    found, searched = search_all(needles, [record, server.folder], processes=1)
    assert found == []
    assert searched > len(large)


def test_the_search_would_have_found_it(standing_server: ServerProcess, tmp_path: Path) -> None:
    """The same journey with server-side encryption alone: the traffic holds the plaintext, and the test sees it."""
    bucket, body, record = new_bucket(standing_server), secrets.token_bytes(5000), tmp_path / "traffic"
    with RecordingProxy(standing_server.host, standing_server.port, record=record) as proxy:
        s3 = standing_server.client(endpoint_url=proxy.endpoint)
        s3.put_object(Bucket=bucket, Key="server-side", Body=body, ServerSideEncryption=SSE_KMS)
    found, _ = search_all({"body": body[:16]}, [record], processes=1)
    assert found


@pytest.mark.parametrize("named", ["SSE-S3", "AES256", "alias/aws/s3", "alias ARN", "id", "ARN"])
def test_keys_that_s3_manages_are_refused_before_any_object_is_written(
    standing_server: ServerProcess, named: str
) -> None:
    s3, kms, bucket = standing_server.client(), standing_server.client("kms"), new_bucket(standing_server)
    written = s3.put_object(Bucket=bucket, Key="server-side", Body=b"x", ServerSideEncryption=SSE_KMS)
    arn = written["SSEKMSKeyId"]
    assert kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyManager"] == "AWS"
    key = {
        "alias ARN": arn.rpartition(":")[0] + ":alias/aws/s3", "id": arn.rpartition("/")[2], "ARN": arn,
    }.get(named, named)  # fmt: skip
    with pytest.raises(S3ManagedKeyError) as caught:
        client = S3EncryptionClient(s3, S3EncryptionClientConfig(keyring=KmsKeyring(kms, key)))
        client.put_object(Bucket=bucket, Key="never", Body=b"x")
    assert "not encrypted before they are uploaded" in str(caught.value)
    assert [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["server-side"]

"""The async client on a real server, beside the sync one."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.exceptions import ClientError

from s3al.client import (
    AesKeyring,
    CachingKeyring,
    ClientConfigError,
    DecryptionError,
    InstructionFileConfig,
    KmsKeyring,
    PlaintextObjectError,
    PolicyError,
    S3EncryptionClient,
    S3EncryptionClientConfig,
    SourceError,
)
from s3al.client.aio import AsyncS3EncryptionClient
from support.server_process import ServerProcess
from support.settings import new_bucket, new_key

MIB = 1024 * 1024
KEY = AesKeyring(bytes(range(32)))


def run(server: ServerProcess, journey: Callable[[Any], Awaitable[None]]) -> None:
    """`journey` with a client of aiobotocore."""

    async def main() -> None:
        options = {
            "endpoint_url": server.endpoint,
            "region_name": server.region,
            "aws_access_key_id": server.access_key_id,
            "aws_secret_access_key": server.secret_access_key,
            "config": AioConfig(signature_version="s3v4"),
        }
        async with get_session().create_client("s3", **options) as client:
            await journey(client)

    asyncio.run(main())


@pytest.mark.parametrize("extra", [{}, {"format": "stream"}], ids=["V3", "stream"])
@pytest.mark.parametrize("instruction", [False, True], ids=["metadata", "instruction-file"])
def test_async_and_sync_clients_read_each_other(
    standing_server: ServerProcess, extra: dict[str, str], instruction: bool
) -> None:
    bucket = new_bucket(standing_server)
    keyring = CachingKeyring(KmsKeyring(standing_server.client("kms"), new_key(standing_server)))
    config = S3EncryptionClientConfig(
        keyring=keyring, instruction_file_config=InstructionFileConfig(enable_put_object=instruction)
    )
    sync = S3EncryptionClient(standing_server.client(), config)

    async def journey(plain: Any) -> None:
        client = AsyncS3EncryptionClient(plain, config)
        for size in (0, 1, 100_000, 10 * MIB, 37 * MIB + 1):
            body = os.urandom(size)
            await client.put_object(Bucket=bucket, Key="async", Body=body, Metadata={"n": "1"}, **extra)
            assert sync.get_object(Bucket=bucket, Key="async")["Body"].read() == body
            sync.put_object(Bucket=bucket, Key="sync", Body=body, **extra)
            opened = await client.get_object(Bucket=bucket, Key="sync")
            assert opened["ContentLength"] == size
            async with opened["Body"] as stream:
                assert await stream.read() == body
            assert (await client.head_object(Bucket=bucket, Key="async"))["Metadata"] == {"n": "1"}
        await client.delete_object(Bucket=bucket, Key="async")
        with pytest.raises(ClientError):
            await plain.head_object(Bucket=bucket, Key="async")

    run(standing_server, journey)


def test_async_bodies_of_every_kind_and_ranges(standing_server: ServerProcess) -> None:
    bucket, body = new_bucket(standing_server), os.urandom(6 * MIB + 5)

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 99_999):
            yield body[at : at + 99_999]

    class Reads:
        def __init__(self) -> None:
            self._file = io.BytesIO(body)

        async def read(self, amount: int) -> bytes:
            return self._file.read(min(amount, 70_000))

    async def journey(plain: Any) -> None:
        client = AsyncS3EncryptionClient(
            plain, S3EncryptionClientConfig(keyring=KEY, multipart_threshold_bytes=5 * MIB)
        )
        for source in (pieces(), Reads(), io.BytesIO(body), iter([body])):
            await client.put_object(Bucket=bucket, Key="k", Body=source, format="stream")
            opened = await client.get_object(Bucket=bucket, Key="k", Range="bytes=131000-400000")
            assert await opened["Body"].read() == body[131000:400001]
            target = io.BytesIO()
            await client.download_fileobj(bucket, "k", target)
            assert target.getvalue() == body

    run(standing_server, journey)


def test_async_bad_input_gives_the_same_errors(standing_server: ServerProcess) -> None:
    bucket, s3 = new_bucket(standing_server), standing_server.client()

    async def breaks() -> AsyncIterator[bytes]:
        yield bytes(11 * MIB)
        raise OSError("the pipe broke")

    async def journey(plain: Any) -> None:
        config = S3EncryptionClientConfig(keyring=KEY, multipart_threshold_bytes=5 * MIB, spool_memory_bytes=MIB)
        client = AsyncS3EncryptionClient(plain, config)
        with pytest.raises(SourceError):
            await client.put_object(Bucket=bucket, Key="broken", Body=breaks())
        assert not s3.list_multipart_uploads(Bucket=bucket).get("Uploads")
        await client.put_object(Bucket=bucket, Key="k", Body=bytes(9 * MIB))
        with pytest.raises(PolicyError):
            await client.get_object(Bucket=bucket, Key="k", Range="bytes=0-1")
        stored = s3.get_object(Bucket=bucket, Key="k")
        altered = stored["Body"].read()[:-1] + b"\0"
        s3.put_object(Bucket=bucket, Key="k", Body=altered, Metadata=stored["Metadata"])
        opened = await client.get_object(Bucket=bucket, Key="k")
        with pytest.raises(DecryptionError):
            await opened["Body"].read(1)
        s3.put_object(Bucket=bucket, Key="plain", Body=b"x")
        with pytest.raises(PlaintextObjectError):
            await client.get_object(Bucket=bucket, Key="plain")

    run(standing_server, journey)


@pytest.mark.parametrize("extra", [{}, {"format": "stream"}], ids=["V3", "stream"])
def test_async_offers_what_the_sync_client_offers(
    standing_server: ServerProcess, extra: dict[str, str], tmp_path: Path
) -> None:
    """Files, lists, copies, parts, deletes, URLs and instruction files: each seen by the sync client too."""
    bucket, body, other = new_bucket(standing_server), os.urandom(6 * MIB + 1), AesKeyring(bytes(range(1, 33)))
    (tmp_path / "in").write_bytes(body)
    beside = InstructionFileConfig(enable_put_object=True)
    config = S3EncryptionClientConfig(keyring=KEY, instruction_file_config=beside)
    sync = S3EncryptionClient(standing_server.client(), config)
    sync_other = S3EncryptionClient(standing_server.client(), S3EncryptionClientConfig(keyring=other))

    async def journey(plain: Any) -> None:
        client, seen = AsyncS3EncryptionClient(plain, config), [0, 0]
        await client.upload_file(
            tmp_path / "in", bucket, "file", extra, lambda count: seen.__setitem__(0, seen[0] + count)
        )
        await client.download_file(bucket, "file", tmp_path / "out", None, lambda n: seen.__setitem__(1, seen[1] + n))
        assert (tmp_path / "out").read_bytes() == body
        assert seen == [len(body)] * 2

        await client.copy_object(CopySource={"Bucket": bucket, "Key": "file"}, Bucket=bucket, Key="copied")
        assert sync.get_object(Bucket=bucket, Key="copied")["Body"].read() == body
        changed = AsyncS3EncryptionClient(plain, S3EncryptionClientConfig(keyring=other))
        await changed.copy({"Bucket": bucket, "Key": "file"}, bucket, "moved", extra, SourceClient=client)
        assert sync_other.get_object(Bucket=bucket, Key="moved")["Body"].read() == body
        await client.reencrypt_instruction_file(other, Bucket=bucket, Key="copied")
        assert sync_other.get_object(Bucket=bucket, Key="copied")["Body"].read() == body

        created = await client.create_multipart_upload(Bucket=bucket, Key="parts", **extra)
        named = {"Bucket": bucket, "Key": "parts", "UploadId": created["UploadId"]}
        answer = await client.upload_part(**named, PartNumber=1, Body=body)
        parts = [{"PartNumber": 1, "ETag": answer["ETag"]} | {n: v for n, v in answer.items() if n == "ChecksumCRC32"}]
        await client.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
        assert sync.get_object(Bucket=bucket, Key="parts")["Body"].read() == body

        sizes = {one["Key"]: one["Size"] for one in (await client.list_objects_v2(Bucket=bucket))["Contents"]}
        async for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            assert {one["Key"]: one["Size"] for one in page["Contents"]} == sizes
        assert [sizes[key] for key in ("file", "copied", "moved", "parts")] == [len(body)] * 4

        url = await client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "moved"})
        opened = await changed.get_presigned(url)
        assert await opened["Body"].read() == body
        for name in ("generate_presigned_post", "upload_part_copy"):
            with pytest.raises(ClientConfigError):
                getattr(client, name)
        with pytest.raises(ClientConfigError):
            await client.generate_presigned_url("put_object", Params={"Bucket": bucket, "Key": "k"})
        assert (await client.head_bucket(Bucket=bucket))["ResponseMetadata"]["HTTPStatusCode"] == 200
        await client.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in sizes]})
        assert "Contents" not in await plain.list_objects_v2(Bucket=bucket)

    run(standing_server, journey)

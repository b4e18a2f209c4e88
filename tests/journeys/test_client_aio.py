"""The async client on a real server, beside the sync one."""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiobotocore.session import get_session
from botocore.exceptions import ClientError

from s3al.client import (
    AesKeyring,
    CachingKeyring,
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

"""4 KiB objects at 32 in flight: our async client against our sync client and bare aiobotocore, with and without delay.

Through a loopback proxy that adds 10 ms each way. arguments: number of objects (320 by default). PUT and GET of each.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from aiobotocore.config import AioConfig  # noqa: E402
from aiobotocore.session import get_session  # noqa: E402

from journeys.recording_proxy import RecordingProxy  # noqa: E402
from s3al.client import AesKeyring, S3EncryptionClient, S3EncryptionClientConfig  # noqa: E402
from s3al.client.aio import AsyncS3EncryptionClient  # noqa: E402
from support.server_process import ServerProcess  # noqa: E402

CONFIG = S3EncryptionClientConfig(keyring=AesKeyring(bytes(32)))
BODY = bytes(4096)
IN_FLIGHT = 32


async def at_once(server: ServerProcess, endpoint: str, count: int, *, encrypts: bool) -> float:
    options: dict[str, Any] = {
        "endpoint_url": endpoint, "region_name": server.region, "config": AioConfig(max_pool_connections=IN_FLIGHT),
        "aws_access_key_id": server.access_key_id, "aws_secret_access_key": server.secret_access_key,
    }  # fmt: skip
    async with get_session().create_client("s3", **options) as plain:
        client = AsyncS3EncryptionClient(plain, CONFIG) if encrypts else plain
        free = asyncio.Semaphore(IN_FLIGHT)

        async def one(number: int) -> None:
            async with free:
                await client.put_object(Bucket="bench", Key=f"async-{number}", Body=BODY)
                answer = await client.get_object(Bucket="bench", Key=f"async-{number}")
                assert len(await answer["Body"].read()) == len(BODY)

        await asyncio.gather(*(one(number) for number in range(IN_FLIGHT)))
        began = time.perf_counter()
        await asyncio.gather(*(one(number) for number in range(count)))
        return count / (time.perf_counter() - began)


def one_by_one(server: ServerProcess, endpoint: str, count: int) -> float:
    client = S3EncryptionClient(server.client(endpoint_url=endpoint), CONFIG)
    began = time.perf_counter()
    for number in range(count):
        client.put_object(Bucket="bench", Key=f"sync-{number}", Body=BODY)
        client.get_object(Bucket="bench", Key=f"sync-{number}")["Body"].read()
    return count / (time.perf_counter() - began)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 320
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(Path(folder) / "server", ("--workers", "2")).start()
        try:
            server.client().create_bucket(Bucket="bench")
            with RecordingProxy(server.host, server.port, delay_s=0.01) as proxy:
                sync = one_by_one(server, proxy.endpoint, count // 8)
                ours = asyncio.run(at_once(server, proxy.endpoint, count, encrypts=True))
            print(f"with 20 ms: sync {sync:.1f}/s, async {ours:.1f}/s: {ours / sync:.1f} times", flush=True)
            best = {
                encrypts: max(
                    asyncio.run(at_once(server, server.endpoint, count, encrypts=encrypts)) for _ in range(4)
                )
                for encrypts in (False, True)
            }
            print(f"without: aiobotocore {best[False]:.1f}/s, ours {best[True]:.1f}/s: {best[True] / best[False]:.2f}")
        finally:
            server.stop()


main()

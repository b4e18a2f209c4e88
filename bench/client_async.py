"""4 KiB objects at 32 in flight: our async client against our sync client and bare aiobotocore, with and without delay.

Through a loopback proxy that adds 10 ms each way. arguments: number of objects (320 by default). PUT and GET of each.
"""

from __future__ import annotations

import asyncio
import statistics
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


async def in_turn(server: ServerProcess, endpoint: str, count: int, rounds: int) -> dict[bool, list[float]]:
    """Objects a second of each round: bare aiobotocore (False) and ours (True), in turn on one event loop."""
    options: dict[str, Any] = {
        "endpoint_url": endpoint, "region_name": server.region, "config": AioConfig(max_pool_connections=IN_FLIGHT),
        "aws_access_key_id": server.access_key_id, "aws_secret_access_key": server.secret_access_key,
    }  # fmt: skip
    async with get_session().create_client("s3", **options) as plain:
        clients = {False: plain, True: AsyncS3EncryptionClient(plain, CONFIG)}
        speeds: dict[bool, list[float]] = {False: [], True: []}
        for client in clients.values():
            await at_once(client, IN_FLIGHT)
        for number in range(rounds):
            for encrypts in sorted(clients, reverse=bool(number % 2)):
                began = time.perf_counter()
                await at_once(clients[encrypts], count)
                speeds[encrypts].append(count / (time.perf_counter() - began))
        return speeds


async def at_once(client: Any, count: int) -> None:
    free = asyncio.Semaphore(IN_FLIGHT)

    async def one(number: int) -> None:
        async with free:
            await client.put_object(Bucket="bench", Key=f"async-{type(client).__name__}-{number}", Body=BODY)
            answer = await client.get_object(Bucket="bench", Key=f"async-{type(client).__name__}-{number}")
            assert len(await answer["Body"].read()) == len(BODY)

    await asyncio.gather(*(one(number) for number in range(count)))


def one_by_one(server: ServerProcess, endpoint: str, count: int) -> float:
    client = S3EncryptionClient(server.client(endpoint_url=endpoint), CONFIG)
    client.put_object(Bucket="bench", Key="sync", Body=BODY)
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
                ratios = []
                for _ in range(3):
                    sync = one_by_one(server, proxy.endpoint, 20)
                    ours = max(asyncio.run(in_turn(server, proxy.endpoint, count, 1))[True])
                    ratios.append(ours / sync)
                    print(f"with 20 ms: sync {sync:.1f}/s, async {ours:.1f}/s", flush=True)
            print(f"with 20 ms: async is {statistics.median(ratios):.1f} times sync", flush=True)
            speeds = asyncio.run(in_turn(server, server.endpoint, count, 8))
            share = statistics.median(ours / bare for bare, ours in zip(speeds[False], speeds[True], strict=True))
            print(f"without: aiobotocore {max(speeds[False]):.0f}/s, ours {max(speeds[True]):.0f}/s: {share:.2f} of it")
        finally:
            server.stop()


main()

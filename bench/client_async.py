"""4 KiB objects at 32 in flight: our async client against our sync client and bare aiobotocore, with and without delay.

Through a loopback proxy that adds 10 ms each way. arguments: number of objects (320 by default). PUT and GET of each;
first against s3al's server, then against a bare sink (client_sink.py), where the processors have less else to do.
Told too: processor time of this process for a pair, which says the same on a machine that has other work.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from client_sink import Sink

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


@dataclass(slots=True)
class Turns:
    """Of each round: pairs of PUT and GET a second, and processor seconds for one."""

    speeds: list[float]
    processor: list[float]


async def in_turn(server: ServerProcess, endpoint: str, count: int, rounds: int) -> dict[bool, Turns]:
    """Bare aiobotocore (False) and ours (True), in turn on one event loop: A-B, B-A."""
    options: dict[str, Any] = {
        "endpoint_url": endpoint, "region_name": server.region, "config": AioConfig(max_pool_connections=IN_FLIGHT),
        "aws_access_key_id": server.access_key_id, "aws_secret_access_key": server.secret_access_key,
    }  # fmt: skip
    async with get_session().create_client("s3", **options) as plain:
        clients = {False: plain, True: AsyncS3EncryptionClient(plain, CONFIG)}
        turns = {encrypts: Turns([], []) for encrypts in clients}
        for client in clients.values():
            await at_once(client, IN_FLIGHT)
        for number in range(rounds):
            for encrypts in sorted(clients, reverse=bool(number % 2)):
                began, used = time.perf_counter(), time.process_time()
                await at_once(clients[encrypts], count)
                turns[encrypts].speeds.append(count / (time.perf_counter() - began))
                turns[encrypts].processor.append((time.process_time() - used) / count)
        return turns


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
    with tempfile.TemporaryDirectory() as folder, Sink() as sink:
        server = ServerProcess(Path(folder) / "server", ("--workers", "2")).start()
        try:
            server.client().create_bucket(Bucket="bench")
            for name, endpoint in (("server", server.endpoint), ("sink", sink.endpoint)):
                print(f"{name}: load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
                with_delay(server, name, endpoint, count)
                without_delay(server, name, endpoint, count)
        finally:
            server.stop()


def with_delay(server: ServerProcess, name: str, endpoint: str, count: int) -> None:
    to = urlsplit(endpoint)
    ratios = []
    with RecordingProxy(str(to.hostname), int(to.port or 0), delay_s=0.01) as proxy:
        for _ in range(5):
            sync = one_by_one(server, proxy.endpoint, 20)
            ours = max(asyncio.run(in_turn(server, proxy.endpoint, count, 1))[True].speeds)
            ratios.append(ours / sync)
            print(f"{name}, with 20 ms: sync {sync:.1f}/s, async {ours:.1f}/s", flush=True)
    print(f"{name}, with 20 ms: async is {statistics.median(ratios):.1f} times sync (to {max(ratios):.1f})", flush=True)


def without_delay(server: ServerProcess, name: str, endpoint: str, count: int) -> None:
    turns = asyncio.run(in_turn(server, endpoint, count, 8))
    bare, ours = turns[False], turns[True]
    share = statistics.median(mine / theirs for theirs, mine in zip(bare.speeds, ours.speeds, strict=True))
    print(
        f"{name}, without: aiobotocore {max(bare.speeds):.0f}/s, ours {max(ours.speeds):.0f}/s: {share:.2f} of it; "
        f"processor {min(bare.processor) * 1000:.2f} and {min(ours.processor) * 1000:.2f} ms a pair",
        flush=True,
    )


main()

"""A server without a store: the supervisor and the edge around a few paths, to be run as a program.

    python stand_in.py WORKERS [--host HOST] [--stop-s S] [--idle-s S] [--hourly-s S] [--tls FOLDER]
                       [--fail-start] [--die-young] [--hold FILE] [--proxy CIDR]... [--drain BYTES]

It prints its port once it serves.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import ipaddress
import json
import os
import resource
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from s3al.errors import IntegrityError, S3alError
from s3al.server.asgi import AsgiApp, Edge, EdgeLimits, Ending, Request, Response
from s3al.server.health import health_page
from s3al.server.logs import Log
from s3al.server.metrics import REQUESTS, Metrics
from s3al.server.supervisor import Supervision, Supervisor, listen
from s3al.server.tls import automatic_pair

PIECE = 1 << 16
PR_GET_DUMPABLE = 3


class StandIn:
    """Answers by path; query values parametrise."""

    def __init__(self, log: Log, metrics: Metrics) -> None:
        self.log = log
        self.metrics = metrics

    async def ready(self) -> str | None:
        return None

    async def respond(self, request: Request) -> Response:
        page = await health_page(request, ready=self.ready, metrics=self.metrics)
        if page:
            return page
        self.metrics.add(REQUESTS, service="test", operation=request.raw_path.strip("/"), status="200")
        if request.refusal:
            return Response(400, [], request.refusal.code.encode(), ended=self.ended)
        return await getattr(self, "path_" + request.raw_path.strip("/"))(request, dict(request.query))

    def ended(self, ending: Ending) -> None:
        self.log.event("ended", **asdict(ending))

    async def path_refuse(self, _request: Request, _query: dict[str, str]) -> Response:
        return Response(403, [("content-type", "application/xml")], b"<Error/>", ended=self.ended)

    async def path_count(self, request: Request, _query: dict[str, str]) -> Response:
        size = 0
        async for piece in request.body:
            size += len(piece)
        return Response(200, [], str(size).encode(), ended=self.ended)

    async def path_show(self, request: Request, _query: dict[str, str]) -> Response:
        shown = {
            "method": request.method,
            "raw_path": request.raw_path,
            "query": request.query,
            "headers": dict(request.headers),
            "client_ip": request.client_ip,
            "secure": request.secure,
        }
        return Response(200, [], json.dumps(shown).encode(), ended=self.ended)

    async def path_process(self, _request: Request, _query: dict[str, str]) -> Response:
        shown = {
            "pid": os.getpid(),
            "core_limit": resource.getrlimit(resource.RLIMIT_CORE),
            "dumpable": ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0),
        }
        return Response(200, [], json.dumps(shown).encode())

    async def path_slow(self, _request: Request, query: dict[str, str]) -> Response:
        self.log.event("slow_begun")
        await asyncio.sleep(float(query["s"]))
        return Response(200, [], b"slow", ended=self.ended)

    async def path_stream(self, _request: Request, query: dict[str, str]) -> Response:
        """pieces: of 64 KiB to send. announced: pieces to promise. fail: the piece before which it fails."""
        pieces = int(query["pieces"])
        announced = int(query.get("announced", pieces))
        return Response(200, [], self._pieces(pieces, query.get("fail")), announced * PIECE, ended=self.ended)

    async def path_die(self, _request: Request, _query: dict[str, str]) -> Response:
        os._exit(3)

    async def path_boom(self, _request: Request, _query: dict[str, str]) -> Response:
        raise ValueError("the-secret-in-the-message")

    async def _pieces(self, count: int, fail: str | None) -> AsyncIterator[bytes]:
        try:
            for index in range(count):
                if fail is not None and int(fail) == index:
                    raise IntegrityError("segment 3 of the-secret-name")
                yield bytes([index % 256]) * PIECE
                await asyncio.sleep(0)
        finally:
            self.log.event("stream_closed")


def main() -> None:
    flags = _flags()
    log = Log()
    metrics = Metrics(flags.workers + 2)
    stand_in = StandIn(log, metrics)

    def load(slot: int) -> AsgiApp:
        if flags.fail_start:
            raise S3alError("the store cannot be opened", advice="look at the disk")
        if flags.die_young and slot == 1:
            os._exit(3)
        while flags.hold and slot > flags.workers and Path(flags.hold).exists():  # a successor
            time.sleep(0.01)
        return Edge(
            stand_in.respond,
            log,
            trusted_proxies=tuple(ipaddress.ip_network(network) for network in flags.proxy),
            limits=EdgeLimits(drain_bytes=flags.drain, idle_s=flags.idle_s),
        )

    listener = listen(flags.host, 0)
    pair = automatic_pair(Path(flags.tls), domain=None, listen_host=flags.host, now=datetime.now(UTC)) if (
        flags.tls) else None  # fmt: skip
    supervision = Supervision(workers=flags.workers, stop_s=flags.stop_s, hourly_s=flags.hourly_s)
    renewals = iter([True])
    supervisor = Supervisor(
        listener, load, log, metrics, tls=pair, supervision=supervision, hourly=lambda: next(renewals, False)
    )
    try:
        supervisor.run(lambda: print(listener.getsockname()[1], flush=True))
    except S3alError as exc:
        sys.exit(f"{exc} / {exc.advice}")


def _flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("workers", type=int)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--stop-s", type=float, default=20)
    parser.add_argument("--hourly-s", type=float, default=3600)
    parser.add_argument("--idle-s", type=float, default=60)
    parser.add_argument("--tls")
    parser.add_argument("--fail-start", action="store_true")
    parser.add_argument("--die-young", action="store_true")
    parser.add_argument("--hold")
    parser.add_argument("--proxy", action="append", default=[])
    parser.add_argument("--drain", type=int, default=64 * 1024 * 1024)
    return parser.parse_args()


if __name__ == "__main__":
    main()

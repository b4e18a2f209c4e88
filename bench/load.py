"""Load from tools that are not ours: `wrk` replays requests signed beforehand, `curl` moves large objects.

What lives here: signing, the files that wrk reads, one timed run of either tool. What does not: which requests
(cases), servers (targets), the table (run). The signatures are of the header kind, hence good for 15 minutes; the URLs
that curl gets are presigned.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlsplit

from s3al.auth.sigv4 import UNSIGNED_PAYLOAD, Scope
from s3al.auth.sigv4_sign import Unsigned, presign, sign

REPLAY = Path(__file__).with_name("replay.lua")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request before signing. query: decoded pairs. headers: beyond those that signing adds."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = field(default=b"", repr=False)
    service: str = "s3"


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs for one endpoint and one access key."""

    endpoint: str
    access_key_id: str
    secret: str = field(repr=False)
    region: str = "us-east-1"

    @property
    def host(self) -> str:
        return urlsplit(self.endpoint).netloc

    def raw(self, ask: Ask) -> bytes:
        """The request as bytes on the wire, its payload covered by the signature."""
        now = datetime.now(UTC)
        headers = {"host": self.host, **dict(ask.headers)}
        digest = hashlib.sha256(ask.body).hexdigest()
        unsigned = Unsigned(ask.method, ask.path, headers, ask.query, digest)
        signed = sign(unsigned, self._scope(ask.service, now), self.secret, now=now).headers
        if ask.body or ask.method in ("PUT", "POST"):
            signed["content-length"] = str(len(ask.body))
        target = ask.path + ("?" + _encoded(ask.query) if ask.query else "")
        lines = [f"{ask.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in signed.items()), "", ""]
        return "\r\n".join(lines).encode() + ask.body

    def url(self, ask: Ask) -> str:
        """A presigned URL, good for an hour."""
        now = datetime.now(UTC)
        headers = {"host": self.host, **dict(ask.headers)}
        unsigned = Unsigned(ask.method, ask.path, headers, ask.query, UNSIGNED_PAYLOAD)
        query = presign(unsigned, self._scope(ask.service, now), self.secret, now=now, expires_s=3600)
        return f"{self.endpoint}{ask.path}?{_encoded(query)}"

    def _scope(self, service: str, now: datetime) -> Scope:
        return Scope(self.access_key_id, now.strftime("%Y%m%d"), self.region, service)


def _encoded(query: Iterable[tuple[str, str]]) -> str:
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)


@dataclass(frozen=True, slots=True)
class Run:
    """One timed run. Latencies in milliseconds, None where the tool does not say."""

    requests: int
    seconds: float
    bytes: int
    p50_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None


def wrk(endpoint: str, raw_requests: Sequence[bytes], folder: Path, *, seconds: float, connections: int) -> Run:
    """Replay against an endpoint. Raises RuntimeError if a single request is refused or fails."""
    path = folder / "requests"
    path.write_bytes(b"".join(b"%d\n%b" % (len(raw), raw) for raw in raw_requests))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", "30s", "-s", str(REPLAY)]
    done = subprocess.run([*command, endpoint, "--", str(path)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"wrk ended with {done.returncode}: {done.stdout[-300:]} {done.stderr[-300:]}")
    said = json.loads(done.stdout.strip().splitlines()[-1])
    if said["refused"] or said["failed"]:
        raise RuntimeError(f"wrk: {said}")
    times = (said[name] / 1000 for name in ("p50_us", "p99_us", "max_us"))
    return Run(said["requests"], said["us"] / 1e6, said["bytes"], *times)


def curl_get(urls: Sequence[str], size: int) -> Run:
    """Fetch one after the other over one connection."""
    command = ["curl", "-sSf", "-w", "%{time_total}\n"]
    for url in urls:
        command += ["-o", "/dev/null", url]
    return _curl(command, len(urls), size)


def curl_heads(urls: Sequence[str], folder: Path, *, connections: int) -> Run:
    """HEAD requests side by side (wrk cannot: it waits for the body that HEAD does not bring)."""
    config = folder / "curl-heads"
    config.write_text("".join(f'url = "{url}"\noutput = /dev/null\n' for url in urls))
    command = ["curl", "-sSf", "--head", "--parallel", "--parallel-max", str(connections), "-w", "%{time_total}\n"]
    return _curl([*command, "-K", str(config)], len(urls), 0)


def curl_put(urls: Sequence[str], file: Path, headers: Sequence[tuple[str, str]] = ()) -> Run:
    """Send one file to each URL, one after the other over one connection."""
    command = ["curl", "-sSf", "-w", "%{time_total}\n", "-H", "Expect:"]
    for name, value in headers:
        command += ["-H", f"{name}: {value}"]
    for url in urls:
        command += ["-T", str(file), "-o", "/dev/null", url]
    return _curl(command, len(urls), file.stat().st_size)


def _curl(command: list[str], count: int, size: int) -> Run:
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - began
    times = sorted(float(line) * 1000 for line in done.stdout.split())
    p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
    return Run(count, seconds, count * size, p50, p99, times[-1])


def together(commands: Sequence[list[str]]) -> float:
    """Run commands side by side; the seconds until the last one ended. Raises if one fails."""
    began = time.perf_counter()
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
    codes = [each.wait() for each in running]
    if any(codes):
        raise RuntimeError("a transfer failed")
    return time.perf_counter() - began


def send_all(endpoint: str, raw_requests: Sequence[bytes], *, connections: int = 16) -> None:
    """Send each request once: how objects get there before a run. Raises RuntimeError for any answer but 2xx."""
    asyncio.run(_send_all(endpoint, list(raw_requests), connections))


async def _send_all(endpoint: str, waiting: list[bytes], connections: int) -> None:
    host, port = urlsplit(endpoint).hostname, urlsplit(endpoint).port
    waiting.reverse()

    async def connection() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        while waiting:
            writer.write(waiting.pop())
            head = await reader.readuntil(b"\r\n\r\n")
            length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            body = await reader.readexactly(int(length[0].split(b":")[1])) if length else b""
            if not head.startswith(b"HTTP/1.1 2"):
                raise RuntimeError(f"{head!r} {body[:500]!r}")
        writer.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(connection())

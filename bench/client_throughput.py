"""PUT and GET side by side: plain boto3, AWS's encryption client, ours. Speed, processor time and peak memory.

Equal footing: one interpreter with one boto3 and one cryptography runs all three, each with its defaults (boto3's
checksum and payload signature among them), against the same two servers over HTTP on loopback: s3al, which verifies,
encrypts and syncs, and a bare sink (client_sink.py), which shows the client alone. Who goes first turns from round to
round (A-B-C, C-B-A), every run is a fresh process so that its peak memory is its own, and what counts is the median of
the ratios within a round: speeds of a shared machine say little.

arguments: sizes in MB (10 100 1000 by default); `--tls` for s3al over TLS; `--server` or `--sink` for one of the two.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from client_sink import Sink
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from journeys.client_programs import python_with_aws_client  # noqa: E402
from support.processes import children_of  # noqa: E402
from support.server_process import ServerProcess  # noqa: E402

KINDS = ("boto3", "aws", "s3al")
# size in MB: rounds, and transfers in each, of which the fastest counts
ROUNDS = {10: (6, 5), 100: (4, 3), 1000: (2, 1)}
WORKER = str(Path(__file__).with_name("client_worker.py"))
PIECES = 256  # of 1 MiB
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Place:
    """Where transfers go. pids: whose processor time is the other side's."""

    name: str
    environ: dict[str, str]
    kms_key: str
    pids: list[int]

    def processor_s(self) -> float:
        """User and system time so far of all its processes."""
        return sum(_ticks(pid) for pid in self.pids) / TICKS_PER_S

    def run(self, kind: str, operation: str, size: int, file: Path, times: int) -> dict[str, float]:
        """What client_worker.py tells, and the other side's processor seconds for one transfer."""
        words = (WORKER, kind, operation, str(size), "bench", self.kms_key, str(file), str(times))
        command = [python_with_aws_client(), *words]
        before = self.processor_s()
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{kind} {operation} failed: {done.stderr[-2000:]}")
        told: dict[str, float] = json.loads(done.stdout)
        return told | {"other": (self.processor_s() - before) / times}


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def raw_aes() -> float:
    """MB/s of AES-256-GCM in pieces of 1 MiB, from cache to cache; by processor time, as the sealing pass."""
    encryptor = Cipher(AES(bytes(32)), GCM(bytes(12))).encryptor()
    piece, into = bytes(1 << 20), bytearray((1 << 20) + 16)
    began = time.process_time()
    for _ in range(PIECES):
        encryptor.update_into(piece, into)
    return PIECES * 1.048576 / (time.process_time() - began)


def sealing_pass(body: object) -> float:
    """MB/s of our sealing pass over PIECES MiB: source, sealer, parts whose memory is used again, and nothing sent."""
    from s3al.client import AesKeyring, S3EncryptionClientConfig
    from s3al.client.transfer.envelopes import prepare_write
    from s3al.client.transfer.sealing import SealedParts
    from s3al.client.transfer.sources import Source

    keyring = AesKeyring(bytes(32))
    config = S3EncryptionClientConfig(keyring=keyring)
    writing = prepare_write(
        config, keyring.generate(config.encryption_algorithm, None), config.encryption_algorithm, instruction_file=False
    )
    parts = SealedParts(Source(body), writing.sealer, whole_bytes=8 << 20, part_bytes=8 << 20)
    began = time.process_time()
    while not parts.ended:
        parts.reuse(parts.next_part())
    return PIECES * 1.048576 / (time.process_time() - began)


def main() -> None:
    flags = [one for one in sys.argv[1:] if one.startswith("--")]
    sizes = [int(one) for one in sys.argv[1:] if not one.startswith("--")] or [10, 100, 1000]
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", flush=True)
    sealing()
    tls = ("--tls", "auto") if "--tls" in flags else ()
    with tempfile.TemporaryDirectory() as folder, Sink() as sink:
        server = ServerProcess(Path(folder) / "server", ("--workers", "2", *tls)).start()
        try:
            for place in places(server, sink, Path(folder) / "home"):
                if not {"--server", "--sink"} & set(flags) or f"--{place.name}" in flags:
                    small(place)
                    for megabytes in sizes:
                        large(place, megabytes, file=Path(folder) / "body")
        finally:
            server.stop()


def sealing() -> None:
    """The sealing pass beside raw AES-GCM: of bytes in memory, and of pieces that are copied once."""
    piece = os.urandom(1 << 20)
    whole = piece * PIECES
    rounds = [(sealing_pass(whole), sealing_pass(itertools.repeat(piece, PIECES)), raw_aes()) for _ in range(7)]
    of_bytes, of_pieces = (statistics.median(one[at] / one[2] for one in rounds) for at in (0, 1))
    raw = max(one[2] for one in rounds)
    told = f"the sealing pass is {of_bytes:.2f} of it, {of_pieces:.2f} of pieces"
    print(f"raw AES-256-GCM {raw:.0f} MB/s; {told}", flush=True)


def places(server: ServerProcess, sink: Sink, home: Path) -> list[Place]:
    environ = server.client_environ(home) | {"PYTHONPATH": str(ROOT / "src")}
    server.client().create_bucket(Bucket="bench")
    key = server.client("kms").create_key()["KeyMetadata"]["Arn"]
    pids = [server.process.pid, *children_of(server.process.pid)]
    return [
        Place("server", environ, key, pids),
        Place("sink", environ | {"AWS_ENDPOINT_URL_S3": sink.endpoint}, key, [sink.pid]),
    ]


def small(place: Place) -> None:
    for kind in ("s3al", "aws"):
        runs = [place.run(kind, "small", 1024, Path("-"), 1) for _ in range(3)]
        ratio = statistics.median(one["client"] / one["boto3"] for one in runs)
        each = min(one["client"] for one in runs) / 400 * 1000
        told = f"{kind} takes {ratio:.2f} times boto3's time; {each:.2f} ms each"
        print(f"{place.name}: 1 KiB, put and get: {told}", flush=True)


def large(place: Place, megabytes: int, *, file: Path) -> None:
    size, (rounds, times) = megabytes * 1_000_000, ROUNDS.get(megabytes, (2, 1))
    file.write_bytes(os.urandom(1_000_000) * megabytes)
    for operation in ("put", "get"):
        runs: list[dict[str, dict[str, float]]] = []
        for number in range(rounds):
            order = KINDS if number % 2 == 0 else KINDS[::-1]
            runs.append({kind: place.run(kind, operation, size, file, times) for kind in order})
        show(f"{place.name}: {operation} {megabytes} MB", runs, megabytes)
    file.unlink()


def show(name: str, runs: list[dict[str, dict[str, float]]], megabytes: int) -> None:
    """A row for each client: best speed, ratio of speeds (median of rounds, and their span), processor time, memory."""
    print(f"{name}, {len(runs)} rounds, load {os.getloadavg()[0]:.1f}")
    for kind in KINDS:
        mine = [run[kind] for run in runs]
        ratios = sorted(run[kind]["seconds"] / run["s3al"]["seconds"] for run in runs)
        print(
            f"  {kind:5} {megabytes / min(one['seconds'] for one in mine):7.1f} MB/s  "
            f"ours is {statistics.median(ratios):.2f} times as fast ({ratios[0]:.2f} to {ratios[-1]:.2f})  "
            f"processor {min(one['processor'] for one in mine):.2f} s, "
            f"other side {min(one['other'] for one in mine):.2f} s  "
            f"+{max(one['extra_mb'] for one in mine):.0f} MB",
            flush=True,
        )


main()

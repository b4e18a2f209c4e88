"""PUT and GET side by side on one s3al server: plain boto3, AWS's encryption client, ours. Speed and peak memory.

arguments: sizes in MB (10 100 1000 by default). Clients take turns, and what counts is the median of the ratios within
a round: speeds of a shared machine say little. Every run is a fresh process, so that its peak memory is its own.
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
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import GCM

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.server_process import ServerProcess  # noqa: E402

PYTHONS = {"boto3": sys.executable, "aws": str(ROOT / ".venvs/s3ec/bin/python"), "s3al": sys.executable}
# size in MB: rounds, and transfers in each, of which the fastest counts
ROUNDS = {10: (4, 5), 100: (3, 2), 1000: (2, 1)}
WORKER = str(Path(__file__).with_name("client_worker.py"))


def measured(environ: dict[str, str], kind: str, *arguments: str) -> dict[str, float]:
    command = [PYTHONS[kind], WORKER, kind, *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{kind} {arguments[0]} failed: {done.stderr[-2000:]}")
    told: dict[str, float] = json.loads(done.stdout)
    return told


def raw_aes() -> float:
    """MB/s of AES-256-GCM in pieces of 1 MiB, one core."""
    encryptor = Cipher(AES(bytes(32)), GCM(bytes(12))).encryptor()
    piece, into = bytes(1 << 20), bytearray((1 << 20) + 16)
    began = time.perf_counter()
    for _ in range(500):
        encryptor.update_into(piece, into)
    return 500 * 1.048576 / (time.perf_counter() - began)


def sealing_pass() -> float:
    """MB/s of our sealing pass: source, sealer, parts, and nothing sent."""
    from s3al.client import AesKeyring, S3EncryptionClientConfig
    from s3al.client.transfer.envelopes import prepare_write
    from s3al.client.transfer.sealing import SealedParts
    from s3al.client.transfer.sources import Source

    keyring, piece = AesKeyring(bytes(32)), os.urandom(1 << 20)
    config = S3EncryptionClientConfig(keyring=keyring)
    writing = prepare_write(
        config, keyring.generate(config.encryption_algorithm, None), config.encryption_algorithm, instruction_file=False
    )
    parts = SealedParts(Source(itertools.repeat(piece, 500)), writing.sealer, first_bytes=8 << 20, part_bytes=8 << 20)
    began = time.perf_counter()
    while not parts.ended:
        parts.next_part()
    return 500 * 1.048576 / (time.perf_counter() - began)


def main() -> None:
    sizes = [int(one) for one in sys.argv[1:]] or [10, 100, 1000]
    pairs = [(sealing_pass(), raw_aes()) for _ in range(7)]
    shares = sorted(ours / raw for ours, raw in pairs)
    raw = max(raw for _, raw in pairs)
    print(f"raw AES-256-GCM {raw:.0f} MB/s; the sealing pass is {shares[3]:.2f} of it", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(Path(folder) / "server", ("--workers", "2")).start()
        try:
            environ, bucket = server.client_environ(Path(folder) / "home"), "bench"
            server.client().create_bucket(Bucket=bucket)
            key = server.client("kms").create_key()["KeyMetadata"]["Arn"]
            small(environ, bucket, key)
            for megabytes in sizes:
                large(environ, megabytes, bucket, key, file=Path(folder) / "body")
        finally:
            server.stop()


def small(environ: dict[str, str], bucket: str, key: str) -> None:
    for kind in ("s3al", "aws"):
        runs = [measured(environ, kind, "small", "1024", bucket, key, "-", "1") for _ in range(3)]
        ratio = statistics.median(one["client"] / one["boto3"] for one in runs)
        each = min(one["client"] for one in runs) / 400 * 1000
        print(f"1 KiB, put and get: {kind} takes {ratio:.2f} times boto3's time; {each:.2f} ms each", flush=True)


def large(environ: dict[str, str], megabytes: int, bucket: str, key: str, *, file: Path) -> None:
    size, (rounds, times) = megabytes * 1_000_000, ROUNDS.get(megabytes, (2, 1))
    file.write_bytes(os.urandom(1_000_000) * megabytes)
    for operation in ("put", "get"):
        runs: list[dict[str, dict[str, float]]] = []
        for number in range(rounds):
            order = [*PYTHONS][number % 3 :] + [*PYTHONS][: number % 3]
            told = (str(size), bucket, key, str(file), str(times))
            runs.append({kind: measured(environ, kind, operation, *told) for kind in order})
        show(f"{operation} {megabytes} MB", runs, megabytes)
    file.unlink()


def show(name: str, runs: list[dict[str, dict[str, float]]], megabytes: int) -> None:
    """Best speeds, largest memory, and the median of the ratios within each round."""
    shown = []
    for kind in PYTHONS:
        speed = max(megabytes / run[kind]["seconds"] for run in runs)
        shown.append(f"{kind} {speed:6.1f} MB/s +{max(run[kind]['extra_mb'] for run in runs):4.0f} MB")
    for other in ("aws", "boto3"):
        ratio = statistics.median(run[other]["seconds"] / run["s3al"]["seconds"] for run in runs)
        work = statistics.median(run["s3al"]["processor"] / run[other]["processor"] for run in runs)
        shown.append(f"{ratio:.2f} times {other}'s speed, {work:.2f} times its processor time")
    print(f"{name:12}", "  ".join(shown), flush=True)


main()

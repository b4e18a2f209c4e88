"""PUT and GET side by side on one s3al server: plain boto3, AWS's encryption client, ours. Speed and peak memory.

arguments: sizes in MB (10 100 1000 by default). The best of three runs counts (one for the largest size). Every run is
a fresh process, so that its peak memory is its own; clients take turns.
"""

from __future__ import annotations

import json
import os
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
WORKER = str(Path(__file__).with_name("client_worker.py"))


def measured(environ: dict[str, str], kind: str, *arguments: str) -> dict[str, float]:
    command = [PYTHONS[kind], WORKER, kind, *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"seconds": float("nan"), "extra_mb": float("nan")}
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

    keyring, body = AesKeyring(bytes(32)), bytes(500 << 20)
    config = S3EncryptionClientConfig(keyring=keyring)
    writing = prepare_write(
        config, keyring.generate(config.encryption_algorithm, None), config.encryption_algorithm, instruction_file=False
    )
    parts = SealedParts(Source(body), writing.sealer, first_bytes=8 << 20, part_bytes=8 << 20)
    began = time.perf_counter()
    while not parts.ended:
        parts.next_part()
    return len(body) / 1e6 / (time.perf_counter() - began)


def main() -> None:
    sizes = [int(one) for one in sys.argv[1:]] or [10, 100, 1000]
    print(f"raw AES-256-GCM {raw_aes():.0f} MB/s; sealing pass {sealing_pass():.0f} MB/s")
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(Path(folder) / "server", ("--workers", "2")).start()
        try:
            compare(server, Path(folder), sizes)
        finally:
            server.stop()


def compare(server: ServerProcess, folder: Path, sizes: list[int]) -> None:
    environ = server.client_environ(folder / "home")
    bucket = "bench"
    server.client().create_bucket(Bucket=bucket)
    key = server.client("kms").create_key()["KeyMetadata"]["Arn"]
    file = folder / "body"
    for megabytes in sizes:
        size = megabytes * 1_000_000
        file.write_bytes(os.urandom(1_000_000) * megabytes)
        for operation in ("put", "get"):
            best: dict[str, dict[str, float]] = {}
            for _ in range(1 if megabytes >= 1000 else 3):
                for kind in PYTHONS:
                    told = measured(environ, kind, operation, str(size), bucket, key, str(file))
                    if kind not in best or told["seconds"] < best[kind]["seconds"]:
                        best[kind] = told
            show(f"{operation} {megabytes} MB", {kind: (megabytes / one["seconds"], one["extra_mb"])
                                                 for kind, one in best.items()})  # fmt: skip
        file.unlink()
    for kind in PYTHONS:
        told = min(
            (measured(environ, kind, "small", "1024", bucket, key, str(file)) for _ in range(3)),
            key=lambda one: one["seconds"],
        )
        print(f"200 objects of 1 KiB, put and get, {kind:5}: {told['seconds'] / 400 * 1000:.2f} ms each")


def show(name: str, figures: dict[str, tuple[float, float]]) -> None:
    shown = [f"{kind} {speed:7.1f} MB/s +{memory:5.0f} MB" for kind, (speed, memory) in figures.items()]
    print(f"{name:12}", "  ".join(shown), flush=True)


main()

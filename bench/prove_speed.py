"""`s3al prove` of a store of 1 GiB against the machine's raw AES-256-GCM: wanted at least half of it.

Run it as `python bench/prove_speed.py [MIB]`. The store holds objects of 64 MiB, SSE-S3. Raw is `decrypt_into` of
segments of the size that the store uses, in as many threads as there are processors, over bytes that lie in memory.
The two take turns, A-B-B-A, and what counts is the ratio of the medians.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from s3al import prove  # noqa: E402
from s3al.config import ServeConfig, config_home  # noqa: E402
from s3al.crypto.stream import DEFAULT_SEGMENT_BYTES, TAG_BYTES  # noqa: E402
from support.server_process import ServerProcess  # noqa: E402
from support.settings import new_bucket  # noqa: E402

MIB = 1 << 20
OBJECT_BYTES = 64 * MIB
ROUNDS = 3


def furnish(server: ServerProcess, size: int) -> None:
    s3, bucket = server.client(), new_bucket(server)
    for number in range(size // OBJECT_BYTES):
        s3.put_object(Bucket=bucket, Key=f"{number}", Body=os.urandom(OBJECT_BYTES))


def raw(size: int) -> float:
    """MiB/s."""
    cipher, nonce = AESGCM(bytes(32)), bytes(12)
    sealed = cipher.encrypt(nonce, os.urandom(DEFAULT_SEGMENT_BYTES - TAG_BYTES), None)
    threads = os.cpu_count() or 1

    def work() -> None:
        into = bytearray(len(sealed) - TAG_BYTES)
        for _ in range(size // threads // len(sealed)):
            cipher.decrypt_into(nonce, sealed, None, into)

    working = [threading.Thread(target=work) for _ in range(threads)]
    began = time.perf_counter()
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    return size / MIB / (time.perf_counter() - began)


def proved(settings: ServeConfig) -> tuple[float, dict[str, Any]]:
    """MiB/s of ciphertext authenticated, over the whole of the proof."""
    proof = prove.prove(settings)
    assert proof["findings"] == [], proof["findings"]
    return proof["authenticated_bytes"] / MIB / proof["seconds"], proof


def main() -> None:
    size = (int(sys.argv[1]) if len(sys.argv) > 1 else 1024) * MIB
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(Path(folder) / "server", ("--workers", "1")).start()
        try:
            furnish(server, size)
        finally:
            server.stop()
        settings = ServeConfig(data=server.data, config_home=config_home({"XDG_CONFIG_HOME": str(server.config_home)}))
        proved(settings)  # the files lie in the page cache from here on: what is measured is the work of this program
        raws, proofs = [], []
        for _ in range(ROUNDS):
            raws.append(raw(size))
            proofs.append(proved(settings)[0])
            proofs.append(proved(settings)[0])
            raws.append(raw(size))
        ratio = statistics.median(proofs) / statistics.median(raws)
        print(f"{size // MIB} MiB, {os.cpu_count()} processors")
        print(f"prove: median {statistics.median(proofs):.0f} MiB/s")
        print(f"raw AES-GCM: median {statistics.median(raws):.0f} MiB/s")
        print(f"ratio {ratio:.2f} (wanted: at least 0.50)")
        print("runs: prove", *(f"{each:.0f}" for each in proofs), "raw", *(f"{each:.0f}" for each in raws))


if __name__ == "__main__":
    main()

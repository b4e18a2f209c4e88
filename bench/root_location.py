"""What it costs a worker to reach the root: in its own memory, or in another process over a Unix socket.

Prints medians and 99th percentiles in microseconds, alone and with both cores busy. Source of the figures in
docs/adr/0001-root-key-location.md. Run: python bench/root_location.py
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import secrets
import socket
import statistics
import time

from s3al.crypto.keys import open_kms, parse_kms_blob, seal_kms
from s3al.kms.materials import material_place
from s3al.kms.root import Root
from s3al.kms.root_socket import RemoteRoot, door, serve_root

ROUNDS = 5_000
KEY_ID = "00000000-0000-4000-8000-000000000000"
MATERIAL_ID = bytes(32)
PLACE = material_place(KEY_ID, MATERIAL_ID)
MATERIAL = secrets.token_bytes(32)
ROOT = Root(bytes(16), {1: secrets.token_bytes(32)}, 1, random=secrets.token_bytes)
WRAPPED = ROOT.wrap(MATERIAL, version=1, place=PLACE)
BLOB = seal_kms(
    MATERIAL, key_id=KEY_ID, material_id=MATERIAL_ID, context={"a": "b"}, plaintext=bytes(32), random=bytes(28)
)


def unwrap_here() -> bytes:
    return ROOT.unwrap(WRAPPED, place=PLACE)


def open_here() -> bytes:
    return open_kms(MATERIAL, parse_kms_blob(BLOB), {"a": "b"})


def serve_decrypt(end: socket.socket) -> None:
    """Whole KMS operations in the other process, so that workers would not even hold materials."""
    while blob := end.recv(8192):
        end.send(open_kms(MATERIAL, parse_kms_blob(blob), {"a": "b"}))


def spin() -> None:
    while True:
        pass


def measure(name: str, act: object) -> None:
    for _ in range(200):
        act()  # type: ignore[operator]
    took = []
    for _ in range(ROUNDS):
        before = time.perf_counter_ns()
        act()  # type: ignore[operator]
        took.append((time.perf_counter_ns() - before) / 1000)
    print(f"  {name:48} p50 {statistics.median(took):8.1f}   p99 {statistics.quantiles(took, n=100)[98]:8.1f}")


def measure_all(remote: RemoteRoot, decrypting: socket.socket) -> None:
    def decrypt_there() -> bytes:
        decrypting.send(BLOB)
        return decrypting.recv(8192)

    measure("unwrap a material, here", unwrap_here)
    measure("unwrap a material, over the socket", lambda: remote.unwrap(WRAPPED, place=PLACE))
    measure("KMS Decrypt with the material at hand, here", open_here)
    measure("KMS Decrypt, over the socket", decrypt_there)


def main() -> None:
    context = multiprocessing.get_context("fork")
    outer, inner = door()
    decrypting, decrypted = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    servers = [
        context.Process(target=serve_root, args=(inner, ROOT), daemon=True),
        context.Process(target=serve_decrypt, args=(decrypted,), daemon=True),
    ]
    for server in servers:
        server.start()
    remote = RemoteRoot(outer)
    remote.connect(5)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    measure_all(remote, decrypting)
    with contextlib.ExitStack() as stack:
        for _ in range(os.cpu_count() or 1):
            busy = context.Process(target=spin, daemon=True)
            busy.start()
            stack.callback(busy.kill)
        print("with every core busy besides")
        measure_all(remote, decrypting)
    for server in servers:
        server.kill()


if __name__ == "__main__":
    main()

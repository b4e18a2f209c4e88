"""One measured transfer, in a process of its own: run by client_throughput.py under the client's own interpreter.

arguments: client (boto3 | aws | s3al), operation (put | get | small), bytes, bucket, KMS key, file, times. Prints one
JSON line: seconds and processor seconds of the fastest, and the megabytes by which the peak of resident memory grew.
`small` puts and gets 200 objects with the client and with plain boto3 in turn, and tells the seconds of each.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import boto3


def client_of(kind: str, kms_key: str) -> Any:
    s3 = boto3.client("s3")
    if kind == "boto3":
        return s3
    kms = boto3.client("kms")
    if kind == "aws":
        from s3_encryption import S3EncryptionClient, S3EncryptionClientConfig
        from s3_encryption.materials.kms_keyring import KmsKeyring

        return S3EncryptionClient(s3, S3EncryptionClientConfig(keyring=KmsKeyring(kms, kms_key)))
    import s3al.client as cse

    keyring = cse.CachingKeyring(cse.KmsKeyring(kms, kms_key))
    return cse.S3EncryptionClient(s3, cse.S3EncryptionClientConfig(keyring=keyring))


def get(client: Any, bucket: str, key: str) -> int:
    body, total = client.get_object(Bucket=bucket, Key=key)["Body"], 0
    while piece := body.read(1 << 20):
        total += len(piece)
    return total


def put(client: Any, bucket: str, key: str, file: str) -> None:
    with open(file, "rb") as body:
        client.put_object(Bucket=bucket, Key=key, Body=body)


def in_turn(client: Any, bucket: str, size: int) -> dict[str, float]:
    """Seconds of 200 PUTs and GETs, of `client` and of plain boto3, whoever is first changing each time."""
    clients, body = {"client": client, "boto3": client_of("boto3", "")}, bytes(size)
    seconds = dict.fromkeys(clients, 0.0)
    for number in range(220):
        for name in sorted(clients, reverse=bool(number % 2)):
            began = time.perf_counter()
            clients[name].put_object(Bucket=bucket, Key=f"small-{name}-{number}", Body=body)
            assert get(clients[name], bucket, f"small-{name}-{number}") == size
            seconds[name] += time.perf_counter() - began if number >= 20 else 0.0
    return seconds


def peak_kb() -> int:
    """Peak of resident memory since exec; `ru_maxrss` would also count that of the process that started this one."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


def reset_peak() -> None:
    """The peak begins anew at what is resident now."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def main() -> None:
    kind, operation, size, bucket, kms_key, file, times = sys.argv[1:]
    client, key = client_of(kind, kms_key), f"{'kept' if operation == 'get' else 'swallowed'}-{kind}-{size}"
    client.put_object(Bucket=bucket, Key=f"warm-{kind}", Body=b"warm")
    get(client, bucket, f"warm-{kind}")
    if operation == "small":
        print(json.dumps(in_turn(client, bucket, int(size))))
        return
    if operation == "get":
        put(boto3.client("s3") if kind == "boto3" else client_of("s3al", kms_key), bucket, key, file)
        reset_peak()
    before = peak_kb()
    seconds = []
    for _ in range(int(times)):
        began, used = time.perf_counter(), time.process_time()
        if operation == "put":
            put(client, bucket, key, file)
        else:
            assert get(client, bucket, key) == int(size)
        seconds.append((time.perf_counter() - began, time.process_time() - used))
    grown = (peak_kb() - before) / 1024
    fastest, processor = min(seconds)
    print(json.dumps({"seconds": fastest, "processor": processor, "extra_mb": grown}))


main()

"""One measured transfer, in a process of its own: run by client_throughput.py under the client's own interpreter.

arguments: client (boto3 | aws | s3al), operation (put | get | small), bytes, bucket, KMS key, file. Prints one JSON
line: seconds, and the megabytes by which the peak of resident memory grew during the transfer.
"""

from __future__ import annotations

import json
import resource
import sys
import time
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


def main() -> None:
    kind, operation, size, bucket, kms_key, file = sys.argv[1:]
    client, key = client_of(kind, kms_key), f"{kind}-{size}"
    client.put_object(Bucket=bucket, Key=f"warm-{kind}", Body=b"warm")
    get(client, bucket, f"warm-{kind}")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    if operation == "put":
        with open(file, "rb") as body:
            client.put_object(Bucket=bucket, Key=key, Body=body)
    elif operation == "get":
        assert get(client, bucket, key) == int(size)
    else:
        for number in range(200):
            client.put_object(Bucket=bucket, Key=f"small-{kind}-{number}", Body=bytes(int(size)))
            get(client, bucket, f"small-{kind}-{number}")
    seconds = time.perf_counter() - began
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps({"seconds": seconds, "extra_mb": grown}))


main()

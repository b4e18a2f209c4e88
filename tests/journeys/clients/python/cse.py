"""Drives AWS's client: lines of `command key=value ...` on standard input, `ok` or `error ...` for each."""

import sys
from pathlib import Path

import boto3
from s3_encryption import S3EncryptionClient, S3EncryptionClientConfig
from s3_encryption.materials.kms_keyring import KmsKeyring
from s3_encryption.materials.materials import AlgorithmSuite, CommitmentPolicy


def run(command, given):
    v2 = {
        "encryption_algorithm": AlgorithmSuite.ALG_AES_256_GCM_IV12_TAG16_NO_KDF,
        "commitment_policy": CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT,
    }
    keyring = KmsKeyring(boto3.client("kms"), given["kms"])
    config = S3EncryptionClientConfig(keyring=keyring, **(v2 if given.get("format") == "V2" else {}))
    client = S3EncryptionClient(boto3.client("s3"), config)
    named = {"Bucket": given["bucket"], "Key": given["key"]}
    if "context" in given:
        name, _, value = given["context"].partition(":")
        named["EncryptionContext"] = {name: value}
    if "suffix" in given:
        named["InstructionFileSuffix"] = given["suffix"]
    if command == "put":
        client.put_object(**named, Body=Path(given["file"]).read_bytes())
    else:
        Path(given["file"]).write_bytes(client.get_object(**named)["Body"].read())


for line in sys.stdin:
    command, *pairs = line.split()
    try:
        run(command, dict(pair.split("=", 1) for pair in pairs))
        print("ok", flush=True)
    except Exception as exc:
        print("error", type(exc).__name__, str(exc).replace("\n", " "), flush=True)

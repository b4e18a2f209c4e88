"""The audit trail of a real server: what kill -9 leaves of it, and what its verification finds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from support.processes import eventually
from support.server_process import ServerProcess


def trail(server: ServerProcess, *words: str, code: int = 0) -> str:
    """`s3al trail ...` as the operator; its output."""
    environ = server.client_environ(server.folder / "home") | {"AWS_REGION": server.region}
    command = [sys.executable, "-m", "s3al", "trail", *words]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def verified(server: ServerProcess, *flags: str, code: int = 0) -> dict[str, Any]:
    """Offline, with the seal of the stopped store."""
    environ = server._own_environ()
    command = [sys.executable, "-m", "s3al", "trail", "verify", "--json", "--data", str(server.data), *flags]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def used(server: ServerProcess, count: int) -> tuple[Any, str]:
    """A KMS key, and objects under it that were written and read; on whichever worker took the request."""
    s3, kms = server.client(), server.client("kms")
    key: str = kms.create_key()["KeyMetadata"]["Arn"]
    s3.create_bucket(Bucket="bucket")
    for number in range(count):
        s3.put_object(Bucket="bucket", Key=f"{number}", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
        s3.get_object(Bucket="bucket", Key=f"{number}")["Body"].read()
    return s3, key


def seen(server: ServerProcess, key: str) -> list[tuple[str, str | None]]:
    asked = [{"AttributeKey": "ResourceName", "AttributeValue": key}]
    pages = server.client("cloudtrail").get_paginator("lookup_events").paginate(LookupAttributes=asked)
    found = [json.loads(event["CloudTrailEvent"]) for page in pages for event in page["Events"]]
    return [(one["eventName"], one.get("errorCode")) for one in found]


def test_a_use_that_was_answered_is_in_the_trail_after_kill_9(server_with_workers):
    server = server_with_workers
    s3, key = used(server, 3)
    server.client("kms").disable_key(KeyId=key)
    for _ in range(20):
        try:
            s3.get_object(Bucket="bucket", Key="0")
        except ClientError as refused:
            assert refused.response["Error"]["Code"] == "KMS.DisabledException"
    server.kill_group()  # at once: no second has passed since the last answers
    assert verified(server)["findings"] == []
    server.start()
    found = seen(server, key)
    assert found.count(("GenerateDataKey", None)) == found.count(("Decrypt", None)) == 3
    assert found.count(("Decrypt", "DisabledException")) == 20
    assert ("DisableKey", None) in found and ("CreateKey", None) in found
    server.kill_worker()
    assert json.loads(trail(server, "verify", "--json"))["findings"] == []


def test_what_was_altered_removed_or_cut_off_is_found(server_with_workers, tmp_path):
    server = server_with_workers
    _, key = used(server, 4)
    lines = trail(server, "tail", "-n", "100").splitlines()
    assert any(f"kms:Decrypt  arn:aws:iam::{key.split(':')[4]}:root  via S3  {key}" in line for line in lines)
    searched = json.loads(trail(server, "search", "--where", "EventName=GenerateDataKey", "--json"))["events"]
    assert [one["requestParameters"]["keyId"] for one in searched] == [key] * 4

    def counted() -> bool:
        """Whether a checkpoint counts everything that was recorded before it was asked for."""
        return json.loads(trail(server, "verify", "--json"))["beyond"] <= 2

    eventually("a checkpoint", counted)
    kept = tmp_path / "kept.json"
    trail(server, "checkpoint", "--to", str(kept))
    exported = tmp_path / "exported.jsonl"
    trail(server, "export", "--to", str(exported))
    assert sum(json.loads(line)["eventName"] == "Decrypt" for line in exported.read_text().splitlines()) == 4
    server.stop()
    folder = server.data / "trail"
    sound = verified(server, "--against", str(kept))
    assert (sound["findings"], sound["beyond"]) == ([], 0)
    _altered(server, folder)
    _cut_off(server, folder, kept)
    _removed(server, folder)


def _altered(server: ServerProcess, folder: Path) -> None:
    path = _largest(folder)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    (finding,) = verified(server, code=1)["findings"]
    assert (finding["what"], finding["where"]) == ("record-altered", path.name)
    assert finding["record"] is not None
    content[-1] ^= 1
    path.write_bytes(content)


def _cut_off(server: ServerProcess, folder: Path, kept: Path) -> None:
    """Together with the checkpoints, so that nothing in the folder tells."""
    path, checkpoints = _largest(folder), folder / "checkpoints"
    content, stated = path.read_bytes(), checkpoints.read_bytes()
    path.write_bytes(content[:100])
    checkpoints.unlink()
    assert "tail-missing" not in [one["what"] for one in verified(server, code=1)["findings"]]
    found = verified(server, "--against", str(kept), code=1)["findings"]
    assert ("tail-missing", path.name) in [(one["what"], one["where"]) for one in found]
    path.write_bytes(content)
    checkpoints.write_bytes(stated)
    assert verified(server)["findings"] == []


def _removed(server: ServerProcess, folder: Path) -> None:
    path = _largest(folder)
    path.unlink()
    (finding,) = verified(server, code=1)["findings"]
    assert (finding["what"], finding["where"]) == ("chain-missing", path.name.partition(".")[0])
    environ = server._own_environ()
    for command, word in (("check", "chain-missing"), ("prove", "trail-altered")):
        words = [sys.executable, "-m", "s3al", command, str(server.data), "--json"]
        done = subprocess.run(words, env=environ, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 1
        assert word in done.stdout


def _largest(folder: Path) -> Path:
    return max(folder.glob("*.0*"), key=lambda path: os.stat(path).st_size)

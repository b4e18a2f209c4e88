"""A damaged store behind a real server: what real clients see over the network, and what the operator sees.

Every region and every mode: test_tamper_blobs.py and test_tamper_catalog.py, without a network.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from boto3.exceptions import RetriesExceededError
from botocore.config import Config
from botocore.exceptions import ClientError, IncompleteReadError, ResponseStreamingError
from urllib3.exceptions import ProtocolError

from s3al.config import ServeConfig
from s3al.offline import check
from support.clients import program
from support.house import stopped_store
from support.raw_http import request
from support.server_process import ServerProcess

BUCKET = "tampered"
SIZE = 20 << 20
BROKEN_OFF = (IncompleteReadError, ProtocolError, ResponseStreamingError, ConnectionError)


def config_of(server: ServerProcess) -> ServeConfig:
    return ServeConfig(data=server.data, config_home=server.config_home / "s3al")


def damage(server: ServerProcess, object_key: str, alter: Callable[[Path], None]) -> None:
    """On the stopped server's store: alter the blob of an object."""
    with stopped_store(config_of(server)) as store:
        ((name,),) = store.all(
            "SELECT blob_name FROM streams s JOIN versions v ON v.object_id = s.object_id WHERE v.object_key = ?",
            object_key.encode(),
        )
        alter(store.blob(name))


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)
        file.seek(at)
        file.write(bytes([byte[0] ^ 1]))


@pytest.fixture
def damaged(server: ServerProcess) -> tuple[ServerProcess, dict[str, bytes]]:
    """A server on a store in which "early" is damaged where it begins, "late" where it ends, "short" is cut."""
    bodies = {name: os.urandom(SIZE) for name in ("early", "late", "short", "sound")}
    s3 = server.client()
    s3.create_bucket(Bucket=BUCKET)
    for name, body in bodies.items():
        s3.put_object(Bucket=BUCKET, Key=name, Body=body)
    assert server.stop() == 0
    damage(server, "early", lambda path: flip(path, 5000))
    damage(server, "late", lambda path: flip(path, SIZE - 5000))
    damage(server, "short", lambda path: os.truncate(path, SIZE - 5000))
    server.start()
    return server, bodies


def test_real_clients_see_an_error_or_a_broken_connection_and_never_a_wrong_byte(
    damaged: tuple[ServerProcess, dict[str, bytes]], tmp_path: Path
) -> None:
    server, bodies = damaged
    s3 = server.client(config=Config(retries={"total_max_attempts": 1}))
    for name in ("early", "short"):
        with pytest.raises(ClientError, match="InternalError"):
            s3.get_object(Bucket=BUCKET, Key=name)
    assert _read(s3, "late", bodies["late"]) < SIZE
    with pytest.raises((ClientError, RetriesExceededError, *BROKEN_OFF)):
        s3.download_file(BUCKET, "late", str(tmp_path / "late"))
    assert not (tmp_path / "late").exists()
    assert s3.get_object(Bucket=BUCKET, Key="sound")["Body"].read() == bodies["sound"]
    assert s3.get_object(Bucket=BUCKET, Key="late", Range="bytes=0-999")["Body"].read() == bodies["late"][:1000]
    assert len(s3.list_objects_v2(Bucket=BUCKET)["Contents"]) == 4
    assert len(server.log_events("integrity")) >= 4
    assert server.log_events("unforeseen") == []
    with server.connection() as connection:
        connection.send(request("GET", "/_s3al/metrics"))
        assert b's3al_integrity_events_total{kind="GetObject"}' in connection.receive().body


def _read(s3: Any, object_key: str, true: bytes) -> int:
    """How many bytes came before the connection broke; all of them must be true."""
    body = s3.get_object(Bucket=BUCKET, Key=object_key)["Body"]
    got = b""
    with pytest.raises(BROKEN_OFF):
        while piece := body.read(1 << 16):
            got += piece
    assert true.startswith(got)
    return len(got)


@pytest.mark.client("aws-cli-v1")
def test_the_aws_cli_fails_and_leaves_no_file(damaged: tuple[ServerProcess, dict[str, bytes]], tmp_path: Path) -> None:
    server, bodies = damaged
    environ = server.client_environ(tmp_path / "home") | {"AWS_MAX_ATTEMPTS": "1"}
    for name in ("late", "sound"):
        done = subprocess.run(
            [program("aws-cli-v1"), "s3", "cp", f"s3://{BUCKET}/{name}", str(tmp_path / name)],
            env=environ, capture_output=True, check=False, timeout=120,
        )  # fmt: skip
        assert (done.returncode == 0) is (name == "sound"), done.stderr
    assert (tmp_path / "sound").read_bytes() == bodies["sound"]
    assert not (tmp_path / "late").exists()


def test_an_offline_check_names_what_lost_its_length(damaged: tuple[ServerProcess, dict[str, bytes]]) -> None:
    server, _ = damaged
    server.stop()
    assert {finding.what for finding in check(config_of(server)).damage} == {"blob-size"}

"""Clients that are slow, stop, or vanish, on raw sockets against a real server with a store.

What lives here: what becomes of their uploads and downloads, and of what these held. What does not: the edge alone
under such clients (unit/server/test_edge_over_sockets), idle connections (test_many_connections).
"""

from __future__ import annotations

import os
import random
import socket
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.config import Config

from s3al import app, offline
from s3al.config import ServeConfig
from s3al.server.health import READY
from s3al.store.files import FileBlobs
from s3al.store.inspection import inspect_blobs
from s3al.store.layout import open_folder
from support.processes import eventually
from support.raw_http import RawConnection, request
from support.server_process import ServerProcess

BUCKET = "slow"
MIB = 1 << 20
LARGE_BYTES = 24 * MIB
READERS = 16
MOST_BYTES_EACH = 8 * MIB  # two units of plaintext, what they are opened from, and slack
MOST_BYTES_KEPT = 64 * MIB


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path_factory.mktemp("server"), ("--workers", "1")).start()
    server.client().create_bucket(Bucket=BUCKET)
    yield server
    server.stop()
    assert server.log_events("unforeseen") == []
    config = ServeConfig(data=server.data, config_home=server.config_home / "s3al")
    assert offline.check(config).damage == []


@pytest.fixture(scope="module")
def s3(server: ServerProcess) -> Any:
    return server.client(config=Config(retries={"total_max_attempts": 1}, signature_version="s3v4"))


def target(s3: Any, operation: str, object_key: str, **more: Any) -> str:
    """Path and query of a presigned URL."""
    url = urlsplit(s3.generate_presigned_url(operation, {"Bucket": BUCKET, "Key": object_key, **more}))
    return f"{url.path}?{url.query}"


def host(server: ServerProcess) -> str:
    return f"{server.host}:{server.port}"


def ask(server: ServerProcess, method: str, aim: str, *headers: str) -> RawConnection:
    connection = server.connection()
    connection.send(request(method, aim, *headers, host=host(server)))
    return connection


def reset(connection: RawConnection) -> None:
    """Vanish without a goodbye: RST instead of FIN."""
    connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.socket.close()


def worker_memory_bytes(server: ServerProcess) -> int:
    with open(f"/proc/{server.worker_pids()[0]}/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def worker_descriptors(server: ServerProcess) -> int:
    return len(os.listdir(f"/proc/{server.worker_pids()[0]}/fd"))


def unnamed_blobs(server: ServerProcess) -> list[str]:
    """Blobs that no row names, the running process's included."""
    config = ServeConfig(data=server.data, config_home=server.config_home / "s3al")
    folder = open_folder(server.data)
    database = app.open_database(folder, app.open_keys(folder, config).catalog_key)
    blobs = FileBlobs(folder.blobs)
    try:
        found = database.read_now(lambda rows: list(inspect_blobs(rows, blobs)))
        return [one.where for one in found if one.is_garbage]
    finally:
        blobs.close()
        database.close()


def is_quick(server: ServerProcess) -> bool:
    started = time.monotonic()
    with server.connection() as connection:
        connection.send(request("GET", READY))
        return connection.receive().status == 200 and time.monotonic() - started < 5


def test_a_slow_upload_is_stored_whole_and_holds_up_nobody(server: ServerProcess, s3: Any) -> None:
    body = os.urandom(300_000)
    with ask(server, "PUT", target(s3, "put_object", "slow"), f"Content-Length: {len(body)}") as connection:
        at = 0
        for size in (1, 2, 50_000, 3, 100_000, 1):
            connection.send(body[at : at + size])
            at += size
            assert is_quick(server)
            s3.put_object(Bucket=BUCKET, Key="other", Body=b"other")
        connection.send(body[at:])
        assert connection.receive().status == 200
    assert s3.get_object(Bucket=BUCKET, Key="slow")["Body"].read() == body


@pytest.mark.parametrize("vanish", [reset, lambda connection: connection.socket.close()], ids=["reset", "closed"])
def test_uploads_that_stop_midway_leave_nothing(server: ServerProcess, s3: Any, vanish: Any) -> None:
    choose = random.Random(5)
    s3.put_object(Bucket=BUCKET, Key="former", Body=b"former")
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="part")["UploadId"]
    before_descriptors = worker_descriptors(server)
    aims = [
        target(s3, "put_object", "former"),
        target(s3, "put_object", "never"),
        target(s3, "upload_part", "part", UploadId=upload, PartNumber=1),
    ]
    body = os.urandom(2 * MIB)
    for number in range(18):
        connection = ask(server, "PUT", aims[number % 3], f"Content-Length: {len(body)}")
        connection.send(body[: choose.choice([0, 1, 20_000, 70_000, MIB, 2 * MIB - 1])])
        vanish(connection)
    eventually("nothing is left of them", lambda: not unnamed_blobs(server), within_s=30)
    eventually("descriptors are given back", lambda: worker_descriptors(server) <= before_descriptors + 4)
    assert s3.get_object(Bucket=BUCKET, Key="former")["Body"].read() == b"former"
    assert "never" not in [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert "Parts" not in s3.list_parts(Bucket=BUCKET, Key="part", UploadId=upload)
    s3.abort_multipart_upload(Bucket=BUCKET, Key="part", UploadId=upload)


def test_a_client_that_does_not_wait_for_its_answer_gets_all_or_nothing(server: ServerProcess, s3: Any) -> None:
    body = os.urandom(200_000)
    for number in range(12):
        aim = target(s3, "put_object", f"unheard/{number}")
        connection = ask(server, "PUT", aim, f"Content-Length: {len(body)}")
        connection.send(body)
        reset(connection)
    eventually("nothing is left half-way", lambda: not unnamed_blobs(server), within_s=30)
    for entry in s3.list_objects_v2(Bucket=BUCKET, Prefix="unheard/").get("Contents", []):
        assert s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read() == body


def test_readers_that_stop_reading_hold_bounded_memory_and_hold_up_nobody(server: ServerProcess, s3: Any) -> None:
    body = os.urandom(LARGE_BYTES)
    s3.put_object(Bucket=BUCKET, Key="large", Body=body)
    s3.put_object(Bucket=BUCKET, Key="other", Body=b"other")
    before_descriptors, before_bytes = worker_descriptors(server), worker_memory_bytes(server)
    held_bytes = []
    for _ in range(2):
        readers = [ask(server, "GET", target(s3, "get_object", "large")) for _ in range(READERS)]
        for reader in readers:
            assert reader.receive_head()[0] == 200
        assert is_quick(server)
        with ThreadPoolExecutor(2) as pool:
            for got in pool.map(lambda _: s3.get_object(Bucket=BUCKET, Key="other")["Body"].read(), range(20)):
                assert got == b"other"
        held_bytes.append(worker_memory_bytes(server))
        for reader in readers[1:]:
            reset(reader)
        assert _rest(readers[0], LARGE_BYTES) == body
        readers[0].socket.close()
        eventually("descriptors are given back", lambda: worker_descriptors(server) <= before_descriptors + 6)
    assert held_bytes[0] < before_bytes + READERS * MOST_BYTES_EACH
    assert held_bytes[1] < held_bytes[0] + MOST_BYTES_KEPT, "what the first readers held was not used again"


def test_a_slow_reader_gets_the_object_it_asked_for_though_it_is_replaced_and_deleted(
    server: ServerProcess, s3: Any
) -> None:
    body = os.urandom(LARGE_BYTES)
    s3.put_object(Bucket=BUCKET, Key="replaced", Body=body)
    with ask(server, "GET", target(s3, "get_object", "replaced")) as reader:
        assert reader.receive_head()[0] == 200
        s3.put_object(Bucket=BUCKET, Key="replaced", Body=b"new")
        s3.delete_object(Bucket=BUCKET, Key="replaced")
        time.sleep(2.5)  # a round of tending
        assert _rest(reader, LARGE_BYTES) == body


def test_bytes_that_are_no_request_are_turned_away(server: ServerProcess) -> None:
    choose = random.Random(6)
    pieces = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + choose.randbytes(500),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n" * 5000,
        b"\0" * 5000,
        *(choose.randbytes(choose.randrange(1, 3000)) for _ in range(30)),
    ]
    for piece in pieces:
        connection = server.connection()
        connection.socket.settimeout(1)
        try:
            connection.send(piece)
            connection.socket.shutdown(socket.SHUT_WR)
            while connection.socket.recv(65536):
                pass
        except OSError:
            pass
        finally:
            connection.socket.close()
    assert is_quick(server)


def _rest(reader: RawConnection, size: int) -> bytes:
    pieces = [reader._rest]
    left = size - len(reader._rest)
    while left:
        pieces.append(reader.socket.recv(min(left, MIB)))
        assert pieces[-1], f"the answer ended {left} bytes early"
        left -= len(pieces[-1])
    return b"".join(pieces)

"""Disks that fail or fill under the whole server: refused as the client's SDK expects, nothing half done, all well
again when the disk is."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.house import Aborted, House, open_house
from support.processes import eventually
from support.server_process import ServerProcess

from .test_blob_faults import FailingLayer
from .traced import needs_strace

BUCKET = "faults"
LARGE = 3 << 20
PART = 5 << 20


@pytest.fixture
def layer() -> FailingLayer:
    failing = FailingLayer("", errno.EIO)
    failing.failing = ""
    return failing


@pytest.fixture
def house(tmp_path: Path, layer: FailingLayer) -> Iterator[House]:
    with open_house(tmp_path, layer=layer) as opened:
        opened.client().create_bucket(Bucket=BUCKET)
        yield opened
        assert [event["at"] for event in opened.events("unforeseen")] == []


def fail(layer: FailingLayer, call: str, error: int, first: int = 1) -> None:
    layer.failing, layer._error, layer._left = call, error, first


def count(house: House, table: str) -> int:
    found: int = house.workers[0].s3.db.read_now(lambda rows: rows.one(f"SELECT count(*) FROM {table}"))[0]
    return found


def blob_files(house: House) -> list[Path]:
    return [path for path in (house.config.data / "blobs").glob("*/*/*") if path.is_file()]


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize(
    ("call", "first"), [("create", 1), ("write", 1), ("write", 2), ("sync", 1), ("sync_folder", 1)]
)
def test_a_put_on_a_failing_disk_is_refused_and_leaves_nothing(
    house: House, layer: FailingLayer, call: str, first: int, error: int
) -> None:
    s3, body = house.client(), os.urandom(LARGE)
    s3.put_object(Bucket=BUCKET, Key="kept", Body=b"before")
    fail(layer, call, error, first)
    with pytest.raises(ClientError) as refused:
        s3.put_object(Bucket=BUCKET, Key="kept", Body=body)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert refused.value.response["Error"]["Code"] == "ServiceUnavailable"
    assert s3.get_object(Bucket=BUCKET, Key="kept")["Body"].read() == b"before"
    layer.failing = ""
    assert blob_files(house) == [] and count(house, "streams") == count(house, "versions")
    s3.put_object(Bucket=BUCKET, Key="kept", Body=body)
    assert s3.get_object(Bucket=BUCKET, Key="kept")["Body"].read() == body


def test_a_disk_that_cannot_be_read_is_no_integrity_event_and_sends_no_wrong_byte(
    house: House, layer: FailingLayer
) -> None:
    s3, body = house.client(), os.urandom(LARGE)
    s3.put_object(Bucket=BUCKET, Key="k", Body=body)
    fail(layer, "read", errno.EIO)
    with pytest.raises(ClientError, match="ServiceUnavailable"):
        s3.get_object(Bucket=BUCKET, Key="k")
    fail(layer, "read", errno.EIO, first=3)
    answer = s3.get_object(Bucket=BUCKET, Key="k")
    assert body.startswith(answer["Body"]._raw_stream.getvalue())
    with pytest.raises(Aborted):
        answer["Body"].read()
    layer.failing = ""
    assert s3.get_object(Bucket=BUCKET, Key="k")["Body"].read() == body
    assert house.events("integrity") == []
    assert len(house.events("store")) == 1


class ShortLayer(FailingLayer):
    """Writes and reads a few bytes less than asked, as the operating system may."""

    def __init__(self) -> None:
        super().__init__("", errno.EIO)

    def write(self, descriptor: int, data: Any) -> int:
        return os.write(descriptor, memoryview(data)[: max(1, len(data) - 7)])

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        return os.pread(descriptor, max(1, length - 7), offset)


def test_short_writes_and_short_reads_are_completed(tmp_path: Path) -> None:
    body = os.urandom(LARGE)
    with open_house(tmp_path, layer=ShortLayer()) as house:
        house.client().create_bucket(Bucket=BUCKET)
        house.client().put_object(Bucket=BUCKET, Key="k", Body=body)
        assert house.client().get_object(Bucket=BUCKET, Key="k")["Body"].read() == body


def test_a_part_that_fails_leaves_the_upload_usable(house: House, layer: FailingLayer) -> None:
    s3, place = house.client(), {"Bucket": BUCKET, "Key": "k"}
    place["UploadId"] = s3.create_multipart_upload(**place)["UploadId"]
    bodies = os.urandom(PART), os.urandom(LARGE)
    etags = [s3.upload_part(**place, PartNumber=1, Body=bodies[0])["ETag"]]
    fail(layer, "sync", errno.ENOSPC)
    with pytest.raises(ClientError, match="ServiceUnavailable"):
        s3.upload_part(**place, PartNumber=2, Body=bodies[1])
    layer.failing = ""
    etags.append(s3.upload_part(**place, PartNumber=2, Body=bodies[1])["ETag"])
    parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
    s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
    assert s3.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"".join(bodies)


# What strace shows of one PUT: syscall and path, in order.
_CALL = re.compile(r"^\d+ +(fsync|fdatasync)\(\d+<([^>]*)>\) += 0", re.MULTILINE)


@pytest.fixture
def traced_server(tmp_path: Path) -> Iterator[tuple[ServerProcess, Path]]:
    """A server whose worker strace watches, and strace's log."""
    server = ServerProcess(tmp_path / "server", ("--workers", "1")).start()
    log = tmp_path / "strace"
    tracer: subprocess.Popen[bytes] | None = None
    try:
        (worker,) = server.worker_pids()
        command = ["strace", "-f", "-y", "-qq", "-o", str(log), "-e", "trace=fsync,fdatasync", "-p", str(worker)]
        tracer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        status = Path(f"/proc/{worker}/status")
        try:
            eventually("strace is attached", lambda: f"TracerPid:\t{tracer.pid}" in status.read_text(), within_s=5)
        except AssertionError:
            pytest.skip("strace may not attach to a process that forbids it here")
        yield server, log
    finally:
        if tracer:
            tracer.send_signal(signal.SIGINT)
            tracer.wait()
        server.stop()


def synced(log: Path, act: Any) -> list[str]:
    """Names of what was synced between the request and its answer; folders end in "/"."""
    begun = log.stat().st_size
    act()
    found = []
    for _, path in _CALL.findall(log.read_bytes()[begun:].decode()):
        found.append(Path(path).name + ("/" if Path(path).is_dir() else ""))
    return found


@needs_strace
def test_a_put_is_answered_after_what_it_promises_is_synced(traced_server: tuple[ServerProcess, Path]) -> None:
    server, log = traced_server
    s3 = server.client()
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="first", Body=bytes(LARGE))  # whatever happens once has happened
    # The bucket's making is in the trail; once a checkpoint counts it, nothing is synced but what follows here.
    eventually("the trail is at rest", lambda: "/trail/checkpoints>) = 0" in log.read_text())
    small = synced(log, lambda: s3.put_object(Bucket=BUCKET, Key="small", Body=b"body"))
    assert small.count("catalog.db-wal") == 1 and set(small) <= {"catalog.db-wal", "catalog.db"}
    large = synced(log, lambda: s3.put_object(Bucket=BUCKET, Key="large", Body=os.urandom(LARGE)))
    blobs = [name for name in large if re.fullmatch("[0-9a-f]{32}", name)]
    folders = [name for name in large if name.endswith("/")]
    wal = [name for name in large if name == "catalog.db-wal"]
    assert len(blobs) == 1 and len(wal) == 1 and folders
    order = [large.index(blobs[0]), large.index(folders[0]), large.index(wal[0])]
    assert order == sorted(order), large
    deleted = synced(log, lambda: s3.delete_object(Bucket=BUCKET, Key="large"))
    assert deleted.count("catalog.db-wal") == 1
    assert synced(log, lambda: s3.head_object(Bucket=BUCKET, Key="small")) == []

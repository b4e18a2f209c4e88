"""A server whose disk is full, fails or was meddled with while it serves: what fails says so, nothing is lost, and
everything works again as soon as the disk does.

What lives here: the whole server over a failing file layer, and real servers at the end of their disk. What does not:
the same faults under blobs and database alone (test_blob_faults, test_database_faults), sealed bytes altered on a
stopped store (journeys/test_tamper_blobs).
"""

from __future__ import annotations

import errno
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from s3al import offline
from s3al.crypto.stream import DEFAULT_SEGMENT_BYTES
from s3al.store.inspection import inspect_blobs
from support.house import Aborted, House, open_house
from support.processes import eventually
from support.server_process import ServerProcess

from .layers import ImpatientLayer, SwitchedLayer

BUCKET = "faulty"
LARGE = os.urandom(40 * DEFAULT_SEGMENT_BYTES)
PART = os.urandom(5 << 20)
_ONCE = Config(retries={"total_max_attempts": 1}, read_timeout=30)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("house")) as house:
        house.client().create_bucket(Bucket=BUCKET)
        yield house
        assert house.events("unforeseen") == []


@pytest.fixture
def layer(house: House) -> Iterator[SwitchedLayer]:
    blobs: Any = house.workers[0].s3.blobs
    sound, blobs._layer = blobs._layer, SwitchedLayer()
    blobs._durable_folders.clear()
    yield blobs._layer
    blobs._layer = sound


def stored(house: House) -> set[str]:
    return {str(path) for path in (house.config.data / "blobs").glob("*/??/*")}


def unnamed(house: House) -> list[str]:
    s3: Any = house.workers[0].s3
    found = s3.db.read_now(lambda rows: list(inspect_blobs(rows, s3.blobs)))
    assert [one for one in found if not one.is_garbage] == []
    return [one.where for one in found]


def refusal(function: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        function(**arguments)
    assert "path" not in str(caught.value)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    code: str = caught.value.response["Error"]["Code"]
    return code


def body_of(house: House, object_key: str) -> bytes:
    found: bytes = house.client().get_object(Bucket=BUCKET, Key=object_key)["Body"].read()
    return found


FAILURES = [("create", 0), ("write", 0), ("write", 1), ("sync", 0), ("sync_folder", 0), ("sync_folder", 1)]


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO], ids=["full", "failing"])
@pytest.mark.parametrize(("call", "skip"), FAILURES)
def test_a_put_that_the_disk_refuses_leaves_the_former_object_and_nothing_else(
    house: House, layer: SwitchedLayer, call: str, skip: int, error: int
) -> None:
    s3 = house.client()
    s3.put_object(Bucket=BUCKET, Key="key", Body=b"former")
    s3.put_object(Bucket=BUCKET, Key="source", Body=LARGE)
    before = stored(house)
    blobs: Any = house.workers[0].s3.blobs
    blobs._durable_folders.clear()
    for attempt in (
        lambda: refusal(s3.put_object, Bucket=BUCKET, Key="key", Body=LARGE),
        lambda: refusal(s3.copy_object, Bucket=BUCKET, Key="key", CopySource=f"{BUCKET}/source"),
    ):
        layer.fail(call, error, skip=skip)
        assert attempt() == "ServiceUnavailable"
        assert layer.failed
        layer.fail("", 0)
        assert stored(house) == before
        assert body_of(house, "key") == b"former"
    s3.put_object(Bucket=BUCKET, Key="key", Body=LARGE)
    assert body_of(house, "key") == LARGE
    assert unnamed(house) == []


def test_a_part_that_the_disk_refuses_can_be_sent_again(house: House, layer: SwitchedLayer) -> None:
    s3 = house.client()
    place = {"Bucket": BUCKET, "Key": "parts"}
    place["UploadId"] = s3.create_multipart_upload(**place)["UploadId"]
    first = s3.upload_part(**place, PartNumber=1, Body=PART)["ETag"]
    layer.fail("write", errno.ENOSPC, skip=3)
    assert refusal(s3.upload_part, **place, PartNumber=2, Body=PART) == "ServiceUnavailable"
    assert refusal(s3.upload_part, **place, PartNumber=1, Body=b"other" * 9999) == "ServiceUnavailable"
    layer.fail("", 0)
    second = s3.upload_part(**place, PartNumber=2, Body=b"the end")["ETag"]
    parts = [{"PartNumber": 1, "ETag": first}, {"PartNumber": 2, "ETag": second}]
    s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
    assert body_of(house, "parts") == PART + b"the end"
    assert unnamed(house) == []


@pytest.mark.parametrize("call", ["open", "size", "read"])
def test_a_get_that_the_disk_fails_is_refused_and_may_be_tried_again(
    house: House, layer: SwitchedLayer, call: str
) -> None:
    s3 = house.client()
    s3.put_object(Bucket=BUCKET, Key="read", Body=LARGE)
    layer.fail(call, errno.EIO)
    try:
        answer = s3.get_object(Bucket=BUCKET, Key="read")
    except ClientError as refused:
        assert refused.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    else:
        with pytest.raises(Aborted):
            answer["Body"].read()
    assert s3.head_object(Bucket=BUCKET, Key="read")["ContentLength"] == len(LARGE)
    layer.fail("", 0)
    assert body_of(house, "read") == LARGE


def test_a_disk_that_fails_within_a_get_breaks_the_answer_off(house: House, layer: SwitchedLayer) -> None:
    s3 = house.client()
    large = LARGE
    s3.put_object(Bucket=BUCKET, Key="read", Body=large)
    layer.fail("read", errno.EIO, skip=2)
    try:
        answer = s3.get_object(Bucket=BUCKET, Key="read")
    except ClientError as refused:
        assert refused.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    else:
        assert large.startswith(answer["Body"]._raw_stream.getvalue())
        with pytest.raises(Aborted):
            answer["Body"].read()
    layer.fail("", 0)
    assert body_of(house, "read") == large


def test_short_writes_and_reads_change_nothing(house: House) -> None:
    blobs: Any = house.workers[0].s3.blobs
    sound, blobs._layer = blobs._layer, ImpatientLayer()
    try:
        house.client().put_object(Bucket=BUCKET, Key="short", Body=LARGE)
        assert body_of(house, "short") == LARGE
    finally:
        blobs._layer = sound


# --- a folder that was meddled with while the server serves


def _blob_of(house: House, object_key: str) -> Path:
    before = stored(house)
    house.client().put_object(Bucket=BUCKET, Key=object_key, Body=LARGE)
    (blob,) = stored(house) - before
    return Path(blob)


def _to_folder(blob: Path) -> None:
    blob.unlink()
    blob.mkdir()


def _to_link(blob: Path) -> None:
    aside = blob.with_name("aside")
    blob.rename(aside)
    blob.symlink_to(aside)


def _to_pipe(blob: Path) -> None:
    blob.unlink()
    os.mkfifo(blob)


def _to_other_folder(blob: Path) -> None:
    aside = blob.parent.with_name("aside")
    blob.parent.rename(aside)
    blob.parent.symlink_to(aside)


MEDDLING: dict[str, Callable[[Path], Any]] = {
    "removed": Path.unlink,
    "emptied": lambda blob: os.truncate(blob, 0),
    "cut short": lambda blob: os.truncate(blob, DEFAULT_SEGMENT_BYTES + 1),
    "made longer": lambda blob: os.truncate(blob, len(LARGE) * 2),
    "a folder": _to_folder,
    "a link to itself elsewhere": _to_link,
    "a pipe that nobody writes to": _to_pipe,
}


@pytest.mark.parametrize("name", MEDDLING)
@pytest.mark.timeout(60)
def test_a_blob_that_was_meddled_with_is_an_integrity_event_and_the_rest_is_served(house: House, name: str) -> None:
    blob = _blob_of(house, "meddled")
    house.client().put_object(Bucket=BUCKET, Key="sound", Body=LARGE)
    before = len(house.events("integrity"))
    MEDDLING[name](blob)
    with pytest.raises(ClientError) as caught:
        house.client().get_object(Bucket=BUCKET, Key="meddled")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert caught.value.response["Error"]["Code"] == "InternalError"
    assert len(house.events("integrity")) == before + 1
    assert body_of(house, "sound") == LARGE
    house.client().put_object(Bucket=BUCKET, Key="meddled", Body=b"new")
    assert body_of(house, "meddled") == b"new"
    if blob.is_dir():
        blob.rmdir()
    else:
        blob.unlink(missing_ok=True)
    blob.with_name("aside").unlink(missing_ok=True)


def test_planted_files_change_nothing_and_a_planted_blob_is_swept(tmp_path: Path) -> None:
    with open_house(tmp_path) as house:
        house.client().create_bucket(Bucket=BUCKET)
        house.client().put_object(Bucket=BUCKET, Key="key", Body=LARGE)
        blobs = house.config.data / "blobs"
        (own,) = {Path(path).parent.parent for path in stored(house)}
        dead = blobs / ("0" * 16)
        (dead / "ab").mkdir(parents=True)
        planted = dead / "ab" / ("ab" + "0" * 30)
        planted.write_bytes(b"planted")
        foreign = [blobs / "note.txt", own / "note.txt", dead / "ab" / "note.txt", own / "ab.tmp"]
        for path in foreign:
            path.write_bytes(b"not ours")
        outside = tmp_path / "outside"
        outside.write_bytes(b"must stay")
        link = dead / "ab" / ("ab" + "1" * 30)
        link.symlink_to(outside)
        house.close()
        house.open()
        assert body_of(house, "key") == LARGE
        house.close()
        report = offline.check(house.config)
        assert report.damage == []
        assert not planted.exists()
        assert outside.read_bytes() == b"must stay"
        house.open()
        assert body_of(house, "key") == LARGE


# --- real servers at the end of their disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a filesystem of its own cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(s3: Any, bodies: dict[str, bytes], size: int) -> str:
    """PUT until the server refuses; the code."""
    for number in range(1000):
        object_key, body = f"{size}-{number}", os.urandom(size)
        try:
            s3.put_object(Bucket=BUCKET, Key=object_key, Body=body)
        except ClientError as refused:
            assert refused.response["ResponseMetadata"]["HTTPStatusCode"] == 503
            code: str = refused.response["Error"]["Code"]
            return code
        bodies[object_key] = body
    raise AssertionError("the disk was never full")


def _all_there(s3: Any, bodies: dict[str, bytes]) -> None:
    for object_key, body in bodies.items():
        assert s3.get_object(Bucket=BUCKET, Key=object_key)["Body"].read() == body
    listed = {entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET)["Contents"]}
    assert listed == set(bodies)


def test_a_server_on_a_full_disk_reads_on_and_writes_again_when_there_is_room(small_disk: Path, tmp_path: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(6 << 20))
    server = ServerProcess(tmp_path / "server", ("--workers", "2", "--data", str(small_disk / "data"))).start()
    try:
        s3, bodies = server.client(config=_ONCE), {}
        s3.create_bucket(Bucket=BUCKET)
        for size in (2 << 20, 100_000, 3_000):  # large blobs, small ones, and bodies within the catalog
            assert _fill(s3, bodies, size) == "ServiceUnavailable"
            _all_there(s3, bodies)
        with server.connection() as connection:
            connection.send(b"GET /_s3al/health/live HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connection.receive().status in (200, 404)
        server.kill_group()
        server.start()  # on the full disk
        _all_there(s3, bodies)
        ballast.unlink()
        eventually("a PUT succeeds", lambda: _puts(s3, bodies))
        server.kill_group()
        server.start()
        _all_there(s3, bodies)
        assert server.log_events("unforeseen") == []
    finally:
        server.stop()


def _puts(s3: Any, bodies: dict[str, bytes]) -> bool:
    try:
        s3.put_object(Bucket=BUCKET, Key="after", Body=b"after" * 100_000)
    except ClientError:
        return False
    bodies["after"] = b"after" * 100_000
    return True


def test_workers_that_may_not_write_large_files_for_a_while_lose_nothing(tmp_path: Path) -> None:
    """RLIMIT_FSIZE on running workers: writes beyond it fail with EFBIG, in blobs and in the WAL."""
    server = ServerProcess(tmp_path / "server", ("--workers", "2")).start()
    try:
        s3, bodies = server.client(config=_ONCE), {}
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="before", Body=LARGE)
        bodies["before"] = LARGE
        for pid in server.worker_pids():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
        assert _fill(s3, bodies, 2 << 20) == "ServiceUnavailable"
        assert _fill(s3, bodies, 10_000) == "ServiceUnavailable"
        _all_there(s3, bodies)
        for pid in server.worker_pids():
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        eventually("a PUT succeeds", lambda: _puts(s3, bodies))
        _all_there(s3, bodies)
        server.kill_group()
        server.start()
        _all_there(s3, bodies)
        assert server.log_events("unforeseen") == []
    finally:
        server.stop()

"""What fails midway: refused writes, repeated completions, interrupted reads, cancelled work, files let go of."""

from __future__ import annotations

import asyncio
import gc
import inspect
import io
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from s3al.client import (
    AesKeyring,
    ClientConfigError,
    DecryptionError,
    InstructionFileConfig,
    S3EncryptionClient,
    S3EncryptionClientConfig,
    S3EncryptionClientError,
)
from s3al.client.aio import AsyncS3EncryptionClient
from s3al.client.bulk import Progress, SyncOptions, sync
from s3al.client.filesystem import S3alFileSystem
from s3al.client.transfer import bodies, spool
from unit.client.world import OTHER_KEY, WRAPPING_KEY, AsyncFakeS3, FakeS3, Stored, error, filesystem_on

MIB = 1024 * 1024
NAMED = {"Bucket": "b", "Key": "k"}
BESIDE = InstructionFileConfig(enable_put_object=True)
PARTS: dict[str, Any] = {"multipart_threshold_bytes": 5 * MIB, "multipart_chunksize_bytes": 5 * MIB}


def config_of(**settings: Any) -> S3EncryptionClientConfig:
    return S3EncryptionClientConfig(**({"keyring": AesKeyring(WRAPPING_KEY)} | settings))


def client_for(s3: FakeS3, **settings: Any) -> S3EncryptionClient:
    return S3EncryptionClient(s3, config_of(**settings))


def async_client_for(s3: FakeS3, **settings: Any) -> AsyncS3EncryptionClient:
    return AsyncS3EncryptionClient(AsyncFakeS3(s3), config_of(**settings))


def failing(operation: str, exc: BaseException) -> Callable[[str, dict[str, Any]], None]:
    """The operation fails on the object itself, never on its instruction file."""

    def fail(called: str, parameters: dict[str, Any]) -> None:
        if called == operation and not parameters.get("Key", "").endswith(".instruction"):
            raise exc

    return fail


def refused() -> ClientError:
    return error("PreconditionFailed", 412, "PutObject")


def put(s3: FakeS3, body: bytes) -> None:
    client_for(s3, instruction_file_config=BESIDE, **PARTS).put_object(**NAMED, Body=body)


def put_async(s3: FakeS3, body: bytes) -> None:
    asyncio.run(async_client_for(s3, instruction_file_config=BESIDE, **PARTS).put_object(**NAMED, Body=body))


def put_parts(s3: FakeS3, body: bytes) -> None:
    client = client_for(s3, instruction_file_config=BESIDE)
    named = {**NAMED, "UploadId": client.create_multipart_upload(**NAMED)["UploadId"]}
    etag = client.upload_part(**named, PartNumber=1, Body=body)["ETag"]
    client.complete_multipart_upload(**named, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})


def copy_over(s3: FakeS3, body: bytes) -> None:
    client = client_for(s3, instruction_file_config=BESIDE)
    client.put_object(Bucket="b", Key="source", Body=body)
    client.copy_object(CopySource={"Bucket": "b", "Key": "source"}, **NAMED)


WRITES: dict[str, tuple[Callable[[FakeS3, bytes], None], int, str]] = {
    "one request": (put, 100, "PutObject"),
    "one request, async": (put_async, 100, "PutObject"),
    "parts": (put, 11 * MIB, "CompleteMultipartUpload"),
    "parts, async": (put_async, 11 * MIB, "CompleteMultipartUpload"),
    "parts of the caller": (put_parts, 100, "CompleteMultipartUpload"),
    "a copy": (copy_over, 100, "CopyObject"),
}


@pytest.mark.parametrize("there", [True, False], ids=["over another", "new"])
@pytest.mark.parametrize("name", WRITES)
def test_a_refused_write_leaves_the_old_object_with_its_key(name: str, there: bool) -> None:
    write, size, operation = WRITES[name]
    s3 = FakeS3()
    if there:
        client_for(s3, instruction_file_config=BESIDE).put_object(**NAMED, Body=b"old")
    s3.fail = failing(operation, refused())
    if name == "a copy":  # its source is written first
        s3.fail = failing(operation, error("PreconditionFailed", 412, operation))
    with pytest.raises(ClientError, match="PreconditionFailed"):
        write(s3, os.urandom(size))
    s3.fail = lambda operation, parameters: None
    if there:
        assert client_for(s3).get_object(**NAMED)["Body"].read() == b"old"
    assert ("k.instruction" in s3.objects) is there


def test_after_a_failure_that_says_nothing_the_new_instruction_file_stays() -> None:
    """The object may have been written: then only the new file opens it."""
    s3 = FakeS3()
    s3.fail = failing("PutObject", ConnectionError("cut"))
    with pytest.raises(ConnectionError):
        put(s3, b"new")
    assert "k.instruction" in s3.objects


def test_who_may_only_write_writes_instruction_files_too() -> None:
    s3 = FakeS3()

    def forbid(called: str, parameters: dict[str, Any]) -> None:
        if called == "GetObject":
            raise error("AccessDenied", 403)

    s3.fail = forbid
    put(s3, b"new")
    s3.fail = lambda operation, parameters: None
    assert client_for(s3).get_object(**NAMED)["Body"].read() == b"new"


@pytest.mark.parametrize("operation", ["CompleteMultipartUpload", "UploadPart"])
def test_a_completion_that_failed_can_be_asked_for_again(operation: str) -> None:
    s3, body = FakeS3(), os.urandom(6 * MIB)
    client = client_for(s3)
    named = {**NAMED, "UploadId": client.create_multipart_upload(**NAMED)["UploadId"]}
    part = {"PartNumber": 1, "ETag": client.upload_part(**named, PartNumber=1, Body=body)["ETag"]}
    s3.fail = failing(operation, error("SlowDown", 503, operation))
    with pytest.raises(ClientError):
        client.complete_multipart_upload(**named, MultipartUpload={"Parts": [part]})
    s3.fail = lambda operation, parameters: None
    client.complete_multipart_upload(**named, MultipartUpload={"Parts": [part]})
    assert client.get_object(**NAMED)["Body"].read() == body


def test_an_upload_is_not_completed_without_one_of_its_parts() -> None:
    client = client_for(FakeS3())
    named = {**NAMED, "UploadId": client.create_multipart_upload(**NAMED)["UploadId"]}
    for number in (1, 2):
        client.upload_part(**named, PartNumber=number, Body=bytes(5 * MIB))
    for numbers in ([], [1], [2], [2, 1], [1, 2, 3]):
        parts = [{"PartNumber": number, "ETag": "x"} for number in numbers]
        with pytest.raises(ClientConfigError):
            client.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})


@pytest.mark.parametrize("exc", [KeyboardInterrupt(), OSError("cut")], ids=["interrupted", "cut"])
def test_a_body_whose_reading_was_broken_off_never_looks_ended(
    exc: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3 = FakeS3()
    client = client_for(s3)
    client.put_object(**NAMED, Body=bytes(3 * MIB), format="stream")
    body = client.get_object(**NAMED)["Body"]
    assert body.read(1000) == bytes(1000)
    with monkeypatch.context() as patched:
        def fail(self: Any, amount: int) -> bytes:
            raise exc

        patched.setattr("unit.client.world.Body.read", fail)
        with pytest.raises(type(exc)):
            body.read(2 * MIB)
    with pytest.raises((S3EncryptionClientError, OSError)):
        body.read(1)


@pytest.mark.parametrize("end", ["closed", "let go of", "failed"])
def test_a_body_left_midway_leaves_no_file_open(end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def open_files() -> int:
        names = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
        return sum(os.path.islink(name) and os.readlink(name).startswith(str(tmp_path)) for name in names)

    s3 = FakeS3()
    client = client_for(s3, spool_memory_bytes=1000)
    client.put_object(**NAMED, Body=bytes(10 * MIB))
    if end == "failed":
        s3.objects["k"].body = s3.objects["k"].body[:-1] + b"\0"
    body = client.get_object(**NAMED)["Body"]
    if end == "failed":
        with pytest.raises(DecryptionError):
            body.read(10)
    else:
        assert body.read(10) == bytes(10)
        assert open_files() == 1
    if end == "closed":
        body.close()
    elif end == "let go of":
        del body
        gc.collect()
    assert open_files() == 0
    assert list(tmp_path.iterdir()) == []


class TestAsyncBodies:
    def test_a_failure_is_a_failure_each_time(self) -> None:
        s3 = FakeS3()
        client_for(s3).put_object(**NAMED, Body=b"x" * 1000)
        s3.objects["k"].body = s3.objects["k"].body[:-1] + b"\0"

        async def read() -> None:
            body = (await async_client_for(s3).get_object(**NAMED))["Body"]
            for _ in range(2):
                with pytest.raises(DecryptionError):
                    await body.read(10)

        asyncio.run(read())

    def test_a_cancelled_read_is_no_end_and_closing_lets_go_of_the_spool(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(bodies, "WHOLE_BYTES", 0)
        closed: list[spool.Spool] = []
        really = spool.Spool.close
        monkeypatch.setattr(spool.Spool, "close", lambda self: (closed.append(self), really(self))[1])
        s3 = FakeS3()
        client_for(s3).put_object(**NAMED, Body=bytes(12 * MIB))

        async def read() -> None:
            client = async_client_for(s3, spool_memory_bytes=MIB)
            body = (await client.get_object(**NAMED))["Body"]
            reading = asyncio.ensure_future(body.read())
            await asyncio.sleep(0)
            reading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reading
            with pytest.raises(S3EncryptionClientError):
                await body.read(1)
            body = (await client.get_object(**NAMED))["Body"]
            async with body:
                assert await body.read(10) == bytes(10)
                before = len(closed)
            assert len(closed) == before + 1
            with pytest.raises(ValueError, match="closed"):
                await body.read(1)

        asyncio.run(read())


def test_a_cancelled_copy_stops_and_aborts_its_upload() -> None:
    s3, arrived = FakeS3(), threading.Event()
    client_for(s3).put_object(Bucket="b", Key="source", Body=bytes(16 * MIB))

    async def journey() -> None:
        client = async_client_for(s3, **PARTS)
        held = asyncio.Event()  # never set

        async def upload_part(**parameters: Any) -> None:
            arrived.set()
            await held.wait()

        client.wrapped_s3_client.upload_part = upload_part
        copying = asyncio.ensure_future(client.copy({"Bucket": "b", "Key": "source"}, "b", "copied"))
        await asyncio.to_thread(arrived.wait, 20)
        copying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await copying

    asyncio.run(journey())
    assert "copied" not in s3.objects
    assert not s3.uploads
    assert s3.names()[-1] == "AbortMultipartUpload"


def test_what_is_no_regular_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    s3, pipe, got = FakeS3(), tmp_path / "pipe", []
    client = client_for(s3)
    client.put_object(**NAMED, Body=b"through a pipe")
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    client.download_file("b", "k", pipe)
    reader.join(20)
    assert got == [b"through a pipe"]
    assert pipe.is_fifo()


def test_a_file_read_past_its_end_is_an_empty_body(tmp_path: Path) -> None:
    s3 = FakeS3()
    (tmp_path / "file").write_bytes(b"short")
    with (tmp_path / "file").open("rb") as body:
        body.seek(1000)
        client_for(s3).put_object(**NAMED, Body=body)
    assert client_for(s3).get_object(**NAMED)["Body"].read() == b""


@pytest.mark.parametrize("asked", [{"PartNumber": 1}, {"Range": "bytes=0-9"}])
def test_a_head_of_less_than_the_object_is_refused(asked: dict[str, Any]) -> None:
    s3 = FakeS3()
    client_for(s3).put_object(**NAMED, Body=b"x" * 100)
    with pytest.raises(ClientConfigError):
        client_for(s3).head_object(**NAMED, **asked)
    with pytest.raises(ClientConfigError):
        asyncio.run(async_client_for(s3).head_object(**NAMED, **asked))


METHODS = ("upload_file", "upload_fileobj", "download_file", "download_fileobj", "copy")


@pytest.mark.parametrize("client", [S3EncryptionClient, AsyncS3EncryptionClient])
@pytest.mark.parametrize("method", METHODS)
def test_transfers_take_what_boto3s_take_in_boto3s_order(client: type, method: str) -> None:
    plain = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    theirs = [name for name in inspect.signature(getattr(plain, method)).parameters if name != "self"]
    ours = [name for name in inspect.signature(getattr(client, method)).parameters if name != "self"]
    assert ours == theirs


def test_config_callback_and_extra_arguments_mean_what_they_mean_to_boto3(tmp_path: Path) -> None:
    s3, seen, source = FakeS3(), [], tmp_path / "in"
    source.write_bytes(os.urandom(21 * MIB))
    client = client_for(s3)
    config = TransferConfig(multipart_threshold=6 * MIB, multipart_chunksize=7 * MIB, use_threads=False)
    extra = {"ContentType": "text/plain", "Metadata": {"n": "1"}, "StorageClass": "STANDARD_IA"}
    client.upload_file(str(source), "b", "k", extra, seen.append, Config=config)
    assert s3.most_in_flight == 1
    assert s3.names().count("UploadPart") == 3
    assert sum(seen) == 21 * MIB
    created = s3.objects["k"].parameters
    assert (created["ContentType"], created["StorageClass"]) == ("text/plain", "STANDARD_IA")
    got: list[int] = []
    client.download_file("b", "k", str(tmp_path / "out"), {"IfMatch": s3.objects["k"].etag}, got.append, Config=config)
    assert sum(got) == 21 * MIB
    assert (tmp_path / "out").read_bytes() == source.read_bytes()
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.download_file("b", "k", str(tmp_path / "none"), {"IfMatch": '"other"'})
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("parts", [1, 2])
def test_a_body_that_fills_its_last_part_needs_no_part_more(parts: int) -> None:
    for upload in (
        lambda s3, body: client_for(s3, **PARTS).put_object(**NAMED, Body=body),
        lambda s3, body: asyncio.run(async_client_for(s3, **PARTS).put_object(**NAMED, Body=body)),
    ):
        s3, body = FakeS3(), os.urandom(5 * MIB * parts)
        upload(s3, body)
        assert s3.names().count("UploadPart") == (0 if parts == 1 else 2)
        assert client_for(s3).get_object(**NAMED)["Body"].read() == body


def test_upload_file_tells_refusals_as_boto3_does(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"x")
    s3 = FakeS3()
    s3.fail = failing("PutObject", error("AccessDenied", 403, "PutObject"))
    with pytest.raises(S3UploadFailedError, match="AccessDenied"):
        client_for(s3).upload_file(tmp_path / "in", "b", "k")
    with pytest.raises(S3UploadFailedError, match="AccessDenied"):
        asyncio.run(async_client_for(s3).upload_file(tmp_path / "in", "b", "k"))
    with pytest.raises(ClientError, match="AccessDenied"):
        client_for(s3).upload_fileobj(io.BytesIO(b"x"), "b", "k")


def test_a_copy_between_keys_keeps_tags_and_storage_class() -> None:
    class Tagged(FakeS3):
        def get_object(self, **parameters: Any) -> dict[str, Any]:
            return super().get_object(**parameters) | {"TagCount": 1, "StorageClass": "STANDARD_IA"}

        def get_object_tagging(self, **parameters: Any) -> dict[str, Any]:
            return {"TagSet": [{"Key": "a b", "Value": "c&d"}]}

    s3, seen = Tagged(), []
    client_for(s3).put_object(**NAMED, Body=b"x" * 100)
    target = client_for(FakeS3(), keyring=AesKeyring(OTHER_KEY))
    reader = client_for(s3)
    target.copy({"Bucket": "b", "Key": "k"}, "b", "moved", None, seen.append, SourceClient=reader)
    moved = target.wrapped_s3_client.objects["moved"].parameters
    assert (moved["Tagging"], moved["StorageClass"], sum(seen)) == ("a+b=c%26d", "STANDARD_IA", 100)
    plain = client_for(FakeS3())
    plain.copy({"Bucket": "b", "Key": "k"}, "b", "again", SourceClient=s3)
    assert plain.get_object(Bucket="b", Key="again")["Body"].read() == b"x" * 100


def test_lists_in_url_encoding_and_of_requester_pays_buckets_show_lengths_of_plaintext() -> None:
    s3 = FakeS3()
    client_for(s3).put_object(Bucket="b", Key="a b", Body=b"x" * 100)
    really = s3.list_objects_v2

    def listed(**parameters: Any) -> dict[str, Any]:
        answer = really(**parameters)
        for one in answer["Contents"]:
            one["Key"] = one["Key"].replace(" ", "+")
        return answer

    s3.list_objects_v2 = listed  # type: ignore[method-assign]
    found = client_for(s3).list_objects_v2(Bucket="b", EncodingType="url", RequestPayer="requester")
    assert [(one["Key"], one["Size"]) for one in found["Contents"]] == [("a+b", 100)]
    assert s3.calls[-1] == ("HeadObject", {"Bucket": "b", "RequestPayer": "requester", "Key": "a b"})


def filesystem(s3: FakeS3) -> S3alFileSystem:
    return filesystem_on(s3, AesKeyring(WRAPPING_KEY))


class TestFiles:
    def test_a_part_that_fails_aborts_the_upload(self) -> None:
        s3 = FakeS3()
        s3.fail = failing("UploadPart", error("SlowDown", 503, "UploadPart"))
        file = filesystem(s3).open("b/k", "wb")
        with pytest.raises(ClientError, match="SlowDown"):
            file.write(bytes(20 * MIB))
        file.close()
        assert not s3.uploads
        assert not s3.objects

    def test_a_completion_that_fails_aborts_the_upload(self) -> None:
        s3 = FakeS3()
        s3.fail = failing("CompleteMultipartUpload", error("AccessDenied", 403, "CompleteMultipartUpload"))
        with pytest.raises(ClientError, match="AccessDenied"), filesystem(s3).open("b/k", "wb") as file:
            file.write(bytes(20 * MIB))
        assert not s3.uploads
        assert not s3.objects

    @pytest.mark.parametrize("size", [10, 20 * MIB])
    def test_a_file_let_go_of_without_closing_is_not_stored(self, size: int) -> None:
        s3 = FakeS3()

        def fails() -> None:
            file = filesystem(s3).open("b/k", "wb")
            file.write(bytes(size))
            raise OSError("elsewhere")

        with pytest.raises(OSError, match="elsewhere"):
            fails()
        gc.collect()
        assert not s3.objects
        assert not s3.uploads

    def test_a_plaintext_object_is_seen_and_not_read(self) -> None:
        fs = filesystem(FakeS3({"k": Stored(b"in the clear", {})}))
        assert fs.exists("b/k")
        assert fs.info("b/k")["size"] == 12
        with pytest.raises(S3EncryptionClientError):
            fs.cat("b/k")


class TestManyFiles:
    def run(self, s3: FakeS3, folder: Path, **options: Any) -> Any:
        class Pages:
            def paginate(self, **given: Any) -> Any:
                return iter([s3.list_objects_v2(Bucket=given["Bucket"])])

        client = client_for(s3)
        s3.get_paginator = lambda name: Pages()  # type: ignore[attr-defined]
        with Progress(quiet=True) as progress:
            return sync(client, str(folder), "s3://b", SyncOptions({}, 4, **options), progress)

    def test_a_name_that_belongs_to_instruction_files_is_refused_and_told(self, tmp_path: Path) -> None:
        s3 = FakeS3()
        for name in ("report", "report.instruction"):
            (tmp_path / name).write_bytes(b"x")
        done = self.run(s3, tmp_path)
        assert (done.copied, len(done.failures), list(s3.objects)) == (1, 1, ["report"])

    def test_one_refused_file_does_not_stop_the_others(self, tmp_path: Path) -> None:
        s3 = FakeS3()

        def forbid(called: str, parameters: dict[str, Any]) -> None:
            if called == "PutObject" and parameters["Key"] == "3":
                raise error("AccessDenied", 403, "PutObject")

        s3.fail = forbid
        for number in range(8):
            (tmp_path / str(number)).write_bytes(b"x")
        done = self.run(s3, tmp_path, everything=True)
        assert (done.copied, len(done.failures)) == (7, 1)
        assert "AccessDenied" in done.failures[0]

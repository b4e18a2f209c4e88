"""The restore drill: a served store is backed up, lost, and comes back; and deleted keys that do not."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.processes import eventually
from support.server_process import ServerProcess


def s3al(server: ServerProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "s3al", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        stdin=subprocess.DEVNULL,
        env=server._own_environ()
        | server.client_environ(server.folder / "home")
        | {"XDG_CONFIG_HOME": str(server.config_home)},
    )


def answer_of(server: ServerProcess, *arguments: str) -> dict[str, Any]:
    done = s3al(server, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


class Uploads:
    """Objects of every way of encrypting, small and large, uploaded until told to stop; those acknowledged are kept."""

    def __init__(self, server: ServerProcess, key_id: str) -> None:
        self.server, self.key_id = server, key_id
        self.objects: dict[str, bytes] = {}
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self) -> Uploads:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        self.thread.join()

    def run(self) -> None:
        s3 = self.server.client()
        number = 0
        while not self.stopped.is_set():
            size = (100, 40_000, 300_000)[number % 3]
            body = number.to_bytes(4, "big") * (size // 4)
            options = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.key_id} if number % 2 else {}
            s3.put_object(Bucket="bucket", Key=f"key-{number}", Body=body, **options)
            self.objects[f"key-{number}"] = body
            if number % 5 == 4:  # blobs go while others are copied
                gone = f"key-{number - 3}"
                self.objects.pop(gone)
                s3.delete_object(Bucket="bucket", Key=gone)
            number += 1


def test_everything_written_before_the_backup_opens_after_the_restore(start_server, tmp_path):
    server = start_server("--workers", "2")
    server.client().create_bucket(Bucket="bucket")
    key_id = server.client("kms").create_key()["KeyMetadata"]["KeyId"]
    before = Uploads(server, key_id)
    with before:
        eventually("objects are written", lambda: len(before.objects) > 30)
    expected = dict(before.objects)
    with UploadsElsewhere(server, key_id) as meanwhile:
        eventually("others are being written", lambda: len(meanwhile.objects) > 3)
        taken = answer_of(server, "backup", str(tmp_path / "backup"), "--data", str(server.data), "--with-blobs")
        assert taken["with_blobs"]
        assert taken["blobs"] > 0
        done = len(meanwhile.objects)
        eventually("uploads went on", lambda: len(meanwhile.objects) > done)
    server.kill_group()
    shutil.rmtree(server.data)
    restored = answer_of(server, "restore", str(tmp_path / "backup"), "--data", str(server.data))
    assert (restored["missing_blobs"], restored["left_out"]) == (0, [])
    done = s3al(server, "check", str(server.data))
    assert done.returncode == 0, done.stdout + done.stderr
    server.start()
    s3 = server.client()
    for name, body in expected.items():
        assert s3.get_object(Bucket="bucket", Key=name)["Body"].read() == body
    listed = s3.list_objects_v2(Bucket="other")["Contents"]
    for entry in listed:  # what was written meanwhile is whole, or not there
        assert len(s3.get_object(Bucket="other", Key=entry["Key"])["Body"].read()) == entry["Size"]
    s3.put_object(Bucket="bucket", Key="new", Body=b"life goes on")


class UploadsElsewhere(Uploads):
    """Into another bucket, so that what was written before stays."""

    def run(self) -> None:
        s3 = self.server.client()
        s3.create_bucket(Bucket="other")
        number = 0
        while not self.stopped.is_set():
            body = number.to_bytes(4, "big") * 30_000
            s3.put_object(Bucket="other", Key=f"key-{number}", Body=body)
            self.objects[f"key-{number}"] = body
            number += 1


def destroy(server: ServerProcess, key_id: str) -> None:
    """Let the key's waiting period end, as far as the server can tell."""
    server.client("kms").schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)
    server.stop()
    script = """
import sys
from pathlib import Path
from s3al import app
from s3al.config import ServeConfig
from s3al.store.layout import open_folder
config = ServeConfig(data=Path(sys.argv[1]), config_home=Path(sys.argv[2]))
folder = open_folder(config.data)
database = app.open_database(folder, app.open_keys(folder, config).catalog_key)
database.write_now(lambda rows: rows.run("UPDATE kms_keys SET deletion_at = 1 WHERE key_id = ?", (sys.argv[3],)))
database.close()
"""
    subprocess.run(
        [sys.executable, "-c", script, str(server.data), str(server.config_home / "s3al"), key_id],
        check=True,
        env=server._own_environ(),
    )
    server.start()


def ledger(server: ServerProcess) -> Path:
    (path,) = (server.config_home / "s3al").glob("*.ledger")
    return path


def test_a_deleted_key_does_not_come_back_and_the_server_says_from_where_it_could(start_server, tmp_path):
    server = start_server("--workers", "2")
    s3, kms = server.client(), server.client("kms")
    s3.create_bucket(Bucket="bucket")
    doomed, kept = (kms.create_key()["KeyMetadata"]["KeyId"] for _ in range(2))
    for name, key_id in (("doomed", doomed), ("kept", kept)):
        s3.put_object(Bucket="bucket", Key=name, Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key_id)
    for name in ("first", "second"):
        answer_of(server, "backup", str(tmp_path / name), "--data", str(server.data))
    destroy(server, doomed)
    eventually("its end is written down", lambda: '"deleted"' in ledger(server).read_text())
    told = answer_of(server, "deleted-key", doomed)["deletions"][0]
    assert told["oldest_backup"]["place"] == str(tmp_path / "first")
    assert str(tmp_path / "first") in s3al(server, "deleted-key", doomed).stdout
    assert "No key" in s3al(server, "deleted-key", kept).stderr
    server.stop()
    for file in server.data.iterdir():  # the blobs stay
        if file.is_file():
            file.unlink()
    restored = answer_of(server, "restore", str(tmp_path / "second"), "--data", str(server.data))
    assert restored["left_out"] == [doomed]
    server.start()
    s3 = server.client()
    assert s3.get_object(Bucket="bucket", Key="kept")["Body"].read() == b"x"
    with pytest.raises(ClientError) as caught:
        s3.get_object(Bucket="bucket", Key="doomed")
    assert caught.value.response["Error"]["Code"] == "KMS.NotFoundException"
    assert gone(server, doomed)


def gone(server: ServerProcess, key_id: str) -> bool:
    try:
        server.client("kms").describe_key(KeyId=key_id)
    except ClientError as error:
        return error.response["Error"]["Code"] == "NotFoundException"
    return False


def test_a_backup_of_a_served_store_needs_its_seal(server, tmp_path):
    done = s3al(server, "backup", str(tmp_path / "b"), "--data", str(server.data), "--root-key", "keyfile:/nowhere")
    assert done.returncode == 2
    assert "no keyfile" in done.stderr
    assert not (tmp_path / "b" / "backup.json").exists()

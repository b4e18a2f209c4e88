"""s3cmd: objects, trees, parts, copies and modes, and without options where the bucket's default encrypts."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support.clients import contents, refused_client, run_client, write_tree
from support.server_process import ServerProcess
from support.settings import DSSE_KMS, SSE_KMS, new_bucket, new_key, set_default

pytestmark = pytest.mark.client("s3cmd")
MIB = 1 << 20


class S3cmd:
    def __init__(self, server: ServerProcess, home: Path) -> None:
        self.environ = server.client_environ(home)
        place = urlsplit(server.endpoint)
        lines = {
            "access_key": server.access_key_id,
            "secret_key": server.secret_access_key,
            "host_base": place.netloc,
            "host_bucket": place.netloc,
            "use_https": str(place.scheme == "https"),
            "bucket_location": server.region,
            "multipart_chunk_size_mb": "5",
            "max_retries": "1",
        } | ({"ca_certs_file": server.ca_bundle} if server.ca_bundle else {})
        self._config = home / ".s3cfg"
        self._config.write_text("[default]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items()))

    def __call__(self, *arguments: str | Path) -> str:
        return run_client("s3cmd", "-c", self._config, "--no-progress", *arguments, environ=self.environ)

    def refused(self, *arguments: str | Path) -> str:
        return refused_client("s3cmd", "-c", self._config, "--no-progress", *arguments, environ=self.environ)


def _there_and_back(s3cmd: S3cmd, bucket: str, folder: Path) -> None:
    tree = write_tree(folder / "tree", large_bytes=11 * MIB + 1)
    s3cmd("sync", f"{tree}/", f"s3://{bucket}/tree/")
    (folder / "down").mkdir()
    s3cmd("sync", f"s3://{bucket}/tree/", f"{folder / 'down'}/")
    assert contents(folder / "down") == contents(tree)


def test_a_tree_goes_there_and_back(any_server, tmp_path):
    s3cmd = S3cmd(any_server, tmp_path / "home")
    bucket = f"s3cmd-{os.urandom(5).hex()}"
    s3cmd("mb", f"s3://{bucket}")
    _there_and_back(s3cmd, bucket, tmp_path)
    assert s3cmd("ls", f"s3://{bucket}/tree/").count("DIR") == 3
    # Buckets without ACLs refuse, here as on AWS, what s3cmd asks for when it copies without this flag.
    s3cmd("cp", "--acl-private", f"s3://{bucket}/tree/large.bin", f"s3://{bucket}/copied")
    told = s3cmd("info", f"s3://{bucket}/copied")
    assert str(11 * MIB + 1) in told
    s3cmd("del", "--recursive", "--force", f"s3://{bucket}/")
    s3cmd("rb", f"s3://{bucket}")
    assert bucket not in s3cmd("ls")


@pytest.mark.parametrize("mode", [SSE_KMS, DSSE_KMS])
def test_a_default_encrypts_without_any_option(standing_server, tmp_path, mode):
    s3, key = standing_server.client(), new_key(standing_server)
    bucket = new_bucket(standing_server, owner=s3)
    set_default(s3, bucket, mode, key)
    _there_and_back(S3cmd(standing_server, tmp_path / "home"), bucket, tmp_path)
    for name in ("tree/large.bin", "tree/folder 1/file-1.bin"):
        head = s3.head_object(Bucket=bucket, Key=name)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == (mode, key)


def test_modes_by_option(any_server, s3, bucket, tmp_path):
    s3cmd, key = S3cmd(any_server, tmp_path / "home"), new_key(any_server)
    (tmp_path / "file").write_bytes(os.urandom(MIB))
    s3cmd("put", "--server-side-encryption-kms-id", key, tmp_path / "file", f"s3://{bucket}/kms")
    s3cmd("put", "--server-side-encryption", tmp_path / "file", f"s3://{bucket}/sse-s3")
    assert s3.head_object(Bucket=bucket, Key="kms")["SSEKMSKeyId"] == key
    assert s3.head_object(Bucket=bucket, Key="sse-s3")["ServerSideEncryption"] == "AES256"
    for name in ("kms", "sse-s3"):
        s3cmd("get", "--force", f"s3://{bucket}/{name}", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()


def test_a_refusal_reaches_the_user(standing_server, tmp_path):
    bucket = new_bucket(standing_server)
    s3cmd = S3cmd(standing_server, tmp_path / "home")
    (tmp_path / "file").write_bytes(bytes(4 * MIB))
    assert "NoSuchBucket" in s3cmd.refused("put", tmp_path / "file", "s3://there-is-no-such-bucket/key")
    told = s3cmd.refused("--secret_key", "not-the-secret-of-this-key", "ls", f"s3://{bucket}")
    assert "SignatureDoesNotMatch" in told
    assert standing_server.client().list_objects_v2(Bucket=bucket)["KeyCount"] == 0

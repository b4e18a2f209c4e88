"""rclone: trees both ways and checked, every mode by its options, and without them where the bucket's default encrypts:
rclone takes what looks like an MD5 for one, so the ETags of those modes must not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from support.clients import contents, refused_client, run_client, write_tree
from support.server_process import ServerProcess
from support.settings import DSSE_KMS, SSE_KMS, allow_sse_c, new_bucket, new_key, set_default

pytestmark = pytest.mark.client("rclone")
MIB = 1 << 20


class Rclone:
    """rclone with one remote, `s3al:`. options: of its s3 backend, upper case."""

    def __init__(self, server: ServerProcess, home: Path, **options: str) -> None:
        settings = {
            "TYPE": "s3",
            "PROVIDER": "Other",
            "ENV_AUTH": "true",
            "ENDPOINT": server.endpoint,
            "REGION": server.region,
            # By itself rclone asks for `private`, which buckets without ACLs refuse, as on AWS.
            "ACL": "bucket-owner-full-control",
            "BUCKET_ACL": "private",
            "CHUNK_SIZE": "5M",
            "UPLOAD_CUTOFF": "5M",
            **options,
        }
        self.environ = server.client_environ(home)
        self.environ |= {f"RCLONE_CONFIG_S3AL_{name}": value for name, value in settings.items()}
        self.environ["RCLONE_LOW_LEVEL_RETRIES"] = self.environ["RCLONE_RETRIES"] = "1"
        if server.ca_bundle:
            # rclone's own way; its transport does not take AWS_CA_BUNDLE.
            self.environ["RCLONE_CA_CERT"] = self.environ.pop("AWS_CA_BUNDLE")

    def __call__(self, *arguments: str | Path) -> str:
        return run_client("rclone", *arguments, environ=self.environ)

    def refused(self, *arguments: str | Path) -> str:
        return refused_client("rclone", *arguments, environ=self.environ)


def _there_and_back(rclone: Rclone, bucket: str, folder: Path) -> None:
    tree = write_tree(folder / "tree", large_bytes=11 * MIB + 1)
    rclone("sync", tree, f"s3al:{bucket}/tree")
    rclone("check", "--download", tree, f"s3al:{bucket}/tree")
    rclone("check", tree, f"s3al:{bucket}/tree")
    rclone("sync", f"s3al:{bucket}/tree", folder / "down")
    assert contents(folder / "down") == contents(tree)
    (tree / "folder 1" / "file-1.bin").write_bytes(b"changed")
    (tree / "folder 2" / "file-2.bin").unlink()
    rclone("sync", tree, f"s3al:{bucket}/tree")
    rclone("check", "--download", tree, f"s3al:{bucket}/tree")


def test_a_tree_goes_there_and_back(any_server, bucket, tmp_path):
    rclone = Rclone(any_server, tmp_path / "home")
    _there_and_back(rclone, bucket, tmp_path)
    rclone("copyto", f"s3al:{bucket}/tree/large.bin", f"s3al:{bucket}/copied")
    part = rclone("cat", "--offset", "4", "--count", "10", f"s3al:{bucket}/tree/folder 1/file-1.bin")
    assert part == "ged"
    assert f'"Path":"{bucket}"' in rclone("lsjson", "s3al:").replace(" ", "")
    rclone("purge", f"s3al:{bucket}")


@pytest.mark.parametrize("bucket_key", [False, True])
@pytest.mark.parametrize("mode", [SSE_KMS, DSSE_KMS])
def test_a_default_encrypts_without_any_option(standing_server, tmp_path, mode, bucket_key):
    s3, key = standing_server.client(), new_key(standing_server)
    bucket = new_bucket(standing_server, owner=s3)
    set_default(s3, bucket, mode, key, bucket_key=bucket_key)
    _there_and_back(Rclone(standing_server, tmp_path / "home"), bucket, tmp_path)
    for name in ("tree/large.bin", "tree/folder 1/file-1.bin"):
        head = s3.head_object(Bucket=bucket, Key=name)
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == (mode, key)


def test_sse_kms_by_option(any_server, s3, bucket, tmp_path):
    key = new_key(any_server)
    rclone = Rclone(any_server, tmp_path / "home", SERVER_SIDE_ENCRYPTION=SSE_KMS, SSE_KMS_KEY_ID=key)
    _there_and_back(rclone, bucket, tmp_path)
    assert s3.head_object(Bucket=bucket, Key="tree/large.bin")["SSEKMSKeyId"] == key


def test_sse_c_by_option(standing_tls_server, tmp_path):
    server, s3 = standing_tls_server, standing_tls_server.client()
    bucket = new_bucket(server, owner=s3)
    customer = {"SSE_CUSTOMER_ALGORITHM": "AES256", "SSE_CUSTOMER_KEY": "0123456789abcdef0123456789abcdef"}
    rclone = Rclone(server, tmp_path / "home", **customer)
    (tmp_path / "file").write_bytes(os.urandom(MIB))
    assert "AccessDenied" in rclone.refused("copyto", tmp_path / "file", f"s3al:{bucket}/file")
    allow_sse_c(s3, bucket)
    _there_and_back(rclone, bucket, tmp_path)
    without = Rclone(server, tmp_path / "other home")
    assert "400" in without.refused("copy", f"s3al:{bucket}/tree", tmp_path / "not")
    assert "large.bin" not in contents(tmp_path / "not")


def test_a_refusal_reaches_the_user(standing_server, tmp_path):
    bucket = new_bucket(standing_server)
    rclone = Rclone(standing_server, tmp_path / "home")
    rclone.environ["AWS_SECRET_ACCESS_KEY"] = "not-the-secret-of-this-key"
    (tmp_path / "file").write_bytes(bytes(20 * MIB))
    assert "SignatureDoesNotMatch" in rclone.refused("ls", f"s3al:{bucket}")
    assert rclone.refused("copyto", tmp_path / "file", f"s3al:{bucket}/file")
    assert standing_server.client().list_objects_v2(Bucket=bucket)["KeyCount"] == 0

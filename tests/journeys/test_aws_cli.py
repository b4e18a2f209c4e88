"""The AWS CLI, version 1 (PyPI) and 2 (Debian): trees and large files both ways, every mode, and what a user is told
when the server refuses."""

from __future__ import annotations

import base64
import json
import os
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from support.clients import contents, refused_client, run_client, write_tree
from support.server_process import ServerProcess
from support.settings import DSSE_KMS, SSE_KMS, allow_sse_c, new_bucket, new_key, set_default

MIB = 1 << 20
VERSIONS = [
    pytest.param("aws-cli-v1", marks=pytest.mark.client("aws-cli-v1"), id="v1"),
    pytest.param("aws-cli-v2", marks=pytest.mark.client("aws-cli-v2"), id="v2"),
]
pytestmark = pytest.mark.parametrize("version", VERSIONS)


class Aws:
    """`aws ...` of one version against one server, as a user with a home of his own runs it."""

    def __init__(self, version: str, server: ServerProcess, home: Path) -> None:
        self._version = version
        self.environ = server.client_environ(home) | {"AWS_MAX_ATTEMPTS": "1"}
        # By flag too: Debian's version 2.9 does not know AWS_ENDPOINT_URL.
        self._endpoint = ("--endpoint-url", server.endpoint)
        (home / ".aws").mkdir()
        (home / ".aws" / "config").write_text("[default]\ns3 =\n    signature_version = s3v4\n")

    def __call__(self, *arguments: str | Path) -> str:
        return run_client(self._version, *self._endpoint, *arguments, environ=self.environ)

    def json(self, *arguments: str | Path) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self(*arguments, "--output", "json"))
        return document

    def refused(self, *arguments: str | Path, **environ: str) -> str:
        return refused_client(self._version, *self._endpoint, *arguments, environ=self.environ | environ)


@pytest.fixture
def aws(version, any_server, tmp_path) -> Aws:
    return Aws(version, any_server, tmp_path / "home")


def test_a_tree_and_a_large_file_go_up_and_come_down(aws, any_server, tmp_path):
    bucket = f"cli-{os.urandom(5).hex()}"
    tree = write_tree(tmp_path / "tree", large_bytes=20 * MIB + 3)
    aws("s3", "mb", f"s3://{bucket}")
    aws("s3", "sync", "--no-progress", tree, f"s3://{bucket}/tree/")
    assert aws("s3", "sync", "--no-progress", tree, f"s3://{bucket}/tree/") == "", "nothing is left to be sent"
    aws("s3", "sync", "--no-progress", f"s3://{bucket}/tree/", tmp_path / "down")
    assert contents(tmp_path / "down") == contents(tree)
    listed = aws("s3", "ls", "--recursive", f"s3://{bucket}/")
    assert len(listed.splitlines()) == len(contents(tree))
    aws("s3", "mv", "--no-progress", f"s3://{bucket}/tree/large.bin", f"s3://{bucket}/moved")
    head = aws.json("s3api", "head-object", "--bucket", bucket, "--key", "moved")
    assert head["ContentLength"] == 20 * MIB + 3
    aws("s3", "rb", "--force", f"s3://{bucket}")
    assert bucket not in aws("s3", "ls")


def test_every_mode_by_flag(aws, any_server, bucket, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(os.urandom(9 * MIB))
    (tmp_path / "key").write_bytes(os.urandom(32))
    key = new_key(any_server)
    flags = {SSE_KMS: ("--sse", SSE_KMS, "--sse-kms-key-id", key), "AES256": ("--sse", "AES256")}
    for mode, given in flags.items():
        aws("s3", "cp", "--no-progress", *given, file, f"s3://{bucket}/{mode}")
        head = aws.json("s3api", "head-object", "--bucket", bucket, "--key", mode)
        assert (head["ServerSideEncryption"], head.get("SSEKMSKeyId")) == (mode, key if mode == SSE_KMS else None)
        aws("s3", "cp", "--no-progress", f"s3://{bucket}/{mode}", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == file.read_bytes()
    if any_server.ca_bundle:
        customer = ("--sse-c", "AES256", "--sse-c-key", f"fileb://{tmp_path / 'key'}")
        told = aws.refused("s3", "cp", "--no-progress", *customer, file, f"s3://{bucket}/customer")
        assert "AccessDenied" in told
        assert "SSE-C" in told
        allow_sse_c(any_server.client(), bucket)
        aws("s3", "cp", "--no-progress", *customer, file, f"s3://{bucket}/customer")
        aws("s3", "cp", "--no-progress", *customer, f"s3://{bucket}/customer", tmp_path / "back-c")
        assert (tmp_path / "back-c").read_bytes() == file.read_bytes()
        assert "400" in aws.refused("s3", "cp", f"s3://{bucket}/customer", tmp_path / "not")


@pytest.mark.parametrize("mode", [SSE_KMS, DSSE_KMS])
def test_a_default_encrypts_what_names_no_mode(version, mode, standing_server, tmp_path):
    aws = Aws(version, standing_server, tmp_path / "home")
    s3, key = standing_server.client(), new_key(standing_server)
    bucket = new_bucket(standing_server, owner=s3)
    set_default(s3, bucket, mode, key)
    tree = write_tree(tmp_path / "tree", large_bytes=9 * MIB)
    aws("s3", "sync", "--no-progress", tree, f"s3://{bucket}/")
    aws("s3", "sync", "--no-progress", f"s3://{bucket}/", tmp_path / "down")
    assert contents(tmp_path / "down") == contents(tree)
    head = aws.json("s3api", "head-object", "--bucket", bucket, "--key", "large.bin")
    assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == (mode, key)


def test_a_user_is_told_what_aws_would_tell(version, standing_server, tmp_path):
    aws = Aws(version, standing_server, tmp_path / "home")
    bucket = new_bucket(standing_server)
    (tmp_path / "small").write_bytes(b"x")
    (tmp_path / "large").write_bytes(bytes(30 * MIB))
    for name in ("small", "large"):
        stranger = {"AWS_SECRET_ACCESS_KEY": "not-the-secret-of-this-key"}
        told = aws.refused("s3", "cp", "--no-progress", tmp_path / name, f"s3://{bucket}/{name}", **stranger)
        assert "SignatureDoesNotMatch" in told
        told = aws.refused("s3", "cp", "--no-progress", tmp_path / name, "s3://there-is-no-such-bucket/key")
        assert "NoSuchBucket" in told
    put = ("s3api", "put-object", "--bucket", bucket, "--key", "key", "--body", tmp_path / "large")
    assert "BadDigest" in aws.refused(*put, "--content-md5", base64.b64encode(bytes(16)).decode())
    assert "404" in aws.refused("s3", "cp", f"s3://{bucket}/absent", tmp_path / "not")
    assert "InvalidAccessKeyId" in aws.refused("s3", "ls", AWS_ACCESS_KEY_ID="AKIAABSENTABSENTABSE")
    assert aws("s3", "ls", f"s3://{bucket}/") == "", "what was refused left nothing"


def test_presigned_kms_and_identity(version, standing_server, tmp_path):
    aws = Aws(version, standing_server, tmp_path / "home")
    bucket = new_bucket(standing_server)
    (tmp_path / "file").write_bytes(b"by URL")
    aws("s3", "cp", "--no-progress", tmp_path / "file", f"s3://{bucket}/a file")
    url = aws("s3", "presign", f"s3://{bucket}/a file").strip()
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"by URL"
    key = aws.json("kms", "create-key")["KeyMetadata"]["Arn"]
    context = ("--encryption-context", "purpose=journey")
    sealed = aws.json("kms", "encrypt", "--key-id", key, "--plaintext", f"fileb://{tmp_path / 'file'}", *context)
    (tmp_path / "sealed").write_bytes(base64.b64decode(sealed["CiphertextBlob"]))
    opened = aws.json("kms", "decrypt", "--ciphertext-blob", f"fileb://{tmp_path / 'sealed'}", *context)
    assert base64.b64decode(opened["Plaintext"]) == b"by URL"
    assert "InvalidCiphertextException" in aws.refused(
        "kms", "decrypt", "--ciphertext-blob", f"fileb://{tmp_path / 'sealed'}"
    )
    assert aws.json("sts", "get-caller-identity")["Arn"].endswith(":root")


def test_a_user_is_made_tried_out_and_shown(version, standing_server, tmp_path):
    aws, user = Aws(version, standing_server, tmp_path / "home"), f"cli-{os.urandom(5).hex()}"
    arn = aws.json("iam", "create-user", "--user-name", user, "--tags", "Key=team,Value=blue")["User"]["Arn"]
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    named = ("--user-name", user)
    aws("iam", "put-user-policy", *named, "--policy-name", "p", "--policy-document", f"file://{policy}")
    asked = ("--policy-source-arn", arn, "--action-names", "s3:GetObject", "s3:PutObject")
    results = aws.json("iam", "simulate-principal-policy", *asked)["EvaluationResults"]
    assert [result["EvalDecision"] for result in results] == ["allowed", "implicitDeny"]
    details = aws.json("iam", "get-account-authorization-details", "--filter", "User", "--page-size", "2")
    (mine,) = (each for each in details["UserDetailList"] if each["UserName"] == user)
    assert mine["UserPolicyList"][0]["PolicyDocument"]["Statement"] == [statement]
    assert "NoSuchEntity" in aws.refused("iam", "get-login-profile", *named)
    assert "DeleteConflict" in aws.refused("iam", "delete-user", *named)

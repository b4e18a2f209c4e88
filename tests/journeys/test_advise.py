"""`s3al advise` as a user types it: a choice put in place on a bucket, found to hold, found not to, and measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from s3al.client import AesKeyring, S3EncryptionClient, S3EncryptionClientConfig
from support.schemas import require_valid
from support.server_process import ServerProcess
from support.settings import allow_sse_c, new_bucket, new_key, put_policy


class Advisor:
    def __init__(self, server: ServerProcess, home: Path) -> None:
        self._environ = server.client_environ(home) | {"AWS_REGION": server.region}

    def __call__(self, *words: str) -> tuple[int, dict]:
        command = [sys.executable, "-m", "s3al", "advise", "--json", *words]
        done = subprocess.run(command, env=self._environ, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode in (0, 1), done.stderr
        answer = json.loads(done.stdout)
        require_valid("advise", answer)
        return done.returncode, answer


@pytest.fixture
def advisor(standing_tls_server, tmp_path):
    return Advisor(standing_tls_server, tmp_path)


@pytest.mark.parametrize("option", ["sse-s3", "sse-kms", "dsse-kms"])
def test_a_server_side_choice_holds_once_it_is_applied(standing_tls_server, advisor, option):
    s3, bucket, key = standing_tls_server.client(), new_bucket(standing_tls_server), new_key(standing_tls_server)
    asked = ("--option", option, "--kms-key", key)
    s3.put_object(Bucket=bucket, Key="before", Body=b"x", ServerSideEncryption="aws:kms")  # under aws/s3
    code, before = advisor(*asked, "--check", f"s3://{bucket}")
    assert code == 1
    assert any("lacks DenyPlainHttp" in finding for finding in before["findings"])
    assert any("'before'" in finding for finding in before["findings"])
    code, applied = advisor(*asked, "--apply", f"s3://{bucket}")
    assert code == 0
    assert len(applied["applied"]) == 2
    s3.delete_object(Bucket=bucket, Key="before")
    s3.put_object(Bucket=bucket, Key="after", Body=b"x")
    code, after = advisor(*asked, "--check", f"s3://{bucket}")
    assert (code, after["findings"]) == (0, [])
    other = {"sse-s3": "aws:kms"}.get(option, "AES256")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=bucket, Key="other", Body=b"x", ServerSideEncryption=other)


def test_sse_c_is_applied_and_measured(standing_tls_server, advisor):
    s3, bucket = standing_tls_server.client(), new_bucket(standing_tls_server)
    advisor("--option", "sse-c", "--apply", f"s3://{bucket}")
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.put_object(Bucket=bucket, Key="x", Body=b"x")
    bucket = new_bucket(standing_tls_server)
    allow_sse_c(s3, bucket)
    _, answer = advisor("--no-kms", "--own-key-material", "--measure", f"s3://{bucket}")
    assert list(answer["costs"]) == answer["chosen"] == ["sse-c", "client-own-key"]
    assert all(cost["put_ms"] > 0 and cost["get_ms"] > 0 for cost in answer["costs"].values())
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)


def test_every_choice_that_meets_the_exam_question_is_measured(standing_tls_server, advisor):
    bucket, key = new_bucket(standing_tls_server), new_key(standing_tls_server)
    code, answer = advisor("--encrypt-before-upload", "--kms-key", key, "--measure", f"s3://{bucket}")
    assert code == 0
    assert list(answer["costs"]) == ["client-kms", "client-own-key"]


def test_plaintext_beside_client_side_objects_is_named(standing_tls_server, advisor):
    s3, bucket = standing_tls_server.client(), new_bucket(standing_tls_server)
    wrapping = S3EncryptionClient(s3, S3EncryptionClientConfig(keyring=AesKeyring(b"k" * 32)))
    wrapping.put_object(Bucket=bucket, Key="sealed", Body=b"x")
    asked = ("--encrypt-before-upload", "--option", "client-own-key")
    assert advisor(*asked, "--apply", f"s3://{bucket}")[0] == 0
    assert advisor(*asked, "--check", f"s3://{bucket}")[0] == 0
    s3.put_object(Bucket=bucket, Key="plain", Body=b"x")
    code, answer = advisor(*asked, "--check", f"s3://{bucket}")
    assert code == 1
    assert ["'plain'" in finding for finding in answer["findings"]] == [True]


def test_other_statements_stay_and_ours_are_replaced(standing_tls_server, advisor):
    s3, bucket = standing_tls_server.client(), new_bucket(standing_tls_server)
    own = {"Sid": "Mine", "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteBucket",
           "Resource": f"arn:aws:s3:::{bucket}"}  # fmt: skip
    put_policy(s3, bucket, own)
    for _ in range(2):
        advisor("--option", "sse-s3", "--apply", f"s3://{bucket}")
    statements = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"]
    assert [each["Sid"] for each in statements] == ["Mine", "DenyPlainHttp", "DenyOtherModes"]


def test_over_plain_http_nobody_is_locked_out(standing_server, tmp_path):
    s3, bucket = standing_server.client(), new_bucket(standing_server)
    code, answer = Advisor(standing_server, tmp_path)("--option", "sse-s3", "--apply", f"s3://{bucket}")
    assert code == 0
    assert any("DenyPlainHttp" in line for line in answer["applied"])
    s3.put_object(Bucket=bucket, Key="x", Body=b"x")


def test_people_named_get_the_key_policy_of_separated_roles(standing_tls_server, advisor):
    bucket, key = new_bucket(standing_tls_server), new_key(standing_tls_server)
    kms = standing_tls_server.client("kms")
    root = kms.describe_key(KeyId=key)["KeyMetadata"]["AWSAccountId"]
    people = ("--admin", f"arn:aws:iam::{root}:root", "--user", f"arn:aws:iam::{root}:root")
    code, answer = advisor("--audit", "--kms-key", key, *people, "--apply", f"s3://{bucket}")
    assert code == 0
    assert "administrators and users apart" in answer["applied"][-1]
    sids = [each["Sid"] for each in json.loads(kms.get_key_policy(KeyId=key)["Policy"])["Statement"]]
    assert sids == ["RootRepairsThePolicy", "AdministratorsManage", "AdministratorsNeitherUseNorShare", "UsersUse"]


def test_what_cannot_be_is_refused_with_the_reason(standing_server, tmp_path):
    environ = standing_server.client_environ(tmp_path)
    command = [sys.executable, "-m", "s3al", "advise", "--encrypt-before-upload", "--option", "sse-kms"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "after the upload" in done.stderr

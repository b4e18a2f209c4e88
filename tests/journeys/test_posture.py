"""`s3al posture` as a user types it: on s3al with every mode and settings good and bad, and on another S3."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from s3al.client import AesKeyring, S3EncryptionClient, S3EncryptionClientConfig
from support.modes import MODES, mode_of
from support.processes import eventually
from support.schemas import require_valid
from support.server_process import ServerProcess
from support.settings import allow_sse_c, new_bucket, new_key, put_policy, set_default

MOTO = Path(__file__).resolve().parents[2] / ".venvs" / "moto" / "bin" / "moto_server"
HOSTILE = "<b>x</b>\u202etxt"


def posture(environ: dict[str, str], *words: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "s3al", "posture", *words]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr


def told(environ: dict[str, str], *words: str, code: int = 0) -> dict[str, Any]:
    returned, out, err = posture(environ, *words, "--json")
    assert returned == code, err
    document = json.loads(out)
    require_valid("posture", document)
    return document


def found(document: dict[str, Any]) -> dict[str, str]:
    return {each["id"]: each["where"] for each in document["findings"]}


@pytest.fixture
def environ(standing_tls_server, tmp_path) -> dict[str, str]:
    return standing_tls_server.client_environ(tmp_path / "home") | {"AWS_REGION": standing_tls_server.region}


def bad_bucket(server: ServerProcess, key: str) -> str:
    """Every mode, an object whose ETag stayed, one that a client encrypted, and settings that allow too much."""
    s3, bucket = server.client(), new_bucket(server)
    allow_sse_c(s3, bucket)
    for name in MODES:
        s3.put_object(Bucket=bucket, Key=f"{name}/{HOSTILE}", Body=b"x", **mode_of(name, key).put)
    s3.put_object(Bucket=bucket, Key="moved", Body=b"x")
    s3.update_object_encryption(
        Bucket=bucket, Key="moved", ObjectEncryption={"SSEKMS": {"KMSKeyArn": key, "BucketKeyEnabled": False}}
    )
    sealing = S3EncryptionClient(s3, S3EncryptionClientConfig(keyring=AesKeyring(b"k" * 32)))
    sealing.put_object(Bucket=bucket, Key="sealed", Body=b"x")
    server.client("kms").rotate_key_on_demand(KeyId=key)
    s3.put_object(Bucket=bucket, Key="newer", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
            "BlockedEncryptionTypes": {"EncryptionType": ["NONE"]}}  # fmt: skip
    s3.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})
    s3.delete_public_access_block(Bucket=bucket)
    put_policy(s3, bucket, {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject",
                            "Resource": f"arn:aws:s3:::{bucket}/*"})  # fmt: skip
    return bucket


def test_on_s3al_every_mode_and_every_gap_is_told_from_the_inventory(standing_tls_server, environ, tmp_path):
    key = new_key(standing_tls_server)
    bucket = bad_bucket(standing_tls_server, key)
    page = tmp_path / "page.html"
    document = told(environ, f"s3://{bucket}", "--html", str(page))
    (facts,) = document["buckets"]
    assert document["is_s3al"] is True
    assert facts["objects"] == {
        "how": "inventory", "listed": 8, "looked_at": 8, "client_side": 1,
        "modes": {"sse-s3": 2, "sse-kms": 4, "dsse-kms": 1, "sse-c": 1},
    }  # fmt: skip
    by_material = {(each["current"], each["objects"]) for each in facts["materials"]}
    assert by_material == {(False, 4), (True, 1)}
    assert all(each["age_days"] == 0 for each in facts["materials"])
    here, keys = f"arn:aws:s3:::{bucket}", key
    assert found(document) == {
        "public-policy": here, "plain-http": here, "public-not-blocked": here, "weaker-upload": here,
        "wrong-key-upload": here, "objects-weaker": here, "objects-sse-c": here, "objects-show-md5": here,
        "sse-c-allowed": here, "key-no-rotation": keys, "key-left-to-account": keys, "objects-old-material": keys,
    }  # fmt: skip
    text = page.read_text()
    assert bucket in text
    assert "<b>x</b>" not in text
    assert "&lt;b&gt;x&lt;/b&gt;\\u202etxt" in text


def test_what_the_advisor_put_in_place_meets_requirements_until_somebody_changes_it(
    standing_tls_server, environ, tmp_path
):
    s3, bucket, key = standing_tls_server.client(), new_bucket(standing_tls_server), new_key(standing_tls_server)
    standing_tls_server.client("kms").enable_key_rotation(KeyId=key)
    apply = [sys.executable, "-m", "s3al", "advise", "--option", "sse-kms", "--kms-key", key, "--apply"]
    subprocess.run([*apply, f"s3://{bucket}"], env=environ, check=True, capture_output=True, timeout=60)
    s3.put_public_access_block(
        Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(
            ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True)
    )  # fmt: skip
    s3.put_object(Bucket=bucket, Key="x", Body=b"x")
    required = tmp_path / "require.toml"
    required.write_text(
        f'[objects]\nmodes = ["sse-kms"]\nkms_keys = ["{key}"]\nmax_material_age_days = 1\ncomplete = true\n'
        '[findings]\nnone_from = "low"\naccepted = ["key-left-to-account"]\n'
    )
    asked = (f"s3://{bucket}", "--require", str(required))
    assert told(environ, *asked)["requirements"] == {"met": True, "unmet": []}
    s3.delete_bucket_policy(Bucket=bucket)
    lacking = told(environ, *asked, code=1)["requirements"]["unmet"]
    rules = {each["evidence"].partition(" ")[0] for each in lacking}
    assert rules == {"plain-http", "weaker-upload", "wrong-key-upload"}


def test_all_buckets_as_a_table_and_as_sarif(standing_tls_server, environ):
    bucket = new_bucket(standing_tls_server)
    code, out, err = posture(environ, "all")
    assert code == 0, err
    assert bucket in out
    assert "\x1b" not in out + err
    code, out, _ = posture(environ, f"s3://{bucket}", "--sarif")
    results = json.loads(out)["runs"][0]["results"]
    assert "plain-http" in {each["ruleId"] for each in results}


def test_without_the_right_to_the_inventory_objects_are_asked_for_one_by_one(standing_tls_server, environ):
    iam, s3, bucket = standing_tls_server.client("iam"), standing_tls_server.client(), new_bucket(standing_tls_server)
    set_default(s3, bucket, "aws:kms", new_key(standing_tls_server))
    for number in range(12):
        s3.put_object(Bucket=bucket, Key=f"{number}", Body=b"x")
    name = f"looker-{bucket[-8:]}"
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": ["s3:Get*", "s3:List*"], "Resource": "*"}
    iam.put_user_policy(UserName=name, PolicyName="look",
                        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))  # fmt: skip
    made = iam.create_access_key(UserName=name)["AccessKey"]
    environ |= {"AWS_ACCESS_KEY_ID": made["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": made["SecretAccessKey"]}
    document = told(environ, f"s3://{bucket}", "--sample", "5")
    objects = document["buckets"][0]["objects"]
    assert (objects["how"], objects["listed"], objects["looked_at"]) == ("heads", 12, 5)
    unseen = [each["evidence"] for each in document["findings"] if each["id"] == "not-looked-at"]
    assert any(each.startswith("GetInventory was answered AccessDenied") for each in unseen)
    assert any(each.startswith("DescribeKey") or "HEAD" in each or "refused" in each for each in unseen)


REFUSED = {
    "no bucket of that name": (("s3://there-is-no-such-bucket-here",), "there is no bucket"),
    "no bucket named": (("bucket",), "names no bucket"),
    "two answers": (("all", "--json", "--sarif"), "are two answers"),
    "requirements that are not there": (("all", "--require", "none.toml"), "cannot be read"),
}


@pytest.mark.parametrize(("words", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_run_says_so_with_exit_code_2(environ, words, message):
    code, out, err = posture(environ, *words)
    assert (code, out) == (2, "")
    assert message in err


def test_without_a_server_it_could_not_run(environ):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        environ |= {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{taken.getsockname()[1]}", "AWS_MAX_ATTEMPTS": "1"}
        assert posture(environ, "all")[0] == 2


# --- another S3


@pytest.fixture(scope="module")
def moto(tmp_path_factory) -> Iterator[dict[str, str]]:
    """The environment of a client of a moto server, which is neither s3al nor AWS."""
    if not MOTO.exists():
        pytest.skip("moto is not installed: script/test installs it")
    folder = tmp_path_factory.mktemp("moto")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    log = (folder / "log").open("wb")
    process = subprocess.Popen([str(MOTO), "-p", str(port)], stdout=log, stderr=log, cwd=folder)

    def answers() -> bool:
        with socket.socket() as asked:
            return asked.connect_ex(("127.0.0.1", port)) == 0

    try:
        eventually("moto answers", answers)
        yield {
            "PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8", "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing", "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "AWS_EC2_METADATA_DISABLED": "true",
        }  # fmt: skip
    finally:
        process.terminate()
        process.wait()
        log.close()


def test_another_s3_is_asked_object_by_object(moto):
    given = {"endpoint_url": moto["AWS_ENDPOINT_URL"], "region_name": "us-east-1", "aws_access_key_id": "testing",
             "aws_secret_access_key": "testing"}  # fmt: skip
    s3, kms = boto3.client("s3", **given), boto3.client("kms", **given)
    key = kms.create_key()["KeyMetadata"]["Arn"]
    s3.create_bucket(Bucket="elsewhere")
    s3.put_object(Bucket="elsewhere", Key=HOSTILE, Body=b"x", ServerSideEncryption="AES256")
    for number in range(30):
        s3.put_object(Bucket="elsewhere", Key=f"k{number}", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key)
    document = told(moto, "all")
    (facts,) = document["buckets"]
    assert document["is_s3al"] is False
    assert (facts["objects"]["how"], facts["objects"]["looked_at"]) == ("heads", 31)
    assert facts["objects"]["modes"] == {"sse-s3": 1, "sse-kms": 30}
    assert {"plain-http", "key-no-rotation", "key-left-to-account"} <= set(found(document))
    sampled = told(moto, "s3://elsewhere", "--sample", "10")["buckets"][0]["objects"]
    assert (sampled["listed"], sampled["looked_at"]) == (31, 10)
    assert told(moto, "s3://elsewhere", "--sample", "10")["buckets"][0]["objects"] == sampled

"""`s3al key`: a key whose roles are held apart, and data keys wrapped anew under the newest material."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from support.modes import SSE_C_KEY
from support.server_process import ServerProcess
from support.settings import allow_sse_c, new_account, new_bucket, new_key, own_api

CUSTOMER = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": SSE_C_KEY}


def key_command(server: ServerProcess, folder: Any, *words: str) -> dict[str, Any]:
    environ = server.client_environ(folder) | {"AWS_REGION": server.region}
    command = [sys.executable, "-m", "s3al", "key", *words, "--json"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def fill(server: ServerProcess, bucket: str, key: str, name: str) -> dict[str, bytes]:
    """Objects under the key in every way that a KMS key is used, and one that it does not touch."""
    s3 = server.client()
    kms = {"SSEKMSKeyId": key}
    ways: dict[str, dict[str, Any]] = {
        "kms": {"ServerSideEncryption": "aws:kms", **kms, "SSEKMSEncryptionContext": "eyJhIjogImIifQ=="},
        "bucket-key": {"ServerSideEncryption": "aws:kms", **kms, "BucketKeyEnabled": True},
        "dsse": {"ServerSideEncryption": "aws:kms:dsse", **kms},
        "sse-s3": {"ServerSideEncryption": "AES256"},
    }
    bodies = {f"{name}/{way}/{size}": os.urandom(size) for way in ways for size in (100, 50_000)}
    for object_key, body in bodies.items():
        s3.put_object(Bucket=bucket, Key=object_key, Body=body, Metadata={"m": "v"}, **ways[object_key.split("/")[1]])
    return bodies


def test_objects_of_old_materials_move_to_the_newest_and_no_data_moves(standing_server, tmp_path):
    s3, kms, bucket = standing_server.client(), standing_server.client("kms"), new_bucket(standing_server)
    key = new_key(standing_server)
    bodies = fill(standing_server, bucket, key, "first")
    kms.rotate_key_on_demand(KeyId=key)
    bodies |= fill(standing_server, bucket, key, "second")
    etags = {object_key: s3.head_object(Bucket=bucket, Key=object_key)["ETag"] for object_key in bodies}
    counted = key_command(standing_server, tmp_path, "rewrap", key, "--bucket", bucket, "--dry-run")
    assert sorted(counted["before"].values()) == [6, 6]
    assert counted["rewrapped"] == 0
    done = key_command(standing_server, tmp_path, "rewrap", key, "--bucket", bucket)
    assert (done["rewrapped"], done["changed_meanwhile"]) == (6, 0)
    assert list(done["after"].values()) == [12]
    again = key_command(standing_server, tmp_path, "rewrap", key, "--bucket", bucket)
    assert again["rewrapped"] == 0
    for object_key, body in bodies.items():
        answer = s3.get_object(Bucket=bucket, Key=object_key)
        assert answer["Body"].read() == body
        assert (answer["ETag"], answer["Metadata"]) == (etags[object_key], {"m": "v"})
    for way, mode in (("dsse", "aws:kms:dsse"), ("sse-s3", "AES256")):
        assert s3.head_object(Bucket=bucket, Key=f"first/{way}/100")["ServerSideEncryption"] == mode


def test_the_inventory_tells_mode_key_and_material_of_each_version(standing_tls_server):
    server = standing_tls_server
    s3, bucket, key = server.client(), new_bucket(server), new_key(server)
    fill(server, bucket, key, "one")
    allow_sse_c(s3, bucket)
    s3.put_object(Bucket=bucket, Key="own", Body=b"x", **CUSTOMER)
    found = {each["key"]: each for each in own_api(server, "GetInventory", bucket=bucket)["versions"]}
    assert {name: each["mode"] for name, each in found.items() if name.endswith("/100")} == {
        "one/kms/100": "aws:kms", "one/bucket-key/100": "aws:kms", "one/dsse/100": "aws:kms:dsse",
        "one/sse-s3/100": "AES256",
    }  # fmt: skip
    assert found["own"]["mode"] == "SSE-C"
    assert {each["kms_key"] for each in found.values()} == {key, None}
    materials = {each["material_id"] for each in found.values() if each["kms_key"]}
    rotations = server.client("kms").list_key_rotations(KeyId=key, IncludeKeyMaterial="ALL_KEY_MATERIAL")["Rotations"]
    assert materials == {each["KeyMaterialId"] for each in rotations}
    assert found["one/bucket-key/100"]["bucket_key"] is True
    assert not any(each["shows_md5"] for each in found.values())


def test_an_object_moved_to_a_kms_key_still_shows_its_md5(standing_server):
    s3, bucket, key = standing_server.client(), new_bucket(standing_server), new_key(standing_server)
    s3.put_object(Bucket=bucket, Key="x", Body=b"x")
    s3.update_object_encryption(Bucket=bucket, Key="x", ObjectEncryption={"SSEKMS": {"KMSKeyArn": key}})
    [found] = own_api(standing_server, "GetInventory", bucket=bucket)["versions"]
    assert (found["mode"], found["shows_md5"]) == ("aws:kms", True)


def test_pages_of_an_inventory_hold_every_version_once(standing_server):
    s3, bucket = standing_server.client(), new_bucket(standing_server)
    for number in range(7):
        s3.put_object(Bucket=bucket, Key=f"key-{number}", Body=b"x")
    seen, marker = [], ["00", None]
    while marker:
        page = own_api(standing_server, "GetInventory", bucket=bucket, marker=marker)
        seen += [each["key"] for each in page["versions"]]
        marker = page.get("next")
    assert seen == [f"key-{number}" for number in range(7)]


@pytest.mark.parametrize(
    ("members", "status"),
    [({"bucket": "no-such-bucket"}, 404), ({}, 400), ({"marker": ["zz", None]}, 400), ({"marker": 7}, 400)],
)
def test_bad_input_is_refused(standing_server, members, status):
    bucket = new_bucket(standing_server)
    members = {"bucket": bucket} | members if "marker" in members else members
    assert _refusal(standing_server, "GetInventory", **members) == status


def test_another_account_learns_and_changes_nothing(standing_server):
    bucket, key = new_bucket(standing_server), new_key(standing_server)
    other = new_account(standing_server)
    stranger = _As(standing_server, other.access_key_id, other.secret_access_key)
    assert _refusal(stranger, "GetInventory", bucket=bucket) == 403
    assert _refusal(stranger, "RewrapObjects", bucket=bucket, kms_key=key) == 403


def test_a_key_that_may_not_be_used_wraps_nothing(standing_server):
    bucket, key = new_bucket(standing_server), new_key(standing_server)
    standing_server.client("kms").disable_key(KeyId=key)
    assert _refusal(standing_server, "RewrapObjects", bucket=bucket, kms_key=key) == 400


def test_a_key_is_made_whose_roles_are_held_apart(standing_server, tmp_path):
    kms = standing_server.client("kms")
    account = standing_server.client("sts").get_caller_identity()["Account"]
    root = f"arn:aws:iam::{account}:root"
    name = f"alias/roles-{os.urandom(4).hex()}"
    made = key_command(
        standing_server, tmp_path, "create", "--alias", name, "--user", root, "--auditor", root, "--rotation-days", "90"
    )
    assert made["alias"] == name
    assert kms.get_key_rotation_status(KeyId=made["arn"])["RotationPeriodInDays"] == 90
    kms.encrypt(KeyId=name, Plaintext=b"x")
    with pytest.raises(kms.exceptions.ClientError, match="AccessDenied"):
        kms.disable_key(KeyId=made["key_id"])


class _As:
    """The server, asked as somebody else."""

    def __init__(self, server: ServerProcess, access_key_id: str, secret_access_key: str) -> None:
        self.endpoint, self.region, self.ca_bundle = server.endpoint, server.region, server.ca_bundle
        self.access_key_id, self.secret_access_key = access_key_id, secret_access_key


def _refusal(server: Any, operation: str, **members: Any) -> int:
    from urllib.error import HTTPError

    with pytest.raises(HTTPError) as refused:
        own_api(server, operation, **members)
    refused.value.close()
    return refused.value.code

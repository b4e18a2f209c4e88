"""`s3al explain` as a user types it, against a server that holds an object of every mode."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from lxml import etree

from s3al.client import AesKeyring, KmsKeyring, S3EncryptionClient, S3EncryptionClientConfig
from s3al.explain.topics import TOPICS
from support.modes import MODES, mode_of
from support.server_process import ServerProcess
from support.settings import allow_sse_c, new_bucket, new_key, own_api

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
EVERY = (*MODES, "client-kms", "client-own-key")


@dataclass
class Filled:
    server: ServerProcess
    bucket: str
    key: str
    home: Path

    def explain(self, *words: str, expect: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "s3al", "explain", *words]
        known = self.server.client_environ(self.home) | {"AWS_REGION": self.server.region} | environ
        done = subprocess.run(command, env=known, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == expect, done.stderr
        return done

    def document(self, *words: str) -> dict[str, Any]:
        return self.checked(json.loads(self.explain("--json", *words).stdout))

    def checked(self, found: dict[str, Any]) -> dict[str, Any]:
        name = {"object": "explain-object", "kms-key": "explain-key", "topic": "explain-topic"}[found["explains"]]
        Draft202012Validator(json.loads((SCHEMAS / f"{name}.json").read_text())).validate(found)
        return found


@pytest.fixture(scope="module")
def filled(standing_tls_server, tmp_path_factory):
    server = standing_tls_server
    s3, bucket, key = server.client(), new_bucket(server), new_key(server)
    allow_sse_c(s3, bucket)
    for name in MODES:
        s3.put_object(Bucket=bucket, Key=name, Body=b"x" * 200_000, **mode_of(name, key).put)
    keyrings = {"client-kms": KmsKeyring(server.client("kms"), key), "client-own-key": AesKeyring(b"k" * 32)}
    for name, keyring in keyrings.items():
        client = S3EncryptionClient(s3, S3EncryptionClientConfig(keyring=keyring))
        client.put_object(Bucket=bucket, Key=name, Body=b"x")
    return Filled(server, bucket, key, tmp_path_factory.mktemp("home"))


# The last link of the chain of keys that is in this store, and a line of the text.
SAID = {
    "sse-s3": ("seal", "Encrypted by the server: SSE-S3"),
    "sse-kms": ("seal", "aws:s3:arn = arn:aws:s3:::"),
    "sse-kms with a bucket key": ("seal", "S3 Bucket Key"),
    "dsse-kms": ("seal", "outer data key"),
    "sse-c": ("customer-key", "with the customer's key as well"),
    "client-kms": ("seal", "A server cannot know a byte of the content"),
    "client-own-key": ("seal", "an AES key that the application keeps"),
}


@pytest.mark.parametrize("mode", EVERY)
def test_every_mode_is_explained_in_words_as_json_and_as_a_picture(filled, mode, tmp_path):
    svg = tmp_path / "envelope.svg"
    name = f"s3://{filled.bucket}/{mode}"
    text = filled.explain(name, "--svg", str(svg)).stdout
    assert text.startswith(name)
    assert SAID[mode][1] in text
    answered = filled.checked(own_api(filled.server, "ExplainObject", bucket=filled.bucket, key=mode))
    assert answered["keys"][-1]["kind"] == SAID[mode][0]
    assert etree.parse(svg).getroot().tag == "{http://www.w3.org/2000/svg}svg"


def test_a_key_tells_of_its_materials_and_of_what_hangs_from_them(filled, tmp_path):
    kms = filled.server.client("kms")
    kms.rotate_key_on_demand(KeyId=filled.key)
    document = filled.document(f"kms:{filled.key}")
    assert [(one["made_by"], one["objects"]) for one in document["materials"]] == [("creation", 3), ("on demand", 0)]
    svg = tmp_path / "key.svg"
    text = filled.explain(filled.key, "--svg", str(svg)).stdout
    assert "2. " in text
    assert "on demand" in svg.read_text()


def test_topics_are_answered_with_this_stores_example_and_without_a_server(filled):
    assert filled.document("rotation-control")["example"]
    alone = filled.explain("rotation-control", AWS_ENDPOINT_URL="http://127.0.0.1:9").stdout
    assert alone.startswith("What is rotation control?")
    assert "In this store" not in alone
    listed = filled.explain().stdout
    assert [line.split()[0] for line in listed.splitlines()] == list(TOPICS)


@pytest.mark.parametrize(
    ("words", "code", "error", "hint"),
    [
        (("s3://{bucket}/nothing",), 1, "There is no such object version, or you may not read it.", ""),
        (("kms:alias/nothing",), 1, "There is no such KMS key, or you may not describe it.", ""),
        (("s3://{bucket}",), 2, "names no object", "write s3://BUCKET/KEY"),
        (("rotation-contrl",), 2, "there is no topic 'rotation-contrl'", "perhaps rotation-control"),
        (("envelope", "--svg", "x.svg"), 2, "a topic has no picture", "draw an object or a KMS key"),
        (("envelope", "--version-id", "x"), 2, "--version-id is for objects", "write s3://BUCKET/KEY"),
    ],
)
def test_what_cannot_be_explained_is_refused_with_a_hint(filled, words, code, error, hint):
    done = filled.explain(*(word.format(bucket=filled.bucket) for word in words), expect=code)
    assert error in done.stderr
    assert hint in done.stderr
    assert done.stdout == ""

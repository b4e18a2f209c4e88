"""What metadata tells of client-side encryption, to a server that can open none of it."""

from __future__ import annotations

import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3al.client.formats.envelope import ENVELOPE_NAMES
from s3al.explain.client_side import recognise

AWS_BLOB = b64encode(b"\x01\x02\x02\x00" + b"x" * 180).decode()
V2 = {
    "x-amz-key-v2": AWS_BLOB,
    "x-amz-iv": "aXY=",
    "x-amz-cek-alg": "AES/GCM/NoPadding",
    "x-amz-wrap-alg": "kms+context",
    "x-amz-matdesc": '{"aws:x-amz-cek-alg":"AES/GCM/NoPadding","project":"x"}',
    "x-amz-tag-len": "128",
}


@pytest.mark.parametrize(
    ("metadata", "format_name", "master_key", "place", "commits", "authenticated"),
    [
        ({"x-amz-key": "aw==", "x-amz-iv": "aXY="}, "V1", "", "metadata", False, False),
        (V2, "V2", "kms", "metadata", False, True),
        (V2 | {"x-amz-wrap-alg": "RSA-OAEP-SHA1"}, "V2", "rsa", "metadata", False, True),
        ({"x-amz-c": "115", "x-amz-3": "aw==", "x-amz-w": "02", "x-amz-d": "", "x-amz-i": "aQ=="}, "V3", "aes",
         "metadata", True, True),
        ({"X-Amz-C": "115", "x-amz-d": "ZA==", "x-amz-i": "aQ=="}, "V3", "", "instruction file", True, True),
        ({"s3al-stream": "1", "s3al-key": "aw==", "s3al-wrap": "AES/GCM"}, "stream", "aes", "metadata", True, True),
    ],
)  # fmt: skip
def test_each_format_is_told_by_its_entries(metadata, format_name, master_key, place, commits, authenticated):
    found = recognise(metadata)
    assert (found.format, found.master_key, found.key_place) == (format_name, master_key, place)
    assert (found.commits, found.authenticated) == (commits, authenticated)


def test_a_ciphertext_of_another_kms_names_no_key():
    found = recognise(V2)
    assert (found.kms_key_id, found.material_id) == ("", b"")
    assert found.context == {"aws:x-amz-cek-alg": "AES/GCM/NoPadding", "project": "x"}


def test_metadata_that_says_nothing_of_encryption_is_none():
    assert recognise({"author": "x-amz-key-v2", "x-amz-key": ""}) is None
    assert recognise({}, has_instruction_file=True).key_place == "instruction file"


@given(st.dictionaries(st.sampled_from(sorted(ENVELOPE_NAMES)), st.text(max_size=60) | st.just(json.dumps([{}]))))
def test_any_metadata_is_described_or_left_alone(metadata):
    found = recognise(metadata)
    assert found is None or found.format in {"V1", "V2", "V3", "stream"}

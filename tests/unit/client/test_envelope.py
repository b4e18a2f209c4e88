"""Envelopes: what each format holds, and everything that must not pass for one."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3al.client.errors import EnvelopeError, PlaintextObjectError, S3EncryptionClientError
from s3al.client.formats.envelope import ENVELOPE_NAMES, decode, encode, entries_of, split_for_instruction_file
from s3al.client.formats.suites import CBC, GCM, ObjectFormat, WrapAlgorithm
from s3al.client.formats.text import decode_description, decode_instruction_file, encode_description

EDK = base64.b64encode(b"wrapped" * 8).decode()
KEY_48 = base64.b64encode(bytes(48)).decode()
KEY_256 = base64.b64encode(bytes(range(256))).decode()
IV12, IV16 = base64.b64encode(bytes(12)).decode(), base64.b64encode(bytes(16)).decode()
B28 = base64.b64encode(bytes(range(28))).decode()
B32 = base64.b64encode(bytes(range(32))).decode()

V1 = {"x-amz-key": KEY_48, "x-amz-iv": IV16, "x-amz-matdesc": "{}"}
V2 = {"x-amz-key-v2": EDK, "x-amz-iv": IV12, "x-amz-matdesc": "{}", "x-amz-wrap-alg": "AES/GCM",
      "x-amz-cek-alg": "AES/GCM/NoPadding", "x-amz-tag-len": "128"}  # fmt: skip
V3 = {"x-amz-c": "115", "x-amz-3": EDK, "x-amz-w": "02", "x-amz-d": B28, "x-amz-i": B28}
STREAM = {"s3al-stream": "1", "s3al-key": EDK, "s3al-wrap": "AES/GCM", "s3al-commitment": B32, "s3al-id": B32,
          "s3al-segment": "131072"}  # fmt: skip

READS = {
    "V1 of an AES key": (V1, ObjectFormat.V1, WrapAlgorithm.AES),
    "V1 of an RSA key, told by its length": ({**V1, "x-amz-key": KEY_256}, ObjectFormat.V1, WrapAlgorithm.RSA),
    "V1 that names its wrapping": ({**V1, "x-amz-wrap-alg": "AESWrap"}, ObjectFormat.V1, WrapAlgorithm.AES_WRAP),
    "V2": (V2, ObjectFormat.V2, WrapAlgorithm.AES_GCM),
    "V2 with CBC": (
        {**V2, "x-amz-cek-alg": CBC.value, "x-amz-iv": IV16, "x-amz-wrap-alg": "kms", "x-amz-tag-len": ""},
        ObjectFormat.V2, WrapAlgorithm.KMS,
    ),
    "V2 copied without its description": (
        {name: value for name, value in V2.items() if name != "x-amz-matdesc"}, ObjectFormat.V2, WrapAlgorithm.AES_GCM,
    ),
    "V3": (V3, ObjectFormat.V3, WrapAlgorithm.AES_GCM),
    "V3 as Go writes it, with empty entries": (
        {**V3, "x-amz-w": "12", "x-amz-t": '{"a":"b"}', "x-amz-m": "", "x-amz-unencrypted-content-length": ""},
        ObjectFormat.V3, WrapAlgorithm.KMS_CONTEXT,
    ),
    "V3 with names in capitals": (
        {name.title(): value for name, value in V3.items()}, ObjectFormat.V3, WrapAlgorithm.AES_GCM,
    ),
    "stream": (STREAM, ObjectFormat.STREAM, WrapAlgorithm.AES_GCM),
}  # fmt: skip


@pytest.mark.parametrize("name", READS)
def test_reads(name: str) -> None:
    entries, object_format, wrap = READS[name]
    envelope = decode(entries_of(entries | {"colour": "blue"}))
    assert (envelope.object_format, envelope.wrap) == (object_format, wrap)


def without(entries: dict[str, str], name: str) -> dict[str, str]:
    return {one: value for one, value in entries.items() if one != name}


REFUSED = {
    "two wrapped keys, V1 and V2": {**V1, **V2},
    "two wrapped keys, V2 and V3": {**V2, **V3},
    "two wrapped keys, V3 and stream": {**V3, **STREAM},
    "V2 with a commitment of V3": {**V2, "x-amz-d": B28},
    "V2 with a message id of V3": {**V2, "x-amz-i": B28},
    "V2 with the suite of V3": {**V2, "x-amz-c": "115"},
    "V3 with an IV of V2": {**V3, "x-amz-iv": IV12},
    "V3 with the suite name of V2": {**V3, "x-amz-cek-alg": "AES/GCM/NoPadding"},
    "V2 whose suite is V3's": {**V2, "x-amz-cek-alg": "115"},
    "V3 whose suite is V2's": {**V3, "x-amz-c": "AES/GCM/NoPadding"},
    "V3 whose suite is the ranged one": {**V3, "x-amz-c": "116"},
    "V3 with a legacy wrapping": {**V3, "x-amz-w": "01"},
    "V3 with a wrapping spelt as in V2": {**V3, "x-amz-w": "AES/GCM"},
    "V2 with an unknown wrapping": {**V2, "x-amz-wrap-alg": "ROT13"},
    "V2 without a wrapping": without(V2, "x-amz-wrap-alg"),
    "V2 without a suite": without(V2, "x-amz-cek-alg"),
    "V2 without an IV": without(V2, "x-amz-iv"),
    "V2 with the IV of CBC": {**V2, "x-amz-iv": IV16},
    "V2 with a tag cut short": {**V2, "x-amz-tag-len": "96"},
    "V1 that claims GCM": {**V1, "x-amz-cek-alg": GCM.value},
    "V3 with a message id cut short": {**V3, "x-amz-i": base64.b64encode(bytes(5)).decode()},
    "V3 with a commitment cut short": {**V3, "x-amz-d": base64.b64encode(bytes(27)).decode()},
    "V3 without a commitment": without(V3, "x-amz-d"),
    "V3 with a context under an AES key": {**V3, "x-amz-t": '{"a":"b"}'},
    "V3 with a wrapped key that is no base64": {**V3, "x-amz-3": "???"},
    "V2 with a description that is no JSON": {**V2, "x-amz-matdesc": "{"},
    "V2 with a description that repeats a name": {**V2, "x-amz-matdesc": '{"a":"1","a":"2"}'},
    "V2 with a description of numbers": {**V2, "x-amz-matdesc": '{"a":1}'},
    "V2 with a description that is a list": {**V2, "x-amz-matdesc": "[]"},
    "V2 with a length that is no number": {**V2, "x-amz-unencrypted-content-length": "-1"},
    "stream of a later version": {**STREAM, "s3al-stream": "2"},
    "stream with segments beyond the bound": {**STREAM, "s3al-segment": "999999999"},
    "stream with a legacy wrapping": {**STREAM, "s3al-wrap": "AES"},
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses(name: str) -> None:
    with pytest.raises(EnvelopeError):
        decode(entries_of(REFUSED[name]))


def test_an_object_without_entries_is_plaintext() -> None:
    with pytest.raises(PlaintextObjectError):
        decode(entries_of({"colour": "blue"}))


INSTRUCTION_REFUSED = {
    "a commitment in the instruction file": ({"x-amz-c": "115", "x-amz-i": B28}, {**V3}),
    "the whole of V3 in the instruction file": ({}, V3),
    "V2 on the object and in the file": ({"x-amz-iv": IV12}, V2),
    "V1 in the file, a suite on the object": ({"x-amz-cek-alg": CBC.value}, V1),
    "V3 on the object, V2 in the file": ({"x-amz-c": "115", "x-amz-d": B28, "x-amz-i": B28}, V2),
    "a key on the object and in the file": (V3, {"x-amz-3": EDK, "x-amz-w": "02"}),
    "entries that are none of ours in the file": ({}, {**V2, "evil": "1"}),
    "a stream's id in the file": ({"s3al-stream": "1"}, STREAM),
}


@pytest.mark.parametrize("name", INSTRUCTION_REFUSED)
def test_refuses_with_an_instruction_file(name: str) -> None:
    on_object, in_file = INSTRUCTION_REFUSED[name]
    with pytest.raises(EnvelopeError):
        decode(entries_of(on_object), in_file)


@pytest.mark.parametrize("entries", [V1, V2, V3, STREAM], ids=["V1", "V2", "V3", "stream"])
def test_reads_split_between_object_and_instruction_file(entries: dict[str, str]) -> None:
    on_object, in_file = split_for_instruction_file(entries)
    envelope = decode(entries_of(on_object), in_file)
    assert envelope.in_instruction_file
    assert envelope.wrapped_key == decode(entries_of(entries)).wrapped_key


def test_an_instruction_file_as_php_writes_it_is_read() -> None:
    body = json.dumps({**V2, "x-amz-unencrypted-content-length": 5}).encode()
    assert decode({}, decode_instruction_file(body)).claimed_plaintext_bytes == 5


INSTRUCTION_BODIES = {
    "no JSON": b"{",
    "no object": b"[1]",
    "no UTF-8": b"\xff\xfe",
    "a value that is no string": b'{"x-amz-3": ["a"]}',
    "a truth for a number": b'{"x-amz-tag-len": true}',
    "a name twice": b'{"x-amz-3":"a","x-amz-3":"b"}',
    "a name twice, once in capitals": b'{"x-amz-3":"a","X-Amz-3":"b"}',
    "too long": b'{"a":"' + b"x" * 200_000 + b'"}',
    "too deep": b"[" * 100_000,
}


@pytest.mark.parametrize("name", INSTRUCTION_BODIES)
def test_an_instruction_file_is_refused_that_holds(name: str) -> None:
    with pytest.raises(EnvelopeError):
        decode_instruction_file(INSTRUCTION_BODIES[name])


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=5))
def test_descriptions_come_back_whatever_their_text(description: dict[str, str]) -> None:
    written = encode_description(description)
    assert written.isascii()
    assert decode_description("x", written) == description


def test_what_s3_makes_of_a_context_that_is_not_ascii_is_undone() -> None:
    text = '{"ключ":"значение é"}'
    mojibake = text.encode().decode("latin-1")
    as_s3_answers = "=?UTF-8?B?" + base64.b64encode(mojibake.encode()).decode() + "?="
    for received in (text, mojibake, as_s3_answers):
        assert decode_description("x-amz-t", received) == {"ключ": "значение é"}


@pytest.mark.parametrize("value", ["=?\x80UTF-8?B?e30=?=", "=?\0UTF-8?B?e30=?=", "=?none?B?e30=?=", "=?utf-8?B?/w==?="])
def test_a_description_whose_encoding_cannot_be_undone_is_refused(value: str) -> None:
    with pytest.raises(EnvelopeError, match="cannot be undone"):
        decode_description("x-amz-matdesc", value)


@given(st.dictionaries(st.sampled_from(sorted(ENVELOPE_NAMES)), st.text(max_size=30), max_size=12))
def test_garbage_is_always_a_typed_error_or_an_envelope(entries: dict[str, str]) -> None:
    try:
        envelope = decode(entries_of(entries))
    except S3EncryptionClientError:
        return
    assert envelope.wrapped_key


@pytest.mark.parametrize("entries", [V2, V3, STREAM], ids=["V2", "V3", "stream"])
def test_what_is_encoded_is_what_was_decoded(entries: dict[str, str]) -> None:
    assert encode(decode(entries_of(entries))) == entries

"""Bad input at every door: sync client, async client and filesystem refuse the same things by the same errors.

A case prepares what lies in S3; each door then reads it, or writes to it. Nothing is released and no file is left.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from s3al.client import (
    AesKeyring,
    AlgorithmSuite,
    ClientConfigError,
    CommitmentError,
    CommitmentPolicy,
    DecryptionError,
    EncryptionContextError,
    EnvelopeError,
    InstructionFileConfig,
    KmsKeyring,
    ObjectTooLargeError,
    PlaintextObjectError,
    PolicyError,
    S3EncryptionClient,
    S3EncryptionClientConfig,
    S3EncryptionClientError,
    SourceError,
)
from s3al.client.aio import AsyncS3EncryptionClient
from s3al.client.filesystem import S3alFileSystem
from s3al.client.formats import content
from unit.client.world import (
    KMS_KEY,
    OTHER_KEY,
    WRAPPING_KEY,
    AsyncFakeS3,
    Body,
    FakeKms,
    FakeS3,
    Stored,
    filesystem_on,
)

NAMED = {"Bucket": "b", "Key": "k"}
KEYRING = AesKeyring(WRAPPING_KEY)
V2: dict[str, Any] = {
    "encryption_algorithm": AlgorithmSuite.ALG_AES_256_GCM_IV12_TAG16_NO_KDF,
    "commitment_policy": CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT,
}
FORMATS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "V2": (V2, {}), "V3": ({}, {}), "stream": ({}, {"format": "stream"}),
}  # fmt: skip
BODY = os.urandom(50_000)
MIB = 1024 * 1024
Door = Callable[[FakeS3, S3EncryptionClientConfig], bytes]


def by_sync_client(s3: FakeS3, config: S3EncryptionClientConfig) -> bytes:
    found: bytes = S3EncryptionClient(s3, config).get_object(**NAMED)["Body"].read()
    return found


def by_async_client(s3: FakeS3, config: S3EncryptionClientConfig) -> bytes:
    async def read() -> bytes:
        opened = await AsyncS3EncryptionClient(AsyncFakeS3(s3), config).get_object(**NAMED)
        async with opened["Body"] as body:
            whole: bytes = await body.read()
            return whole

    return asyncio.run(read())


def filesystem(s3: FakeS3, config: S3EncryptionClientConfig) -> S3alFileSystem:
    fs = filesystem_on(s3, config.keyring)
    fs.config, fs.client = config, S3EncryptionClient(s3, config)
    return fs


def by_filesystem(s3: FakeS3, config: S3EncryptionClientConfig) -> bytes:
    with filesystem(s3, config).open("b/k", "rb") as file:
        found: bytes = file.read()
        return found


DOORS: dict[str, Door] = {"sync": by_sync_client, "async": by_async_client, "filesystem": by_filesystem}


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> Door:
    return DOORS[request.param]


def config_of(name: str, keyring: Any = KEYRING, **more: Any) -> S3EncryptionClientConfig:
    return S3EncryptionClientConfig(keyring=keyring, **(FORMATS[name][0] | more))


def stored(name: str, config: S3EncryptionClientConfig, **extra: Any) -> FakeS3:
    s3 = FakeS3()
    for key, body in (("k", BODY), ("other", BODY[::-1])):
        S3EncryptionClient(s3, config).put_object(Bucket="b", Key=key, Body=body, **FORMATS[name][1], **extra)
    return s3


def flip(body: bytes, at: int) -> bytes:
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]


ALTERATIONS: dict[str, Callable[[bytes], bytes]] = {
    "first byte flipped": lambda body: flip(body, 0),
    "middle byte flipped": lambda body: flip(body, len(body) // 2),
    "last byte flipped": lambda body: flip(body, len(body) - 1),
    "one byte cut off": lambda body: body[:-1],
    "half cut off": lambda body: body[: len(body) // 2],
    "the tag alone": lambda body: body[-16:],
    "all cut off": lambda body: b"",
    "a byte added": lambda body: body + b"\0",
    "a tag added": lambda body: body + bytes(16),
    "itself twice": lambda body: body + body,
}


@pytest.mark.parametrize("spooled", [False, True], ids=["in-memory", "spooled"])
@pytest.mark.parametrize("alteration", ALTERATIONS)
@pytest.mark.parametrize("name", FORMATS)
def test_altered_content_is_refused(
    door: Door, name: str, alteration: str, spooled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    config = config_of(name, spool_memory_bytes=1000 if spooled else MIB)
    s3 = stored(name, config)
    s3.objects["k"].body = ALTERATIONS[alteration](s3.objects["k"].body)
    with pytest.raises((DecryptionError, EnvelopeError)) as caught:
        door(s3, config)
    assert caught.value.advice
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spooled", [False, True], ids=["in-memory", "spooled"])
@pytest.mark.parametrize("name", FORMATS)
def test_short_reads_and_short_spools_change_nothing(door: Door, name: str, spooled: bool) -> None:
    config = config_of(name, spool_memory_bytes=1000 if spooled else MIB)
    s3 = stored(name, config)
    s3.short_reads = 999
    assert door(s3, config) == BODY


@pytest.mark.parametrize("name", FORMATS)
def test_a_response_that_ends_early_is_no_end(door: Door, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = config_of(name)
    s3, whole = stored(name, config), FakeS3.get_object

    def cut(self: FakeS3, **parameters: Any) -> dict[str, Any]:
        answer = whole(self, **parameters)
        return answer | {"Body": Body(answer["Body"].read()[:-1])}

    monkeypatch.setattr(FakeS3, "get_object", cut)
    with pytest.raises(DecryptionError):
        door(s3, config)


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_body_is_an_object_like_any_other(door: Door, name: str, size: int) -> None:
    config, s3 = config_of(name), FakeS3()
    S3EncryptionClient(s3, config).put_object(**NAMED, Body=bytes(size), **FORMATS[name][1])
    assert door(s3, config) == bytes(size)


@pytest.mark.parametrize("name", FORMATS)
def test_the_wrong_key_opens_nothing(door: Door, name: str) -> None:
    with pytest.raises(DecryptionError, match="the object does not decrypt"):
        door(stored(name, config_of(name)), config_of(name, AesKeyring(OTHER_KEY)))


@pytest.mark.parametrize("name", FORMATS)
def test_a_swapped_body_does_not_open(door: Door, name: str) -> None:
    s3 = stored(name, config_of(name))
    s3.objects["k"].body = s3.objects["other"].body
    with pytest.raises(DecryptionError):
        door(s3, config_of(name))


@pytest.mark.parametrize("name", ["V3", "stream"])
def test_a_data_key_of_another_object_breaks_the_commitment(door: Door, name: str) -> None:
    s3, entry = stored(name, config_of(name)), "x-amz-3" if name == "V3" else "s3al-key"
    s3.objects["k"].metadata[entry] = s3.objects["other"].metadata[entry]
    with pytest.raises(CommitmentError):
        door(s3, config_of(name))


@pytest.mark.parametrize("name", FORMATS)
def test_a_swapped_or_missing_or_altered_instruction_file_is_refused(door: Door, name: str) -> None:
    config = config_of(name, instruction_file_config=InstructionFileConfig(enable_put_object=True))
    s3 = stored(name, config)
    assert door(s3, config) == BODY
    mine, other = s3.objects["k.instruction"], s3.objects["other.instruction"]
    s3.objects["k.instruction"] = other
    with pytest.raises(DecryptionError):
        door(s3, config)
    for altered in (b"", b"[]", mine.body[:-1], b'{"x-amz-9":"1"}', b"{" + b" " * 1_000_000 + mine.body[1:]):
        s3.objects["k.instruction"] = Stored(altered, {})
        with pytest.raises((EnvelopeError, PlaintextObjectError)):
            door(s3, config)
    del s3.objects["k.instruction"]
    with pytest.raises((EnvelopeError, PlaintextObjectError)):
        door(s3, config)


@pytest.mark.parametrize("entry", ["x-amz-c", "x-amz-d", "x-amz-i"])
def test_entries_of_the_object_are_not_taken_from_its_instruction_file(door: Door, entry: str) -> None:
    config = config_of("V3", instruction_file_config=InstructionFileConfig(enable_put_object=True))
    s3 = stored("V3", config)
    spoofed = json.loads(s3.objects["k.instruction"].body) | {entry: s3.objects["k"].metadata[entry]}
    s3.objects["k.instruction"].body = json.dumps(spoofed).encode()
    with pytest.raises(EnvelopeError):
        door(s3, config)


RELABELLED: dict[str, tuple[str, dict[str, str]]] = {
    "V3 with V2's key too": ("V3", {"x-amz-key-v2": "AAAA"}),
    "V3 with a stream's key too": ("V3", {"s3al-key": "AAAA"}),
    "V3 of an unknown suite": ("V3", {"x-amz-c": "116"}),
    "V3 said to be wrapped by a KMS": ("V3", {"x-amz-w": "12"}),
    "V3 with a message id of 27 bytes": ("V3", {"x-amz-i": base64.b64encode(bytes(27)).decode()}),
    "V2 with V3's suite": ("V2", {"x-amz-cek-alg": "115"}),
    "V2 with V3's commitment too": ("V2", {"x-amz-d": base64.b64encode(bytes(28)).decode()}),
    "V2 with another tag length": ("V2", {"x-amz-tag-len": "96"}),
    "a stream of another version": ("stream", {"s3al-stream": "2"}),
    "a stream of huge segments": ("stream", {"s3al-segment": str(1 << 40)}),
}


@pytest.mark.parametrize("case", RELABELLED)
def test_relabelled_and_spoofed_metadata_is_refused(door: Door, case: str) -> None:
    name, entries = RELABELLED[case]
    s3 = stored(name, config_of(name))
    s3.objects["k"].metadata.update(entries)
    with pytest.raises(S3EncryptionClientError) as caught:
        door(s3, config_of(name))
    assert isinstance(caught.value, EnvelopeError | DecryptionError)


def test_v2_relabelled_as_cbc_is_refused_before_any_key_is_asked_for(door: Door) -> None:
    kms = FakeKms()
    s3 = stored("V2", config_of("V2", KmsKeyring(kms, KMS_KEY)))
    iv = base64.b64encode(bytes(16)).decode()
    s3.objects["k"].metadata.update({"x-amz-cek-alg": "AES/CBC/PKCS5Padding", "x-amz-iv": iv, "x-amz-tag-len": ""})
    asked = len(kms.calls)
    with pytest.raises(PolicyError):
        door(s3, config_of("V2", KmsKeyring(kms, KMS_KEY)))
    legacy = config_of("V2", KmsKeyring(kms, KMS_KEY, True), enable_legacy_unauthenticated_modes=True)
    with pytest.raises(EncryptionContextError):
        door(s3, legacy)
    assert len(kms.calls) == asked


def test_a_context_that_was_not_given_is_refused_before_the_kms_is_asked(door: Door) -> None:
    kms = FakeKms()
    config = config_of("V3", KmsKeyring(kms, KMS_KEY))
    s3 = stored("V3", config, EncryptionContext={"tenant": "blue"})
    asked = len(kms.calls)
    with pytest.raises(EncryptionContextError):
        door(s3, config)
    assert len(kms.calls) == asked


def test_the_policy_is_asked_before_the_kms(door: Door) -> None:
    kms = FakeKms()
    s3 = stored("V2", config_of("V2", KmsKeyring(kms, KMS_KEY)))
    asked = len(kms.calls)
    with pytest.raises(PolicyError):
        door(s3, config_of("V3", KmsKeyring(kms, KMS_KEY)))
    assert len(kms.calls) == asked


@pytest.mark.parametrize("body", [b"in the clear", b""], ids=["some", "empty"])
def test_a_plaintext_object_is_refused(door: Door, body: bytes) -> None:
    s3 = FakeS3({"k": Stored(body, {"Metadata": {"colour": "blue"}})})
    with pytest.raises(PlaintextObjectError) as caught:
        door(s3, config_of("V3"))
    assert caught.value.advice


# Writing


class Breaks(io.RawIOBase):
    """A source that gives so many bytes and then fails."""

    def __init__(self, after: int, failure: BaseException) -> None:
        super().__init__()
        self._left, self._failure = after, failure

    def readinto(self, room: Any) -> int:
        if self._left <= 0:
            raise self._failure
        self._left -= len(room)
        return len(room)


async def breaking(after: int, failure: BaseException) -> AsyncIterator[bytes]:
    for _ in range(after // MIB):
        yield bytes(MIB)
    raise failure


def write_sync(s3: FakeS3, config: S3EncryptionClientConfig, after: int, failure: BaseException) -> None:
    S3EncryptionClient(s3, config).put_object(**NAMED, Body=Breaks(after, failure))


def write_async(s3: FakeS3, config: S3EncryptionClientConfig, after: int, failure: BaseException) -> None:
    async def write() -> None:
        await AsyncS3EncryptionClient(AsyncFakeS3(s3), config).put_object(**NAMED, Body=breaking(after, failure))

    asyncio.run(write())


def write_file(s3: FakeS3, config: S3EncryptionClientConfig, after: int, failure: BaseException) -> None:
    source = Breaks(after, failure)
    with filesystem(s3, config).open("b/k", "wb") as file:
        while piece := source.read(MIB):
            file.write(piece)


WRITERS = {"sync": write_sync, "async": write_async, "filesystem": write_file}
PARTS: dict[str, Any] = {"multipart_threshold_bytes": 5 * MIB, "multipart_chunksize_bytes": 5 * MIB}


@pytest.mark.parametrize("kind", [OSError, KeyboardInterrupt, asyncio.CancelledError])
@pytest.mark.parametrize("after", [0, 30 * MIB])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_source_that_fails_or_is_interrupted_stores_nothing_and_aborts(
    writer: str, after: int, kind: type[BaseException]
) -> None:
    s3 = FakeS3()
    told = SourceError if kind is OSError and writer != "filesystem" else kind
    with pytest.raises(told):
        WRITERS[writer](s3, config_of("V3", **PARTS), after, kind("it broke"))
    assert not s3.objects
    assert not s3.uploads
    assert s3.names().count("AbortMultipartUpload") == s3.names().count("CreateMultipartUpload") == (after > 0)


@pytest.mark.parametrize("writer", ["sync", "async"])
def test_more_than_one_gcm_message_is_refused_and_aborted(writer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "MAX_GCM_PLAINTEXT_BYTES", 20 * MIB)
    s3 = FakeS3()
    with pytest.raises(ObjectTooLargeError) as caught:
        WRITERS[writer](s3, config_of("V3", **PARTS), 30 * MIB, OSError("never reached"))
    assert "stream" in caught.value.advice
    assert not s3.objects
    assert not s3.uploads


@pytest.mark.parametrize("wrong", [{"ContentMD5": base64.b64encode(bytes(16)).decode()}, {"ContentLength": 3},
                                   {"ChecksumSHA256": base64.b64encode(bytes(32)).decode()}])  # fmt: skip
def test_what_a_caller_says_of_the_plaintext_is_verified_by_both_clients(wrong: dict[str, Any]) -> None:
    s3 = FakeS3()
    with pytest.raises(SourceError):
        S3EncryptionClient(s3, config_of("V3")).put_object(**NAMED, Body=b"abcd", **wrong)
    client = AsyncS3EncryptionClient(AsyncFakeS3(s3), config_of("V3"))
    with pytest.raises(SourceError):
        asyncio.run(client.put_object(**NAMED, Body=b"abcd", **wrong))
    assert not s3.objects


def test_reserved_metadata_names_are_refused_by_both_clients() -> None:
    s3, spoofed = FakeS3(), {"X-Amz-Key-V2": "mine"}
    with pytest.raises(ClientConfigError):
        S3EncryptionClient(s3, config_of("V3")).put_object(**NAMED, Body=b"", Metadata=spoofed)
    with pytest.raises(ClientConfigError):
        asyncio.run(
            AsyncS3EncryptionClient(AsyncFakeS3(s3), config_of("V3")).put_object(**NAMED, Body=b"", Metadata=spoofed)
        )
    assert not s3.objects

"""The client on an S3 in memory: round trips, bad input, memory, and boto3's manners."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from s3al.client import (
    AesKeyring,
    AlgorithmSuite,
    CachingKeyring,
    ClientConfigError,
    CommitmentError,
    CommitmentPolicy,
    DecryptionError,
    EncryptionContextError,
    EnvelopeError,
    InstructionFileConfig,
    KeyringSet,
    KmsDiscoveryKeyring,
    KmsKeyring,
    ObjectTooLargeError,
    PlaintextObjectError,
    PolicyError,
    RsaKeyring,
    S3EncryptionClient,
    S3EncryptionClientConfig,
    S3EncryptionClientError,
    SourceError,
)
from s3al.client.formats import content
from unit.client.world import KMS_KEY, OTHER_KEY, WRAPPING_KEY, FakeKms, FakeS3, Stored, error

V2: dict[str, Any] = {
    "encryption_algorithm": AlgorithmSuite.ALG_AES_256_GCM_IV12_TAG16_NO_KDF,
    "commitment_policy": CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT,
}
FORMATS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "V2": (V2, {}),
    "V3": ({}, {}),
    "stream": ({}, {"format": "stream"}),
}
SIZES = (0, 1, 15, 16, 17, 4096, 131_072 - 56, 131_072 - 55, 300_000)
MIB = 1024 * 1024
NAMED = {"Bucket": "b", "Key": "k"}


def client_for(s3: FakeS3, keyring: Any = None, **settings: Any) -> S3EncryptionClient:
    return S3EncryptionClient(s3, S3EncryptionClientConfig(keyring=keyring or AesKeyring(WRAPPING_KEY), **settings))


@pytest.mark.parametrize("instruction", [False, True], ids=["metadata", "instruction-file"])
@pytest.mark.parametrize("kind", ["aes", "kms", "rsa"])
@pytest.mark.parametrize("name", FORMATS)
def test_every_size_comes_back_with_its_length_and_metadata(name: str, kind: str, instruction: bool) -> None:
    settings, extra = FORMATS[name]
    keyring = {
        "aes": lambda: AesKeyring(WRAPPING_KEY),
        "kms": lambda: KmsKeyring(FakeKms(), KMS_KEY),
        "rsa": rsa_keyring,
    }
    s3 = FakeS3()
    client = client_for(
        s3, keyring[kind](), instruction_file_config=InstructionFileConfig(enable_put_object=instruction), **settings
    )
    for size in SIZES:
        body = os.urandom(size)
        client.put_object(**NAMED, Body=body, Metadata={"colour": "blue"}, ContentType="text/plain", **extra)
        assert ("k.instruction" in s3.objects) is instruction
        opened = client.get_object(**NAMED)
        assert opened["Body"].read() == body
        assert opened["ContentLength"] == client.head_object(**NAMED)["ContentLength"] == size
        assert opened["Metadata"] == {"colour": "blue"}
        assert opened["ContentType"] == "text/plain"
        assert opened["Encryption"]["Format"] == name
        assert client.list_objects_v2(Bucket="b")["Contents"][0]["Size"] == size


_RSA: list[RsaKeyring] = []


def rsa_keyring() -> RsaKeyring:
    from cryptography.hazmat.primitives.asymmetric import rsa

    if not _RSA:
        _RSA.append(RsaKeyring(rsa.generate_private_key(public_exponent=65537, key_size=2048)))
    return _RSA[0]


class Trickle:
    """A pipe: gives little at a time, knows no length."""

    def __init__(self, body: bytes, step: int) -> None:
        self._body, self._step = io.BytesIO(body), step

    def read(self, amount: int) -> bytes:
        return self._body.read(min(amount, self._step))


def bodies(body: bytes, folder: Path) -> dict[str, Any]:
    (folder / "file").write_bytes(body)

    def generate() -> Iterator[bytes]:
        for at in range(0, len(body), 70_001):
            yield body[at : at + 70_001]
            yield b""

    return {
        "bytes": body, "bytearray": bytearray(body), "memoryview": memoryview(body), "BytesIO": io.BytesIO(body),
        "file": (folder / "file").open("rb"), "trickle": Trickle(body, 1009), "generator": generate(),
        "read past": io.BytesIO(body),
    }  # fmt: skip


@pytest.mark.parametrize("size", [0, 1, 100_000, 3 * MIB])
@pytest.mark.parametrize("name", FORMATS)
def test_every_kind_of_body_is_sealed_alike(name: str, size: int, tmp_path: Path) -> None:
    settings, extra = FORMATS[name]
    s3, body = FakeS3(), os.urandom(size)
    client = client_for(s3, **settings)
    given = bodies(body, tmp_path)
    for kind, source in given.items():
        client.put_object(**NAMED, Body=source, **extra)
        assert client.get_object(**NAMED)["Body"].read() == body, kind
    given["file"].close()


@pytest.mark.parametrize("name", FORMATS)
def test_a_large_body_goes_up_in_bounded_parallel_parts_and_comes_back(name: str, tmp_path: Path) -> None:
    settings, extra = FORMATS[name]
    s3, body = FakeS3(), os.urandom(41 * MIB + 3)
    client = client_for(s3, max_concurrency=3, multipart_threshold_bytes=5 * MIB, multipart_chunksize_bytes=5 * MIB,
                        spool_memory_bytes=MIB, **settings)  # fmt: skip
    seen: list[int] = []
    client.upload_fileobj(Trickle(body, 333_333), "b", "k", ExtraArgs=extra, Callback=seen.append)
    assert sum(seen) == len(body)
    assert s3.names().count("UploadPart") >= 8
    assert s3.most_in_flight <= 3
    target = tmp_path / "out"
    client.download_file("b", "k", str(target))
    assert target.read_bytes() == body
    assert list(tmp_path.iterdir()) == [target]


def altered(stored: Stored, name: str) -> None:
    body, half = stored.body, len(stored.body) // 2
    changes = {
        "a flipped first byte": bytes([body[0] ^ 1]) + body[1:],
        "a flipped middle byte": body[:half] + bytes([body[half] ^ 1]) + body[half + 1 :],
        "a flipped last byte": body[:-1] + bytes([body[-1] ^ 1]),
        "one byte cut off": body[:-1],
        "half cut off": body[: len(body) // 2],
        "the tag alone": body[-16:],
        "nothing": b"",
        "a byte added": body + b"\0",
        "a tag added": body + bytes(16),
        "itself twice": body + body,
    }
    stored.body = changes[name]


ALTERED = (
    "a flipped first byte", "a flipped middle byte", "a flipped last byte", "one byte cut off", "half cut off",
    "the tag alone", "nothing", "a byte added", "a tag added", "itself twice",
)  # fmt: skip


@pytest.mark.parametrize("spooled", [False, True], ids=["in-memory", "spooled"])
@pytest.mark.parametrize("alteration", ALTERED)
@pytest.mark.parametrize("name", FORMATS)
def test_altered_content_gives_no_byte_and_leaves_no_file(
    name: str, alteration: str, spooled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    settings, extra = FORMATS[name]
    s3 = FakeS3()
    client = client_for(s3, spool_memory_bytes=1000 if spooled else MIB, **settings)
    client.put_object(**NAMED, Body=os.urandom(50_000), **extra)
    altered(s3.objects["k"], alteration)
    target = tmp_path / "target"
    with pytest.raises(S3EncryptionClientError):
        client.download_file("b", "k", target)
    released = io.BytesIO()
    with pytest.raises(S3EncryptionClientError):
        client.download_fileobj("b", "k", released)
    assert released.getvalue() == b""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FORMATS)
def test_a_body_that_failed_keeps_failing(name: str) -> None:
    settings, extra = FORMATS[name]
    s3 = FakeS3()
    client = client_for(s3, **settings)
    client.put_object(**NAMED, Body=b"x" * 1000, **extra)
    altered(s3.objects["k"], "a flipped last byte")
    body = client.get_object(**NAMED)["Body"]
    for _ in range(2):
        with pytest.raises(DecryptionError):
            body.read(10)


@pytest.mark.parametrize("name", FORMATS)
def test_the_wrong_key_is_one_error(name: str) -> None:
    settings, extra = FORMATS[name]
    s3 = FakeS3()
    client_for(s3, **settings).put_object(**NAMED, Body=b"secret", **extra)
    with pytest.raises(DecryptionError) as caught:
        client_for(s3, AesKeyring(OTHER_KEY), **settings).get_object(**NAMED)
    assert str(caught.value) == "the object does not decrypt"
    assert caught.value.advice


@pytest.mark.parametrize("name", ["V3", "stream"])
def test_a_data_key_that_the_object_does_not_commit_to_is_refused_before_its_use(name: str) -> None:
    s3, extra = FakeS3(), FORMATS[name][1]
    client = client_for(s3)
    client.put_object(**NAMED, Body=b"first", **extra)
    client.put_object(Bucket="b", Key="other", Body=b"other", **extra)
    wrapped = "x-amz-3" if name == "V3" else "s3al-key"
    s3.objects["k"].metadata[wrapped] = s3.objects["other"].metadata[wrapped]
    with pytest.raises(CommitmentError):
        client.get_object(**NAMED)


def test_bodies_swapped_between_objects_do_not_open() -> None:
    for settings, extra in FORMATS.values():
        s3 = FakeS3()
        client = client_for(s3, **settings)
        for key in ("one", "two"):
            client.put_object(Bucket="b", Key=key, Body=key.encode() * 100, **extra)
        one, two = s3.objects["one"], s3.objects["two"]
        one.body, two.body = two.body, one.body
        with pytest.raises(DecryptionError):
            client.get_object(Bucket="b", Key="one")["Body"].read()


@pytest.mark.parametrize("name", FORMATS)
def test_swapped_instruction_files_do_not_open(name: str) -> None:
    settings, extra = FORMATS[name]
    s3 = FakeS3()
    client = client_for(s3, instruction_file_config=InstructionFileConfig(enable_put_object=True), **settings)
    for key in ("one", "two"):
        client.put_object(Bucket="b", Key=key, Body=key.encode() * 100, **extra)
    s3.objects["one.instruction"], s3.objects["two.instruction"] = (
        s3.objects["two.instruction"], s3.objects["one.instruction"],
    )  # fmt: skip
    with pytest.raises(DecryptionError):
        client.get_object(Bucket="b", Key="one")["Body"].read()


def test_v2_relabelled_as_cbc_is_refused_before_the_kms_is_asked() -> None:
    s3, kms = FakeS3(), FakeKms()
    client_for(s3, KmsKeyring(kms, KMS_KEY), **V2).put_object(**NAMED, Body=bytes(100))
    metadata = s3.objects["k"].metadata
    metadata |= {"x-amz-cek-alg": "AES/CBC/PKCS5Padding", "x-amz-iv": base64.b64encode(bytes(16)).decode(),
                 "x-amz-tag-len": ""}  # fmt: skip
    asked = len(kms.calls)
    legacy = client_for(s3, KmsKeyring(kms, KMS_KEY, True), enable_legacy_unauthenticated_modes=True, **V2)
    with pytest.raises(EncryptionContextError):
        legacy.get_object(**NAMED)
    assert len(kms.calls) == asked


def test_the_policy_is_asked_before_the_kms() -> None:
    s3, kms = FakeS3(), FakeKms()
    client_for(s3, KmsKeyring(kms, KMS_KEY), **V2).put_object(**NAMED, Body=b"old")
    asked = len(kms.calls)
    with pytest.raises(PolicyError):
        client_for(s3, KmsKeyring(kms, KMS_KEY)).get_object(**NAMED)
    assert len(kms.calls) == asked
    allows = client_for(
        s3, KmsKeyring(kms, KMS_KEY), commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT
    )
    assert allows.get_object(**NAMED)["Body"].read() == b"old"


def test_policies_and_suites_that_contradict_are_refused_when_set() -> None:
    keyring = AesKeyring(WRAPPING_KEY)
    with pytest.raises(ClientConfigError):
        S3EncryptionClientConfig(keyring=keyring, encryption_algorithm=V2["encryption_algorithm"])
    with pytest.raises(ClientConfigError):
        S3EncryptionClientConfig(
            keyring=keyring, commitment_policy=CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT
        )
    with pytest.raises(ClientConfigError):
        client_for(FakeS3(), **V2).put_object(**NAMED, Body=b"", format="stream")


def test_the_context_given_must_be_the_one_stored() -> None:
    s3, kms = FakeS3(), FakeKms()
    client = client_for(s3, KmsKeyring(kms, KMS_KEY))
    client.put_object(**NAMED, Body=b"x", EncryptionContext={"tenant": "blue"})
    assert client.get_object(**NAMED, EncryptionContext={"tenant": "blue"})["Body"].read() == b"x"
    asked = len(kms.calls)
    for wrong in (None, {}, {"tenant": "red"}, {"tenant": "blue", "more": "1"}):
        given = {} if wrong is None else {"EncryptionContext": wrong}
        with pytest.raises(EncryptionContextError):
            client.get_object(**NAMED, **given)
    assert len(kms.calls) == asked
    for reserved in ("aws:x-amz-cek-alg", "kms_cmk_id"):
        with pytest.raises(EncryptionContextError):
            client.put_object(**NAMED, Body=b"x", EncryptionContext={reserved: "115"})


def test_a_plaintext_object_is_refused_and_never_passed_through() -> None:
    s3 = FakeS3({"k": Stored(b"in the clear", {"Metadata": {"colour": "blue"}})})
    client = client_for(s3)
    for read in (client.get_object, client.head_object):
        with pytest.raises(PlaintextObjectError):
            read(**NAMED)
    with pytest.raises(PlaintextObjectError):
        client.get_object(**NAMED, Range="bytes=0-3")


def test_spoofed_metadata_names_cannot_be_written() -> None:
    with pytest.raises(ClientConfigError):
        client_for(FakeS3()).put_object(**NAMED, Body=b"", Metadata={"X-Amz-Key-V2": "mine"})


class Breaks:
    """A source that fails midway."""

    def __init__(self, after: int) -> None:
        self._left = after

    def read(self, amount: int) -> bytes:
        if self._left <= 0:
            raise OSError("the pipe broke")
        self._left -= amount
        return bytes(amount)


@pytest.mark.parametrize("after", [0, 1000, 30 * MIB])
def test_a_source_that_fails_stores_nothing_and_aborts(after: int) -> None:
    s3 = FakeS3()
    client = client_for(s3, multipart_threshold_bytes=5 * MIB, multipart_chunksize_bytes=5 * MIB)
    with pytest.raises(SourceError) as caught:
        client.upload_fileobj(Breaks(after), "b", "k")
    assert isinstance(caught.value.__cause__, OSError)
    assert not s3.objects
    assert not s3.uploads


def test_a_part_that_fails_aborts_and_shows_s3s_own_error() -> None:
    s3 = FakeS3()

    def fail(operation: str, parameters: dict[str, Any]) -> None:
        if operation == "UploadPart" and parameters["PartNumber"] == 2:
            raise error("SlowDown", 503, operation)

    s3.fail = fail
    client = client_for(s3, multipart_threshold_bytes=5 * MIB, multipart_chunksize_bytes=5 * MIB)
    with pytest.raises(ClientError, match="SlowDown"):
        client.put_object(**NAMED, Body=bytes(30 * MIB))
    assert not s3.uploads
    assert s3.names()[-1] == "AbortMultipartUpload"


def test_checksums_of_the_plaintext_are_verified_and_not_sent() -> None:
    s3, body = FakeS3(), b"checked"
    client = client_for(s3)
    md5 = base64.b64encode(hashlib.md5(body).digest()).decode()
    client.put_object(**NAMED, Body=body, ContentMD5=md5, ContentLength=7)
    assert "ContentMD5" not in s3.calls[-1][1]
    assert "ContentLength" not in s3.calls[-1][1]
    before = dict(s3.objects)
    for wrong in ({"ContentMD5": base64.b64encode(bytes(16)).decode()}, {"ContentLength": 8},
                  {"ChecksumCRC32": "AAAAAA=="}):  # fmt: skip
        with pytest.raises(SourceError):
            client.put_object(**NAMED, Body=body, **wrong)
    assert s3.objects == before


def test_a_body_beyond_one_gcm_message_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Vast(io.RawIOBase):
        def readinto(self, buffer: Any) -> int:
            return len(buffer)

    monkeypatch.setattr(content, "MAX_GCM_PLAINTEXT_BYTES", 10 * MIB)
    s3 = FakeS3()
    with pytest.raises(ObjectTooLargeError):
        client_for(s3).put_object(**NAMED, Body=Vast())
    assert not s3.objects
    assert not s3.uploads


def test_peak_memory_of_a_large_upload_and_download_is_bounded(tmp_path: Path) -> None:
    class Zeros:
        left = 120 * MIB

        def read(self, amount: int) -> bytes:
            amount = min(amount, self.left)
            self.left -= amount
            return bytes(amount)

    class Sink(FakeS3):
        def upload_part(self, **parameters: Any) -> dict[str, Any]:
            return {"ETag": '"x"'}

        def complete_multipart_upload(self, **parameters: Any) -> dict[str, Any]:
            return {"ETag": '"x"'}

    client = client_for(Sink(), multipart_threshold_bytes=8 * MIB, multipart_chunksize_bytes=8 * MIB, max_concurrency=2)
    tracemalloc.start()
    try:
        client.upload_fileobj(Zeros(), "b", "k")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60 * MIB


@pytest.mark.parametrize("name", ["V2", "V3"])
def test_delayed_authentication_releases_early_and_still_fails_at_the_end(name: str) -> None:
    s3 = FakeS3()
    client = client_for(s3, enable_delayed_authentication=True, **FORMATS[name][0])
    body = os.urandom(5 * MIB)
    client.put_object(**NAMED, Body=body)
    altered(s3.objects["k"], "a flipped last byte")
    opened = client.get_object(**NAMED)["Body"]
    assert opened.read(1000) == body[:1000]
    with pytest.raises(DecryptionError):
        opened.read()


RANGES = ("bytes=0-0", "bytes=5-", "bytes=-7", "bytes=100-131071", "bytes=131000-131100", "bytes=131015-131016",
          "bytes=262000-299999", "bytes=0-299999", "bytes=1-400000")  # fmt: skip


def expected(body: bytes, header: str) -> bytes:
    first, _, last = header.removeprefix("bytes=").partition("-")
    if not first:
        return body[-int(last) :]
    return body[int(first) : int(last) + 1 if last else None]


@pytest.mark.parametrize("header", RANGES)
@pytest.mark.parametrize("name", FORMATS)
def test_ranges_give_exactly_their_bytes(name: str, header: str) -> None:
    settings, extra = FORMATS[name]
    s3, body = FakeS3(short_reads=999), os.urandom(300_000)
    legacy = {} if name == "stream" else {"enable_legacy_unauthenticated_modes": True}
    client = client_for(s3, **settings, **legacy)
    client.put_object(**NAMED, Body=body, **extra)
    opened = client.get_object(**NAMED, Range=header)
    wanted = expected(body, header)
    assert opened["Body"].read() == wanted
    assert opened["ContentLength"] == len(wanted)
    assert opened["ContentRange"].endswith("/300000")


def test_a_legacy_range_longer_than_a_chunk_is_read_in_stretches() -> None:
    s3, body = FakeS3(short_reads=70_000), os.urandom(3 * MIB)
    client = client_for(s3, enable_legacy_unauthenticated_modes=True)
    client.put_object(**NAMED, Body=body)
    assert client.get_object(**NAMED, Range="bytes=7-3000001")["Body"].read() == body[7:3000002]


def test_a_range_of_v3_needs_the_legacy_switch_and_one_past_the_end_is_s3s_error() -> None:
    s3 = FakeS3()
    client = client_for(s3)
    client.put_object(**NAMED, Body=b"abc")
    with pytest.raises(PolicyError):
        client.get_object(**NAMED, Range="bytes=0-1")
    client.put_object(**NAMED, Body=b"abc", format="stream")
    with pytest.raises(ClientError, match="InvalidRange"):
        client.get_object(**NAMED, Range="bytes=3-")
    with pytest.raises(ClientConfigError):
        client.get_object(**NAMED, Range="bytes=2-1")
    with pytest.raises(ClientConfigError):
        client.get_object(**NAMED, PartNumber=1)


def test_a_range_of_a_damaged_stream_opens_only_where_it_is_whole() -> None:
    s3, body = FakeS3(), os.urandom(600_000)
    client = client_for(s3)
    client.put_object(**NAMED, Body=body, format="stream")
    altered(s3.objects["k"], "a flipped middle byte")
    assert client.get_object(**NAMED, Range="bytes=0-99")["Body"].read() == body[:100]
    with pytest.raises(DecryptionError):
        client.get_object(**NAMED, Range="bytes=299000-301000")["Body"].read()


def test_an_object_replaced_between_two_requests_of_a_range_is_noticed() -> None:
    s3 = FakeS3()
    client = client_for(s3)
    client.put_object(**NAMED, Body=bytes(1000), format="stream")

    def replace(operation: str, parameters: dict[str, Any]) -> None:
        if "IfMatch" in parameters:
            s3.objects["k"].body = b"another" * 100

    s3.fail = replace
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.get_object(**NAMED, Range="bytes=0-99")


def test_low_level_multipart_takes_parts_in_order_with_or_without_the_last_mark() -> None:
    body = os.urandom(11 * MIB)
    for settings, extra in FORMATS.values():
        for marks in (True, False):
            s3 = FakeS3()
            client = client_for(s3, **settings)
            named = {**NAMED, "UploadId": client.create_multipart_upload(**NAMED, **extra)["UploadId"]}
            parts = []
            for number, at in enumerate((0, 6 * MIB), start=1):
                last = {"IsLastPart": True} if marks and number == 2 else {}
                piece = body[at : at + 6 * MIB]
                answer = client.upload_part(**named, PartNumber=number, Body=piece, **last)
                parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            client.complete_multipart_upload(**named, MultipartUpload={"Parts": parts})
            assert client.get_object(**NAMED)["Body"].read() == body


def test_low_level_parts_out_of_order_are_refused_and_a_failed_one_is_sent_again_as_it_was() -> None:
    s3 = FakeS3()
    client = client_for(s3)
    named = {**NAMED, "UploadId": client.create_multipart_upload(**NAMED)["UploadId"]}
    with pytest.raises(ClientConfigError):
        client.upload_part(**named, PartNumber=2, Body=b"x")
    sent: list[bytes] = []

    def fail_once(operation: str, parameters: dict[str, Any]) -> None:
        if operation == "UploadPart":
            sent.append(bytes(parameters["Body"]))
            if len(sent) == 1:
                raise error("SlowDown", 503, operation)

    s3.fail = fail_once
    with pytest.raises(ClientError):
        client.upload_part(**named, PartNumber=1, Body=b"first")
    with pytest.raises(ClientConfigError):
        client.upload_part(**named, PartNumber=1, Body=b"other")
    client.upload_part(**named, PartNumber=1, Body=b"first")
    assert sent[0] == sent[1]
    client.abort_multipart_upload(**named)
    with pytest.raises(ClientConfigError):
        client.upload_part(**named, PartNumber=2, Body=b"x")


def test_deletes_take_the_instruction_files_along() -> None:
    s3 = FakeS3()
    client = client_for(s3, instruction_file_config=InstructionFileConfig(enable_put_object=True))
    for key in ("a", "b", "c"):
        client.put_object(Bucket="b", Key=key, Body=b"x")
    client.delete_object(Bucket="b", Key="a")
    client.delete_objects(Bucket="b", Delete={"Objects": [{"Key": "b"}]})
    assert sorted(s3.objects) == ["c", "c.instruction"]


@pytest.mark.parametrize("name", FORMATS)
def test_an_instruction_file_is_wrapped_anew_without_touching_the_object(name: str) -> None:
    settings, extra = FORMATS[name]
    s3 = FakeS3()
    client = client_for(s3, instruction_file_config=InstructionFileConfig(enable_put_object=True), **settings)
    client.put_object(**NAMED, Body=b"turned", **extra)
    before = s3.objects["k"].body
    new = AesKeyring(OTHER_KEY, materials_description={"year": "new"})
    client.reencrypt_instruction_file(new, **NAMED, instruction_file_suffix=".shared")
    assert s3.objects["k"].body == before
    assert client.get_object(**NAMED)["Body"].read() == b"turned"
    shared = client_for(s3, new, **settings)
    assert shared.get_object(**NAMED, InstructionFileSuffix=".shared")["Body"].read() == b"turned"
    with pytest.raises(DecryptionError):
        shared.get_object(**NAMED)


def test_copies_keep_the_envelope_and_copies_between_keys_change_it() -> None:
    s3 = FakeS3()
    old, new = AesKeyring(WRAPPING_KEY), AesKeyring(OTHER_KEY)
    client = client_for(s3, old)
    client.put_object(**NAMED, Body=b"copied", Metadata={"colour": "blue"})
    source = {"Bucket": "b", "Key": "k"}
    client.copy_object(CopySource=source, Bucket="b", Key="same", MetadataDirective="REPLACE", Metadata={"n": "1"})
    opened = client.get_object(Bucket="b", Key="same")
    assert (opened["Body"].read(), opened["Metadata"]) == (b"copied", {"n": "1"})
    target = client_for(s3, new)
    target.copy(source, "b", "moved", SourceClient=client)
    moved = target.get_object(Bucket="b", Key="moved")
    assert (moved["Body"].read(), moved["Metadata"]) == (b"copied", {"colour": "blue"})
    with pytest.raises(DecryptionError):
        client.get_object(Bucket="b", Key="moved")


def test_what_would_send_plaintext_past_us_is_refused_and_the_rest_passes() -> None:
    s3 = FakeS3()
    client = client_for(s3)
    for name in ("upload_part_copy", "select_object_content", "generate_presigned_post"):
        with pytest.raises(ClientConfigError):
            getattr(client, name)
    with pytest.raises(ClientConfigError):
        client.generate_presigned_url("put_object", Params=NAMED)
    assert client.most_in_flight == 0  # anything else is the wrapped client's own
    with pytest.raises(ClientConfigError):
        S3EncryptionClient(client, client.config)


def test_the_callers_boto3_client_is_not_altered() -> None:
    plain = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    before = (dict(plain.__dict__), repr(plain.meta.events._emitter.__dict__))
    S3EncryptionClient(plain, S3EncryptionClientConfig(keyring=AesKeyring(WRAPPING_KEY)))
    assert (dict(plain.__dict__), repr(plain.meta.events._emitter.__dict__)) == before


def test_the_body_reads_like_a_file_and_like_boto3s() -> None:
    s3, text = FakeS3(), b"one\ntwo\r\nthree"
    client = client_for(s3)
    client.put_object(**NAMED, Body=text)

    def body() -> Any:
        return client.get_object(**NAMED)["Body"]

    assert list(body().iter_lines()) == [b"one", b"two", b"three"]
    assert list(body().iter_lines(chunk_size=1, keepends=True)) == [b"one\n", b"two\r\n", b"three"]
    assert b"".join(body().iter_chunks(2)) == text
    with body() as opened:
        assert (opened.read(3), opened.tell(), opened.read(), opened.read(), opened.read(1)) == (
            b"one", 3, text[3:], b"", b"",
        )  # fmt: skip
    assert io.BufferedReader(body()).readline() == b"one\n"


class TestKeyringSet:
    def test_the_description_chooses_the_key_that_reads(self) -> None:
        s3 = FakeS3()
        keys = [AesKeyring(bytes([n]) * 32, materials_description={"year": str(n)}) for n in range(3)]
        for n, keyring in enumerate(keys):
            client_for(s3, keyring).put_object(Bucket="b", Key=str(n), Body=bytes([n]))
        client = client_for(s3, KeyringSet(keys[2], keys[:2]))
        for n in range(3):
            assert client.get_object(Bucket="b", Key=str(n))["Body"].read() == bytes([n])

    def test_two_keys_of_one_description_are_refused(self) -> None:
        with pytest.raises(ClientConfigError):
            KeyringSet(AesKeyring(WRAPPING_KEY), [AesKeyring(OTHER_KEY)])


class TestCachingKeyring:
    def test_many_objects_cost_one_question_each_way_until_age_or_uses_end(self) -> None:
        s3, kms, now = FakeS3(), FakeKms(), [0.0]
        keyring = CachingKeyring(KmsKeyring(kms, KMS_KEY), max_age_s=10, max_uses=100, clock=lambda: now[0])
        client = client_for(s3, keyring)
        for n in range(50):
            client.put_object(Bucket="b", Key=str(n), Body=bytes([n]))
        for n in range(50):
            assert client.get_object(Bucket="b", Key=str(n))["Body"].read() == bytes([n])
        assert (kms.names().count("GenerateDataKey"), kms.names().count("Decrypt")) == (1, 1)
        assert len({s3.objects[str(n)].metadata["x-amz-i"] for n in range(50)}) == 50
        now[0] = 10.0
        client.put_object(**NAMED, Body=b"")
        assert kms.names().count("GenerateDataKey") == 2

    def test_v2_never_shares_a_data_key(self) -> None:
        kms = FakeKms()
        client = client_for(FakeS3(), CachingKeyring(KmsKeyring(kms, KMS_KEY)), **V2)
        for _ in range(3):
            client.put_object(**NAMED, Body=b"")
        assert kms.names().count("GenerateDataKey") == 3

    def test_contexts_do_not_share_and_entries_are_bounded(self) -> None:
        s3, kms = FakeS3(), FakeKms()
        keyring = CachingKeyring(KmsKeyring(kms, KMS_KEY), max_entries=3)
        client = client_for(s3, keyring)
        for n in range(10):
            client.put_object(Bucket="b", Key=str(n), Body=b"", EncryptionContext={"n": str(n)})
        assert kms.names().count("GenerateDataKey") == 10
        assert keyring.entries == 3
        client.get_object(Bucket="b", Key="9", EncryptionContext={"n": "9"})
        with pytest.raises(EncryptionContextError):
            client.get_object(Bucket="b", Key="9", EncryptionContext={"n": "8"})


def test_a_discovery_keyring_reads_and_does_not_write() -> None:
    s3, kms = FakeS3(), FakeKms()
    client_for(s3, KmsKeyring(kms, KMS_KEY)).put_object(**NAMED, Body=b"found")
    client = client_for(s3, KmsDiscoveryKeyring(kms, grant_tokens=["token"]))
    assert client.get_object(**NAMED)["Body"].read() == b"found"
    assert kms.calls[-1][1]["GrantTokens"] == ["token"]
    with pytest.raises(ClientConfigError):
        client.put_object(**NAMED, Body=b"")


def test_an_oversized_instruction_file_is_not_read_into_memory() -> None:
    s3 = FakeS3({"k": Stored(b"x" * 100, {}), "k.instruction": Stored(b"{" + b" " * 10_000_000, {})})
    with pytest.raises(EnvelopeError):
        client_for(s3).get_object(**NAMED)

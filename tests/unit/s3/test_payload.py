"""What a client says of its bytes and its object: every claim verified, everything that is kept, kept as it was."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from s3al.auth.principal import ANONYMOUS
from s3al.s3.limits import METADATA_MAX_BYTES
from s3al.s3.payload import checked_length, read_claims, storage_class, stored_headers, stored_metadata
from s3al.service.operation import Call
from s3al.wire.checksums import ALGORITHMS, Digests

from .world import refused

CONTENT = b"the bytes of this test"


@dataclass
class Sent:
    """A body that was read already."""

    decoded_bytes: int | None = len(CONTENT)
    payload_sha256: str | None = None
    trailers: Mapping[str, str] = field(default_factory=dict)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield CONTENT


def call(headers: Mapping[str, str] | None = None, body: Sent | None = None) -> Call:
    return Call("s3", "PutObject", {}, ANONYMOUS, "r", 0, "us-east-1", headers=headers or {}, body=body or Sent())


def digest_of(algorithm: str, content: bytes = CONTENT) -> str:
    digests = Digests([algorithm])
    digests.update(content)
    return base64.b64encode(digests.digest(algorithm)).decode()


def verify(headers: Mapping[str, str], body: Sent, *, etag_is_md5: bool = True) -> str:
    """Returns the algorithm whose checksum will be stored."""
    claims = read_claims(call(headers, body))
    digests = claims.digests(etag_is_md5=etag_is_md5)
    digests.update(CONTENT)
    claims.verify(digests, body)
    return claims.algorithm


MD5 = base64.b64encode(hashlib.md5(CONTENT).digest()).decode()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_true_checksum_is_kept_whether_in_the_head_or_in_the_trailer(algorithm: str) -> None:
    name = f"x-amz-checksum-{algorithm.lower()}"
    assert verify({name: digest_of(algorithm)}, Sent()) == algorithm
    assert verify({"x-amz-trailer": name}, Sent(trailers={name: digest_of(algorithm)})) == algorithm


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_false_checksum_is_refused_wherever_it_stands(algorithm: str) -> None:
    name, false = f"x-amz-checksum-{algorithm.lower()}", digest_of(algorithm, b"other bytes")
    with refused("BadDigest"):
        verify({name: false}, Sent())
    with refused("BadDigest"):
        verify({"x-amz-trailer": name}, Sent(trailers={name: false}))


def test_without_a_claim_crc64nvme_is_kept() -> None:
    assert verify({}, Sent()) == "CRC64NVME"


@pytest.mark.parametrize("etag_is_md5", [True, False])
def test_md5_and_the_signed_hash_are_verified_though_they_are_not_kept(etag_is_md5: bool) -> None:
    assert verify({"content-md5": MD5}, Sent(payload_sha256=SHA256), etag_is_md5=etag_is_md5) == "CRC64NVME"
    with refused("BadDigest"):
        verify({"content-md5": base64.b64encode(bytes(16)).decode()}, Sent(), etag_is_md5=etag_is_md5)
    with refused("XAmzContentSHA256Mismatch"):
        verify({}, Sent(payload_sha256="0" * 64), etag_is_md5=etag_is_md5)


def test_all_claims_must_hold_at_once() -> None:
    headers = {"content-md5": MD5, "x-amz-checksum-crc32": digest_of("CRC32")}
    assert verify(headers, Sent(payload_sha256=SHA256)) == "CRC32"
    with refused("XAmzContentSHA256Mismatch"):
        verify(headers, Sent(payload_sha256="f" * 64))


MALFORMED = {
    "an MD5 that is none": ({"content-md5": "x"}, "InvalidDigest"),
    "an MD5 in hex": ({"content-md5": hashlib.md5(CONTENT).hexdigest()}, "InvalidDigest"),
    "a checksum that is none": ({"x-amz-checksum-crc32": "x"}, "InvalidRequest"),
    "a checksum of another length": ({"x-amz-checksum-crc32": digest_of("SHA1")}, "InvalidRequest"),
    "two checksums": (
        {"x-amz-checksum-crc32": digest_of("CRC32"), "x-amz-checksum-sha1": digest_of("SHA1")},
        "InvalidRequest",
    ),
    "a checksum and a trailer": (
        {"x-amz-checksum-crc32": digest_of("CRC32"), "x-amz-trailer": "x-amz-checksum-crc32"},
        "InvalidRequest",
    ),
    "an announced checksum that is not there": ({"x-amz-sdk-checksum-algorithm": "CRC32"}, "InvalidRequest"),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_claims_are_refused_before_a_byte_is_read(what: str) -> None:
    headers, code = MALFORMED[what]
    with refused(code):
        read_claims(call(headers))


def test_a_trailer_that_was_announced_must_come() -> None:
    with refused("MalformedTrailerError"):
        verify({"x-amz-trailer": "x-amz-checksum-crc32"}, Sent())


def test_a_length_must_be_announced_and_within_bounds() -> None:
    assert checked_length(call(), len(CONTENT)) is not None
    with refused("EntityTooLarge"):
        checked_length(call(), len(CONTENT) - 1)
    with refused("MissingContentLength"):
        checked_length(call(body=Sent(decoded_bytes=None)), 1 << 40)


KEPT: list[tuple[dict[str, Any], dict[str, str], dict[str, str]]] = [
    ({}, {}, {"ContentType": "binary/octet-stream"}),
    ({"ContentType": ""}, {}, {"ContentType": "binary/octet-stream"}),
    ({"ContentType": "text/\u20ac"}, {}, {"ContentType": "text/\u20ac"}),
    (
        {"CacheControl": "no-store", "ContentDisposition": "inline", "ContentLanguage": "de"},
        {"expires": "whenever", "content-encoding": "gzip"},
        {"ContentType": "binary/octet-stream", "CacheControl": "no-store", "ContentDisposition": "inline",
         "ContentLanguage": "de", "Expires": "whenever", "ContentEncoding": "gzip"},
    ),
    ({}, {"content-encoding": "aws-chunked"}, {"ContentType": "binary/octet-stream"}),
    ({}, {"content-encoding": "aws-chunked,gzip"}, {"ContentType": "binary/octet-stream", "ContentEncoding": "gzip"}),
]  # fmt: skip


@pytest.mark.parametrize(("params", "headers", "kept"), KEPT)
def test_headers_are_kept_as_they_came(params: dict[str, Any], headers: dict[str, str], kept: dict[str, str]) -> None:
    assert stored_headers(params, headers) == kept


@pytest.mark.parametrize("character", ["\0", "\n", "\r", "\x1b", "\x7f"])
@pytest.mark.parametrize("member", ["ContentType", "CacheControl", "WebsiteRedirectLocation"])
def test_a_control_character_is_refused(member: str, character: str) -> None:
    with refused("InvalidArgument"):
        stored_headers({member: f"a{character}b"}, {})


@pytest.mark.parametrize("name", ["expires", "content-encoding"])
def test_a_control_character_in_a_forms_header_is_refused(name: str) -> None:
    with refused("InvalidArgument"):
        stored_headers({}, {name: "a\r\nb"})


def test_metadata_is_bounded_in_bytes_of_names_and_values() -> None:
    assert stored_metadata({}) == {}
    assert stored_metadata({"Metadata": {"A": "b"}}) == {"a": "b"}
    most = {"a": "\u20ac" * ((METADATA_MAX_BYTES - 1) // 3) + "x" * ((METADATA_MAX_BYTES - 1) % 3)}
    assert stored_metadata({"Metadata": most}) == most
    with refused("MetadataTooLarge"):
        stored_metadata({"Metadata": most | {"b": ""}})


@pytest.mark.parametrize(
    ("wanted", "code"),
    [(None, None), ("STANDARD", None), ("GLACIER", "NotImplemented"), ("REDUCED_REDUNDANCY", "NotImplemented"),
     ("standard", "InvalidStorageClass"), ("nothing", "InvalidStorageClass")],
)  # fmt: skip
def test_every_object_is_standard(wanted: str | None, code: str | None) -> None:
    if code is None:
        assert storage_class({"StorageClass": wanted}) == "STANDARD"
        return
    with refused(code):
        storage_class({"StorageClass": wanted})

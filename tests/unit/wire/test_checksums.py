"""Checksums: known answers, other implementations as oracles, combination, and what a request may claim."""

from __future__ import annotations

import hashlib
import zlib
from base64 import b64encode

import pytest
from awscrt import checksums as crt
from botocore.httpchecksum import _CHECKSUM_CLS
from hypothesis import given
from hypothesis import strategies as st

from s3al.errors import RequestError
from s3al.wire.checksums import (
    ALGORITHMS,
    DeclaredChecksum,
    Digests,
    checksum_header,
    combine_crc,
    composite,
    content_md5,
    declared_checksum,
    trailer_checksum,
)

CRCS = ("CRC32", "CRC32C", "CRC64NVME")
EVERY = (*ALGORITHMS, "MD5")

# Of b"123456789", from the catalogue of CRC algorithms; the hashes from RFC 3174, FIPS 180 and RFC 1321 tools.
CHECK = {
    "CRC32": "cbf43926",
    "CRC32C": "e3069283",
    "CRC64NVME": "ae8b14860a799888",
    "SHA1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
    "SHA256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
    "MD5": "25f9e794323b453885f5181f1b624d0b",
}


def digest(name: str, data: bytes) -> bytes:
    digests = Digests({name})
    digests.update(data)
    return digests.digest(name)


@pytest.mark.parametrize("name", EVERY)
def test_the_published_check_value_is_computed(name: str) -> None:
    assert digest(name, b"123456789").hex() == CHECK[name]


@pytest.mark.parametrize("name", ALGORITHMS)
@given(data=st.binary(max_size=300))
def test_every_checksum_equals_that_of_botocore(name: str, data: bytes) -> None:
    oracle = _CHECKSUM_CLS[name.lower()]()
    oracle.update(data)
    assert b64encode(digest(name, data)).decode() == oracle.b64digest()


@given(pieces=st.lists(st.binary(max_size=50), max_size=6))
def test_several_digests_of_one_stream_come_from_one_pass(pieces: list[bytes]) -> None:
    digests = Digests(EVERY)
    for at, piece in enumerate(pieces):
        digests.update((bytes, bytearray, memoryview)[at % 3](piece))
    whole = b"".join(pieces)
    assert {name: digests.digest(name) for name in EVERY} == {name: digest(name, whole) for name in EVERY}


def test_a_digest_may_be_read_before_the_stream_ends() -> None:
    digests = Digests(EVERY)
    digests.update(b"12345")
    assert digests.digest("CRC32C") == digest("CRC32C", b"12345")
    digests.update(b"6789")
    assert {name: digests.digest(name).hex() for name in EVERY} == CHECK


def test_an_unknown_algorithm_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(KeyError):
        Digests({"CRC16"})


# --- Several parts ---


@pytest.mark.parametrize("name", CRCS)
@given(first=st.binary(max_size=300), second=st.binary(max_size=300))
def test_the_crc_of_a_whole_follows_from_its_parts(name: str, first: bytes, second: bytes) -> None:
    combined = combine_crc(name, digest(name, first), digest(name, second), len(second))
    assert combined == digest(name, first + second)


@pytest.mark.parametrize("name", CRCS)
@given(data=st.data())
def test_crcs_of_long_parts_combine_as_awscrt_combines_them(name: str, data: st.DataObject) -> None:
    size = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8}[name]
    values = st.binary(min_size=size, max_size=size)
    first, second = data.draw(values), data.draw(values)
    second_bytes = data.draw(st.integers(8, 50 << 40))
    oracle = getattr(crt, f"combine_{name.lower()}", None)
    if oracle is None:
        pytest.skip("this awscrt combines no CRCs")
    expected = oracle(int.from_bytes(first, "big"), int.from_bytes(second, "big"), second_bytes)
    assert combine_crc(name, first, second, second_bytes) == expected.to_bytes(size, "big")


@pytest.mark.parametrize("name", CRCS)
def test_a_whole_of_many_parts_has_the_crc_of_its_bytes(name: str) -> None:
    parts = [bytes([at]) * (1000 + at) for at in range(40)]
    combined = digest(name, b"")
    for part in parts:
        combined = combine_crc(name, combined, digest(name, part), len(part))
    assert combined == digest(name, b"".join(parts))


@pytest.mark.parametrize(
    ("first", "second", "size"), [(b"", b"1234", 4), (b"1234", b"12345678", 4), (b"1234", b"1234", -1)]
)
def test_only_values_of_the_algorithm_are_combined(first: bytes, second: bytes, size: int) -> None:
    with pytest.raises(ValueError, match="CRC32"):
        combine_crc("CRC32", first, second, size)


def test_a_composite_checksum_is_the_checksum_of_the_checksums() -> None:
    parts = [b"a" * 10, b"b" * 20]
    assert composite("SHA256", [digest("SHA256", part) for part in parts]) == (
        hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).digest()
    )
    assert composite("CRC32", [digest("CRC32", part) for part in parts]) == (
        zlib.crc32(b"".join(zlib.crc32(part).to_bytes(4, "big") for part in parts)).to_bytes(4, "big")
    )


# --- What a request claims ---

VALUES = {name: b64encode(bytes.fromhex(CHECK[name])).decode() for name in EVERY}
SDK = "x-amz-sdk-checksum-algorithm"
MULTIPLE = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."


@pytest.mark.parametrize("name", ALGORITHMS)
@pytest.mark.parametrize("sdk", [{}, {SDK: "{}"}])
def test_a_checksum_is_claimed_in_a_header_or_announced_for_a_trailer(name: str, sdk: dict[str, str]) -> None:
    also = {key: name.lower() for key in sdk}
    header = checksum_header(name)
    value = bytes.fromhex(CHECK[name])
    assert declared_checksum({header: VALUES[name], **also}) == DeclaredChecksum(name, value, in_trailer=False)
    assert declared_checksum({"x-amz-trailer": header.upper(), **also}) == DeclaredChecksum(name, None, in_trailer=True)
    assert trailer_checksum(name, {header: VALUES[name]}) == value


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-amz-checksum-mode": "ENABLED"},
        {"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "FULL_OBJECT"},
        {"x-amz-trailer": ""},
        {"content-md5": VALUES["MD5"]},
    ],
)
def test_other_headers_claim_no_checksum(headers: dict[str, str]) -> None:
    assert declared_checksum(headers) is None


REFUSED: dict[str, tuple[dict[str, str], str, str]] = {
    "two headers": (
        {"x-amz-checksum-crc32": VALUES["CRC32"], "x-amz-checksum-sha1": VALUES["SHA1"]},
        "InvalidRequest",
        MULTIPLE,
    ),
    "header and trailer": (
        {"x-amz-checksum-crc32": VALUES["CRC32"], "x-amz-trailer": "x-amz-checksum-crc32"},
        "InvalidRequest",
        MULTIPLE,
    ),
    "two trailers": ({"x-amz-trailer": "x-amz-checksum-crc32, x-amz-checksum-sha1"}, "InvalidRequest", MULTIPLE),
    "trailer that is no checksum": (
        {"x-amz-trailer": "x-amz-meta-a"},
        "InvalidRequest",
        "The value specified in the x-amz-trailer header is not supported",
    ),
    "algorithm without value": (
        {SDK: "CRC32"},
        "InvalidRequest",
        f"{SDK} specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.",
    ),
    "algorithm of another value": (
        {SDK: "CRC32C", "x-amz-checksum-crc32": VALUES["CRC32"]},
        "InvalidRequest",
        f"Value for {SDK} header is invalid.",
    ),
    "unknown algorithm": (
        {"x-amz-checksum-crc16": "AAA="},
        "InvalidRequest",
        "The algorithm type you specified in x-amz-checksum- header is invalid.",
    ),
    "algorithm of S3 that is not built": (
        {"x-amz-checksum-sha512": "AAA="},
        "NotImplemented",
        "Checksum algorithm SHA512 is not implemented.",
    ),
    "trailer of an algorithm that is not built": (
        {"x-amz-trailer": "x-amz-checksum-xxhash3"},
        "NotImplemented",
        "Checksum algorithm XXHASH3 is not implemented.",
    ),
    **{
        f"value {value!r}": (
            {"x-amz-checksum-crc32": value},
            "InvalidRequest",
            "Value for x-amz-checksum-crc32 header is invalid.",
        )
        for value in (
            "",
            "!",
            "y/Q5J",
            "y/Q5JgA=",
            VALUES["CRC64NVME"],
            "cbf43926",
            "y_Q5Jg==",
            f"{VALUES['CRC32']}-2",
            "é",
        )
    },
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_claim_that_cannot_be_held_is_refused(name: str) -> None:
    headers, code, message = REFUSED[name]
    with pytest.raises(RequestError) as refused:
        declared_checksum(headers)
    assert (refused.value.code, refused.value.message) == (code, message)


def test_a_trailer_that_did_not_come_is_malformed() -> None:
    with pytest.raises(RequestError) as refused:
        trailer_checksum("CRC32", {"x-amz-checksum-crc32c": VALUES["CRC32C"]})
    assert refused.value.code == "MalformedTrailerError"


def test_a_trailer_with_a_malformed_value_is_refused() -> None:
    with pytest.raises(RequestError) as refused:
        trailer_checksum("CRC32", {"x-amz-checksum-crc32": "AAA="})
    assert refused.value.message == "Value for x-amz-checksum-crc32 trailing header is invalid."


def test_content_md5_is_read() -> None:
    assert content_md5({}) is None
    assert content_md5({"content-md5": f" {VALUES['MD5']} "}) == bytes.fromhex(CHECK["MD5"])


@pytest.mark.parametrize(
    "value", ["", "!", "25f9e794323b453885f5181f1b624d0b", VALUES["SHA1"], VALUES["MD5"][:-2], "é"]
)
def test_a_malformed_content_md5_is_invalid(value: str) -> None:
    with pytest.raises(RequestError) as refused:
        content_md5({"content-md5": value})
    assert refused.value.code == "InvalidDigest"


@given(
    headers=st.dictionaries(st.sampled_from([*map(checksum_header, EVERY), "x-amz-trailer", SDK]), st.text(max_size=30))
)
def test_any_claim_is_either_read_or_refused_by_a_request_error(headers: dict[str, str]) -> None:
    try:
        declared = declared_checksum(headers)
    except RequestError:
        return
    assert declared is None or declared.in_trailer or declared.value

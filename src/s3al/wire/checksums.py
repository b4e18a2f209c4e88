"""Checksums of payloads: computing, combining, and reading what a request claims.

What lives here: the algorithms, their headers and trailers, full-object and composite checksums of multipart
uploads, Content-MD5. What does not: comparing claim and result (s3.payload), ETags (s3).

Laws: a request names at most one checksum; a claim that cannot be read is an error, and an algorithm that is
known to S3 but not built is refused, never ignored. Values are raw bytes, big-endian for CRCs, as S3 encodes
them in base64.

Sources: S3 User Guide, "Checking object integrity in Amazon S3"; the CRC catalogue's CRC-32/ISO-HDLC,
CRC-32/ISCSI, CRC-64/NVME.
"""

from __future__ import annotations

import binascii
import hashlib
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from awscrt import checksums as crt

from s3al.errors import RequestError

Buffer = bytes | bytearray | memoryview


class Digest(Protocol):
    def update(self, data: Buffer, /) -> None: ...

    def digest(self) -> bytes: ...


class _Crc:
    """A running CRC in the shape of hashlib's objects."""

    __slots__ = ("_compute", "_size", "_value")

    def __init__(self, compute: Callable[[Buffer, int], int], size: int) -> None:
        self._compute, self._size, self._value = compute, size, 0

    def update(self, data: Buffer, /) -> None:
        self._value = self._compute(data, self._value)

    def digest(self) -> bytes:
        return self._value.to_bytes(self._size, "big")


_START: Mapping[str, Callable[[], Digest]] = {
    "CRC32": lambda: _Crc(zlib.crc32, 4),
    "CRC32C": lambda: _Crc(crt.crc32c, 4),
    "CRC64NVME": lambda: _Crc(crt.crc64nvme, 8),
    "SHA1": lambda: hashlib.sha1(usedforsecurity=False),
    "SHA256": hashlib.sha256,
    "MD5": lambda: hashlib.md5(usedforsecurity=False),
}
SIZES: Mapping[str, int] = {"CRC32": 4, "CRC32C": 4, "CRC64NVME": 8, "SHA1": 20, "SHA256": 32, "MD5": 16}
ALGORITHMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")  # those a request may name
_NOT_BUILT = frozenset({"SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128"})

_PREFIX = "x-amz-checksum-"
_NOT_VALUES = frozenset({"x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type"})
_SDK = "x-amz-sdk-checksum-algorithm"
_TRAILER = "x-amz-trailer"


class Digests:
    """Several digests of one stream in one pass. names: of ALGORITHMS, or MD5."""

    __slots__ = ("_digests", "_updates")

    def __init__(self, names: Iterable[str]) -> None:
        self._digests = {name: _START[name]() for name in names}
        self._updates = [digest.update for digest in self._digests.values()]

    def update(self, data: Buffer) -> None:
        for update in self._updates:
            update(data)

    def digest(self, name: str) -> bytes:
        return self._digests[name].digest()


def checksum_header(algorithm: str) -> str:
    return _PREFIX + algorithm.lower()


# --- What a request claims ---


@dataclass(frozen=True, slots=True)
class DeclaredChecksum:
    """value: None where it comes in a trailer."""

    algorithm: str
    value: bytes | None
    in_trailer: bool


def declared_checksum(headers: Mapping[str, str]) -> DeclaredChecksum | None:
    """The checksum of the body that the head of a request announces. Raises InvalidRequest or NotImplemented."""
    names = [name for name in headers if name.startswith(_PREFIX) and name not in _NOT_VALUES]
    trailers = [name.strip().lower() for name in headers.get(_TRAILER, "").split(",") if name.strip()]
    if len(names) + len(trailers) > 1:
        raise _invalid("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
    wanted = headers.get(_SDK)
    if not names and not trailers:
        if wanted is not None:
            raise _invalid(
                f"{_SDK} specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found."
            )
        return None
    if trailers and not trailers[0].startswith(_PREFIX):
        raise _invalid("The value specified in the x-amz-trailer header is not supported")
    algorithm = _algorithm((names or trailers)[0])
    if wanted is not None and wanted.upper() != algorithm:
        raise _invalid(f"Value for {_SDK} header is invalid.")
    if trailers:
        return DeclaredChecksum(algorithm, None, in_trailer=True)
    value = _value(algorithm, headers[names[0]])
    if value is None:
        raise _invalid(f"Value for {names[0]} header is invalid.")
    return DeclaredChecksum(algorithm, value, in_trailer=False)


def trailer_checksum(algorithm: str, trailers: Mapping[str, str]) -> bytes:
    """The value that was announced for a trailer. Raises MalformedTrailerError or InvalidRequest."""
    name = checksum_header(algorithm)
    if name not in trailers:
        raise RequestError("MalformedTrailerError")
    value = _value(algorithm, trailers[name])
    if value is None:
        raise _invalid(f"Value for {name} trailing header is invalid.")
    return value


def content_md5(headers: Mapping[str, str]) -> bytes | None:
    """Raises InvalidDigest."""
    text = headers.get("content-md5")
    if text is None:
        return None
    value = _value("MD5", text)
    if value is None:
        raise RequestError("InvalidDigest", **{"Content-MD5": text[:64]})
    return value


def _invalid(message: str) -> RequestError:
    return RequestError("InvalidRequest", message)


def _algorithm(header: str) -> str:
    algorithm = header.removeprefix(_PREFIX).upper()
    if algorithm in ALGORITHMS:
        return algorithm
    if algorithm in _NOT_BUILT:
        raise RequestError("NotImplemented", f"Checksum algorithm {algorithm} is not implemented.", Header=header)
    raise _invalid("The algorithm type you specified in x-amz-checksum- header is invalid.")


def _value(algorithm: str, text: str) -> bytes | None:
    try:
        value = b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    return value if len(value) == SIZES[algorithm] else None


# --- Checksums of several parts ---


def composite(name: str, part_digests: Iterable[bytes]) -> bytes:
    """The digest of the parts' digests; S3 writes it in base64, followed by "-" and the number of parts."""
    digest = _START[name]()
    for part in part_digests:
        digest.update(part)
    return digest.digest()


# Generator polynomials, bit-reversed: the highest bit stands for x^0.
_POLYNOMIALS: Mapping[str, tuple[int, int]] = {
    "CRC32": (32, 0xEDB88320),
    "CRC32C": (32, 0x82F63B78),
    "CRC64NVME": (64, 0x9A6C9329AC4BC9B5),
}


def combine_crc(name: str, first: bytes, second: bytes, second_bytes: int) -> bytes:
    """The CRC of two streams one after the other, from their CRCs and the length of the second.

    CRC(A + B) = CRC(A) * x^(8 * bytes of B) mod P, plus CRC(B); in these CRCs the initial and the final
    complement cancel out.
    """
    bits, polynomial = _POLYNOMIALS[name]
    if len(first) * 8 != bits or len(second) * 8 != bits or second_bytes < 0:
        raise ValueError(f"not two values of {name} and a length")
    shifted = _multiply(int.from_bytes(first, "big"), _power(name, second_bytes), bits, polynomial)
    return (shifted ^ int.from_bytes(second, "big")).to_bytes(bits // 8, "big")


def _multiply(left: int, right: int, bits: int, polynomial: int) -> int:
    """In GF(2)[x] modulo the polynomial."""
    product = 0
    mask = 1 << (bits - 1)
    while left:
        if left & mask:
            product ^= right
            left ^= mask
        mask >>= 1
        right = (right >> 1) ^ polynomial if right & 1 else right >> 1
    return product


@lru_cache(maxsize=64)
def _power(name: str, size_bytes: int) -> int:
    """x^(8 * size_bytes) modulo the polynomial, by squaring. Remembered: the parts of an upload are mostly of
    one size.
    """
    bits, polynomial = _POLYNOMIALS[name]
    result = 1 << (bits - 1)
    square = result >> 8
    while size_bytes:
        if size_bytes & 1:
            result = _multiply(result, square, bits, polynomial)
        square = _multiply(square, square, bits, polynomial)
        size_bytes >>= 1
    return result

"""The chain of chunk signatures: AWS's documented example, and every way to break the chain."""

from __future__ import annotations

import hashlib

import pytest

from s3al.auth.chunks import ChunkVerifier
from s3al.auth.sigv4 import Seed
from s3al.auth.sigv4_canonical import signing_key
from s3al.auth.sigv4_sign import ChunkSigner
from s3al.errors import RequestError

KEY = signing_key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1", "s3")
DATA = [b"a" * 65536, b"a" * 1024, b""]
DIGESTS = [hashlib.sha256(data).hexdigest() for data in DATA]
TRAILERS = b"x-amz-checksum-crc32c:sOO8/Q==\n"


def seed(signature: str) -> Seed:
    return Seed(KEY, "20130524/us-east-1/s3/aws4_request", "20130524T000000Z", signature)


# Source: S3 API Reference, "Transferring Payload in Multiple Chunks" and "Including Trailing Headers", the examples.
PLAIN_SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
PLAIN = [
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
]
TRAILER_SEED = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
WITH_TRAILER = [
    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
]
TRAILER = "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435"


def test_documented_chunks_are_signed_and_accepted_as_documented() -> None:
    signer, verifier = ChunkSigner(seed(PLAIN_SEED)), ChunkVerifier(seed(PLAIN_SEED))
    assert [signer.chunk(digest) for digest in DIGESTS] == PLAIN
    for signature, digest in zip(PLAIN, DIGESTS, strict=True):
        verifier.chunk(signature, digest)


def test_documented_trailer_is_signed_and_accepted_as_documented() -> None:
    signer, verifier = ChunkSigner(seed(TRAILER_SEED)), ChunkVerifier(seed(TRAILER_SEED))
    assert [signer.chunk(digest) for digest in DIGESTS] == WITH_TRAILER
    assert signer.trailer(TRAILERS) == TRAILER
    for signature, digest in zip(WITH_TRAILER, DIGESTS, strict=True):
        verifier.chunk(signature, digest)
    verifier.trailer(TRAILER, TRAILERS)


def refused(verifier: ChunkVerifier, signature: str, digest: str) -> None:
    with pytest.raises(RequestError) as error:
        verifier.chunk(signature, digest)
    assert error.value.code == "SignatureDoesNotMatch"
    assert signature[:16] not in str(error.value) or not signature


BROKEN = {
    "another signature": ("0" * 64, DIGESTS[0]),
    "the signature in capitals": (PLAIN[0].upper(), DIGESTS[0]),
    "no signature": ("", DIGESTS[0]),
    "a signature beyond ASCII": ("é" * 64, DIGESTS[0]),
    "other data": (PLAIN[0], DIGESTS[1]),
    "the next chunk first": (PLAIN[1], DIGESTS[1]),
    "the end first": (PLAIN[2], DIGESTS[2]),
    "the seed itself": (PLAIN_SEED, DIGESTS[0]),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_first_chunk_that_is_not_the_one_signed_is_refused(what: str) -> None:
    refused(ChunkVerifier(seed(PLAIN_SEED)), *BROKEN[what])


def test_a_chunk_sent_twice_is_refused() -> None:
    verifier = ChunkVerifier(seed(PLAIN_SEED))
    verifier.chunk(PLAIN[0], DIGESTS[0])
    refused(verifier, PLAIN[0], DIGESTS[0])


def test_a_chunk_left_out_is_noticed_at_the_next() -> None:
    verifier = ChunkVerifier(seed(PLAIN_SEED))
    verifier.chunk(PLAIN[0], DIGESTS[0])
    refused(verifier, PLAIN[2], DIGESTS[2])


def test_nothing_passes_after_a_wrong_chunk() -> None:
    verifier = ChunkVerifier(seed(PLAIN_SEED))
    refused(verifier, "0" * 64, DIGESTS[0])
    refused(verifier, PLAIN[0], DIGESTS[0])
    with pytest.raises(RequestError, match="SignatureDoesNotMatch"):
        verifier.trailer(TRAILER, TRAILERS)


@pytest.mark.parametrize("trailers", [b"", TRAILERS[:-1], TRAILERS.upper(), TRAILERS + TRAILERS])
def test_other_trailers_than_those_signed_are_refused(trailers: bytes) -> None:
    verifier = ChunkVerifier(seed(TRAILER_SEED))
    for signature, digest in zip(WITH_TRAILER, DIGESTS, strict=True):
        verifier.chunk(signature, digest)
    with pytest.raises(RequestError, match="SignatureDoesNotMatch"):
        verifier.trailer(TRAILER, trailers)


def test_a_trailer_is_no_chunk_and_a_chunk_no_trailer() -> None:
    verifier, signer = ChunkVerifier(seed(PLAIN_SEED)), ChunkSigner(seed(PLAIN_SEED))
    with pytest.raises(RequestError, match="SignatureDoesNotMatch"):
        verifier.trailer(signer.chunk(DIGESTS[0]), DATA[0])

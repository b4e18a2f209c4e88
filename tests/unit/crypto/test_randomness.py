"""The look of ciphertext: random bytes pass, what people store does not."""

from __future__ import annotations

import random
import zlib
from pathlib import Path

import pytest

from s3al.crypto import randomness
from s3al.crypto.randomness import ENOUGH_BYTES, looks_random

TEXT = Path(randomness.__file__).read_bytes() * 20


@pytest.mark.parametrize("size", [ENOUGH_BYTES, 4096, 1 << 20])
def test_random_bytes_pass(size):
    generator = random.Random(size)
    assert all(looks_random(generator.randbytes(size)) for _ in range(20 if size < 1 << 20 else 3))


@pytest.mark.parametrize(
    "data",
    [TEXT, TEXT.hex().encode(), TEXT.decode().encode("utf-16"), bytes(8192), zlib.compress(TEXT[:0], 0) * 999,
     bytes(range(128)) * 64, bytes(range(256)) * 16 + bytes(512)],
    ids=["text", "hex", "utf-16", "zeros", "one-block", "seven-bits", "padded"],
)  # fmt: skip
def test_what_is_not_ciphertext_is_told(data):
    assert not looks_random(data)


def test_too_little_tells_nothing():
    assert looks_random(b"a" * (ENOUGH_BYTES - 1))

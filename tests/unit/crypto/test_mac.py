"""HMAC-SHA256 gives what the standard library gives."""

from __future__ import annotations

import hmac

from hypothesis import given
from hypothesis import strategies as st

from s3al.crypto.mac import hmac_sha256


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_it_is_the_hmac_of_the_standard_library(key: bytes, message: bytes) -> None:
    assert hmac_sha256(key, message) == hmac.digest(key, message, "sha256")


def test_a_vector_of_rfc_4231() -> None:
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert hmac_sha256(b"Jefe", b"what do ya want for nothing?").hex() == expected

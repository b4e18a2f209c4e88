"""Sealed records open only unaltered, with their key, in their place."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from hypothesis import given
from hypothesis import strategies as st

from s3al.crypto.records import OVERHEAD_BYTES, RecordCipher, open_record, seal_record
from s3al.errors import IntegrityError

KEY, NONCE = bytes(range(32)), bytes(12)


@given(plaintext=st.binary(max_size=300), place=st.binary(max_size=40), nonce=st.binary(min_size=12, max_size=12))
def test_what_is_sealed_opens_in_its_place(plaintext: bytes, place: bytes, nonce: bytes) -> None:
    sealed = seal_record(KEY, plaintext, associated_data=place, nonce=nonce)
    assert len(sealed) == len(plaintext) + OVERHEAD_BYTES
    assert open_record(KEY, sealed, associated_data=place) == plaintext
    with pytest.raises(IntegrityError):
        open_record(KEY, sealed, associated_data=place + b"x")


def test_each_flipped_bit_and_each_cut_is_refused() -> None:
    cipher = RecordCipher(KEY)
    sealed = cipher.seal(b"record", associated_data=b"place", nonce=NONCE)
    altered = [sealed[:cut] for cut in range(len(sealed))] + [sealed + b"\x00"]
    for at in range(len(sealed)):
        for bit in range(8):
            changed = bytearray(sealed)
            changed[at] ^= 1 << bit
            altered.append(bytes(changed))
    for bad in altered:
        with pytest.raises(IntegrityError) as refusal:
            cipher.open(bad, associated_data=b"place")
        assert str(refusal.value) == "a stored record does not open in this place"


def test_layout_is_version_nonce_ciphertext_tag_with_the_version_bound() -> None:
    nonce = bytes(range(12))
    expected = b"\x01" + nonce + AESGCMSIV(KEY).encrypt(nonce, b"record", b"\x01place")
    assert seal_record(KEY, b"record", associated_data=b"place", nonce=nonce) == expected


def test_a_repeated_nonce_shows_only_that_equal_records_are_equal() -> None:
    """Why GCM-SIV: under GCM the exclusive or of two ciphertexts would be that of the plaintexts."""
    one, same, other = (
        seal_record(KEY, byte * 32, associated_data=b"place", nonce=NONCE) for byte in (b"\x00", b"\x00", b"\xff")
    )
    assert one == same
    assert bytes(a ^ b for a, b in zip(one[13:45], other[13:45], strict=True)) != b"\xff" * 32


def test_another_key_is_refused() -> None:
    sealed = seal_record(KEY, b"record", associated_data=b"", nonce=NONCE)
    with pytest.raises(IntegrityError):
        open_record(bytes(32), sealed, associated_data=b"")


@pytest.mark.parametrize("key", [b"", bytes(16), bytes(31), bytes(33)])
def test_keys_are_32_bytes(key: bytes) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        RecordCipher(key)


@pytest.mark.parametrize("nonce", [b"", bytes(11), bytes(13), bytes(24)])
def test_nonces_are_12_bytes(nonce: bytes) -> None:
    with pytest.raises(ValueError, match=r"[Nn]once"):
        RecordCipher(KEY).seal(b"", associated_data=b"", nonce=nonce)


def test_repr_shows_no_key() -> None:
    assert KEY.hex() not in repr(RecordCipher(KEY))

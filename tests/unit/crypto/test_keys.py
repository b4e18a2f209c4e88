"""Deriving, wrapping, the children of a data key, and KMS ciphertext blobs."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation, Mode
from hypothesis import given
from hypothesis import strategies as st

from s3al.crypto.encoding import canonical
from s3al.crypto.keys import (
    KmsBlob,
    commitment,
    derive,
    hkdf_sha256,
    open_kms,
    parse_kms_blob,
    private_record_key,
    seal_kms,
    stream_key,
    unwrap,
    wrap,
)
from s3al.errors import IntegrityError

KEY, OTHER = bytes(range(32)), bytes(32)
RANDOM = bytes(range(100, 128))
KEYS = st.binary(min_size=32, max_size=32)
LABELS = st.binary(min_size=1, max_size=30).filter(lambda label: 0 not in label)
KEY_ID = "1234abcd-12ab-34cd-56ef-1234567890ab"
MATERIAL_ID = bytes(range(32, 64))
CANNOT_OPEN = "the ciphertext does not open with this key in this place"


@given(key=KEYS, label=LABELS, context=st.binary(max_size=60), length=st.integers(1, 200))
def test_derive_is_sp_800_108_counter_mode_of_cryptography(
    key: bytes, label: bytes, context: bytes, length: int
) -> None:
    oracle = KBKDFHMAC(
        algorithm=hashes.SHA256(),
        mode=Mode.CounterMode,
        length=length,
        rlen=4,
        llen=4,
        location=CounterLocation.BeforeFixed,
        label=label,
        context=context,
        fixed=None,
    )
    assert derive(key, label, context, length) == oracle.derive(key)


@given(key=KEYS, salt=st.binary(min_size=32, max_size=32), info=st.binary(max_size=100))
def test_hkdf_is_rfc_5869_of_cryptography(key: bytes, salt: bytes, info: bytes) -> None:
    assert hkdf_sha256(key, salt, info) == HKDF(hashes.SHA256(), 32, salt, info).derive(key)


@pytest.mark.parametrize(
    ("key", "label", "length"),
    [
        (b"", b"label", 32),
        (bytes(31), b"label", 32),
        (bytes(33), b"label", 32),
        (KEY, b"", 32),
        (KEY, b"la\x00bel", 32),
        (KEY, b"label", 0),
        (KEY, b"label", -1),
        (KEY, b"label", 8161),
    ],
)
def test_derive_refuses_what_would_be_ambiguous(key: bytes, label: bytes, length: int) -> None:
    with pytest.raises(ValueError, match="bytes"):
        derive(key, label, b"", length)


def test_derive_gives_up_to_255_blocks() -> None:
    assert len(derive(KEY, b"label", b"", 8160)) == 8160


@given(plaintext=st.binary(max_size=200), place=st.binary(max_size=40), random=st.binary(min_size=28, max_size=28))
def test_what_is_wrapped_unwraps_in_its_place_only(plaintext: bytes, place: bytes, random: bytes) -> None:
    wrapped = wrap(KEY, plaintext, associated_data=place, random=random)
    assert len(wrapped) == 45 + len(plaintext)
    assert unwrap(KEY, wrapped, associated_data=place) == plaintext
    for key, elsewhere in ((KEY, place + b"\x00"), (OTHER, place)):
        with pytest.raises(IntegrityError, match=CANNOT_OPEN):
            unwrap(key, wrapped, associated_data=elsewhere)


def test_each_flipped_bit_and_each_cut_of_a_wrapped_key_is_refused() -> None:
    wrapped = wrap(KEY, OTHER, associated_data=b"place", random=RANDOM)
    for bad in altered(wrapped):
        with pytest.raises(IntegrityError, match=CANNOT_OPEN):
            unwrap(KEY, bad, associated_data=b"place")


def test_two_wraps_of_one_key_share_nothing() -> None:
    one = wrap(KEY, OTHER, associated_data=b"", random=bytes(28))
    two = wrap(KEY, OTHER, associated_data=b"", random=b"\x01" + bytes(27))  # the salt alone differs
    assert one[29:61] != two[29:61]
    assert bytes(a ^ b for a, b in zip(one[29:61], two[29:61], strict=True)) != bytes(32)


@pytest.mark.parametrize(("size", "random"), [(65_537, RANDOM), (32, b""), (32, bytes(27)), (32, bytes(29))])
def test_wrap_takes_small_secrets_and_exact_randomness(size: int, random: bytes) -> None:
    with pytest.raises(ValueError, match="28 random bytes"):
        wrap(KEY, bytes(size), associated_data=b"", random=random)


def test_wrap_takes_64_kib() -> None:
    wrapped = wrap(KEY, bytes(65_536), associated_data=b"", random=RANDOM)
    assert unwrap(KEY, wrapped, associated_data=b"") == bytes(65_536)


def test_children_of_a_data_key_are_all_different() -> None:
    identifier, other = bytes(16), b"\x01" * 16
    children = {
        KEY,
        stream_key(KEY, identifier),
        stream_key(KEY, other),
        stream_key(OTHER, identifier),
        private_record_key(KEY),
        private_record_key(OTHER),
        commitment(KEY, identifier),
        commitment(KEY, other),
        commitment(OTHER, identifier),
    }
    assert len(children) == 9
    assert {len(child) for child in children} == {32}


@pytest.mark.parametrize("identifier", [b"", bytes(15), bytes(17), bytes(32)])
def test_children_take_identifiers_of_16_bytes(identifier: bytes) -> None:
    for child in (stream_key, commitment):
        with pytest.raises(ValueError, match="16 bytes"):
            child(KEY, identifier)


def sealed_kms(context: dict[str, str], plaintext: bytes = b"secret", key_id: str = KEY_ID) -> bytes:
    return seal_kms(KEY, key_id=key_id, material_id=MATERIAL_ID, context=context, plaintext=plaintext, random=RANDOM)


TEXT = st.text(st.characters(codec="utf-8"), max_size=6)
CONTEXTS = st.dictionaries(TEXT, TEXT)


@given(context=CONTEXTS, other=CONTEXTS, plaintext=st.binary(min_size=1, max_size=100))
def test_a_kms_blob_opens_with_its_own_context_only(
    context: dict[str, str], other: dict[str, str], plaintext: bytes
) -> None:
    blob = parse_kms_blob(sealed_kms(context, plaintext))
    assert (blob.key_id, blob.material_id) == (KEY_ID, MATERIAL_ID)
    assert open_kms(KEY, blob, context) == plaintext
    if other != context:
        with pytest.raises(IntegrityError, match=CANNOT_OPEN):
            open_kms(KEY, blob, other)


@pytest.mark.parametrize("key_id", [KEY_ID, "mrk-1234abcd12ab34cd56ef1234567890ab", "a", "x" * 64, "service_key"])
def test_a_kms_blob_parses_to_what_was_formatted(key_id: str) -> None:
    raw = sealed_kms({}, b"x" * 4096, key_id)
    assert parse_kms_blob(raw).format() == raw
    assert parse_kms_blob(raw).key_id == key_id


def test_each_flipped_bit_and_each_cut_of_a_kms_blob_is_refused() -> None:
    raw = sealed_kms({"a": "b"})
    for bad in altered(raw):
        with pytest.raises(IntegrityError, match=CANNOT_OPEN):
            open_kms(KEY, parse_kms_blob(bad), {"a": "b"})


@given(st.binary(max_size=200))
def test_foreign_bytes_are_no_kms_blob(foreign: bytes) -> None:
    for raw in (foreign, b"s3al\x01" + foreign):
        try:
            blob = parse_kms_blob(raw)
        except IntegrityError:
            continue
        assert blob.format() == raw
        with pytest.raises(IntegrityError):
            open_kms(KEY, blob, {})


def test_a_blob_relabelled_with_another_key_or_material_is_refused() -> None:
    blob = parse_kms_blob(sealed_kms({}))
    for key_id, material_id in ((KEY_ID[:-1] + "c", MATERIAL_ID), (KEY_ID, bytes(32))):
        relabelled = KmsBlob(key_id, material_id, blob.salt, blob.iv, blob.sealed)
        with pytest.raises(IntegrityError, match=CANNOT_OPEN):
            open_kms(KEY, relabelled, {})


@pytest.mark.parametrize("key_id", ["", "x" * 65, "arn:aws:kms:::key", "alias/name", "a b", "schlüssel", KEY_ID + "\n"])
def test_key_ids_that_are_no_ids_are_refused(key_id: str) -> None:
    with pytest.raises(ValueError, match="KMS ciphertext"):
        sealed_kms({}, b"x", key_id)
    named = key_id.encode()
    raw = b"s3al\x01" + bytes([len(named)]) + named + MATERIAL_ID + RANDOM + bytes(20)
    with pytest.raises(IntegrityError):
        parse_kms_blob(raw)


@pytest.mark.parametrize("plaintext", [b"", bytes(4097)])
def test_kms_plaintexts_have_1_to_4096_bytes(plaintext: bytes) -> None:
    with pytest.raises(ValueError, match="4096"):
        sealed_kms({}, plaintext)


def test_a_blob_of_nothing_is_refused_even_when_its_tag_is_right() -> None:
    header = b"s3al\x01" + bytes([len(KEY_ID)]) + KEY_ID.encode() + MATERIAL_ID
    salt, iv = RANDOM[:16], RANDOM[16:]
    tag = AESGCM(derive(KEY, b"s3al kms wrap v1", salt)).encrypt(iv, b"", canonical(header, b""))
    with pytest.raises(IntegrityError, match=CANNOT_OPEN):
        parse_kms_blob(header + salt + iv + tag)


def test_an_oversize_blob_is_refused_before_it_is_opened() -> None:
    with pytest.raises(IntegrityError):
        parse_kms_blob(sealed_kms({}) + bytes(6144))


def test_repr_of_a_blob_shows_ids_only() -> None:
    blob = parse_kms_blob(sealed_kms({}))
    assert blob.salt.hex() not in repr(blob)
    assert repr(blob.sealed) not in repr(blob)
    assert KEY_ID in repr(blob)


def altered(sealed: bytes) -> list[bytes]:
    """Every cut, one byte more, and every single flipped bit."""
    bad = [sealed[:cut] for cut in range(len(sealed))] + [sealed + b"\x00"]
    for at in range(len(sealed)):
        for bit in range(8):
            changed = bytearray(sealed)
            changed[at] ^= 1 << bit
            bad.append(bytes(changed))
    return bad

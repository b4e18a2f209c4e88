"""Keyrings: what S3 manages is refused, legacy wrappings open behind the switch, and paddings tell nothing."""

from __future__ import annotations

import os
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

from s3al.client import (
    AesKeyring,
    AlgorithmSuite,
    ClientConfigError,
    DecryptionError,
    EncryptionContextError,
    EnvelopeError,
    KmsKeyring,
    PolicyError,
    RsaKeyring,
    S3EncryptionClient,
    S3EncryptionClientConfig,
    S3ManagedKeyError,
    WrapAlgorithm,
    WrappedKey,
)
from unit.client.world import KMS_KEY, OTHER_KEY, WRAPPING_KEY, FakeKms, FakeS3

SUITE = AlgorithmSuite.ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY
V2_SUITE = AlgorithmSuite.ALG_AES_256_GCM_IV12_TAG16_NO_KDF
CBC_SUITE = AlgorithmSuite.ALG_AES_256_CBC_IV16_NO_KDF
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)

MANAGED = ("SSE-S3", "AES256", "aws:kms", "alias/aws/s3", "ALIAS/AWS/S3",
           "arn:aws:kms:us-east-1:111122223333:alias/aws/s3")  # fmt: skip


@pytest.mark.parametrize("named", MANAGED)
def test_a_key_that_s3_manages_is_refused_by_name_with_the_reason_and_the_two_choices(named: str) -> None:
    with pytest.raises(S3ManagedKeyError) as caught:
        KmsKeyring(FakeKms(), named)
    told = f"{caught.value} {caught.value.advice}"
    assert "not encrypted before they are uploaded" in told
    assert "customer managed KMS key" in told
    assert "key of the application" in told


@pytest.mark.parametrize("named", ["1234abcd-12ab-34cd-56ef-1234567890ab", KMS_KEY], ids=["id", "ARN"])
def test_a_managed_key_named_by_id_or_arn_is_refused_before_anything_is_written(named: str) -> None:
    s3, kms = FakeS3(), FakeKms(manager="AWS")
    client = S3EncryptionClient(s3, S3EncryptionClientConfig(keyring=KmsKeyring(kms, named)))
    for write in (lambda: client.put_object(Bucket="b", Key="k", Body=b"x"),
                  lambda: client.create_multipart_upload(Bucket="b", Key="k")):  # fmt: skip
        with pytest.raises(S3ManagedKeyError):
            write()
    assert s3.calls == []
    assert "GenerateDataKey" not in kms.names()


def test_who_manages_the_key_is_asked_once() -> None:
    kms = FakeKms()
    keyring = KmsKeyring(kms, KMS_KEY)
    for _ in range(3):
        keyring.generate(SUITE, None)
    assert kms.names().count("DescribeKey") == 1


def wrap_ecb(data_key: bytes) -> bytes:
    padded = data_key + bytes([16]) * 16
    encryptor = Cipher(AES(WRAPPING_KEY), ECB()).encryptor()
    return encryptor.update(padded) + encryptor.finalize()


DATA_KEY = bytes(range(100, 132))
OAEP_256 = padding.OAEP(mgf=padding.MGF1(SHA1()), algorithm=SHA256(), label=None)
LEGACY: dict[str, tuple[Any, WrapAlgorithm, bytes]] = {
    "AES": (AesKeyring, WrapAlgorithm.AES, wrap_ecb(DATA_KEY)),
    "AESWrap": (AesKeyring, WrapAlgorithm.AES_WRAP, aes_key_wrap(WRAPPING_KEY, DATA_KEY)),
    "RSA": (RsaKeyring, WrapAlgorithm.RSA, RSA_KEY.public_key().encrypt(DATA_KEY, padding.PKCS1v15())),
    "RSA OAEP SHA-256": (
        RsaKeyring, WrapAlgorithm.RSA_OAEP_SHA256, RSA_KEY.public_key().encrypt(DATA_KEY, OAEP_256),
    ),
}  # fmt: skip


def keyring_of(kind: Any, **settings: Any) -> Any:
    return kind(WRAPPING_KEY if kind is AesKeyring else RSA_KEY, **settings)


@pytest.mark.parametrize("name", LEGACY)
def test_legacy_wrappings_open_behind_the_switch_only(name: str) -> None:
    kind, wrap, blob = LEGACY[name]
    wrapped = WrappedKey(wrap, blob, {})
    with pytest.raises(PolicyError):
        keyring_of(kind).unwrap(CBC_SUITE, wrapped, None)
    opened = keyring_of(kind, enable_legacy_wrapping_algorithms=True).unwrap(CBC_SUITE, wrapped, None)
    assert opened == DATA_KEY


@pytest.mark.parametrize("wrap", [WrapAlgorithm.RSA, WrapAlgorithm.RSA_OAEP_SHA256, WrapAlgorithm.RSA_OAEP])
@pytest.mark.parametrize(
    "blob", [bytes(256), b"", os.urandom(256), os.urandom(300)], ids=["zero", "none", "any", "long"]
)
def test_a_wrong_rsa_padding_gives_a_key_that_opens_nothing_and_no_error(wrap: WrapAlgorithm, blob: bytes) -> None:
    keyring = RsaKeyring(RSA_KEY, enable_legacy_wrapping_algorithms=True)
    first = keyring.unwrap(SUITE, WrappedKey(wrap, blob, {}), None)
    assert len(first) in {16, 24, 32}
    assert first != DATA_KEY


def test_an_rsa_wrapped_key_is_bound_to_its_content_algorithm() -> None:
    keyring = RsaKeyring(RSA_KEY)
    made = keyring.generate(SUITE, None)
    assert keyring.unwrap(SUITE, made.wrapped, None) == made.plaintext
    assert keyring.unwrap(V2_SUITE, made.wrapped, None) != made.plaintext


def test_an_aes_wrapped_key_is_bound_to_its_content_algorithm_and_key() -> None:
    keyring = AesKeyring(WRAPPING_KEY)
    made = keyring.generate(SUITE, None)
    assert keyring.unwrap(SUITE, made.wrapped, None) == made.plaintext
    with pytest.raises(DecryptionError):
        keyring.unwrap(V2_SUITE, made.wrapped, None)
    with pytest.raises(DecryptionError):
        AesKeyring(OTHER_KEY).unwrap(SUITE, made.wrapped, None)
    for blob in (b"", made.wrapped.ciphertext[:-1], bytes(60)):
        with pytest.raises(DecryptionError):
            keyring.unwrap(SUITE, WrappedKey(WrapAlgorithm.AES_GCM, blob, {}), None)


def test_keyrings_refuse_wrappings_of_another_kind_and_contexts_they_cannot_keep() -> None:
    keyring = AesKeyring(WRAPPING_KEY)
    with pytest.raises(EnvelopeError):
        keyring.unwrap(SUITE, WrappedKey(WrapAlgorithm.RSA_OAEP, b"x", {}), None)
    with pytest.raises(EncryptionContextError):
        keyring.generate(SUITE, {"tenant": "blue"})


@pytest.mark.parametrize("bad", [b"", bytes(16), bytes(31), "x" * 32])
def test_an_aes_key_has_32_bytes(bad: Any) -> None:
    with pytest.raises(ClientConfigError):
        AesKeyring(bad)


def test_rsa_halves_do_their_half() -> None:
    public = RsaKeyring(public_key=RSA_KEY.public_key())
    made = public.generate(SUITE, None)
    assert RsaKeyring(RSA_KEY).unwrap(SUITE, made.wrapped, None) == made.plaintext
    with pytest.raises(ClientConfigError):
        public.unwrap(SUITE, made.wrapped, None)
    with pytest.raises(ClientConfigError):
        RsaKeyring()


def test_nothing_secret_is_shown() -> None:
    keyring = AesKeyring(WRAPPING_KEY)
    made = keyring.generate(SUITE, None)
    config = S3EncryptionClientConfig(keyring=keyring)
    for shown in (repr(keyring), repr(made), repr(RsaKeyring(RSA_KEY)), repr(config)):
        assert repr(WRAPPING_KEY)[2:20] not in shown
        assert repr(made.plaintext)[2:20] not in shown

"""The KMS seal on this project's own KMS, over boto3."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError

from contract.seal_suite import ROOT_KEY, STORE_ID, SealSuite
from s3al.errors import ConfigError, IntegrityError, StoreError
from s3al.kms.seals.addresses import RemoteKeyAddress
from s3al.kms.seals.port import Seal
from s3al.kms.seals.remote_kms import STORE_ID_CONTEXT, RemoteKmsSeal
from support.house import House, open_house


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("kms")) as house:
        yield house


def made(house: House) -> RemoteKmsSeal:
    key_arn = house.client("kms").create_key()["KeyMetadata"]["Arn"]
    return RemoteKmsSeal(RemoteKeyAddress(key_arn, "us-east-1"), STORE_ID, lambda: house.client("kms"))


class TestRemoteKmsSeal(SealSuite):
    @pytest.fixture(autouse=True)
    def _house(self, house: House) -> None:
        self.house = house

    def make_seal(self) -> Seal:
        return made(self.house)

    def secrets_of(self, seal: Seal) -> list[bytes]:
        return [self.house.config.root_credentials.secret_access_key.encode()]  # type: ignore[union-attr]


def test_the_context_names_the_store_so_that_another_store_cannot_open_it(house: House) -> None:
    seal = made(house)
    sealed = seal.seal(ROOT_KEY, place=b"p", random=secrets.token_bytes)
    with pytest.raises(IntegrityError):
        RemoteKmsSeal(seal.address, bytes(16), seal.client).unseal(sealed, place=b"p")
    kms = house.client("kms")
    opened = kms.decrypt(
        CiphertextBlob=sealed, EncryptionContext={STORE_ID_CONTEXT: STORE_ID.hex(), "s3al:place": b"p".hex()}
    )
    assert opened["Plaintext"] == ROOT_KEY


def test_a_disabled_key_is_waited_for_and_opens_again(house: House) -> None:
    seal, kms = made(house), house.client("kms")
    sealed = seal.seal(ROOT_KEY, place=b"p", random=secrets.token_bytes)
    kms.disable_key(KeyId=seal.address.key_arn)
    with pytest.raises(StoreError, match="DisabledException") as caught:
        seal.unseal(sealed, place=b"p")
    assert caught.value.retryable
    kms.enable_key(KeyId=seal.address.key_arn)
    assert seal.unseal(sealed, place=b"p") == ROOT_KEY


class Failing:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def decrypt(self, **_: Any) -> Any:
        raise self.error

    def close(self) -> None:
        pass


def answer(code: str, status: int) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "Decrypt")  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("error", "family"),
    [
        (EndpointConnectionError(endpoint_url="http://kms"), StoreError),
        (answer("KMSInternalException", 500), StoreError),
        (answer("SomethingNew", 503), StoreError),
        (answer("ThrottlingException", 400), StoreError),
        (answer("KMSInvalidStateException", 400), StoreError),
        (NoCredentialsError(), ConfigError),
        (answer("AccessDeniedException", 400), ConfigError),
        (answer("NotFoundException", 400), ConfigError),
        (answer("InvalidCiphertextException", 400), IntegrityError),
        (answer("IncorrectKeyException", 400), IntegrityError),
    ],
)
def test_each_failure_has_the_family_of_who_must_act(error: Exception, family: type[Exception]) -> None:
    address = RemoteKeyAddress("arn:aws:kms:us-east-1:000000000001:key/k", "us-east-1")
    with pytest.raises(family):
        RemoteKmsSeal(address, STORE_ID, lambda: Failing(error)).unseal(b"x", place=b"p")

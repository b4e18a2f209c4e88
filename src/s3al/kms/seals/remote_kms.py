"""The KMS seal: a key in another KMS that speaks AWS's API; AWS itself, or a second s3al.

What lives here: Encrypt and Decrypt over botocore, and what their errors mean for a seal. What does not: credentials,
which botocore finds as it always does (environment, profile, instance role).

Laws: the encryption context names the store, so that the KMS's policy can bind a key to it and its audit trail
says which store was opened, and the place, so that nothing opens elsewhere; Decrypt always names the key. While the
KMS cannot be reached, or refuses for now, errors are retryable.

Source: KMS API reference, Encrypt, Decrypt; spec/key-hierarchy.md, Seals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from s3al.crypto.encoding import canonical
from s3al.errors import ConfigError, IntegrityError, S3alError, StoreError
from s3al.kms.seals.addresses import RemoteKeyAddress
from s3al.kms.seals.port import CHECK_PLACE, SEAL_KEY_BYTES, Parameters, Random

STORE_ID_CONTEXT = "s3al:store-id"
PLACE_CONTEXT = "s3al:place"
_ATTEMPT_S = 5

_DOES_NOT_OPEN = frozenset(("InvalidCiphertextException", "IncorrectKeyException"))
# What an administrator of that KMS may put right: the store waits for it as for a server that is down.
_FOR_NOW = frozenset(
    {
        *("DisabledException", "KMSInvalidStateException", "KMSInternalException", "KeyUnavailableException"),
        *("DependencyTimeoutException", "LimitExceededException", "ThrottlingException", "ServiceUnavailable"),
        "RequestTimeout",
    }
)

Client = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class RemoteKmsSeal:
    """client: makes a botocore KMS client; closed again after each call."""

    address: RemoteKeyAddress
    store_id: bytes
    client: Client = field(repr=False)

    @property
    def kind(self) -> str:
        return "kms"

    @property
    def parameters(self) -> Parameters:
        return {"key_arn": self.address.key_arn}

    def describe(self) -> str:
        return f"KMS key {self.address.key_arn}" + (f" at {self.address.endpoint}" if self.address.endpoint else "")

    def seal(self, root_key: bytes, *, place: bytes, random: Random) -> bytes:  # noqa: ARG002  (the KMS draws it)
        sealed: bytes = self._call("encrypt", "CiphertextBlob", place, Plaintext=root_key)
        return sealed

    def unseal(self, sealed: bytes, *, place: bytes) -> bytes:
        if not sealed:
            raise IntegrityError("what the KMS sealed is damaged")
        return self._call("decrypt", "Plaintext", place, CiphertextBlob=sealed)

    def check_value(self, store_id: bytes, *, random: Random) -> bytes:
        return self.seal(bytes(SEAL_KEY_BYTES), place=canonical(CHECK_PLACE, store_id), random=random)

    def recognises(self, check_value: bytes, store_id: bytes) -> bool:
        try:
            return self.unseal(check_value, place=canonical(CHECK_PLACE, store_id)) == bytes(SEAL_KEY_BYTES)
        except IntegrityError:
            return False

    def _call(self, operation: str, member: str, place: bytes, **members: bytes) -> bytes:
        from botocore.exceptions import BotoCoreError, ClientError

        context = {STORE_ID_CONTEXT: self.store_id.hex(), PLACE_CONTEXT: place.hex()}
        try:
            client = self.client()
            try:
                answer = getattr(client, operation)(
                    KeyId=self.address.key_arn, EncryptionContext=context, **members
                )
            finally:
                client.close()
        except ClientError as error:
            raise self._meaning(error.response) from None
        except BotoCoreError as error:
            raise self._failure(type(error).__name__) from None
        return bytes(answer[member])

    def _meaning(self, response: Any) -> S3alError:
        code, status = response["Error"]["Code"], response["ResponseMetadata"].get("HTTPStatusCode", 0)
        if code in _DOES_NOT_OPEN:
            return IntegrityError("the KMS does not open this")
        if code in _FOR_NOW or status >= 500:
            return StoreError(f"{self.describe()} cannot be used now: {code}")
        return ConfigError(f"{self.describe()} refuses: {code}", advice="check the key, its policy and the credentials")

    def _failure(self, name: str) -> S3alError:
        if name in ("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "NoRegionError"):
            return ConfigError(f"no credentials for {self.describe()} ({name})", advice="give them as for the AWS CLI")
        return StoreError(f"{self.describe()} cannot be reached: {name}")


def client_of(address: RemoteKeyAddress) -> Client:
    """Makes clients for the key's region, with the credentials that botocore finds."""

    def make() -> Any:
        from botocore.config import Config
        from botocore.session import Session

        settings = Config(connect_timeout=_ATTEMPT_S, read_timeout=_ATTEMPT_S, retries={"total_max_attempts": 2})
        return Session().create_client(
            "kms", region_name=address.region, endpoint_url=address.endpoint or None, config=settings
        )

    return make

"""Data keys from a KMS: `KmsKeyring` with one key, `KmsDiscoveryKeyring` that opens under any.

What lives here: GenerateDataKey and Decrypt with the context rules of the formats, and the refusal of keys that S3
manages. What does not: the KMS client, which the caller makes and we never alter.

Laws: the content algorithm is bound into the encryption context, and on reading the stored one must name the algorithm
that the object has. Everything that can be refused is refused before the KMS is asked. A stored context, less the
reserved names, must equal the caller's.

Source: Amazon S3 Encryption Client specification, KMS keyring; AWS KMS API, GenerateDataKey, Decrypt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from s3al.client.errors import ClientConfigError, DecryptionError, EncryptionContextError, S3ManagedKeyError
from s3al.client.formats.suites import AlgorithmSuite, WrapAlgorithm
from s3al.client.keyrings.port import (
    CONTEXT_BINDING,
    RESERVED_CONTEXT,
    DataKey,
    WrappedKey,
    check_context,
    require_modern,
    require_wrap,
)

_S3_MANAGED: Final = re.compile(
    r"(?:arn:[^:]+:kms:[^:]*:[^:]*:)?alias/aws/.+|sse-s3|aes256|aws:kms(?::dsse)?", re.IGNORECASE
)
_ACCEPTED: Final = frozenset({WrapAlgorithm.KMS_CONTEXT, WrapAlgorithm.KMS})
# The KMS says by these that the blob does not open: not that it could not be asked.
_DOES_NOT_OPEN: Final = frozenset({"InvalidCiphertextException", "IncorrectKeyException"})
_CANNOT_TELL: Final = frozenset({"AccessDeniedException", "NotImplemented", "UnknownOperationException"})


class KmsDiscoveryKeyring:
    """Opens objects under whatever KMS key they name, if the caller may use it. Writes nothing."""

    waits = True

    def __init__(
        self,
        kms_client: Any,
        *,
        grant_tokens: Sequence[str] = (),
        enable_legacy_wrapping_algorithms: bool = False,
    ) -> None:
        self._kms = kms_client
        self._grant_tokens = tuple(grant_tokens)
        self._legacy_enabled = enable_legacy_wrapping_algorithms
        self._decrypt_key_id: str | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._decrypt_key_id or 'any key'})"

    def generate(self, suite: AlgorithmSuite, context: Mapping[str, str] | None) -> DataKey:  # noqa: ARG002
        raise ClientConfigError("a discovery keyring only reads", advice="Write with KmsKeyring(kms_client, key).")

    def unwrap(self, suite: AlgorithmSuite, wrapped: WrappedKey, context: Mapping[str, str] | None) -> bytes:
        require_wrap(wrapped, _ACCEPTED, "a KMS keyring")
        require_modern(wrapped, legacy_enabled=self._legacy_enabled)
        expected = check_context(context)
        stored = dict(wrapped.description)
        if wrapped.wrap is WrapAlgorithm.KMS_CONTEXT and stored.get(CONTEXT_BINDING) != suite.binding:
            raise EncryptionContextError("the object's content algorithm is not the one its data key is bound to")
        if {name: value for name, value in stored.items() if name not in RESERVED_CONTEXT} != expected:
            raise EncryptionContextError(
                "the encryption context given is not the one that the object was written with",
                advice="Pass the same EncryptionContext to get_object as to put_object.",
            )
        return self._decrypt(wrapped.ciphertext, stored)

    def _decrypt(self, blob: bytes, context: dict[str, str]) -> bytes:
        asked: dict[str, Any] = {"CiphertextBlob": blob, "EncryptionContext": context, **self._tokens()}
        if self._decrypt_key_id is not None:
            asked["KeyId"] = self._decrypt_key_id
        try:
            plaintext: bytes = self._kms.decrypt(**asked)["Plaintext"]
        except ClientError as exc:
            if exc.response.get("Error", {}).get("Code") in _DOES_NOT_OPEN:
                raise DecryptionError from exc
            raise
        return plaintext

    def _tokens(self) -> dict[str, Any]:
        return {"GrantTokens": list(self._grant_tokens)} if self._grant_tokens else {}


class KmsKeyring(KmsDiscoveryKeyring):
    """Writes and reads under one KMS key: an id, ARN, alias, or alias ARN of a key that a customer manages."""

    def __init__(
        self,
        kms_client: Any,
        kms_key_id: str,
        enable_legacy_wrapping_algorithms: bool = False,
        *,
        grant_tokens: Sequence[str] = (),
    ) -> None:
        """Raises S3ManagedKeyError for `SSE-S3`, `alias/aws/s3` and the like; for an id or ARN it is raised at first
        use, when the KMS tells who manages the key."""
        super().__init__(
            kms_client, grant_tokens=grant_tokens, enable_legacy_wrapping_algorithms=enable_legacy_wrapping_algorithms
        )
        if not isinstance(kms_key_id, str) or not kms_key_id:
            raise ClientConfigError("a KMS keyring needs the id, ARN or alias of a key")
        if _S3_MANAGED.fullmatch(kms_key_id.strip()):
            raise S3ManagedKeyError(kms_key_id)
        self.kms_key_id = kms_key_id
        self._decrypt_key_id = kms_key_id
        self._known_customer_managed = False

    def generate(self, suite: AlgorithmSuite, context: Mapping[str, str] | None) -> DataKey:
        bound = {**check_context(context), CONTEXT_BINDING: suite.binding}
        self._refuse_managed_key()
        answer = self._kms.generate_data_key(
            KeyId=self.kms_key_id, KeySpec="AES_256", EncryptionContext=bound, **self._tokens()
        )
        return DataKey(answer["Plaintext"], WrappedKey(WrapAlgorithm.KMS_CONTEXT, answer["CiphertextBlob"], bound))

    def wrap(self, suite: AlgorithmSuite, data_key: bytes, context: Mapping[str, str] | None = None) -> WrappedKey:
        """A data key that exists, wrapped with this key (KMS Encrypt): to rotate instruction files."""
        bound = {**check_context(context), CONTEXT_BINDING: suite.binding}
        self._refuse_managed_key()
        answer = self._kms.encrypt(
            KeyId=self.kms_key_id, Plaintext=data_key, EncryptionContext=bound, **self._tokens()
        )
        return WrappedKey(WrapAlgorithm.KMS_CONTEXT, answer["CiphertextBlob"], bound)

    def _refuse_managed_key(self) -> None:
        """An id or ARN does not show who manages the key. Who may not ask is refused such a key by its own policy."""
        if self._known_customer_managed:
            return
        try:
            told = self._kms.describe_key(KeyId=self.kms_key_id, **self._tokens())["KeyMetadata"]
        except ClientError as exc:
            if exc.response.get("Error", {}).get("Code") not in _CANNOT_TELL:
                raise
        else:
            if told.get("KeyManager") == "AWS":
                raise S3ManagedKeyError(self.kms_key_id)
        self._known_customer_managed = True

"""Algorithm suites, formats, and the rules which of them may be written and read.

What lives here: the tables. What does not: their use.

Laws: the policy is asked with the suite that the object really has, and before any key is.

Source: Amazon S3 Encryption Client specification (algorithm suites, key commitment); spec/client-stream-format.md.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

from s3al.client.errors import ClientConfigError, PolicyError

GCM_TAG_BYTES: Final = 16
MAX_GCM_PLAINTEXT_BYTES: Final = 2**36 - 32


class AlgorithmSuite(Enum):
    """Content encryption. Names as in AWS's clients; the stream suite is ours."""

    ALG_AES_256_CBC_IV16_NO_KDF = "AES/CBC/PKCS5Padding"
    ALG_AES_256_GCM_IV12_TAG16_NO_KDF = "AES/GCM/NoPadding"
    ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY = "115"
    ALG_AES_256_GCM_HKDF_SHA256_STREAM = "s3al-stream-1"

    @property
    def binding(self) -> str:
        """The name that wrapped keys and encryption contexts are bound to."""
        return self.value

    @property
    def committing(self) -> bool:
        """Whether the object opens under one data key only."""
        return self in (
            AlgorithmSuite.ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY,
            AlgorithmSuite.ALG_AES_256_GCM_HKDF_SHA256_STREAM,
        )

    @property
    def legacy(self) -> bool:
        """Read only, and only behind the switch: its content is not authenticated."""
        return self is AlgorithmSuite.ALG_AES_256_CBC_IV16_NO_KDF


CBC = AlgorithmSuite.ALG_AES_256_CBC_IV16_NO_KDF
GCM = AlgorithmSuite.ALG_AES_256_GCM_IV12_TAG16_NO_KDF
COMMITTING_GCM = AlgorithmSuite.ALG_AES_256_GCM_HKDF_SHA512_COMMIT_KEY
STREAM = AlgorithmSuite.ALG_AES_256_GCM_HKDF_SHA256_STREAM


class ObjectFormat(Enum):
    """How the envelope of an object is written."""

    V1 = "V1"
    V2 = "V2"
    V3 = "V3"
    STREAM = "stream"


class CommitmentPolicy(Enum):
    """Which suites may be written and read. Names as in AWS's clients."""

    FORBID_ENCRYPT_ALLOW_DECRYPT = "forbid-encrypt-allow-decrypt"
    REQUIRE_ENCRYPT_ALLOW_DECRYPT = "require-encrypt-allow-decrypt"
    REQUIRE_ENCRYPT_REQUIRE_DECRYPT = "require-encrypt-require-decrypt"

    def check_encrypt(self, suite: AlgorithmSuite) -> None:
        """Raises ClientConfigError if the policy forbids to write `suite`."""
        if suite.legacy:
            raise ClientConfigError(f"{suite.name} is never written")
        forbids = self is CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT
        if forbids and suite.committing:
            raise ClientConfigError(f"the commitment policy {self.name} forbids to write {suite.name}")
        if not forbids and not suite.committing:
            raise ClientConfigError(
                f"the commitment policy {self.name} requires a committing suite, and {suite.name} is not one",
                advice="Set commitment_policy=CommitmentPolicy.FORBID_ENCRYPT_ALLOW_DECRYPT to write the V2 format.",
            )

    def check_decrypt(self, suite: AlgorithmSuite) -> None:
        """Raises PolicyError if the policy forbids to read `suite`."""
        if self is CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT and not suite.committing:
            raise PolicyError(
                f"the object is encrypted with {suite.name}, which does not commit to its key, and the commitment "
                f"policy {self.name} requires that",
                advice="commitment_policy=CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT reads older objects.",
            )


class WrapAlgorithm(Enum):
    """How a data key is wrapped; the value is `x-amz-wrap-alg` of V2."""

    KMS_CONTEXT = "kms+context"
    AES_GCM = "AES/GCM"
    RSA_OAEP = "RSA-OAEP-SHA1"
    KMS = "kms"
    AES = "AES"
    AES_WRAP = "AESWrap"
    RSA = "RSA"
    RSA_OAEP_SHA256 = "RSA/ECB/OAEPWithSHA-256AndMGF1Padding"

    @property
    def legacy(self) -> bool:
        """Read only, and only behind the keyring's switch."""
        return self not in V3_WRAP_CODES

    @property
    def with_kms(self) -> bool:
        """Whether the description stored beside the key is an encryption context."""
        return self in (WrapAlgorithm.KMS_CONTEXT, WrapAlgorithm.KMS)


V3_WRAP_CODES: Final = {
    WrapAlgorithm.AES_GCM: "02",
    WrapAlgorithm.KMS_CONTEXT: "12",
    WrapAlgorithm.RSA_OAEP: "22",
}

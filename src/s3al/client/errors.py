"""What client-side encryption raises.

What lives here: the typed errors of `s3al.client`. What does not: errors of boto3, which pass unchanged.

Laws: one root, `S3EncryptionClientError`, so that one `except` holds; what means "do not trust this" is also an
`S3EncryptionClientSecurityError` and an `IntegrityError`. All failures to open a data key or content say the same
sentence, whichever step failed: a different message would answer questions about padding.
"""

from __future__ import annotations

from s3al.errors import ConfigError, IntegrityError, S3alError


class S3EncryptionClientError(S3alError):
    """The root of all errors of the client."""


class S3EncryptionClientSecurityError(S3EncryptionClientError, IntegrityError):
    """What was read cannot be trusted, or a rule forbids reading or writing it so."""


class DecryptionError(S3EncryptionClientSecurityError):
    """A data key or content does not open: altered, truncated, extended, another's, or the wrong key."""

    advice = "Check that the keyring holds the key that the object was written with; otherwise the object was altered."

    def __init__(self, message: str = "the object does not decrypt", *, advice: str = "") -> None:
        super().__init__(message, advice=advice)


class CommitmentError(DecryptionError):
    """The data key is not the one that the object commits to."""

    def __init__(self) -> None:
        super().__init__("the data key is not the one that this object commits to")


class EnvelopeError(S3EncryptionClientSecurityError):
    """The object's encryption metadata is incomplete, contradictory, or of no format that we know."""

    advice = "The metadata or instruction file of the object was altered, or written by software we do not know."


class PlaintextObjectError(S3EncryptionClientSecurityError):
    """The object was not encrypted by a client. It is refused, never passed through."""

    advice = "Read it with the plain boto3 client if plaintext is what you expect there."


class PolicyError(S3EncryptionClientSecurityError):
    """The configuration forbids to read or write this object: commitment policy or a legacy switch."""


class EncryptionContextError(S3EncryptionClientSecurityError):
    """The encryption context asked for is not the stored one, or uses a reserved name."""


class S3ManagedKeyError(S3EncryptionClientError, ConfigError):
    """A key that S3 manages was named for client-side encryption."""

    advice = "Use KmsKeyring with a customer managed KMS key, or AesKeyring/RsaKeyring with a key of the application."

    def __init__(self, named: str) -> None:
        super().__init__(
            f"{named} is a key that S3 manages: S3 uses it after it has received the plaintext, so with it objects are "
            "not encrypted before they are uploaded; the two valid choices are a customer managed KMS key "
            "and a key of the application"
        )


class ClientConfigError(S3EncryptionClientError, ConfigError):
    """Settings, parameters or keys contradict each other."""


class SourceError(S3EncryptionClientError):
    """The body could not be read to its end. Nothing was stored; a multipart upload was aborted."""


class ObjectTooLargeError(S3EncryptionClientError):
    """More than 2^36-32 bytes, the bound of one AES-GCM message."""

    advice = "Write it with format='stream', which has no such bound."

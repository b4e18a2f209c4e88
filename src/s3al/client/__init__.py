"""Client-side encryption for S3: objects are encrypted before they are uploaded, with a key that S3 never holds.

    import boto3
    from s3al.client import AesKeyring, S3EncryptionClient, S3EncryptionClientConfig

    s3 = S3EncryptionClient(boto3.client("s3"), S3EncryptionClientConfig(keyring=AesKeyring(key)))
    s3.put_object(Bucket="bucket", Key="key", Body=b"secret")
    assert s3.get_object(Bucket="bucket", Key="key")["Body"].read() == b"secret"

What lives here: the public names. What does not: the async client (`s3al.client.aio`) and the filesystem
(`s3al.client.filesystem`), which need their extras.
"""

from __future__ import annotations

from s3al.client.config import InstructionFileConfig, S3EncryptionClientConfig
from s3al.client.errors import (
    ClientConfigError,
    CommitmentError,
    DecryptionError,
    EncryptionContextError,
    EnvelopeError,
    ObjectTooLargeError,
    PlaintextObjectError,
    PolicyError,
    S3EncryptionClientError,
    S3EncryptionClientSecurityError,
    S3ManagedKeyError,
    SourceError,
)
from s3al.client.formats.suites import AlgorithmSuite, CommitmentPolicy, ObjectFormat, WrapAlgorithm
from s3al.client.keyrings.aes import AesKeyring
from s3al.client.keyrings.cache import CachingKeyring
from s3al.client.keyrings.kms import KmsDiscoveryKeyring, KmsKeyring
from s3al.client.keyrings.port import DataKey, Keyring, WrappedKey
from s3al.client.keyrings.rsa import RsaKeyring
from s3al.client.keyrings.several import KeyringSet
from s3al.client.sync import S3EncryptionClient

__all__ = [
    "AesKeyring",
    "AlgorithmSuite",
    "CachingKeyring",
    "ClientConfigError",
    "CommitmentError",
    "CommitmentPolicy",
    "DataKey",
    "DecryptionError",
    "EncryptionContextError",
    "EnvelopeError",
    "InstructionFileConfig",
    "Keyring",
    "KeyringSet",
    "KmsDiscoveryKeyring",
    "KmsKeyring",
    "ObjectFormat",
    "ObjectTooLargeError",
    "PlaintextObjectError",
    "PolicyError",
    "RsaKeyring",
    "S3EncryptionClient",
    "S3EncryptionClientConfig",
    "S3EncryptionClientError",
    "S3EncryptionClientSecurityError",
    "S3ManagedKeyError",
    "SourceError",
    "WrapAlgorithm",
    "WrappedKey",
]

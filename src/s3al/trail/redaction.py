"""What of a request and of its answer is recorded, and what never is.

What lives here: the names that are left out, and the turning of parameters into CloudTrail's shape. What does not: the
record around it (events).

Laws: no bytes are ever recorded: plaintext, ciphertext, messages, signatures and key material are all bytes; nor is
any member whose name stands in SECRET, at any depth; the encryption context always is. A test holds SECRET to every
member that the service models call sensitive.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

SECRET: Final = frozenset(
    name.lower()
    for name in (
        *("Plaintext", "PrivateKeyPlaintext", "CiphertextBlob", "SourceCiphertextBlob", "CiphertextForRecipient"),
        *("PrivateKeyCiphertextBlob", "SharedSecret", "Message", "Signature", "Mac", "ImportToken", "PublicKey"),
        *("EncryptedKeyMaterial", "GrantToken", "GrantTokens", "Recipient", "KeyStorePassword"),
        *("XksProxyAuthenticationCredential", "TrustAnchorCertificate", "RawSecretAccessKey"),
        *("SecretAccessKey", "SessionToken", "Password", "OldPassword", "NewPassword", "TokenCode", "WebIdentityToken"),
        *("SAMLAssertion", "PrivateKey", "VirtualMFADevice", "Base32StringSeed", "QRCodePNG", "AuthenticationCode1"),
        *("AuthenticationCode2", "ServiceSpecificCredential", "ServicePassword", "TradeInToken", "AssertionToken"),
        *("SSECustomerKey", "SSECustomerKeyMD5", "CopySourceSSECustomerKey", "CopySourceSSECustomerKeyMD5"),
        *("secret_access_key", "session_token", "root_key", "passphrase", "Body", "Signature", "signature", "marker"),
        *("ServiceCredentialSecret", "PrivateKeyMaterial", "ClientSecret", "Token", "against"),
    )
)
# Of an object's request these are recorded; nothing else is.
OBJECT_MEMBERS: Final = frozenset(
    {
        *("Bucket", "Key", "VersionId", "UploadId", "PartNumber", "CopySource", "Prefix", "Delimiter", "MaxKeys"),
        *("ServerSideEncryption", "SSEKMSKeyId", "BucketKeyEnabled", "SSECustomerAlgorithm", "Range"),
    }
)
_RENAMED = {"Bucket": "bucketName"}
_DEEPEST = 12


def recorded(members: Mapping[str, Any] | None, *, only: frozenset[str] | None = None) -> dict[str, Any] | None:
    """Parameters as CloudTrail words them: names in lower camel case, no secret, no bytes. None if nothing is left."""
    if not members:
        return None
    chosen = {name: value for name, value in members.items() if only is None or name in only}
    found = _mapping(chosen, 0)
    return found or None


def _mapping(members: Mapping[str, Any], depth: int) -> dict[str, Any]:
    found = {}
    for name, value in members.items():
        if name.lower() in SECRET:
            continue
        if (name.endswith("EncryptionContext") or name.startswith("EncryptionContext")) and _is_pairs(value):
            found[_worded(name)] = value  # names and values of pairs stay as they are
            continue
        kept = _value(value, depth + 1)
        if kept is not _LEFT_OUT:
            found[_worded(name)] = kept
    return found


def _is_pairs(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(one, str) for one in value.values())


_LEFT_OUT = object()


def _value(value: Any, depth: int) -> Any:
    if isinstance(value, bool | int | float | str) or value is None:
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if depth < _DEEPEST and isinstance(value, Mapping):
        return _mapping(value, depth)
    if depth < _DEEPEST and isinstance(value, list | tuple):
        kept = [_value(one, depth + 1) for one in value]
        return [one for one in kept if one is not _LEFT_OUT]
    return _LEFT_OUT  # bytes, streams


def _worded(name: str) -> str:
    return _RENAMED.get(name) or name[:1].lower() + name[1:]

"""Key specs: what each kind of key is for, by which algorithms, and what a grant on it may name.

What lives here: tables, and the questions they answer. What does not: cryptography (private_keys), the operations.

Laws: no other module knows which algorithm suits which key; a spec that the installed library cannot make is
refused when a key is created, and so are SM2, which AWS has in China alone, and ED25519_PH_SHA_512, for which the
library has no primitive.

Source: KMS Developer Guide, "Key spec reference"; API reference, "CreateGrant", "Operations".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from s3al.errors import RequestError

SYMMETRIC = "SYMMETRIC_DEFAULT"
ENCRYPT_DECRYPT = "ENCRYPT_DECRYPT"
SIGN_VERIFY = "SIGN_VERIFY"
GENERATE_VERIFY_MAC = "GENERATE_VERIFY_MAC"
KEY_AGREEMENT = "KEY_AGREEMENT"
ENCAPSULATE_DECAPSULATE = "ENCAPSULATE_DECAPSULATE"

_OAEP = ("RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256")
_RSA_SIGNING = tuple(f"RSASSA_{padding}_SHA_{bits}" for padding in ("PKCS1_V1_5", "PSS") for bits in (256, 384, 512))
_RSA = {ENCRYPT_DECRYPT: _OAEP, SIGN_VERIFY: _RSA_SIGNING}
_ML_DSA = {SIGN_VERIFY: ("ML_DSA_SHAKE_256",)}
_ML_KEM = {ENCAPSULATE_DECAPSULATE: ("ML_KEM",)}

# Spec -> usage -> algorithms, as DescribeKey lists them.
SPECS: Mapping[str, Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        SYMMETRIC: {ENCRYPT_DECRYPT: (SYMMETRIC,)},
        "RSA_2048": _RSA,
        "RSA_3072": _RSA,
        "RSA_4096": _RSA,
        "ECC_NIST_P256": {SIGN_VERIFY: ("ECDSA_SHA_256",), KEY_AGREEMENT: ("ECDH",)},
        "ECC_NIST_P384": {SIGN_VERIFY: ("ECDSA_SHA_384",), KEY_AGREEMENT: ("ECDH",)},
        "ECC_NIST_P521": {SIGN_VERIFY: ("ECDSA_SHA_512",), KEY_AGREEMENT: ("ECDH",)},
        "ECC_SECG_P256K1": {SIGN_VERIFY: ("ECDSA_SHA_256",)},
        "ECC_NIST_EDWARDS25519": {SIGN_VERIFY: ("ED25519_SHA_512",)},
        "HMAC_224": {GENERATE_VERIFY_MAC: ("HMAC_SHA_224",)},
        "HMAC_256": {GENERATE_VERIFY_MAC: ("HMAC_SHA_256",)},
        "HMAC_384": {GENERATE_VERIFY_MAC: ("HMAC_SHA_384",)},
        "HMAC_512": {GENERATE_VERIFY_MAC: ("HMAC_SHA_512",)},
        "ML_DSA_44": _ML_DSA,
        "ML_DSA_65": _ML_DSA,
        "ML_DSA_87": _ML_DSA,
        "ML_KEM_512": _ML_KEM,
        "ML_KEM_768": _ML_KEM,
        "ML_KEM_1024": _ML_KEM,
    }
)

# The member of KeyMetadata and GetPublicKey that lists the algorithms of a usage.
ALGORITHM_MEMBERS: Mapping[str, str] = MappingProxyType(
    {
        ENCRYPT_DECRYPT: "EncryptionAlgorithms",
        SIGN_VERIFY: "SigningAlgorithms",
        GENERATE_VERIFY_MAC: "MacAlgorithms",
        KEY_AGREEMENT: "KeyAgreementAlgorithms",
        ENCAPSULATE_DECAPSULATE: "EncapsulationAlgorithms",
    }
)

# Operations that have an encryption context.
CONTEXT_OPERATIONS = frozenset(
    {
        "Decrypt",
        "Encrypt",
        "GenerateDataKey",
        "GenerateDataKeyPair",
        "GenerateDataKeyPairWithoutPlaintext",
        "GenerateDataKeyWithoutPlaintext",
        "ReEncryptFrom",
        "ReEncryptTo",
    }
)
_OF_ANY_KEY = frozenset({"CreateGrant", "DescribeKey", "RetireGrant"})
_OF_USAGE: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        ENCRYPT_DECRYPT: frozenset({"Decrypt", "Encrypt", "GetPublicKey", "ReEncryptFrom", "ReEncryptTo"}),
        SIGN_VERIFY: frozenset({"GetPublicKey", "Sign", "Verify"}),
        GENERATE_VERIFY_MAC: frozenset({"GenerateMac", "VerifyMac"}),
        KEY_AGREEMENT: frozenset({"DeriveSharedSecret", "GetPublicKey"}),
        ENCAPSULATE_DECAPSULATE: frozenset({"Decapsulate", "Encapsulate", "GetPublicKey"}),
    }
)


def grantable(spec: str, usage: str) -> frozenset[str]:
    """The operations that a grant on such a key may name."""
    return _OF_ANY_KEY | (CONTEXT_OPERATIONS if spec == SYMMETRIC else _OF_USAGE[usage])


def algorithms(spec: str, usage: str) -> tuple[str, ...]:
    return SPECS[spec][usage]


def has_public_key(spec: str) -> bool:
    return spec != SYMMETRIC and not spec.startswith("HMAC_")


def chosen_usage(spec: str, usage: str | None) -> str:
    """KeyUsage of a new key. Raises ValidationException; UnsupportedOperationException for a spec that is not here."""
    if spec not in SPECS:
        raise RequestError("UnsupportedOperationException", f"Keys of spec {spec} are not supported.")
    if usage is None:
        if spec != SYMMETRIC:
            raise RequestError(
                "ValidationException",
                "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
            )
        return ENCRYPT_DECRYPT
    if usage not in SPECS[spec]:
        raise RequestError("ValidationException", f"KeyUsage {usage} is not compatible with KeySpec {spec}")
    return usage


def require_usage(arn: str, usage: str, operation: str, wanted: str) -> None:
    """Raises InvalidKeyUsageException unless keys of this usage do this."""
    if usage != wanted:
        raise RequestError(
            "InvalidKeyUsageException", f"{arn} key usage is {usage} which is not valid for {operation}."
        )


def require_algorithm(spec: str, usage: str, algorithm: str) -> None:
    """Raises InvalidKeyUsageException unless the algorithm is one of the key's."""
    if algorithm not in SPECS[spec].get(usage, ()):
        raise RequestError("InvalidKeyUsageException", f"Algorithm {algorithm} is incompatible with key spec {spec}.")

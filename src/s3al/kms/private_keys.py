"""Cryptography with keys that have a public half, and with HMAC keys.

What lives here: making such keys, and every use of one, from the bytes of a material. What does not: which
algorithm suits which key (key_specs), permission and state (access, states), symmetric keys (envelope).

Laws: a material is PKCS #8 in DER, or the bytes of an HMAC key; every failure to decrypt is one error without a
message, and so is every signature or MAC that does not verify; the salt of PSS is as long as the digest.
ML-DSA and ML-KEM are found by looking, since not every build of the library has them.

Sources: KMS Developer Guide, "Key spec reference"; RFC 8017 (OAEP, PSS), RFC 8032, FIPS 186-5, FIPS 203, FIPS 204.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from typing import Any, cast

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
    load_der_public_key,
)

from s3al.errors import IntegrityError, RequestError
from s3al.kms.seals.port import Random

try:
    from cryptography.hazmat.primitives.asymmetric import mldsa
except ImportError:  # pragma: no cover  (a library older than ML-DSA)
    mldsa = None  # type: ignore[assignment]
try:
    from cryptography.hazmat.primitives.asymmetric import mlkem
except ImportError:  # pragma: no cover  (a library older than ML-KEM)
    mlkem = None  # type: ignore[assignment]

_RSA_BITS = {"RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
_CURVES: Mapping[str, type[ec.EllipticCurve]] = {
    "ECC_NIST_P256": ec.SECP256R1,
    "ECC_NIST_P384": ec.SECP384R1,
    "ECC_NIST_P521": ec.SECP521R1,
    "ECC_SECG_P256K1": ec.SECP256K1,
}
HMAC_BYTES = {"HMAC_224": 28, "HMAC_256": 32, "HMAC_384": 48, "HMAC_512": 64}
_HASHES: Mapping[str, type[hashes.HashAlgorithm]] = {
    "SHA_1": hashes.SHA1,
    "SHA_224": hashes.SHA224,
    "SHA_256": hashes.SHA256,
    "SHA_384": hashes.SHA384,
    "SHA_512": hashes.SHA512,
}
_MU_BYTES = 64


def _lattice(spec: str) -> Any:
    """The class of private keys of an ML-DSA or ML-KEM spec. Raises UnsupportedOperationException if the library has
    none, as it has none of ML_KEM_512."""
    found = getattr(mldsa if spec.startswith("ML_DSA") else mlkem, spec.replace("_", "") + "PrivateKey", None)
    if found is None:
        raise RequestError("UnsupportedOperationException", f"Keys of spec {spec} are not supported.")
    return found


def generate(spec: str, random: Random) -> bytes:
    """The material of a new key. random: for HMAC keys; the others draw from the library's source."""
    if spec in HMAC_BYTES:
        return random(HMAC_BYTES[spec])
    key: Any
    if spec in _RSA_BITS:
        key = rsa.generate_private_key(65537, _RSA_BITS[spec])
    elif spec in _CURVES:
        key = ec.generate_private_key(_CURVES[spec]())
    elif spec == "ECC_NIST_EDWARDS25519":
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        try:
            key = _lattice(spec).generate()
        except UnsupportedAlgorithm:
            raise RequestError("UnsupportedOperationException", f"Keys of spec {spec} are not supported.") from None
    return _pkcs8(key)


def imported(spec: str, material: bytes) -> bytes:
    """Material from outside, as it will be kept. Raises ValueError if it is none of this spec."""
    if spec in HMAC_BYTES:
        if len(material) != HMAC_BYTES[spec]:
            raise ValueError("an HMAC key of another length")
        return material
    try:
        key: Any = load_der_private_key(material, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ValueError("no private key in PKCS #8") from error
    fits = (
        (isinstance(key, rsa.RSAPrivateKey) and key.key_size == _RSA_BITS.get(spec))
        or (isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, _CURVES.get(spec, ())))
        or (isinstance(key, ed25519.Ed25519PrivateKey) and spec == "ECC_NIST_EDWARDS25519")
        or (spec.startswith("ML_") and isinstance(key, _lattice(spec)))
    )
    if not fits:
        raise ValueError("a private key of another kind")
    return _pkcs8(key)


def _pkcs8(key: Any) -> bytes:
    return cast("bytes", key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def _loaded(material: bytes) -> Any:
    try:
        return load_der_private_key(material, None, unsafe_skip_rsa_key_validation=True)  # it was checked when it came
    except (ValueError, UnsupportedAlgorithm):
        raise IntegrityError("a stored private key cannot be read") from None


def public_key(material: bytes) -> bytes:
    """SubjectPublicKeyInfo in DER."""
    return cast("bytes", _loaded(material).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


# --- RSA encryption


def _oaep(algorithm: str) -> padding.OAEP:
    digest = _HASHES[algorithm.removeprefix("RSAES_OAEP_")]
    return padding.OAEP(mgf=padding.MGF1(digest()), algorithm=digest(), label=None)


def rsa_encrypt(spec: str, material: bytes, algorithm: str, plaintext: bytes) -> bytes:
    """Raises ValidationException for a plaintext that the modulus cannot hold."""
    digest_bytes = _HASHES[algorithm.removeprefix("RSAES_OAEP_")]().digest_size
    most = _RSA_BITS[spec] // 8 - 2 * digest_bytes - 2
    if len(plaintext) > most:
        raise RequestError(
            "ValidationException",
            f"Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {most} bytes.",
        )
    return cast("bytes", _loaded(material).public_key().encrypt(plaintext, _oaep(algorithm)))


def rsa_decrypt(material: bytes, algorithm: str, ciphertext: bytes) -> bytes:
    """Raises InvalidCiphertextException without a word on why."""
    try:
        return cast("bytes", _loaded(material).decrypt(ciphertext, _oaep(algorithm)))
    except ValueError:
        raise RequestError("InvalidCiphertextException") from None


# --- signatures


def sign(material: bytes, algorithm: str, message_type: str, message: bytes) -> bytes:
    key = _loaded(material)
    if algorithm == "ML_DSA_SHAKE_256":
        _check_ml_dsa(algorithm, message_type, message)
        return cast("bytes", key.sign_mu(message) if message_type == "EXTERNAL_MU" else key.sign(message))
    if algorithm == "ED25519_SHA_512":
        _require_raw(algorithm, message_type)
        return cast("bytes", key.sign(message))
    return cast("bytes", key.sign(message, *_scheme(algorithm, message_type, message)))


def verify(material: bytes, algorithm: str, message_type: str, message: bytes, *, signature: bytes) -> None:
    """Raises KMSInvalidSignatureException."""
    key = _loaded(material).public_key()
    try:
        if algorithm == "ML_DSA_SHAKE_256":
            _check_ml_dsa(algorithm, message_type, message)
            (key.verify_mu if message_type == "EXTERNAL_MU" else key.verify)(signature, message)
        elif algorithm == "ED25519_SHA_512":
            _require_raw(algorithm, message_type)
            key.verify(signature, message)
        else:
            key.verify(signature, message, *_scheme(algorithm, message_type, message))
    except InvalidSignature:
        raise RequestError("KMSInvalidSignatureException") from None


def _scheme(algorithm: str, message_type: str, message: bytes) -> tuple[Any, ...]:
    """What the library calls padding and algorithm, for RSA and ECDSA."""
    digest = _HASHES["SHA_" + algorithm.rpartition("_")[2]]()
    if message_type == "EXTERNAL_MU":
        raise RequestError("ValidationException", f"MessageType EXTERNAL_MU is not valid for algorithm {algorithm}.")
    if message_type == "DIGEST" and len(message) != digest.digest_size:
        raise RequestError("ValidationException", f"Digest is invalid length for algorithm {algorithm}.")
    hashed = Prehashed(digest) if message_type == "DIGEST" else digest
    if algorithm.startswith("ECDSA"):
        return (ec.ECDSA(hashed),)
    if algorithm.startswith("RSASSA_PSS"):
        return (padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size), hashed)
    return (padding.PKCS1v15(), hashed)


def _require_raw(algorithm: str, message_type: str) -> None:
    if message_type != "RAW":
        raise RequestError("ValidationException", f"MessageType {message_type} is not valid for algorithm {algorithm}.")


def _check_ml_dsa(algorithm: str, message_type: str, message: bytes) -> None:
    if message_type == "DIGEST":
        _require_raw(algorithm, message_type)
    if message_type == "EXTERNAL_MU" and len(message) != _MU_BYTES:
        raise RequestError("ValidationException", f"Digest is invalid length for algorithm {algorithm}.")


# --- key encapsulation


def encapsulate(material: bytes) -> tuple[bytes, bytes]:
    """(shared secret of 32 bytes, its ciphertext)"""
    secret, ciphertext = _loaded(material).public_key().encapsulate()
    return secret, ciphertext


def decapsulate(material: bytes, ciphertext: bytes) -> bytes:
    """The shared secret; another secret, and no error, for a ciphertext that was made for another key or altered
    (FIPS 203, implicit rejection). Raises InvalidCiphertextException for one of another length."""
    try:
        return cast("bytes", _loaded(material).decapsulate(ciphertext))
    except ValueError:
        raise RequestError("InvalidCiphertextException") from None


# --- MACs and key agreement


def mac(material: bytes, algorithm: str, message: bytes) -> bytes:
    return hmac.digest(material, message, algorithm.removeprefix("HMAC_").replace("_", "").lower())


def shared_secret(spec: str, material: bytes, peer: bytes) -> bytes:
    """peer: SubjectPublicKeyInfo of a public key on the same curve. Raises ValidationException for any other."""
    public: Any
    try:
        public = load_der_public_key(peer)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        public = None
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, _CURVES[spec]):
        raise RequestError("ValidationException", f"The public key is not valid for a key agreement with {spec}.")
    return cast("bytes", _loaded(material).exchange(ec.ECDH(), public))

"""What a server can tell of an object that was encrypted before it came.

What lives here: the formats of client-side encryption, recognised by the metadata beside the object, and what they
say. What does not: decoding an envelope so as to open it (the client's, which the server neither has nor needs).

Laws: metadata is a claim of whoever uploaded: nothing here is proof that the bytes are ciphertext. A key is named only
if it is a KMS key whose ciphertext this server made.

Source: Amazon S3 Encryption Client specification, content metadata; spec/client-stream-format.md.
"""

from __future__ import annotations

import json
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from s3al.crypto.keys import parse_kms_blob
from s3al.errors import IntegrityError

INSTRUCTION_SUFFIX: Final = ".instruction"


@dataclass(frozen=True, slots=True)
class _Format:
    """Names of metadata entries: `mark` tells the format, the others hold what their field says."""

    name: str
    mark: str
    wrapped: str
    content: str
    wrapping: str
    contexts: tuple[str, ...]


_FORMATS: Final = (
    _Format("V1", "x-amz-key", "x-amz-key", "x-amz-cek-alg", "x-amz-wrap-alg", ("x-amz-matdesc",)),
    _Format("V2", "x-amz-key-v2", "x-amz-key-v2", "x-amz-cek-alg", "x-amz-wrap-alg", ("x-amz-matdesc",)),
    _Format("V3", "x-amz-c", "x-amz-3", "x-amz-c", "x-amz-w", ("x-amz-t", "x-amz-m")),
    _Format("stream", "s3al-stream", "s3al-key", "s3al-stream", "s3al-wrap", ("s3al-context",)),
)
_CONTENT: Final[Mapping[str, str]] = {
    "AES/CBC/PKCS5Padding": "AES-256-CBC, not authenticated",
    "AES/GCM/NoPadding": "AES-256-GCM",
    "115": "AES-256-GCM under a committed key (HKDF-SHA512)",
    "1": "AES-256-GCM in segments under a committed key (stream)",
}
_V3_WRAPS: Final[Mapping[str, str]] = {"02": "AES/GCM", "12": "kms+context", "22": "RSA-OAEP-SHA1"}
_WITH_KMS: Final = frozenset({"kms+context", "kms"})
_WITH_RSA: Final = frozenset({"RSA-OAEP-SHA1", "RSA", "RSA/ECB/OAEPWithSHA-256AndMGF1Padding"})
_COMMITTING: Final = frozenset({"V3", "stream"})


@dataclass(frozen=True, slots=True)
class ClientSide:
    """What the metadata claims. wrapping: algorithm by which the data key is wrapped, "" if it does not say.

    master_key: `kms`, `rsa`, `aes` or "" (not said here). kms_key_id, material_id: of a KMS ciphertext that this server
    made, else "" and b"". key_place: `metadata` or `instruction file`.
    """

    format: str
    content: str
    wrapping: str
    master_key: str
    key_place: str
    commits: bool
    authenticated: bool
    context: Mapping[str, str] = field(default_factory=dict)
    kms_key_id: str = ""
    material_id: bytes = b""


def recognise(metadata: Mapping[str, str], *, has_instruction_file: bool = False) -> ClientSide | None:
    """metadata: user metadata of the object. None if nothing speaks of client-side encryption."""
    entries = {name.lower(): value for name, value in metadata.items() if value}
    found = next((one for one in _FORMATS if one.mark in entries), None)
    if found is None:
        return _by_instruction_file() if has_instruction_file else None
    named = entries.get(found.content, "AES/CBC/PKCS5Padding")
    wrapping = entries.get(found.wrapping, "")
    wrapping = _V3_WRAPS.get(wrapping, wrapping)
    kms_key_id, material_id = _kms_key(entries.get(found.wrapped, "")) if wrapping in _WITH_KMS else ("", b"")
    return ClientSide(
        format=found.name,
        content=_CONTENT.get(named, named),
        wrapping=wrapping,
        master_key=_master_key(wrapping),
        key_place="metadata" if found.wrapped in entries else "instruction file",
        commits=found.name in _COMMITTING,
        authenticated=named != "AES/CBC/PKCS5Padding",
        context=_context(entries, found.contexts),
        kms_key_id=kms_key_id,
        material_id=material_id,
    )


def _by_instruction_file() -> ClientSide:
    return ClientSide("V1 or V2", "said in the instruction file", "", "", "instruction file", False, True)


def _master_key(wrapping: str) -> str:
    if not wrapping:
        return ""
    return "kms" if wrapping in _WITH_KMS else "rsa" if wrapping in _WITH_RSA else "aes"


def _kms_key(wrapped: str) -> tuple[str, bytes]:
    """Key id and material id of a ciphertext of this KMS; of any other nothing can be told."""
    try:
        blob = parse_kms_blob(b64decode(wrapped, validate=True))
    except (Base64Error, ValueError, IntegrityError):
        return "", b""
    return blob.key_id, blob.material_id


def _context(entries: Mapping[str, str], names: tuple[str, ...]) -> dict[str, str]:
    for name in names:
        try:
            pairs = json.loads(entries.get(name, ""))
        except (ValueError, RecursionError):
            continue
        if isinstance(pairs, dict):
            return {str(key): str(value) for key, value in pairs.items()}
    return {}

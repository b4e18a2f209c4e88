"""The signature on a proof: who has the root key of the store said this, and nobody has changed it since.

What lives here: the key, signing, verifying. What does not: where reports are kept.

Laws: the key follows from the first material of the store's service key, so that nothing is stored for it, every
proof of one store is signed by the same key, and rotating root or service key does not change that; without the root
key a report carries no signature and says so. A signature shows that the report was made by someone who could open the
store; that it was made honestly, no signature shows.

Source: RFC 8032 (Ed25519); docs/reference/prove.md, The report.
"""

from __future__ import annotations

import json
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from s3al.errors import ConfigError, IntegrityError
from s3al.kms.service_key import ServiceKeys
from s3al.prove.proof import FORMAT, Proof
from s3al.store import keystore
from s3al.store.database import Rows

_LABEL: Final = b"proof signer"
_SIGNATURE: Final = ("public_key", "signature")
_TOLD: Final = ("store_id", "at")  # of a report, beside its findings


def signer_of(rows: Rows, service_key: ServiceKeys) -> Ed25519PrivateKey:
    """Raises IntegrityError if the service key has lost its first material."""
    service_key_row = keystore.find_service_key(rows)
    first = keystore.list_materials(rows, service_key_row.key_id, limit=1) if service_key_row else []
    if not first:
        raise IntegrityError("the service key has no material")
    seed = service_key.server_key(_LABEL, bytes(first[0].material_id))
    return Ed25519PrivateKey.from_private_bytes(seed)


def signed(proof: Proof, signer: Ed25519PrivateKey | None) -> dict[str, Any]:
    """The report. public_key, signature: hex, or null without the root key."""
    document = proof.document()
    if signer is None:
        return document | dict.fromkeys(_SIGNATURE)
    named = document | {"public_key": signer.public_key().public_bytes_raw().hex()}
    return named | {"signature": signer.sign(_signed_bytes(named)).hex()}


def verified(text: str | bytes) -> dict[str, Any]:
    """The report in a text, whose signature holds under the key that it names.

    Raises ConfigError for what is no report, or one without a signature; IntegrityError if it was changed.
    """
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise ValueError
        key, signature = document["public_key"], document["signature"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _no_report() from None
    if key is None or signature is None:
        raise ConfigError("the report is not signed", advice="a proof made with the root key is")
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(
            bytes.fromhex(signature), _signed_bytes({k: v for k, v in document.items() if k != "signature"})
        )
    except (ValueError, TypeError, InvalidSignature):
        raise IntegrityError("the report is not what was signed") from None
    if not (isinstance(document.get("findings"), list) and all(isinstance(document.get(name), str) for name in _TOLD)):
        raise _no_report()  # whoever it was that signed it
    found: dict[str, Any] = document
    return found


def _no_report() -> ConfigError:
    return ConfigError("this is no report of a proof", advice="give what `s3al prove DIR --json` answered")


def _signed_bytes(document: dict[str, Any]) -> bytes:
    """JSON with sorted members and no spaces, the key among them and the signature not."""
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()

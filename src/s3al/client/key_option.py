"""`--key` and `storage_options["key"]`: a key in one word.

What lives here: reading `kms:ARN`, `aes:FILE`, `rsa:FILE`. What does not: making keys (cli).

Laws: key material stands in a file, never in the word; a key file that others may read is refused.
"""

from __future__ import annotations

import base64
import binascii
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from s3al.client.errors import ClientConfigError
from s3al.client.keyrings.aes import AesKeyring
from s3al.client.keyrings.kms import KmsDiscoveryKeyring, KmsKeyring
from s3al.client.keyrings.port import Keyring
from s3al.client.keyrings.rsa import RsaKeyring


def keyring_of(option: str, kms_client: Callable[[], Any]) -> Keyring:
    """The keyring that `option` names. kms_client: makes one when it is needed. Raises ClientConfigError."""
    kind, _, rest = option.partition(":")
    if kind == "kms" and rest:
        return KmsDiscoveryKeyring(kms_client()) if rest == "any" else KmsKeyring(kms_client(), rest)
    if kind == "aes" and rest:
        return AesKeyring(_aes_key(_secret(Path(rest))))
    if kind == "rsa" and rest:
        pem = _secret(Path(rest))
        return RsaKeyring(public_key=pem) if b"PUBLIC KEY" in pem else RsaKeyring(pem)
    raise ClientConfigError(
        "a key is kms:ARN, aes:FILE or rsa:FILE", advice="`s3al cse keygen aes FILE` makes a key of your own."
    )


def _secret(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        content = path.read_bytes()
    except OSError as exc:
        raise ClientConfigError(f"the key file {path} cannot be read: {exc.strerror}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and b"PUBLIC KEY" not in content:
        raise ClientConfigError(f"the key file {path} may be read by others", advice=f"chmod 600 {path}")
    return content


def _aes_key(content: bytes) -> bytes:
    """32 bytes, or their base64."""
    if len(content) == 32:
        return content
    try:
        return base64.b64decode(content.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise ClientConfigError("an AES key file holds 32 bytes or their base64") from None

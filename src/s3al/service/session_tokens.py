"""The session token: all that temporary credentials stand for, sealed so that only this store can say it.

What lives here: `SessionFacts`, sealing and opening them. What does not: who gets temporary credentials (iam), whether
whoever they stand for still exists (credentials), what they may do (identities).

Laws: a token is bound to its access key id and opens with the server's own key alone; nothing of a session lies in the
store, so that every worker knows it and none must be told; what a session may do hangs on rows that are read at each
request, which is why removing or denying its role, user or key ends it at once. Its secret is fresh random bytes, kept
apart from the facts, which are compressed.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from s3al.auth.principal import Session
from s3al.errors import IntegrityError, RequestError

_LABEL = b"session token"
_VERSION = b"\x01"
SECRET_BYTES = 30
PACKED_LIMIT_BYTES = 4096  # of the compressed facts; with the rest of a request's head they must fit into 32 KiB


class ServerKey(Protocol):
    """Seals the server's own records (the service key; kms.service_key)."""

    def seal(self, label: bytes, secret: bytes, *, place: bytes) -> bytes: ...

    def open(self, label: bytes, sealed: bytes, *, place: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What a token holds.

    principal_arn: the role, the user or the root that the session acts for. issuer_id: the role's or user's unique id,
    so that a namesake made later is somebody else; "" for a root. session_name: of roles. access_key_id,
    access_key_mark: the long-term key that asked for a session token, without which it does not live on; "" for roles.
    tags: of the session.
    """

    account_id: str
    principal_arn: str
    issuer_id: str
    session: Session
    session_name: str = ""
    access_key_id: str = ""
    access_key_mark: str = ""
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)


def new_token(server_key: ServerKey, access_key_id: str, secret: bytes, packed: bytes) -> str:
    """secret: 30 random bytes. packed: of `pack`; zeros may follow, to make the token as long as was asked for."""
    sealed = server_key.seal(_LABEL, _VERSION + secret + packed, place=access_key_id.encode())
    return base64.b64encode(sealed).decode()


def secret_text(secret: bytes) -> str:
    """The secret access key, 40 characters."""
    return base64.b64encode(secret).decode()


def pack(facts: SessionFacts) -> bytes:
    """Raises PackedPolicyTooLarge."""
    packed = zlib.compress(json.dumps(asdict(facts), separators=(",", ":")).encode())
    if len(packed) > PACKED_LIMIT_BYTES:
        raise RequestError(
            "PackedPolicyTooLarge",
            f"Packed policy and tags consume {packed_percent(packed)}% of allotted space. Pass less of them.",
        )
    return packed


def packed_percent(packed: bytes) -> int:
    return -(-len(packed) * 100 // PACKED_LIMIT_BYTES)


def open_token(server_key: ServerKey, access_key_id: str, token: str) -> tuple[str, SessionFacts]:
    """The secret access key and the facts. Raises InvalidToken for whatever this store did not seal for this id."""
    try:
        sealed = base64.b64decode(token.encode("ascii"), validate=True)
        opened = server_key.open(_LABEL, sealed, place=access_key_id.encode())
    except (UnicodeEncodeError, binascii.Error, IntegrityError):
        raise RequestError("InvalidToken") from None
    if opened[:1] != _VERSION:
        raise RequestError("InvalidToken")
    secret, packed = opened[1 : 1 + SECRET_BYTES], opened[1 + SECRET_BYTES :]
    return secret_text(secret), _facts(json.loads(zlib.decompressobj().decompress(packed)))


def _facts(stored: dict[str, Any]) -> SessionFacts:
    session = stored["session"]
    session["policy_arns"] = tuple(session["policy_arns"])
    session["transitive_tags"] = tuple(session["transitive_tags"])
    session["claims"] = tuple((name, value) for name, value in session["claims"])
    return SessionFacts(**{**stored, "session": Session(**session)})

"""Continuation tokens: where a listing goes on, in a form that clients only hand back.

What lives here: making and checking tokens. What does not: pages (listing, store.listing).

Laws: a token fits one operation and one bucket; anything else, and anything a client has altered, is
InvalidArgument. A token is no secret and grants nothing: it names a place in a listing that its reader may
list anyway. So its check value is a plain digest.

Format: base64url without padding of version (1 byte) | check (8 bytes) | position.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode

from s3al.crypto.encoding import canonical
from s3al.errors import RequestError

_VERSION = b"\x01"
_CHECK_BYTES = 8
_TOKEN_MAX_CHARACTERS = 2048


def make_token(operation: str, *, scope: bytes, position: bytes) -> str:
    """scope: what the listing is of (a bucket id, an account). position: UTF-8 of the last name shown."""
    digest = hashlib.sha256(canonical(b"s3al continuation token v1", operation.encode(), scope, position)).digest()
    return urlsafe_b64encode(_VERSION + digest[:_CHECK_BYTES] + position).decode("ascii").rstrip("=")


def read_token(token: str, operation: str, *, scope: bytes) -> bytes:
    """The position. Raises InvalidArgument for what `make_token` did not make for this operation and
    scope."""
    try:
        decoded = urlsafe_b64decode(token[:_TOKEN_MAX_CHARACTERS] + "=" * (-len(token) % 4))
    except ValueError:
        decoded = b""
    position = decoded[len(_VERSION) + _CHECK_BYTES :]
    if make_token(operation, scope=scope, position=position) != token:
        raise RequestError(
            "InvalidArgument",
            "The continuation token provided is incorrect",
            ArgumentName="continuation-token",
            ArgumentValue=token,
        )
    return position

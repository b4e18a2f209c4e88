"""Making Signature Version 4 signatures: for our own clients, and for tests.

What lives here: signing a head, a URL, a form's policy and the chunks of a body. What does not: sending them;
AWS SDKs sign for themselves.

Law: what is made here is accepted by `sigv4.verify`, and equals what botocore makes (tested).

Source: IAM User Guide, "Create a signed AWS API request".
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from s3al.auth.chunks import chunk_signature, trailer_signature
from s3al.auth.sigv4 import UNSIGNED_PAYLOAD, Scope, Seed
from s3al.auth.sigv4_canonical import (
    ALGORITHM,
    Headers,
    Query,
    canonical_headers,
    canonical_paths,
    canonical_query,
    signature_of,
    signing_key,
    string_to_sign,
    timestamp_of,
)

_NEVER_SIGNED = frozenset({"authorization", "expect", "transfer-encoding", "user-agent", "x-amzn-trace-id"})


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A request's head before it is signed. raw_path: percent-encoded. headers: lower-case names, with host.

    payload_hash: hex SHA-256 or one of S3's constants.
    """

    method: str
    raw_path: str
    headers: Headers
    query: Query = ()
    payload_hash: str = UNSIGNED_PAYLOAD


@dataclass(frozen=True, slots=True)
class SignedHead:
    """headers: all of the request's, with the signature. seed: from which signed chunks continue."""

    headers: dict[str, str] = field(repr=False)
    seed: Seed


def sign(request: Unsigned, scope: Scope, secret: str, *, now: datetime) -> SignedHead:
    """Sign in the Authorization header."""
    timestamp = timestamp_of(now)
    headers = {**request.headers, "x-amz-date": timestamp}
    if scope.service == "s3":
        headers["x-amz-content-sha256"] = request.payload_hash
    names = sorted(name for name in headers if name not in _NEVER_SIGNED)
    signature = _signature(request, scope, secret, (timestamp, headers, names, request.query))
    parts = f"Credential={scope.access_key_id}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
    headers["authorization"] = f"{ALGORITHM} {parts}"
    key = signing_key(secret, scope.date, scope.region, scope.service)
    return SignedHead(headers, Seed(key, str(scope), timestamp, signature))


def presign(request: Unsigned, scope: Scope, secret: str, *, now: datetime, expires_s: int) -> list[tuple[str, str]]:
    """The query of a presigned URL. Whoever uses it must send request.headers as they are here."""
    timestamp = timestamp_of(now)
    names = sorted(name for name in request.headers if name not in _NEVER_SIGNED)
    query = [
        *request.query,
        ("X-Amz-Algorithm", ALGORITHM),
        ("X-Amz-Credential", f"{scope.access_key_id}/{scope}"),
        ("X-Amz-Date", timestamp),
        ("X-Amz-Expires", str(expires_s)),
        ("X-Amz-SignedHeaders", ";".join(names)),
    ]
    if request.payload_hash != UNSIGNED_PAYLOAD and scope.service == "s3":
        query.append(("X-Amz-Content-Sha256", request.payload_hash))
    signature = _signature(request, scope, secret, (timestamp, request.headers, names, query))
    return [*query, ("X-Amz-Signature", signature)]


def sign_form(policy: str, scope: Scope, secret: str, *, now: datetime) -> dict[str, str]:
    """The form fields that carry a signed policy document; it must itself name the credential, date and
    algorithm.
    """
    document = b64encode(policy.encode()).decode()
    key = signing_key(secret, scope.date, scope.region, scope.service)
    return {
        "policy": document,
        "x-amz-algorithm": ALGORITHM,
        "x-amz-credential": f"{scope.access_key_id}/{scope}",
        "x-amz-date": timestamp_of(now),
        "x-amz-signature": signature_of(key, document),
    }


class ChunkSigner:
    """The signatures of a body's chunks, in order; the empty last chunk and then the trailers included."""

    def __init__(self, seed: Seed) -> None:
        self._seed = seed
        self._previous = seed.signature

    def chunk(self, data_sha256_hex: str) -> str:
        self._previous = chunk_signature(self._seed, self._previous, data_sha256_hex)
        return self._previous

    def trailer(self, canonical_trailers: bytes) -> str:
        self._previous = trailer_signature(self._seed, self._previous, canonical_trailers)
        return self._previous


Covered = tuple[str, Mapping[str, str], list[str], Query]


def _signature(request: Unsigned, scope: Scope, secret: str, covered: Covered) -> str:
    timestamp, headers, names, query = covered
    path = canonical_paths(scope.service, request.raw_path)[0]
    lines = canonical_headers(headers, names)
    canonical = (
        f"{request.method}\n{path}\n{canonical_query(query)}\n{lines}\n{';'.join(names)}\n{request.payload_hash}"
    )
    key = signing_key(secret, scope.date, scope.region, scope.service)
    return signature_of(key, string_to_sign(timestamp, str(scope), canonical))

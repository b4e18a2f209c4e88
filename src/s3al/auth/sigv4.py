"""Signature Version 4: who signed a request, and whether they did.

What lives here: verifying a signature that was read from the Authorization header or a presigned URL; the
room's front for both steps. What does not: reading it (sigv4_reading), form uploads (post_policy), signed
chunks (chunks), the canonical request (sigv4_canonical), codes and wording by service (sigv4_faults), secrets
and principals (service.credentials).

Laws: signatures are compared in constant time. Host and every `x-amz-*` header must be covered by the
signature. Not detected: a request sent twice within its time, as with AWS; the payload, which the head names
by digest only.

Source: S3 API Reference, "Authenticating Requests (AWS Signature Version 4)"; IAM User Guide, "Signature
Version 4".
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from s3al.auth.sigv4_canonical import (
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
from s3al.auth.sigv4_faults import codes_of, fault, headers_not_signed
from s3al.auth.sigv4_reading import (
    MAX_EXPIRES_S,
    SHA256_HEX,
    UNSIGNED_PAYLOAD,
    Scope,
    SignedRequest,
    claimed_service,
    parse_authorization,
)
from s3al.errors import AccessError, RequestError

__all__ = [
    "MAX_EXPIRES_S",
    "MAX_SKEW_S",
    "UNSIGNED_PAYLOAD",
    "Scope",
    "Seed",
    "SignedRequest",
    "claimed_service",
    "parse_authorization",
    "payload_digest_needed",
    "require_region",
    "verify",
]

MAX_SKEW_S = 15 * 60
_SECOND = timedelta(seconds=1)
_MAY_BE_UNSIGNED = frozenset(
    {
        ("x-amz-content-sha256", "header"),  # its value is part of what is signed
        ("x-amz-cf-id", "header"),  # CloudFront adds it on the way, and nothing here reads it
        ("x-amz-cf-id", "query"),
    }
)


@dataclass(frozen=True, slots=True)
class Seed:
    """What the signatures of a body's chunks continue from."""

    signing_key: bytes = field(repr=False)
    scope_string: str
    timestamp: str
    signature: str = field(repr=False)


def payload_digest_needed(signed: SignedRequest) -> str | None:
    """The hex SHA-256 that the payload must have, or None if the head does not say."""
    return signed.payload_hash if SHA256_HEX.fullmatch(signed.payload_hash) else None


def require_region(signed: SignedRequest, region: str) -> None:
    """Raises unless the scope names `region`."""
    if signed.scope.region != region:
        raise fault("region", signed.scope.service, signed.kind, value=signed.scope.region, expected=region)


def verify(
    signed: SignedRequest, secret: str, *, method: str, raw_path: str, query: Query, headers: Headers, now: datetime
) -> Seed:
    """Raises unless the owner of `secret` signed this head, lately enough.

    raw_path: as sent, percent-encoded. query: decoded pairs. headers: lower-case names.
    """
    _check_time(signed, now)
    _check_coverage(signed, headers)
    scope = signed.scope
    scope_string = str(scope)
    timestamp = timestamp_of(signed.signed_at)
    key = signing_key(secret, scope.date, scope.region, scope.service)
    arguments = canonical_query(query, without="X-Amz-Signature" if signed.kind == "query" else None)
    names = ";".join(signed.signed_headers)
    tail = f"{arguments}\n{canonical_headers(headers, signed.signed_headers)}\n{names}\n{signed.payload_hash}"
    provided = signed.signature.encode()
    to_sign = ""
    for path in reversed(canonical_paths(scope.service, raw_path)):
        to_sign = string_to_sign(timestamp, scope_string, f"{method}\n{path}\n{tail}")
        if hmac.compare_digest(signature_of(key, to_sign).encode(), provided):
            return Seed(key, scope_string, timestamp, signed.signature)
    raise _mismatch(scope, to_sign)


def _mismatch(scope: Scope, to_sign: str) -> RequestError:
    """S3 also shows what it would have signed. The canonical request stays out: it holds SSE-C keys and
    session tokens.
    """
    if scope.service != "s3":
        return RequestError(codes_of(scope.service).mismatch)
    return RequestError(
        "SignatureDoesNotMatch",
        AWSAccessKeyId=scope.access_key_id,
        StringToSign=to_sign,
        StringToSignBytes=to_sign.encode().hex(" "),
    )


def _check_time(signed: SignedRequest, now: datetime) -> None:
    age_s = (now - signed.signed_at) / _SECOND
    if signed.expires_s is not None:
        if -MAX_SKEW_S <= age_s <= signed.expires_s:
            return
    elif -MAX_SKEW_S <= age_s <= MAX_SKEW_S:
        return
    raise _untimely(signed, now, age_s)


def _untimely(signed: SignedRequest, now: datetime, age_s: float) -> RequestError:
    service, at = signed.scope.service, timestamp_of(signed.signed_at)
    if service != "s3":
        code = codes_of(service).mismatch
        allowed = timedelta(seconds=MAX_SKEW_S)
        if age_s < 0:
            latest, current = timestamp_of(now + allowed), timestamp_of(now)
            sentence = f"Signature not yet current: {at} is still later than {latest} ({current} + 15 min.)"
            return RequestError(code, sentence)
        span = signed.expires_s if signed.expires_s is not None else MAX_SKEW_S
        earliest = timestamp_of(now - timedelta(seconds=span))
        return RequestError(
            code, f"Signature expired: {at} is now earlier than {earliest} ({timestamp_of(now)} - {span // 60} min.)"
        )
    server_time = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if signed.expires_s is None:
        return RequestError(
            "RequestTimeTooSkewed",
            RequestTime=at,
            ServerTime=server_time,
            MaxAllowedSkewMilliseconds=str(MAX_SKEW_S * 1000),
        )
    if age_s < 0:
        return AccessError("AccessDenied", "Request is not yet valid", ServerTime=server_time)
    expires = (signed.signed_at + timedelta(seconds=signed.expires_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
    fields = {"X-Amz-Expires": str(signed.expires_s), "Expires": expires, "ServerTime": server_time}
    return AccessError("AccessDenied", "Request has expired", **fields)


def _check_coverage(signed: SignedRequest, headers: Headers) -> None:
    covered = signed.signed_headers
    unsigned = [name for name in headers if name.startswith("x-amz-") and name not in covered]
    if unsigned:
        unsigned = [name for name in unsigned if (name, signed.kind) not in _MAY_BE_UNSIGNED]
    if "host" not in covered:
        unsigned.insert(0, "host")
    if unsigned:
        raise headers_not_signed(signed.scope.service, unsigned)

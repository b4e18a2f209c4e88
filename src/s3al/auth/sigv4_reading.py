"""Reading a Signature Version 4 from the head of a request: the Authorization header or a presigned URL.

What lives here: `SignedRequest` and the syntax it is read from. What does not: whether the signature is right
(sigv4), form uploads (post_policy), codes and wording by service (sigv4_faults).

Laws: None means that nothing claims to be a signature; what claims to be one and is not whole is an error,
never anonymous. One request has one signature, and each of its parts once.

Source: S3 API Reference, "Authenticating Requests (AWS Signature Version 4)"; IAM User Guide, "Signature
Version 4".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Literal

from s3al.auth.sigv4_canonical import (
    ALGORITHM,
    TERMINATOR,
    Headers,
    Query,
    parse_timestamp,
    timestamp_of,
)
from s3al.auth.sigv4_faults import SERVICES, Place, codes_of, fault, query_fault
from s3al.errors import AccessError, RequestError

MAX_EXPIRES_S = 7 * 24 * 3600
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"

_ECDSA = "AWS4-ECDSA-P256-SHA256"
_STREAMING = frozenset(
    {
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    }
)
_STREAMING_ECDSA = frozenset({f"STREAMING-{_ECDSA}-PAYLOAD", f"STREAMING-{_ECDSA}-PAYLOAD-TRAILER"})
SHA256_HEX = re.compile(r"[0-9a-f]{64}")
_SCOPE_DATE = re.compile(r"[0-9]{8}")
_SCOPE_WORD = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SCOPE_REGION = re.compile(r"[A-Za-z0-9_-]{0,64}")
_ACCESS_KEY_ID_MAX = 128
_SCOPES_REMEMBERED = 256
_EXPIRES = re.compile(r"[+-]?[0-9]{1,18}")
_COMPONENTS = ("Credential", "SignedHeaders", "Signature")
_PARAMETERS = (
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
)
_QUERY_MARKS = frozenset(_PARAMETERS) - {"X-Amz-Date", "X-Amz-Expires"}
_QUERY_V2_MARKS = frozenset({"AWSAccessKeyId", "Signature"})

_UNSUPPORTED = "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
_ONE_MECHANISM = (
    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
    "Signature query string parameter or the Authorization header should be specified"
)
_PAYLOAD_HASH = (
    "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, "
    "STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER, "
    "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD, STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER "
    "or a valid sha256 value."
)


@dataclass(frozen=True, slots=True)
class Scope:
    """For whom, when and where a signature counts. date: `YYYYMMDD`."""

    access_key_id: str
    date: str
    region: str
    service: str

    def __str__(self) -> str:
        return f"{self.date}/{self.region}/{self.service}/{TERMINATOR}"


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A signature as read, not yet verified.

    signed_headers: lower case, in the order signed. expires_s: of a presigned URL. payload_hash: hex SHA-256,
    or one of S3's constants; "" where a service other than S3 does not name it, and whoever reads the body
    must put it in.
    """

    kind: Literal["header", "query", "post"]
    scope: Scope
    signed_headers: tuple[str, ...]
    signature: str = field(repr=False)
    signed_at: datetime
    expires_s: int | None
    payload_hash: str
    session_token: str | None = field(default=None, repr=False)


def parse_authorization(headers: Headers, query: Query, *, service_hint: str | None = None) -> SignedRequest | None:
    """The signature of a request, or None if it is anonymous.

    service_hint: the service that the request's shape names (x-amz-target, the path of our own API); a scope
    of another service is then refused. None: the scope's word counts.
    """
    authorization = headers.get("authorization")
    names = {name for name, _ in query} if query else frozenset()
    in_query = not _QUERY_MARKS.isdisjoint(names)
    if authorization is not None:
        if in_query or "Signature" in names:
            scheme = authorization.partition(" ")[0][:64]
            raise RequestError("InvalidArgument", _ONE_MECHANISM, ArgumentName="Authorization", ArgumentValue=scheme)
        return _parse_header(authorization, headers, service_hint)
    if in_query:
        return _parse_query(headers, query, service_hint)
    if not _QUERY_V2_MARKS.isdisjoint(names):
        raise RequestError("InvalidRequest", _UNSUPPORTED)
    return None


def claimed_service(headers: Headers, query: Query) -> str | None:
    """The service that a signature's scope names, well-formed or not; for choosing in whose words to answer."""
    credential = next((value for name, value in query if name == "X-Amz-Credential"), "") if query else ""
    if "authorization" in headers:
        credential = headers["authorization"].partition("Credential=")[2].partition(",")[0]
    parts = credential.strip().split("/")
    return parts[3] if len(parts) == 5 and parts[3] in SERVICES else None


@lru_cache(maxsize=_SCOPES_REMEMBERED)  # the same few, request after request
def parse_scope(credential: str, place: Place, service_hint: str | None) -> Scope:
    """`<access key id>/YYYYMMDD/region/service/aws4_request`."""
    answering = service_hint or "s3"
    parts = credential.split("/")
    if len(parts) != 5 or not parts[0] or len(parts[0]) > _ACCESS_KEY_ID_MAX:
        raise fault("credential", answering, place)
    access_key_id, date, region, service, terminator = parts
    answering = service_hint or (service if service in SERVICES else "s3")
    if service != answering:
        raise fault("service", answering, place, value=service, expected=answering)
    if terminator != TERMINATOR:
        raise fault("terminator", answering, place, value=terminator)
    if not _SCOPE_DATE.fullmatch(date):
        raise fault("scope date", answering, place, value=date)
    if not _SCOPE_REGION.fullmatch(region) or not _SCOPE_WORD.fullmatch(service):
        raise fault("credential", answering, place)
    return Scope(access_key_id, date, region, service)


def _parse_header(authorization: str, headers: Headers, service_hint: str | None) -> SignedRequest:
    begun, mark, signature = authorization.rpartition("Signature=")
    if mark and signature.isalnum():  # last, where SDKs write it
        scope, signed_headers = _begun(begun, service_hint)
    else:
        scope, signed_headers, signature = _components(authorization, service_hint)
    return SignedRequest(
        kind="header",
        scope=scope,
        signed_headers=signed_headers,
        signature=signature,
        signed_at=_header_date(headers, scope),
        expires_s=None,
        payload_hash=_header_payload_hash(headers, scope.service),
        session_token=headers.get("x-amz-security-token"),
    )


@lru_cache(maxsize=_SCOPES_REMEMBERED)  # the same for many requests of one client
def _begun(begun: str, service_hint: str | None) -> tuple[Scope, tuple[str, ...]]:
    """What an Authorization header says before its signature."""
    scope, signed_headers, _ = _components(f"{begun}Signature=0", service_hint)
    return scope, signed_headers


def _components(authorization: str, service_hint: str | None) -> tuple[Scope, tuple[str, ...], str]:
    service = service_hint or claimed_service({"authorization": authorization}, ()) or "s3"
    scheme, space, rest = authorization.strip().partition(" ")
    if scheme != ALGORITHM or not space:
        raise _wrong_scheme(scheme, bool(space), service)
    values: dict[str, str] = {}
    for component in rest.split(","):
        name, equals, value = component.strip().partition("=")
        if not equals or not value:
            raise fault("component", service, "header", value=name)
        if name in values or name not in _COMPONENTS:
            raise fault("components", service, "header")
        values[name] = value
    for name in _COMPONENTS:
        if name not in values:
            raise fault("missing", service, "header", value=name)
    scope = parse_scope(values["Credential"], "header", service_hint)
    return scope, tuple(values["SignedHeaders"].lower().split(";")), values["Signature"]


def _wrong_scheme(scheme: str, has_more: bool, service: str) -> RequestError:
    if service != "s3":
        return RequestError(codes_of(service).incomplete, f"Unsupported AWS 'algorithm': '{scheme[:64]}'.")
    if scheme == "AWS":
        return RequestError("InvalidRequest", _UNSUPPORTED)
    if scheme == _ECDSA:
        return RequestError("NotImplemented", f"{_ECDSA} is not implemented. Please use {ALGORITHM}.")
    sentence = "Unsupported Authorization Type"
    if not has_more:
        sentence = "Authorization header is invalid -- one and only one ' ' (space) required."
    return RequestError("InvalidArgument", sentence, ArgumentName="Authorization", ArgumentValue=scheme[:64])


def _header_date(headers: Headers, scope: Scope) -> datetime:
    """From x-amz-date, else Date."""
    moment = None
    text = headers.get("x-amz-date")
    if text is not None:
        moment = parse_timestamp(text.strip())
    elif "date" in headers:
        moment = parse_timestamp(headers["date"].strip()) or _http_date(headers["date"])
    if moment is None:
        if scope.service == "s3":
            raise AccessError("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
        sentence = "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."
        raise RequestError(codes_of(scope.service).incomplete, sentence)
    _check_scope_date(scope, moment, "header")
    return moment


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _check_scope_date(scope: Scope, moment: datetime, place: Place) -> None:
    day = timestamp_of(moment)[:8]
    if day != scope.date:
        raise fault("date differs", scope.service, place, value=scope.date, expected=day)


def _header_payload_hash(headers: Headers, service: str) -> str:
    value = headers.get("x-amz-content-sha256")
    if service != "s3":
        return value or ""
    if value is None:
        raise RequestError("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
    return _checked_payload_hash(value)


def _checked_payload_hash(value: str) -> str:
    if SHA256_HEX.fullmatch(value) or value == UNSIGNED_PAYLOAD or value in _STREAMING:
        return value
    if value in _STREAMING_ECDSA:
        raise RequestError("NotImplemented", f"{value} is not implemented.")
    raise RequestError("InvalidArgument", _PAYLOAD_HASH, ArgumentName="x-amz-content-sha256", ArgumentValue=value[:128])


def _parse_query(headers: Headers, query: Query, service_hint: str | None) -> SignedRequest:
    service = service_hint or claimed_service({}, query) or "s3"
    given: dict[str, str] = {}
    for name, value in query:
        if name.startswith("X-Amz-"):
            if name in given:
                raise query_fault(service, f"Duplicate query parameter {name[:64]}.")
            given[name] = value
    _check_algorithm(given.get("X-Amz-Algorithm", ""), service)
    if not all(given.get(name) for name in _PARAMETERS):
        raise query_fault(service)
    scope = parse_scope(given["X-Amz-Credential"], "query", service_hint)
    signed_at = parse_timestamp(given["X-Amz-Date"])
    if signed_at is None:
        raise query_fault(service, "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    _check_scope_date(scope, signed_at, "query")
    return SignedRequest(
        kind="query",
        scope=scope,
        signed_headers=tuple(given["X-Amz-SignedHeaders"].lower().split(";")),
        signature=given["X-Amz-Signature"],
        signed_at=signed_at,
        expires_s=_expires(given["X-Amz-Expires"], service),
        payload_hash=_query_payload_hash(headers, given, scope.service),
        session_token=given.get("X-Amz-Security-Token", headers.get("x-amz-security-token")),
    )


def _check_algorithm(algorithm: str, service: str) -> None:
    if not algorithm:
        raise query_fault(service)
    if algorithm == _ECDSA and service == "s3":
        raise RequestError("NotImplemented", f"{_ECDSA} is not implemented. Please use {ALGORITHM}.")
    if algorithm != ALGORITHM:
        raise query_fault(service, 'X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"')


def _expires(text: str, service: str) -> int:
    if not _EXPIRES.fullmatch(text):
        raise query_fault(service, "X-Amz-Expires should be a number")
    seconds = int(text)
    if seconds < 0:
        raise query_fault(service, "X-Amz-Expires must be non-negative")
    if seconds > MAX_EXPIRES_S:
        raise query_fault(
            service,
            "X-Amz-Expires must be less than a week (in seconds); "
            "that is, the given X-Amz-Expires must be less than 604800 seconds",
        )
    return seconds


def _query_payload_hash(headers: Headers, given: dict[str, str], service: str) -> str:
    """A presigned URL leaves the payload open unless its holder, by header, or its maker, by parameter, says
    otherwise.
    """
    if service != "s3":
        return ""
    header = headers.get("x-amz-content-sha256")
    if header is not None:
        return _checked_payload_hash(header)
    value = _checked_payload_hash(given.get("X-Amz-Content-Sha256", UNSIGNED_PAYLOAD))
    if value in _STREAMING:  # how the body is framed must stand where the framing is read
        raise RequestError("InvalidRequest", f"{value} must be sent as the header x-amz-content-sha256.")
    return value

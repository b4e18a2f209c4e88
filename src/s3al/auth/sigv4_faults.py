"""What a service answers when a request's signature is missing, malformed, late or wrong.

What lives here: the codes of each service, and the wording of each fault. What does not: finding the fault
(sigv4, post_policy), the status of a code (the error table of the service).

Laws: both tables are the whole rule; no other module of this room names a code that differs by service. A
message never repeats a signature, a token or a whole Authorization header, though AWS repeats them.

Sources: S3 API Reference, "Error responses" and "Authenticating Requests"; IAM User Guide, "Troubleshoot AWS
Signature Version 4 signing"; wording as the live services give it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from s3al.errors import AccessError, RequestError

Place = Literal["header", "query", "post"]  # where the signature stands


@dataclass(frozen=True, slots=True)
class AuthCodes:
    """The codes of one service. unknown_key, bad_token and expired_token are raised by whoever looks up
    credentials.
    """

    missing: str
    incomplete: str
    mismatch: str
    unknown_key: str
    bad_token: str
    expired_token: str


# In the order of the fields.
_S3 = AuthCodes(
    "AccessDenied",
    "AuthorizationHeaderMalformed",
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId",
    "InvalidToken",
    "ExpiredToken",
)
_JSON = AuthCodes(
    "MissingAuthenticationTokenException",
    "IncompleteSignatureException",
    "InvalidSignatureException",
    "UnrecognizedClientException",
    "UnrecognizedClientException",
    "ExpiredTokenException",
)
_QUERY = AuthCodes(
    "MissingAuthenticationToken",
    "IncompleteSignature",
    "SignatureDoesNotMatch",
    "InvalidClientTokenId",
    "InvalidClientTokenId",
    "ExpiredToken",
)

SERVICES: Mapping[str, AuthCodes] = MappingProxyType(
    {"s3": _S3, "kms": _JSON, "cloudtrail": _JSON, "sts": _QUERY, "iam": _QUERY, "s3al": _QUERY}
)


def codes_of(service: str) -> AuthCodes:
    """Of S3 for a service that is not known: that is what answers such a request."""
    return SERVICES.get(service, _S3)


# Fault -> (S3's reason, which code the other services give it, their sentence).
_WORDING: Mapping[str, tuple[str, str, str]] = {
    "components": (
        "the authorization header requires three components: Credential, SignedHeaders, and Signature.",
        "incomplete",
        "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters.",
    ),
    "component": (
        'the authorization component "{value}" is malformed.',
        "incomplete",
        "'{value}' not a valid key=value pair (missing equal-sign) in Authorization header.",
    ),
    "missing": (
        "missing {value}.",
        "incomplete",
        "Authorization header requires '{value}' parameter.",
    ),
    "credential": (
        'the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".',
        "incomplete",
        "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.",
    ),
    "scope date": (
        'incorrect date format "{value}". This date in the credential must be in the format "yyyyMMdd".',
        "incomplete",
        "Credential date must be in the format YYYYMMDD, not '{value}'.",
    ),
    "terminator": (
        'incorrect terminal "{value}". This endpoint uses "aws4_request".',
        "mismatch",
        "Credential should be scoped with a valid terminator: 'aws4_request', not '{value}'.",
    ),
    "service": (
        'incorrect service "{value}". This endpoint belongs to "{expected}".',
        "mismatch",
        "Credential should be scoped to correct service: '{expected}'.",
    ),
    "region": (
        "the region '{value}' is wrong; expecting '{expected}'",
        "mismatch",
        "Credential should be scoped to a valid region.",
    ),
    "date differs": (
        'Invalid credential date "{value}". This date is not the same as X-Amz-Date: "{expected}".',
        "mismatch",
        (
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            "'{value}' != '{expected}'."
        ),
    ),
}

_SHOWN = 64  # characters of a client's text that a message repeats


def fault(name: str, service: str, place: Place, *, value: str = "", expected: str = "") -> RequestError:
    """The error for one fault of the table. value: the client's text that is wrong, shown in part."""
    s3_reason, kind, sentence = _WORDING[name]
    shown = value[:_SHOWN]
    codes = codes_of(service)
    if codes is not _S3:
        return RequestError(getattr(codes, kind), sentence.format(value=shown, expected=expected))
    reason = s3_reason.format(value=shown, expected=expected)
    fields = {"Region": expected} if name == "region" else {}
    if place == "post":
        return RequestError("InvalidArgument", reason, ArgumentName="x-amz-credential", ArgumentValue=shown, **fields)
    if place == "header":
        return RequestError(codes.incomplete, f"The authorization header is malformed; {reason}", **fields)
    prefix = "" if name == "date differs" else "Error parsing the X-Amz-Credential parameter; "
    return RequestError("AuthorizationQueryParametersError", prefix + reason, **fields)


def query_fault(service: str, sentence: str | None = None) -> RequestError:
    """A presigned URL lacks a parameter (sentence None) or has one that is wrong."""
    codes = codes_of(service)
    if codes is _S3:
        return RequestError("AuthorizationQueryParametersError", sentence)
    absent = "The presigned request lacks a required authentication parameter."
    return RequestError(codes.incomplete, sentence or absent)


def headers_not_signed(service: str, names: list[str]) -> RequestError:
    codes = codes_of(service)
    if codes is _S3:
        return AccessError(
            "AccessDenied",
            "There were headers present in the request which were not signed",
            HeadersNotSigned=", ".join(names),
        )
    if "host" in names:
        return RequestError(codes.mismatch, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    return RequestError(codes.mismatch, f"'{names[0][:_SHOWN]}' must be a 'SignedHeader' in the AWS Authorization.")

"""What the steps that all services share refuse, in each service's own words.

What lives here: the table from the codes of the shared steps (S3's, since S3 is asked most) to those of the other
services, and the choice of status and message. What does not: what a service's own operations refuse; their codes
stand in the tables of their rooms.

Laws: every failure class has a row for every service; a code that no table knows is still the caller's fault and
never a 500. What S3 words for S3 alone is not shown by another service.

Sources: KMS API Reference and IAM API Reference, "Common errors".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from s3al.errors import RequestError
from s3al.s3.errors import S3_ERRORS

ErrorTable = Mapping[str, tuple[int, str]]
_UNKNOWN_STATUS = 400

_KMS = {
    "AccessDenied": "AccessDeniedException",
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
    "InvalidAccessKeyId": "UnrecognizedClientException",
    "InvalidToken": "UnrecognizedClientException",
    "ExpiredToken": "ExpiredTokenException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "InternalError": "KMSInternalException",
    "ServiceUnavailable": "DependencyTimeoutException",
    "RequestTimeout": "DependencyTimeoutException",
    "SlowDown": "ThrottlingException",
    "EntityTooLarge": "ValidationException",
    "IncompleteBody": "ValidationException",
    "InvalidArgument": "ValidationException",
    "InvalidRequest": "ValidationException",
    "InvalidURI": "ValidationException",
    "NotImplemented": "UnsupportedOperationException",
    "RequestHeaderSectionTooLarge": "ValidationException",
}
_IAM = {
    "InvalidAccessKeyId": "InvalidClientTokenId",
    "InvalidToken": "InvalidClientTokenId",
    "InternalError": "InternalFailure",
    "EntityTooLarge": "RequestEntityTooLarge",
    "RequestTimeout": "ServiceUnavailable",
    "SlowDown": "ServiceUnavailable",
    "IncompleteBody": "ValidationError",
    "InvalidArgument": "ValidationError",
    "InvalidRequest": "ValidationError",
    "InvalidURI": "ValidationError",
    "NotImplemented": "InvalidAction",
    "RequestHeaderSectionTooLarge": "ValidationError",
}
_NOTHING: Mapping[str, str] = MappingProxyType({})
TRANSLATIONS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"s3": _NOTHING, "kms": _KMS, "cloudtrail": _KMS, "sts": _IAM, "iam": _IAM, "s3al": _IAM}
)
# A generic code says nothing by itself: then the message of the code it stands for is shown.
_GENERIC = frozenset({"ValidationException", "ValidationError", "DependencyTimeoutException"})


def worded(refused: RequestError, service: str, errors: ErrorTable) -> tuple[str, int, str]:
    """(code, status, message) by which `service`, whose table is `errors`, answers."""
    code = TRANSLATIONS.get(service, _NOTHING).get(refused.code, refused.code)
    status, default = errors.get(code, (_UNKNOWN_STATUS, ""))
    if code in _GENERIC and code != refused.code:
        default = S3_ERRORS[refused.code][1]
    return code, status, refused.message or default

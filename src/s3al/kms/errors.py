"""Every error a KMS operation answers, in one table; and what S3 makes of them.

What lives here: code -> (status, default message), as `service.Service.errors` wants it. What does not: the
JSON document (wire), messages that name a key (states, identifiers and the operations).

Laws: a code that an operation raises stands here (a test looks); all failures to decrypt have one code and no
message.

Sources: botocore's kms model; statuses and the empty messages as recorded from AWS; service common errors of
the API reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from s3al.errors import AccessError, RequestError

KMS_ERRORS: Mapping[str, tuple[int, str]] = {
    # who asks, and may they
    "AccessDeniedException": (400, "You are not authorized to perform this operation."),
    "MissingAuthenticationTokenException": (400, "Missing Authentication Token"),
    "IncompleteSignature": (400, "The request signature does not conform to AWS standards."),
    "InvalidSignatureException": (
        400,
        "The request signature we calculated does not match the signature you provided.",
    ),
    "UnrecognizedClientException": (400, "The security token included in the request is invalid."),
    "NotAuthorizedException": (400, ""),
    "OptInRequired": (403, "The AWS Access Key Id needs a subscription for the service."),
    "ExpiredTokenException": (400, "The security token included in the request is expired."),
    "RequestExpired": (400, "The request reached the service too late."),
    # the request itself
    "ValidationException": (400, "The input fails to satisfy the constraints specified by an AWS service."),
    "SerializationException": (400, "The request body could not be read as JSON."),
    "UnknownOperationException": (400, "The operation is not known."),
    "InvalidArnException": (400, "A specified ARN, or an ARN in a key policy, is not valid."),
    "InvalidMarkerException": (400, "The marker that specifies where pagination should next begin is not valid."),
    "InvalidAliasNameException": (400, "The specified alias name is not valid."),
    "InvalidGrantIdException": (400, "The specified grant ID is not valid."),
    "InvalidGrantTokenException": (400, "The specified grant token is not valid."),
    "MalformedPolicyDocumentException": (400, "The specified policy is not syntactically or semantically correct."),
    "TagException": (400, "One or more tags are not valid."),
    "UnsupportedOperationException": (
        400,
        "A specified parameter is not supported or a specified resource is not valid for this operation.",
    ),
    # the key
    "NotFoundException": (400, "The specified entity or resource could not be found."),
    "AlreadyExistsException": (400, "It attempted to create a resource that already exists."),
    "DisabledException": (400, "The specified KMS key is not enabled."),
    "KMSInvalidStateException": (400, "The state of the specified resource is not valid for this request."),
    "InvalidKeyUsageException": (400, "The KMS key cannot be used for this operation."),
    "LimitExceededException": (400, "A quota was exceeded."),
    "ConflictException": (400, "An automatic rotation of this key is running or about to begin."),
    # the ciphertext
    "IncorrectKeyException": (
        400,
        "The key ID in the request does not identify a CMK that can perform this operation.",
    ),
    "InvalidCiphertextException": (400, ""),
    "KMSInvalidSignatureException": (400, ""),
    "KMSInvalidMacException": (400, ""),
    # imported material
    "InvalidImportTokenException": (400, "The import token is not valid for this KMS key."),
    "ExpiredImportTokenException": (400, "The import token is expired."),
    "IncorrectKeyMaterialException": (
        400,
        "The key material in the request is not the same key material that was previously imported.",
    ),
    "DryRunOperationException": (400, "The request would have succeeded, but the DryRun option is set."),
    # the server
    "ThrottlingException": (400, "Rate exceeded"),
    "DependencyTimeoutException": (
        503,
        "The system timed out while trying to fulfill the request. You can retry the request.",
    ),
    "KMSInternalException": (500, "An internal exception occurred. The request can be retried."),
    "KeyUnavailableException": (500, "The specified KMS key was not available. You can retry the request."),
}

# KMS code -> the code by which S3 answers, when it used a key for a request. What is not here is answered as it is.
S3_CODES: Mapping[str, str] = {
    "AccessDeniedException": "AccessDenied",
    "DisabledException": "KMS.DisabledException",
    "InvalidArnException": "KMS.NotFoundException",
    "InvalidKeyUsageException": "KMS.InvalidKeyUsageException",
    "KMSInvalidStateException": "KMS.KMSInvalidStateException",
    "NotFoundException": "KMS.NotFoundException",
}


@contextmanager
def answered_by_s3() -> Iterator[None]:
    """Errors of the key, raised inside, leave as S3 words them; the message stays."""
    try:
        yield
    except RequestError as error:
        code = S3_CODES.get(error.code, error.code)
        family = AccessError if isinstance(error, AccessError) else RequestError
        default = KMS_ERRORS[error.code][1] if error.code in KMS_ERRORS else None
        raise family(code, default if error.message is None else error.message, **error.fields) from error

"""The errors of STS, IAM and our own API: code -> (HTTP status, default message).

Source: IAM API Reference, "Common errors" and each operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

IAM_ERRORS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "AccessDenied": (403, "You do not have sufficient access to perform this action."),
        "DeleteConflict": (409, "The entity still has what must be removed first."),
        "InvalidInput": (400, "An invalid value was supplied."),
        "LimitExceeded": (409, "A quota would be exceeded."),
        "UnmodifiableEntity": (400, "The entity cannot be changed."),
        "EntityAlreadyExists": (409, "The entity already exists."),
        "ExpiredToken": (403, "The security token included in the request is expired"),
        "ExpiredTokenException": (400, "The web identity token that was passed is expired."),
        "IDPCommunicationError": (400, "The identity provider could not be reached."),
        "IDPRejectedClaim": (403, "The identity provider reported that authentication failed."),
        "IncompleteSignature": (400, "The request signature does not conform to AWS standards."),
        "InternalFailure": (
            500,
            "The request processing has failed because of an unknown error, exception or failure.",
        ),
        "InvalidAction": (400, "The action or operation requested is invalid."),
        "InvalidClientTokenId": (403, "The security token included in the request is invalid."),
        "InvalidIdentityToken": (400, "The web identity token that was passed could not be validated."),
        "InvalidParameterValue": (400, "An invalid or out-of-range value was supplied for the input parameter."),
        "MalformedInput": (400, "The request body could not be understood."),
        "MalformedPolicyDocument": (400, "The request was rejected because the policy document was malformed."),
        "MissingAction": (400, "The request is missing an action or a required parameter."),
        "MissingAuthenticationToken": (403, "Request is missing Authentication Token"),
        "NoSuchEntity": (404, "The entity does not exist."),
        "PackedPolicyTooLarge": (400, "The session policies and tags are together too large."),
        "RequestEntityTooLarge": (413, "The request body is too large."),
        "RequestExpired": (400, "The request reached the service more than 15 minutes after its date stamp."),
        "ServiceUnavailable": (503, "The request has failed due to a temporary failure of the server."),
        "SignatureDoesNotMatch": (
            403,
            (
                "The request signature we calculated does not match the signature you provided. "
                "Check your AWS Secret Access Key and signing method."
            ),
        ),
        "ValidationError": (400, "The input fails to satisfy the constraints specified by an AWS service."),
    }
)

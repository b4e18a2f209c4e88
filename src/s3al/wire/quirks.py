"""What the service models do not say about the wire, as data with a reason per line.

What lives here: names, codes and messages of the services' live behaviour. What does not: code that acts on them
(parse, serialize, router).

Law: every row says why it is here; a row that the model comes to say itself is removed.

Sources: Amazon S3 API Reference, per operation; "Error responses"; answers of the live service as clients show them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

KIB = 1024


@dataclass(frozen=True, slots=True)
class ArgumentFault:
    """The error of one argument's bad value; `named` adds ArgumentName and ArgumentValue."""

    code: str = "InvalidArgument"
    message: str | None = None
    named: bool = True


@dataclass(frozen=True, slots=True)
class IntegerRange:
    """Bounds of an integer argument and the message outside them. None: not parsed as a bounded argument."""

    least: int
    most: int
    message: str


@dataclass(frozen=True, slots=True)
class Quirks:
    """The deviations of one service. Keys are operation names, shape names or names on the wire, as each field says."""

    unrouted: Mapping[str, str] = field(default_factory=dict)  # operation -> reason
    roots: Mapping[str, str] = field(default_factory=dict)  # operation -> root element of the answer
    bare_roots: frozenset[str] = frozenset()  # operations whose one member is the text of the root
    statuses: Mapping[str, int] = field(default_factory=dict)  # operation -> status
    text_types: Mapping[str, str] = field(default_factory=dict)  # operation -> Content-Type of a text payload
    body_limits: Mapping[str, int] = field(default_factory=dict)  # operation -> bytes
    body_limit: int = 256 * KIB
    enum_faults: Mapping[str, ArgumentFault] = field(default_factory=dict)  # shape -> error
    open_enums: frozenset[str] = frozenset()  # shapes whose values the handler judges
    ranges: Mapping[str, IntegerRange] = field(default_factory=dict)  # wire name -> range
    verbatim: frozenset[str] = frozenset()  # shapes kept as the text sent
    closed: frozenset[str] = frozenset()  # structures in which an unknown element, or text, is MalformedXML
    ignored_if_malformed: frozenset[str] = frozenset()  # shapes
    never_empty: Mapping[str, str] = field(default_factory=dict)  # wire name -> message
    missing: Mapping[str, ArgumentFault] = field(default_factory=dict)  # wire name -> error when absent
    required_payloads: Mapping[str, ArgumentFault] = field(default_factory=dict)  # operation -> error when absent
    refused_headers: Mapping[str, ArgumentFault] = field(default_factory=dict)  # where an operation does not read them
    validation_code: str = "ValidationException"


NO_QUIRKS = Quirks()

_DIRECTORY = "answers on a host of its own; at this URL stands ListBuckets"
_LAMBDA = "a callback to the service's own host, not to a bucket"

_PART_NUMBER = "Part number must be an integer between 1 and 10000, inclusive"
_COUNT = "Argument {name} must be an integer between 0 and 2147483647"
_CHECKSUM_TYPE = "Value for x-amz-checksum-type header is invalid."
_MOST = 2**31 - 1


def _count(name: str) -> IntegerRange:
    return IntegerRange(0, _MOST, _COUNT.format(name=name))


S3 = Quirks(
    unrouted={"ListDirectoryBuckets": _DIRECTORY, "WriteGetObjectResponse": _LAMBDA},
    roots={
        # The model names no root of outputs without payload; these are the ones the API Reference shows.
        "ListBuckets": "ListAllMyBucketsResult",
        "ListObjects": "ListBucketResult",
        "ListObjectsV2": "ListBucketResult",
        "ListObjectVersions": "ListVersionsResult",
        "DeleteObjects": "DeleteResult",
        "CreateMultipartUpload": "InitiateMultipartUploadResult",
        "UploadPartCopy": "CopyPartResult",
        "GetBucketLocation": "LocationConstraint",
        "GetBucketVersioning": "VersioningConfiguration",
        "GetBucketTagging": "Tagging",
        "GetObjectTagging": "Tagging",
        "GetBucketCors": "CORSConfiguration",
        "GetBucketAcl": "AccessControlPolicy",
        "GetObjectAcl": "AccessControlPolicy",
        "GetBucketLifecycleConfiguration": "LifecycleConfiguration",
        "GetBucketWebsite": "WebsiteConfiguration",
        "GetBucketLogging": "BucketLoggingStatus",
        "GetBucketAccelerateConfiguration": "AccelerateConfiguration",
        "GetBucketRequestPayment": "RequestPaymentConfiguration",
        "GetBucketNotificationConfiguration": "NotificationConfiguration",
        # The live service says Response where the API Reference shows Output.
        "GetObjectAttributes": "GetObjectAttributesResponse",
    },
    # The region is the text of the root, and an empty root is us-east-1.
    bare_roots=frozenset({"GetBucketLocation"}),
    statuses={
        "PutBucketPolicy": 204,  # the model has no responseCode; the API Reference shows 204 No Content
        "PutBucketTagging": 204,  # likewise, unlike PutObjectTagging
    },
    text_types={"GetBucketPolicy": "application/json"},  # a policy is JSON inside a rest-xml service
    body_limits={
        "DeleteObjects": 2048 * KIB,  # 1,000 keys of 1,024 bytes, escaped
        "CompleteMultipartUpload": 4096 * KIB,  # 10,000 parts with up to three checksums each
        "PutBucketLifecycleConfiguration": 2048 * KIB,  # 1,000 rules, each with an id, a prefix and tags
        "PutBucketPolicy": 24 * KIB,  # a policy has 20 KiB; the excess is refused with PolicyTooLarge, not cut
    },
    enum_faults={
        "EncodingType": ArgumentFault(message="Invalid Encoding Method specified in Request"),
        "MetadataDirective": ArgumentFault(message="Unknown metadata directive."),
        "TaggingDirective": ArgumentFault(message="Unknown tagging directive."),
        "ObjectAttributes": ArgumentFault(message="Invalid attribute name specified."),
        "ChecksumType": ArgumentFault("InvalidRequest", _CHECKSUM_TYPE, named=False),
        "ObjectLockMode": ArgumentFault(message="Unknown wormMode directive."),
        "ObjectLockLegalHoldStatus": ArgumentFault(message="Legal Hold must be either of 'ON' or 'OFF'"),
    },
    open_enums=frozenset(
        {
            "BucketLocationConstraint",  # the server's own region need not be AWS's, and us-east-1 is not in the enum
            "StorageClass",  # InvalidStorageClass
            "ServerSideEncryption",  # judged together with the other encryption headers
            "ChecksumAlgorithm",  # judged by the checksums, whose codes differ per header
            "RequestPayer",  # S3 ignores values it does not know
            "ChecksumMode",  # likewise
        }
    ),
    ranges={
        "partNumber": IntegerRange(1, 10000, _PART_NUMBER),
        "max-keys": _count("max-keys"),
        "max-parts": _count("max-parts"),
        "max-uploads": _count("max-uploads"),
        "part-number-marker": _count("part-number-marker"),
        "max-buckets": IntegerRange(1, 10000, "Argument max-buckets must be an integer between 1 and 10000"),
        "x-amz-max-parts": _count("x-amz-max-parts"),
        "x-amz-part-number-marker": _count("x-amz-part-number-marker"),
    },
    # S3 stores and returns Expires as sent, also when it is no date.
    verbatim=frozenset({"Expires"}),
    # To pass by a misspelt filter would delete a whole bucket; a misspelt mode or date would remove a retention.
    closed=frozenset(
        {
            "BucketLifecycleConfiguration",
            "LifecycleRule",
            "LifecycleRuleFilter",
            "LifecycleRuleAndOperator",
            "LifecycleExpiration",
            "NoncurrentVersionExpiration",
            "AbortIncompleteMultipartUpload",
            "ObjectLockConfiguration",
            "ObjectLockRule",
            "DefaultRetention",
            "ObjectLockRetention",
        }
    ),
    # RFC 9110 section 13.1.3: a recipient ignores a field value that is no date.
    ignored_if_malformed=frozenset(
        {"IfModifiedSince", "IfUnmodifiedSince", "CopySourceIfModifiedSince", "CopySourceIfUnmodifiedSince"}
    ),
    never_empty={
        "versionId": "Version id cannot be the empty string",
        "uploadId": "This operation does not accept an empty uploadId",
    },
    missing={
        "x-amz-object-attributes": ArgumentFault(
            message="The x-amz-object-attributes header specifying the attributes to be retrieved is either missing "
            "or empty",
            named=False,
        ),
    },
    # Ignoring these would store or show something else than was asked for; the live service refuses them on a read.
    refused_headers={
        name: ArgumentFault(message=f"{name} header is not supported for this operation.")
        for name in (
            "x-amz-server-side-encryption",
            "x-amz-server-side-encryption-aws-kms-key-id",
            "x-amz-server-side-encryption-context",
        )
    },
    required_payloads={
        # Optional in the model; the live service refuses to complete nothing.
        "CompleteMultipartUpload": ArgumentFault("InvalidRequest", "You must specify at least one part", named=False),
    },
)

QUIRKS: Mapping[str, Quirks] = {
    "s3": S3,
    "sts": Quirks(validation_code="ValidationError"),  # the query services say Error where the JSON ones say Exception
    "iam": Quirks(validation_code="ValidationError"),
}


def quirks_of(service: str) -> Quirks:
    return QUIRKS.get(service, NO_QUIRKS)

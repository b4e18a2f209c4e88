"""Every limit of the S3 protocol, in one table, with where AWS states it.

What lives here: numbers that a client can meet. What does not: limits of framing (wire), of policies' grammar
(auth), or of this machine (config).

Law: each is tested at the limit and one over. Sizes are in bytes unless the name says otherwise.

Sources, by the words used below: "UG" Amazon S3 User Guide; "API" Amazon S3 API Reference.
"""

from __future__ import annotations

from typing import Final

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30
TIB: Final = 1 << 40

# Names
BUCKET_NAME_MIN_BYTES: Final = 3  # UG "Bucket naming rules"
BUCKET_NAME_MAX_BYTES: Final = 63  # UG "Bucket naming rules"
OBJECT_KEY_MAX_BYTES: Final = 1024  # UG "Naming Amazon S3 objects": UTF-8 encoding at most 1,024 bytes
BUCKETS_PER_ACCOUNT: Final = 10_000  # UG "General purpose bucket quotas, limitations, and restrictions"

# Objects and uploads (UG "Amazon S3 multipart upload limits", "Uploading objects")
PUT_MAX_BYTES: Final = 5 * GIB
PART_MAX_BYTES: Final = 5 * GIB
PART_MIN_BYTES: Final = 5 * MIB  # every part but the last, checked by CompleteMultipartUpload
PARTS_MAX: Final = 10_000
OBJECT_MAX_BYTES: Final = 50 * TIB  # 5 TiB before December 2025
COPY_SOURCE_MAX_BYTES: Final = 5 * GIB  # API CopyObject; UploadPartCopy copies more, by ranges
POST_FIELDS_MAX_BYTES: Final = 20 * KIB  # API "POST Object": fields before the file

# Metadata and tags
METADATA_MAX_BYTES: Final = 2 * KIB  # UG "Working with object metadata": names and values of user metadata
OBJECT_TAGS_MAX: Final = 10  # UG "Categorizing your objects using tags"
BUCKET_TAGS_MAX: Final = 50  # UG "Using cost allocation S3 bucket tags"
TAG_KEY_MAX_CHARACTERS: Final = 128  # UG "Categorizing your objects using tags": UTF-16 code units
TAG_VALUE_MAX_CHARACTERS: Final = 256

# Bucket settings
POLICY_MAX_BYTES: Final = 20 * KIB  # UG "Policies and permissions in Amazon S3"
CORS_RULES_MAX: Final = 100  # UG "Elements of a CORS configuration"
CORS_DOCUMENT_MAX_BYTES: Final = 64 * KIB  # API PutBucketCors
CORS_RULE_ID_MAX_CHARACTERS: Final = 255  # API CORSRule
LIFECYCLE_RULES_MAX: Final = 1000  # API PutBucketLifecycleConfiguration

# Lists (API ListObjectsV2, ListParts, ListMultipartUploads, ListBuckets, DeleteObjects)
LIST_PAGE_MAX: Final = 1000
BUCKETS_PAGE_MAX: Final = 10_000
DELETE_OBJECTS_MAX: Final = 1000
# Of a request document. The largest is DeleteObjects: 1,000 keys of 1,024 bytes, which escaping lengthens.
XML_BODY_MAX_BYTES: Final = 8 * MIB

# Presigned URLs and clocks (API "Authenticating Requests")
PRESIGN_MAX_S: Final = 7 * 24 * 3600
CLOCK_SKEW_MAX_S: Final = 15 * 60

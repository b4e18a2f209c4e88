"""All S3 operations: importing this module fills the table in `registry`."""

from __future__ import annotations

from s3al.s3 import (
    attributes,
    bucket_policy,
    buckets,
    completion,
    copy,
    cors,
    delete,
    encryption,
    listing,
    multipart,
    objects,
    ownership,
    post,
    public_access,
    put,
    tagging,
    unset,
    update_encryption,
    versioning,
)
from s3al.s3.lifecycle import operations as lifecycle
from s3al.s3.object_lock import operations as object_lock
from s3al.s3.registry import OPERATIONS

__all__ = [
    "OPERATIONS",
    "attributes",
    "bucket_policy",
    "buckets",
    "completion",
    "copy",
    "cors",
    "delete",
    "encryption",
    "lifecycle",
    "listing",
    "multipart",
    "object_lock",
    "objects",
    "ownership",
    "post",
    "public_access",
    "put",
    "tagging",
    "unset",
    "update_encryption",
    "versioning",
]

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
    object_lock,
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

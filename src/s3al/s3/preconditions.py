"""If-Match and its kin, for reading, writing and copying.

What lives here: the decision, pure. What does not: loading the object it is about.

Law: for reads the order of RFC 9110 section 13.2.2 holds; a failed precondition of a read is 412, a matching
validator 304. Writes know If-Match (an ETag) and If-None-Match (only `*`), as S3 does.

Sources: RFC 9110, section 13; S3 API Reference, GetObject, CopyObject; S3 User Guide, "Conditional writes".
"""

from __future__ import annotations

from datetime import datetime, timedelta

from s3al.errors import RequestError
from s3al.service.operation import Params


def check_read(params: Params, etag: str, last_modified: datetime) -> None:
    """Raises PreconditionFailed or NotModified."""
    if_match, if_none_match = params.get("IfMatch"), params.get("IfNoneMatch")
    if if_match is not None:
        if not matches(if_match, etag):
            raise RequestError("PreconditionFailed", Condition="If-Match")
    elif _changed_since(params.get("IfUnmodifiedSince"), last_modified, missing=False):
        raise RequestError("PreconditionFailed", Condition="If-Unmodified-Since")
    if if_none_match is not None:
        if matches(if_none_match, etag):
            raise RequestError("NotModified")
    elif not _changed_since(params.get("IfModifiedSince"), last_modified, missing=True):
        raise RequestError("NotModified")


def check_copy_source(params: Params, etag: str, last_modified: datetime) -> None:
    """x-amz-copy-source-if-*: every failure is PreconditionFailed."""
    if_match, if_none_match = params.get("CopySourceIfMatch"), params.get("CopySourceIfNoneMatch")
    if if_match is not None:
        if not matches(if_match, etag):
            raise RequestError("PreconditionFailed", Condition="x-amz-copy-source-If-Match")
    elif _changed_since(params.get("CopySourceIfUnmodifiedSince"), last_modified, missing=False):
        raise RequestError("PreconditionFailed", Condition="x-amz-copy-source-If-Unmodified-Since")
    if if_none_match is not None:
        if matches(if_none_match, etag):
            raise RequestError("PreconditionFailed", Condition="x-amz-copy-source-If-None-Match")
    elif not _changed_since(params.get("CopySourceIfModifiedSince"), last_modified, missing=True):
        raise RequestError("PreconditionFailed", Condition="x-amz-copy-source-If-Modified-Since")


def check_write(params: Params, current_etag: str | None) -> None:
    """Preconditions of a write, against the current version's ETag (None: no object, or a delete marker)."""
    if_match, if_none_match = params.get("IfMatch"), params.get("IfNoneMatch")
    if if_none_match is not None:
        if if_none_match.strip() != "*":
            raise RequestError(
                "NotImplemented",
                "A header you provided implies functionality that is not implemented",
                Header="If-None-Match",
            )
        if current_etag is not None:
            raise RequestError("PreconditionFailed", Condition="If-None-Match")
    if if_match is not None:
        if current_etag is None:
            raise RequestError("NoSuchKey", Key=str(params.get("Key", "")))
        if not matches(if_match, current_etag):
            raise RequestError("PreconditionFailed", Condition="If-Match")


def has_write_precondition(params: Params) -> bool:
    return params.get("IfMatch") is not None or params.get("IfNoneMatch") is not None


def matches(header: str, etag: str) -> bool:
    """Whether an If-Match list names the ETag (given without quotes); `*` names any."""
    if header.strip() == "*":
        return True
    return any(_bare(candidate) == etag for candidate in header.split(","))


def _bare(candidate: str) -> str:
    return candidate.strip().removeprefix("W/").strip('"')


def _changed_since(moment: datetime | None, last_modified: datetime, *, missing: bool) -> bool:
    """Whether the object is newer than `moment`, in whole seconds as HTTP dates are; `missing` when no moment
    is given."""
    if moment is None:
        return missing
    return last_modified.replace(microsecond=0) - timedelta(seconds=1) >= moment

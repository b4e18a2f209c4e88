"""The Range header as S3 takes it: one range of bytes, or the whole object.

What lives here: parsing and resolving, pure. Laws: a header that is not one well-formed byte range is ignored
(RFC 9110, section 14.2); one that begins past the end is InvalidRange.

Source: S3 API Reference, GetObject (S3 does not support several ranges in one GET).
"""

from __future__ import annotations

import re

from s3al.errors import RequestError

_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]{0,99})\s*-\s*([0-9]{0,99})\s*", re.IGNORECASE)
_COPY_RANGE = re.compile(r"bytes=([0-9]{1,99})-([0-9]{1,99})")


def resolve(header: str | None, size_bytes: int) -> tuple[int, int] | None:
    """(offset, length) of a satisfiable range; None for the whole object. Raises InvalidRange."""
    found = _RANGE.fullmatch(header) if header else None
    if not found or not (found[1] or found[2]):
        return None
    if not found[1]:
        wanted = int(found[2])
        if not wanted or not size_bytes:
            raise _unsatisfiable(header, size_bytes)
        length = min(wanted, size_bytes)
        return size_bytes - length, length
    first = int(found[1])
    last = min(int(found[2]), size_bytes - 1) if found[2] else size_bytes - 1
    if found[2] and int(found[2]) < first:
        return None
    if first >= size_bytes:
        raise _unsatisfiable(header, size_bytes)
    return first, last - first + 1


def resolve_copy(header: str | None, size_bytes: int) -> tuple[int, int]:
    """x-amz-copy-source-range: exactly `bytes=first-last`, inside the source. Raises InvalidArgument or
    InvalidRange."""
    if header is None:
        return 0, size_bytes
    found = _COPY_RANGE.fullmatch(header)
    if not found or int(found[1]) > int(found[2]):
        raise RequestError(
            "InvalidArgument",
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are "
            "the zero-based offsets of the first and last bytes to copy",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=header,
        )
    first, last = int(found[1]), int(found[2])
    if last >= size_bytes:
        raise RequestError(
            "InvalidArgument",
            f"Range specified is not valid for source object of size: {size_bytes}",
            ArgumentName="x-amz-copy-source-range",
            ArgumentValue=header,
        )
    return first, last - first + 1


def _unsatisfiable(header: str | None, size_bytes: int) -> RequestError:
    return RequestError("InvalidRange", RangeRequested=str(header), ActualObjectSize=str(size_bytes))

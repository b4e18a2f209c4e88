"""Lists in pages: limits and markers.

What lives here: markers and the three output members of a page. What does not: the rows of a list.

Law: a marker is of use only for the operation that gave it; anything else is InvalidMarkerException. It grants
nothing: each page is authorized afresh.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence

from s3al.errors import RequestError
from s3al.service.operation import Call, Params

# Operation -> (default, greatest) number of entries in a page.
LIMITS = {
    "ListAliases": (50, 100),
    "ListGrants": (50, 100),
    "ListKeyPolicies": (100, 1000),
    "ListKeyRotations": (100, 1000),
    "ListKeys": (100, 1000),
    "ListResourceTags": (50, 50),
    "ListRetirableGrants": (50, 100),
}


def page_of(call: Call) -> tuple[str, int]:
    """(after, limit): what the page begins beyond, "" for the first, and its greatest length."""
    default, greatest = LIMITS[call.operation]
    limit = call.params.get("Limit") or default
    if limit > greatest:
        raise RequestError(
            "ValidationException",
            f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: "
            f"Member must have value less than or equal to {greatest}",
        )
    marker = call.params.get("Marker")
    return ("" if marker is None else _after(call.operation, marker)), limit


def sequence_of(after: str) -> int:
    """`after` of a list that is ordered by number; 0 for the first page."""
    if after and not (after.isascii() and after.isdigit() and len(after) < 19):
        raise RequestError("InvalidMarkerException")
    return int(after or 0)


def page(call: Call, member: str, entries: Sequence[Params | str], *, last: str | None) -> Params:
    """The output. last: what the next page begins beyond, None if there is none."""
    output: Params = {member: list(entries), "Truncated": last is not None}
    if last is not None:
        output["NextMarker"] = urlsafe_b64encode(f"{call.operation}\n{last}".encode()).decode("ascii")
    return output


def _after(operation: str, marker: str) -> str:
    try:
        name, _, after = urlsafe_b64decode(marker.encode("ascii")).decode("utf-8").partition("\n")
    except (Base64Error, ValueError):
        name, after = "", ""
    if name != operation or not after:
        raise RequestError("InvalidMarkerException")
    return after

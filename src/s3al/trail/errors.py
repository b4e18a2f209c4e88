"""The CloudTrail API's errors: status and default message of each code.

Source: CloudTrail API Reference, "LookupEvents", "Common errors".
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

TRAIL_ERRORS: Mapping[str, tuple[int, str]] = MappingProxyType(
    {
        "AccessDenied": (400, "You are not authorized to perform this operation."),
        "AccessDeniedException": (400, "You are not authorized to perform this operation."),
        "InvalidLookupAttributesException": (400, "The lookup attribute is not valid."),
        "InvalidTimeRangeException": (400, "The start time is after the end time."),
        "InvalidMaxResultsException": (400, "MaxResults must be between 1 and 50."),
        "InvalidNextTokenException": (400, "The token is invalid or was given for another request."),
        "InvalidEventCategoryException": (400, "The event category is not valid."),
        "NotImplemented": (400, "The operation is not supported."),
        "UnsupportedOperationException": (400, "The operation is not supported."),
    }
)

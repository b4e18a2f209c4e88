"""What an Object Lock is: retention and legal hold of one version, and what they forbid.

What lives here: `Lock`, pure decisions about it, reading it from a request and from a bucket's default. What does not:
the operations and the rights they need, where it is stored (records).

Laws: a lock of COMPLIANCE gives way to nobody, its account's root included, and only becomes longer; one of GOVERNANCE
gives way to who may bypass it and says so; a legal hold gives way to nothing but its removal. An expired retention
protects nothing. Locks hang on one version and are never copied. Days have 24 hours and years 365 days.

Sources: S3 User Guide, "Locking objects with Object Lock", "Object Lock considerations"; S3 API Reference, PutObject,
PutObjectRetention, DefaultRetention.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final

from s3al.errors import RequestError
from s3al.service.operation import Params
from s3al.wire.values import iso8601, timestamp_of

GOVERNANCE, COMPLIANCE = "GOVERNANCE", "COMPLIANCE"
ON, OFF = "ON", "OFF"
MODES: Final = (GOVERNANCE, COMPLIANCE)
HOLDS: Final = (ON, OFF)
DAY_MS: Final = 24 * 60 * 60 * 1000
_YEAR_DAYS: Final = 365
_MAX_DAYS, _MAX_YEARS = 36_500, 100
MISSING: Final = "Bucket is missing Object Lock Configuration"
PAST: Final = "The retain until date must be in the future!"
_EVENT_HOLD = ("ObjectLockEventHold", "ObjectLockEventHoldDurationDays", "ObjectLockEventHoldDurationYears")


@dataclass(frozen=True, slots=True)
class Lock:
    """mode: "" where there is no retention. until_ms: end of the retention (UTC). hold: "" where a legal hold was never
    set."""

    mode: str = ""
    until_ms: int = 0
    hold: str = ""

    def retains(self, now_ms: int) -> bool:
        return bool(self.mode) and self.until_ms > now_ms

    def protects(self, now_ms: int) -> bool:
        """Whether the version may not be removed as it is."""
        return self.hold == ON or self.retains(now_ms)

    def may_be_bypassed(self, now_ms: int) -> bool:
        """Whether who may bypass governance may remove the version all the same."""
        return self.hold != ON and self.mode == GOVERNANCE and self.retains(now_ms)

    @property
    def until(self) -> datetime:
        return datetime.fromtimestamp(self.until_ms / 1000, UTC)


NO_LOCK: Final = Lock()


class Verdict(Enum):
    ALLOWED, BYPASS_NEEDED, REFUSED = range(3)


def verdict_on_change(old: Lock, new: Lock, now_ms: int) -> Verdict:
    """Whether the retention of `old` may become that of `new`: longer always, anything else as the mode has it."""
    if not old.retains(now_ms) or (new.mode == old.mode and new.until_ms >= old.until_ms):
        return Verdict.ALLOWED
    return Verdict.BYPASS_NEEDED if old.mode == GOVERNANCE else Verdict.REFUSED


def requested_lock(params: Params, now_ms: int) -> Lock | None:
    """The lock that the headers of a write ask for; None when they say nothing. Raises InvalidArgument."""
    refuse_event_hold(params, _EVENT_HOLD)
    mode, until, hold = (
        params.get("ObjectLockMode"), params.get("ObjectLockRetainUntilDate"), params.get("ObjectLockLegalHoldStatus"),
    )  # fmt: skip
    if (mode is None) != (until is None):
        message = "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied"
        name = "x-amz-object-lock-mode" if mode is None else "x-amz-object-lock-retain-until-date"
        raise RequestError("InvalidArgument", message, ArgumentName=name)
    if mode is None and hold is None:
        return None
    if mode not in (None, *MODES):  # of a form: a header was checked against the model
        raise RequestError("InvalidArgument", "Unknown wormMode directive.", ArgumentName="x-amz-object-lock-mode")
    if hold not in (None, *HOLDS):
        message = "Legal Hold must be either of 'ON' or 'OFF'"
        raise RequestError("InvalidArgument", message, ArgumentName="x-amz-object-lock-legal-hold")
    return Lock(mode or "", _future(_moment(until), now_ms) if mode else 0, hold or "")


def retention_of(document: Mapping[str, Any] | None, now_ms: int) -> Lock:
    """Mode and date of a Retention document; an empty one removes the retention. Raises MalformedXML, or
    InvalidArgument for a date that has passed."""
    if document is None:
        raise RequestError("MalformedXML")
    refuse_event_hold(document, ("EventHold", "EventHoldDuration"))
    mode, until = document.get("Mode"), document.get("RetainUntilDate")
    if mode is None and until is None:
        return NO_LOCK
    if mode not in MODES or until is None:
        raise RequestError("MalformedXML")
    return Lock(mode, _future(until, now_ms))


def check_default(document: Mapping[str, Any]) -> None:
    """A DefaultRetention. Raises MalformedXML or InvalidArgument."""
    refuse_event_hold(document, ("DefaultEventHold",))
    days, years = document.get("Days"), document.get("Years")
    if document.get("Mode") not in MODES or (days is None) == (years is None):
        raise RequestError("MalformedXML")
    name, period, most = ("Days", int(days or 0), _MAX_DAYS) if years is None else ("Years", int(years), _MAX_YEARS)
    if period <= 0:
        message = "Default retention period must be a positive integer value."
        raise RequestError("InvalidArgument", message, ArgumentName=name)
    if period > most:
        raise RequestError("InvalidArgument", "Default retention period too large.", ArgumentName=name)


def with_default(lock: Lock | None, configuration: Mapping[str, Any] | None, now_ms: int) -> Lock | None:
    """The lock of a new version: what was asked for, and the bucket's default retention where no other was."""
    default = ((configuration or {}).get("Rule") or {}).get("DefaultRetention")
    if not default or (lock is not None and lock.mode):
        return lock
    days = default.get("Days") or default["Years"] * _YEAR_DAYS
    return replace(lock or NO_LOCK, mode=default["Mode"], until_ms=now_ms + days * DAY_MS)


def lock_context(lock: Lock, now_ms: int) -> dict[str, str | list[str]]:
    """The condition keys of a request that asks for this lock."""
    context: dict[str, str | list[str]] = {}
    if lock.hold:
        context["s3:object-lock-legal-hold"] = lock.hold
    if lock.mode:
        context["s3:object-lock-mode"] = lock.mode
        context["s3:object-lock-retain-until-date"] = iso8601(lock.until)
        context["s3:object-lock-remaining-retention-days"] = str((lock.until_ms - now_ms) // DAY_MS)
    return context


def accept_lock(configuration: Mapping[str, Any] | None, lock: Lock | None, *, has_digest: bool = True) -> None:
    """Raises InvalidRequest if the bucket cannot lock, or if a version that will be locked has no digest to hold its
    bytes to. configuration: the bucket's, None without Object Lock."""
    if configuration is None:
        if lock is not None:
            raise RequestError("InvalidRequest", MISSING)
    elif not has_digest and (lock is not None or configuration.get("Rule")):
        raise RequestError("InvalidRequest", no_digest("Put Object"))


def no_digest(request: str) -> str:
    return f"Content-MD5 OR x-amz-checksum- HTTP header is required for {request} requests with Object Lock parameters"


def refuse_event_hold(document: Mapping[str, Any], members: tuple[str, ...]) -> None:
    if any(document.get(member) is not None for member in members):
        raise RequestError("NotImplemented", "Event holds of Object Lock are not implemented.")


def _moment(until: datetime | str | None) -> datetime:
    """Headers arrive parsed, a form's field as text."""
    try:
        return until if isinstance(until, datetime) else timestamp_of(until or "")
    except ValueError:
        name = "x-amz-object-lock-retain-until-date"
        message = "The retain until date must be provided in ISO 8601 format"
        raise RequestError("InvalidArgument", message, ArgumentName=name) from None


def _future(until: datetime, now_ms: int) -> int:
    until_ms = int(until.timestamp() * 1000)
    if until_ms <= now_ms:
        raise RequestError("InvalidArgument", PAST)
    return until_ms

"""Lifecycle rules: what a configuration may say, and what it makes due for one object key, pure.

What lives here: reading a configuration, filters, the moment at which a rule acts, the header that announces it. What
does not: the operations, carrying out (expiring).

Laws: days are counted from the moment a version came, or stopped being current, and end at the next midnight UTC; a
rule that is disabled does nothing; a delete marker has neither size nor tags, so that a rule which asks for them passes
it by. Transitions are refused, as every object here is STANDARD.

Sources: S3 User Guide, "Lifecycle configuration elements", "Setting an S3 Lifecycle configuration on a bucket"; S3 API
Reference, PutBucketLifecycleConfiguration.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from s3al.errors import RequestError
from s3al.s3.limits import LIFECYCLE_RULES_MAX, OBJECT_MAX_BYTES, OBJECT_TAGS_MAX
from s3al.s3.object_lock.rules import DAY_MS
from s3al.s3.tag_set import parse_tag_set
from s3al.service.operation import Params
from s3al.wire.values import http_date

_ID_MAX: Final = 255
NEWER_MAX: Final = 100
_END_OF_TIME_MS: Final = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp() * 1000)
_ACTIONS: Final = ("Expiration", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload")
_TRANSITIONS: Final = ("Transitions", "NoncurrentVersionTransitions")
_FILTERS: Final = frozenset({"Prefix", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan", "And"})


@dataclass(frozen=True, slots=True)
class Subject:
    """What filters ask of one version. size_bytes: None of a delete marker and of an upload."""

    object_key: str
    size_bytes: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """An enabled rule, compiled. Times: UTC ms. days and newer: 0 where the rule does not say."""

    rule_id: str
    prefix: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    larger_than: int | None = None
    smaller_than: int | None = None
    days: int = 0
    date_ms: int | None = None
    lone_markers: bool = False
    noncurrent_days: int = 0
    newer_noncurrent: int = 0
    abort_days: int = 0

    @property
    def asks_content(self) -> bool:
        """Whether the filter asks for more than the object key."""
        return bool(self.tags) or self.larger_than is not None or self.smaller_than is not None

    def matches(self, subject: Subject) -> bool:
        if not subject.object_key.startswith(self.prefix):
            return False
        if not self.asks_content:
            return True
        size = subject.size_bytes
        if size is None:
            return False
        return (
            (self.larger_than is None or size > self.larger_than)
            and (self.smaller_than is None or size < self.smaller_than)
            and self.tags.items() <= subject.tags.items()
        )

    def expires_at(self, created_ms: int) -> int | None:
        """When what became current at `created_ms` expires."""
        if self.days:
            return end_of_days(created_ms, self.days)
        return self.date_ms


def end_of_days(begin_ms: int, days: int) -> int:
    """Midnight UTC after `days` days of 24 hours, but within the years that a date can name."""
    return min((begin_ms // DAY_MS + days + 1) * DAY_MS, _END_OF_TIME_MS)


def rules_of(document: Mapping[str, Any] | None) -> list[Rule]:
    """The enabled rules of a stored configuration."""
    return [_compiled(rule) for rule in (document or {}).get("Rules", ()) if rule["Status"] == "Enabled"]


def _compiled(rule: Mapping[str, Any]) -> Rule:
    conditions, tags = _conditions(rule)
    expiration = rule.get("Expiration") or {}
    noncurrent = rule.get("NoncurrentVersionExpiration") or {}
    date = expiration.get("Date")
    return Rule(
        rule_id=rule["ID"],
        prefix=conditions.get("Prefix") or rule.get("Prefix") or "",
        tags={tag["Key"]: tag["Value"] for tag in tags},
        larger_than=conditions.get("ObjectSizeGreaterThan"),
        smaller_than=conditions.get("ObjectSizeLessThan"),
        days=expiration.get("Days") or 0,
        date_ms=int(datetime.fromisoformat(date).timestamp() * 1000) if date else None,
        lone_markers=bool(expiration.get("ExpiredObjectDeleteMarker")),
        noncurrent_days=noncurrent.get("NoncurrentDays") or 0,
        newer_noncurrent=noncurrent.get("NewerNoncurrentVersions") or 0,
        abort_days=(rule.get("AbortIncompleteMultipartUpload") or {}).get("DaysAfterInitiation") or 0,
    )


def _conditions(rule: Mapping[str, Any]) -> tuple[Mapping[str, Any], Sequence[Mapping[str, str]]]:
    """The members of a rule's filter, with And or without, and its tags."""
    filter_ = rule.get("Filter") or {}
    if "And" in filter_:
        return filter_["And"], filter_["And"].get("Tags") or ()
    return filter_, [filter_["Tag"]] if filter_.get("Tag") else ()


# --- what a configuration may say


def read_rules(configuration: Params | None, new_id: Callable[[], str]) -> list[Params]:
    """The rules of a request, checked, with ids and dates as they are stored. Raises MalformedXML, InvalidArgument,
    InvalidRequest, or NotImplemented for transitions. new_id: names a rule that has no name."""
    rules = (configuration or {}).get("Rules") or []
    if not rules or len(rules) > LIFECYCLE_RULES_MAX:
        raise RequestError("MalformedXML")
    stored = [_read_rule(rule, new_id) for rule in rules]
    if len({rule["ID"] for rule in stored}) != len(stored):
        raise RequestError("InvalidArgument", "Rule ID must be unique. Found same ID for more than one rule")
    return stored


def _read_rule(rule: Params, new_id: Callable[[], str]) -> Params:
    rule_id = rule.get("ID") or new_id()
    if len(rule_id) > _ID_MAX:
        raise RequestError("InvalidArgument", f"ID length should not exceed allowed limit of {_ID_MAX}")
    if rule.get("Status") not in ("Enabled", "Disabled") or ("Filter" in rule) == ("Prefix" in rule):
        raise RequestError("MalformedXML")
    for transition in rule.get("Transitions") or ():
        _check_midnight(transition.get("Date"))
    if any(rule.get(name) for name in _TRANSITIONS):
        message = "Transitions are not implemented; s3al keeps every object as STANDARD."
        raise RequestError("NotImplemented", message)
    if not any(rule.get(name) is not None for name in _ACTIONS):
        raise RequestError("InvalidRequest", "At least one action needs to be specified in a rule")
    _check_filter(rule.get("Filter") or {})
    conditions, tags = _conditions(rule)
    stored = {**rule, "ID": rule_id}
    if rule.get("Expiration") is not None:
        stored["Expiration"] = _read_expiration(rule["Expiration"], asks_tags=bool(tags))
    if rule.get("NoncurrentVersionExpiration") is not None:
        _check_noncurrent(rule["NoncurrentVersionExpiration"])
    if rule.get("AbortIncompleteMultipartUpload") is not None:
        _check_abort(rule["AbortIncompleteMultipartUpload"], conditions, asks_tags=bool(tags))
    return stored


def _check_filter(filter_: Params) -> None:
    if len(filter_) > 1 or not filter_.keys() <= _FILTERS:
        raise RequestError("MalformedXML")
    conditions = filter_.get("And", filter_)
    tags = conditions.get("Tags") or []
    if "And" in filter_ and len(tags) + len(conditions.keys() - {"Tags"}) < 2:
        raise RequestError("MalformedXML")
    parse_tag_set([*tags, *([filter_["Tag"]] if "Tag" in filter_ else [])], most=OBJECT_TAGS_MAX)
    larger, smaller = conditions.get("ObjectSizeGreaterThan"), conditions.get("ObjectSizeLessThan")
    if any(size is not None and not 0 <= size <= OBJECT_MAX_BYTES for size in (larger, smaller)):
        raise RequestError("InvalidArgument", "'ObjectSize' filters must be within the sizes that objects may have")
    if larger is not None and smaller is not None and larger >= smaller:
        message = "'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'"
        raise RequestError("InvalidRequest", message)


def _read_expiration(expiration: Params, *, asks_tags: bool) -> Params:
    if len([name for name in ("Days", "Date", "ExpiredObjectDeleteMarker") if expiration.get(name) is not None]) != 1:
        raise RequestError("MalformedXML")
    if expiration.get("ExpiredObjectDeleteMarker") is not None and asks_tags:
        raise RequestError("InvalidRequest", "ExpiredObjectDeleteMarker cannot be specified with Tags.")
    if expiration.get("Days") is not None:
        _positive(expiration["Days"], "'Days' for Expiration action must be a positive integer")
    date: datetime | None = expiration.get("Date")
    if date is None:
        return expiration
    _check_midnight(date)
    return {"Date": date.astimezone(UTC).isoformat()}


def _check_midnight(date: datetime | None) -> None:
    if date is not None and int(date.timestamp() * 1000) % DAY_MS:
        raise RequestError("InvalidArgument", "'Date' must be at midnight GMT")


def _check_noncurrent(noncurrent: Params) -> None:
    if noncurrent.get("NoncurrentDays") is None:
        raise RequestError("MalformedXML")
    message = "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer"
    _positive(noncurrent["NoncurrentDays"], message)
    newer = noncurrent.get("NewerNoncurrentVersions")
    if newer is not None and not 1 <= newer <= NEWER_MAX:
        message = "'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must be between 1 and 100"
        raise RequestError("InvalidArgument", message)


def _check_abort(abort: Params, conditions: Mapping[str, Any], *, asks_tags: bool) -> None:
    if abort.get("DaysAfterInitiation") is None:
        raise RequestError("MalformedXML")
    _positive(abort["DaysAfterInitiation"], "'DaysAfterInitiation' must be a positive integer")
    if asks_tags:
        raise RequestError("InvalidRequest", "AbortIncompleteMultipartUpload cannot be specified with Tags.")
    if any(conditions.get(name) is not None for name in ("ObjectSizeGreaterThan", "ObjectSizeLessThan")):
        raise RequestError("InvalidRequest", "AbortIncompleteMultipartUpload cannot be specified with Object Size.")


def _positive(days: int, message: str) -> None:
    if days <= 0:
        raise RequestError("InvalidArgument", message)


def shown_rules(document: Mapping[str, Any]) -> list[Params]:
    """The rules of a stored configuration as they were given, with their ids."""
    shown = []
    for rule in document["Rules"]:
        date = (rule.get("Expiration") or {}).get("Date")
        shown.append({**rule, "Expiration": {"Date": datetime.fromisoformat(date)}} if date else rule)
    return shown


# --- what is announced


def expiration_member(document: Mapping[str, Any] | None, subject: Subject, created_ms: int) -> Params:
    """The member Expiration of an answer about a current version, if a rule expires it: the earliest one speaks."""
    moments = [
        (at, rule.rule_id)
        for rule in rules_of(document)
        if (at := rule.expires_at(created_ms)) is not None and rule.matches(subject)
    ]
    if not moments:
        return {}
    at, rule_id = min(moments)
    return {"Expiration": f'expiry-date="{http_date(_moment(at))}", rule-id="{quote(rule_id, safe="")}"'}


def abort_members(document: Mapping[str, Any] | None, object_key: str, initiated_ms: int) -> Params:
    """The members AbortDate and AbortRuleId of a new upload, if a rule will abort it."""
    moments = [(end_of_days(initiated_ms, rule.abort_days), rule.rule_id) for rule in _aborting(document, object_key)]
    if not moments:
        return {}
    at, rule_id = min(moments)
    return {"AbortDate": _moment(at), "AbortRuleId": quote(rule_id, safe="")}


def _aborting(document: Mapping[str, Any] | None, object_key: str) -> Iterable[Rule]:
    return (rule for rule in rules_of(document) if rule.abort_days and rule.matches(Subject(object_key)))


def _moment(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC)

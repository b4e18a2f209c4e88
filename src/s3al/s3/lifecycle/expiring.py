"""Carrying out lifecycle rules: once a day, and after a configuration was put, every bucket that has rules is visited.

What lives here: the visit, a step at a time. What does not: what rules say (rules), when steps are run
(service.tending), deleting (delete).

Laws: a step looks on a snapshot and acts in a transaction that judges again, so that nothing goes by what was true
before; what Object Lock protects stays; where the visit stands lies in the catalog, so that workers share one visit and
a killed server goes on with it; of one key the oldest versions go first, as the time since which a version is not
current hangs from the next newer one.

Source: S3 User Guide, "Expiring objects", "Lifecycle and versioning-enabled buckets", "Lifecycle configuration
elements".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby, islice
from operator import attrgetter
from typing import Final

from s3al.errors import IntegrityError
from s3al.s3.delete import delete_current, remove_version
from s3al.s3.lifecycle.rules import NEWER_MAX, Rule, Subject, end_of_days, rules_of
from s3al.s3.object_lock.rules import DAY_MS
from s3al.s3.ports import S3
from s3al.s3.state import BucketState
from s3al.store import catalog
from s3al.store.catalog import AgedVersion, UploadRow
from s3al.store.database import Rows

SETTING: Final = "lifecycle"
_ROW: Final = "lifecycle visit"
_LOOKED_AT: Final = 500  # versions of a step: a few ms, so that the worker answers meanwhile
_ACTED_ON: Final = 200  # versions and uploads of a step, so that other writers need not wait


@dataclass(frozen=True, slots=True)
class Visit:
    """Where the visit stands. day: since 1970, when it began. bucket_id: of the bucket being visited. object_key: its
    keys up to and with this one have been seen. is_done: until the next day. within, sequence: of this key, which is
    the next, versions up to and with this sequence have been seen."""

    day: int = -1
    bucket_id: bytes = b""
    object_key: bytes = b""
    is_done: bool = False
    within: bytes = b""
    sequence: int = 0

    @classmethod
    def read(cls, rows: Rows) -> Visit:
        stored = catalog.get_meta(rows, _ROW)
        if stored is None:
            return cls(is_done=True)
        day, bucket_id, object_key, is_done, *more = json.loads(stored)
        within, sequence = more or ("", 0)
        names = (bytes.fromhex(bucket_id), bytes.fromhex(object_key))
        return cls(day, *names, is_done, bytes.fromhex(within), sequence)

    def write(self, rows: Rows) -> None:
        stored = [self.day, self.bucket_id.hex(), self.object_key.hex(), self.is_done, self.within.hex(), self.sequence]
        catalog.put_meta(rows, _ROW, json.dumps(stored))

    def after(self, part: _Part) -> Visit:
        """Where it stands once that part has been seen."""
        if part.newer:
            return replace(self, within=part.object_key, sequence=part.versions[1].sequence)
        return replace(self, object_key=part.object_key, within=b"", sequence=0)


def begin_anew(rows: Rows) -> None:
    """Let the visit of today begin again."""
    Visit(is_done=True).write(rows)


@dataclass(frozen=True, slots=True)
class _Part:
    """Versions of one key, newest first: all of them, or the oldest that no part before had and one more, by which is
    known since when the others are not current. newer: how many are newer than these, as far as any rule asks."""

    object_key: bytes
    versions: Sequence[AgedVersion]
    newer: int = 0

    @classmethod
    def read(cls, rows: Rows, visit: Visit, object_key: bytes) -> _Part:
        """The next part of a key."""
        after = visit.sequence if visit.within == object_key else 0
        found = catalog.oldest_versions(rows, visit.bucket_id, object_key, after=after, limit=_LOOKED_AT)
        newer = 0
        if len(found) == _LOOKED_AT:
            last = found[-1].sequence
            newer = catalog.count_newer(rows, visit.bucket_id, object_key, last, most=NEWER_MAX + 1)
        return cls(object_key, found[::-1], newer)


@dataclass(slots=True)
class _Found:
    """What a look found: object keys with something due, uploads to abort, and where the visit stands before and after
    acting on them."""

    before: Visit
    after: Visit
    keys: list[bytes] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)


def step(s3: S3) -> bool:
    """A step of the visit, in a thread. Returns whether there is more to do now."""
    found = s3.db.read_now(lambda rows: _look(rows, s3))
    return found is not None and s3.db.write_now(lambda rows: _act(rows, s3, found))


def _look(rows: Rows, s3: S3) -> _Found | None:
    """None: nothing is left to do today."""
    stored, now_ms = Visit.read(rows), s3.now_ms()
    visit = stored
    if stored.is_done:
        if stored.day >= now_ms // DAY_MS:
            return None
        visit = Visit(now_ms // DAY_MS)
    ruled = _ruled(rows, visit.bucket_id)
    if ruled is None:
        return _Found(stored, _next_bucket(rows, visit))
    found = _Found(stored, visit)
    if not visit.object_key and not visit.within:
        found.uploads = _uploads_due(rows, ruled, now_ms)
        if len(found.uploads) == _ACTED_ON:
            return found
    page = catalog.aged_versions(rows, visit.bucket_id, after=visit.object_key, limit=_LOOKED_AT)
    due = 0
    for part in _parts(rows, visit, page):
        found.after = visit.after(part)
        here = sum(1 for _ in _due(rows, s3, ruled, part, now_ms))
        if here:
            found.keys.append(part.object_key)
            due += here
        if due >= _ACTED_ON or part.newer:
            return found
    if len(page) < _LOOKED_AT:
        found.after = _next_bucket(rows, visit)
    return found


def _act(rows: Rows, s3: S3, found: _Found) -> bool:
    """Judge again, and act. False if another worker went on with the visit meanwhile."""
    if Visit.read(rows) != found.before:
        return False
    visit, now_ms, left = found.before, s3.now_ms(), _ACTED_ON
    ruled = None if visit.is_done else _ruled(rows, visit.bucket_id)
    if ruled is not None:
        left -= _abort_uploads(rows, ruled, now_ms, found.uploads)
        for object_key in found.keys if left else ():
            part = _Part.read(rows, visit, object_key)
            due = list(islice(_due(rows, s3, ruled, part, now_ms), left + 1))
            for version in due[:left]:
                _carry_out(rows, s3, ruled.state, version)
            left -= len(due)
            if left < 0:
                break
            visit = visit.after(part)
    (found.after if left > 0 else visit).write(rows)
    return True


@dataclass(frozen=True, slots=True)
class _Ruled:
    """A bucket as of some rows, with its rules."""

    state: BucketState
    rules: Sequence[Rule]


def _ruled(rows: Rows, bucket_id: bytes) -> _Ruled | None:
    bucket = catalog.find_bucket_by_id(rows, bucket_id) if bucket_id else None
    if bucket is None:
        return None
    state = BucketState(bucket, catalog.get_settings(rows, bucket_id))
    rules = rules_of(state.document(SETTING))
    return _Ruled(state, rules) if rules else None


def _next_bucket(rows: Rows, visit: Visit) -> Visit:
    following = catalog.next_with_setting(rows, SETTING, visit.bucket_id)
    return Visit(visit.day, is_done=True) if following is None else Visit(visit.day, following)


def _parts(rows: Rows, visit: Visit, page: Sequence[AgedVersion]) -> Iterator[_Part]:
    """The versions of each key of a page, but of the last key only if they are all there; of a key that is a page by
    itself, a part."""
    groups = [_Part(object_key, list(versions)) for object_key, versions in groupby(page, attrgetter("object_key"))]
    if len(page) == _LOOKED_AT:
        last = groups.pop()
        if not groups:
            groups = [_Part.read(rows, visit, last.object_key)]
    return iter(groups)


def _due(rows: Rows, s3: S3, ruled: _Ruled, part: _Part, now_ms: int) -> Iterator[tuple[AgedVersion, bool]]:
    """Of the versions of one key those that have had their time, oldest first, each with whether it is removed for
    good; the other one is current and expires."""
    versions = part.versions
    for index in range(len(versions) - 1, 0, -1):
        version, since_ms = versions[index], versions[index - 1].last_modified
        rules = [
            rule
            for rule in ruled.rules
            if rule.noncurrent_days
            and index + part.newer > rule.newer_noncurrent
            and end_of_days(since_ms, rule.noncurrent_days) <= now_ms
        ]
        if _matches(rows, s3, ruled, version, rules) and not _is_locked(rows, s3, ruled, version):
            yield version, True
    if versions and not part.newer:
        yield from _due_current(rows, s3, ruled, versions, now_ms)


def _due_current(
    rows: Rows, s3: S3, ruled: _Ruled, versions: Sequence[AgedVersion], now_ms: int
) -> Iterator[tuple[AgedVersion, bool]]:
    current = versions[0]
    if current.is_delete_marker and len(versions) > 1:
        return
    rules = [rule for rule in ruled.rules if _has_come(rule, current, now_ms)]
    if _matches(rows, s3, ruled, current, rules):
        yield current, current.is_delete_marker


def _has_come(rule: Rule, current: AgedVersion, now_ms: int) -> bool:
    at = rule.expires_at(current.last_modified)
    return (at is not None and at <= now_ms) or (rule.lone_markers and current.is_delete_marker)


def _matches(rows: Rows, s3: S3, ruled: _Ruled, version: AgedVersion, rules: Sequence[Rule]) -> bool:
    """Whether one of the rules is about the version. Its records are opened only where a rule asks for them."""
    subject = Subject(version.object_key.decode("utf-8", "surrogateescape"))
    rules = [rule for rule in rules if subject.object_key.startswith(rule.prefix)]
    if any(not rule.asks_content for rule in rules):
        return True
    if not rules or version.is_delete_marker:
        return False
    row = catalog.find_version(rows, ruled.state.row.bucket_id, version.object_key, version.version_id)
    if row is None:
        return False
    try:
        record = s3.records.open_public(row.bucket_id, row.object_key, row)
        subject = replace(subject, size_bytes=record.size_bytes, tags=s3.records.open_tags(row))
    except IntegrityError:  # `s3al prove` names it; the visit goes on
        return False
    return any(rule.matches(subject) for rule in rules)


def _is_locked(rows: Rows, s3: S3, ruled: _Ruled, version: AgedVersion) -> bool:
    """A record that does not open counts as locked."""
    if "object_lock" not in ruled.state.settings or version.is_delete_marker:
        return False
    row = catalog.find_version(rows, ruled.state.row.bucket_id, version.object_key, version.version_id)
    try:
        lock = s3.records.open_public(row.bucket_id, row.object_key, row).lock if row else None
    except IntegrityError:
        return True
    return lock is not None and lock.protects(s3.now_ms())


def _carry_out(rows: Rows, s3: S3, state: BucketState, due: tuple[AgedVersion, bool]) -> None:
    version, for_good = due
    if for_good:
        remove_version(rows, s3, state.row.bucket_id, version.object_key, version.version_id)
    else:
        delete_current(rows, s3, state, version.object_key)


def _uploads_due(rows: Rows, ruled: _Ruled, now_ms: int) -> list[str]:
    """Ids of uploads that were begun too long ago, as many as a step aborts."""
    due: dict[str, None] = {}
    for rule in ruled.rules:
        if rule.abort_days and len(due) < _ACTED_ON:
            before_ms = (now_ms // DAY_MS - rule.abort_days) * DAY_MS  # the same as end_of_days(begun) <= now
            found = catalog.uploads_begun_before(
                rows, ruled.state.row.bucket_id, before_ms, prefix=rule.prefix.encode(), limit=_ACTED_ON
            )
            due |= dict.fromkeys(upload.upload_id for upload in found)
    return list(due)[:_ACTED_ON]


def _abort_uploads(rows: Rows, ruled: _Ruled, now_ms: int, upload_ids: Iterable[str]) -> int:
    """Abort those of them that a rule still aborts. Returns how many."""
    aborted = 0
    for upload_id in upload_ids:
        upload = catalog.find_upload(rows, upload_id)
        if upload is not None and _is_aborted(ruled, upload, now_ms):
            catalog.bury_object(rows, upload.object_id, now_ms)
            catalog.delete_upload(rows, upload_id)
            aborted += 1
    return aborted


def _is_aborted(ruled: _Ruled, upload: UploadRow, now_ms: int) -> bool:
    return upload.bucket_id == ruled.state.row.bucket_id and any(
        rule.abort_days
        and upload.object_key.startswith(rule.prefix.encode())
        and end_of_days(upload.initiated_at, rule.abort_days) <= now_ms
        for rule in ruled.rules
    )

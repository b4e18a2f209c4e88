"""How many object versions hang from each material of a KMS key.

What lives here: a bounded look at the buckets of an account, a page a call. What does not: what each version is under
in full (s3.own has the inventory).

Laws: a call looks at no more versions than a page holds, whatever the store holds; only buckets are counted whose
versions the caller may list; a record that does not open is counted as damaged and the page goes on.
"""

from __future__ import annotations

from binascii import a2b_base64
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from s3al.crypto.keys import parse_kms_blob
from s3al.errors import IntegrityError, RequestError
from s3al.explain.visible import Visible
from s3al.store import catalog
from s3al.store.buckets import BucketRow
from s3al.store.listing import ListedRow

PAGE_VERSIONS: Final = 250
_PAGE_BUCKETS: Final = 100
_MOST_BUCKETS: Final = 200
_Marker = tuple[str, bytes, str | None]


@dataclass(slots=True)
class Counted:
    """materials, modes: versions by material id (hex) and by way of encrypting. following: where the next page begins;
    None when all was looked at."""

    looked_at: int = 0
    damaged: int = 0
    materials: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    buckets: Counter[str] = field(default_factory=Counter)
    following: list[str | None] | None = None


def count(visible: Visible, key_arn: str, marker: Any) -> Counted:
    """marker: None, or `following` of the page before. Raises ValidationError."""
    counted = Counted()
    name, object_key, version_id = _marker(marker)
    for number, bucket in enumerate(_buckets(visible, name), 1):
        if number > _MOST_BUCKETS:
            counted.following = [bucket.name, "", None]
            break
        if not visible.may_s3("ListObjectVersions", Bucket=bucket.name):
            continue
        place = (object_key, version_id) if bucket.name == name else (b"", None)
        page = catalog.list_versions_page(
            visible.rows,
            bucket.bucket_id,
            prefix=b"",
            delimiter=b"",
            marker=place,
            max_keys=PAGE_VERSIONS - counted.looked_at,
        )
        _count_page(visible, bucket, page.rows, key_arn, counted)
        if page.next is not None:
            counted.following = [bucket.name, page.next[0].hex(), page.next[1]]
            break
        if counted.looked_at >= PAGE_VERSIONS:
            counted.following = [bucket.name + "\0", "", None]
            break
    return counted


def _buckets(visible: Visible, first: str) -> Iterator[BucketRow]:
    """Those of the caller's account, from the name `first` on."""
    account, rows = visible.call.principal.account_id or "", visible.rows
    after = first
    named = catalog.find_bucket(rows, first) if first else None
    found = [named] if named is not None and named.account_id == account else []
    while True:
        yield from found
        found = catalog.list_buckets(rows, account, after=after, limit=_PAGE_BUCKETS)
        if not found:
            return
        after = found[-1].name


def _count_page(visible: Visible, bucket: BucketRow, page: list[ListedRow], key_arn: str, counted: Counted) -> None:
    open_listed = visible.ports.s3.records.listed_opener(bucket.bucket_id)
    for row in page:
        counted.looked_at += 1
        if row.is_delete_marker:
            continue
        try:
            envelope = open_listed(row)["envelope"]
        except IntegrityError:
            counted.damaged += 1
            continue
        if envelope.get("kms_key_arn") != key_arn:
            continue
        blob = a2b_base64(envelope.get("intermediate") or envelope["wrapped"])
        counted.materials[parse_kms_blob(blob).material_id.hex()] += 1
        counted.modes[envelope["mode"]] += 1
        counted.buckets[bucket.name] += 1


def _marker(value: Any) -> _Marker:
    if value is None:
        return "", b"", None
    try:
        name, object_key, version_id = value
        if not isinstance(name, str) or not (version_id is None or isinstance(version_id, str)):
            raise ValueError
        return name, bytes.fromhex(object_key), version_id
    except (TypeError, ValueError):
        raise RequestError("ValidationError", "The member marker must be the next of the page before.") from None

"""What S3 has no API for: which key each version is under, and wrapping data keys anew under the newest material.

What lives here: GetInventory and RewrapObjects of our own API, a page a call. What does not: wrapping (sse), another
KMS key for one object (update_encryption), who may call (iam.access).

Laws: pages end within a bounded time, and a page that is asked for again does nothing twice; a bucket is its owner's
business, here too; a data key is wrapped anew as whoever asks, who must be allowed to open the old and to use the new;
no byte of data moves, and a version that changed meanwhile is left alone and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from s3al.advice.options import ENVELOPE_MARKS
from s3al.auth.authorized import Authorized
from s3al.crypto.keys import parse_kms_blob
from s3al.errors import AccessError, IntegrityError, RequestError
from s3al.s3 import sse
from s3al.s3.ports import S3
from s3al.s3.records import Envelope, PublicRecord
from s3al.s3.state import BucketState
from s3al.service.operation import Call, Check, Operations, Params, Reply
from s3al.service.own import text
from s3al.store import catalog
from s3al.store.catalog import ListedRow, VersionRow
from s3al.store.database import Rows

OPERATIONS: Operations[S3] = Operations()

_INVENTORY_PAGE: Final = 1000
_REWRAP_PAGE: Final = 50
_Marker = tuple[bytes, str | None]


def _on_own_bucket(call: Call, rows: Rows, s3: S3) -> Iterable[Check]:
    state = s3.buckets.get(rows, text(call.params, "bucket"))
    if state.row.account_id != call.principal.account_id:
        raise AccessError("AccessDenied", "The bucket belongs to another account.")
    return (Check(f"s3al:{call.operation}", f"arn:aws:s3:::{state.row.name}"),)


@OPERATIONS.operation("GetInventory", checks=_on_own_bucket)
async def get_inventory(authorized: Authorized, call: Call, s3: S3) -> Reply:
    """Parameters: bucket, marker. Answers: versions (key, version_id, current, size_bytes, last_modified_ms, mode,
    kms_key, material_id, bucket_key, client_side, shows_md5), and next, to be given as marker."""

    def read(rows: Rows) -> Params:
        state = s3.buckets.get(rows, call.params["bucket"])
        found, following = _page(rows, s3, state, call.params, _INVENTORY_PAGE)
        return {"versions": [_described(row, record) for row, record in found]} | following

    return Reply(await call.read(s3.db, authorized, read))


def _described(row: ListedRow, record: PublicRecord) -> Params:
    envelope = record.envelope
    material_id = _material_of(envelope) if envelope.kms_key_arn else envelope.material_id
    return {
        "key": row.object_key.decode("utf-8", "replace"),
        "version_id": row.version_id,
        "current": row.is_current,
        "size_bytes": record.size_bytes,
        "last_modified_ms": row.last_modified,
        "mode": envelope.mode,
        "kms_key": envelope.kms_key_arn or None,
        "material_id": material_id.hex() or None,
        "bucket_key": envelope.bucket_key_enabled,
        "client_side": not ENVELOPE_MARKS.isdisjoint(record.metadata),
        "shows_md5": shows_md5(record),
    }


def shows_md5(record: PublicRecord) -> bool:
    """UpdateObjectEncryption keeps the ETag, which then still tells the MD5 of the plaintext."""
    return record.envelope.mode != sse.SSE_S3 and "-" not in record.etag


@dataclass(slots=True)
class _Rewrapped:
    """Of one page: what was under the key, by material, and what to store."""

    materials: Counter[str] = field(default_factory=Counter)
    current: str = ""
    rows: list[VersionRow] = field(default_factory=list)
    sealed: list[bytes] = field(default_factory=list)
    following: Params = field(default_factory=dict)


@OPERATIONS.operation("RewrapObjects", checks=_on_own_bucket)
async def rewrap_objects(authorized: Authorized, call: Call, s3: S3) -> Reply:
    """Parameters: bucket, kms_key (ARN), marker, dry_run. Answers: materials (id -> versions found under it),
    current_material, rewrapped, changed_meanwhile, and next, to be given as marker."""
    kms_key = text(call.params, "kms_key")
    dry_run = call.params.get("dry_run") is True

    def prepare(rows: Rows) -> _Rewrapped:
        return _prepare(rows, s3, call, kms_key=kms_key, dry_run=dry_run)

    page = await call.read(s3.db, authorized, prepare)

    def write(rows: Rows) -> int:
        return sum(
            catalog.put_records(
                rows, replace(row, public_record=sealed), expected_public_record=row.public_record
            )
            for row, sealed in zip(page.rows, page.sealed, strict=True)
        )  # fmt: skip

    written = await call.commit(s3.db, authorized, write) if page.rows else 0
    return Reply(
        {
            "materials": dict(page.materials),
            "current_material": page.current,
            "rewrapped": written,
            "changed_meanwhile": len(page.rows) - written,
        }
        | page.following
    )


def _prepare(rows: Rows, s3: S3, call: Call, *, kms_key: str, dry_run: bool) -> _Rewrapped:
    state = s3.buckets.get(rows, call.params["bucket"])
    # The KMS says by a data key which material it uses now, and whether who asks may use the key at all.
    arn = {"aws:s3:arn": f"arn:aws:s3:::{state.row.name}"}
    newest = s3.kms.generate(rows, call, bucket=state.row, kms_key=kms_key, context=arn)
    current = parse_kms_blob(newest.blob).material_id
    page = _Rewrapped(current=current.hex())
    found, page.following = _page(rows, s3, state, call.params, _REWRAP_PAGE)
    for listed, record in found:
        if record.envelope.kms_key_arn != newest.key_arn:
            continue
        material_id = _material_of(record.envelope)
        page.materials[material_id.hex()] += 1
        if material_id == current or dry_run:
            continue
        row = catalog.find_version(rows, state.row.bucket_id, listed.object_key, listed.version_id)
        if row is not None:
            page.rows.append(row)
            page.sealed.append(_resealed(rows, s3, call, state, (row, record)))
    return page


def _resealed(
    rows: Rows, s3: S3, call: Call, state: BucketState, stored: tuple[VersionRow, PublicRecord]
) -> bytes:
    """The public record with its data key wrapped anew; layers, context and Bucket Key as they were."""
    row, record = stored
    old = record.envelope
    place = sse.Place(state.row, row.object_key.decode("utf-8", "surrogateescape"), row.object_id)
    keys = sse.open_keys(rows, s3, call, place, old, customer=None)
    own_pairs = {name: value for name, value in old.context.items() if name != "aws:s3:arn"}
    wish = sse.Wish(old.mode, kms_key=old.kms_key_arn, context=own_pairs, bucket_key=old.bucket_key_enabled)
    new = sse.rewrapped(rows, s3, call, place, wish=wish, data_key=keys.record_key)
    new = replace(
        new, mode=old.mode, material_id=old.material_id, outer=old.outer, outer_commitment=old.outer_commitment
    )
    return s3.records.seal_public(
        row.bucket_id, row.object_key, row.version_id, row.object_id, replace(record, envelope=new)
    )


def _material_of(envelope: Envelope) -> bytes:
    """The material of the KMS key under which the data key, or the key that wraps it, lies."""
    return parse_kms_blob(envelope.intermediate or envelope.wrapped).material_id


def _page(
    rows: Rows, s3: S3, state: BucketState, params: Params, versions: int
) -> tuple[list[tuple[ListedRow, PublicRecord]], Params]:
    """Versions that have content, with their records; and `next` if there is more."""
    bucket_id, marker = state.row.bucket_id, _marker(params.get("marker"))
    page = catalog.list_versions_page(rows, bucket_id, prefix=b"", delimiter=b"", marker=marker, max_keys=versions)
    found = list(_opened(s3, bucket_id, page.rows))
    if page.next is None:
        return found, {}
    return found, {"next": [page.next[0].hex(), page.next[1]]}


def _opened(s3: S3, bucket_id: bytes, listed: list[ListedRow]) -> Iterator[tuple[ListedRow, PublicRecord]]:
    for row in listed:
        if row.is_delete_marker:
            continue
        try:
            yield row, s3.records.open_public(bucket_id, row.object_key, row)
        except IntegrityError:
            continue  # `s3al prove` names it; a page of an inventory does not end for it


def _marker(value: Any) -> _Marker:
    """From `next` of the page before. Raises ValidationError."""
    if value is None:
        return b"", None
    try:
        object_key, version_id = value
        if version_id is not None and not isinstance(version_id, str):
            raise ValueError
        return bytes.fromhex(object_key), version_id
    except (TypeError, ValueError):
        raise RequestError("ValidationError", "The member marker must be the next of the page before.") from None

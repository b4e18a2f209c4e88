"""Deleting: DeleteObject and DeleteObjects, delete markers and the null version.

What lives here: what a delete does in each versioning state. What does not: unlinking blobs (the graveyard's
keeper does, once no reader can hold them).

Laws: a version that Object Lock protects stays; deleting what does not exist succeeds; with a version id a version is
removed for good, without one a versioned bucket gets a delete marker; DeleteObjects is authorized key by key and
answers key by key.

Sources: S3 API Reference, DeleteObject, DeleteObjects; S3 User Guide, "Deleting object versions".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.s3.access import authorize_check, object_arn
from s3al.s3.errors import S3_ERRORS
from s3al.s3.limits import DELETE_OBJECTS_MAX
from s3al.s3.names import object_key_bytes
from s3al.s3.object_lock.operations import SETTING, check_removable
from s3al.s3.ports import S3
from s3al.s3.preconditions import matches
from s3al.s3.put import new_version_id
from s3al.s3.registry import OPERATIONS
from s3al.s3.sse import Place
from s3al.s3.state import BucketState, BucketStates
from s3al.service.identities import Identities
from s3al.service.operation import Call, Check, Params, Reply
from s3al.store import catalog
from s3al.store.catalog import VersionRow
from s3al.store.database import Rows


def delete_check(bucket: str, object_key: str, version_id: str | None) -> Check:
    action = "s3:DeleteObjectVersion" if version_id else "s3:DeleteObject"
    context = {"s3:VersionId": version_id} if version_id else {}
    return Check(action, object_arn(bucket, object_key), context)


def _delete_checks(call: Call, rows: Rows, s3: S3) -> Iterable[Check]:
    return (delete_check(call.params["Bucket"], call.params["Key"], call.params.get("VersionId")),)


@OPERATIONS.operation("DeleteObject", checks=_delete_checks)
async def delete_object(authorized: Authorized, call: Call, s3: S3) -> Reply:
    params = call.params
    _refuse_unsupported(params)

    def write(rows: Rows) -> Params:
        state = s3.buckets.get(rows, params["Bucket"])
        place = Place(state.row, params["Key"], b"")
        version_id = params.get("VersionId")
        return delete_one(rows, s3, call, state, place=place, version_id=version_id, if_match=params.get("IfMatch"))

    deleted = await call.commit(s3.db, authorized, write)
    return Reply({name: value for name, value in deleted.items() if name in ("VersionId", "DeleteMarker")})


def delete_one(
    rows: Rows, s3: S3, call: Call, state: BucketState, *, place: Place, version_id: str | None, if_match: str | None
) -> Params:
    """Members VersionId and DeleteMarker as DeleteObject answers them, and DeleteMarkerVersionId for
    DeleteObjects. state: as of `rows`."""
    object_key = object_key_bytes(place.object_key)
    if if_match is not None:
        _check_if_match(rows, s3, place, version_id, if_match)
    if version_id is not None:
        if SETTING in state.settings:
            check_removable(rows, s3, call, place=place, version_id=version_id)
        return remove_version(rows, s3, place.bucket_id, object_key, version_id)
    return delete_current(rows, s3, state, object_key)


def delete_current(rows: Rows, s3: S3, state: BucketState, object_key: bytes) -> Params:
    """What a delete without a version id does: the object goes, or a delete marker comes. state: as of `rows`."""
    bucket_id = state.row.bucket_id
    if not state.versioning:
        remove_version(rows, s3, bucket_id, object_key, catalog.NULL_VERSION)
        return {}
    marker_id = new_version_id(s3) if state.versioning == "Enabled" else catalog.NULL_VERSION
    now_ms, object_id = s3.now_ms(), s3.random(16)
    replaced = catalog.put_version(
        rows,
        VersionRow(
            bucket_id=bucket_id,
            object_key=object_key,
            version_id=marker_id,
            last_modified=now_ms,
            object_id=object_id,
            public_record=s3.records.seal_marker(bucket_id, object_key, marker_id, object_id),
            is_delete_marker=True,
        ),
    )
    for row in replaced:
        catalog.bury_object(rows, row.object_id, now_ms)
    return {"DeleteMarker": True, "VersionId": marker_id, "DeleteMarkerVersionId": marker_id}


def remove_version(rows: Rows, s3: S3, bucket_id: bytes, object_key: bytes, version_id: str) -> Params:
    """For good. Whether it may be removed was asked before."""
    removed = catalog.delete_version(rows, bucket_id, object_key, version_id)
    if removed is None:
        return {"VersionId": version_id}
    catalog.bury_object(rows, removed.object_id, s3.now_ms())
    if removed.is_delete_marker:
        return {"VersionId": version_id, "DeleteMarker": True, "DeleteMarkerVersionId": version_id}
    return {"VersionId": version_id}


def _check_if_match(rows: Rows, s3: S3, place: Place, version_id: str | None, if_match: str) -> None:
    object_key = object_key_bytes(place.object_key)
    if version_id is None:
        row = catalog.current_version(rows, place.bucket_id, object_key)
    else:
        row = catalog.find_version(rows, place.bucket_id, object_key, version_id)
    if row is None:
        raise RequestError("NoSuchKey", Key=place.object_key)
    if row.is_delete_marker or not matches(if_match, s3.records.open_public(place.bucket_id, object_key, row).etag):
        raise RequestError("PreconditionFailed", Condition="If-Match")


def _refuse_unsupported(params: Params) -> None:
    if params.get("MFA"):
        raise RequestError("NotImplemented", "MFA delete is not implemented.", Header="x-amz-mfa")
    for member, header in _OF_DIRECTORY_BUCKETS.items():
        if params.get(member) is not None:
            raise RequestError("NotImplemented", Header=header)


# Preconditions that only directory buckets know.
_OF_DIRECTORY_BUCKETS = {
    "IfMatchLastModifiedTime": "x-amz-if-match-last-modified-time",
    "IfMatchSize": "x-amz-if-match-size",
}


def _no_checks(call: Call, rows: Rows, s3: S3) -> Iterable[Check]:
    """Each key is authorized by itself; the bucket must exist."""
    s3.buckets.get(rows, call.params["Bucket"])
    return ()


@OPERATIONS.operation("DeleteObjects", checks=_no_checks)
async def delete_objects(authorized: Authorized, call: Call, s3: S3) -> Reply:
    params = call.params
    _refuse_unsupported(params)
    wanted: list[Mapping[str, Any]] = params["Delete"].get("Objects") or []
    if not wanted or len(wanted) > DELETE_OBJECTS_MAX:
        raise RequestError("MalformedXML")

    def write(rows: Rows) -> tuple[list[Params], list[Params]]:
        # This transaction's own: the bucket, its policy and the caller's are loaded for all keys.
        once = replace(s3, buckets=BucketStates(), identities=Identities())
        state = once.buckets.get(rows, params["Bucket"])
        deleted: list[Params] = []
        errors: list[Params] = []
        for named in wanted:
            object_key, version_id = named["Key"], named.get("VersionId")
            answer: Params = {"Key": object_key} | ({"VersionId": version_id} if version_id else {})
            try:
                if any(named.get(member) is not None for member in ("LastModifiedTime", "Size")):
                    raise RequestError("NotImplemented")
                authorize_check(rows, call, delete_check(state.row.name, object_key, version_id), once)
                place = Place(state.row, object_key, b"")
                found = delete_one(
                    rows, once, call, state, place=place, version_id=version_id, if_match=named.get("ETag")
                )
            except RequestError as refused:
                message = refused.message or S3_ERRORS[refused.code][1]
                errors.append(answer | {"Code": refused.code, "Message": message})
                continue
            shown = {name: found[name] for name in ("DeleteMarker", "DeleteMarkerVersionId") if name in found}
            deleted.append(answer | shown)
        return deleted, errors

    deleted, errors = await call.commit(s3.db, authorized, write)
    output: Params = {"Errors": errors} if errors else {}
    if not params["Delete"].get("Quiet"):
        output["Deleted"] = deleted
    return Reply(output)

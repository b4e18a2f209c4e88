"""Our own API for the trail: search it for all accounts, verify it, fetch a checkpoint, record a bucket's objects.

What lives here: SearchTrail, VerifyTrail, GetTrailCheckpoint, SetBucketTrail, GetBucketTrail. What does not: what they
do (lookup, verification, checkpoints).

Laws: the whole trail belongs to the operator; whether a bucket's objects are recorded is its owner's business. Nothing
secret is answered: there is none in the trail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

import orjson

from s3al.auth.authorized import Authorized
from s3al.errors import AccessError, IntegrityError, RequestError
from s3al.service.operation import Call, Check, Operations, Params, Reply
from s3al.service.own import own_check, text
from s3al.store import catalog
from s3al.store.catalog import BucketRow
from s3al.store.database import Rows
from s3al.trail.checkpoints import Checkpoint
from s3al.trail.lookup import ATTRIBUTES, Question, place_of, search, token_of
from s3al.trail.ports import TrailPorts
from s3al.trail.recorder import BUCKET_SETTING
from s3al.trail.verification import Verified, verify_store

OPERATIONS: Operations[TrailPorts] = Operations()
_PAGE: Final = 200
T = TypeVar("T")


async def _in_thread(trail: TrailPorts, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(trail.executor, work)


@OPERATIONS.operation("SearchTrail", checks=own_check)
async def search_trail(authorized: Authorized, call: Call, trail: TrailPorts) -> Reply:
    """Parameters: attribute, value, since, until (eventTime's form), account, marker. Answers: events, newest first,
    and next, to be given as marker."""
    question = question_of(call.params)
    marker = call.params.get("marker")
    try:
        after = place_of(trail.folder.keys, question, text(call.params, "marker")) if marker else None
    except RequestError as error:
        if error.code != "InvalidNextTokenException":
            raise
        raise RequestError("ValidationError", "The member marker must be the next of the page before.") from None
    page = await _in_thread(trail, lambda: search(trail.folder, question, most=_PAGE, after=after))
    output: Params = {"events": [orjson.loads(raw) for raw in page.events]}
    if page.after:
        output["next"] = token_of(trail.folder.keys, question, page.after)
    return Reply(output)


def question_of(params: Params) -> Question:
    """Raises ValidationError."""
    given = {name: _optional(params, name) for name in ("attribute", "value", "since", "until", "account")}
    attribute = None
    if given["attribute"]:
        if given["attribute"] not in ATTRIBUTES or not given["value"]:
            raise RequestError("ValidationError", f"The member attribute must be one of {', '.join(ATTRIBUTES)}.")
        attribute = (given["attribute"], given["value"])
    return Question(given["account"] or None, attribute, given["since"], given["until"] or "~", with_data=True)


def _optional(params: Params, member: str) -> str:
    value: Any = params.get(member)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise RequestError("ValidationError", f"The member {member} must be a text.")
    return value


@OPERATIONS.operation("VerifyTrail", checks=own_check)
async def verify_trail(authorized: Authorized, call: Call, trail: TrailPorts) -> Reply:
    """Parameters: against (a checkpoint as GetTrailCheckpoint answers it), incarnation (of the page before). One chain
    a call; answers what was found of it and next, the incarnation to be given."""
    against = _against(call.params)
    after = _optional(call.params, "incarnation")

    def work() -> tuple[Verified, str | None]:
        return verify_store(trail.db, trail.folder, against=[against] if against else [], after=after)

    verified, following = await _in_thread(trail, work)
    output = verified.to_json()
    if following:
        output["next"] = following
    return Reply(output)


def _against(params: Params) -> Checkpoint | None:
    if params.get("against") is None:
        return None
    try:
        return Checkpoint.from_json(params["against"])
    except IntegrityError as error:
        raise RequestError("ValidationError", f"The member against is no checkpoint: {error}.") from None


@OPERATIONS.operation("GetTrailCheckpoint", checks=own_check)
async def get_trail_checkpoint(authorized: Authorized, call: Call, trail: TrailPorts) -> Reply:
    """The newest one, which is at most a second or so old if anything was recorded."""
    last = await _in_thread(trail, trail.checkpoints.last)
    if last is None:
        raise RequestError("NoSuchEntity", "There is no checkpoint yet. Ask again in a second.")
    return Reply(last.to_json())


# --- objects of a bucket


def _on_own_bucket(call: Call, rows: Rows, trail: TrailPorts) -> Iterable[Check]:
    bucket = _bucket(rows, call)
    if bucket.account_id != call.principal.account_id:
        raise AccessError("AccessDenied", "The bucket belongs to another account.")
    return (Check(f"s3al:{call.operation}", f"arn:aws:s3:::{bucket.name}"),)


def _bucket(rows: Rows, call: Call) -> BucketRow:
    bucket = catalog.find_bucket(rows, text(call.params, "bucket"))
    if bucket is None:
        raise RequestError("NoSuchBucket")
    return bucket


@OPERATIONS.operation("SetBucketTrail", checks=_on_own_bucket)
async def set_bucket_trail(authorized: Authorized, call: Call, trail: TrailPorts) -> Reply:
    """Parameters: bucket, data_events (true or false)."""
    wanted = call.params.get("data_events")
    if not isinstance(wanted, bool):
        raise RequestError("ValidationError", "The member data_events must be true or false.")

    def write(rows: Rows) -> None:
        bucket = _bucket(rows, call)
        if wanted:
            catalog.put_setting(rows, bucket.bucket_id, BUCKET_SETTING, b"on")
        else:
            catalog.delete_setting(rows, bucket.bucket_id, BUCKET_SETTING)

    await call.commit(trail.db, authorized, write)
    return Reply({"bucket": call.params["bucket"], "data_events": wanted})


@OPERATIONS.operation("GetBucketTrail", checks=_on_own_bucket)
async def get_bucket_trail(authorized: Authorized, call: Call, trail: TrailPorts) -> Reply:
    def read(rows: Rows) -> bool:
        return catalog.get_setting(rows, _bucket(rows, call).bucket_id, BUCKET_SETTING) is not None

    return Reply({"bucket": call.params["bucket"], "data_events": await trail.db.read(read)})

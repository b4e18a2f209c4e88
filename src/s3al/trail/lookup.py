"""LookupEvents of the CloudTrail API, and the search that it shares with our own API.

What lives here: the attributes, pages from the newest to the oldest, the operation. What does not: files (reading),
our own API (own).

Laws: a caller sees the records of its own account; management events alone, as AWS has it. A page ends when it is
full, or when it has looked at `_MOST_LOOKED_AT` records: it may then be empty and still have a token. A token is of
one caller and one question.

Source: CloudTrail API Reference, "LookupEvents".
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from s3al.auth.authorized import Authorized
from s3al.errors import IntegrityError, RequestError
from s3al.service.operation import Call, Check, Operations, Params, Reply
from s3al.store.database import Rows
from s3al.trail.events import user_name
from s3al.trail.frames import TrailKeys
from s3al.trail.ports import TrailPorts
from s3al.trail.reading import TrailFolder

OPERATIONS: Operations[TrailPorts] = Operations()
MOST_RESULTS: Final = 50
_MOST_LOOKED_AT: Final = 50_000
_TOKEN_LABEL: Final = b"trail page"
_Place = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Question:
    """account_id: None for all accounts. attribute: name of LookupEvents' and value. since, until: eventTime's text.

    with_data: also what was done to objects.
    """

    account_id: str | None = None
    attribute: tuple[str, str] | None = None
    since: str = ""
    until: str = "~"
    with_data: bool = False

    def mark(self) -> bytes:
        parts = [self.account_id or "*", *(self.attribute or ("", "")), self.since, self.until, str(self.with_data)]
        return hashlib.sha256(orjson.dumps(parts)).digest()


@dataclass(frozen=True, slots=True)
class Page:
    """events: CloudTrail's JSON, newest first. after: place of the last record looked at, if there may be more."""

    events: list[bytes]
    after: _Place | None


def search(folder: TrailFolder, question: Question, *, most: int, after: _Place | None) -> Page:
    """One page. after: only what stands before this place, in time."""
    found: list[bytes] = []
    looked_at = 0
    bound = after[0] if after else question.until
    last: _Place | None = None
    for record in folder.newest_first(_millis(bound)):
        place = record.place
        if after and place >= after:
            continue
        if place[0] < question.since:
            return Page(found, None)
        if len(found) == most or looked_at == _MOST_LOOKED_AT:
            return Page(found, last)
        looked_at, last = looked_at + 1, place
        if matches(record.event, question):
            found.append(record.event)
    return Page(found, None)


def matches(raw: bytes, question: Question) -> bool:
    """Cheap tests on the bytes first: most records are somebody else's."""
    if question.account_id and f'"recipientAccountId":"{question.account_id}"'.encode() not in raw:
        return False
    if question.attribute and orjson.dumps(question.attribute[1])[1:-1] not in raw and _is_verbatim(question):
        return False
    event = orjson.loads(raw)
    if question.account_id and event["recipientAccountId"] != question.account_id:
        return False
    if not question.since <= event["eventTime"] <= question.until:
        return False
    if not question.with_data and not event["managementEvent"]:
        return False
    return question.attribute is None or _has(event, *question.attribute)


def _is_verbatim(question: Question) -> bool:
    return question.attribute is not None and question.attribute[0] not in ("ReadOnly", "Username")


def _has(event: Mapping[str, Any], name: str, value: str) -> bool:
    return value in ATTRIBUTES[name](event)


ATTRIBUTES: Final[Mapping[str, Any]] = {
    "EventId": lambda event: (event["eventID"],),
    "EventName": lambda event: (event["eventName"],),
    "EventSource": lambda event: (event["eventSource"],),
    "ReadOnly": lambda event: (str(bool(event["readOnly"])).lower(),),
    "Username": lambda event: (user_name(event),),
    "AccessKeyId": lambda event: ((event.get("userIdentity") or {}).get("accessKeyId"),),
    "ResourceType": lambda event: [one["type"] for one in event["resources"]],
    "ResourceName": lambda event: [name for one in event["resources"] for name in _names(one["ARN"])],
}


def _names(arn: str) -> tuple[str, ...]:
    """An ARN, and what is left of it without the place: bucket, object path, key id."""
    rest = arn.split(":", 5)[-1]
    return (arn, rest, rest.partition("/")[2])


def shown(raw: bytes) -> Params:
    """As LookupEvents answers it."""
    event = orjson.loads(raw)
    return {
        "EventId": event["eventID"],
        "EventName": event["eventName"],
        "ReadOnly": str(bool(event["readOnly"])).lower(),
        "AccessKeyId": (event.get("userIdentity") or {}).get("accessKeyId") or None,
        "EventTime": datetime.fromisoformat(event["eventTime"]),
        "EventSource": event["eventSource"],
        "Username": user_name(event),
        "Resources": [{"ResourceType": one["type"], "ResourceName": one["ARN"]} for one in event["resources"]],
        "CloudTrailEvent": raw.decode(),
    }


# --- tokens


def token_of(keys: TrailKeys, question: Question, place: _Place) -> str:
    sealed = keys.seal(_TOKEN_LABEL, orjson.dumps(place), place=question.mark())
    return base64.urlsafe_b64encode(sealed).decode()


def place_of(keys: TrailKeys, question: Question, token: str) -> _Place:
    """Raises InvalidNextTokenException: altered, or of another question."""
    try:
        raw = base64.b64decode(token.encode(), altchars=b"-_", validate=True)
        at, incarnation, number = orjson.loads(keys.open(_TOKEN_LABEL, raw, place=question.mark()))
        return str(at), str(incarnation), int(number)
    except (ValueError, binascii.Error, IntegrityError):
        raise RequestError("InvalidNextTokenException") from None


def _millis(text: str) -> int | None:
    """The end of the second that eventTime's text names."""
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000) + 999
    except ValueError:
        return None


# --- the operation


def _checks(call: Call, rows: Rows, trail: TrailPorts) -> Iterable[Check]:
    return (Check("cloudtrail:LookupEvents", "*"),)


@OPERATIONS.operation("LookupEvents", checks=_checks)
async def lookup_events(authorized: Authorized, call: Call, trail: TrailPorts) -> Reply:
    params = call.params
    question = _question(authorized.principal.account_id or "", params)
    most = params.get("MaxResults")
    most = MOST_RESULTS if most is None else int(most)
    if not 1 <= most <= MOST_RESULTS:
        raise RequestError("InvalidMaxResultsException")
    after = None
    if params.get("NextToken"):
        after = place_of(trail.folder.keys, question, params["NextToken"])
    if params.get("EventCategory"):  # insights, of which there are none
        return Reply({"Events": []})
    loop = asyncio.get_running_loop()
    page = await loop.run_in_executor(
        trail.executor, lambda: search(trail.folder, question, most=most, after=after)
    )  # fmt: skip
    output: Params = {"Events": [shown(raw) for raw in page.events]}
    if page.after:
        output["NextToken"] = token_of(trail.folder.keys, question, page.after)
    return Reply(output)


def _question(account_id: str, params: Params) -> Question:
    attributes = params.get("LookupAttributes") or []
    if len(attributes) > 1:
        raise RequestError("InvalidLookupAttributesException", "Only one lookup attribute can be specified.")
    attribute = None
    if attributes:
        attribute = (attributes[0]["AttributeKey"], attributes[0]["AttributeValue"])
        if attribute[0] not in ATTRIBUTES:
            raise RequestError("InvalidLookupAttributesException")
    since, until = (_text(params.get(name)) for name in ("StartTime", "EndTime"))
    if since and until and since > until:
        raise RequestError("InvalidTimeRangeException")
    return Question(account_id, attribute, since or "", until or "~")


def _text(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else ""

"""Requests that were refused: what is remembered of each, and for how long it waits to be stored.

What lives here: `Refused`, its JSON, and `Refusals`, one worker's memory. What does not: rows (store.refusals), the
explanation (explain.refused).

Laws: remembering delays no answer: refusals gather in memory and are stored together, a moment later, in one
transaction of their own; of a principal who is refused all the time only some are remembered; a refusal that could not
be stored is lost, and the request stays refused. No secret is remembered: no body, no header but those that are
condition keys, no key of a customer, and of the page that a request came from no query that is signed.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from s3al.auth.decision import AccessRequest, ContextValue, Weighed
from s3al.auth.principal import Principal, Session
from s3al.errors import StoreError
from s3al.store import refusals
from s3al.store.database import Database, Rows
from s3al.store.refusals import RefusalRow

STORED_AFTER_S: Final = 0.25
_MOST_WAITING: Final = 1024
_MOST_WAITING_OF_ONE: Final = 64
_MAX_CHARACTERS: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Refused:
    """One request that was answered AccessDenied. message: as it was answered. weighed: None where no policy was asked.
    at_ms: UTC."""

    request_id: str
    at_ms: int
    service: str
    operation: str
    principal: Principal
    message: str
    weighed: Weighed | None = field(default=None, repr=False)

    def to_row(self) -> RefusalRow:
        document: dict[str, Any] = {
            "service": self.service,
            "operation": self.operation,
            "message": self.message,
            "principal": {name: value for name, value in asdict(self.principal).items() if name != "access_key_id"},
        }
        owner = ""
        if self.weighed is not None:
            owner = self.weighed.owner or ""
            document["weighed"] = _weighed_document(self.weighed)
        text = json.dumps(document)
        if len(text) > _MAX_CHARACTERS:
            document.pop("weighed", None)
            document["principal"]["tags"] = {}
            document["principal"]["session"] = None
            text = json.dumps(document | {"message": self.message[:1024]})
        account = self.principal.account_id or ""
        return RefusalRow(self.request_id, self.at_ms, self.principal.arn, account, owner, text)


def _weighed_document(weighed: Weighed) -> dict[str, Any]:
    request, decision = weighed.request, weighed.decision
    statement = decision.statement
    return {
        "action": request.action,
        "resource": request.resource,
        "context": {name: _without_signature(value) for name, value in request.context.items()},
        "effect": decision.effect,
        "reason": decision.reason,
        "statement": asdict(statement) if statement else None,
    }


def _without_signature(value: ContextValue) -> ContextValue:
    """A presigned URL, as a Referer may be, lets whoever has it in: its query is left out."""
    if isinstance(value, str):
        before, mark, query = value.partition("?")
        return f"{before}?" if "signature" in query.lower() else before + mark + query
    return value


@dataclass(frozen=True, slots=True)
class Remembered:
    """A refusal as read again. request: None where no policy was asked, or too much to remember it. statement: the one
    that denied, as JSON."""

    row: RefusalRow
    service: str
    operation: str
    message: str
    principal: Principal
    request: AccessRequest | None = None
    effect: str = ""
    reason: str = ""
    statement: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, row: RefusalRow) -> Remembered:
        document: dict[str, Any] = json.loads(row.document)
        principal = _principal(document["principal"])
        first = (row, document["service"], document["operation"], document["message"], principal)
        weighed = document.get("weighed")
        if weighed is None:
            return cls(*first)
        context: Mapping[str, ContextValue] = weighed["context"]
        request = AccessRequest(principal, weighed["action"], weighed["resource"], context)
        return cls(*first, request, weighed["effect"], weighed["reason"], weighed["statement"])


def _principal(stored: dict[str, Any]) -> Principal:
    session = stored.pop("session")
    if session is not None:
        lists = {name: tuple(session[name]) for name in ("policy_arns", "transitive_tags")}
        claims = tuple((name, value) for name, value in session["claims"])
        session = Session(**(session | lists | {"claims": claims}))
    return Principal(**stored, session=session)


class Refusals:
    """The refusals of one worker, on the thread of its event loop."""

    def __init__(
        self, database: Database, now_ms: Callable[[], int], failed: Callable[[StoreError], None] = lambda _: None
    ) -> None:
        self._database, self._now_ms, self._failed = database, now_ms, failed
        self._waiting: dict[str, RefusalRow] = {}
        self._of_one: Counter[str] = Counter()
        self._task: asyncio.Task[None] | None = None

    def note(self, refused: Refused) -> None:
        """Remember, if there is room."""
        name = refused.principal.arn
        if len(self._waiting) >= _MOST_WAITING or self._of_one[name] >= _MOST_WAITING_OF_ONE:
            return
        self._of_one[name] += 1
        self._waiting[refused.request_id] = refused.to_row()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._store_soon())

    def find(self, rows: Rows, request_id: str) -> Remembered | None:
        row = self._waiting.get(request_id) or refusals.find_refusal(rows, request_id, self._now_ms())
        return None if row is None else Remembered.read(row)

    async def stop(self) -> None:
        """Store what waits."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self._store()

    async def _store_soon(self) -> None:
        while self._waiting:
            await asyncio.sleep(STORED_AFTER_S)
            await self._store()
        self._task = None

    async def _store(self) -> None:
        batch = list(self._waiting.values())
        if not batch:
            return
        try:
            await self._database.write(lambda rows: refusals.add_refusals(rows, batch, self._now_ms()))
        except StoreError as error:
            self._failed(error)
        for row in batch:
            del self._waiting[row.request_id]
        self._of_one = Counter(row.principal for row in self._waiting.values())

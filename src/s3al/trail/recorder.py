"""The trail of one worker, as gateway and KMS see it.

What lives here: `Trail`, which gathers what a request did with keys and writes the records before the answer. What
does not: the records (events), their file (chain), what is synced in the background (keeper).

The order, for a change: room on the disk is reserved, the change commits, its record is written and synced, the
client is answered. For a use of a key: it is used, its record is written, what it opened is sent. A record that cannot
be written refuses the answer. A change whose record fails at the very last has been committed; its client is told of
a failure, as if the answer had been lost. What no request did (rotation by the clock, the end of a key) is recorded
and synced within its transaction, before it commits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from s3al.auth.principal import Principal
from s3al.errors import StoreError
from s3al.service.auditing import Answered, KeyUse
from s3al.service.operation import Call
from s3al.store.database import Rows
from s3al.store.trail_chains import buckets_recorded
from s3al.trail.chain import ChainWriter
from s3al.trail.events import (
    DATA_OPERATIONS,
    Event,
    encoded,
    for_owners,
    is_reading,
    of_key_event,
    of_key_use,
    of_policy_change,
    of_request,
)

BUCKET_SETTING: Final = "trail"
_UNSIGNED: Final = "AssumeRoleWithWebIdentity"


class Failures(Protocol):
    def failure(self, name: str, exc: BaseException, /, **fields: Any) -> None: ...


@dataclass(slots=True)
class _Pending:
    """What a request that is not answered yet did with keys."""

    call: Call
    uses: list[KeyUse] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


class Trail:
    """Implements service.auditing's Auditor and KeyRecorder."""

    def __init__(
        self, chain: ChainWriter, *, now_ms: Callable[[], int], executor: Executor, log: Failures, region: str
    ) -> None:
        self._chain, self._now_ms, self._executor, self._log, self._region = chain, now_ms, executor, log, region
        self._pending: dict[str, _Pending] = {}
        self._buckets: Mapping[str, str] = {}
        self._stamp = -1

    # --- from the KMS

    def used(self, call: Call, use: KeyUse) -> None:
        if use.refused is None and use.operation != "Decrypt":
            self._chain.reserve()  # before what is made with the key is stored
        if call.request_id:  # else it is a question about one, and nothing is used
            self._of(call).uses.append(use)

    def touched(self, call: Call, key_arn: str) -> None:
        if call.request_id:
            self._of(call).keys.append(key_arn)

    def happened(self, event_name: str, key_arn: str, now_ms: int, details: Mapping[str, Any]) -> None:
        self._chain.append([encoded(of_key_event(event_name, key_arn, now_ms, details))])
        self._chain.sync()

    # --- from the gateway

    def follow(self, rows: Rows, stamp: int) -> None:
        """Cheap at the start of every request: looks which buckets are recorded when the change counter has moved."""
        if stamp != self._stamp:
            self._buckets, self._stamp = buckets_recorded(rows, BUCKET_SETTING), stamp

    def reserve(self, call: Call) -> None:
        if not is_reading(call.operation) and self.concerns(call.service, call.operation, call.request_id):
            self._chain.reserve()

    def concerns(self, service: str, operation: str, request_id: str) -> bool:
        if service != "s3" or operation not in DATA_OPERATIONS:
            return True
        return bool(self._buckets) or request_id in self._pending

    def record(self, answered: Answered) -> Awaitable[None] | None:
        pending = self._pending.pop(answered.request_id, None)
        now_ms = self._now_ms()
        events = [of_key_use(answered, use, now_ms) for use in pending.uses] if pending else []
        own = self._own_event(answered, pending.keys if pending else [], now_ms)
        events += own
        if not events:
            return None
        self._chain.append([encoded(copy) for event in events for copy in for_owners(event)])
        return self._synced() if own and _must_be_durable(answered) else None

    def settle(self, request_id: str) -> None:
        pending = self._pending.pop(request_id, None)
        if pending is None or not pending.uses:
            return
        call = pending.call
        agent = call.headers.get("user-agent", "")
        left = Answered(call.service, call.operation, request_id, call.principal, call.source_ip, agent, call)
        try:
            events = [of_key_use(left, use, self._now_ms()) for use in pending.uses]
            self._chain.append([encoded(copy) for event in events for copy in for_owners(event)])
        except StoreError as error:
            self._log.failure("trail", error, request_id=request_id)

    def _of(self, call: Call) -> _Pending:
        return self._pending.setdefault(call.request_id, _Pending(call))

    def _own_event(self, answered: Answered, keys: list[str], now_ms: int) -> list[Event]:
        if answered.service == "s3" and answered.operation in DATA_OPERATIONS:
            owner = self._data_owner(answered)
            if owner is None:
                return []
            event = of_request(answered, keys, now_ms, self._region)
            for resource in event["resources"]:
                if resource["ARN"].startswith("arn:aws:s3:::"):
                    resource["accountId"] = owner
            event["recipientAccountId"] = event["recipientAccountId"] or owner
            return [event]
        if not _is_known(answered):
            return []
        event = of_request(answered, keys, now_ms, self._region)
        if answered.service == "kms" and answered.operation == "PutKeyPolicy" and not answered.error_code:
            return [event, of_policy_change(event)]
        return [event]

    def _data_owner(self, answered: Answered) -> str | None:
        """Account of the bucket, if it asks for records of what is done to its objects."""
        if not self._buckets or answered.call is None:
            return None
        return self._buckets.get(str(answered.call.params.get("Bucket")))

    async def _synced(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._executor, self._chain.sync)


def _is_known(answered: Answered) -> bool:
    """Requests that nobody signed leave no record, but those by which somebody becomes known, or that changed
    something, as a bucket's policy may let anybody."""
    principal: Principal = answered.principal
    if principal.kind != "anonymous":
        return True
    return not answered.error_code and (answered.operation == _UNSIGNED or not is_reading(answered.operation))


def _must_be_durable(answered: Answered) -> bool:
    if answered.error_code or is_reading(answered.operation):
        return False
    return not (answered.service == "s3" and answered.operation in DATA_OPERATIONS)

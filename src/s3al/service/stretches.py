"""One snapshot for all that a request reads between two waits.

What lives here: `in_stretches`, which drives a request's coroutine step by step. What does not: snapshots (store).

Laws: a snapshot begins after the step that reads from it began, so a request still sees whatever was answered before
it came; no snapshot outlives a step, so none is held while a request waits, and what a request has committed it sees
with its next read.
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

from s3al.store.database import Database

T = TypeVar("T")


@coroutine
def in_stretches(database: Database, work: Coroutine[Any, Any, T]) -> Generator[Any, Any, T]:
    """Await `work`; the reads of each of its steps share a snapshot."""
    step, sent = work.send, None
    while True:
        database.share_snapshot()
        try:
            awaited = step(sent)
        except StopIteration as end:
            result: T = end.value
            return result
        finally:
            database.end_snapshot()
        step = work.send
        try:
            sent = yield awaited
        except GeneratorExit:
            work.close()
            raise
        except BaseException as error:  # noqa: BLE001  (whatever it is, it belongs to `work`)
            step, sent = work.throw, error

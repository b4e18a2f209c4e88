"""A request's coroutine, driven step by step: what shares a snapshot, and that nothing else changes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from s3al.service.stretches import in_stretches


class Snapshots:
    """Notes when a snapshot may begin and when it is ended."""

    def __init__(self) -> None:
        self.open = False
        self.ended = 0

    def share_snapshot(self) -> None:
        assert not self.open
        self.open = True

    def end_snapshot(self) -> None:
        assert self.open
        self.open = False
        self.ended += 1


def drive(work: Any) -> tuple[Any, Snapshots]:
    snapshots = Snapshots()

    async def run() -> Any:
        return await in_stretches(snapshots, work(snapshots))  # type: ignore[arg-type]

    return asyncio.run(run()), snapshots


def test_what_never_waits_has_one_snapshot() -> None:
    async def work(snapshots: Snapshots) -> bool:
        return snapshots.open

    was_open, snapshots = drive(work)
    assert (was_open, snapshots.open, snapshots.ended) == (True, False, 1)


def test_each_wait_ends_the_snapshot_and_begins_another() -> None:
    async def work(snapshots: Snapshots) -> list[bool]:
        seen = []
        for _ in range(3):
            loop = asyncio.get_running_loop()
            done = loop.create_future()
            loop.call_soon(lambda done=done: (seen.append(snapshots.open), done.set_result(1)))
            await done
        return seen

    seen, snapshots = drive(work)
    assert (seen, snapshots.ended) == ([False] * 3, 4)


def test_exceptions_pass_both_ways_and_end_the_snapshot() -> None:
    async def work(snapshots: Snapshots) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.sleep(10)
        raise KeyError(snapshots.open)

    with pytest.raises(KeyError, match="True"):
        drive(work)


def test_cancellation_reaches_the_work() -> None:
    snapshots = Snapshots()
    cancelled = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(snapshots.open)
            raise

    async def run() -> None:
        task = asyncio.create_task(_awaiting(in_stretches(snapshots, work())))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert (cancelled, snapshots.open) == ([True], False)


async def _awaiting(awaitable: Any) -> Any:
    return await awaitable

"""What each worker does beside answering: keep the clock's high water, report its readers, remove garbage.

What lives here: one background task per worker. What does not: which blobs are garbage (store.garbage,
store.files).

Laws: nothing depends on this task having run; it only tidies up. A blob is unlinked after its row is gone,
when no request that could have read the row is still being answered, on any worker. A dead process's garbage
is removed by whichever worker gets its lock.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Protocol, TypeVar

from s3al.errors import StoreError
from s3al.service.clock import Clock
from s3al.service.in_flight import InFlight
from s3al.store import catalog
from s3al.store.blobs import Blobs
from s3al.store.database import Database, Rows

T = TypeVar("T")
Jobs = Sequence[Callable[[Rows, int], object]]

PERIOD_S = 2.0
_SWEEP_EVERY = 30  # rounds
_JUMP_MS = 90_000  # the clock moves by less than this between two sweeps, unless it was set
_EXHUMED_AT_ONCE = 512
_PAUSE_S = 0.05  # between steps, so that they take a part of a worker only


class Failures(Protocol):
    def failure(self, name: str, exc: BaseException, /) -> None: ...


class Tending:
    """start before the first request, stop after the last."""

    def __init__(
        self,
        database: Database,
        blobs: Blobs,
        in_flight: InFlight,
        clock: Clock,
        *,
        log: Failures,
        executor: Executor,
        jobs: Jobs = (),
        steps: Sequence[Callable[[], bool]] = (),
        rest: Callable[[], object] | None = None,
    ) -> None:
        """jobs: run now and then, each in a write transaction of its own, with the time (UTC ms). steps: run in a
        thread of their own every round, again and again while they return True. rest: run in a thread now and then,
        when no request is being answered."""
        self._database, self._blobs, self._in_flight = database, blobs, in_flight
        self._clock, self._log, self._executor, self._jobs = clock, log, executor, jobs
        self._steps, self._rest = steps, rest
        # Each thread that reads keeps a connection of its own, so let it be one.
        self._stepping = ThreadPoolExecutor(1, thread_name_prefix="s3al-steps")
        self._is_known = False  # until then garbage that this process leaves behind is found by `s3al check` alone
        self._kept_ms = 0  # the high water that this process has kept last
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """A disk without room is no reason not to read: the process then makes itself known when there is some."""
        try:
            await self._begin()
        except StoreError as error:
            if not error.retryable:
                raise
            self._log.failure("tending", error)
        self._task = asyncio.create_task(self._run())

    async def _begin(self) -> None:
        incarnation, now_ms = self._blobs.incarnation, self._clock()
        await self._database.write(lambda rows: catalog.begin_incarnation(rows, incarnation, now_ms))
        self._is_known = True

    async def stop(self) -> None:
        """When this returns, no step is running any more: it goes on in its thread when its task is cancelled."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await asyncio.to_thread(self._stepping.shutdown)

    async def _run(self) -> None:
        rounds = 0
        while True:
            try:
                if not self._is_known:
                    await self._begin()
                if rounds % _SWEEP_EVERY == 0:
                    await self.sweep()
                    await self._keep_clock()
                    for job in self._jobs:
                        await self._database.write(lambda rows, job=job: job(rows, self._clock()))  # type: ignore[misc]
                    if self._rest and self._in_flight.oldest() is None:
                        await self._in_thread(self._rest)
                elif self._clock() - self._kept_ms > _JUMP_MS:
                    await self._keep_clock()
                for step in self._steps:
                    while await asyncio.get_running_loop().run_in_executor(self._stepping, step):
                        await self.unlink_buried()
                        await asyncio.sleep(_PAUSE_S)
                await self.unlink_buried()
            except Exception as error:  # noqa: BLE001  logged by type and place; the next round must come all the same
                self._log.failure("tending", error)
            rounds += 1
            await asyncio.sleep(PERIOD_S)

    async def _keep_clock(self) -> None:
        now_ms = self._clock()
        await self._database.write(self._clock.persist)
        self._kept_ms = now_ms

    async def unlink_buried(self) -> int:
        """Unlink what no reader can hold any more; returns how many blobs. Cheap when nothing is buried."""
        if not await self._database.read(_has_graves):
            return 0
        now_ms = self._clock()
        oldest = self._in_flight.oldest()
        incarnation = self._blobs.incarnation

        def report(rows: Rows) -> list[str]:
            catalog.report_reader(rows, incarnation, oldest, now_ms=now_ms)
            return catalog.exhume(rows, now_ms, _EXHUMED_AT_ONCE)

        names = await self._database.write(report)
        if names:
            await self._in_thread(lambda: self._blobs.remove(names))
            await self._database.write(lambda rows: catalog.forget(rows, names))
        return len(names)

    async def sweep(self) -> None:
        """Remove the unnamed blobs of processes that are no more."""

        def is_named(names: Sequence[str]) -> set[str]:
            return self._database.write_now(lambda rows: catalog.blob_names_named(rows, names))

        known = {row.incarnation for row in await self._database.read(catalog.list_incarnations)}
        report = await self._in_thread(lambda: self._blobs.sweep(is_named, among=known))
        live = await self._in_thread(self._blobs.live_incarnations)
        ended = known - live  # those without a folder wrote nothing and need no sweep
        if ended or report.swept:

            def end_dead(rows: Rows) -> None:
                for incarnation in ended.union(report.swept):
                    catalog.end_incarnation(rows, incarnation)

            await self._database.write(end_dead)
        await self._in_thread(lambda: self._blobs.settle_doubts(is_named))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, work)


def _has_graves(rows: Rows) -> bool:
    return rows.one("SELECT 1 FROM graveyard LIMIT 1") is not None

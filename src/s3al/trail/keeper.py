"""What keeps the trail beside the requests: every second, sync what was written and sign how far the chains are.

What lives here: one thread of each worker, and the checkpoints, which one worker at a time writes for all. What does
not: writing records (chain), the form of checkpoints (checkpoints).

Laws: a record is durable within a second or so, unless the disk is slower; a checkpoint counts only what was synced
before. Chains of other processes, living or dead, are followed in their files, without keys, from where the last
checkpoint left them. Whoever holds the lock writes checkpoints; it falls to another when that process ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

from s3al.errors import S3alError
from s3al.trail.chain import ChainWriter, FileCalls, file_name
from s3al.trail.checkpoints import ChainState, Checkpoint, CheckpointFile, Signer, empty_state
from s3al.trail.frames import HEAD_BYTES, frames, next_head
from s3al.trail.reading import TrailFolder

PERIOD_S = 1.0
LOCK = ".checkpointer"
_STOP_WITHIN_S = 10.0
_TURN_WITHIN_S = 2.0
_TURN_EVERY_S = 0.02


class Failures(Protocol):
    def failure(self, name: str, exc: BaseException, /) -> None: ...


class Checkpointer:
    """Follows all chains and signs. Used by one thread at a time, under the lock of the folder."""

    def __init__(
        self,
        folder: TrailFolder,
        signer: Signer,
        *,
        now_ms: Callable[[], int],
        listed: Callable[[], Iterable[str]],
        calls: FileCalls | None = None,
    ) -> None:
        self._folder, self._signer, self._now_ms, self._listed = folder, signer, now_ms, listed
        self._calls = calls or FileCalls()
        self._file = CheckpointFile(folder.path, folder.keys, folder.store_id)

    def write(self) -> Checkpoint | None:
        """A new checkpoint, or None if nothing was recorded since the last. Raises StoreError or IntegrityError."""
        last = self._file.last()
        before = dict(last.chains) if last else {}
        files = self._folder.chains()
        chains = dict(before)
        for incarnation in {*before, *self._listed()}:  # what is not listed yet has no record yet
            state = before.get(incarnation) or empty_state(self._folder.store_id, incarnation)
            chains[incarnation] = self._follow(incarnation, state, files.get(incarnation, []))
        if last and chains == before:
            return None
        number = last.number + 1 if last else 1
        checkpoint = self._signer.sign(Checkpoint(self._folder.store_id, number, self._now_ms(), chains))
        self._file.add(checkpoint)
        return checkpoint

    def last(self) -> Checkpoint | None:
        return self._file.last()

    def _follow(self, incarnation: str, state: ChainState, numbers: list[int]) -> ChainState:
        """Where a chain stands now, synced. A chain that does not go on from where it was stays as it was stated."""
        count, head, offset, at = state.count, state.head, state.offset, state.file
        for number in numbers:
            if number < state.file:
                continue
            start = max(state.offset, HEAD_BYTES) if number == state.file else HEAD_BYTES
            for frame in frames(self._synced(incarnation, number, start), 0):
                if frame.number != count:
                    return ChainState(count, head, at, offset)
                count, head = count + 1, next_head(head, frame.number, frame.sealed)
                offset, at = start + frame.end, number
        return ChainState(count, head, at, offset)

    def _synced(self, incarnation: str, number: int, start: int) -> bytes:
        path = self._folder.path / file_name(incarnation, number)
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            size = os.fstat(descriptor).st_size
            if size <= start:
                return b""
            self._calls.sync(descriptor)
            return os.pread(descriptor, size - start, start)
        finally:
            os.close(descriptor)


class Keeper:
    """The thread of one worker."""

    def __init__(
        self,
        chain: ChainWriter,
        checkpointer: Checkpointer,
        folder: Path,
        *,
        enlist: Callable[[], object],
        log: Failures,
    ) -> None:
        """enlist: lists the chain in the catalog."""
        self._chain, self._checkpointer, self._folder = chain, checkpointer, folder
        self._enlist, self._log = enlist, log
        self._ending = threading.Event()
        self._lock = -1
        self._thread = threading.Thread(target=self._run, name="s3al-trail", daemon=True)

    def start(self) -> None:
        """Begin the chain, or say why not: that is tried again every second, and until then nothing is recorded."""
        self._begin()
        self._round()  # so that a store whose checkpoints are gone is told from a new one
        self._thread.start()

    def stop(self) -> None:
        """Sync and, if no other worker does, sign once more. The chain is closed when this returns."""
        self._ending.set()
        self._thread.join(_STOP_WITHIN_S)
        self._await_turn()
        self._round()
        self._chain.close()
        if self._lock >= 0:
            os.close(self._lock)

    def _run(self) -> None:
        while not self._ending.wait(PERIOD_S):
            if not self._chain.has_begun:
                self._begin()
            self._round()

    def _begin(self) -> None:
        try:
            self._chain.begin(self._enlist)
        except S3alError as error:
            self._log.failure("trail", error)

    def _round(self) -> None:
        try:
            if self._chain.is_dirty:
                self._chain.sync()
            if self._takes_turn():
                self._checkpointer.write()
        except (S3alError, OSError) as error:
            self._log.failure("trail", error)

    def _await_turn(self) -> None:
        """Workers stop together: each waits a while for the one that signs, so that the last one signs for all."""
        ends = time.monotonic() + _TURN_WITHIN_S
        with contextlib.suppress(OSError):  # said by the round that follows
            while not self._takes_turn() and time.monotonic() < ends:
                time.sleep(_TURN_EVERY_S)

    def _takes_turn(self) -> bool:
        if self._lock < 0:
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(self._folder / LOCK, flags, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                return False
            self._lock = descriptor
        return True

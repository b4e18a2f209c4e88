"""What keeps the trail: a chain that begins late, who signs when there are several, and what is signed at the end."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from s3al.errors import StoreError
from s3al.trail.chain import ChainWriter, FileCalls
from s3al.trail.checkpoints import CheckpointFile, Signer
from s3al.trail.keeper import Checkpointer, Keeper
from s3al.trail.reading import TrailFolder
from s3al.trail.verification import verify

from .test_verification import STORE, Keys

RECORD = b'{"eventTime":"2026-01-01T00:00:00Z"}'


class Failures:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def failure(self, name: str, exc: BaseException, /) -> None:
        self.seen.append(f"{name}: {exc}")


class Calls(FileCalls):
    is_full = False

    def allocate(self, descriptor: int, offset: int, size: int) -> None:
        if self.is_full:
            raise OSError(errno.ENOSPC, "no space left")
        super().allocate(descriptor, offset, size)


class Store:
    """A trail's folder, and the catalog's list of its chains."""

    def __init__(self, path: Path) -> None:
        self.listed: list[str] = []
        self.signer, self.log = Signer(Ed25519PrivateKey.generate()), Failures()
        self.folder = TrailFolder(path, Keys(), STORE)

    def keeper(self, name: str, *, calls: FileCalls, enlist: Callable[[], object]) -> tuple[ChainWriter, Keeper]:
        chain = ChainWriter(self.folder.path, Keys(), STORE, name, now_ms=lambda: 1, calls=calls)
        checkpointer = Checkpointer(self.folder, self.signer, now_ms=lambda: 2, listed=lambda: self.listed)
        return chain, Keeper(chain, checkpointer, self.folder.path, enlist=enlist, log=self.log)

    def worker(self, digit: str) -> tuple[ChainWriter, Keeper]:
        name = digit * 16
        return self.keeper(name, calls=FileCalls(), enlist=lambda: self.listed.append(name))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


def test_a_chain_that_cannot_begin_records_nothing_and_begins_later(store: Store) -> None:
    calls, name = Calls(), "a" * 16
    calls.is_full = True
    chain, keeper = store.keeper(name, calls=calls, enlist=lambda: store.listed.append(name))
    keeper.start()
    try:
        assert store.listed == []
        assert any("no space left" in line for line in store.log.seen)
        with pytest.raises(StoreError, match="has not begun"):
            chain.append([RECORD])
        with pytest.raises(StoreError, match="has not begun"):
            chain.reserve()
        calls.is_full = False
        keeper._begin()
        chain.append([RECORD])
        assert store.listed[0] == name
    finally:
        keeper.stop()


def test_a_chain_that_could_not_be_listed_records_nothing(store: Store) -> None:
    def enlist() -> None:
        raise StoreError("the catalog cannot be written")

    chain, keeper = store.keeper("b" * 16, calls=FileCalls(), enlist=enlist)
    keeper.start()
    with pytest.raises(StoreError, match="has not begun"):
        chain.append([RECORD])
    keeper.stop()
    checkpoints = CheckpointFile(store.folder.path, Keys(), STORE).read()
    found, _ = verify(store.folder, lambda: store.listed, checkpoints, store.signer.public)
    assert found.findings == [], "a file without records, of a chain that is not listed, is none"


def test_the_last_of_the_workers_signs_for_all(store: Store) -> None:
    workers = [store.worker(digit) for digit in "123"]
    for _, keeper in workers:
        keeper.start()
    for chain, _ in workers:
        chain.append([RECORD, RECORD])
    for chain, keeper in workers:
        chain.append([RECORD])  # after the others have signed and gone
        keeper.stop()
    checkpoints = CheckpointFile(store.folder.path, Keys(), STORE).read()
    assert {state.count for state in checkpoints[-1].chains.values()} == {3}
    found, _ = verify(store.folder, lambda: store.listed, checkpoints, store.signer.public)
    assert (found.findings, found.records, found.beyond) == ([], 9, 0)
    with pytest.raises(StoreError, match="closed"):
        workers[0][0].append([RECORD])


def test_a_checkpoint_is_written_when_something_was_recorded(store: Store) -> None:
    chain, keeper = store.worker("4")
    keeper.start()
    keeper.stop()
    (first,) = CheckpointFile(store.folder.path, Keys(), STORE).read()
    assert [state.count for state in first.chains.values()] == [0]
    checkpointer = Checkpointer(store.folder, store.signer, now_ms=lambda: 2, listed=lambda: store.listed)
    assert checkpointer.write() is None
    assert chain.count == 0


def test_a_checkpoint_that_a_crash_cut_short_is_passed_over_and_written_anew(store: Store) -> None:
    chain, keeper = store.worker("5")
    keeper.start()
    chain.append([RECORD])
    keeper.stop()
    path = store.folder.path / "checkpoints"
    path.write_bytes(path.read_bytes()[:-1])
    assert [one.number for one in CheckpointFile(store.folder.path, Keys(), STORE).read()] == [1]
    checkpointer = Checkpointer(store.folder, store.signer, now_ms=lambda: 3, listed=lambda: store.listed)
    for _ in range(2):
        assert checkpointer.write() is None or checkpointer.last()
    (only,) = CheckpointFile(store.folder.path, Keys(), STORE).read()
    assert (only.number, only.chains["5" * 16].count) == (2, 1)

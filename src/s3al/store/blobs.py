"""The port for bytes: blobs under random names, written once, read at any offset, removed.

What lives here: the protocols that every blob store of s3al implements. What does not: files (files), which blobs
are garbage (garbage), what the bytes are (they arrive sealed; a blob is never trusted when it is read).

Laws:
- A blob is written once by one writer, and is durable, with its name, when `finish` returns. Before that no row
  names it.
- Names are drawn at random by the implementation and say which incarnation (process) wrote the blob.
- All methods block and are called from worker threads. One writer or reader belongs to one thread at a time.
- Failures of the medium are StoreError; a blob that is missing or too short is IntegrityError, because a row named
  it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self


class BlobWriter(Protocol):
    @property
    def name(self) -> str: ...

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append all of `data`. After any error only `abandon` may follow."""
        ...

    def finish(self) -> None:
        """Make bytes and name durable. After an error the blob must not be named."""
        ...

    def abandon(self) -> None:
        """Close and remove the blob, finished or not; never raises. Not for a blob that a row may name."""
        ...


class BlobReader(Protocol):
    @property
    def size_bytes(self) -> int: ...

    def read(self, offset: int, length: int) -> bytes:
        """Exactly `length` bytes. Raises IntegrityError if the blob is shorter."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@dataclass(frozen=True, slots=True)
class SweepReport:
    """What a sweep did. swept: incarnations that are now without garbage, and whose lock is free or removed."""

    swept: tuple[str, ...] = ()
    removed_blobs: int = 0
    removed_bytes: int = 0


class Blobs(Protocol):
    @property
    def incarnation(self) -> str:
        """Of this process: 16 hex digits, drawn when the blob store was opened."""
        ...

    def create(self) -> BlobWriter: ...

    def open(self, name: str) -> BlobReader:
        """Raises IntegrityError if there is no such blob."""
        ...

    def remove(self, names: Iterable[str]) -> None:
        """Unlink; names of blobs already gone are no error."""
        ...

    def live_incarnations(self) -> set[str]:
        """Those of processes that run now, this one included."""
        ...

    def sweep(
        self, is_named: Callable[[Sequence[str]], set[str]], *, among: Collection[str] | None = None
    ) -> SweepReport:
        """Remove the blobs of dead incarnations that nothing names.

        is_named: those of the given names that must stay; it asks inside a write transaction. among: the
        incarnations to look at; None: all that ever wrote.
        """
        ...

    def doubt(self, names: Iterable[str]) -> None:
        """Remember blobs of this process whose commit failed without saying whether it took place."""
        ...

    def settle_doubts(self, is_named: Callable[[Sequence[str]], set[str]]) -> int:
        """Remove the doubtful blobs that nothing names, now that a later commit has decided. Returns their number."""
        ...

    def close(self) -> None: ...

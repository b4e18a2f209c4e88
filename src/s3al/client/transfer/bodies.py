"""Bodies that are read: plaintext, released when it may be.

What lives here: `DecryptedBody`, which reads like botocore's StreamingBody and like a file, and the ways plaintext
comes to it: authenticated in whole through a spool, by segment, or delayed. What does not: requests.

Laws: by default nothing is released before it is authenticated. What waits for its tag is ciphertext, in memory up to
a bound and then in a temporary file without a name; plaintext never touches a disk. Closing is always possible and
leaves nothing.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any, Final, Protocol

from s3al.client.errors import DecryptionError, S3EncryptionClientError
from s3al.client.formats.content import Opener
from s3al.client.transfer.spool import Spool

CHUNK_BYTES: Final = 1024 * 1024
WHOLE_BYTES: Final = 8 * 1024 * 1024  # up to this the plaintext is opened once and held, beyond it is opened twice


class Readable(Protocol):
    """What is read from: a response body, or a file."""

    def read(self, amount: int, /) -> bytes: ...

    def close(self) -> None: ...


class DecryptedBody(io.RawIOBase):
    """The plaintext of one object. `pieces` does the work as it is read; `close` ends it."""

    def __init__(self, pieces: Iterator[bytes], close: Callable[[], None]) -> None:
        super().__init__()
        self._pieces = pieces
        self._close = close
        self._held = memoryview(b"")
        self._position = 0
        self._failure: Exception | None = None

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        """Bytes of plaintext read so far."""
        return self._position

    def read(self, amt: int | None = None, /) -> bytes:
        """At most `amt` bytes, all by default; fewer only at the end. Raises DecryptionError."""
        if amt is None or amt < 0:
            parts = [bytes(self._held)] if self._held else []
            self._held = memoryview(b"")
            while piece := self._next():
                parts.append(piece)
            out = parts[0] if len(parts) == 1 else b"".join(parts)
        else:
            out = self._take(amt)
        self._position += len(out)
        return out

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        piece = self.read(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def readall(self) -> bytes:
        return self.read()

    def iter_chunks(self, chunk_size: int = CHUNK_BYTES) -> Iterator[bytes]:
        while piece := self.read(chunk_size):
            yield piece

    def iter_lines(self, chunk_size: int = CHUNK_BYTES, keepends: bool = False) -> Iterator[bytes]:
        pending = b""
        for chunk in self.iter_chunks(chunk_size):
            lines = (pending + chunk).splitlines(keepends=True)
            pending = lines.pop() if lines and not lines[-1].endswith(b"\n") else b""
            for line in lines:
                yield line if keepends else line.splitlines()[0]
        if pending:
            yield pending if keepends else pending.splitlines()[0]

    def close(self) -> None:
        if not self.closed:
            self._held = memoryview(b"")
            end = getattr(self._pieces, "close", None)
            if end is not None:
                end()
            self._close()
        super().close()

    def _take(self, amount: int) -> bytes:
        held, parts, missing = self._held, [], amount
        self._held = memoryview(b"")
        while missing:
            if not held:
                piece = self._next()
                if not piece or (len(piece) == amount == missing):
                    parts.append(memoryview(piece))
                    break
                held = memoryview(piece)
            parts.append(held[:missing])
            held = held[missing:]
            missing -= len(parts[-1])
        self._held = held
        return _joined(parts)

    def _next(self) -> bytes:
        """The next piece that is not empty; nothing at the end. A failure is a failure each time."""
        if self.closed:
            raise ValueError("the body is closed")
        if self._failure is not None:
            raise self._failure
        try:
            for piece in self._pieces:
                if piece:
                    return piece
        except BaseException as exc:
            # Also after KeyboardInterrupt: the generator has ended with it, which must not look like the end.
            self._failure = failure_of(exc)
            self._held = memoryview(b"")
            self._close()
            raise
        self._close()
        return b""


def failure_of(exc: BaseException) -> Exception:
    """What a body raises from now on, after `exc` was raised."""
    return exc if isinstance(exc, Exception) else S3EncryptionClientError("the object was not read to its end")


def _joined(parts: list[memoryview]) -> bytes:
    """One copy at most: none of a piece that is asked for as it is."""
    if len(parts) == 1 and isinstance(whole := parts[0].obj, bytes) and len(whole) == len(parts[0]):
        return whole
    return b"".join(parts)


def opened_as_it_comes(source: Readable, opener: Opener) -> Iterator[bytes]:
    """Plaintext chunk by chunk: authenticated only if the opener authenticates chunks."""
    while chunk := source.read(CHUNK_BYTES):
        yield opener.update(chunk)
    yield opener.finalize()


def opened_when_authenticated(
    source: Readable, opener: Opener, again: Callable[[], Opener], *, memory_bytes: int, length: int | None
) -> Iterator[bytes]:
    """Plaintext after the whole was authenticated: small objects at once, others from a spool of ciphertext, with
    another opener that `again` makes."""
    if length is not None and length <= min(memory_bytes, WHOLE_BYTES):
        yield _opened_whole(source, opener)
        return
    with Spool(memory_bytes, expected_bytes=length) as spool:
        _authenticate(source, spool, opener)
        source.close()
        opener, at = again(), 0
        while chunk := spool.read(at, CHUNK_BYTES):
            at += len(chunk)
            yield opener.update(chunk)
        yield opener.finalize()


def _opened_whole(source: Readable, opener: Opener) -> bytes:
    parts = []
    while chunk := source.read(CHUNK_BYTES):
        parts.append(opener.update(chunk))
    parts.append(opener.finalize())
    return b"".join(parts)


def _authenticate(source: Readable, spool: Spool, opener: Opener) -> None:
    while chunk := source.read(CHUNK_BYTES):
        spool.write(chunk)
        opener.update(chunk)
    opener.finalize()
    spool.flush()


class Exactly:
    """A source that must give so many bytes: fewer or more is a DecryptionError."""

    def __init__(self, source: Readable, length: int) -> None:
        self._source = source
        self._left = length

    def read(self, amount: int, /) -> bytes:
        chunk = self._source.read(amount)
        self._left -= len(chunk)
        if self._left < 0 or (not chunk and self._left):
            raise DecryptionError
        return chunk

    def close(self) -> None:
        self._source.close()

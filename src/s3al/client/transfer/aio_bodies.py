"""Bodies that are read with `await`: as `bodies`, on an event loop.

What lives here: `AsyncDecryptedBody` and the ways plaintext comes to it. What does not: requests.

Laws: those of `bodies`; and nothing that takes long blocks the loop: disks and large pieces are left to threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any, Final, Self

from s3al.client.formats.content import Opener
from s3al.client.transfer.bodies import CHUNK_BYTES, WHOLE_BYTES, failure_of
from s3al.client.transfer.spool import Spool

_INLINE_BYTES: Final = 256 * 1024  # opening less than this takes less than a thread costs


class AsyncDecryptedBody:
    """The plaintext of one object: `await read()`, `async for` chunks, `async with`."""

    def __init__(self, pieces: AsyncGenerator[bytes, None], close: Callable[[], Any]) -> None:
        self._pieces = pieces
        self._close = close
        self._held = b""
        self._failure: Exception | None = None
        self._closed = False

    async def read(self, amt: int | None = None) -> bytes:
        """At most `amt` bytes, all by default; fewer only at the end. Raises DecryptionError."""
        parts, missing = [self._held], None if amt is None or amt < 0 else amt - len(self._held)
        self._held = b""
        while missing is None or missing > 0:
            piece = await self._next()
            if piece is None:
                break
            parts.append(piece)
            missing = None if missing is None else missing - len(piece)
        whole = b"".join(parts)
        if amt is not None and amt >= 0:
            whole, self._held = whole[:amt], whole[amt:]
        return whole

    async def iter_chunks(self, chunk_size: int = CHUNK_BYTES) -> AsyncIterator[bytes]:
        while piece := await self.read(chunk_size):
            yield piece

    def close(self) -> None:
        """The response is closed at once; what waits on a disk, when the loop comes to it. `aclose` waits for both."""
        self._closed = True
        self._held = b""
        self._close()

    async def aclose(self) -> None:
        self.close()
        await self._pieces.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def _next(self) -> bytes | None:
        """The next piece; None at the end. A failure, a cancellation too, is a failure each time."""
        if self._closed:
            raise ValueError("the body is closed")
        if self._failure is not None:
            raise self._failure
        try:
            return await anext(self._pieces, None)
        except BaseException as exc:
            self._failure = failure_of(exc)
            self._close()
            raise


async def read_in_threads(source: Any) -> AsyncGenerator[bytes, None]:
    while piece := await asyncio.to_thread(source.read, CHUNK_BYTES):
        yield piece


async def once(plaintext: bytes) -> AsyncGenerator[bytes, None]:
    yield plaintext


async def as_it_comes(source: Any, opener: Opener) -> AsyncGenerator[bytes, None]:
    try:
        while chunk := await source.read(CHUNK_BYTES):
            if plain := opener.update(chunk):
                yield plain
        if plain := opener.finalize():
            yield plain
    finally:
        source.close()


async def when_authenticated(
    source: Any, opener: Opener, again: Callable[[], Opener], memory_bytes: int, length: int
) -> AsyncGenerator[bytes, None]:
    if length <= min(memory_bytes, WHOLE_BYTES):
        ciphertext = await source.read()
        open_all = _open_all if length <= _INLINE_BYTES else _open_in_thread
        yield await open_all(opener, ciphertext)
        return
    with Spool(memory_bytes, expected_bytes=length) as spool:
        try:
            while chunk := await source.read(CHUNK_BYTES):
                await asyncio.to_thread(_authenticate, spool, opener, chunk)
            opener.finalize()
        finally:
            source.close()
        opener = again()
        for at in range(0, spool.length, CHUNK_BYTES):
            yield await asyncio.to_thread(_open_next, spool, opener, at)
        yield opener.finalize()


def _authenticate(spool: Spool, opener: Opener, chunk: bytes) -> None:
    spool.write(chunk)
    opener.update(chunk)


def _open_next(spool: Spool, opener: Opener, at: int) -> bytes:
    return opener.update(spool.read(at, CHUNK_BYTES))


async def _open_all(opener: Opener, ciphertext: bytes) -> bytes:
    return opener.update(ciphertext) + opener.finalize()


async def _open_in_thread(opener: Opener, ciphertext: bytes) -> bytes:
    return await asyncio.to_thread(lambda: opener.update(ciphertext) + opener.finalize())

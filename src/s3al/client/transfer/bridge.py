"""A client of aiobotocore as boto3's, for a thread beside its loop: what is not worth writing twice runs there.

What lives here: `Blocking`. What does not: the hot paths of the async client (aio, aio_uploads), which
stay on the loop.

Laws: the thread waits, the loop never does; requests run on the loop that the client belongs to, and nowhere else.
Whoever waits for the thread may be cancelled: then its request in flight is, no other begins but those that clean up,
and the cancellation goes on when they are done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import CancelledError as RequestCancelled
from concurrent.futures import Future
from typing import Any, Final, Self, TypeVar

T = TypeVar("T")

_CLEANING_UP: Final = frozenset({"abort_multipart_upload"})


async def in_thread(
    client: Any, work: Callable[..., T], *arguments: Any, also: Blocking | None = None, **named: Any
) -> T:
    """`work(blocking client, ...)` in a thread of its own. also: another client that the work calls."""
    blocking = Blocking(client, asyncio.get_running_loop())
    running = asyncio.ensure_future(asyncio.to_thread(work, blocking, *arguments, **named))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        for one in (blocking, also):
            if one is not None:
                one.stop()
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # seen: what the work says of its being stopped is nobody's concern
        raise


class Blocking:
    """boto3's calling convention over an aiobotocore client; called from any thread but the loop's."""

    def __init__(self, client: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._loop = loop
        self._stopped = False
        self._waiting: set[Future[Any]] = set()
        self.meta = client.meta

    def stop(self) -> None:
        """From the loop: cancel what is in flight and let nothing begin but cleaning up."""
        self._stopped = True
        for future in list(self._waiting):
            future.cancel()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(**parameters: Any) -> Any:
            if isinstance(parameters.get("Body"), bytearray):
                parameters["Body"] = bytes(parameters["Body"])  # only these are sent without stopping the loop
            answer = self._wait(method(**parameters), cleans_up=name in _CLEANING_UP)
            if isinstance(answer, dict) and hasattr(answer.get("Body"), "read"):
                answer["Body"] = _BlockingBody(answer["Body"], self._wait)
            return answer

        return call

    def get_paginator(self, operation: str) -> _BlockingPaginator:
        return _BlockingPaginator(self._client.get_paginator(operation), self._wait)

    def _wait(self, coroutine: Coroutine[Any, Any, T], *, cleans_up: bool = False) -> T:
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        self._waiting.add(future)
        try:
            if self._stopped and not cleans_up:
                future.cancel()
                raise RequestCancelled
            return future.result()
        finally:
            self._waiting.discard(future)


class _BlockingBody:
    def __init__(self, body: Any, wait: Callable[..., Any]) -> None:
        self._body = body
        self._wait = wait

    def read(self, amount: int | None = None, /) -> bytes:
        piece: bytes = self._wait(self._body.read() if amount is None else self._body.read(amount))
        return piece

    def close(self) -> None:
        self._wait(_closed(self._body), cleans_up=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def _closed(body: Any) -> None:
    """On the loop: closing touches the connection."""
    body.close()


class _BlockingPaginator:
    def __init__(self, paginator: Any, wait: Callable[..., Any]) -> None:
        self._paginator = paginator
        self._wait = wait

    def paginate(self, **given: Any) -> Iterator[Any]:
        pages = self._paginator.paginate(**given).__aiter__()
        while (page := self._wait(_next(pages))) is not None:
            yield page


async def _next(pages: Any) -> Any:
    return await anext(pages, None)

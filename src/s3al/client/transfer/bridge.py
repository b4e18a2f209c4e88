"""A client of aiobotocore as boto3's, for a thread beside its loop: what is not worth writing twice runs there.

What lives here: `Blocking`. What does not: the hot paths of the async client (aio, aio_uploads), which
stay on the loop.

Laws: the thread waits, the loop never does; requests run on the loop that the client belongs to, and nowhere else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Self, TypeVar

T = TypeVar("T")


async def in_thread(client: Any, work: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """`work(blocking client, ...)` in a thread of its own."""
    blocking = Blocking(client, asyncio.get_running_loop())
    return await asyncio.to_thread(work, blocking, *arguments, **named)


class Blocking:
    """boto3's calling convention over an aiobotocore client; called from any thread but the loop's."""

    def __init__(self, client: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._client = client
        self._loop = loop
        self.meta = client.meta

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(**parameters: Any) -> Any:
            if isinstance(parameters.get("Body"), bytearray):
                parameters["Body"] = bytes(parameters["Body"])  # only these are sent without stopping the loop
            answer = self._wait(method(**parameters))
            if isinstance(answer, dict) and hasattr(answer.get("Body"), "read"):
                answer["Body"] = _BlockingBody(answer["Body"], self._wait)
            return answer

        return call

    def get_paginator(self, operation: str) -> _BlockingPaginator:
        return _BlockingPaginator(self._client.get_paginator(operation), self._wait)

    def _wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


class _BlockingBody:
    def __init__(self, body: Any, wait: Callable[..., Any]) -> None:
        self._body = body
        self._wait = wait

    def read(self, amount: int | None = None, /) -> bytes:
        piece: bytes = self._wait(self._body.read() if amount is None else self._body.read(amount))
        return piece

    def close(self) -> None:
        self._wait(_closed(self._body))

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

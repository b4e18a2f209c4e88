"""Writing objects with aiobotocore: as `uploads`, with tasks for threads.

What lives here: `write`. What does not: data keys, which the caller has asked for already.

Laws: those of `uploads`: read once, sealed in one pass, parts in flight bounded, nothing visible unless whole.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final

from s3al.client.config import S3EncryptionClientConfig
from s3al.client.errors import ObjectTooLargeError, SourceError
from s3al.client.formats.content import Sealer
from s3al.client.keyrings.port import DataKey
from s3al.client.transfer.envelopes import prepare_write
from s3al.client.transfer.instruction_files import awritten_beside
from s3al.client.transfer.parameters import OwnParameters, checked_metadata, known
from s3al.client.transfer.sealing import MAX_PARTS, check_length
from s3al.client.transfer.sources import PlaintextChecks, Source
from s3al.client.transfer.uploads import Callback, part_of, watcher

_INLINE_BYTES: Final = 256 * 1024  # sealing less than this takes less than a thread costs


async def write(
    s3: Any,
    config: S3EncryptionClientConfig,
    given: Mapping[str, Any],
    body: Any,
    data_key: DataKey,
    *,
    own: OwnParameters,
    callback: Callback | None = None,
) -> dict[str, Any]:
    """Seal `body` under `data_key` and store it. The answer of the last request."""
    parameters = dict(given)
    suite = config.suite_for(own.format)
    metadata = checked_metadata(parameters)
    checks = PlaintextChecks(parameters)
    source = _Source(body, watcher(checks, callback))
    check_length(suite, source.length)
    writing = prepare_write(
        config, data_key, suite, instruction_file=config.instruction_file_config.enable_put_object
    )
    parameters["Metadata"] = metadata | dict(writing.entries)

    first = await _sealed(source, writing.sealer, config.multipart_threshold_bytes)
    if source.ended:
        checks.verify()
        async with awritten_beside(s3, parameters, writing.instruction, own.suffix):
            answer: dict[str, Any] = await s3.put_object(**parameters, Body=first)
        return answer
    created = await s3.create_multipart_upload(**known(s3, "CreateMultipartUpload", parameters))
    upload_id = {"UploadId": created["UploadId"]}
    try:
        named = known(s3, "UploadPart", parameters) | upload_id
        sent = await _send_all(s3, named, first, source, writing.sealer, config=config)
        checks.verify()
        named = known(s3, "CompleteMultipartUpload", parameters) | upload_id
        async with awritten_beside(s3, parameters, writing.instruction, own.suffix):
            completed: dict[str, Any] = await s3.complete_multipart_upload(**named, MultipartUpload={"Parts": sent})
        return completed
    except BaseException as exc:
        try:
            await s3.abort_multipart_upload(**known(s3, "AbortMultipartUpload", parameters), **upload_id)
        except Exception as also:  # noqa: BLE001  # told as a note of the failure that is raised
            exc.add_note(f"the multipart upload could not be aborted either: {also}")
        raise


async def _send_all(
    s3: Any,
    named: Mapping[str, Any],
    first: bytes,
    source: _Source,
    sealer: Sealer,
    *,
    config: S3EncryptionClientConfig,
) -> list[dict[str, Any]]:
    free = asyncio.Semaphore(config.max_concurrency)

    async def send(number: int, part: bytes) -> dict[str, Any]:
        try:
            return part_of(number, await s3.upload_part(**named, PartNumber=number, Body=part))
        finally:
            free.release()

    tasks: list[asyncio.Task[dict[str, Any]]] = []
    try:
        part: bytes | None = first
        while part is not None:
            if len(tasks) == MAX_PARTS:
                raise ObjectTooLargeError("the body needs more than 10,000 parts")
            await free.acquire()
            for task in tasks:
                if task.done():
                    task.result()
            tasks.append(asyncio.create_task(send(len(tasks) + 1, part)))
            part = None if source.ended else await _sealed(source, sealer, config.multipart_chunksize_bytes)
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def _sealed(source: _Source, sealer: Sealer, target: int) -> bytes:
    """The next part: ciphertext of at least `target` bytes of plaintext, or of all that remains."""
    plaintext = await source.read(target)

    def seal() -> bytes:
        sealed = bytearray(sealer.room_bytes(len(plaintext)))
        written = sealer.update_into(plaintext, sealed)
        sealed[written:] = sealer.finalize() if source.ended else b""
        return bytes(sealed)

    return seal() if len(plaintext) <= _INLINE_BYTES else await asyncio.to_thread(seal)


class _Source:
    """Any body, read without blocking the loop."""

    def __init__(self, body: Any, watch: Callable[[memoryview], None]) -> None:
        self.ended = False
        self._ahead = b""  # read already: else a body that fills its last part would need one more
        self._watch = watch
        self._async_pieces: Any = None
        self._sync: Source | None = None
        if hasattr(body, "__aiter__"):
            self._async_pieces = body.__aiter__()
        elif inspect.iscoroutinefunction(getattr(body, "read", None)):
            self._async_pieces = _reads(body)
        else:
            self._sync = Source(body)
        self.length = None if self._sync is None else self._sync.length
        self._in_memory = isinstance(body, bytes | bytearray | memoryview | str)

    async def read(self, target: int) -> bytes:
        """At least `target` bytes, fewer only at the end (`ended`). Raises SourceError."""
        parts, held = [], 0
        piece = self._ahead or await self._watched_piece()
        while piece and held < target:
            parts.append(piece)
            held += len(piece)
            piece = await self._watched_piece()
        self._ahead, self.ended = piece, not piece
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _watched_piece(self) -> bytes:
        piece = await self._piece()
        if piece:
            self._watch(memoryview(piece))
        return piece

    async def _piece(self) -> bytes:
        if self._sync is not None:
            read = self._sync.read
            return bytes(read() if self._in_memory else await asyncio.to_thread(read))
        try:
            while True:
                piece = await anext(self._async_pieces, None)
                if piece is None:
                    return b""
                if piece:
                    return bytes(piece)
        except Exception as exc:
            raise SourceError(f"the body failed while it was read ({type(exc).__name__})") from exc


async def _reads(body: Any) -> Any:
    while piece := await body.read(1024 * 1024):
        yield piece

"""The bound: what a server would cost that did the cryptography, the hashing and the syncs of s3al and nothing else.

Run it as `python bench/bound_server.py --folder DIR --workers N --port P`; `bench/run.py` does. A bare Granian
application with the settings of s3al's workers. Every answer performs, on made-up data, the operations that the same
request to s3al cannot do without: the HMACs of a signature, of wrapped keys and of stream keys, the AEADs over record,
data key and body, the digests of the payload, and for writes a sync that the answer waits for (one thread a worker
writes what waits and syncs once, as a group). No routing, no policy, no database, no XML, no log.
"""

# ruff: noqa: ARG002  (all operations share one signature)

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import os
import queue
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from awscrt import checksums
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, AESGCMSIV
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings

from s3al.crypto.mac import hmac_sha256  # the faster of two: the bound is to be as fast as can be

SEGMENT_BYTES = 128 * 1024
UNIT_BYTES = 1 << 20
GROUP = 64
KEY, NONCE, PLACE, ID = bytes(range(32)), bytes(12), bytes(96), bytes(16)
RECORD_BYTES, HEAD_BYTES = 420, 700
ENTRY_XML_BYTES = 380

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Journal:
    """Writes and syncs what many requests wait for at once."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._queue: queue.SimpleQueue[tuple[bytes, asyncio.Future[None], asyncio.AbstractEventLoop]] = (
            queue.SimpleQueue()
        )
        threading.Thread(target=self._run, daemon=True).start()

    async def durable(self, data: bytes) -> None:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._queue.put((data, done, loop))
        await done

    def _run(self) -> None:
        while True:
            turn = [self._queue.get()]
            while len(turn) < GROUP and not self._queue.empty():
                turn.append(self._queue.get_nowait())
            os.write(self._file, b"".join(data for data, _, _ in turn))
            os.fsync(self._file)
            for _, done, loop in turn:
                loop.call_soon_threadsafe(done.set_result, None)


class Bound:
    """The ASGI application. folder: where sealed files and the journal lie."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._journal = Journal(folder / f"journal-{os.getpid()}")
        self._executor = ThreadPoolExecutor(8)
        self._records = AESGCMSIV(KEY)
        self._record = self._records.encrypt(NONCE, bytes(RECORD_BYTES), PLACE)
        self._wrapped = AESGCM(KEY).encrypt(NONCE, KEY, PLACE)
        self._small = {size: AESGCM(_stream_key()).encrypt(NONCE, bytes(size), b"") for size in (4096, SEGMENT_BYTES)}
        self._signed = os.urandom(HEAD_BYTES)
        self._listing = b"x" * ENTRY_XML_BYTES * 1000

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        _, operation, size = scope["path"].split("/", 2)
        self._signature()
        await getattr(self, f"_{operation}")(int(size.partition("/")[0] or 0), receive, send)

    def _signature(self) -> None:
        digest = hashlib.sha256(self._signed).hexdigest()
        hmac.compare_digest(hmac_sha256(KEY, digest.encode()).hex(), digest)

    def _open_keys(self) -> AESGCM:
        self._records.decrypt(NONCE, self._record, PLACE)
        hmac_sha256(KEY, ID)
        AESGCM(KEY).decrypt(NONCE, self._wrapped, PLACE)
        hmac_sha256(KEY, ID)
        return AESGCM(_stream_key())

    def _seal_keys(self) -> tuple[AESGCM, bytes]:
        wrapped = AESGCM(hmac_sha256(KEY, ID)).encrypt(NONCE, KEY, PLACE)
        hmac_sha256(KEY, ID)
        record = self._records.encrypt(NONCE, bytes(RECORD_BYTES), PLACE)
        private = AESGCMSIV(hmac_sha256(KEY, ID)).encrypt(NONCE, bytes(40), PLACE)
        return AESGCM(_stream_key()), wrapped + record + private

    async def _get(self, size: int, receive: Receive, send: Send) -> None:
        cipher = self._open_keys()
        if size <= 4096:
            await _answer(send, cipher.decrypt(NONCE, self._small[4096], b""))
        else:
            await self._stream_out(size, cipher, send)

    async def _range(self, size: int, receive: Receive, send: Send) -> None:
        cipher = self._open_keys()
        await _answer(send, cipher.decrypt(NONCE, self._small[SEGMENT_BYTES], b"")[:size])

    async def _head(self, size: int, receive: Receive, send: Send) -> None:
        self._records.decrypt(NONCE, self._record, PLACE)
        await _answer(send, b"", announced=size)

    async def _list(self, size: int, receive: Receive, send: Send) -> None:
        for _ in range(size):
            self._records.decrypt(NONCE, self._record, PLACE)
        await _answer(send, self._listing[: ENTRY_XML_BYTES * size])

    async def _delete(self, size: int, receive: Receive, send: Send) -> None:
        await self._journal.durable(self._record)
        await _answer(send, b"", status=204)

    async def _generate(self, size: int, receive: Receive, send: Send) -> None:
        hashlib.sha256(await _whole(receive)).digest()
        blob = AESGCM(hmac_sha256(KEY, ID)).encrypt(NONCE, os.urandom(32), PLACE)
        await _answer(send, (blob * 4)[:320])

    async def _decrypt(self, size: int, receive: Receive, send: Send) -> None:
        hashlib.sha256(await _whole(receive)).digest()
        hmac_sha256(KEY, ID)
        AESGCM(KEY).decrypt(NONCE, self._wrapped, PLACE)
        await _answer(send, (self._wrapped * 4)[:200])

    async def _put(self, size: int, receive: Receive, send: Send) -> None:
        cipher, sealed = self._seal_keys()
        if size <= 4096:
            body = await _whole(receive)
            _digest(body, [hashlib.md5(usedforsecurity=False), hashlib.sha256()])
            await self._journal.durable(sealed + cipher.encrypt(NONCE, body, b""))
        else:
            await self._stream_in(receive, cipher, hashlib.md5(usedforsecurity=False))
            await self._journal.durable(sealed)
        await _answer(send, b"")

    async def _put_without_md5(self, size: int, receive: Receive, send: Send) -> None:
        cipher, sealed = self._seal_keys()
        await self._stream_in(receive, cipher, None)
        await self._journal.durable(sealed)
        await _answer(send, b"")

    async def _stream_in(self, receive: Receive, cipher: AESGCM, md5: Any) -> None:
        loop = asyncio.get_running_loop()
        path = self._folder / f"in-{os.getpid()}-{os.urandom(8).hex()}"
        file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        sealed = bytearray(2 * UNIT_BYTES)  # a unit ends with the piece that filled it
        working: tuple[asyncio.Future[None], ...] = ()
        more = True
        while more:
            pieces, gathered = [], 0
            while more and gathered < UNIT_BYTES:
                message = await receive()
                more = message.get("more_body", False)
                pieces.append(message["body"])
                gathered += len(message["body"])
            unit = b"".join(pieces)
            await asyncio.gather(*working)
            working = (
                loop.run_in_executor(self._executor, _digest, unit, [md5] if md5 else []),
                loop.run_in_executor(self._executor, _seal_to, file, cipher, unit, sealed),
            )
        await asyncio.gather(*working)
        await loop.run_in_executor(self._executor, self._finish, file)  # the file stays: memory given back is cheaper

    def _finish(self, file: int) -> None:
        os.fsync(file)
        os.close(file)
        folder = os.open(self._folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)

    async def _stream_out(self, size: int, cipher: AESGCM, send: Send) -> None:
        loop = asyncio.get_running_loop()
        file = os.open(await loop.run_in_executor(self._executor, self._sealed_file, size), os.O_RDONLY)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
        ahead = loop.run_in_executor(self._executor, _open_from, file, cipher, 0, size)
        for offset in range(0, size, UNIT_BYTES):
            pieces = await ahead
            if offset + UNIT_BYTES < size:
                ahead = loop.run_in_executor(self._executor, _open_from, file, cipher, offset + UNIT_BYTES, size)
            for index, piece in enumerate(pieces):
                more = offset + (index + 1) * SEGMENT_BYTES < size
                await send({"type": "http.response.body", "body": piece, "more_body": more})
        os.close(file)

    def _sealed_file(self, size: int) -> Path:
        path = self._folder / f"sealed-{size}"
        if not path.exists():
            segment = AESGCM(_stream_key()).encrypt(NONCE, bytes(SEGMENT_BYTES), b"")
            new = path.with_suffix(f".{os.urandom(8).hex()}")
            new.write_bytes(segment * (size // SEGMENT_BYTES))
            new.rename(path)
        return path


def _stream_key() -> bytes:
    hmac_sha256(KEY, ID)
    hmac_sha256(KEY, ID)
    return hmac_sha256(KEY, ID)


def _digest(data: bytes, hashes: list[Any]) -> None:
    checksums.crc64nvme(data, 0)
    for each in hashes:
        each.update(data)


def _seal_to(file: int, cipher: AESGCM, unit: bytes, sealed: bytearray) -> None:
    view, target, end = memoryview(unit), memoryview(sealed), 0
    for offset in range(0, len(unit), SEGMENT_BYTES):
        segment = view[offset : offset + SEGMENT_BYTES]
        end += cipher.encrypt_into(NONCE, segment, b"", target[end : end + len(segment) + 16])
    os.write(file, target[:end])


def _open_from(file: int, cipher: AESGCM, offset: int, size: int) -> list[bytes]:
    segment = SEGMENT_BYTES + 16
    count = min(UNIT_BYTES, size - offset) // SEGMENT_BYTES
    sealed = memoryview(os.pread(file, segment * count, offset // SEGMENT_BYTES * segment))
    return [cipher.decrypt(NONCE, sealed[i * segment : (i + 1) * segment], b"") for i in range(count)]


async def _whole(receive: Receive) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _answer(send: Send, body: bytes, *, status: int = 200, announced: int | None = None) -> None:
    headers = [(b"content-type", b"binary/octet-stream"), (b"etag", b'"0123456789abcdef0123456789abcdef"')]
    if status != 204:
        headers.append((b"content-length", b"%d" % (len(body) if announced is None else announced)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    server = Granian(
        "bound",
        address="127.0.0.1",
        port=options.port,
        interface=Interfaces.ASGI,
        workers=options.workers,
        runtime_mode=RuntimeModes.mt,
        loop=Loops.asyncio,
        http=HTTPModes.http1,
        websockets=False,
        backlog=2048,
        backpressure=1024,
        http1_settings=HTTP1Settings(header_read_timeout=30_000, max_buffer_size=8192 + 4096 * 100),
        log_enabled=False,
    )
    server.serve(target_loader=lambda _: Bound(options.folder))


if __name__ == "__main__":
    main()

"""`AsyncS3EncryptionClient`: the same client on aiobotocore (extra `async`).

What lives here: the methods that wait. What does not: formats, keyrings and decisions, which are the sync client's.

Laws: nothing blocks the loop: keyrings that go over a network and sealing of large pieces run in threads. The rules of
release are the same: nothing before it is authenticated, spooled as ciphertext, unless that is chosen.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, Self

from botocore.exceptions import ClientError

from s3al.client.config import S3EncryptionClientConfig
from s3al.client.errors import ClientConfigError
from s3al.client.formats import content
from s3al.client.formats.content import Opener
from s3al.client.formats.envelope import Envelope
from s3al.client.formats.ranges import STREAM_HEADER_BYTES, parse_range
from s3al.client.formats.suites import AlgorithmSuite
from s3al.client.formats.text import MAX_INSTRUCTION_FILE_BYTES
from s3al.client.keyrings.cache import CachingKeyring
from s3al.client.keyrings.port import DataKey
from s3al.client.transfer import aio_uploads
from s3al.client.transfer.downloads import check_ranges, not_satisfiable, reader_of
from s3al.client.transfer.envelopes import envelope_of, without_instruction_file, wrapped_key_of
from s3al.client.transfer.parameters import (
    OwnParameters,
    for_further_gets,
    for_instruction_file,
    of_plaintext,
    take_own,
)
from s3al.client.transfer.spool import Spool

_CHUNK_BYTES: Final = 1024 * 1024


class AsyncDecryptedBody:
    """The plaintext of one object: `await read()`, `async for` chunks, `async with`."""

    def __init__(self, pieces: AsyncIterator[bytes], close: Callable[[], Any]) -> None:
        self._pieces = pieces
        self._close = close
        self._held = b""

    async def read(self, amt: int | None = None) -> bytes:
        """At most `amt` bytes, all by default; fewer only at the end. Raises DecryptionError."""
        parts, missing = [self._held], None if amt is None or amt < 0 else amt - len(self._held)
        self._held = b""
        while missing is None or missing > 0:
            piece = await anext(self._pieces, None)
            if piece is None:
                break
            parts.append(piece)
            missing = None if missing is None else missing - len(piece)
        whole = b"".join(parts)
        if amt is not None and amt >= 0:
            whole, self._held = whole[:amt], whole[amt:]
        return whole

    async def iter_chunks(self, chunk_size: int = _CHUNK_BYTES) -> AsyncIterator[bytes]:
        while piece := await self.read(chunk_size):
            yield piece

    def close(self) -> None:
        self._held = b""
        self._close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


class AsyncS3EncryptionClient:
    """As `S3EncryptionClient`, over a client of aiobotocore."""

    def __init__(self, client: Any, config: S3EncryptionClientConfig) -> None:
        self.wrapped_s3_client = client
        self.config = config

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{name} is not offered by the async client; use wrapped_s3_client for ciphertext")

    async def put_object(self, **parameters: Any) -> dict[str, Any]:
        """Bodies: bytes, files, iterables, async iterables, objects with an async read()."""
        body = parameters.pop("Body", b"")
        own = take_own(self.config, parameters)
        suite = self.config.suite_for(own.format)
        data_key = await self._data_key(suite, own)
        return await aio_uploads.write(self.wrapped_s3_client, self.config, parameters, body, data_key, own=own)

    async def upload_fileobj(
        self, Fileobj: Any, Bucket: str, Key: str, ExtraArgs: Mapping[str, Any] | None = None  # noqa: N803
    ) -> None:
        await self.put_object(**(ExtraArgs or {}), Bucket=Bucket, Key=Key, Body=Fileobj)

    async def download_fileobj(
        self, Bucket: str, Key: str, Fileobj: Any, ExtraArgs: Mapping[str, Any] | None = None  # noqa: N803
    ) -> None:
        opened = await self.get_object(**(ExtraArgs or {}), Bucket=Bucket, Key=Key)
        async with opened["Body"] as body:
            async for chunk in body.iter_chunks():
                await asyncio.to_thread(Fileobj.write, chunk)

    async def head_object(self, **parameters: Any) -> dict[str, Any]:
        own = take_own(self.config, parameters)
        answer = await self.wrapped_s3_client.head_object(**parameters)
        envelope = await self._envelope(parameters, own, answer.get("Metadata") or {})
        return of_plaintext(answer, envelope, answer["ContentLength"])

    async def delete_object(self, **parameters: Any) -> dict[str, Any]:
        own = take_own(self.config, parameters)
        answer: dict[str, Any] = await self.wrapped_s3_client.delete_object(**parameters)
        if not self.config.instruction_file_config.disable_delete_object and "VersionId" not in parameters:
            beside = for_instruction_file(self.wrapped_s3_client, "DeleteObject", parameters, own.suffix)
            await self.wrapped_s3_client.delete_object(**beside)
        return answer

    async def get_object(self, **parameters: Any) -> dict[str, Any]:
        own = take_own(self.config, parameters)
        if "PartNumber" in parameters:
            raise ClientConfigError("parts of an encrypted object cannot be read by number", advice="Use Range.")
        if "Range" in parameters:
            return await self._get_range(parameters, own)
        answer = await self.wrapped_s3_client.get_object(**parameters)
        source = answer["Body"]
        try:
            envelope = await self._envelope(parameters, own, answer.get("Metadata") or {})
            data_key = await self._opened_key(envelope, own)
            opener = content.opener(envelope, data_key)
            length = answer["ContentLength"]
            if opener.authenticates_chunks or self.config.enable_delayed_authentication:
                pieces = _as_it_comes(source, opener)
            else:
                pieces = _when_authenticated(
                    source, lambda: content.opener(envelope, data_key), self.config.spool_memory_bytes, length
                )
            shown = of_plaintext(answer, envelope, length)
        except BaseException:
            source.close()
            raise
        return shown | {"Body": AsyncDecryptedBody(pieces, source.close)}

    async def _get_range(self, parameters: dict[str, Any], own: OwnParameters) -> dict[str, Any]:
        """The range's segments are fetched and opened at once."""
        header_range = parameters.pop("Range")
        first = {**parameters, "Range": f"bytes=0-{STREAM_HEADER_BYTES - 1}"}
        answer = await self.wrapped_s3_client.get_object(**first)
        header = await answer["Body"].read()
        envelope = await self._envelope(parameters, own, answer.get("Metadata") or {})
        check_ranges(self.config, envelope)
        data_key = await self._opened_key(envelope, own)
        reader = reader_of(answer, header, envelope, data_key, lambda _start, _end: None)
        wanted = parse_range(header_range, reader.length)
        if wanted is None:
            raise not_satisfiable(reader.length)
        start, end = reader.span_of(wanted)
        more = for_further_gets(parameters, answer) | {"Range": f"bytes={start}-{end - 1}"}
        fetched = await self.wrapped_s3_client.get_object(**more)
        plaintext = reader.open_span(wanted, await fetched["Body"].read())
        body = AsyncDecryptedBody(_once(plaintext), lambda: None)
        place = f"bytes {wanted.start}-{wanted.end - 1}/{reader.length}"
        return {**reader.answer, "ContentLength": wanted.length, "ContentRange": place, "Body": body}

    async def _envelope(
        self, parameters: Mapping[str, Any], own: OwnParameters, metadata: Mapping[str, str]
    ) -> Envelope:
        envelope = envelope_of(self.config, metadata)
        if envelope is not None:
            return envelope
        request = for_instruction_file(self.wrapped_s3_client, "GetObject", parameters, own.suffix)
        try:
            answer = await self.wrapped_s3_client.get_object(**request)
        except ClientError as exc:
            if exc.response.get("Error", {}).get("Code") in {"NoSuchKey", "404"}:
                raise without_instruction_file() from None
            raise
        if answer["ContentLength"] > MAX_INSTRUCTION_FILE_BYTES:
            answer["Body"].close()
            raise without_instruction_file()
        found = envelope_of(self.config, metadata, await answer["Body"].read())
        assert found is not None
        return found

    async def _data_key(self, suite: AlgorithmSuite, own: OwnParameters) -> DataKey:
        keyring = self.config.keyring
        cached = isinstance(keyring, CachingKeyring) and keyring.holds(suite, None, own.context)
        if cached or not keyring.waits:
            return keyring.generate(suite, own.context)
        return await asyncio.to_thread(keyring.generate, suite, own.context)

    async def _opened_key(self, envelope: Envelope, own: OwnParameters) -> bytes:
        keyring, wrapped = self.config.keyring, wrapped_key_of(envelope)
        cached = isinstance(keyring, CachingKeyring) and keyring.holds(envelope.suite, wrapped, own.context)
        if cached or not keyring.waits:
            return keyring.unwrap(envelope.suite, wrapped, own.context)
        return await asyncio.to_thread(keyring.unwrap, envelope.suite, wrapped, own.context)


async def _once(plaintext: bytes) -> AsyncIterator[bytes]:
    yield plaintext


async def _as_it_comes(source: Any, opener: Opener) -> AsyncIterator[bytes]:
    try:
        while chunk := await source.read(_CHUNK_BYTES):
            if plain := opener.update(chunk):
                yield plain
        if plain := opener.finalize():
            yield plain
    finally:
        source.close()


async def _when_authenticated(
    source: Any, make_opener: Callable[[], Opener], memory_bytes: int, length: int
) -> AsyncIterator[bytes]:
    if length <= memory_bytes:
        opener = make_opener()
        ciphertext = await source.read()
        yield opener.update(ciphertext) + opener.finalize()
        return
    with Spool(memory_bytes) as spool:
        opener = make_opener()
        try:
            while chunk := await source.read(_CHUNK_BYTES):
                await asyncio.to_thread(spool.write, chunk)
                opener.update(chunk)
            opener.finalize()
        finally:
            source.close()
        opener, at = make_opener(), 0
        while chunk := await asyncio.to_thread(spool.read, at, _CHUNK_BYTES):
            at += len(chunk)
            yield opener.update(chunk)
        yield opener.finalize()

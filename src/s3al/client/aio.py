"""`AsyncS3EncryptionClient`: the same client on aiobotocore (extra `async`).

What lives here: the methods that wait. What does not: formats, keyrings and decisions, which are the sync client's.

Laws: nothing blocks the loop: keyrings that go over a network and sealing of large pieces run in threads. The rules of
release are the same: nothing before it is authenticated, spooled as ciphertext, unless that is chosen.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from s3al.client.config import S3EncryptionClientConfig
from s3al.client.errors import ClientConfigError
from s3al.client.formats import content
from s3al.client.formats.content import Opener
from s3al.client.formats.envelope import Envelope
from s3al.client.formats.ranges import parse_range
from s3al.client.formats.suites import AlgorithmSuite
from s3al.client.formats.text import MAX_INSTRUCTION_FILE_BYTES
from s3al.client.keyrings.cache import CachingKeyring
from s3al.client.keyrings.port import DataKey, Keyring
from s3al.client.sync import LISTS, as_upload_failed, refuse, refuse_presigned
from s3al.client.transfer import aio_uploads, deleting, presigned, rekeying
from s3al.client.transfer.aio_bodies import AsyncDecryptedBody, as_it_comes, once, read_in_threads, when_authenticated
from s3al.client.transfer.bridge import Blocking, in_thread
from s3al.client.transfer.downloads import (
    FIRST_BYTES,
    check_ranges,
    is_empty,
    not_satisfiable,
    reader_of,
    refuse_partial_head,
)
from s3al.client.transfer.envelopes import envelope_of, without_instruction_file, wrapped_key_of
from s3al.client.transfer.files import whole_file
from s3al.client.transfer.instruction_files import is_missing
from s3al.client.transfer.listing import with_plaintext_lengths
from s3al.client.transfer.multipart import LowLevelMultipart
from s3al.client.transfer.parameters import (
    OwnParameters,
    for_further_gets,
    for_instruction_file,
    of_plaintext,
    take_own,
    with_transfer_config,
)
from s3al.client.transfer.uploads import Callback

T = TypeVar("T")

class _Beside:
    """The operations that are worth no second writing: the sync client's code, in a thread beside the loop."""

    wrapped_s3_client: Any
    config: S3EncryptionClientConfig
    _multipart: LowLevelMultipart

    async def delete_object(self, **parameters: Any) -> dict[str, Any]:
        own = take_own(self.config, parameters)
        answer: dict[str, Any] = await self.wrapped_s3_client.delete_object(**parameters)
        if not self.config.instruction_file_config.disable_delete_object and "VersionId" not in parameters:
            beside = for_instruction_file(self.wrapped_s3_client, "DeleteObject", parameters, own.suffix)
            await self.wrapped_s3_client.delete_object(**beside)
        return answer

    async def delete_objects(self, **parameters: Any) -> dict[str, Any]:
        return await self._beside(deleting.delete_objects, parameters)

    async def list_objects_v2(self, **parameters: Any) -> dict[str, Any]:
        """ListObjectsV2 with lengths of plaintext."""
        answer = await self.wrapped_s3_client.list_objects_v2(**parameters)
        return await self._beside(with_plaintext_lengths, parameters, answer)

    async def list_objects(self, **parameters: Any) -> dict[str, Any]:
        """ListObjects with lengths of plaintext."""
        answer = await self.wrapped_s3_client.list_objects(**parameters)
        return await self._beside(with_plaintext_lengths, parameters, answer)

    def get_paginator(self, operation_name: str) -> Any:
        pages = self.wrapped_s3_client.get_paginator(operation_name)
        return _AsyncPaginator(self, pages) if operation_name in LISTS else pages

    async def copy_object(self, **parameters: Any) -> dict[str, Any]:
        """CopyObject on the server, under the same key; `copy` re-encrypts."""
        return await self._beside(rekeying.copy_object, parameters)

    async def copy(
        self,
        CopySource: Any,  # noqa: N803
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        ExtraArgs: Mapping[str, Any] | None = None,  # noqa: N803
        Callback: Callback | None = None,  # noqa: N803
        *,
        SourceClient: Any = None,  # noqa: N803
        Config: Any = None,  # noqa: N803
    ) -> None:
        """As the sync client's: opened and sealed anew under this client's writing key."""
        source, reading = SourceClient or self.wrapped_s3_client, self.config
        if isinstance(SourceClient, AsyncS3EncryptionClient):
            source, reading = SourceClient.wrapped_s3_client, SourceClient.config
        from_s3 = Blocking(source, asyncio.get_running_loop())
        target = {**(ExtraArgs or {}), "Bucket": Bucket, "Key": Key}

        def work(s3: Blocking) -> None:
            writing = with_transfer_config(self.config, Config)
            rekeying.copy_between_keys(
                from_s3, s3, writing, CopySource, target, reading=reading, callback=Callback
            )

        await in_thread(self.wrapped_s3_client, work, also=from_s3)

    async def reencrypt_instruction_file(
        self, keyring: Keyring, *, instruction_file_suffix: str | None = None, **parameters: Any
    ) -> None:
        """Wrap the object's data key with `keyring` in its instruction file; the object is not touched."""
        await self._beside(rekeying.rewrap_instruction_file, parameters, keyring, suffix=instruction_file_suffix)

    async def create_multipart_upload(self, **parameters: Any) -> dict[str, Any]:
        """As boto3; the parts must be uploaded in order by this client."""
        return await self._uploads_beside(LowLevelMultipart.create, parameters)

    async def upload_part(self, **parameters: Any) -> dict[str, Any]:
        """As boto3; IsLastPart=True ends the object with this part, otherwise completing does."""
        return await self._uploads_beside(LowLevelMultipart.upload_part, parameters)

    async def complete_multipart_upload(self, **parameters: Any) -> dict[str, Any]:
        return await self._uploads_beside(LowLevelMultipart.complete, parameters)

    async def abort_multipart_upload(self, **parameters: Any) -> dict[str, Any]:
        return await self._uploads_beside(LowLevelMultipart.abort, parameters)

    async def generate_presigned_url(self, ClientMethod: str, **parameters: Any) -> str:  # noqa: N803
        """As boto3, of what carries no plaintext."""
        refuse_presigned(ClientMethod)
        url: str = await self.wrapped_s3_client.generate_presigned_url(ClientMethod, **parameters)
        return url

    async def get_presigned(
        self,
        url: str,
        *,
        instruction_file_url: str | None = None,
        EncryptionContext: Mapping[str, str] | None = None,  # noqa: N803
        verify: bool | str = True,
    ) -> dict[str, Any]:
        """Fetch a presigned GET URL and open it."""
        answer = await asyncio.to_thread(
            presigned.read, self.config, url, instruction_file_url=instruction_file_url, context=EncryptionContext,
            verify=verify,
        )  # fmt: skip
        source = answer["Body"]
        return answer | {"Body": AsyncDecryptedBody(read_in_threads(source), source.close)}

    async def _uploads_beside(self, work: Callable[..., dict[str, Any]], parameters: dict[str, Any]) -> dict[str, Any]:
        def run(s3: Blocking) -> dict[str, Any]:
            return work(self._multipart.through(s3), parameters)

        return await in_thread(self.wrapped_s3_client, run)

    async def _beside(self, work: Callable[..., T], *arguments: Any, **named: Any) -> T:
        return await in_thread(self.wrapped_s3_client, work, self.config, *arguments, **named)


class AsyncS3EncryptionClient(_Beside):
    """As `S3EncryptionClient`, over a client of aiobotocore."""

    def __init__(self, client: Any, config: S3EncryptionClientConfig) -> None:
        if isinstance(client, AsyncS3EncryptionClient):
            raise ClientConfigError("the client encrypts already", advice="Give the plain aiobotocore client.")
        self.wrapped_s3_client = client
        self.config = config
        self._multipart = LowLevelMultipart(client, config)

    def __getattr__(self, name: str) -> Any:
        refuse(name)
        if name.startswith("__") or "wrapped_s3_client" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.wrapped_s3_client, name)

    async def put_object(self, **parameters: Any) -> dict[str, Any]:
        """Bodies: bytes, files, iterables, async iterables, objects with an async read()."""
        return await self._put(self.config, parameters)

    async def _put(
        self, config: S3EncryptionClientConfig, parameters: dict[str, Any], callback: Callback | None = None
    ) -> dict[str, Any]:
        body = parameters.pop("Body", b"")
        own = take_own(config, parameters)
        suite = config.suite_for(own.format)
        data_key = await self._data_key(suite, own)
        return await aio_uploads.write(
            self.wrapped_s3_client, config, parameters, body, data_key, own=own, callback=callback
        )

    async def upload_fileobj(
        self,
        Fileobj: Any,  # noqa: N803
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        ExtraArgs: Mapping[str, Any] | None = None,  # noqa: N803
        Callback: Callback | None = None,  # noqa: N803
        *,
        Config: Any = None,  # noqa: N803
    ) -> None:
        """As boto3, of any body."""
        named = {**(ExtraArgs or {}), "Bucket": Bucket, "Key": Key, "Body": Fileobj}
        await self._put(with_transfer_config(self.config, Config), named, Callback)

    async def upload_file(
        self,
        Filename: str | os.PathLike[str],  # noqa: N803
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        ExtraArgs: Mapping[str, Any] | None = None,  # noqa: N803
        Callback: Callback | None = None,  # noqa: N803
        *,
        Config: Any = None,  # noqa: N803
    ) -> None:
        """As boto3."""
        with await asyncio.to_thread(open, Filename, "rb", 0) as body, as_upload_failed(Filename, Bucket, Key):
            await self.upload_fileobj(body, Bucket, Key, ExtraArgs, Callback, Config=Config)

    async def download_fileobj(
        self,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        Fileobj: Any,  # noqa: N803
        ExtraArgs: Mapping[str, Any] | None = None,  # noqa: N803
        Callback: Callback | None = None,  # noqa: N803
        *,
        Config: Any = None,  # noqa: ARG002, N803  # one GET: it has nothing to set
    ) -> None:
        """As boto3."""
        opened = await self.get_object(**(ExtraArgs or {}), Bucket=Bucket, Key=Key)
        async with opened["Body"] as body:
            async for chunk in body.iter_chunks():
                await asyncio.to_thread(Fileobj.write, chunk)
                if Callback is not None:
                    Callback(len(chunk))

    async def download_file(
        self,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        Filename: str | os.PathLike[str],  # noqa: N803
        ExtraArgs: Mapping[str, Any] | None = None,  # noqa: N803
        Callback: Callback | None = None,  # noqa: N803
        *,
        Config: Any = None,  # noqa: N803
    ) -> None:
        """As boto3. The file appears only when the whole object was authenticated."""
        with whole_file(Filename) as file:
            await self.download_fileobj(Bucket, Key, file, ExtraArgs, Callback, Config=Config)

    async def head_object(self, **parameters: Any) -> dict[str, Any]:
        own = take_own(self.config, parameters)
        refuse_partial_head(parameters)
        answer = await self.wrapped_s3_client.head_object(**parameters)
        envelope = await self._envelope(parameters, own, answer.get("Metadata") or {})
        return of_plaintext(answer, envelope, answer["ContentLength"])

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
            length = answer["ContentLength"]

            def make_opener() -> Opener:
                return content.opener(envelope, data_key, ciphertext_bytes=length)

            opener = make_opener()
            if opener.authenticates_chunks or self.config.enable_delayed_authentication:
                pieces = as_it_comes(source, opener)
            else:
                pieces = when_authenticated(source, opener, make_opener, self.config.spool_memory_bytes, length)
            shown = of_plaintext(answer, envelope, length)
        except BaseException:
            source.close()
            raise
        return shown | {"Body": AsyncDecryptedBody(pieces, source.close)}

    async def _get_range(self, parameters: dict[str, Any], own: OwnParameters) -> dict[str, Any]:
        """The range's segments are fetched and opened at once."""
        header_range = parameters.pop("Range")
        try:
            answer = await self.wrapped_s3_client.get_object(**parameters, **FIRST_BYTES)
        except ClientError as exc:
            if not is_empty(exc):
                raise
            answer = await self.wrapped_s3_client.get_object(**parameters)
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
        body = AsyncDecryptedBody(once(plaintext), lambda: None)
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
            if is_missing(exc):
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


class _AsyncPaginator:
    """aiobotocore's paginator of a list, its pages turned."""

    def __init__(self, client: _Beside, pages: Any) -> None:
        self._client = client
        self._pages = pages

    async def paginate(self, **given: Any) -> AsyncIterator[dict[str, Any]]:
        plain, config = self._client.wrapped_s3_client, self._client.config
        async for page in self._pages.paginate(**given):
            yield await in_thread(plain, with_plaintext_lengths, config, given, page)

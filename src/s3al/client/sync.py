"""`S3EncryptionClient`: boto3's S3 client, for objects that are encrypted before they leave.

What lives here: the methods, with boto3's signatures. What does not: how any of it works (formats, keyrings, transfer).

Laws: the caller's client is used, never altered. What would send plaintext past us, or cannot be true of encrypted
objects, is refused by name; every other operation of the client passes through unchanged.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from boto3.exceptions import S3UploadFailedError
from botocore.exceptions import ClientError

from s3al.client.config import S3EncryptionClientConfig
from s3al.client.errors import ClientConfigError
from s3al.client.keyrings.port import Keyring
from s3al.client.transfer import deleting, downloads, files, presigned, rekeying, uploads
from s3al.client.transfer.listing import PlaintextPaginator, with_plaintext_lengths
from s3al.client.transfer.multipart import LowLevelMultipart
from s3al.client.transfer.parameters import with_transfer_config
from s3al.client.transfer.uploads import Callback

REFUSED: Final = {
    "upload_part_copy": "ciphertext of one object is no part of another",
    "select_object_content": "S3 cannot query what it cannot read",
    "get_object_torrent": "a torrent would give ciphertext to many",
    "generate_presigned_post": "a form would upload plaintext",
    "append_object": "an encrypted object cannot be appended to",
    "rename_object": "an instruction file would stay behind",
    "write_get_object_response": "it belongs to functions that run beside S3",
}
LISTS: Final = frozenset({"list_objects", "list_objects_v2"})


def refuse(name: str) -> None:
    """Raises ClientConfigError for operations that encrypted objects cannot have."""
    if name in REFUSED:
        raise ClientConfigError(f"{name} is not possible with encrypted objects: {REFUSED[name]}")


@contextmanager
def as_upload_failed(filename: str | os.PathLike[str], bucket: str, key: str) -> Iterator[None]:
    """boto3's upload_file tells S3's refusals as S3UploadFailedError."""
    try:
        yield
    except ClientError as exc:
        raise S3UploadFailedError(f"Failed to upload {filename} to {bucket}/{key}: {exc}") from exc


def refuse_presigned(client_method: str) -> None:
    """Raises ClientConfigError for what would carry plaintext."""
    if client_method in {"put_object", "upload_part"}:
        raise ClientConfigError("a presigned upload would send plaintext")


class S3EncryptionClient:
    """Objects in and out of S3, encrypted here. client: of boto3, for s3al's server, AWS's, or any other."""

    def __init__(self, client: Any, config: S3EncryptionClientConfig) -> None:
        if isinstance(client, S3EncryptionClient):
            raise ClientConfigError("the client encrypts already", advice="Give the plain boto3 client.")
        self.wrapped_s3_client = client
        self.config = config
        self._multipart = LowLevelMultipart(client, config)

    def __getattr__(self, name: str) -> Any:
        refuse(name)
        if name.startswith("__") or "wrapped_s3_client" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.wrapped_s3_client, name)

    def put_object(self, **parameters: Any) -> dict[str, Any]:
        """PutObject of any body, sealed; also EncryptionContext=, format='stream', InstructionFileSuffix=."""
        body = parameters.pop("Body", b"")
        return uploads.write(self.wrapped_s3_client, self.config, parameters, body)

    def get_object(self, **parameters: Any) -> dict[str, Any]:
        """GetObject, opened; also EncryptionContext=, InstructionFileSuffix=. Range: see docs/client.md."""
        return downloads.read(self.wrapped_s3_client, self.config, parameters)

    def head_object(self, **parameters: Any) -> dict[str, Any]:
        """HeadObject as it is for the plaintext."""
        return downloads.head(self.wrapped_s3_client, self.config, parameters)

    def list_objects_v2(self, **parameters: Any) -> dict[str, Any]:
        """ListObjectsV2 with lengths of plaintext (`config.list_plaintext_lengths`)."""
        answer = self.wrapped_s3_client.list_objects_v2(**parameters)
        return with_plaintext_lengths(self.wrapped_s3_client, self.config, parameters, answer)

    def list_objects(self, **parameters: Any) -> dict[str, Any]:
        """ListObjects with lengths of plaintext."""
        answer = self.wrapped_s3_client.list_objects(**parameters)
        return with_plaintext_lengths(self.wrapped_s3_client, self.config, parameters, answer)

    def get_paginator(self, operation_name: str) -> Any:
        if operation_name in LISTS:
            return PlaintextPaginator(self.wrapped_s3_client, self.config, operation_name)
        return self.wrapped_s3_client.get_paginator(operation_name)

    def delete_object(self, **parameters: Any) -> dict[str, Any]:
        """DeleteObject, and the instruction file beside it."""
        return deleting.delete_object(self.wrapped_s3_client, self.config, parameters)

    def delete_objects(self, **parameters: Any) -> dict[str, Any]:
        """DeleteObjects, and the instruction files beside them."""
        return deleting.delete_objects(self.wrapped_s3_client, self.config, parameters)

    def copy_object(self, **parameters: Any) -> dict[str, Any]:
        """CopyObject on the server, under the same key; `copy` re-encrypts."""
        return rekeying.copy_object(self.wrapped_s3_client, self.config, parameters)

    def copy(
        self,
        CopySource: Any,  # noqa: N803  # boto3's name
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        ExtraArgs: dict[str, Any] | None = None,  # noqa: N803
        Callback: Callback | None = None,  # noqa: N803
        *,
        SourceClient: Any = None,  # noqa: N803
        Config: Any = None,  # noqa: N803
    ) -> None:
        """As boto3, but opened and sealed anew under this client's writing key. SourceClient: may encrypt too."""
        source, reading = self.wrapped_s3_client, self.config
        if isinstance(SourceClient, S3EncryptionClient):
            source, reading = SourceClient.wrapped_s3_client, SourceClient.config
        elif SourceClient is not None:
            source = SourceClient
        target = {**(ExtraArgs or {}), "Bucket": Bucket, "Key": Key}
        writing = with_transfer_config(self.config, Config)
        rekeying.copy_between_keys(
            source, self.wrapped_s3_client, writing, CopySource, target, reading=reading, callback=Callback
        )

    def reencrypt_instruction_file(
        self, keyring: Keyring, *, instruction_file_suffix: str | None = None, **parameters: Any
    ) -> None:
        """Wrap the object's data key with `keyring` in its instruction file; the object is not touched."""
        rekeying.rewrap_instruction_file(
            self.wrapped_s3_client, self.config, parameters, keyring, suffix=instruction_file_suffix
        )

    def create_multipart_upload(self, **parameters: Any) -> dict[str, Any]:
        """As boto3; the parts must be uploaded in order by this client."""
        return self._multipart.create(parameters)

    def upload_part(self, **parameters: Any) -> dict[str, Any]:
        """As boto3; IsLastPart=True ends the object with this part, otherwise completing does."""
        return self._multipart.upload_part(parameters)

    def complete_multipart_upload(self, **parameters: Any) -> dict[str, Any]:
        return self._multipart.complete(parameters)

    def abort_multipart_upload(self, **parameters: Any) -> dict[str, Any]:
        return self._multipart.abort(parameters)

    def upload_file(
        self,
        Filename: str | os.PathLike[str],  # noqa: N803
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        ExtraArgs: dict[str, Any] | None = None,  # noqa: N803
        Callback: Callback | None = None,  # noqa: N803
        *,
        Config: Any = None,  # noqa: N803
    ) -> None:
        """As boto3. Callback gets bytes of plaintext."""
        with open(Filename, "rb", buffering=0) as body, as_upload_failed(Filename, Bucket, Key):
            self.upload_fileobj(body, Bucket, Key, ExtraArgs, Callback, Config=Config)

    def upload_fileobj(
        self,
        Fileobj: Any,  # noqa: N803
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        ExtraArgs: dict[str, Any] | None = None,  # noqa: N803
        Callback: Callback | None = None,  # noqa: N803
        *,
        Config: Any = None,  # noqa: N803
    ) -> None:
        """As boto3, of files, pipes, sockets and generators."""
        named = {**(ExtraArgs or {}), "Bucket": Bucket, "Key": Key}
        files.upload_fileobj(
            self.wrapped_s3_client, self.config, Fileobj, named, callback=Callback, transfer=Config
        )

    def download_file(
        self,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        Filename: str | os.PathLike[str],  # noqa: N803
        ExtraArgs: dict[str, Any] | None = None,  # noqa: N803
        Callback: Callback | None = None,  # noqa: N803
        *,
        Config: Any = None,  # noqa: N803
    ) -> None:
        """As boto3. The file appears only when the whole object was authenticated."""
        named = {**(ExtraArgs or {}), "Bucket": Bucket, "Key": Key}
        files.download_file(
            self.wrapped_s3_client, self.config, Filename, named, callback=Callback, transfer=Config
        )

    def download_fileobj(
        self,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        Fileobj: Any,  # noqa: N803
        ExtraArgs: dict[str, Any] | None = None,  # noqa: N803
        Callback: Callback | None = None,  # noqa: N803
        *,
        Config: Any = None,  # noqa: N803
    ) -> None:
        """As boto3."""
        named = {**(ExtraArgs or {}), "Bucket": Bucket, "Key": Key}
        files.download_fileobj(
            self.wrapped_s3_client, self.config, Fileobj, named, callback=Callback, transfer=Config
        )

    def generate_presigned_url(self, ClientMethod: str, **parameters: Any) -> str:  # noqa: N803
        """As boto3, of what carries no plaintext: a URL for get_object gives ciphertext; `get_presigned` opens it."""
        refuse_presigned(ClientMethod)
        url: str = self.wrapped_s3_client.generate_presigned_url(ClientMethod, **parameters)
        return url

    def get_presigned(
        self,
        url: str,
        *,
        instruction_file_url: str | None = None,
        EncryptionContext: dict[str, str] | None = None,  # noqa: N803
        verify: bool | str = True,
    ) -> dict[str, Any]:
        """Fetch a presigned GET URL and open it: Body, Metadata, ContentLength. No credentials for S3 are needed.

        verify: as boto3's: True, False, or a file of CA certificates.
        """
        return presigned.read(
            self.config, url, instruction_file_url=instruction_file_url, context=EncryptionContext, verify=verify
        )

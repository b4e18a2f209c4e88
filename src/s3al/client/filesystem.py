"""`s3al://`: client-side encrypted objects as an fsspec filesystem (extra `fsspec`).

What lives here: the filesystem and its files. What does not: encryption (formats) and requests (transfer).

Laws: what is written is of the stream format, so that every ranged read of it is authenticated, segment by segment; on
opening, the last segment is read too, which proves the length. V1, V2 and V3 objects are fetched and authenticated
whole before a byte of them is given, spooled as ciphertext. A file left by an exception is not stored.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

import boto3
from botocore.exceptions import ClientError
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from s3al.client.config import S3EncryptionClientConfig
from s3al.client.errors import ClientConfigError, S3EncryptionClientSecurityError
from s3al.client.formats import content
from s3al.client.formats.envelope import Envelope
from s3al.client.formats.ranges import PlainRange, open_unauthenticated, unauthenticated_span
from s3al.client.formats.suites import STREAM, CommitmentPolicy
from s3al.client.key_option import keyring_of
from s3al.client.keyrings.port import Keyring
from s3al.client.sync import S3EncryptionClient
from s3al.client.transfer.downloads import RangeReader, find_envelope, first_bytes, reader_of
from s3al.client.transfer.envelopes import wrapped_key_of
from s3al.client.transfer.listing import with_plaintext_lengths
from s3al.client.transfer.parameters import for_further_gets, take_own, total_bytes
from s3al.client.transfer.spool import Spool

_BLOCK_BYTES = 8 * 1024 * 1024
_MISSING = frozenset({"404", "NoSuchKey", "NotFound", "NoSuchBucket"})


class S3alFileSystem(AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """storage_options: `key` ("kms:ARN", "aes:FILE", "rsa:FILE") or `keyring`; `client_kwargs` for boto3's clients;
    `read_older` to read V2 and legacy-free V1 objects too."""

    protocol = "s3al"
    root_marker = ""

    def __init__(
        self,
        *,
        key: str | None = None,
        keyring: Keyring | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
        read_older: bool = True,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        made_with = dict(client_kwargs or {})
        session = boto3.session.Session()
        self.s3 = session.client("s3", **made_with)
        if keyring is None:
            if key is None:
                raise ClientConfigError("s3al:// needs a key", advice='storage_options={"key": "kms:ARN"}')
            keyring = keyring_of(key, lambda: session.client("kms", **made_with))
        policy = CommitmentPolicy.REQUIRE_ENCRYPT_ALLOW_DECRYPT if read_older else None
        self.config = S3EncryptionClientConfig(
            keyring=keyring, commitment_policy=policy or CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT
        )
        self.client = S3EncryptionClient(self.s3, self.config)

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        return str(path).removeprefix("s3al://").strip("/")

    def split(self, path: str) -> tuple[str, str]:
        """(bucket, key)."""
        bucket, _, key = self._strip_protocol(path).partition("/")
        return bucket, key

    def _open(
        self,
        path: str,
        mode: str = "rb",
        block_size: int | None = None,
        autocommit: bool = True,
        cache_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> S3alFile:
        if mode not in {"rb", "wb", "xb"}:
            raise ValueError("an encrypted object is opened with rb, wb or xb")
        reader = self._reader(path) if mode == "rb" else None
        return S3alFile(
            self, path, mode, max(block_size or 0, _BLOCK_BYTES) if mode != "rb" else block_size or "default",
            autocommit=autocommit, cache_options=cache_options, reader=reader, **options,
        )  # fmt: skip

    def _reader(self, path: str) -> RangeReader | _SpooledReader:
        bucket, key = self.split(path)
        named: dict[str, Any] = {"Bucket": bucket, "Key": key}
        own = take_own(self.config, named)
        try:
            answer = first_bytes(self.s3, named)
        except ClientError as exc:
            raise _translated(exc, path) from exc
        with answer["Body"] as body:
            header = body.read()
        envelope = find_envelope(self.s3, self.config, named, own, answer.get("Metadata") or {})
        data_key = self.config.keyring.unwrap(envelope.suite, wrapped_key_of(envelope), own.context)
        pinned = for_further_gets(named, answer)
        if envelope.suite is not STREAM:
            return _SpooledReader(self.s3.get_object(**pinned), envelope, data_key, self.config.spool_memory_bytes)

        def fetch(start: int, end: int) -> Any:
            return self.s3.get_object(**pinned, Range=f"bytes={start}-{end - 1}")

        reader = reader_of({**answer, "ContentLength": total_bytes(answer)}, header, envelope, data_key, fetch)
        reader.prove_length()
        return reader

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        bucket, key = self.split(path)
        full = f"{bucket}/{key}".rstrip("/")
        if key:
            try:
                head = self._head(bucket, key)
                return {
                    "name": full, "type": "file", "size": head.get("ContentLength"), "ETag": head["ETag"],
                    "LastModified": head.get("LastModified"),
                }  # fmt: skip
            except ClientError as exc:
                if exc.response.get("Error", {}).get("Code") not in _MISSING:
                    raise _translated(exc, path) from exc
        try:
            prefix = f"{key}/" if key else ""
            found = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1)
        except ClientError as exc:
            raise _translated(exc, path) from exc
        if key and not found.get("KeyCount"):
            raise FileNotFoundError(path)
        return {"name": full, "type": "directory", "size": 0}

    def _head(self, bucket: str, key: str) -> dict[str, Any]:
        """As for the plaintext; an object that no client encrypted is there all the same, though it does not open."""
        try:
            return self.client.head_object(Bucket=bucket, Key=key)
        except S3EncryptionClientSecurityError:
            return dict(self.s3.head_object(Bucket=bucket, Key=key))

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        bucket, key = self.split(path)
        prefix = f"{key}/" if key else ""
        rows: list[dict[str, Any]] = []
        try:
            pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix, Delimiter="/")
            for page in pages:
                rows += self._rows(bucket, page)
        except ClientError as exc:
            raise _translated(exc, path) from exc
        if not rows:
            rows = [self.info(path)]
        rows = [row for row in rows if row["name"] != f"{bucket}/{prefix}"]
        return rows if detail else [row["name"] for row in rows]

    def _rows(self, bucket: str, page: dict[str, Any]) -> list[dict[str, Any]]:
        suffix = self.config.instruction_file_config.suffix
        shown = with_plaintext_lengths(self.s3, self.config, {"Bucket": bucket}, page)
        files = [
            {"name": f"{bucket}/{one['Key']}", "type": "file", "size": one["Size"], "ETag": one.get("ETag"),
             "LastModified": one.get("LastModified")}
            for one in shown.get("Contents") or []
            if not one["Key"].endswith(suffix)
        ]  # fmt: skip
        folders = [
            {"name": f"{bucket}/{one['Prefix'].rstrip('/')}", "type": "directory", "size": 0}
            for one in page.get("CommonPrefixes") or []
        ]
        return files + folders

    def _rm(self, path: str) -> None:
        bucket, key = self.split(path)
        if key:
            self.client.delete_object(Bucket=bucket, Key=key)

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        (bucket, key), (to_bucket, to_key) = self.split(path1), self.split(path2)
        self.client.copy_object(CopySource={"Bucket": bucket, "Key": key}, Bucket=to_bucket, Key=to_key)

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        """Folders exist when there is something in them."""

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """As mkdir."""

    def rmdir(self, path: str) -> None:
        """As mkdir."""

    def modified(self, path: str) -> Any:
        return self.info(path)["LastModified"]


class S3alFile(AbstractBufferedFile):  # type: ignore[misc]
    """One object, read by ranges or written in parts."""

    def __init__(
        self, fs: S3alFileSystem, path: str, mode: str, block_size: Any, *, reader: Any = None, **options: Any
    ) -> None:
        self._reader = reader
        self._upload_id: str | None = None
        self._parts: list[dict[str, Any]] = []
        if reader is not None:
            options["size"] = reader.length
            self._details = {"name": path, "type": "file", "size": reader.length}
        super().__init__(fs, path, mode, block_size, **options)
        self._named = dict(zip(("Bucket", "Key"), fs.split(path), strict=True))

    def _fetch_range(self, start: int, end: int) -> bytes:
        end = min(end, self._reader.length)
        found: bytes = self._reader.read(PlainRange(start, end)) if start < end else b""
        return found

    def _initiate_upload(self) -> None:
        """Begun with the first part: a small file is one request."""

    def _upload_chunk(self, final: bool = False) -> bool:
        try:
            return self._send(self.buffer.getvalue(), final=final)
        except BaseException as exc:
            try:
                self.discard()
            except Exception as also:  # noqa: BLE001  # told as a note of the failure that is raised
                exc.add_note(f"the multipart upload could not be aborted either: {also}")
            raise

    def _send(self, piece: bytes, *, final: bool) -> bool:
        client = self.fs.client
        create_only = {"IfNoneMatch": "*"} if self.mode == "xb" else {}
        if final and self._upload_id is None:
            client.put_object(**self._named, Body=piece, format="stream", **create_only)
            return True
        if self._upload_id is None:
            created = client.create_multipart_upload(**self._named, format="stream")
            self._upload_id = created["UploadId"]
        named = {**self._named, "UploadId": self._upload_id}
        number = len(self._parts) + 1
        answer = client.upload_part(**named, PartNumber=number, Body=piece, IsLastPart=final)
        checksums = {name: answer[name] for name in answer if name.startswith("Checksum") and name != "ChecksumType"}
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"], **checksums})
        if final:
            client.complete_multipart_upload(**named, MultipartUpload={"Parts": self._parts}, **create_only)
        return True

    def discard(self) -> None:
        """Store nothing of what was written."""
        self.closed = True
        upload_id, self._upload_id = self._upload_id, None
        if upload_id is not None:
            self.fs.client.abort_multipart_upload(**self._named, UploadId=upload_id)

    def __del__(self) -> None:
        """Who lets go of a file without closing it, as an exception does, has not finished it."""
        if getattr(self, "mode", "rb") != "rb" and not self.closed:
            with contextlib.suppress(Exception):
                self.discard()
        elif isinstance(getattr(self, "_reader", None), _SpooledReader):
            self._reader.close()

    def close(self) -> None:
        super().close()
        if isinstance(self._reader, _SpooledReader):
            self._reader.close()

    def __exit__(self, kind: object, *rest: object) -> None:
        if kind is not None and self.mode != "rb" and not self.closed:
            self.discard()
        else:
            self.close()


class _SpooledReader:
    """A V1, V2 or V3 object, authenticated whole; its ciphertext waits to be read by ranges."""

    def __init__(self, answer: Mapping[str, Any], envelope: Envelope, data_key: bytes, memory_bytes: int) -> None:
        self._envelope = envelope
        self._data_key = data_key
        self._spool = Spool(memory_bytes, expected_bytes=answer["ContentLength"])  # closed with the file that reads it
        self.length = 0
        self._ciphertext_bytes = 0
        try:
            opener = content.opener(envelope, data_key, ciphertext_bytes=answer["ContentLength"])
            with answer["Body"] as body:
                while chunk := body.read(1024 * 1024):
                    self._spool.write(chunk)
                    self._ciphertext_bytes += len(chunk)
                    self.length += len(opener.update(chunk))
            self.length += len(opener.finalize())
        except BaseException:
            self._spool.close()
            raise

    def read(self, wanted: PlainRange) -> bytes:
        start, end = unauthenticated_span(self._envelope, wanted, self._ciphertext_bytes)
        ciphertext = self._spool.read(start, end - start)
        return open_unauthenticated(
            self._envelope, self._data_key, wanted, ciphertext, ciphertext_bytes=self._ciphertext_bytes
        )

    def close(self) -> None:
        self._spool.close()


def _translated(exc: ClientError, path: str) -> Exception:
    code = exc.response.get("Error", {}).get("Code")
    if code in _MISSING:
        return FileNotFoundError(path)
    return PermissionError(path) if code in {"AccessDenied", "403"} else exc


def register() -> None:
    """Make fsspec know `s3al://` where the package's entry points are not installed."""
    import fsspec

    fsspec.register_implementation("s3al", S3alFileSystem, clobber=True)

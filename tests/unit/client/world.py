"""An S3 and a KMS in memory, at the ports that the client uses: boto3's method names and answers.

They keep what was sent as it was sent, so that tests can look at it, alter it and let it fail.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import hashlib
import io
import json
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.exceptions import ClientError

from s3al.client import AesKeyring

_MODEL = boto3.client("s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x").meta

WRAPPING_KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
KMS_KEY = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def error(code: str, status: int = 400, operation: str = "GetObject") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": code}, "ResponseMetadata": {"HTTPStatusCode": status}},
                       operation)  # fmt: skip


class Body(io.BytesIO):
    """A response body that counts how much was asked of it at once. short: bytes given per read at most."""

    largest_read = 0

    def __init__(self, data: bytes, short: int | None = None) -> None:
        super().__init__(data)
        self._short = short

    def read(self, amt: int | None = -1) -> bytes:
        if amt is None or amt < 0:
            return super().read()
        Body.largest_read = max(Body.largest_read, amt)
        return super().read(min(amt, self._short) if self._short else amt)


@dataclass
class Stored:
    body: bytes
    parameters: dict[str, Any]

    @property
    def metadata(self) -> dict[str, str]:
        return self.parameters.setdefault("Metadata", {})

    @property
    def etag(self) -> str:
        return '"' + hashlib.md5(self.body).hexdigest() + '"'


@dataclass
class FakeS3:
    """One bucket's worth of S3. fail: called with (operation, parameters) before each; may raise."""

    objects: dict[str, Stored] = field(default_factory=dict)
    uploads: dict[str, tuple[dict[str, Any], dict[int, bytes]]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    fail: Callable[[str, dict[str, Any]], None] = lambda operation, parameters: None
    short_reads: int | None = None
    in_flight: int = 0
    most_in_flight: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    meta: Any = _MODEL

    def names(self) -> list[str]:
        return [operation for operation, _ in self.calls]

    def _called(self, operation: str, parameters: dict[str, Any]) -> None:
        members = _MODEL.service_model.operation_model(operation).input_shape.members
        assert parameters.keys() <= members.keys(), f"{operation} does not know {parameters.keys() - members.keys()}"
        with self.lock:
            self.calls.append((operation, parameters))
        self.fail(operation, parameters)

    def put_object(self, **parameters: Any) -> dict[str, Any]:
        self._called("PutObject", parameters)
        body = bytes(parameters.pop("Body", b""))
        self.objects[parameters["Key"]] = stored = Stored(body, parameters)
        return {"ETag": stored.etag}

    def _found(self, operation: str, parameters: dict[str, Any]) -> Stored:
        self._called(operation, parameters)
        stored = self.objects.get(parameters["Key"])
        if stored is None:
            raise error("404" if operation == "HeadObject" else "NoSuchKey", 404, operation)
        if parameters.get("IfMatch", stored.etag) != stored.etag:
            raise error("PreconditionFailed", 412, operation)
        return stored

    def _answer(self, stored: Stored) -> dict[str, Any]:
        shown = {"ContentType": stored.parameters.get("ContentType", "binary/octet-stream")}
        metadata = {name.lower(): value for name, value in stored.metadata.items()}
        return {**shown, "Metadata": metadata, "ContentLength": len(stored.body), "ETag": stored.etag}

    def get_object(self, **parameters: Any) -> dict[str, Any]:
        stored = self._found("GetObject", parameters)
        answer, body = self._answer(stored), stored.body
        if "Range" in parameters:
            first, _, last = parameters["Range"].removeprefix("bytes=").partition("-")
            start, end = int(first), min(int(last) + 1, len(body))
            if start >= len(body):
                raise error("InvalidRange", 416)
            answer["ContentRange"] = f"bytes {start}-{end - 1}/{len(body)}"
            body = body[start:end]
            answer["ContentLength"] = len(body)
        return {**answer, "Body": Body(body, self.short_reads)}

    def head_object(self, **parameters: Any) -> dict[str, Any]:
        return self._answer(self._found("HeadObject", parameters))

    def delete_object(self, **parameters: Any) -> dict[str, Any]:
        self._called("DeleteObject", parameters)
        self.objects.pop(parameters["Key"], None)
        return {}

    def delete_objects(self, **parameters: Any) -> dict[str, Any]:
        self._called("DeleteObjects", parameters)
        for one in parameters["Delete"]["Objects"]:
            self.objects.pop(one["Key"], None)
        return {}

    def copy_object(self, **parameters: Any) -> dict[str, Any]:
        self._called("CopyObject", parameters)
        source = self.objects[parameters["CopySource"]["Key"]]
        replaces = parameters.get("MetadataDirective") == "REPLACE"
        metadata = dict(parameters["Metadata"] if replaces else source.metadata)
        self.objects[parameters["Key"]] = Stored(source.body, {**source.parameters, "Metadata": metadata})
        return {"CopyObjectResult": {"ETag": source.etag}}

    def list_objects_v2(self, **parameters: Any) -> dict[str, Any]:
        self._called("ListObjectsV2", parameters)
        rows = [{"Key": key, "Size": len(one.body)} for key, one in sorted(self.objects.items())]
        return {"Contents": rows, "KeyCount": len(rows)} if rows else {"KeyCount": 0}

    def create_multipart_upload(self, **parameters: Any) -> dict[str, Any]:
        self._called("CreateMultipartUpload", parameters)
        upload_id = secrets.token_hex(8)
        self.uploads[upload_id] = (parameters, {})
        return {"UploadId": upload_id}

    def upload_part(self, **parameters: Any) -> dict[str, Any]:
        with self.lock:
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            self._called("UploadPart", parameters)
            body = bytes(parameters["Body"])
            self.uploads[parameters["UploadId"]][1][parameters["PartNumber"]] = body
            return {"ETag": f'"{hashlib.md5(body).hexdigest()}"'}
        finally:
            with self.lock:
                self.in_flight -= 1

    def complete_multipart_upload(self, **parameters: Any) -> dict[str, Any]:
        self._called("CompleteMultipartUpload", parameters)
        created, parts = self.uploads.pop(parameters["UploadId"])
        named = [part["PartNumber"] for part in parameters["MultipartUpload"]["Parts"]]
        assert named == sorted(parts)
        bodies = [parts[number] for number in named]
        assert all(len(body) >= 5 * 1024 * 1024 for body in bodies[:-1]), "EntityTooSmall"
        self.objects[created["Key"]] = stored = Stored(b"".join(bodies), created)
        return {"ETag": stored.etag}

    def abort_multipart_upload(self, **parameters: Any) -> dict[str, Any]:
        self._called("AbortMultipartUpload", parameters)
        self.uploads.pop(parameters["UploadId"])
        return {}


class _AsyncBody:
    def __init__(self, body: Body) -> None:
        self._body = body

    async def read(self, amount: int | None = None) -> bytes:
        await asyncio.sleep(0)
        return self._body.read(amount)

    def close(self) -> None:
        self._body.close()


@dataclass
class AsyncFakeS3:
    """The same S3, by aiobotocore's calling convention."""

    s3: FakeS3
    meta: Any = _MODEL

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.s3, name)

        async def call(**parameters: Any) -> dict[str, Any]:
            await asyncio.sleep(0)
            answer = method(**parameters)
            return answer | {"Body": _AsyncBody(answer["Body"])} if "Body" in answer else answer

        return call


@dataclass
class FakeKms:
    """Blobs are names of entries kept here. manager: who manages the keys it describes."""

    manager: str = "CUSTOMER"
    blobs: dict[bytes, tuple[bytes, dict[str, str]]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def names(self) -> list[str]:
        return [name for name, _ in self.calls]

    def describe_key(self, **parameters: Any) -> dict[str, Any]:
        self.calls.append(("DescribeKey", parameters))
        return {"KeyMetadata": {"Arn": KMS_KEY, "KeyManager": self.manager}}

    def generate_data_key(self, **parameters: Any) -> dict[str, Any]:
        self.calls.append(("GenerateDataKey", parameters))
        assert parameters["KeySpec"] == "AES_256"
        plaintext = os.urandom(32)
        return {"Plaintext": plaintext, "CiphertextBlob": self._keep(plaintext, parameters), "KeyId": KMS_KEY}

    def encrypt(self, **parameters: Any) -> dict[str, Any]:
        self.calls.append(("Encrypt", parameters))
        return {"CiphertextBlob": self._keep(parameters["Plaintext"], parameters), "KeyId": KMS_KEY}

    def decrypt(self, **parameters: Any) -> dict[str, Any]:
        self.calls.append(("Decrypt", parameters))
        plaintext, context = self.blobs.get(parameters["CiphertextBlob"], (b"", {"no": "blob"}))
        if context != parameters["EncryptionContext"]:
            raise error("InvalidCiphertextException", 400, "Decrypt")
        return {"Plaintext": plaintext, "KeyId": KMS_KEY}

    def _keep(self, plaintext: bytes, parameters: dict[str, Any]) -> bytes:
        blob = b"blob-" + os.urandom(40)
        self.blobs[blob] = (plaintext, dict(parameters["EncryptionContext"]))
        return blob


def metadata_json(value: dict[str, str]) -> str:
    return json.dumps(value)


def filesystem_on(s3: FakeS3, keyring: Any) -> Any:
    """s3al:// on this S3: a filesystem whose boto3 clients, which cost time, are made once."""
    from s3al.client import S3EncryptionClient
    from s3al.client.filesystem import S3alFileSystem

    made_with = {"region_name": "us-east-1", "aws_access_key_id": "x", "aws_secret_access_key": "x"}
    made = S3alFileSystem(keyring=_ANY_KEYRING, client_kwargs=made_with)  # fsspec keeps it
    fs = copy.copy(made)
    fs.s3, fs.config = s3, dataclasses.replace(made.config, keyring=keyring)
    fs.client = S3EncryptionClient(s3, fs.config)
    return fs


_ANY_KEYRING = AesKeyring(bytes(32))

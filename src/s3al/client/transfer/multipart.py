"""The low-level multipart calls, with boto3's signatures: parts of plaintext in their order.

What lives here: the uploads in progress of one client. What does not: uploads that we divide ourselves (uploads).

Laws: one object is one stream, so parts come in order, each once. A part whose request failed may be sent again with
the same body: then the same ciphertext is sent, never another under the same key. Without IsLastPart the end goes up
as a small part of its own when the upload is completed.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from typing import Any

from s3al.client.config import S3EncryptionClientConfig
from s3al.client.errors import ClientConfigError
from s3al.client.transfer.envelopes import Writing, prepare_write
from s3al.client.transfer.instruction_files import written_beside
from s3al.client.transfer.parameters import OwnParameters, checked_metadata, known, take_own
from s3al.client.transfer.sources import PlaintextChecks, Source
from s3al.client.transfer.uploads import part_of


@dataclass(slots=True)
class _Upload:
    writing: Writing
    own: OwnParameters
    parameters: dict[str, Any] = field(repr=False)
    next_number: int = 1
    ended: bool = False
    pending: bytearray | None = field(default=None, repr=False)  # sealed, its request not answered yet
    pending_digest: bytes = b""
    end: bytes | None = field(default=None, repr=False)  # the tag, if it is a part of its own
    end_part: dict[str, Any] | None = None  # and that part's entry, once it has arrived
    lock: threading.Lock = field(default_factory=threading.Lock)


class LowLevelMultipart:
    """Uploads by their id, until completed or aborted."""

    def __init__(self, s3: Any, config: S3EncryptionClientConfig) -> None:
        self._s3 = s3
        self._config = config
        self._uploads: dict[str, _Upload] = {}

    def through(self, s3: Any) -> LowLevelMultipart:
        """The same uploads, by another way to the same S3."""
        other = LowLevelMultipart(s3, self._config)
        other._uploads = self._uploads
        return other

    def create(self, given: dict[str, Any]) -> dict[str, Any]:
        parameters = dict(given)
        own = take_own(self._config, parameters)
        suite = self._config.suite_for(own.format)
        metadata = checked_metadata(parameters)
        writes_file = self._config.instruction_file_config.enable_put_object
        data_key = self._config.keyring.generate(suite, own.context)
        writing = prepare_write(self._config, data_key, suite, instruction_file=writes_file)
        parameters["Metadata"] = metadata | dict(writing.entries)
        answer: dict[str, Any] = self._s3.create_multipart_upload(**parameters)
        self._uploads[answer["UploadId"]] = _Upload(writing, own, parameters)
        return answer

    def upload_part(self, given: dict[str, Any]) -> dict[str, Any]:
        parameters = dict(given)
        is_last = bool(parameters.pop("IsLastPart", False))
        body = parameters.pop("Body", b"")
        checks = PlaintextChecks(parameters)
        upload = self._upload(parameters)
        with upload.lock:
            plaintext = b"".join(_pieces(Source(body, watch=checks.watch)))
            checks.verify()
            sealed = self._sealed(upload, parameters["PartNumber"], plaintext, is_last=is_last)
            answer: dict[str, Any] = self._s3.upload_part(**parameters, Body=sealed)
            upload.pending = None
            upload.next_number += 1
        return answer

    def complete(self, given: dict[str, Any]) -> dict[str, Any]:
        upload = self._upload(given)
        with upload.lock:
            parts = list((given.get("MultipartUpload") or {}).get("Parts") or [])
            if upload.pending is not None:
                raise ClientConfigError("a part has not arrived", advice="Send it again, or abort the upload.")
            if [part.get("PartNumber") for part in parts] != list(range(1, upload.next_number)):
                raise ClientConfigError("an encrypted upload is completed with all its parts, in their order")
            if end := self._end_part(upload, given["UploadId"]):
                parts.append(end)
            request = {**given, "MultipartUpload": {"Parts": parts}}
            with written_beside(self._s3, upload.parameters, upload.writing.instruction, upload.own.suffix):
                answer: dict[str, Any] = self._s3.complete_multipart_upload(**request)
        self._uploads.pop(given["UploadId"], None)
        return answer

    def abort(self, given: dict[str, Any]) -> dict[str, Any]:
        self._uploads.pop(given.get("UploadId", ""), None)
        answer: dict[str, Any] = self._s3.abort_multipart_upload(**given)
        return answer

    def _end_part(self, upload: _Upload, upload_id: str) -> dict[str, Any] | None:
        """The entry of the part that holds the end, sent once; None if the last part brought it. May be asked again."""
        if not upload.ended:
            upload.end, upload.ended = upload.writing.sealer.finalize(), True
        if upload.end is not None and upload.end_part is None:
            number = upload.next_number
            named = known(self._s3, "UploadPart", upload.parameters) | {"UploadId": upload_id}
            named.pop("ContentLength", None)
            upload.end_part = part_of(number, self._s3.upload_part(**named, PartNumber=number, Body=upload.end))
        return upload.end_part

    def _upload(self, given: dict[str, Any]) -> _Upload:
        try:
            return self._uploads[given["UploadId"]]
        except KeyError:
            raise ClientConfigError(
                "this client did not create the multipart upload",
                advice="An encrypted upload is finished by the client that began it.",
            ) from None

    def _sealed(self, upload: _Upload, number: int, plaintext: bytes, *, is_last: bool) -> bytearray:
        digest = hashlib.sha256(plaintext + bytes((is_last,))).digest()
        if number != upload.next_number or (upload.ended and upload.pending is None):
            raise ClientConfigError("parts of an encrypted object are uploaded in order, each once")
        if upload.pending is not None:
            if upload.pending_digest != digest:
                raise ClientConfigError("a part that failed is sent again with the same body, or the upload aborted")
            return upload.pending
        sealed = bytearray(upload.writing.sealer.room_bytes(len(plaintext)))
        written = upload.writing.sealer.update_into(plaintext, sealed)
        sealed[written:] = upload.writing.sealer.finalize() if is_last else b""
        upload.pending, upload.pending_digest, upload.ended = sealed, digest, is_last
        return sealed


def _pieces(source: Source) -> Any:
    while piece := source.read():
        yield bytes(piece)

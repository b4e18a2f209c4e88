"""Writing objects with boto3: one request for small ones, parallel parts for others.

What lives here: `write`. What does not: the low-level multipart calls (multipart).

Laws: the body is read once and sealed in one pass; parts in flight are bounded. Nothing becomes visible unless the
whole body was read, verified and sealed: a failure aborts the upload. An instruction file is written when all that can
fail on our side is behind us, just before its object.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from s3al.client.config import S3EncryptionClientConfig
from s3al.client.transfer.envelopes import prepare_write
from s3al.client.transfer.instruction_files import written_beside
from s3al.client.transfer.parameters import checked_metadata, known, take_own
from s3al.client.transfer.sealing import SealedParts, check_length
from s3al.client.transfer.sources import PlaintextChecks, Source

Callback = Callable[[int], Any]


def write(
    s3: Any, config: S3EncryptionClientConfig, given: Mapping[str, Any], body: Any, *, callback: Callback | None = None
) -> dict[str, Any]:
    """Seal `body` and store it. given: parameters of PutObject and our own. The answer of the last request."""
    parameters = dict(given)
    own = take_own(config, parameters)
    suite = config.suite_for(own.format)
    metadata = checked_metadata(parameters)
    checks = PlaintextChecks(parameters)
    source = Source(body, watch=watcher(checks, callback))
    check_length(suite, source.length)
    data_key = config.keyring.generate(suite, own.context)
    writing = prepare_write(
        config, data_key, suite, instruction_file=config.instruction_file_config.enable_put_object
    )
    parameters["Metadata"] = metadata | dict(writing.entries)
    parts = SealedParts(
        source,
        writing.sealer,
        whole_bytes=config.multipart_threshold_bytes,
        part_bytes=config.multipart_chunksize_bytes,
    )
    first = parts.next_part()
    if parts.ended:
        checks.verify()
        with written_beside(s3, parameters, writing.instruction, own.suffix):
            answer: dict[str, Any] = s3.put_object(**parameters, Body=first)
        return answer

    @contextmanager
    def completing() -> Iterator[None]:
        checks.verify()
        with written_beside(s3, parameters, writing.instruction, own.suffix):
            yield

    return _Multipart(s3, config, parameters).run(first, parts, completing=completing)


def watcher(checks: PlaintextChecks, callback: Callback | None) -> Callable[[memoryview], None]:
    """What sees every piece of plaintext."""
    if callback is None:
        return checks.watch

    def watch(piece: memoryview) -> None:
        checks.watch(piece)
        callback(len(piece))

    return watch


class _Multipart:
    """One multipart upload: parts sent by threads, in flight no more than the bound."""

    def __init__(self, s3: Any, config: S3EncryptionClientConfig, parameters: Mapping[str, Any]) -> None:
        self._s3 = s3
        self._bound = config.max_concurrency
        self._parameters = parameters
        self._free = threading.Semaphore(self._bound)
        self._upload_id = ""

    def run(
        self, first: bytearray, parts: SealedParts, *, completing: Callable[[], AbstractContextManager[None]]
    ) -> dict[str, Any]:
        """completing: entered when all parts are there, left when the upload is completed."""
        created = self._s3.create_multipart_upload(**known(self._s3, "CreateMultipartUpload", self._parameters))
        self._upload_id = created["UploadId"]
        try:
            sent = self._send_all(first, parts)
            with completing():
                answer: dict[str, Any] = self._s3.complete_multipart_upload(
                    **self._named("CompleteMultipartUpload"), MultipartUpload={"Parts": sent}
                )
            return answer
        except BaseException as exc:
            self._abort(exc)
            raise

    def _send_all(self, first: bytearray, parts: SealedParts) -> list[dict[str, Any]]:
        with ThreadPoolExecutor(self._bound, thread_name_prefix="s3al-part") as threads:
            futures: list[Future[dict[str, Any]]] = []
            part: bytearray | None = first
            try:
                while part is not None:
                    self._free.acquire()
                    if any(future.done() and future.exception() for future in futures[-2 * self._bound :]):
                        break
                    futures.append(threads.submit(self._send, len(futures) + 1, part, parts))
                    part = None if parts.ended else parts.next_part()
            except BaseException:
                for future in futures:
                    future.cancel()
                raise
            wait(futures, return_when=FIRST_EXCEPTION)
        return [future.result() for future in futures]

    def _send(self, number: int, part: bytearray, parts: SealedParts) -> dict[str, Any]:
        try:
            answer = self._s3.upload_part(**self._named("UploadPart"), PartNumber=number, Body=part)
            parts.reuse(part)
        finally:
            self._free.release()
        return part_of(number, answer)

    def _named(self, operation: str) -> dict[str, Any]:
        request = known(self._s3, operation, self._parameters)
        return {**request, "UploadId": self._upload_id}

    def _abort(self, because: BaseException) -> None:
        """Abort, and let the failure that led here be the one that is seen."""
        try:
            self._s3.abort_multipart_upload(**self._named("AbortMultipartUpload"))
        except Exception as exc:  # noqa: BLE001  # told as a note of the failure that is raised
            because.add_note(f"the multipart upload could not be aborted either: {exc}")


def part_of(number: int, answer: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of CompleteMultipartUpload for a part that was answered."""
    checksums = {name: answer[name] for name in answer if name.startswith("Checksum") and name != "ChecksumType"}
    return {"PartNumber": number, "ETag": answer["ETag"], **checksums}

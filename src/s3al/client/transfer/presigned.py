"""Presigned GET: fetch by URL, open with the keyring.

What lives here: the fetch. What does not: making URLs.

Laws: only http and https; metadata comes from headers and is believed no more than S3's answers are.
"""

from __future__ import annotations

import email.utils
from collections.abc import Mapping
from typing import Any, Final

from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session

from s3al.client.config import S3EncryptionClientConfig
from s3al.client.errors import ClientConfigError, EnvelopeError, S3EncryptionClientError
from s3al.client.formats.text import MAX_INSTRUCTION_FILE_BYTES
from s3al.client.transfer.downloads import decrypted
from s3al.client.transfer.envelopes import envelope_of, without_instruction_file, wrapped_key_of
from s3al.client.transfer.parameters import of_plaintext

_PREFIX: Final = "x-amz-meta-"


class _Fetched:
    """A response body as other bodies are: `read(amount)` and `close`."""

    def __init__(self, response: Any) -> None:
        self._raw = response.raw

    def read(self, amount: int, /) -> bytes:
        piece: bytes = self._raw.read(amount, decode_content=False)
        return piece

    def close(self) -> None:
        self._raw.close()


def read(
    config: S3EncryptionClientConfig,
    url: str,
    *,
    instruction_file_url: str | None = None,
    context: Mapping[str, str] | None = None,
    verify: bool | str = True,
) -> dict[str, Any]:
    """GetObject by URL. verify: as boto3's."""
    response = _fetch(url, verify)
    source = _Fetched(response)
    try:
        answer = _answer(response)
        envelope = envelope_of(config, answer["Metadata"])
        if envelope is None:
            if instruction_file_url is None:
                raise without_instruction_file()
            envelope = envelope_of(config, answer["Metadata"], _instruction(instruction_file_url, verify))
            assert envelope is not None
        data_key = config.keyring.unwrap(envelope.suite, wrapped_key_of(envelope), context)
        body = decrypted(config, envelope, data_key, source, length=answer["ContentLength"])
        return of_plaintext(answer, envelope, answer["ContentLength"]) | {"Body": body}
    except BaseException:
        source.close()
        raise


def _answer(response: Any) -> dict[str, Any]:
    headers = response.headers
    length = headers.get("content-length", "")
    if not length.isdecimal():
        raise EnvelopeError("the answer does not tell its length")
    metadata = {
        name[len(_PREFIX) :]: value for name, value in headers.items() if name.lower().startswith(_PREFIX)
    }
    answer: dict[str, Any] = {"Metadata": metadata, "ContentLength": int(length), "ETag": headers.get("etag", "")}
    if headers.get("content-type"):
        answer["ContentType"] = headers["content-type"]
    if headers.get("last-modified"):
        answer["LastModified"] = email.utils.parsedate_to_datetime(headers["last-modified"])
    return answer


def _instruction(url: str, verify: bool | str) -> bytes:
    source = _Fetched(_fetch(url, verify))
    try:
        return source.read(MAX_INSTRUCTION_FILE_BYTES + 1)
    finally:
        source.close()


def _fetch(url: str, verify: bool | str) -> Any:
    """The answer, its body not read yet. Redirects are not followed."""
    if not url.startswith(("https://", "http://")):
        raise ClientConfigError("a presigned URL begins with https:// or http://")
    response = URLLib3Session(verify=verify).send(AWSRequest("GET", url, stream_output=True).prepare())
    if response.status_code != 200:
        status = response.status_code
        response.raw.close()
        raise S3EncryptionClientError(f"the presigned URL was answered with {status}", advice="It may have expired.")
    return response

"""Files: boto3's managed transfers, of plaintext.

What lives here: upload_file, upload_fileobj, download_file, download_fileobj. What does not: how objects are sealed and
opened.

Laws: a download is written beside its target and takes its name only when it is whole; whatever fails leaves no file.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from s3al.client.config import S3EncryptionClientConfig
from s3al.client.transfer.bodies import CHUNK_BYTES, DecryptedBody
from s3al.client.transfer.downloads import read
from s3al.client.transfer.parameters import with_transfer_config
from s3al.client.transfer.uploads import Callback, write


def upload_fileobj(
    s3: Any,
    config: S3EncryptionClientConfig,
    body: Any,
    named: Mapping[str, Any],
    *,
    callback: Callback | None = None,
    transfer: Any = None,
) -> None:
    """named: Bucket, Key and what boto3 calls ExtraArgs."""
    write(s3, with_transfer_config(config, transfer), named, body, callback=callback)


def download_fileobj(
    s3: Any,
    config: S3EncryptionClientConfig,
    target: Any,
    named: Mapping[str, Any],
    *,
    callback: Callback | None = None,
    transfer: Any = None,
) -> None:
    """Write the plaintext into an open file. In part, if the object fails midway and is of the stream format."""
    body: DecryptedBody = read(s3, with_transfer_config(config, transfer), named)["Body"]
    with body:
        while chunk := body.read(CHUNK_BYTES):
            target.write(chunk)
            if callback is not None:
                callback(len(chunk))


def download_file(
    s3: Any,
    config: S3EncryptionClientConfig,
    path: str | os.PathLike[str],
    named: Mapping[str, Any],
    *,
    callback: Callback | None = None,
    transfer: Any = None,
) -> None:
    """Write the plaintext to `path`, which is replaced only by a whole object."""
    with whole_file(path) as file:
        download_fileobj(s3, config, file, named, callback=callback, transfer=transfer)


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A file beside `path` that takes its name, and mode of a new file, when the block ends; else it vanishes.

    What is there and no regular file (a pipe, /dev/stdout) is written to, as boto3 does, never replaced.
    """
    target = Path(path)
    if target.exists() and not target.is_file() and not target.is_dir():
        with target.open("wb") as file:
            yield file
        return
    descriptor, beside = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent or ".")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o666 & ~_umask())
            yield file
        Path(beside).replace(target)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def _umask() -> int:
    """The process's umask, as open() would apply it; reading it from Linux's own record changes nothing."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    except OSError:
        pass
    return 0o077

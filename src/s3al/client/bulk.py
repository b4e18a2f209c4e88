"""Many objects and files: list, scan, sync and rekey, in parallel.

What lives here: what the commands do. What does not: their flags and output (cli).

Laws: what is there already, of the same length and not older, is left alone, so that an interrupted sync goes on where
it stopped; a file appears under its name only when it is whole. One object's failure does not stop the others: it is
told at the end. Keys of objects never lead out of the target folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Self

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from s3al.client.config import S3EncryptionClientConfig
from s3al.client.errors import ClientConfigError, EnvelopeError, PlaintextObjectError
from s3al.client.formats.envelope import Envelope, decode, entries_of, key_is_elsewhere
from s3al.client.keyrings.aes import AesKeyring
from s3al.client.sync import S3EncryptionClient
from s3al.client.transfer.downloads import fetch_instruction_file
from s3al.client.transfer.listing import with_plaintext_lengths
from s3al.errors import S3alError

SUFFIX = ".instruction"
_DELETED_AT_ONCE = 1000
_FAILURES = (S3alError, ClientError, BotoCoreError, Boto3Error, OSError)


class Progress:
    """A bar on standard error, if that is a terminal."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
        from rich.progress import Progress as RichProgress

        console = Console(stderr=True)
        if not self._quiet and console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
            self._bar = RichProgress(*columns, console=console)
            self._bar.start()
            self._task = self._bar.add_task("s3al", total=0)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def expect(self, count: int) -> None:
        if self._bar is not None:
            total = next(task.total or 0 for task in self._bar.tasks)
            self._bar.update(self._task, total=total + count)

    def advance(self, count: int) -> None:
        if self._bar is not None:
            self._bar.update(self._task, advance=count)


@dataclass(slots=True)
class Done:
    """What came of it."""

    copied: int = 0
    rewrapped: int = 0
    unchanged: int = 0
    removed: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class SyncOptions:
    extra: dict[str, str]
    parallel: int
    delete: bool = False
    everything: bool = False  # also what is there already


def split(url: str) -> tuple[str, str]:
    """(bucket, key or prefix) of s3://BUCKET[/KEY]. Raises ClientConfigError."""
    if not url.startswith("s3://") or len(url) == len("s3://"):
        raise ClientConfigError(f"{url} is not s3://BUCKET/KEY")
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


def place(url: str) -> tuple[str, str]:
    """(bucket, key), with a key."""
    bucket, key = split(url)
    if not key:
        raise ClientConfigError(f"{url} names no object")
    return bucket, key


def objects(s3: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    """Entries of a list, instruction files included."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from page.get("Contents") or []


def listed(s3: Any, bucket: str, prefix: str) -> list[dict[str, Any]]:
    """Objects with lengths of plaintext, without instruction files."""
    rows: list[dict[str, Any]] = []
    config = S3EncryptionClientConfig(keyring=AesKeyring(bytes(32)))  # lengths need settings, but no key
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for one in with_plaintext_lengths(s3, config, {"Bucket": bucket}, page).get("Contents") or []:
            if not one["Key"].endswith(SUFFIX):
                modified = one["LastModified"].strftime("%Y-%m-%dT%H:%M:%SZ")
                rows.append({"key": one["Key"], "size": one["Size"], "modified": modified})
    return rows


def upload(
    client: Any, path: Path, target: tuple[str, str], extra: dict[str, str], progress: Progress
) -> None:
    progress.expect(path.stat().st_size)
    client.upload_file(str(path), *target, ExtraArgs=extra or None, Callback=progress.advance)


def download(client: Any, source: tuple[str, str], path: Path, progress: Progress) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    client.download_file(*source, str(path), Callback=progress.advance)


def sync(client: Any, source: str, target: str, options: SyncOptions, progress: Progress) -> Done:
    """Folder to prefix, or prefix to folder."""
    if source.startswith("s3://") == target.startswith("s3://"):
        raise ClientConfigError("one of the two is a folder, the other s3://BUCKET/PREFIX")
    if target.startswith("s3://"):
        return _sync_up(client, Path(source), split(target), options, progress)
    return _sync_down(client, split(source), Path(target), options, progress)


def _sync_up(
    client: Any, folder: Path, target: tuple[str, str], options: SyncOptions, progress: Progress
) -> Done:
    if not folder.is_dir():
        raise ClientConfigError(f"{folder} is not a folder")
    bucket, prefix = target[0], _as_folder(target[1])
    there = {} if options.everything else _remote(client, bucket, prefix)
    here = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
    done = Done()
    tasks: list[tuple[str, Callable[[], None]]] = []
    for name, path in here.items():
        if name.endswith(SUFFIX):
            done.failures.append(f"{prefix}{name}: names that end in {SUFFIX} belong to instruction files")
            continue
        told, entry = path.stat(), there.get(name)
        same = entry is not None and entry["Size"] == told.st_size
        if entry is not None and same and entry["LastModified"].timestamp() >= told.st_mtime:
            done.unchanged += 1
            continue
        key = f"{prefix}{name}"
        tasks.append((key, partial(upload, client, path, (bucket, key), options.extra, progress=progress)))
    done.copied = _run(tasks, options.parallel, done)
    if options.delete:
        for name in there.keys() - here.keys():
            client.delete_object(Bucket=bucket, Key=f"{prefix}{name}")
            done.removed += 1
    return done


def _sync_down(
    client: Any, source: tuple[str, str], folder: Path, options: SyncOptions, progress: Progress
) -> Done:
    bucket, prefix = source[0], _as_folder(source[1])
    there = _remote(client, bucket, prefix)
    done = Done()
    tasks: list[tuple[str, Callable[[], None]]] = []
    for name, entry in there.items():
        if name.endswith("/") or not name:
            continue
        try:
            path = inside(folder, name)
        except ClientConfigError as exc:
            done.failures.append(f"{prefix}{name}: {exc}")
            continue
        if path.is_file() and not options.everything:
            told = path.stat()
            if told.st_size == entry["Size"] and told.st_mtime >= entry["LastModified"].timestamp():
                done.unchanged += 1
                continue
        progress.expect(entry["Size"])
        key = f"{prefix}{name}"
        tasks.append((key, partial(download, client, (bucket, key), path, progress)))
    done.copied = _run(tasks, options.parallel, done)
    if options.delete and folder.is_dir():
        for path in [path for path in folder.rglob("*") if path.is_file()]:
            if path.relative_to(folder).as_posix() not in there:
                path.unlink()
                done.removed += 1
    return done


def inside(folder: Path, name: str) -> Path:
    """The file of an object below `folder`. Raises ClientConfigError for names that lead elsewhere."""
    path = Path(os.path.normpath(folder / name))
    if name.startswith("/") or ".." in Path(name).parts or not path.is_relative_to(os.path.normpath(folder)):
        raise ClientConfigError(f"the object {name!r} has a name that leads out of the folder")
    return path


def remove(s3: Any, target: str, *, recursive: bool) -> Done:
    """Delete one object and its instruction file, or everything in a folder or bucket."""
    bucket, key = split(target)
    if not key and not recursive:
        raise ClientConfigError("a bucket is emptied only with --recursive")
    keys = [row["Key"] for row in objects(s3, bucket, _as_folder(key))] if recursive else [key, f"{key}{SUFFIX}"]
    done = Done()
    for at in range(0, len(keys), _DELETED_AT_ONCE):
        named = [{"Key": one} for one in keys[at : at + _DELETED_AT_ONCE]]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": named, "Quiet": True})
        failed = answer.get("Errors") or []
        done.failures += [f"{one['Key']}: {one['Code']}" for one in failed]
        done.removed += len(named) - len(failed)
    if not recursive:
        done.removed = min(1, done.removed)  # an instruction file is no object of its own
    return done


def scan(s3: Any, prefix: str, parallel: int) -> list[dict[str, Any]]:
    """One row for each object but instruction files: key, format, wrap, described_by, instruction_file."""
    bucket, start = split(prefix)
    keys = [row["Key"] for row in objects(s3, bucket, start)]
    beside = {key.removesuffix(SUFFIX) for key in keys if key.endswith(SUFFIX)}
    wanted = [key for key in keys if not key.endswith(SUFFIX)]
    with ThreadPoolExecutor(parallel, thread_name_prefix="s3al-scan") as threads:
        return list(threads.map(lambda key: _scanned(s3, bucket, key, has_file=key in beside), wanted))


def _scanned(s3: Any, bucket: str, key: str, *, has_file: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"key": key, "format": "plaintext", "wrap": None, "described_by": None}
    row["instruction_file"] = False
    try:
        envelope = envelope_without_policy(s3, bucket, key, has_file=has_file)
    except PlaintextObjectError:
        return row
    except (EnvelopeError, ClientError):
        return row | {"format": "unreadable"}
    description = {name: value for name, value in envelope.description.items() if not name.startswith("aws:")}
    described = ",".join(f"{name}={value}" for name, value in sorted(description.items())) or None
    return row | {
        "format": envelope.object_format.value,
        "wrap": envelope.wrap.value,
        "described_by": described or kms_key_of(envelope),
        "instruction_file": envelope.in_instruction_file,
    }


def kms_key_of(envelope: Envelope) -> str | None:
    """The key id in a blob of s3al's KMS, which names it; other KMS's blobs tell nobody but them."""
    from s3al.crypto.keys import parse_kms_blob

    try:
        return parse_kms_blob(envelope.wrapped_key).key_id if envelope.wrap.with_kms else None
    except S3alError:
        return None


def envelope_without_policy(s3: Any, bucket: str, key: str, *, has_file: bool) -> Envelope:
    """What an object's envelope says, whether or not it might be read."""
    head = s3.head_object(Bucket=bucket, Key=key)
    entries = entries_of(head.get("Metadata") or {})
    if not key_is_elsewhere(entries) or not has_file:
        return decode(entries)
    from s3al.client.formats.text import decode_instruction_file

    return decode(entries, decode_instruction_file(fetch_instruction_file(s3, {"Bucket": bucket, "Key": key}, SUFFIX)))


def rekey(
    old: S3EncryptionClient, new: S3EncryptionClient, prefix: str, parallel: int, progress: Progress
) -> Done:
    """Every encrypted object that `old` opens: under the writing key of `new`. Plaintext objects are left."""
    bucket, start = split(prefix)
    done, s3 = Done(), old.wrapped_s3_client
    rows = scan(s3, prefix if start else f"s3://{bucket}", parallel)
    tasks: list[tuple[str, Callable[[], None]]] = []
    wrapped: list[tuple[str, Callable[[], None]]] = []
    for row in rows:
        key = row["key"]
        if row["format"] in {"plaintext", "unreadable"}:
            done.unchanged += 1
        elif row["instruction_file"] and row["format"] != "V1":
            named = {"Bucket": bucket, "Key": key}
            wrapped.append((key, partial(old.reencrypt_instruction_file, new.config.keyring, **named)))
        else:
            tasks.append((key, partial(_sealed_anew, old, new, (bucket, key), kind=row["format"])))
    done.rewrapped = _run(wrapped, parallel, done)
    done.copied = _run(tasks, parallel, done)
    progress.advance(0)
    return done


def _sealed_anew(old: S3EncryptionClient, new: S3EncryptionClient, named: tuple[str, str], *, kind: str) -> None:
    bucket, key = named
    extra = {"format": "stream"} if kind == "stream" else None
    new.copy({"Bucket": bucket, "Key": key}, bucket, key, ExtraArgs=extra, SourceClient=old)


def _remote(client: Any, bucket: str, prefix: str) -> dict[str, dict[str, Any]]:
    """Name below the prefix -> entry of the list, instruction files left out."""
    found = {one["Key"].removeprefix(prefix): one for one in objects(client, bucket, prefix)}
    return {name: one for name, one in found.items() if not name.endswith(SUFFIX)}


def _as_folder(prefix: str) -> str:
    return f"{prefix.rstrip('/')}/" if prefix else ""


def _run(tasks: Iterable[tuple[str, Callable[[], None]]], parallel: int, done: Done) -> int:
    """How many succeeded; the others are told in `done.failures`."""
    succeeded = 0
    with ThreadPoolExecutor(parallel, thread_name_prefix="s3al-bulk") as threads:
        futures = {threads.submit(run): name for name, run in tasks}
        for future in as_completed(futures):
            try:
                future.result()
                succeeded += 1
            except _FAILURES as exc:
                done.failures.append(f"{futures[future]}: {exc}")
    done.failures.sort()
    return succeeded



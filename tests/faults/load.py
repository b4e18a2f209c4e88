"""The mixed load of a campaign: one `Client` per thread, which does random operations and writes down what it was told.

What lives here: the operations and their outcomes. What does not: what may be found afterwards (model), verification
and kills (campaign).

Laws: a client touches only its own keys, except races; an answer below 500 is believed, everything else means that the
operation may or may not have happened; an operation that takes longer than `STALL_S` fails the campaign.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from .model import Content, Current, Joined, KmsKey, Model, Race, Upload, Versions

PLAIN, VERSIONED = "plain", "versioned"
STALL_S = 30
PART = 5 << 20
_KEYS = 8
_MOST_VERSIONS = 8
_MOST_KMS_KEYS = 4
UNANSWERED = (BotoCoreError, HTTPError, OSError)


class Unknown(Exception):
    """No answer: the operation may or may not have happened."""


class Refused(Exception):
    """The server said no, with this code: nothing happened."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Races:
    """Keys that all clients try to create. epoch: changes with each round, so that the keys are new."""

    epoch: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    known: dict[str, Race] = field(default_factory=dict)


@dataclass
class Client:
    """One thread's load. big: how often, of 1, a body is large."""

    model: Model
    s3: Any
    kms: Any
    kms_key: str
    races: Races
    choose: random.Random
    stop: threading.Event
    big: float = 0.08
    codes: dict[str, int] = field(default_factory=dict)

    def run(self) -> None:
        while not self.stop.is_set():
            operation = self.choose.choices(_OPERATIONS, _WEIGHTS)[0]
            started = time.monotonic()
            try:
                operation(self)
                self.model.counts[operation.__name__] += 1
            except Unknown:
                self.model.counts["without an answer"] += 1
                time.sleep(0.02)
            except Refused as refused:
                raise AssertionError(f"{operation.__name__} was refused: {refused.code}") from refused
            took_s = time.monotonic() - started
            assert took_s < STALL_S, f"{operation.__name__} took {took_s:.0f} s"

    def call(self, function: Callable[..., Any], **arguments: Any) -> Any:
        try:
            return function(**arguments)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            code = error.response["Error"]["Code"]
            if status >= 500:
                self.codes[f"{status} {code}"] = self.codes.get(f"{status} {code}", 0) + 1
                raise Unknown from error
            raise Refused(code) from error
        except UNANSWERED as error:
            raise Unknown from error

    # --- a bucket without versions

    def put(self) -> None:
        object_key, known = self._current()
        self._write(object_key, known, self._content(), **self._mode())

    def put_on_condition(self) -> None:
        object_key, known = self._current()
        if not known.certain:
            return
        exists = known.possible[0] is not None
        right = self.choose.random() < 0.6
        if exists and known.etag is not None:
            condition = {"IfMatch": known.etag if right else '"' + "0" * 32 + '"'}
            expected = None if right else "PreconditionFailed"
        else:
            condition, expected = {"IfNoneMatch": "*"}, "PreconditionFailed" if exists else None
        try:
            self._write(object_key, known, self._content(), **condition)
            assert expected is None, f"{object_key}: {condition} should have been refused"
        except Refused as refused:
            assert refused.code == expected, f"{object_key}: {condition} was answered {refused.code}"

    def delete(self) -> None:
        object_key, known = self._current()
        try:
            self.call(self.s3.delete_object, Bucket=PLAIN, Key=object_key)
            known.became(None)
        except Unknown:
            known.perhaps(None)
            raise

    def copy(self) -> None:
        source_key, source = self._current()
        object_key, known = self._current()
        if not source.certain or source.possible[0] is None or source_key == object_key:
            return
        body = source.possible[0]
        try:
            told = self.call(
                self.s3.copy_object, Bucket=PLAIN, Key=object_key, CopySource=f"{PLAIN}/{source_key}", **self._mode()
            )
            known.became(body, told["CopyObjectResult"]["ETag"])
        except Unknown:
            known.perhaps(body)
            raise

    def get(self) -> None:
        object_key, known = self._current()
        try:
            found = self.call(_read, s3=self.s3, object_key=object_key)
        except Refused as refused:
            assert refused.code == "NoSuchKey", refused.code
            found = None
        fits = [(found is None) if body is None else body.matches(found or b"") for body in known.possible]
        assert any(fits), f"{object_key}: {found and len(found)} bytes while serving, possible {known.possible}"

    def race(self) -> None:
        object_key = f"race/{self.races.epoch}/{self.choose.randrange(6)}"
        with self.races.lock:
            race = self.races.known.setdefault(object_key, Race())
        body = self._content()
        try:
            self.call(self.s3.put_object, Bucket=PLAIN, Key=object_key, Body=body.bytes(), IfNoneMatch="*")
            race.won.append(body)
        except Refused as refused:
            assert refused.code in ("PreconditionFailed", "ConditionalRequestConflict"), refused.code
            with self.races.lock:
                race.lost += refused.code == "PreconditionFailed"
        except Unknown:
            race.perhaps.append(body)
            raise

    # --- multipart

    def begin_upload(self) -> None:
        object_key = f"{self.model.name}/upload{self.choose.randrange(3)}"
        if len(self.model.uploads) > 3:
            return
        try:
            told = self.call(self.s3.create_multipart_upload, Bucket=PLAIN, Key=object_key)
            self.model.uploads[told["UploadId"]] = Upload(object_key)
        except Unknown:
            self.model.perhaps_uploads[object_key] += 1
            raise

    def upload_part(self) -> None:
        chosen = self._upload()
        if chosen is None:
            return
        upload_id, upload = chosen
        number = self.choose.randrange(1, 4)
        body = self._content(PART if number < 3 else self.choose.randrange(1, 200_000))
        try:
            self.call(
                self.s3.upload_part,
                Bucket=PLAIN, Key=upload.object_key, UploadId=upload_id, PartNumber=number, Body=body.bytes(),
            )  # fmt: skip
            upload.parts[number] = [body]
        except Unknown:
            upload.parts.setdefault(number, [None]).append(body)
            raise

    def complete_upload(self) -> None:
        chosen = self._upload()
        if chosen is None or not chosen[1].parts:
            return
        upload_id, upload = chosen
        sure = {number: one[0] for number, one in sorted(upload.parts.items()) if len(one) == 1 and one[0]}
        parts = [{"PartNumber": number, "ETag": part.etag()} for number, part in sure.items()]
        if not parts:
            return
        known = self.model.current.setdefault(upload.object_key, Current())
        self.model.dirty.add(upload.object_key)
        body = Joined(tuple(sure.values()))
        try:
            told = self.call(
                self.s3.complete_multipart_upload,
                Bucket=PLAIN, Key=upload.object_key, UploadId=upload_id, MultipartUpload={"Parts": parts},
            )  # fmt: skip
        except Unknown:
            upload.perhaps_gone = True
            known.perhaps(body)
            raise
        del self.model.uploads[upload_id]
        known.became(body, told["ETag"])

    def abort_upload(self) -> None:
        chosen = self._upload()
        if chosen is None:
            return
        upload_id, upload = chosen
        try:
            self.call(self.s3.abort_multipart_upload, Bucket=PLAIN, Key=upload.object_key, UploadId=upload_id)
            del self.model.uploads[upload_id]
        except Unknown:
            upload.perhaps_gone = True
            raise

    # --- a bucket with versions

    def put_version(self) -> None:
        object_key, known = self._versions()
        if len(known.told) > _MOST_VERSIONS:
            return
        body = self._content()
        try:
            told = self.call(self.s3.put_object, Bucket=VERSIONED, Key=object_key, Body=body.bytes(), **self._mode())
            known.told[told["VersionId"]], known.newest = body, told["VersionId"]
        except Unknown:
            known.perhaps_added.append(body)
            known.newest = None
            raise

    def mark_deleted(self) -> None:
        object_key, known = self._versions()
        if len(known.told) > _MOST_VERSIONS:
            return
        try:
            told = self.call(self.s3.delete_object, Bucket=VERSIONED, Key=object_key)
            known.told[told["VersionId"]], known.newest = None, told["VersionId"]
        except Unknown:
            known.perhaps_added.append(None)
            known.newest = None
            raise

    def remove_version(self) -> None:
        object_key, known = self._versions()
        if len(known.told) < 3:
            return
        version = self.choose.choice(list(known.told))
        try:
            self.call(self.s3.delete_object, Bucket=VERSIONED, Key=object_key, VersionId=version)
            known.told.pop(version)
            known.newest = None if known.newest == version else known.newest
            known.perhaps_removed.discard(version)
        except Unknown:
            known.perhaps_removed.add(version)
            raise

    # --- KMS

    def create_kms_key(self) -> None:
        if len(self.model.keys) < _MOST_KMS_KEYS:
            told = self.call(self.kms.create_key)
            self.model.keys.append(KmsKey(told["KeyMetadata"]["KeyId"]))

    def seal(self) -> None:
        key = self._kms_key()
        if key is None or key.states != {"Enabled"} or len(key.sealed) > 40:
            return
        if self.choose.random() < 0.5:
            told = self.call(self.kms.generate_data_key, KeyId=key.key_id, KeySpec="AES_256")
            key.sealed.append((told["CiphertextBlob"], told["Plaintext"]))
        else:
            plaintext = self.choose.randbytes(50)
            told = self.call(self.kms.encrypt, KeyId=key.key_id, Plaintext=plaintext)
            key.sealed.append((told["CiphertextBlob"], plaintext))

    def switch_kms_key(self) -> None:
        key = self._kms_key()
        if key is None:
            return
        state, function = self.choose.choice(
            [("Enabled", self.kms.enable_key), ("Enabled", self.kms.enable_key), ("Disabled", self.kms.disable_key)]
        )
        try:
            self.call(function, KeyId=key.key_id)
            key.states = {state}
        except Unknown:
            key.states.add(state)
            raise

    def create_alias(self) -> None:
        key = self._kms_key()
        if key is None or len(key.aliases) > 3:
            return
        alias = f"alias/{self.model.name}-{self.choose.randrange(1 << 40):x}"
        key.aliases[alias] = False
        self.call(self.kms.create_alias, AliasName=alias, TargetKeyId=key.key_id)
        key.aliases[alias] = True

    # --- choices

    def _write(self, object_key: str, known: Current, body: Content, **arguments: Any) -> None:
        try:
            told = self.call(self.s3.put_object, Bucket=PLAIN, Key=object_key, Body=body.bytes(), **arguments)
            known.became(body, told["ETag"])
        except Unknown:
            known.perhaps(body)
            raise

    def _content(self, size: int | None = None) -> Content:
        if size is None:
            small, large = (0, 40_000), (100_000, 6 << 20)
            size = self.choose.randrange(*(large if self.choose.random() < self.big else small))
        return Content(self.choose.getrandbits(60), size)

    def _mode(self) -> dict[str, str]:
        mode = self.choose.choice(["", "", "", "aws:kms", "aws:kms:dsse"])
        return {"ServerSideEncryption": mode, "SSEKMSKeyId": self.kms_key} if mode else {}

    def _current(self) -> tuple[str, Current]:
        object_key = f"{self.model.name}/key{self.choose.randrange(_KEYS)}"
        self.model.dirty.add(object_key)
        return object_key, self.model.current.setdefault(object_key, Current())

    def _versions(self) -> tuple[str, Versions]:
        object_key = f"{self.model.name}/versions{self.choose.randrange(3)}"
        return object_key, self.model.versions.setdefault(object_key, Versions())

    def _upload(self) -> tuple[str, Upload] | None:
        sure = [one for one in self.model.uploads.items() if not one[1].perhaps_gone]
        return self.choose.choice(sure) if sure else None

    def _kms_key(self) -> KmsKey | None:
        return self.choose.choice(self.model.keys) if self.model.keys else None


def _read(*, s3: Any, object_key: str) -> bytes:
    body: bytes = s3.get_object(Bucket=PLAIN, Key=object_key)["Body"].read()
    return body


_TABLE: list[tuple[Callable[[Client], None], int]] = [
    (Client.put, 24),
    (Client.put_on_condition, 8),
    (Client.delete, 6),
    (Client.copy, 6),
    (Client.get, 10),
    (Client.race, 4),
    (Client.begin_upload, 3),
    (Client.upload_part, 5),
    (Client.complete_upload, 2),
    (Client.abort_upload, 1),
    (Client.put_version, 12),
    (Client.mark_deleted, 4),
    (Client.remove_version, 7),
    (Client.create_kms_key, 1),
    (Client.seal, 6),
    (Client.switch_kms_key, 2),
    (Client.create_alias, 2),
]
_OPERATIONS = [row[0] for row in _TABLE]
_WEIGHTS = [row[1] for row in _TABLE]

"""kill -9 under load, again and again: nothing acknowledged is lost, nothing half done is seen, no repair is needed.

Every writer owns its keys, so that a model of each is exact: after an answer the key has one value; after a request
that got no answer it has the old or the new one. S3AL_KILLS sets the number of kills (4 unless told otherwise).
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from s3al.config import ServeConfig
from s3al.offline import check
from support.processes import eventually
from support.server_process import ServerProcess

KILLS = int(os.environ.get("S3AL_KILLS", "4"))
WRITERS = 4
KEYS = 6
ACTS_BETWEEN_KILLS = 40
BUCKET = "killed"
GONE = None


@dataclass
class Writer:
    """One thread of load and the model of its keys: object key -> the values it may have."""

    number: int
    client: Any
    choose: random.Random
    model: dict[str, set[bytes | None]] = field(default_factory=dict)
    acts: int = 0
    unanswered: int = 0
    failure: BaseException | None = None

    def run(self, ended: threading.Event) -> None:
        acts = (self._put_small, self._put_large, self._delete, self._upload, self._copy, self._read)
        while not ended.is_set():
            try:
                self.choose.choice(acts)(f"{self.number}/{self.choose.randrange(KEYS)}")
                self.acts += 1
            except (ClientError, BotoCoreError):
                self.unanswered += 1
                ended.wait(0.05)
            except BaseException as failure:
                self.failure = failure
                return

    def _write(self, key: str, value: bytes | None, act: Callable[[], Any]) -> None:
        before = self.model.setdefault(key, {GONE})
        self.model[key] = before | {value}
        act()
        self.model[key] = {value}

    def _put(self, key: str, size: int) -> None:
        body = self.choose.randbytes(size)
        self._write(key, body, lambda: self.client.put_object(Bucket=BUCKET, Key=key, Body=body))

    def _put_small(self, key: str) -> None:
        self._put(key, self.choose.randrange(2000))

    def _put_large(self, key: str) -> None:
        self._put(key, 100_000 + self.choose.randrange(1_500_000))

    def _delete(self, key: str) -> None:
        self._write(key, GONE, lambda: self.client.delete_object(Bucket=BUCKET, Key=key))

    def _upload(self, key: str) -> None:
        place = {"Bucket": BUCKET, "Key": key}
        place["UploadId"] = self.client.create_multipart_upload(**place)["UploadId"]
        body = self.choose.randbytes(50_000)
        part = {"PartNumber": 1, "ETag": self.client.upload_part(**place, PartNumber=1, Body=body)["ETag"]}
        done = {"Parts": [part]}
        self._write(key, body, lambda: self.client.complete_multipart_upload(**place, MultipartUpload=done))

    def _copy(self, key: str) -> None:
        source = f"{self.number}/{self.choose.randrange(KEYS)}"
        values = self.model.get(source, {GONE})
        if len(values) > 1 or values == {GONE}:
            return
        (value,) = values
        origin = {"Bucket": BUCKET, "Key": source}
        directive = {"MetadataDirective": "REPLACE"} if source == key else {}
        self._write(key, value, lambda: self.client.copy_object(Bucket=BUCKET, Key=key, CopySource=origin, **directive))

    def _read(self, key: str) -> None:
        self.compare(key)

    def compare(self, key: str) -> None:
        """What is stored is a value the key may have; from now on it is that one."""
        possible = self.model.setdefault(key, {GONE})
        try:
            found: bytes | None = self.client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        except ClientError as refused:
            if refused.response["Error"]["Code"] != "NoSuchKey":
                raise
            found = GONE
        assert found in possible, f"{key}: a value that nobody was told of, or an old one"
        self.model[key] = {found}


def test_nothing_acknowledged_is_lost_whoever_is_killed(tmp_path: Path) -> None:
    seed = int(os.environ.get("S3AL_SEED", "0")) or random.SystemRandom().randrange(1 << 32)
    print(f"S3AL_SEED={seed}")
    choose = random.Random(seed)
    server = ServerProcess(tmp_path / "server", ("--workers", "2")).start()
    config = Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=30)
    server.client().create_bucket(Bucket=BUCKET)
    writers = [Writer(n, server.client(config=config), random.Random(seed + n)) for n in range(WRITERS)]
    kills = {"group": server.kill_group, "main": server.kill_main, "worker": server.kill_worker}
    for number in range(KILLS):
        ended = threading.Event()
        threads = [threading.Thread(target=writer.run, args=(ended,)) for writer in writers]
        begun = sum(writer.acts for writer in writers)
        for thread in threads:
            thread.start()
        try:
            some = choose.randrange(ACTS_BETWEEN_KILLS)
            eventually("work is done", lambda: sum(w.acts for w in writers) >= begun + some)  # noqa: B023
            victim = list(kills)[number % 3]
            kills[victim]()
        finally:
            ended.set()
            for thread in threads:
                thread.join()
        if victim != "worker":
            server.start()
        for writer in writers:
            assert writer.failure is None, writer.failure
            for key in list(writer.model):
                writer.compare(key)
    assert server.log_events("unforeseen") == server.log_events("integrity") == []
    assert server.stop() == 0
    report = check(ServeConfig(data=server.data, config_home=server.config_home / "s3al"))
    assert report.damage == []
    assert sum(writer.acts for writer in writers) > KILLS

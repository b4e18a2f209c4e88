"""A campaign of kills: mixed load, `kill -9` at a random instant, and a look at everything; again and again.

    make faults                                     200 kills
    python -m faults.campaign --kills N --seed S    (with tests/ on PYTHONPATH) that many, by that seed

What lives here: the rounds and what is looked at after each. What does not: the load (load), what may be found (model).

Laws: after each kill nothing that was acknowledged is lost, nothing half-written is visible, garbage goes (by `s3al
check` in half of the rounds, by the restarted server alone in the other half), no repair step is needed, and processes
hold no more than before. The seed decides victims, instants and operations; what the machine makes of them varies.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from s3al import app, offline
from s3al.config import ServeConfig
from s3al.store.files import FileBlobs
from s3al.store.inspection import inspect_blobs
from s3al.store.layout import open_folder
from support.processes import children_of, eventually, is_alive
from support.server_process import ServerProcess

from .load import PLAIN, VERSIONED, Client, Races
from .model import Model, Versions, settle_current, settle_parts, settle_race, settle_versions

CLIENTS = 4
WORKERS = 3
MOST_MEMORY_BYTES = 300 << 20  # of one process
_VICTIMS = {"the group": 3, "the main process": 3, "a worker": 3, "the group while it starts": 1, "the root": 1}
_ONCE = Config(
    retries={"total_max_attempts": 1}, max_pool_connections=16, connect_timeout=10, read_timeout=25,
    response_checksum_validation="when_required",
)  # fmt: skip
_PATIENT = _ONCE.merge(Config(retries={"total_max_attempts": 6, "mode": "standard"}))


@dataclass
class Campaign:
    """folder: for everything. kills: how many. longest_s: of load before a kill. full_every: rounds between looks at
    every key rather than those that were touched."""

    folder: Path
    kills: int
    seed: int
    longest_s: float = 1.5
    big: float = 0.15
    say: Any = print
    counts: Counter[str] = field(default_factory=Counter)
    most_memory_bytes: int = 0
    most_descriptors: int = 0

    def run(self) -> None:
        self.choose = random.Random(self.seed)
        self.say(f"seed {self.seed}: {self.kills} kills")
        self.server = ServerProcess(self.folder / "server", ("--workers", str(WORKERS))).start()
        self.s3, self.kms = (self.server.client(name, config=_ONCE) for name in ("s3", "kms"))
        # While the root's process starts again, what needs it is refused for a moment.
        self.patient = tuple(self.server.client(name, config=_PATIENT) for name in ("s3", "kms"))
        for bucket in (PLAIN, VERSIONED):
            self.s3.create_bucket(Bucket=bucket)
        self.s3.put_bucket_versioning(Bucket=VERSIONED, VersioningConfiguration={"Status": "Enabled"})
        self.kms_key = self.kms.create_key()["KeyMetadata"]["Arn"]
        self.models = [Model(f"client{number}") for number in range(CLIENTS)]
        self.races = Races()
        self.idle_descriptors = max(map(_descriptors, self._pids()))
        victims = list(_VICTIMS)
        order = victims + self.choose.choices(victims, list(_VICTIMS.values()), k=self.kills)
        try:
            for number, victim in enumerate(order[: self.kills]):
                self._round(number, victim)
        finally:
            self.server.stop()
        self._sound(removing=True)
        assert self.server.log_events("unforeseen") == [], "the server met an exception that nobody expected"

    def _round(self, number: int, victim: str) -> None:
        started = time.monotonic()
        self.races.epoch = number
        after_s = self.choose.uniform(0.05, self.longest_s)
        self._load_and_kill(victim, after_s)
        by_check = self.choose.random() < 0.5
        before = self._blobs() if not by_check else set()
        if self.server.process.poll() is not None:
            if by_check:
                self._sound(removing=True)
            if victim == "the group while it starts":
                self._kill_while_starting()
            self.server.start()
        self.looking = self.patient if victim == "the root" else (self.s3, self.kms)
        self._verify()
        self._swept()
        self.counts["blobs that the server removed after kills"] += len(before - self._blobs())
        self._held(number)
        self.counts[victim] += 1
        self.say(f"{number + 1}: killed {victim} after {after_s:.2f} s; sound ({time.monotonic() - started:.1f} s)")

    # --- load and kill

    def _load_and_kill(self, victim: str, after_s: float) -> None:
        stop = threading.Event()
        clients = [
            Client(
                model, self.s3, self.kms, self.kms_key, self.races, random.Random(self.choose.getrandbits(60)), stop,
                self.big,
            )
            for model in self.models
        ]  # fmt: skip
        with ThreadPoolExecutor(CLIENTS) as pool:
            running = [pool.submit(client.run) for client in clients]
            time.sleep(after_s)
            try:
                if victim == "a worker":
                    self.server.kill_worker(self.choose.randrange(WORKERS))
                    time.sleep(self.choose.uniform(0, 0.3))  # the others go on
                elif victim == "the root":
                    os.kill(self.server.root_pid(), signal.SIGKILL)
                    time.sleep(self.choose.uniform(0.2, 1.0))
                elif victim == "the main process":
                    self.server.kill_main()
                else:
                    self.server.kill_group()
            finally:
                stop.set()
            for one in running:
                one.result()
        for client in clients:
            self.counts.update(client.codes)

    def _kill_while_starting(self) -> None:
        """No load, but the store is opened, and swept, when it ends."""
        before = set(children_of(os.getpid()))
        delay_s = self.choose.uniform(0.2, 2.5)

        def kill() -> None:
            time.sleep(delay_s)
            for pid in set(children_of(os.getpid())) - before:
                if is_alive(pid) and os.getpgid(pid) == pid:
                    os.killpg(pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            self.server.start()
        except (AssertionError, OSError):
            pass  # it ended before it said anything
        finally:
            killer.join()
        self.server.process.wait()

    # --- what must hold

    def _verify(self) -> None:
        with ThreadPoolExecutor(CLIENTS) as pool:
            for done in [pool.submit(self._verify_client, model) for model in self.models]:
                done.result()
        for object_key, race in self.races.known.items():
            settle_race(object_key, race, self._get(PLAIN, object_key))
            self.looking[0].delete_object(Bucket=PLAIN, Key=object_key)
        self.races.known.clear()
        listed = {entry["Key"] for entry in self.looking[0].list_objects_v2(Bucket=PLAIN).get("Contents", [])}
        expected = {key for model in self.models for key, known in model.current.items() if known.possible[0]}
        assert listed == expected, f"the listing has {listed - expected} and lacks {expected - listed}"

    def _verify_client(self, model: Model) -> None:
        touched = {key for key, known in model.current.items() if key in model.dirty or not known.certain}
        for object_key in touched:
            settle_current(object_key, model.current[object_key], self._get(PLAIN, object_key))
        model.dirty.clear()
        self._verify_versions(model)
        self._verify_uploads(model)
        self._verify_keys(model)

    def _verify_versions(self, model: Model) -> None:
        listed = self.looking[0].list_object_versions(Bucket=VERSIONED, Prefix=model.name + "/")
        assert not listed["IsTruncated"]
        markers = [marker | {"Size": None} for marker in listed.get("DeleteMarkers", [])]
        entries = [*reversed(listed.get("Versions", [])), *reversed(markers)]
        latest = {entry["Key"]: entry["VersionId"] for entry in entries if entry["IsLatest"]}
        found: dict[str, dict[str, bytes | None]] = {}
        for entry in entries:
            body = None
            if entry["Size"] is not None:
                body = self._get(VERSIONED, entry["Key"], VersionId=entry["VersionId"])
                assert body is not None and len(body) == entry["Size"]
            found.setdefault(entry["Key"], {})[entry["VersionId"]] = body
        for object_key in {*model.versions, *found}:
            versions = model.versions.setdefault(object_key, Versions())
            settle_versions(object_key, versions, found.get(object_key, {}), latest.get(object_key, ""))

    def _verify_uploads(self, model: Model) -> None:
        listed = self.looking[0].list_multipart_uploads(Bucket=PLAIN, Prefix=model.name + "/").get("Uploads", [])
        found = {entry["UploadId"]: entry["Key"] for entry in listed}
        for upload_id, upload in list(model.uploads.items()):
            if upload_id not in found:
                assert upload.perhaps_gone, f"{upload.object_key}: an acknowledged upload is lost"
                del model.uploads[upload_id]
                continue
            del found[upload_id]
            upload.perhaps_gone = False
            parts = self.looking[0].list_parts(Bucket=PLAIN, Key=upload.object_key, UploadId=upload_id).get("Parts", [])
            settle_parts(upload, {part["PartNumber"]: (part["Size"], part["ETag"]) for part in parts})
        for upload_id, object_key in found.items():
            assert model.perhaps_uploads[object_key] > 0, f"{object_key}: an upload that nobody began"
            model.perhaps_uploads[object_key] -= 1
            self.looking[0].abort_multipart_upload(Bucket=PLAIN, Key=object_key, UploadId=upload_id)
        model.perhaps_uploads.clear()

    def _verify_keys(self, model: Model) -> None:
        for key in model.keys:
            told = self.looking[1].describe_key(KeyId=key.key_id)["KeyMetadata"]["KeyState"]
            assert told in key.states, f"a key is {told}, not {key.states}"
            key.states = {told}
            if told == "Enabled":
                for blob, plaintext in key.sealed[-8:]:
                    assert self.looking[1].decrypt(CiphertextBlob=blob)["Plaintext"] == plaintext
            listed = {entry["AliasName"] for entry in self.looking[1].list_aliases(KeyId=key.key_id)["Aliases"]}
            sure = {alias for alias, acknowledged in key.aliases.items() if acknowledged}
            assert sure <= listed <= set(key.aliases), f"aliases {listed}, acknowledged {sure}"
            key.aliases = dict.fromkeys(listed, True)

    def _get(self, bucket: str, object_key: str, **arguments: str) -> bytes | None:
        try:
            body: bytes = self.looking[0].get_object(Bucket=bucket, Key=object_key, **arguments)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            return None
        return body

    def _config(self) -> ServeConfig:
        return ServeConfig(data=self.server.data, config_home=self.server.config_home / "s3al")

    def _sound(self, *, removing: bool) -> None:
        """`s3al check` finds no damage, and leaves no garbage behind."""
        first = offline.check(self._config())
        assert not first.damage, first.lines()
        self.counts["blobs that check removed"] += first.removed_blobs
        second = offline.check(self._config())
        assert not second.damage and not second.removed_blobs, second.lines()

    def _swept(self) -> None:
        """The serving processes remove what dead ones left: blobs of the dead that nothing names go."""
        folder = open_folder(self.server.data)
        database = app.open_database(folder, self._catalog_key())
        blobs = FileBlobs(folder.blobs)
        try:

            def garbage() -> list[str]:
                live = blobs.live_incarnations()
                found = database.read_now(lambda rows: [f for f in inspect_blobs(rows, blobs) if f.is_garbage])
                return [one.where for one in found if one.where.partition("/")[0] not in live]

            eventually("the garbage of dead processes is swept", lambda: not garbage(), within_s=90)
        finally:
            blobs.close()
            database.close()
            (folder.locks / blobs.incarnation).unlink(missing_ok=True)

    def _blobs(self) -> set[str]:
        return {str(path) for path in (self.server.data / "blobs").glob("*/??/*")}

    def _catalog_key(self) -> bytes:
        if not hasattr(self, "_key"):
            self._key: bytes = app.open_keys(open_folder(self.server.data), self._config()).catalog_key
        return self._key

    def _pids(self) -> list[int]:
        return [self.server.process.pid, *children_of(self.server.process.pid)]

    def _held(self, number: int) -> None:
        """Memory and descriptors of every process."""
        memory, descriptors = zip(*((_memory_bytes(pid), _descriptors(pid)) for pid in self._pids()), strict=True)
        self.most_memory_bytes = max(self.most_memory_bytes, *memory)
        self.most_descriptors = max(self.most_descriptors, *descriptors)
        assert max(memory) < MOST_MEMORY_BYTES, f"a process holds {max(memory) >> 20} MiB after round {number}"
        assert max(descriptors) < self.idle_descriptors + 40, f"a process holds {max(descriptors)} descriptors"

    def summary(self) -> list[str]:
        told = sum((model.counts for model in self.models), Counter[str]())
        lines = [f"{name}: {count}" for table in (self.counts, told) for name, count in sorted(table.items())]
        lines.append(f"most memory of a process: {self.most_memory_bytes >> 20} MiB")
        lines.append(f"most descriptors of a process: {self.most_descriptors}, idle {self.idle_descriptors}")
        return lines


def _memory_bytes(pid: int) -> int:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def main() -> int:
    parser = argparse.ArgumentParser(prog="faults.campaign")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--keep", action="store_true", help="leave the folder of a run that failed")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="s3al-faults-"))
    campaign = Campaign(folder, given.kills, given.seed, say=lambda line: print(line, flush=True))
    started = time.monotonic()
    try:
        campaign.run()
    except BaseException:
        print(f"failed; seed {given.seed}; the store is in {folder}", file=sys.stderr)
        raise
    finally:
        print("\n".join(campaign.summary()))
    print(f"{given.kills} kills in {time.monotonic() - started:.0f} s: nothing acknowledged was lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())

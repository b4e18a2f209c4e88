"""The main job: real files up with the AWS CLI, the server killed on the way, everything down again and
equal, and no plaintext anywhere on the disk.

Run whole with `make main-job` (thousands of files, a 2 GiB file), small by tests/journeys/test_main_job.py.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import random
import secrets
import shutil
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from support.clients import program
from support.needles import NEEDLE_BYTES, sample, search_all
from support.server_process import ServerProcess

MODES = ("AES256", "aws:kms", "aws:kms:dsse", "SSE-C")
_ALPHABET = string.ascii_letters + string.digits
_MARKER_EVERY = 4096


@dataclass
class Job:
    """folder: for everything. source: the tree of real files. big_bytes: size of the large file."""

    folder: Path
    source: Path
    mode: str = "AES256"
    big_bytes: int = 2 << 30
    canaries: int = 1000
    client: str = "aws-cli-v1"
    say: Callable[[str], None] = print
    needles: dict[str, bytes] = field(default_factory=dict)
    scans: list[tuple[str, int]] = field(default_factory=list)

    def run(self) -> None:
        tls = ("--tls", "auto") if self.mode == "SSE-C" else ()
        self.server = ServerProcess(self.folder / "server", ("--workers", "2", *tls)).start()
        self.environ = self.server.client_environ(self.folder / "home")
        self._prepare_files()
        self._prepare_bucket()
        self._canaries()
        self.scan("while running")
        for name, kill in (
            ("the group", self.server.kill_group),
            ("the main process", self.server.kill_main),
            ("a worker", self.server.kill_worker),
        ):
            self._sync_and_kill(name, kill)
        self._sync(self.big.parent, "s3://job/big/")
        self._sync(self.tree, "s3://job/tree/")
        self._down_and_compare()
        self.scan("while running, all stored")
        self.server.stop()
        self.scan("after shutdown")

    # --- files

    def _prepare_files(self) -> None:
        choose = random.Random(7)
        self.tree = self.folder / "tree"
        shutil.copytree(self.source, self.tree, symlinks=False, ignore_dangling_symlinks=True)
        files = [file for file in self.tree.rglob("*") if file.is_file()]
        for number, file in enumerate(files):
            piece = sample(file.read_bytes(), choose)
            if piece:
                self.needles[f"file {number}"] = piece
        self.big = self.folder / "big" / "large.bin"
        self.big.parent.mkdir()
        marker = secrets.token_bytes(NEEDLE_BYTES)
        self.needles["marker of the large file"] = marker
        block = bytearray(secrets.token_bytes(1 << 20))
        for at in range(0, len(block), _MARKER_EVERY):
            block[at : at + NEEDLE_BYTES] = marker
        with self.big.open("wb") as file:
            for number in range(self.big_bytes >> 20):
                block[NEEDLE_BYTES : NEEDLE_BYTES + 8] = number.to_bytes(8, "big")
                file.write(block)
        self.say(f"{len(files)} files, {len(self.needles)} samples, a file of {self.big.stat().st_size} bytes")

    def _prepare_bucket(self) -> None:
        s3 = self.server.client()
        s3.create_bucket(Bucket="job")
        default: dict[str, object] = {"SSEAlgorithm": self.mode if self.mode != "SSE-C" else "AES256"}
        if self.mode.startswith("aws:kms"):
            key = self.server.client("kms").create_key(Description="main job")
            default["KMSMasterKeyID"] = key["KeyMetadata"]["Arn"]
        rule = {"ApplyServerSideEncryptionByDefault": default, "BlockedEncryptionTypes": {"EncryptionType": ["NONE"]}}
        s3.put_bucket_encryption(Bucket="job", ServerSideEncryptionConfiguration={"Rules": [rule]})
        self.customer_key = self.folder / "customer.key"
        self.customer_key.write_bytes(secrets.token_bytes(32))

    def _flags(self) -> list[str]:
        if self.mode != "SSE-C":
            return []
        return ["--sse-c", "AES256", "--sse-c-key", f"fileb://{self.customer_key}"]

    def _canaries(self) -> None:
        """Objects whose key, metadata, tags and body are random texts, each looked for later."""
        s3 = self.server.client()
        customer = {}
        if self.mode == "SSE-C":
            customer = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": self.customer_key.read_bytes()}

        def put(number: int) -> None:
            texts = {part: _text() for part in ("key", "meta", "tag", "body")}
            named = {"Bucket": "job", "Key": "canary/" + texts["key"], "Metadata": {"canary": texts["meta"]}}
            s3.put_object(**named, Body=texts["body"].encode(), Tagging=f"canary={texts['tag']}", **customer)
            for part, text in texts.items():
                self.needles[f"canary {number} {part}"] = text.encode()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put, range(self.canaries)))
        expected = {"AES256": "AES256", "SSE-C": None}.get(self.mode, self.mode)
        listed = s3.list_objects_v2(Bucket="job", Prefix="canary/", MaxKeys=1)["Contents"][0]["Key"]
        told = s3.head_object(Bucket="job", Key=listed, **customer)
        assert told.get("ServerSideEncryption") == expected, told

    # --- up, killed, up again, down

    def _client(self, *arguments: str | Path) -> list[str]:
        return [program(self.client), "s3", *map(str, arguments)]

    def _sync(self, source: Path, target: str) -> None:
        command = self._client("sync", "--no-progress", "--only-show-errors", source, target, *self._flags())
        subprocess.run(command, env=self.environ, check=True, timeout=3600)

    def _sync_and_kill(self, name: str, kill: Callable[[], None]) -> None:
        """Both uploads at once; the kill comes when the store has grown by an eighth of what is to come."""
        before = _size(self.server.data)
        quiet = subprocess.DEVNULL
        commands = [
            self._client("sync", "--only-show-errors", self.tree, "s3://job/tree/", *self._flags()),
            self._client("cp", "--only-show-errors", self.big, "s3://job/big/large.bin", *self._flags()),
        ]
        clients = [subprocess.Popen(c, env=self.environ, stdout=quiet, stderr=quiet) for c in commands]
        enough = before + (self.big_bytes + _size(self.tree)) // 8
        while any(client.poll() is None for client in clients) and _size(self.server.data) < enough:
            time.sleep(0.05)
        assert any(client.poll() is None for client in clients), "the uploads ended before the kill"
        kill()
        self.say(f"killed {name} after {_size(self.server.data) - before} bytes")
        for client in clients:
            client.kill()
            client.wait()
        self.scan(f"after killing {name}")
        if self.server.process.poll() is not None:
            self.server.start()

    def _down_and_compare(self) -> None:
        down = self.folder / "down"
        for prefix, original in (("tree", self.tree), ("big", self.big.parent)):
            command = self._client(
                "cp", "--recursive", "--only-show-errors", f"s3://job/{prefix}/", down / prefix, *self._flags()
            )
            subprocess.run(command, env=self.environ, check=True, timeout=3600)
            different = _differences(original, down / prefix)
            assert not different, f"{len(different)} files differ: {different[:5]}"
        shutil.rmtree(down)
        self.say("all came down equal")

    # --- scan

    def scan(self, when: str) -> None:
        # Small files are read whole into many needles; the log and everything in the data folder are searched.
        found, size = search_all(self.needles, [self.server.data, self.server.log_path])
        self.scans.append((when, size))
        self.say(f"scanned {size} bytes {when}: {len(found)} of {len(self.needles)} needles found")
        assert not found, found[:5]


def _text() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(32))


def _size(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(path, name)).st_size
            except FileNotFoundError:
                continue
    return total


def _differences(left: Path, right: Path) -> list[str]:
    names = {str(file.relative_to(left)) for file in left.rglob("*") if file.is_file()}
    others = {str(file.relative_to(right)) for file in right.rglob("*") if file.is_file()}
    _, mismatch, errors = filecmp.cmpfiles(left, right, sorted(names & others), shallow=False)
    return sorted(names ^ others) + mismatch + errors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=Path(sys.prefix), help="tree of real files")
    parser.add_argument("--mode", choices=MODES, action="append", help="may be repeated; all by default")
    parser.add_argument("--big-mib", type=int, default=2048)
    parser.add_argument("--client", default="aws-cli-v1")
    given = parser.parse_args()
    for mode in given.mode or MODES:
        with tempfile.TemporaryDirectory(prefix="s3al-main-job-") as folder:
            print(f"--- {mode}", flush=True)
            Job(Path(folder), given.source, mode, given.big_mib << 20, client=given.client, say=_say).run()


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    main()

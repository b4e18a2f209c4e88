"""`s3al posture` of a bucket of 100,000 objects in every mode: seconds as a user waits, and where they go.

Run it as `python bench/posture_speed.py [COUNT]`. Objects of each mode are put as anyone puts them; the rest of the
bucket is made of their rows in the stopped store, each sealed for its own place, as putting 100,000 takes minutes.
Wanted: under 60 s. Beside it, on the same server in the same run: how long boto3 takes to list the same versions, page
by page.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from s3al.config import ServeConfig, config_home  # noqa: E402
from s3al.prove.opening import opened_by  # noqa: E402
from s3al.store import catalog  # noqa: E402
from support.modes import MODES, mode_of  # noqa: E402
from support.server_process import ServerProcess  # noqa: E402
from support.settings import allow_sse_c, new_bucket, new_key  # noqa: E402

ROUNDS = 3
AT_ONCE = 5000


def furnish(server: ServerProcess, count: int) -> str:
    """A bucket of `count` objects, as many of each mode, under two materials of one key."""
    s3, bucket, key = server.client(), new_bucket(server), new_key(server)
    allow_sse_c(s3, bucket)
    for material in ("old", "new"):
        for name in MODES:
            s3.put_object(Bucket=bucket, Key=f"{name}/{material}", Body=os.urandom(100), **mode_of(name, key).put)
        server.client("kms").rotate_key_on_demand(KeyId=key)
    server.stop()
    multiply(server, bucket, count)
    server.start()
    return bucket


def multiply(server: ServerProcess, bucket: str, count: int) -> None:
    settings = ServeConfig(data=server.data, config_home=config_home({"XDG_CONFIG_HOME": str(server.config_home)}))
    with opened_by(settings) as store:
        database, s3 = store.database, store.s3
        bucket_id = database.read_now(lambda rows: catalog.find_bucket(rows, bucket)).bucket_id
        page = database.read_now(
            lambda rows: catalog.list_current(rows, bucket_id, prefix=b"", from_key=b"", limit=100)
        )
        found = [
            database.read_now(
                lambda rows, one=one: catalog.find_version(rows, bucket_id, one.object_key, one.version_id)
            )
            for one in page
        ]
        records = [s3.records.open_public(bucket_id, row.object_key, row) for row in found]

        def write(rows: Any, numbers: range) -> None:
            for number in numbers:
                row, record = found[number % len(found)], records[number % len(found)]
                object_key, object_id = row.object_key + f"/{number:06}.bin".encode(), os.urandom(16)
                sealed = s3.records.seal_public(bucket_id, object_key, row.version_id, object_id, record)
                made = replace(row, object_key=object_key, object_id=object_id, public_record=sealed)
                catalog.put_version(rows, made)

        for start in range(0, count - len(found), AT_ONCE):
            numbers = range(start, min(start + AT_ONCE, count - len(found)))
            database.write_now(lambda rows, numbers=numbers: write(rows, numbers))


def posture(environ: dict[str, str], bucket: str) -> tuple[float, dict[str, Any]]:
    began = time.perf_counter()
    command = [sys.executable, "-m", "s3al", "posture", f"s3://{bucket}", "--json"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    return time.perf_counter() - began, json.loads(done.stdout)


def listing(server: ServerProcess, bucket: str) -> float:
    began = time.perf_counter()
    pages = server.client().get_paginator("list_object_versions").paginate(Bucket=bucket)
    counted = sum(len(page["Versions"]) for page in pages)
    assert counted
    return time.perf_counter() - began


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    with tempfile.TemporaryDirectory() as folder:
        server = ServerProcess(Path(folder) / "server", ("--workers", "1", "--tls", "auto")).start()
        try:
            bucket = furnish(server, count)
            environ = server.client_environ(Path(folder) / "home") | {"AWS_REGION": server.region}
            taken, listed = [], []
            for _ in range(ROUNDS):
                seconds, told = posture(environ, bucket)
                taken.append(seconds)
                listed.append(listing(server, bucket))
            (facts,) = told["buckets"]
            assert facts["objects"]["looked_at"] == count, facts["objects"]
            print(f"{count:,} objects: {facts['objects']['modes']}, {len(facts['materials'])} materials")
            print(f"posture: best {min(taken):.1f} s, worst {max(taken):.1f} s (wanted: under 60)")
            print(f"boto3 lists the same versions: best {min(listed):.1f} s, worst {max(listed):.1f} s")
        finally:
            server.stop()


if __name__ == "__main__":
    main()

"""Writes to a database one after the other, as a process whose system calls are made to fail.

    row_process.py FOLDER WRITES [FILE_BYTES]

Each write adds a row to `buckets` and one to `bucket_settings`. FILE_BYTES: no file may grow beyond, during the middle
third of the writes. Lines: "done NAME" or "failed NAME KIND", then "sees NAME,NAME,...": what the process itself reads.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from pathlib import Path

from s3al.errors import S3alError, StoreError
from s3al.store.database import Rows
from s3al.store.layout import StoreFolder
from s3al.store.sqlite import SqliteDatabase

KEY = bytes(range(32))


def add(rows: Rows, name: str) -> None:
    bucket_id = os.urandom(16)
    rows.run("INSERT INTO buckets VALUES (?, ?, '111111111111', 'us-east-1', 1)", (bucket_id, name))
    rows.run("INSERT INTO bucket_settings VALUES (?, 'body', ?)", (bucket_id, os.urandom(20_000)))


def limit(file_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, resource.RLIM_INFINITY))


def main(folder: StoreFolder, writes: int, file_bytes: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    database = SqliteDatabase(folder.catalog, KEY, folder.locks)
    for number in range(writes):
        if file_bytes and number == writes // 3:
            limit(file_bytes)
        if file_bytes and number == writes * 2 // 3:
            limit(resource.RLIM_INFINITY)
        name = f"w{number:03}"
        try:
            database.write_now(lambda rows, name=name: add(rows, name))
            print("done", name)
        except S3alError as error:
            assert isinstance(error, StoreError)
            assert error.retryable
            print("failed", name, type(error.__cause__).__name__)
    names = database.read_now(
        lambda rows: [row[0] for row in rows.all("SELECT name FROM buckets ORDER BY name")]
    )
    print("sees", ",".join(names))
    database.close()


if __name__ == "__main__":
    main(StoreFolder(Path(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 0)

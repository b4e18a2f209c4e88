"""A worker of a store, as a process: run as a script, it writes and says what was acknowledged.

    writer_process.py FOLDER NAME TASKS WRITES      TASKS at once, WRITES each; WRITES 0: until it is killed

Each write adds a row to `buckets` and one to `bucket_settings` (both or neither must survive) and takes the next value
of the change counter. It says "opened" on stderr, waits for a line, and prints "NAME-TASK.NUMBER COUNTER MILLISECONDS"
for each acknowledged write.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

from s3al.store.database import Rows
from s3al.store.layout import StoreFolder
from s3al.store.sqlite import SqliteDatabase

KEY = bytes(range(32))


def add(rows: Rows, name: str) -> int:
    bucket_id = os.urandom(16)
    rows.run("INSERT INTO buckets VALUES (?, ?, '111111111111', 'us-east-1', 1)", (bucket_id, name))
    rows.run("INSERT INTO bucket_settings VALUES (?, 'body', ?)", (bucket_id, bytes(4096)))
    counted = rows.one("UPDATE change_counter SET value = value + 1 WHERE only_row = 1 RETURNING value")
    assert counted is not None
    return int(counted[0])


async def work(database: SqliteDatabase, name: str, task: int, writes: int) -> None:
    number = 0
    while not writes or number < writes:
        own = f"{name}-{task}.{number}"
        began = time.perf_counter()
        counted = await database.write(lambda rows, own=own: add(rows, own))
        took = (time.perf_counter() - began) * 1000
        sys.stdout.write(f"{own} {counted} {took:.3f}\n")
        if not writes:
            sys.stdout.flush()
        number += 1


async def main(folder: StoreFolder, name: str, tasks: int, writes: int) -> None:
    database = SqliteDatabase(folder.catalog, KEY, folder.locks)
    print("opened", file=sys.stderr, flush=True)
    sys.stdin.readline()
    await asyncio.gather(*(work(database, name, task, writes) for task in range(tasks)))
    database.close()


if __name__ == "__main__":
    asyncio.run(main(StoreFolder(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))

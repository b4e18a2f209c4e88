"""A PUT as far as the store is concerned, as a process to be traced: run as a script in a store's folder.

    blob_process.py FOLDER BLOBS

For each blob: write and finish it, commit a row that names it, then print "acknowledged".
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from s3al.store import catalog
from s3al.store.catalog import StreamRow
from s3al.store.files import FileBlobs
from s3al.store.layout import StoreFolder
from s3al.store.sqlite import SqliteDatabase

KEY = bytes(range(32))


def main(folder: StoreFolder, count: int) -> None:
    database = SqliteDatabase(folder.catalog, KEY, folder.locks)
    blobs = FileBlobs(folder.blobs)
    for number in range(count):
        writer = blobs.create()
        writer.write(b"sealed " * 10_000)
        writer.finish()
        stream = StreamRow(b"object %09d" % number, b"S" * 16, writer.name)
        database.write_now(lambda rows, stream=stream: catalog.insert_streams(rows, [stream]))
        os.write(1, b"acknowledged %d\n" % number)
    database.close()


if __name__ == "__main__":
    main(StoreFolder(Path(sys.argv[1])), int(sys.argv[2]))

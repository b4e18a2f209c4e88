"""File layers that fail under a whole server: any call, for any file, until they are told to stop."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from s3al.store.file_layer import FileLayer

CALLS = ("make_folder", "create", "open", "write", "read", "size", "sync", "sync_folder", "unlink")


class SwitchedLayer(FileLayer):
    """failing: which call raises OSError(error); "" for none. skip: how many of these calls pass before."""

    def __init__(self) -> None:
        self.failing, self.error, self.skip, self.failed = "", 0, 0, 0

    def fail(self, call: str, error: int, *, skip: int = 0) -> None:
        assert call in ("", *CALLS)
        self.failing, self.error, self.skip, self.failed = call, error, skip, 0

    def _pass(self, call: str) -> None:
        if call != self.failing:
            return
        if self.skip:
            self.skip -= 1
            return
        self.failed += 1
        raise OSError(self.error, os.strerror(self.error), "/a/path/that/must/not/be/told")

    def make_folder(self, path: Path) -> bool:
        self._pass("make_folder")
        return super().make_folder(path)

    def create(self, path: Path) -> int:
        self._pass("create")
        return super().create(path)

    def open(self, path: Path) -> int:
        self._pass("open")
        return super().open(path)

    def write(self, descriptor: int, data: Any) -> int:
        self._pass("write")
        return super().write(descriptor, data)

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        self._pass("read")
        return super().read(descriptor, length, offset)

    def size(self, descriptor: int) -> int:
        self._pass("size")
        return super().size(descriptor)

    def sync(self, descriptor: int) -> None:
        self._pass("sync")
        super().sync(descriptor)

    def sync_folder(self, path: Path) -> None:
        self._pass("sync_folder")
        super().sync_folder(path)

    def unlink(self, path: Path) -> None:
        self._pass("unlink")
        super().unlink(path)


class ImpatientLayer(FileLayer):
    """Writes and reads a few bytes at a time, as the system may."""

    def write(self, descriptor: int, data: bytes | bytearray | memoryview) -> int:
        return super().write(descriptor, memoryview(data)[:1013])

    def read(self, descriptor: int, length: int, offset: int) -> bytes:
        return super().read(descriptor, min(length, 1009), offset)

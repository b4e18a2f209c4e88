"""What the operations on the trail stand on, handed in by `app`."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

from s3al.store.database import Database
from s3al.trail.checkpoints import CheckpointFile, Signer
from s3al.trail.reading import TrailFolder


@dataclass(frozen=True, slots=True)
class TrailPorts:
    """executor: threads in which files are read and opened. now_ms: UTC."""

    db: Database
    folder: TrailFolder
    checkpoints: CheckpointFile
    signer: Signer
    executor: Executor
    now_ms: Callable[[], int]

"""What explaining stands on, handed in by `app`; and the table that the decorators of this room fill.

What lives here: `Explaining`, `StoreFacts` and `OPERATIONS`. What does not: the operations (one file per topic).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from s3al.iam.ports import Iam
from s3al.kms.ports import Kms
from s3al.kms.seals.opening import SealPlace
from s3al.s3.ports import S3
from s3al.service.operation import Operations
from s3al.service.refusals import Refusals
from s3al.store.database import Database


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What lies beside the rows. read_document: store.json as it is now. seal_place: of the seal that the server was
    started with, as it is now."""

    read_document: Callable[[], Mapping[str, Any]]
    seal_place: Callable[[], SealPlace]


@dataclass(frozen=True, slots=True)
class Explaining:
    """The ports of the services whose decisions and keys are explained. now_ms: UTC. region: where no request says it.
    own_operations: the names of our own API's operations, filled in once all are known. refusals: None
    remembers nothing."""

    db: Database
    s3: S3
    kms: Kms
    iam: Iam
    store: StoreFacts
    now_ms: Callable[[], int]
    region: str = "us-east-1"
    own_operations: Collection[str] = field(default_factory=frozenset)
    refusals: Refusals | None = None


OPERATIONS: Operations[Explaining] = Operations()

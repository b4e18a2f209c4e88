"""What the KMS operations stand on, handed in by `app`; and the table that their decorators fill.

What lives here: `Kms` and `OPERATIONS`. What does not: the operations (one file per topic), the gateway's view
(service).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from s3al.kms.materials import Materials
from s3al.kms.seals.port import Random
from s3al.kms.usage import Usage
from s3al.service.auditing import UNRECORDED, KeyRecorder
from s3al.service.identities import Identities
from s3al.service.operation import Operations
from s3al.store.database import Database
from s3al.store.keystore import KeyRow


def _uncounted(operation: str) -> None:
    """No metrics: for offline commands and tests."""


# Called in a write before keys' rows go, with the keys and the time; with none of them when only material goes.
Destroying = Callable[[Sequence[KeyRow], int], None]


def unrecorded(keys: Sequence[KeyRow], now_ms: int) -> None:
    """Nothing beside the rows: for tests."""


@dataclass(frozen=True, slots=True)
class Kms:
    """The ports of the KMS in one worker. count: called with the name of each cryptographic operation that was done."""

    db: Database
    materials: Materials
    random: Random
    count: Callable[[str], None] = _uncounted
    usage: Usage = field(default_factory=Usage)
    identities: Identities = field(default_factory=Identities)
    destroying: Destroying = unrecorded
    recorder: KeyRecorder = UNRECORDED


OPERATIONS: Operations[Kms] = Operations()

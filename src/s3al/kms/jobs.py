"""What the KMS does beside answering: rotate what is due, tidy what is gone, write down which keys were used.

What lives here: the list of these jobs, each for a write transaction of its own. What does not: when they run
(service.tending).

Law: nothing that is decided depends on a job having run.
"""

from __future__ import annotations

from collections.abc import Callable

from s3al.kms.keys import tidy
from s3al.kms.ports import Kms
from s3al.kms.rotation import rotate_all_due
from s3al.store.database import Rows

Job = Callable[[Rows, int], object]


def jobs_of(kms: Kms) -> tuple[Job, ...]:
    """Each takes rows and the time (UTC ms)."""
    return (
        lambda rows, now_ms: rotate_all_due(rows, kms, now_ms),
        lambda rows, now_ms: tidy(rows, now_ms, kms.destroying, kms.recorder),
        lambda rows, _: kms.usage.write(rows),
    )

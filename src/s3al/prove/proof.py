"""What a proof says: what was looked at, how, and what was found.

What lives here: `Proof`, `Seen`, the words of findings. What does not: looking.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from s3al.store.inspection import MEANINGS

FORMAT: Final = "s3al proof v1"

SEEN: Final[Mapping[str, str]] = {
    **MEANINGS,
    "catalog-page": "the catalog is inconsistent",
    "record-altered": "a record, a wrapped key or a stream does not open in its place",
    "material-altered": "a key material does not open under the root key",
    "trail-altered": "the audit trail is not whole: `s3al trail verify` says what",
    "not-ciphertext": "its bytes are too uneven to be ciphertext",
    "unexplained": "a file that belongs to no store",
}

# How the bytes of files are covered.
AUTHENTICATED: Final = "authenticated"  # every segment opened, or every page of the catalog
CLOSED: Final = "closed"  # no key of this store opens them: length and look
LOOKED_AT: Final = "looked_at"  # the root key was not there: place and look
PUBLIC: Final = "public"  # by design not secret: the store's document, locks, SQLite's index of its log
UNEXPLAINED: Final = "unexplained"
COVERS: Final = (AUTHENTICATED, CLOSED, LOOKED_AT, PUBLIC, UNEXPLAINED)


@dataclass(frozen=True, slots=True)
class Seen:
    """what: a word of SEEN. where: a path in the folder, or an object's id in hex."""

    what: str
    where: str


@dataclass
class Proof:
    """opened: whether the root key was there. authenticated_bytes: ciphertext whose every segment opened, in files and
    in rows. closed_bytes: that no key of this store opens. covered_bytes: bytes of files by how they are covered,
    together `file_bytes`. windows: of 64 KiB whose look was asked for; most_uneven, most_uneven_where: of these, in
    standard deviations.
    """

    store_id: str = ""
    at: str = ""
    opened: bool = False
    beside_a_server: bool = False
    versions: int = 0
    uploads: int = 0
    materials: int = 0
    trail_records: int = 0
    files: int = 0
    file_bytes: int = 0
    authenticated_bytes: int = 0
    closed_bytes: int = 0
    covered_bytes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COVERS, 0))
    windows: int = 0
    most_uneven: float = 0
    most_uneven_where: str = ""
    seconds: float = 0
    findings: list[Seen] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """docs/schemas/prove.json describes it, once it is signed."""
        return {"format": FORMAT, **asdict(self)}


# Told now and then: what is known so far, bytes of files done, bytes of files in all.
Progress = Callable[[Proof, int, int], None]

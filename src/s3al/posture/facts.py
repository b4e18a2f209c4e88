"""What was found: buckets, their objects by how they are encrypted, and KMS keys with their materials.

What lives here: values, and the age of a key's material. What does not: asking for them (gathering, objects,
kms_keys), judging them (rules).

Laws: None and "" mean "not known", and `unread` says why; objects are counted, not kept: of each kind a few names stand
as examples.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Final

from s3al.advice.options import DSSE_KMS, SSE_C, SSE_KMS, SSE_S3

NONE: Final = "none"  # stored without encryption
UNKNOWN: Final = "unknown"  # could not be looked at
MODES: Final = (SSE_S3, SSE_KMS, DSSE_KMS, SSE_C, NONE, UNKNOWN)
BY_HEADER: Final[Mapping[str, str]] = {"AES256": SSE_S3, "aws:kms": SSE_KMS, "aws:kms:dsse": DSSE_KMS}
EXAMPLES: Final = 5
LONGEST_NAME: Final = 200  # of an object key, on a page or a terminal


@dataclass(frozen=True, slots=True)
class Under:
    """How an object version is encrypted: those that are equal here are alike for every rule.

    mode: of MODES. kms_key: ARN as stored. material: id in hex where the server tells it. written: the day, where only
    that says which material was in use. shows_md5: its ETag is the MD5 of a plaintext that a KMS or customer key hides.
    """

    mode: str
    kms_key: str = ""
    material: str = ""
    written: date | None = None
    client_side: bool = False
    shows_md5: bool = False


@dataclass(slots=True)
class Objects:
    """Of one bucket. how: "inventory" (every version, by the server's own list) or "heads" (current objects, of which
    `looked_at` of `listed` were asked for)."""

    how: str
    counts: Counter[Under] = field(default_factory=Counter)
    examples: dict[Under, list[str]] = field(default_factory=dict)
    listed: int = 0

    def add(self, under: Under, object_key: str) -> None:
        self.counts[under] += 1
        names = self.examples.setdefault(under, [])
        if len(names) < EXAMPLES:
            names.append(object_key)

    @property
    def looked_at(self) -> int:
        return self.counts.total()

    def modes(self) -> dict[str, int]:
        """Mode -> objects, in the order of MODES, those alone that occur."""
        found: Counter[str] = Counter()
        for under, count in self.counts.items():
            found[under.mode] += count
        return {mode: found[mode] for mode in MODES if found[mode]}


@dataclass(frozen=True, slots=True)
class Bucket:
    """default_mode: NONE where there is no default encryption. default_key: as configured, "" for the managed key.
    policy: JSON, None where there is none. public_access_block: the four settings, None where there is none.
    public_grants: permissions that the ACL gives to everyone. unread: what could not be asked -> why."""

    name: str
    objects: Objects
    default_mode: str = UNKNOWN
    default_key: str = ""
    bucket_key: bool = False
    blocks_sse_c: bool = False
    policy: str | None = None
    public_access_block: Mapping[str, bool] | None = None
    public_grants: tuple[str, ...] = ()
    acls_disabled: bool = False
    unread: Mapping[str, str] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        return f"arn:aws:s3:::{self.name}"


@dataclass(frozen=True, slots=True)
class Material:
    """One key material of a KMS key. since: when it came into use; None: not known."""

    material_id: str
    since: datetime | None
    current: bool


@dataclass(frozen=True, slots=True)
class KmsKey:
    """names: by which objects and buckets call it. rotates: None: not known, or not a key that can."""

    arn: str
    names: frozenset[str]
    manager: str = ""
    state: str = ""
    origin: str = ""
    created: datetime | None = None
    policy: str | None = None
    rotates: bool | None = None
    rotation_days: int | None = None
    materials: tuple[Material, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_customers(self) -> bool:
        return self.manager == "CUSTOMER"

    def material_of(self, under: Under) -> Material | None:
        """The material under which an object lies: as told, or the one in use on the day when it was written."""
        if under.material:
            return next((each for each in self.materials if each.material_id == under.material), None)
        if under.written is None:
            return None
        end_of_day = datetime.combine(under.written, time.max, UTC)
        in_use = [each for each in self.materials if each.since is not None and each.since <= end_of_day]
        return max(in_use, key=lambda each: each.since or end_of_day, default=None)


@dataclass(frozen=True, slots=True)
class Posture:
    """Everything that was found. account_id: "" where nobody told. is_s3al: the server tells an inventory. at: when."""

    endpoint: str
    at: datetime
    is_s3al: bool
    account_id: str
    buckets: tuple[Bucket, ...]
    kms_keys: tuple[KmsKey, ...]
    unread: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0
    _by_name: dict[str, KmsKey] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._by_name.update((name, key) for key in self.kms_keys for name in key.names)

    def kms_key(self, name: str) -> KmsKey | None:
        return self._by_name.get(name)

    def users_of(self, key: KmsKey) -> Iterator[tuple[Bucket, Under, int]]:
        """Bucket, how, and how many objects lie under the key."""
        for bucket in self.buckets:
            for under, count in bucket.objects.counts.items():
                if under.kms_key in key.names:
                    yield bucket, under, count

    def age_days(self, moment: datetime | None) -> int | None:
        return None if moment is None else max(0, (self.at - moment).days)

"""Rows of the key store: KMS keys, their materials, and which root version wraps new materials.

What lives here: DDL and functions over `Rows`. What does not: aliases and tags (key_labels), grants (key_grants),
when keys were used (key_usage), what a key state means (kms.states), unwrapping (kms).

Laws: a material's row holds it wrapped by the root and never in the clear; a material is inserted only under
the root version that the store calls current in that same transaction; the server's own keys (manager SERVICE)
are returned by the `service` functions alone, every other function behaves as if they did not exist; rotation
is one conditional update; whoever changes the row of a key bumps the change counter here.
"""

# ruff: noqa: S608  (what is joined into statements are constants of this file; values are always parameters)

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass, field

from s3al.errors import StoreError
from s3al.store import key_grants, key_labels, key_usage
from s3al.store.database import Rows
from s3al.store.meta import bump
from s3al.store.scrub import overwriting
from s3al.store.settled import settled

CUSTOMER = "CUSTOMER"
AWS = "AWS"
SERVICE = "SERVICE"
AT_ONCE = 64  # keys that one transaction of the scheduler changes: each is a record that is synced, and writers wait

_OWN_TABLES = """
CREATE TABLE kms_root (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    current_version BIGINT NOT NULL
);
CREATE TABLE kms_keys (
    key_id TEXT NOT NULL,
    account_id TEXT NOT NULL,
    region TEXT NOT NULL,
    manager TEXT NOT NULL CHECK (manager IN ('CUSTOMER', 'AWS', 'SERVICE')),
    state TEXT NOT NULL,
    key_spec TEXT NOT NULL,
    key_usage TEXT NOT NULL,
    origin TEXT NOT NULL,
    description TEXT NOT NULL,
    policy TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    deletion_at BIGINT,
    current_material BLOB,
    rotation_period_days BIGINT,
    rotation_from BIGINT,
    on_demand_rotations BIGINT NOT NULL,
    primary_region TEXT,
    deletion_window_days BIGINT,
    usable_until BIGINT,
    PRIMARY KEY (key_id, region)
);
CREATE INDEX kms_keys_by_account ON kms_keys (account_id, region, key_id);
CREATE UNIQUE INDEX kms_keys_one_service ON kms_keys (manager) WHERE manager = 'SERVICE';
CREATE TABLE kms_materials (
    material_id BLOB PRIMARY KEY,
    key_id TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    root_version BIGINT NOT NULL,
    wrapped BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    rotation_type TEXT,
    valid_to BIGINT,
    description TEXT NOT NULL,
    UNIQUE (key_id, sequence)
);
CREATE INDEX kms_materials_by_root ON kms_materials (root_version, material_id);
"""
TABLES = _OWN_TABLES + key_labels.TABLES + key_grants.TABLES + key_usage.TABLES


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A KMS key as stored. state is the stored word; what holds at a moment is kms.states' to say. Times: UTC ms.

    rotation_period_days: None means no automatic rotation. rotation_from: when that period began to count.
    primary_region: None for a key of one region; its own region for a primary, another for a replica.
    deletion_window_days: of a primary that waits for its replicas to go. usable_until: when the first of its imported
    materials expires, 0 while one is missing, None if its material does not expire.
    """

    key_id: str
    account_id: str
    region: str
    manager: str
    state: str
    key_spec: str
    key_usage: str
    origin: str
    description: str
    policy: str = field(repr=False)
    created_at: int = 0
    deletion_at: int | None = None
    current_material: bytes | None = None
    rotation_period_days: int | None = None
    rotation_from: int | None = None
    on_demand_rotations: int = 0
    primary_region: str | None = None
    deletion_window_days: int | None = None
    usable_until: int | None = None

    @property
    def arn(self) -> str:
        return f"arn:aws:kms:{self.region}:{self.account_id}:key/{self.key_id}"


@dataclass(frozen=True, slots=True)
class MaterialRow:
    """One generation of a key's material. sequence counts from 1. rotation_type: None for the first, else
    ON_DEMAND or AUTOMATIC. wrapped: empty for an imported material that was deleted or has expired. Sequence 0 is no
    material of use: the secret behind the ids and tokens of a key with imported material."""

    material_id: bytes
    key_id: str
    sequence: int
    root_version: int
    wrapped: bytes = field(repr=False)
    created_at: int = 0
    rotation_type: str | None = None
    valid_to: int | None = None
    description: str = ""


# Columns in the order of the fields above.
_KEY = (
    "key_id, account_id, region, manager, state, key_spec, key_usage, origin, description, policy, created_at,"
    " deletion_at, current_material, rotation_period_days, rotation_from, on_demand_rotations, primary_region,"
    " deletion_window_days, usable_until"
)
_MATERIAL = "material_id, key_id, sequence, root_version, wrapped, created_at, rotation_type, valid_to, description"


def _marks(columns: str) -> str:
    return ", ".join("?" for _ in columns.split(","))


# --- the root version under which new materials are wrapped


def current_root(rows: Rows) -> int | None:
    row = rows.one("SELECT current_version FROM kms_root WHERE only_row = 1")
    return None if row is None else int(row[0])


def set_current_root(rows: Rows, version: int) -> None:
    rows.run(
        "INSERT INTO kms_root (only_row, current_version) VALUES (1, ?)"
        " ON CONFLICT (only_row) DO UPDATE SET current_version = excluded.current_version",
        (version,),
    )


def materials_under_other_roots(rows: Rows, version: int, limit: int) -> list[MaterialRow]:
    """Materials, of keys of every manager, that another version than `version` wraps."""
    found = rows.all(
        f"SELECT {_MATERIAL} FROM kms_materials WHERE root_version <> ? AND length(wrapped) > 0"
        " ORDER BY material_id LIMIT ?",
        (version, limit),
    )
    return [MaterialRow(*row) for row in found]


def count_materials_by_root(rows: Rows) -> list[tuple[int, int]]:
    """(root version, how many materials it wraps), oldest version first."""
    found = rows.all(
        "SELECT root_version, count(*) FROM kms_materials WHERE length(wrapped) > 0"
        " GROUP BY root_version ORDER BY root_version"
    )
    return [(int(version), int(count)) for version, count in found]


def rewrap_material(rows: Rows, row: MaterialRow, *, root_version: int, wrapped: bytes) -> bool:
    """Replace the wrapping if nobody did so before."""
    changed = rows.run(
        "UPDATE kms_materials SET root_version = ?, wrapped = ? WHERE material_id = ? AND root_version = ?",
        (root_version, wrapped, row.material_id, row.root_version),
    )
    return changed == 1


# --- keys


def insert_key(rows: Rows, key: KeyRow) -> None:
    rows.run(
        f"INSERT INTO kms_keys ({_KEY}) VALUES ({_marks(_KEY)})",
        astuple(key),
    )


def find_key(rows: Rows, key_id: str, region: str) -> KeyRow | None:
    return settled(rows, _find_key, key_id, region)


def _find_key(rows: Rows, key_id: str, region: str) -> KeyRow | None:
    row = rows.one(
        f"SELECT {_KEY} FROM kms_keys WHERE key_id = ? AND region = ? AND manager <> 'SERVICE'", (key_id, region)
    )
    return None if row is None else KeyRow(*row)


def find_service_key(rows: Rows) -> KeyRow | None:
    row = rows.one(f"SELECT {_KEY} FROM kms_keys WHERE manager = 'SERVICE'")
    return None if row is None else KeyRow(*row)


def list_keys(
    rows: Rows, account_id: str, region: str, *, now_ms: int, after: str = "", limit: int = 1000
) -> list[KeyRow]:
    """Keys by id, beyond `after`, without those whose deletion date has come."""
    found = rows.all(
        f"SELECT {_KEY} FROM kms_keys WHERE account_id = ? AND region = ? AND key_id > ? AND manager <> 'SERVICE'"
        " AND (deletion_at IS NULL OR deletion_at > ?) ORDER BY key_id LIMIT ?",
        (account_id, region, after, now_ms, limit),
    )
    return [KeyRow(*row) for row in found]


def count_keys(rows: Rows, account_id: str, region: str) -> int:
    row = rows.one(
        "SELECT count(*) FROM kms_keys WHERE account_id = ? AND region = ? AND manager = 'CUSTOMER'",
        (account_id, region),
    )
    return int(row[0]) if row else 0


def set_state(rows: Rows, key: KeyRow, state: str, deletion_at: int | None, *, window_days: int | None = None) -> None:
    rows.run(
        "UPDATE kms_keys SET state = ?, deletion_at = ?, deletion_window_days = ?"
        " WHERE key_id = ? AND region = ? AND manager <> 'SERVICE'",
        (state, deletion_at, window_days, key.key_id, key.region),
    )
    bump(rows)


def set_policy(rows: Rows, key: KeyRow, policy: str) -> None:
    rows.run(
        "UPDATE kms_keys SET policy = ? WHERE key_id = ? AND region = ? AND manager = 'CUSTOMER'",
        (policy, key.key_id, key.region),
    )
    bump(rows)


def set_description(rows: Rows, key: KeyRow, description: str) -> None:
    rows.run(
        "UPDATE kms_keys SET description = ? WHERE key_id = ? AND region = ? AND manager = 'CUSTOMER'",
        (description, key.key_id, key.region),
    )
    bump(rows)


def regions_of(rows: Rows, key_id: str) -> list[KeyRow]:
    """A multi-Region key in each of its regions."""
    found = rows.all(
        f"SELECT {_KEY} FROM kms_keys WHERE key_id = ? AND manager <> 'SERVICE' ORDER BY region", (key_id,)
    )
    return [KeyRow(*row) for row in found]


def set_primary_region(rows: Rows, key_id: str, region: str) -> None:
    rows.run("UPDATE kms_keys SET primary_region = ? WHERE key_id = ? AND primary_region IS NOT NULL", (region, key_id))
    bump(rows)


def set_usable_until(rows: Rows, key_id: str, usable_until: int | None) -> None:
    rows.run("UPDATE kms_keys SET usable_until = ? WHERE key_id = ? AND manager <> 'SERVICE'", (usable_until, key_id))
    bump(rows)


def set_rotation(rows: Rows, key_id: str, period_days: int | None, counted_from: int | None) -> None:
    rows.run(
        "UPDATE kms_keys SET rotation_period_days = ?, rotation_from = ? WHERE key_id = ? AND manager <> 'SERVICE'",
        (period_days, counted_from, key_id),
    )
    bump(rows)


def keys_with_rotation(rows: Rows) -> list[KeyRow]:
    """Every key that rotates by itself, of all accounts; a multi-Region key once, as its primary."""
    found = rows.all(
        f"SELECT {_KEY} FROM kms_keys WHERE rotation_period_days IS NOT NULL AND manager <> 'SERVICE'"
        " AND (primary_region IS NULL OR primary_region = region) ORDER BY key_id"
    )
    return [KeyRow(*row) for row in found]


def keys_to_purge(rows: Rows, now_ms: int) -> list[KeyRow]:
    """Keys past their deletion date, `AT_ONCE` at most."""
    found = rows.all(
        f"SELECT {_KEY} FROM kms_keys WHERE deletion_at IS NOT NULL AND deletion_at <= ? AND manager = 'CUSTOMER'"
        " ORDER BY deletion_at, key_id, region LIMIT ?",
        (now_ms, AT_ONCE),
    )
    return [KeyRow(*row) for row in found]


def purge_keys(rows: Rows, now_ms: int) -> list[KeyRow]:
    """Delete the keys of `keys_to_purge`, with aliases, tags and grants, and with their materials if they are in no
    other region. Returns what they were."""
    keys = keys_to_purge(rows, now_ms)
    if keys:
        with overwriting(rows):
            delete_keys(rows, keys)
    return keys


def delete_keys(rows: Rows, keys: Iterable[KeyRow]) -> None:
    for key in keys:
        for table in ("kms_aliases", "kms_tags", "kms_grants", "kms_usage", "kms_keys"):
            rows.run(f"DELETE FROM {table} WHERE key_id = ? AND region = ?", (key.key_id, key.region))
        rows.run(
            "DELETE FROM kms_materials WHERE key_id = ? AND NOT EXISTS (SELECT 1 FROM kms_keys WHERE key_id = ?)",
            (key.key_id, key.key_id),
        )
    bump(rows)


# --- materials


def add_material(rows: Rows, material: MaterialRow, *, replaces: bytes | None) -> bool:
    """Insert a material and make it its key's current one, if the key's current one is still `replaces`.

    Returns whether it did: False means that another transaction rotated first, and nothing was changed. Raises
    StoreError if the root was rotated since the material was wrapped.
    """
    if current_root(rows) != material.root_version:
        raise StoreError("the root was rotated meanwhile", retryable=True)
    expected = "current_material IS NULL" if replaces is None else "current_material = ?"
    parameters = (material.material_id, material.key_id, *(() if replaces is None else (replaces,)))
    if rows.run(f"UPDATE kms_keys SET current_material = ? WHERE key_id = ? AND {expected}", parameters) < 1:
        return False
    _insert_material(rows, material)
    bump(rows)
    return True


def hold_material(rows: Rows, material: MaterialRow) -> None:
    """Insert a material without making it current: one that waits for a rotation, or the secret of sequence 0."""
    if current_root(rows) != material.root_version:
        raise StoreError("the root was rotated meanwhile", retryable=True)
    _insert_material(rows, material)


def _insert_material(rows: Rows, material: MaterialRow) -> None:
    rows.run(f"INSERT INTO kms_materials ({_MATERIAL}) VALUES ({_marks(_MATERIAL)})", astuple(material))


def refill_material(rows: Rows, material: MaterialRow) -> None:
    """Put wrapping, expiry and description of an imported material in the place of what was there."""
    if current_root(rows) != material.root_version:
        raise StoreError("the root was rotated meanwhile", retryable=True)
    rows.run(
        "UPDATE kms_materials SET root_version = ?, wrapped = ?, valid_to = ?, description = ?"
        " WHERE key_id = ? AND material_id = ?",
        (
            material.root_version,
            material.wrapped,
            material.valid_to,
            material.description,
            material.key_id,
            material.material_id,
        ),
    )


def empty_material(rows: Rows, material: MaterialRow) -> None:
    """Destroy what an imported material's row holds; the row remembers that there was one."""
    with overwriting(rows):
        rows.run(
            "UPDATE kms_materials SET wrapped = ?, valid_to = NULL WHERE key_id = ? AND material_id = ?",
            (b"", material.key_id, material.material_id),
        )


def remove_material(rows: Rows, material: MaterialRow) -> None:
    """Remove a material that never was current."""
    with overwriting(rows):
        rows.run(
            "DELETE FROM kms_materials WHERE key_id = ? AND material_id = ?", (material.key_id, material.material_id)
        )


def promote_material(rows: Rows, material: MaterialRow, *, now_ms: int) -> None:
    """Make a material that waits the current one."""
    rows.run(
        "UPDATE kms_materials SET created_at = ?, rotation_type = 'ON_DEMAND' WHERE key_id = ? AND material_id = ?",
        (now_ms, material.key_id, material.material_id),
    )
    rows.run("UPDATE kms_keys SET current_material = ? WHERE key_id = ?", (material.material_id, material.key_id))
    bump(rows)


def expired_materials(rows: Rows, now_ms: int) -> list[MaterialRow]:
    """`AT_ONCE` at most."""
    found = rows.all(
        f"SELECT {_MATERIAL} FROM kms_materials WHERE valid_to IS NOT NULL AND valid_to <= ? AND length(wrapped) > 0"
        " ORDER BY valid_to, material_id LIMIT ?",
        (now_ms, AT_ONCE),
    )
    return [MaterialRow(*row) for row in found]


def count_on_demand_rotation(rows: Rows, key_id: str) -> None:
    rows.run("UPDATE kms_keys SET on_demand_rotations = on_demand_rotations + 1 WHERE key_id = ?", (key_id,))
    bump(rows)


def find_material(rows: Rows, key_id: str, material_id: bytes) -> MaterialRow | None:
    """A material of this very key; another key's material is not found, and neither is one whose bytes are gone."""
    row = rows.one(
        f"SELECT {_MATERIAL} FROM kms_materials WHERE material_id = ? AND key_id = ? AND sequence > 0"
        " AND length(wrapped) > 0",
        (material_id, key_id),
    )
    return None if row is None else MaterialRow(*row)


def list_materials(rows: Rows, key_id: str, *, after: int = 0, limit: int = 1000) -> list[MaterialRow]:
    """Materials by age, beyond sequence `after`."""
    found = rows.all(
        f"SELECT {_MATERIAL} FROM kms_materials WHERE key_id = ? AND sequence > ? ORDER BY sequence LIMIT ?",
        (key_id, after, limit),
    )
    return [MaterialRow(*row) for row in found]


def material_sequence(rows: Rows, key_id: str, material_id: bytes) -> int:
    """Its place among the key's materials, whether or not its bytes are still there; 0 if there is none."""
    row = rows.one("SELECT sequence FROM kms_materials WHERE key_id = ? AND material_id = ?", (key_id, material_id))
    return int(row[0]) if row else 0


def import_secret(rows: Rows, key_id: str) -> MaterialRow | None:
    """The row of sequence 0."""
    row = rows.one(f"SELECT {_MATERIAL} FROM kms_materials WHERE key_id = ? AND sequence = 0", (key_id,))
    return None if row is None else MaterialRow(*row)


def last_sequence(rows: Rows, key_id: str) -> int:
    row = rows.one("SELECT max(sequence) FROM kms_materials WHERE key_id = ?", (key_id,))
    return int(row[0]) if row and row[0] is not None else 0

"""Who may do what with a KMS key: every principal against every action, each cell decided as a request would be.

What lives here: `key_matrix`, its columns, its JSON. What does not: a decision (decisions), how the matrix is shown
(tables, matrix_picture).

Laws: a cell is the verdict on a request over TLS, made now, by a principal with no session policy; columns "via S3" ask
as S3 asks, with the encryption context of an object in the bucket that is named. People of other accounts are shown as
the key's side decides, unless whoever asks may know theirs too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from s3al.auth.decision import ContextValue
from s3al.explain.decisions import VIA_SERVICE, Question, weigh
from s3al.explain.observed import Trial
from s3al.explain.ports import Explaining
from s3al.explain.principals import Person, by_name, outsiders, principals
from s3al.explain.verdicts import By, Verdict
from s3al.kms.access import compiled
from s3al.kms.key_specs import ENCRYPT_DECRYPT, SYMMETRIC
from s3al.kms.states import state_at
from s3al.store.database import Rows
from s3al.store.keystore import KeyRow

Group = Literal["use", "manage", "widen", "look"]
ANY_BUCKET: Final = "any-bucket"
PAGE: Final = 20

_USE: Mapping[str, tuple[str, ...]] = {
    "ENCRYPT_DECRYPT": ("Encrypt", "Decrypt", "GenerateDataKey", "ReEncryptFrom", "ReEncryptTo"),
    "SIGN_VERIFY": ("Sign", "Verify"),
    "GENERATE_VERIFY_MAC": ("GenerateMac", "VerifyMac"),
    "KEY_AGREEMENT": ("DeriveSharedSecret",),
    "ENCAPSULATE_DECAPSULATE": ("Encapsulate", "Decapsulate"),
}
_ASYMMETRIC = frozenset({"GenerateDataKey"})  # no use of a key pair
_THROUGH_S3 = ("GenerateDataKey", "Decrypt")
_OTHERS: Mapping[Group, tuple[str, ...]] = {
    "manage": (
        *("EnableKey", "DisableKey", "EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand"),
        *("UpdateKeyDescription", "TagResource", "CreateAlias", "RevokeGrant", "ScheduleKeyDeletion"),
        "CancelKeyDeletion",
    ),
    "widen": ("PutKeyPolicy", "CreateGrant"),
    "look": ("DescribeKey", "GetKeyPolicy", "GetKeyRotationStatus", "ListGrants", "ListKeyRotations"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """action: with `kms:`. through_s3: asked by S3 for the principal, not by him directly."""

    action: str
    group: Group
    through_s3: bool = False

    def to_json(self) -> dict[str, Any]:
        return {"action": self.action, "group": self.group, "via": "s3" if self.through_s3 else "direct"}


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """cells: one for each column. key_side_alone: what the principal's own account says is left out."""

    person: Person
    cells: tuple[Verdict, ...]
    key_side_alone: bool = False


@dataclass(frozen=True, slots=True)
class Matrix:
    """following: the principal after whom the next page begins; "" on the last."""

    key: KeyRow
    state: str
    columns: tuple[Column, ...]
    rows: tuple[MatrixRow, ...]
    bucket: str = ANY_BUCKET
    following: str = ""

    def cell(self, principal: str, action: str, *, through_s3: bool = False) -> Verdict:
        """Raises StopIteration for what the matrix does not show."""
        row = next(row for row in self.rows if row.person.name == principal)
        wanted = (action, through_s3)
        return next(v for c, v in zip(self.columns, row.cells, strict=True) if (c.action, c.through_s3) == wanted)

    def to_json(self) -> dict[str, Any]:
        """Statements stand once, and cells name them by place."""
        places = _Places()
        shown = [
            {
                "principal": row.person.name,
                "exists": row.person.exists,
                "key_side_alone": row.key_side_alone,
                "cells": [places.cell(verdict) for verdict in row.cells],
            }
            for row in self.rows
        ]
        document: dict[str, Any] = {
            "key": self.key.arn,
            "state": self.state,
            "via_s3_bucket": self.bucket,
            "columns": [column.to_json() for column in self.columns],
            "rows": shown,
            "statements": [by.to_json() for by in places.found],
        }
        return document | ({"next": self.following} if self.following else {})


@dataclass(slots=True)
class _Places:
    found: list[By] = field(default_factory=list)
    _at: dict[tuple[str, str, int | None], int] = field(default_factory=dict)

    def cell(self, verdict: Verdict) -> dict[str, Any]:
        by, place = verdict.by, None
        if by is not None:
            name = (by.kind, by.policy, by.index)
            place = self._at.get(name)
            if place is None:
                place = self._at[name] = len(self.found)
                self.found.append(by)
        return {
            "allowed": verdict.allowed,
            "effect": verdict.effect,
            "statement": place,
            "reason": verdict.reason,
        }


def columns_of(key: KeyRow) -> tuple[Column, ...]:
    """Every action that means something for a key of this kind."""
    symmetric = key.key_spec == SYMMETRIC
    uses = [name for name in _USE.get(key.key_usage, ()) if symmetric or name not in _ASYMMETRIC]
    found = [Column(f"kms:{name}", "use") for name in uses]
    if symmetric and key.key_usage == ENCRYPT_DECRYPT:
        found += [Column(f"kms:{name}", "use", through_s3=True) for name in _THROUGH_S3]
    found += [Column(f"kms:{name}", group) for group, names in _OTHERS.items() for name in names]
    return tuple(found)


def people_of(rows: Rows, key: KeyRow, now_ms: int) -> list[Person]:
    """Everybody of the key's account, then whom its policy and grants name beside them."""
    inside = principals(rows, key.account_id, now_ms)
    return [*inside, *outsiders(rows, key, compiled(key.policy), now_ms, inside=inside)]


def key_matrix(
    rows: Rows,
    ports: Explaining,
    key: KeyRow,
    columns: Sequence[Column] | None = None,
    *,
    bucket: str = ANY_BUCKET,
    after: str = "",
    limit: int | None = None,
    sees_all: bool = True,
) -> Matrix:
    """sees_all: whoever asks may know what other accounts allow their own. after, limit: a page, by principals."""
    now_ms = ports.now_ms()
    columns = tuple(columns_of(key) if columns is None else columns)
    people = people_of(rows, key, now_ms)
    names = [person.name for person in people]
    begin = names.index(after) + 1 if after in names else 0
    page = people[begin:] if limit is None else people[begin : begin + limit]
    following = page[-1].name if page and begin + len(page) < len(people) else ""
    state = state_at(key, now_ms)
    return Matrix(
        key,
        state.value if state else "",
        columns,
        tuple(_row(rows, ports, person, _Asking(key, columns, bucket, sees_all)) for person in page),
        bucket,
        following,
    )


@dataclass(frozen=True, slots=True)
class _Asking:
    key: KeyRow
    columns: tuple[Column, ...]
    bucket: str
    sees_all: bool


def _row(rows: Rows, ports: Explaining, person: Person, asking: _Asking) -> MatrixRow:
    key = asking.key
    foreign = person.principal.account_id not in (key.account_id, None)
    half = foreign and not asking.sees_all
    if half:  # by name alone: not even whether it exists is the key owner's business
        person = by_name(person.name, key.account_id, ports.now_ms()) or person
    trial = Trial(assumed=half)
    verdicts = []
    for column in asking.columns:
        context = _through_s3(key, asking.bucket) if column.through_s3 else {}
        question = Question(person.principal, column.action, key.arn, context, trial, near=False)
        verdict = weigh(rows, ports, question).verdict
        verdicts.append(verdict.for_account(key.account_id) if half else verdict)
    return MatrixRow(person, tuple(verdicts), half)


def _through_s3(key: KeyRow, bucket: str) -> dict[str, ContextValue]:
    return {
        VIA_SERVICE: f"s3.{key.region}.amazonaws.com",
        "kms:EncryptionContext:aws:s3:arn": f"arn:aws:s3:::{bucket}/any-object",
    }

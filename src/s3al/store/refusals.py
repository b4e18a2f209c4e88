"""Rows of requests that were refused of late, for whoever asks why.

What lives here: DDL and functions over `Rows`. What does not: what is remembered of a request (service.refusals), who
is told (explain.refused).

Laws: rows are bounded by age, by principal, by account and in all, so that refusals cannot fill a disk nor push out
those of others; nothing here is authorization, and so the change counter does not move.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field

from s3al.store.database import Rows

TABLES = """
CREATE TABLE refusals (
    request_id TEXT PRIMARY KEY,
    refused_at BIGINT NOT NULL,
    principal TEXT NOT NULL,
    account_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    document TEXT NOT NULL
);
CREATE INDEX refusals_by_time ON refusals (refused_at);
CREATE INDEX refusals_by_principal ON refusals (principal, refused_at);
"""

KEPT_MS = 7 * 24 * 60 * 60 * 1000
KEPT_OF_A_PRINCIPAL = 500
KEPT_OF_AN_ACCOUNT = 5_000  # of its users, and of its sessions, whose names anybody of it may choose
KEPT_IN_ALL = 20_000


@dataclass(frozen=True, slots=True)
class RefusalRow:
    """principal: ARN, "" for anonymous callers. account_id: his. owner: the account that owns the resource. "" where
    there is none, or none is known. document: JSON (service.refusals)."""

    request_id: str
    refused_at: int
    principal: str
    account_id: str
    owner: str
    document: str = field(repr=False)


def add_refusals(rows: Rows, refusals: Sequence[RefusalRow], now_ms: int) -> None:
    """Remember these, and forget what is beyond the bounds."""
    for row in refusals:
        rows.run("INSERT INTO refusals VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING", astuple(row))
    rows.run("DELETE FROM refusals WHERE refused_at < ?", (now_ms - KEPT_MS,))
    for principal in {row.principal for row in refusals}:
        rows.run(
            "DELETE FROM refusals WHERE request_id IN (SELECT request_id FROM refusals WHERE principal = ?"
            " ORDER BY refused_at DESC LIMIT -1 OFFSET ?)",
            (principal, KEPT_OF_A_PRINCIPAL),
        )
    for account_id in {row.account_id for row in refusals if row.account_id}:
        for service in ("iam", "sts"):
            begin = f"arn:aws:{service}::{account_id}"  # what follows is `:`, and `;` is the next character
            rows.run(
                "DELETE FROM refusals WHERE request_id IN (SELECT request_id FROM refusals"
                " WHERE principal >= ? AND principal < ? ORDER BY refused_at DESC LIMIT -1 OFFSET ?)",
                (f"{begin}:", f"{begin};", KEPT_OF_AN_ACCOUNT),
            )
    rows.run(
        "DELETE FROM refusals WHERE request_id IN (SELECT request_id FROM refusals"
        " ORDER BY refused_at DESC LIMIT -1 OFFSET ?)",
        (KEPT_IN_ALL,),
    )


def find_refusal(rows: Rows, request_id: str, now_ms: int) -> RefusalRow | None:
    row = rows.one(
        "SELECT request_id, refused_at, principal, account_id, owner, document FROM refusals"
        " WHERE request_id = ? AND refused_at >= ?",
        (request_id, now_ms - KEPT_MS),
    )
    return None if row is None else RefusalRow(*row)

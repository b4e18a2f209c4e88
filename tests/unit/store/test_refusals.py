"""Rows of refusals are bounded, so that nobody pushes out those of others."""

from __future__ import annotations

from typing import Any

import pytest

from s3al.store import refusals
from s3al.store.refusals import RefusalRow
from s3al.store.sqlite import SqliteDatabase

LOUD, OTHER = "111111111111", "222222222222"


def row(number: int, account_id: str, name: str) -> RefusalRow:
    service = "sts" if name.startswith("assumed-role/") else "iam"
    return RefusalRow(f"{number:016X}", number, f"arn:aws:{service}::{account_id}:{name}", account_id, account_id, "{}")


def test_sessions_of_ever_new_names_push_out_only_those_of_their_own_account(
    database: SqliteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refusals, "KEPT_OF_AN_ACCOUNT", 3)
    batch = [row(1, OTHER, "assumed-role/r/s"), row(2, OTHER, "user/u"), row(3, LOUD, "user/u")]
    batch += [row(number, LOUD, f"assumed-role/r/s{number}") for number in range(10, 20)]

    def write(rows: Any) -> list[int]:
        refusals.add_refusals(rows, batch, 20)
        return [int(name, 16) for (name,) in rows.all("SELECT request_id FROM refusals ORDER BY 1")]

    assert database.write_now(write) == [1, 2, 3, 17, 18, 19]

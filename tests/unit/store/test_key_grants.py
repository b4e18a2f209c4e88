from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from s3al.store import key_grants
from s3al.store.key_grants import GrantRow
from unit.kms.rows import MemoryDatabase

GRANT = GrantRow(
    grant_id="b",
    key_id="k",
    region="r",
    account_id="1",
    grantee="alice",
    retiring="",
    name="n",
    operations="Decrypt Encrypt",
    constraints="{}",
    issuing_account="1",
    created_at=5,
    token_key=b"secret token key",
)


@pytest.fixture
def database() -> MemoryDatabase:
    return MemoryDatabase()


def do(database: MemoryDatabase, function: Any, *arguments: Any, **keywords: Any) -> Any:
    return database.write_now(lambda rows: function(rows, *arguments, **keywords))


def test_a_grant_comes_back_as_it_went_in_and_goes(database: MemoryDatabase) -> None:
    do(database, key_grants.insert_grant, GRANT)
    assert do(database, key_grants.find_grant, "b") == GRANT
    assert GRANT.key_arn == "arn:aws:kms:r:1:key/k"
    assert "secret" not in repr(GRANT)
    do(database, key_grants.delete_grant, "b")
    assert do(database, key_grants.find_grant, "b") is None


def test_grants_are_found_by_key_region_grantee_name_and_retiring_principal(database: MemoryDatabase) -> None:
    rows = [
        GRANT,
        replace(GRANT, grant_id="a", grantee="bob", retiring="carol", name=""),
        replace(GRANT, grant_id="c", retiring="carol"),
        replace(GRANT, grant_id="d", key_id="other", retiring="carol"),
        replace(GRANT, grant_id="e", region="s", retiring="carol"),
    ]
    for row in rows:
        do(database, key_grants.insert_grant, row)

    def found(function: Any, *arguments: Any, **keywords: Any) -> list[str]:
        return [row.grant_id for row in do(database, function, *arguments, **keywords)]

    assert found(key_grants.list_grants, "k", "r") == ["a", "b", "c"]
    assert found(key_grants.list_grants, "k", "r", after="a", limit=1) == ["b"]
    assert found(key_grants.list_grants, "k", "r", grantee="bob") == ["a"]
    assert found(key_grants.list_grants, "k", "r", grant_id="c") == ["c"]
    assert found(key_grants.grants_to, "k", "r", ["alice"]) == ["b", "c"]
    assert found(key_grants.grants_to, "k", "r", ["alice", "bob"]) == ["a", "b", "c"]
    assert found(key_grants.named_grants, "k", "r", "n") == ["b", "c"]
    assert found(key_grants.retirable_grants, "carol", "r") == ["a", "c", "d"]
    assert found(key_grants.retirable_grants, "carol", "r", after="a", limit=1) == ["c"]
    assert do(database, key_grants.count_grants, "k", "r") == 3

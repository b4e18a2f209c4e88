"""Rows of accounts and access keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from s3al.store import accounts, catalog
from s3al.store.accounts import AccessKeyRow, AccountRow
from s3al.store.sqlite import SqliteRows

ALICE = AccountRow("111111111111", "a" * 64, "alice", 5)
OPERATOR = AccountRow("222222222222", "b" * 64, "operator", 4, is_operator=True)
ROOT_KEY = AccessKeyRow("AKIA1", ALICE.account_id, "arn:aws:iam::111111111111:root", b"sealed", created_at=5)


def test_an_account_is_found_by_each_of_its_names(rows: SqliteRows) -> None:
    for account in (ALICE, OPERATOR):
        assert accounts.create_account(rows, account)
    assert accounts.find_account(rows, ALICE.account_id) == ALICE
    assert accounts.find_account_by_canonical_id(rows, "a" * 64) == ALICE
    assert accounts.find_account_by_name(rows, "alice") == ALICE
    assert accounts.find_operator(rows) == OPERATOR
    assert accounts.list_accounts(rows, limit=10) == [ALICE, OPERATOR]
    assert accounts.list_accounts(rows, after=ALICE.account_id, limit=10) == [OPERATOR]
    for find in (accounts.find_account, accounts.find_account_by_canonical_id, accounts.find_account_by_name):
        assert find(rows, "none") is None


@pytest.mark.parametrize("taken", ["account_id", "canonical_id", "name"])
def test_an_account_shares_nothing_with_another(rows: SqliteRows, taken: str) -> None:
    accounts.create_account(rows, ALICE)
    assert not accounts.create_account(rows, replace(OPERATOR, **{taken: getattr(ALICE, taken)}))
    assert accounts.list_accounts(rows, limit=10) == [ALICE]


def test_settings_of_an_account_are_replaced(rows: SqliteRows) -> None:
    accounts.create_account(rows, ALICE)
    assert accounts.put_account_settings(rows, ALICE.account_id, '{"a": 1}')
    assert not accounts.put_account_settings(rows, "none", "{}")
    found = accounts.find_account(rows, ALICE.account_id)
    assert found is not None
    assert found.settings == '{"a": 1}'


def test_an_access_key_lives_until_it_is_deleted(rows: SqliteRows) -> None:
    assert accounts.create_access_key(rows, ROOT_KEY)
    assert not accounts.create_access_key(rows, replace(ROOT_KEY, secret=b"other"))
    assert accounts.find_access_key(rows, "AKIA1") == ROOT_KEY
    assert accounts.put_access_key_status(rows, "AKIA1", "Inactive")
    assert accounts.find_access_key(rows, "AKIA1") == replace(ROOT_KEY, status="Inactive")
    assert accounts.delete_access_key(rows, "AKIA1")
    assert not accounts.delete_access_key(rows, "AKIA1")
    assert accounts.find_access_key(rows, "AKIA1") is None


def test_access_keys_are_listed_by_account_and_principal(rows: SqliteRows) -> None:
    user = replace(
        ROOT_KEY, access_key_id="AKIA0", principal_arn="arn:aws:iam::111111111111:user/u", created_at=9
    )
    other = replace(ROOT_KEY, access_key_id="AKIA2", account_id=OPERATOR.account_id)
    for access_key in (user, ROOT_KEY, other):
        accounts.create_access_key(rows, access_key)
    assert accounts.list_access_keys(rows, ALICE.account_id) == [ROOT_KEY, user]
    assert accounts.list_access_keys(rows, ALICE.account_id, user.principal_arn) == [user]
    assert accounts.delete_access_keys_of(rows, ALICE.account_id, ROOT_KEY.principal_arn) == 1
    assert accounts.list_access_keys(rows, ALICE.account_id) == [user]
    assert accounts.list_access_keys(rows, OPERATOR.account_id) == [other]


CHANGES: list[tuple[str, Callable[[SqliteRows], object]]] = [
    ("new account", lambda rows: accounts.create_account(rows, OPERATOR)),
    ("account settings", lambda rows: accounts.put_account_settings(rows, ALICE.account_id, "{}")),
    (
        "new access key",
        lambda rows: accounts.create_access_key(rows, replace(ROOT_KEY, access_key_id="AKIA2")),
    ),
    ("access key status", lambda rows: accounts.put_access_key_status(rows, "AKIA1", "Inactive")),
    ("deleted access key", lambda rows: accounts.delete_access_key(rows, "AKIA1")),
    (
        "deleted principal",
        lambda rows: accounts.delete_access_keys_of(rows, ALICE.account_id, ROOT_KEY.principal_arn),
    ),
]


@pytest.mark.parametrize("change", [change for _, change in CHANGES], ids=[name for name, _ in CHANGES])
def test_every_change_of_a_credential_makes_caches_stale(
    rows: SqliteRows, change: Callable[[SqliteRows], object]
) -> None:
    accounts.create_account(rows, ALICE)
    accounts.create_access_key(rows, ROOT_KEY)
    before = catalog.change_counter(rows)
    change(rows)
    assert catalog.change_counter(rows) > before


def test_a_secret_is_not_shown_in_repr() -> None:
    assert "sealed" not in repr(ROOT_KEY)

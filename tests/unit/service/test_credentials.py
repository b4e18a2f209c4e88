"""From an access key id to its principal: cached for one value of the change counter, and never longer."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from s3al.errors import IntegrityError, RequestError
from s3al.iam.accounts import AccessKey, create_account, replace_root_key
from s3al.service.credentials import Credentials, require_unchanged, seal_secret
from s3al.store import accounts, catalog
from support.house import House, open_house

KEY = AccessKey("AKIATESTTESTTEST", "the secret of the test")


class Sealing:
    """A server key that shows how often it was asked. It binds label and place, as the real one does."""

    def __init__(self) -> None:
        self.opened = 0

    def seal(self, label: bytes, secret: bytes, *, place: bytes) -> bytes:
        return b"|".join((label, place, secret[::-1]))

    def open(self, label: bytes, sealed: bytes, *, place: bytes) -> bytes:
        self.opened += 1
        found_label, found_place, secret = sealed.split(b"|")
        if (found_label, found_place) != (label, place):
            raise IntegrityError("moved")
        return secret[::-1]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with open_house(tmp_path) as opened:
        yield opened


@pytest.fixture
def sealing() -> Sealing:
    return Sealing()


@pytest.fixture
def database(house: House, sealing: Sealing) -> Any:
    """With an account "ann" whose root access key is KEY."""
    database = house.workers[0].s3.db

    def found(rows: Any) -> None:
        account = create_account(rows, "ann", now_ms=1, random=os.urandom)
        replace_root_key(rows, sealing, account, KEY, now_ms=1)

    database.write_now(found)
    return database


def find(credentials: Credentials, database: Any, access_key_id: str = KEY.access_key_id) -> Any:
    return database.read_now(lambda rows: credentials.find(rows, access_key_id))


def change(database: Any, sql: str, *params: Any) -> None:
    def write(rows: Any) -> None:
        assert rows.run(sql, params) >= 1
        catalog.bump(rows)

    database.write_now(write)


def test_a_key_leads_to_the_root_of_its_account(database: Any, sealing: Sealing) -> None:
    found = find(Credentials(sealing), database)
    account = database.read_now(lambda rows: accounts.find_account_by_name(rows, "ann"))
    assert found.secret == KEY.secret
    assert found.principal.kind == "root" and found.principal.account_id == account.account_id
    assert found.principal.arn == f"arn:aws:iam::{account.account_id}:root"
    assert found.principal.canonical_id == account.canonical_id
    assert KEY.secret not in repr(found) and repr(found.sealed)[2:-1] not in repr(found)


def test_a_secret_is_opened_once_until_the_counter_moves(database: Any, sealing: Sealing) -> None:
    credentials = Credentials(sealing)
    for _ in range(3):
        find(credentials, database)
    assert sealing.opened == 1
    database.write_now(catalog.bump)
    find(credentials, database)
    assert sealing.opened == 2


CHANGES = {
    "deactivated": "UPDATE access_keys SET status = 'Inactive' WHERE access_key_id = 'AKIATESTTESTTEST'",
    "deleted": "DELETE FROM access_keys WHERE access_key_id = 'AKIATESTTESTTEST'",
    "without an account": "DELETE FROM accounts WHERE name = 'ann'",
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_key_that_is_no_more_is_refused_though_it_was_cached(database: Any, sealing: Sealing, what: str) -> None:
    credentials = Credentials(sealing)
    find(credentials, database)
    change(database, CHANGES[what])
    for _ in range(2):
        with pytest.raises(RequestError) as refused:
            find(credentials, database)
        assert refused.value.code == "InvalidAccessKeyId"


def test_an_unknown_key_is_refused_and_not_remembered(database: Any, sealing: Sealing) -> None:
    credentials = Credentials(sealing)
    for number in range(10):
        with pytest.raises(RequestError):
            find(credentials, database, f"AKIA{number}")
    assert credentials._known == {}


def test_a_secret_moved_to_another_key_does_not_open(database: Any, sealing: Sealing) -> None:
    change(database, "UPDATE access_keys SET access_key_id = 'AKIAMOVED' WHERE access_key_id = 'AKIATESTTESTTEST'")
    with pytest.raises(IntegrityError):
        find(Credentials(sealing), database, "AKIAMOVED")


def test_what_a_key_signed_commits_only_while_the_key_is_unchanged(database: Any, sealing: Sealing) -> None:
    credential = find(Credentials(sealing), database)
    database.write_now(lambda rows: require_unchanged(rows, credential))
    for sql in (
        "UPDATE access_keys SET status = 'Inactive' WHERE access_key_id = 'AKIATESTTESTTEST'",
        "UPDATE access_keys SET status = 'Active', secret = x'00' WHERE access_key_id = 'AKIATESTTESTTEST'",
        CHANGES["deleted"],
    ):
        change(database, sql)
        with pytest.raises(RequestError) as refused:
            database.write_now(lambda rows: require_unchanged(rows, credential))
        assert refused.value.code == "InvalidAccessKeyId"


def test_a_credential_of_nobody_commits_nothing(database: Any, sealing: Sealing) -> None:
    credential = find(Credentials(sealing), database)
    nobody = replace(credential, principal=replace(credential.principal, access_key_id=None))
    with pytest.raises(RequestError):
        database.write_now(lambda rows: require_unchanged(rows, nobody))


def test_equal_secrets_of_two_keys_are_bound_to_their_key(sealing: Sealing) -> None:
    assert seal_secret(sealing, "one", "secret") != seal_secret(sealing, "two", "secret")

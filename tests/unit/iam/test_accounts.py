"""Accounts: what they are made with, what changes them, and who may ask."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import Any

import pytest

from s3al.auth.principal import ANONYMOUS, Principal
from s3al.errors import AccessError, ConfigError, RequestError
from s3al.iam import accounts as iam_accounts
from s3al.iam import admin, sts
from s3al.iam.access import authorizer
from s3al.iam.accounts import AccessKey, change_settings, create_account, new_access_key, replace_root_key, settings_of
from s3al.iam.errors import IAM_ERRORS
from s3al.service.operation import Call
from s3al.store import accounts, catalog
from support.house import House
from support.people import allow, give


@pytest.fixture
def ports(house: House) -> Any:
    return house.workers[0].gateway.services["sts"].ports


def make(database: Any, name: str) -> Any:
    return database.write_now(lambda rows: create_account(rows, name, now_ms=7, random=os.urandom))


def test_an_account_has_the_ids_that_aws_gives(database: Any) -> None:
    made = make(database, "ids")
    assert re.fullmatch("[1-9][0-9]{11}", made.account_id) and re.fullmatch("[0-9a-f]{64}", made.canonical_id)
    assert not made.is_operator
    assert settings_of(made) == {"block_sse_c": True, "block_public_access": True}


@pytest.mark.parametrize("draw", [b"\0", b"\xff"])
def test_every_draw_gives_an_id_of_twelve_digits(database: Any, draw: bytes) -> None:
    name = f"draw-{draw.hex()}"
    made = database.write_now(lambda rows: create_account(rows, name, now_ms=7, random=lambda n: draw * n))
    assert re.fullmatch("[1-9][0-9]{11}", made.account_id)


@pytest.mark.parametrize("name", ["", "-a", "a b", "a" * 65, "a/b", "\u00e4", "a\n"])
def test_a_name_is_plain(database: Any, name: str) -> None:
    with pytest.raises(RequestError) as refused:
        make(database, name)
    assert refused.value.code == "ValidationError"


def test_a_name_is_taken_once(database: Any) -> None:
    make(database, "taken")
    with pytest.raises(RequestError) as refused:
        make(database, "taken")
    assert refused.value.code == "EntityAlreadyExists"


def test_an_access_key_looks_like_aws_and_hides_its_secret() -> None:
    made = new_access_key(os.urandom)
    assert re.fullmatch("AKIA[A-Z2-7]{16}", made.access_key_id)
    assert len(made.secret) == 40 and made.secret not in repr(made)


def test_a_new_root_key_replaces_all_former_ones_and_moves_the_counter(database: Any, ports: Any) -> None:
    account = make(database, "rekeyed")
    keys = [new_access_key(os.urandom) for _ in range(3)]
    for key in keys:
        before = database.read_now(catalog.change_counter)
        database.write_now(lambda rows, key=key: replace_root_key(rows, ports.server_key, account, key, now_ms=1))
        assert database.read_now(catalog.change_counter) > before
    found = [database.read_now(lambda rows, key=key: accounts.find_access_key(rows, key.access_key_id)) for key in keys]
    assert found[:2] == [None, None] and found[2].account_id == account.account_id
    assert keys[2].secret.encode() not in found[2].secret


def test_an_access_key_of_another_account_is_not_taken_away(database: Any, ports: Any) -> None:
    one, two, key = make(database, "one"), make(database, "two"), new_access_key(os.urandom)
    database.write_now(lambda rows: replace_root_key(rows, ports.server_key, one, key, now_ms=1))
    with pytest.raises(ConfigError):
        database.write_now(lambda rows: replace_root_key(rows, ports.server_key, two, key, now_ms=1))
    found = database.read_now(lambda rows: accounts.find_access_key(rows, key.access_key_id))
    assert found.account_id == one.account_id


@pytest.mark.parametrize(
    "changes", [{"unknown": True}, {"block_sse_c": "yes"}, {"block_sse_c": 1}, {"block_sse_c": None}]
)
def test_only_known_settings_take_only_booleans(database: Any, changes: dict[str, Any]) -> None:
    account = database.read_now(accounts.find_operator)
    with pytest.raises(RequestError) as refused:
        database.write_now(lambda rows: change_settings(rows, account, changes))
    assert refused.value.code == "ValidationError"


def test_settings_change_one_by_one_and_move_the_counter(database: Any) -> None:
    account, before = make(database, "settings"), database.read_now(catalog.change_counter)
    database.write_now(lambda rows: change_settings(rows, account, {"block_sse_c": False}))
    again = database.read_now(lambda rows: accounts.find_account(rows, account.account_id))
    assert settings_of(again) == {"block_sse_c": False, "block_public_access": True}
    assert database.read_now(catalog.change_counter) > before


def test_a_new_buckets_defaults_are_its_accounts(house: House) -> None:
    made = house.own_api("CreateAccount", name="open-by-default")
    house.own_api(
        "SetAccount", account="open-by-default", settings={"block_public_access": False, "block_sse_c": False}
    )
    s3 = house.client(aws_access_key_id=made["access_key_id"], aws_secret_access_key=made["secret_access_key"])
    s3.create_bucket(Bucket="open-by-default")
    with pytest.raises(s3.exceptions.ClientError, match="NoSuchPublicAccessBlockConfiguration"):
        s3.get_public_access_block(Bucket="open-by-default")
    s3.put_object(Bucket="open-by-default", Key="k", Body=b"x", SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32)


def principal(kind: Any, account_id: str) -> Principal:
    return Principal(kind, account_id, f"arn:aws:iam::{account_id}:{kind}", account_id)


def test_our_own_api_is_the_operators_roots_and_whom_it_lets(database: Any, ports: Any) -> None:
    operator = database.read_now(accounts.find_operator).account_id
    authorize = authorizer(admin.OPERATIONS)
    let = principal("user", operator)
    let = replace(let, arn=f"arn:aws:iam::{operator}:user/let")
    stranger = replace(let, account_id="000000000001", arn="arn:aws:iam::000000000001:user/let")
    for arn in (let.arn, stranger.arn):
        database.write_now(lambda rows, arn=arn: give(rows, arn, allow("s3al:List*")))
    for operation in admin.OPERATIONS:

        def ask(who: Principal, operation: str = operation) -> Any:
            call = Call("s3al", operation, {}, who, "r", 0, "us-east-1")
            return database.read_now(lambda rows: authorize(rows, call, ports))

        assert ask(principal("root", operator)).principal.account_id == operator
        refused_ones = [principal("root", "000000000001"), principal("user", operator), stranger]
        if operation.startswith("List"):
            assert ask(let).decisions[0].statement is not None
        else:
            refused_ones.append(let)
        for who in refused_ones:
            with pytest.raises(AccessError) as denied:
                ask(who)
            assert f"is not authorized to perform: s3al:{operation}" in str(denied.value)
        with pytest.raises(RequestError) as refused:
            ask(ANONYMOUS)
        assert refused.value.code == "MissingAuthenticationToken"


def test_who_am_i_needs_a_signature_and_nothing_more(database: Any, ports: Any) -> None:
    call = Call("sts", "GetCallerIdentity", {}, principal("user", "000000000001"), "r", 0, "us-east-1")
    assert database.read_now(lambda rows: authorizer(sts.OPERATIONS)(rows, call, ports)).decisions == ()


def test_accounts_are_listed_page_by_page(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "_PAGE", 2)
    for number in range(3):
        house.own_api("CreateAccount", name=f"page-{number}")
    found: list[str] = []
    page = house.own_api("ListAccounts")
    while True:
        assert len(page["accounts"]) <= 2
        assert all("secret" not in str(account) for account in page["accounts"])
        found += [account["name"] for account in page["accounts"]]
        if "next" not in page:
            break
        page = house.own_api("ListAccounts", after=page["next"])
    assert len(found) == len(set(found)) and {"operator", "page-0", "page-1", "page-2"} <= set(found)


def test_every_code_has_a_status_and_a_sentence() -> None:
    for code, (status, message) in IAM_ERRORS.items():
        assert 400 <= status < 600 and message.endswith((".", "invalid", "expired", "Token")), code
    assert iam_accounts.OPERATOR_NAME == "operator"
    assert AccessKey("a", "s") == AccessKey("a", "s")

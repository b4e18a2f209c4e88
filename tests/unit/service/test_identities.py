"""A caller's own policies: loaded with what they hang on, kept for one value of the change counter, and shut when
they cannot be read."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from s3al.auth.decision import AccessRequest
from s3al.auth.principal import ANONYMOUS, Principal, Session
from s3al.iam.accounts import create_account
from s3al.service import identities as under_test
from s3al.service.identities import NO_POLICIES, Identities
from s3al.store import catalog, identities
from s3al.store.identities import GroupRow, ManagedPolicyRow, UserRow
from support.house import open_house
from support.people import allow, deny, document, give, make_role, take, trust

GET, OBJECT = "s3:GetObject", "arn:aws:s3:::bucket/key"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with open_house(tmp_path_factory.mktemp("house")) as house:
        yield house.workers[0].s3.db


@pytest.fixture
def account_id(database: Any) -> str:
    name = os.urandom(4).hex()
    account = database.write_now(lambda rows: create_account(rows, f"a-{name}", now_ms=1, random=os.urandom))
    found: str = account.account_id
    return found


@pytest.fixture
def ann(database: Any, account_id: str) -> Principal:
    arn = f"arn:aws:iam::{account_id}:user/ann"
    row = UserRow(arn, f"AIDA{account_id}", account_id, "ann", "/", 1)
    database.write_now(lambda rows: identities.put_identity(rows, row))
    return Principal("user", account_id, arn, row.user_id)


def managed(rows: Any, account_id: str, name: str, *statements: dict[str, Any]) -> str:
    arn = f"arn:aws:iam::{account_id}:policy/{name}"
    row = ManagedPolicyRow(arn, f"ANPA{name.upper()}{account_id}", account_id, name, "/", 1, 1)
    identities.create_managed_policy(rows, row, document(*statements))
    return arn


def allows(database: Any, known: Identities, principal: Principal, action: str = GET) -> bool:
    def read(rows: Any) -> bool:
        request = AccessRequest(principal, action, OBJECT)
        decision = known.of(rows, principal).evaluate(
            request, resource_policy=None, resource_account=principal.account_id, owner_allows=True
        )
        return decision.allows

    found: bool = database.read_now(read)
    return found


def test_roots_services_and_nobody_have_no_policies_and_cost_nothing() -> None:
    root = Principal("root", "111122223333", "arn:aws:iam::111122223333:root", "111122223333")
    for principal in (root, ANONYMOUS, Principal("service", None, "s3.amazonaws.com", "s3")):
        assert Identities().of(None, principal) is NO_POLICIES  # type: ignore[arg-type]  # no rows are read


def inline(rows: Any, ann: Principal) -> None:
    give(rows, ann.arn, allow(GET))


def attached(rows: Any, ann: Principal) -> None:
    identities.attach_policy(rows, ann.arn, managed(rows, ann.account_id or "", "mine", allow(GET)))


def of_a_group(rows: Any, ann: Principal) -> None:
    arn = f"arn:aws:iam::{ann.account_id}:group/readers"
    identities.put_identity(rows, GroupRow(arn, f"AGPA{ann.account_id}", ann.account_id or "", "readers", "/", 1))
    give(rows, arn, allow(GET))
    identities.add_member(rows, arn, ann.arn)


@pytest.mark.parametrize("write", [inline, attached, of_a_group])
def test_policies_come_inline_attached_and_with_groups(
    database: Any, ann: Principal, write: Callable[[Any, Principal], None]
) -> None:
    known = Identities()
    assert not allows(database, known, ann)
    database.write_now(lambda rows: write(rows, ann))
    assert allows(database, known, ann) and not allows(database, known, ann, "s3:PutObject")


def test_a_boundary_limits_and_one_that_is_gone_allows_nothing(database: Any, ann: Principal) -> None:
    known = Identities()

    def bound(rows: Any) -> None:
        give(rows, ann.arn, allow("s3:*"))
        arn = managed(rows, ann.account_id or "", "bound", allow(GET))
        user = identities.find_user_by_arn(rows, ann.arn)
        assert user is not None
        identities.put_identity(rows, replace(user, boundary_arn=arn), replaces=user.arn)

    database.write_now(bound)
    assert allows(database, known, ann) and not allows(database, known, ann, "s3:PutObject")
    database.write_now(
        lambda rows: identities.delete_managed_policy(rows, f"arn:aws:iam::{ann.account_id}:policy/bound")
    )
    assert not allows(database, known, ann)


def test_policies_are_loaded_once_until_the_counter_moves(
    database: Any, ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[str] = []
    real = under_test._load

    def counted(rows: Any, principal: Principal) -> Any:
        loads.append(principal.arn)
        return real(rows, principal)

    monkeypatch.setattr(under_test, "_load", counted)
    known = Identities()
    for _ in range(3):
        allows(database, known, ann)
    assert len(loads) == 1
    database.write_now(catalog.bump)
    allows(database, known, ann)
    assert len(loads) == 2


def test_another_thread_loads_for_itself_and_leaves_nothing_behind(database: Any, ann: Principal) -> None:
    """A write transaction sees a counter that may be undone."""
    known = Identities()
    assert not allows(database, known, ann)
    told: list[bool] = []

    def transaction(rows: Any) -> None:
        give(rows, ann.arn, allow(GET))
        told.append(bool(known.of(rows, ann).policies))
        raise RuntimeError("undone")

    def other() -> None:
        with pytest.raises(RuntimeError):
            database.write_now(transaction)

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert told == [True] and not allows(database, known, ann)


def test_a_policy_that_cannot_be_read_denies_everything_and_is_logged(
    database: Any, ann: Principal, caplog: pytest.LogCaptureFixture
) -> None:
    known = Identities()
    database.write_now(lambda rows: give(rows, ann.arn, allow("*")))
    assert allows(database, known, ann)
    broken = document(deny("s3:*", "*", Condition={"StringPerhaps": {"a:b": "c"}}))
    database.write_now(lambda rows: identities.put_inline_policy(rows, ann.arn, "broken", broken))
    with caplog.at_level(logging.ERROR):
        assert not allows(database, known, ann)
    assert "does not parse" in caplog.text and "StringPerhaps" not in caplog.text
    database.write_now(lambda rows: take(rows, ann.arn, "broken"))
    assert allows(database, known, ann)


def test_a_session_has_the_policies_of_its_role_narrowed_by_its_own(database: Any, account_id: str) -> None:
    def write(rows: Any) -> Any:
        role = make_role(rows, account_id, "reader", trust({"AWS": account_id}))
        give(rows, role.arn, allow("s3:*"))
        return role

    role = database.write_now(write)
    arn = f"arn:aws:sts::{account_id}:assumed-role/reader/one"
    whole = Principal("assumed-role", account_id, arn, "AROA:one", issuer_arn=role.arn, session=Session(0, 1))
    narrowed = replace(whole, session=Session(0, 1, policy=document(allow(GET))))
    gone = replace(whole, session=Session(0, 1, policy_arns=(f"arn:aws:iam::{account_id}:policy/gone",)))
    known = Identities()
    assert allows(database, known, whole, "s3:PutObject")
    assert allows(database, known, narrowed) and not allows(database, known, narrowed, "s3:PutObject")
    assert not allows(database, known, gone)


def test_policies_about_stored_tags_are_known_as_such(database: Any, ann: Principal) -> None:
    known = Identities()
    assert not database.read_now(lambda rows: known.of(rows, ann)).asks_object_tags
    condition = {"StringEquals": {"s3:ExistingObjectTag/class": "public"}}
    database.write_now(lambda rows: give(rows, ann.arn, allow(GET, Condition=condition)))
    assert database.read_now(lambda rows: known.of(rows, ann)).asks_object_tags


def test_a_trust_policy_that_cannot_be_read_trusts_nobody() -> None:
    policy = under_test.compiled(under_test.NamedDocument("trust-policy", "{"), under_test.PolicyKind.TRUST)
    request = AccessRequest(Principal("user", "1" * 12, "arn:x", "AIDA"), "sts:AssumeRole", "arn:aws:iam::1:role/x")
    decision = NO_POLICIES.evaluate(request, resource_policy=policy, resource_account="1" * 12, owner_allows=False)
    assert decision.effect == "explicit-deny"

"""Rows of identities: names without regard to case, a principal's policies, and nothing left for a namesake."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from s3al.store import accounts, identities, meta
from s3al.store.accounts import AccessKeyRow
from s3al.store.identities import GroupRow, ManagedPolicyRow, OidcProviderRow, PolicyVersionRow, RoleRow, UserRow
from s3al.store.layout import create_folder
from s3al.store.schema import prepare
from s3al.store.sqlite import SqliteDatabase

ACCOUNT = "111122223333"
KEY = b"k" * 32


@pytest.fixture
def database(tmp_path) -> Iterator[SqliteDatabase]:
    folder = create_folder(tmp_path / "store")
    prepare(folder, KEY)
    database = SqliteDatabase(folder.catalog, KEY, folder.locks)
    yield database
    database.close()


def user(name: str, **changes) -> UserRow:
    row = UserRow(f"arn:aws:iam::{ACCOUNT}:user/{name}", f"AIDA{name.upper()}", ACCOUNT, name, "/", 1)
    return replace(row, **changes)


def group(name: str) -> GroupRow:
    return GroupRow(f"arn:aws:iam::{ACCOUNT}:group/{name}", f"AGPA{name.upper()}", ACCOUNT, name, "/", 1)


def role(name: str, **changes) -> RoleRow:
    row = RoleRow(f"arn:aws:iam::{ACCOUNT}:role/{name}", f"AROA{name.upper()}", ACCOUNT, name, "/", 1, "{}")
    return replace(row, **changes)


def policy(name: str) -> ManagedPolicyRow:
    return ManagedPolicyRow(f"arn:aws:iam::{ACCOUNT}:policy/{name}", f"ANPA{name.upper()}", ACCOUNT, name, "/", 1, 1)


def run(database, write):
    return database.write_now(write)


def test_each_kind_comes_back_as_it_was_put(database):
    for row, find in (
        (user("ann", tags={"a": "b"}, boundary_arn="arn:x"), identities.find_user),
        (group("team"), identities.find_group),
        (role("app", tags={"c": "d"}, max_session_duration=7200, description="text"), identities.find_role),
    ):
        assert run(database, lambda rows, row=row: identities.put_identity(rows, row))
        assert database.read_now(lambda rows, find=find, row=row: find(rows, ACCOUNT, row.name.upper())) == row
        assert database.read_now(lambda rows, find=find, row=row: find(rows, "999999999999", row.name)) is None


def test_a_name_is_taken_without_regard_to_case_and_only_for_its_kind(database):
    assert run(database, lambda rows: identities.put_identity(rows, user("ann")))
    assert not run(database, lambda rows: identities.put_identity(rows, user("Ann")))
    assert run(database, lambda rows: identities.put_identity(rows, role("ann")))


def test_a_renamed_user_keeps_everything_and_a_deleted_one_leaves_nothing(database):
    ann, bob = user("ann"), user("bob", user_id="AIDAANN")

    def make(rows):
        identities.put_identity(rows, ann)
        identities.put_identity(rows, group("team"))
        identities.add_member(rows, group("team").arn, ann.arn)
        identities.put_inline_policy(rows, ann.arn, "inline", "{}")
        identities.attach_policy(rows, ann.arn, "arn:aws:iam::aws:policy/ReadOnlyAccess")
        accounts.create_access_key(rows, AccessKeyRow("AKIAX", ACCOUNT, ann.arn, b"sealed"))
        assert identities.put_identity(rows, bob, replaces=ann.arn)

    def held(rows, arn):
        return (
            [each.name for each in identities.groups_of(rows, arn)],
            identities.list_inline_policies(rows, arn),
            identities.attached_policies(rows, arn),
            [each.access_key_id for each in accounts.list_access_keys(rows, ACCOUNT, arn)],
        )

    run(database, make)
    assert database.read_now(lambda rows: held(rows, ann.arn)) == ([], [], [], [])
    assert database.read_now(lambda rows: held(rows, bob.arn)) == (
        ["team"], [("inline", "{}")], ["arn:aws:iam::aws:policy/ReadOnlyAccess"], ["AKIAX"],
    )  # fmt: skip
    assert run(database, lambda rows: identities.delete_identity(rows, bob.arn))
    assert database.read_now(lambda rows: held(rows, bob.arn)) == ([], [], [], [])
    assert database.read_now(lambda rows: accounts.find_access_key(rows, "AKIAX")) is None


def test_a_user_has_the_policies_of_groups_too_and_each_once(database):
    mine = policy("mine")

    def make(rows):
        identities.put_identity(rows, user("ann"))
        identities.put_identity(rows, group("team"))
        identities.add_member(rows, group("team").arn, user("ann").arn)
        assert identities.create_managed_policy(rows, mine, '{"v":1}')
        identities.put_inline_policy(rows, user("ann").arn, "own", '{"own":1}')
        identities.put_inline_policy(rows, group("team").arn, "shared", '{"shared":1}')
        for holder in (user("ann").arn, group("team").arn):
            identities.attach_policy(rows, holder, mine.arn)

    run(database, make)
    found = database.read_now(lambda rows: identities.identity_policies(rows, user("ann").arn))
    assert sorted(each.text for each in found) == ['{"own":1}', '{"shared":1}', '{"v":1}']


def test_the_default_version_speaks(database):
    mine = policy("mine")
    run(database, lambda rows: identities.create_managed_policy(rows, mine, '{"v":1}'))
    assert not run(database, lambda rows: identities.create_managed_policy(rows, policy("MINE"), "{}"))
    second = replace(mine, last_version=2)
    run(database, lambda rows: identities.add_policy_version(rows, second, PolicyVersionRow(2, '{"v":2}', 2)))
    assert database.read_now(lambda rows: identities.managed_policy_document(rows, mine.arn)).text == '{"v":1}'
    run(database, lambda rows: identities.change_managed_policy(rows, replace(second, default_version=2)))
    assert database.read_now(lambda rows: identities.managed_policy_document(rows, mine.arn)).text == '{"v":2}'
    versions = database.read_now(lambda rows: identities.list_policy_versions(rows, mine.arn))
    assert [each.version for each in versions] == [2, 1]


def test_a_boundary_whose_policy_is_gone_allows_nothing(database):
    mine = policy("limit")

    def make(rows):
        identities.create_managed_policy(rows, mine, "{}")
        identities.put_identity(rows, user("ann", boundary_arn=mine.arn))

    run(database, make)
    assert database.read_now(lambda rows: identities.boundary_of(rows, user("ann").arn)).text == "{}"
    assert database.read_now(lambda rows: identities.bounded_by(rows, mine.arn)) == [user("ann").arn]
    run(database, lambda rows: identities.delete_managed_policy(rows, mine.arn))
    left = json.loads(database.read_now(lambda rows: identities.boundary_of(rows, user("ann").arn)).text)
    assert left["Statement"]["Effect"] == "Deny"
    assert database.read_now(lambda rows: identities.boundary_of(rows, user("nobody").arn)) is None


def test_lists_go_by_name_within_a_path(database):
    def make(rows):
        for name, path in (("b", "/x/"), ("a", "/"), ("C", "/x/y/")):
            identities.put_identity(rows, user(name, path=path, arn=f"arn:aws:iam::{ACCOUNT}:user{path}{name}"))

    def names(rows, **where):
        return [each.name for each in identities.list_users(rows, ACCOUNT, **where)]

    run(database, make)
    assert database.read_now(lambda rows: names(rows, limit=10)) == ["a", "b", "C"]
    assert database.read_now(lambda rows: names(rows, limit=10, path_prefix="/x/")) == ["b", "C"]
    assert database.read_now(lambda rows: names(rows, limit=1, after="A")) == ["b"]
    assert database.read_now(lambda rows: identities.count_identities(rows, ACCOUNT)) == {"user": 3}


def test_providers_are_found_by_arn_and_by_issuer(database):
    arn, url = f"arn:aws:iam::{ACCOUNT}:oidc-provider/id.test", "https://id.test"
    provider = OidcProviderRow(arn, ACCOUNT, url, ("app",), ("ab",), 1)
    run(database, lambda rows: identities.put_oidc_provider(rows, provider))
    assert database.read_now(lambda rows: identities.find_oidc_provider(rows, provider.arn)) == provider
    by_url = identities.find_oidc_provider_by_url
    assert database.read_now(lambda rows: by_url(rows, ACCOUNT, url)) == provider
    assert database.read_now(lambda rows: by_url(rows, ACCOUNT, url + "/")) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: identities.put_identity(rows, user("zoe")),
        lambda rows: identities.delete_identity(rows, user("ann").arn),
        lambda rows: identities.put_inline_policy(rows, user("ann").arn, "p", "{}"),
        lambda rows: identities.delete_inline_policy(rows, user("ann").arn, "p"),
        lambda rows: identities.attach_policy(rows, user("ann").arn, "arn"),
        lambda rows: identities.detach_policy(rows, user("ann").arn, "arn"),
        lambda rows: identities.add_member(rows, group("team").arn, user("ann").arn),
        lambda rows: identities.remove_member(rows, group("team").arn, user("ann").arn),
        lambda rows: identities.create_managed_policy(rows, policy("p"), "{}"),
        lambda rows: identities.change_managed_policy(rows, policy("p")),
        lambda rows: identities.delete_policy_version(rows, policy("p").arn, 1),
        lambda rows: identities.delete_managed_policy(rows, policy("p").arn),
        lambda rows: identities.delete_oidc_provider(rows, "arn"),
    ],
)
def test_every_change_moves_the_counter(database, change):
    before = database.read_now(meta.change_counter)
    run(database, change)
    assert database.read_now(meta.change_counter) > before


def test_aws_managed_policies_are_json_with_a_statement():
    for arn, text in identities.AWS_MANAGED.items():
        assert arn.startswith("arn:aws:iam::aws:policy/")
        assert json.loads(text)["Statement"]

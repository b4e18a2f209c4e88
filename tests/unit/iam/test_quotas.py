"""Every quota of IAM: the last that fits is made, one more is LimitExceeded in AWS's words, and changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from s3al.iam.quotas import QUOTAS, SUMMARY
from s3al.store import identities
from s3al.store.database import Rows
from s3al.store.identities import GroupRow, ManagedPolicyRow, OidcProviderRow, RoleRow, UserRow
from support.house import House, open_house
from support.people import allow, document, trust

ALLOW = document(allow("s3:GetObject"))
Fill = Callable[[Rows, str, int], object]


@pytest.fixture(scope="module")
def full(house: House) -> Any:
    """An account to be filled, as its root."""
    made = house.own_api("CreateAccount", name="full")
    keys = {"aws_access_key_id": made["access_key_id"], "aws_secret_access_key": made["secret_access_key"]}
    return made["account_id"], house.client("iam", **keys)


def sized(characters: int) -> str:
    """A policy of that many characters that count, written with white space that does not."""
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::"}
    plain = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, separators=(",", ":"))
    statement["Resource"] += "a" * (characters - len(plain))
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=4)


def sized_trust(account_id: str, characters: int) -> str:
    text = trust({"AWS": account_id}, StringEquals={"sts:ExternalId": ""})
    plain = len(json.dumps(json.loads(text), separators=(",", ":")))
    return text.replace('""', '"' + "a" * (characters - plain) + '"')


def fill_users(rows: Rows, account_id: str, number: int) -> None:
    name = f"user-{number}"
    row = UserRow(f"arn:aws:iam::{account_id}:user/{name}", f"AIDA{number:017}", account_id, name, "/", 1)
    assert identities.put_identity(rows, row)


def fill_groups(rows: Rows, account_id: str, number: int) -> None:
    name = f"group-{number}"
    row = GroupRow(f"arn:aws:iam::{account_id}:group/{name}", f"AGPA{number:017}", account_id, name, "/", 1)
    assert identities.put_identity(rows, row)


def fill_roles(rows: Rows, account_id: str, number: int) -> None:
    name = f"role-{number}"
    row = RoleRow(f"arn:aws:iam::{account_id}:role/{name}", f"AROA{number:017}", account_id, name, "/", 1, ALLOW)
    assert identities.put_identity(rows, row)


def fill_policies(rows: Rows, account_id: str, number: int) -> None:
    name = f"policy-{number}"
    arn, policy_id = f"arn:aws:iam::{account_id}:policy/{name}", f"ANPA{number:017}"
    assert identities.create_managed_policy(rows, ManagedPolicyRow(arn, policy_id, account_id, name, "/", 1, 1), ALLOW)


def fill_providers(rows: Rows, account_id: str, number: int) -> None:
    host = f"id-{number}.example.com"
    arn = f"arn:aws:iam::{account_id}:oidc-provider/{host}"
    identities.put_oidc_provider(rows, OidcProviderRow(arn, account_id, f"https://{host}", (), (), 1))


def create_role(iam: Any, name: str, account_id: str) -> Any:
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust({"AWS": account_id}))


# Quota -> what fills it by rows, what makes one more by its name, and how many the account shows.
OF_ACCOUNTS: dict[str, tuple[Fill, Callable[[Any, str, str], Any], Callable[[Any], int]]] = {
    "UsersPerAccount": (
        fill_users,
        lambda iam, name, _: iam.create_user(UserName=name),
        lambda iam: iam.get_account_summary()["SummaryMap"]["Users"],
    ),
    "GroupsPerAccount": (
        fill_groups,
        lambda iam, name, _: iam.create_group(GroupName=name),
        lambda iam: iam.get_account_summary()["SummaryMap"]["Groups"],
    ),
    "RolesPerAccount": (fill_roles, create_role, lambda iam: iam.get_account_summary()["SummaryMap"]["Roles"]),
    "PoliciesPerAccount": (
        fill_policies,
        lambda iam, name, _: iam.create_policy(PolicyName=name, PolicyDocument=ALLOW),
        lambda iam: iam.get_account_summary()["SummaryMap"]["Policies"],
    ),
    "OpenIdConnectProvidersPerAccount": (
        fill_providers,
        lambda iam, name, _: iam.create_open_id_connect_provider(Url=f"https://{name}.example.com"),
        lambda iam: len(iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]),
    ),
}


@pytest.mark.parametrize("quota", OF_ACCOUNTS)
def test_an_account_has_so_many_and_no_more(database: Any, full: Any, quota: str) -> None:
    (account_id, iam), (fill, make, count) = full, OF_ACCOUNTS[quota]
    most = QUOTAS[quota]
    database.write_now(lambda rows: [fill(rows, account_id, number) for number in range(most - 1)])
    make(iam, "the-last", account_id)
    assert count(iam) == most
    refused(quota, lambda: make(iam, "one-more", account_id))
    assert count(iam) == most


def refused(quota: str, act: Callable[[], Any], sentence: str | None = None) -> None:
    with pytest.raises(Exception, match="LimitExceeded") as raised:
        act()
    answer: Any = raised.value
    assert answer.response["ResponseMetadata"]["HTTPStatusCode"] == 409
    wanted = sentence or f"Cannot exceed quota for {quota}: {QUOTAS[quota]}"
    assert answer.response["Error"]["Message"] == wanted


# --- of each entity: make the `number`th for a user, group, role or policy that is there


class Things:
    """One of each, made anew."""

    def __init__(self, iam: Any, account_id: str, name: str) -> None:
        self.iam, self.account_id, self.name = iam, account_id, name
        iam.create_user(UserName=name)
        iam.create_group(GroupName=name)
        create_role(iam, name, account_id)
        self.policy_arn = iam.create_policy(PolicyName=name, PolicyDocument=ALLOW)["Policy"]["Arn"]
        made = iam.create_open_id_connect_provider(Url=f"https://{name}.example.com".lower())
        self.provider_arn = made["OpenIDConnectProviderArn"]

    def new_policy(self, number: int) -> str:
        made = self.iam.create_policy(PolicyName=f"{self.name}-{number}", PolicyDocument=ALLOW)
        return str(made["Policy"]["Arn"])

    def add_group(self, number: int) -> None:
        self.iam.create_group(GroupName=f"{self.name}-{number}")
        self.iam.add_user_to_group(UserName=self.name, GroupName=f"{self.name}-{number}")


# Quota -> what makes the number-th, and how many there are.
OF_ENTITIES: dict[str, tuple[Callable[[Things, int], Any], Callable[[Things], int]]] = {
    "GroupsPerUser": (
        Things.add_group,
        lambda things: len(things.iam.list_groups_for_user(UserName=things.name)["Groups"]),
    ),
    "AccessKeysPerUser": (
        lambda things, _: things.iam.create_access_key(UserName=things.name),
        lambda things: len(things.iam.list_access_keys(UserName=things.name)["AccessKeyMetadata"]),
    ),
    "PoliciesPerUser": (
        lambda things, n: things.iam.attach_user_policy(UserName=things.name, PolicyArn=things.new_policy(n)),
        lambda things: len(things.iam.list_attached_user_policies(UserName=things.name)["AttachedPolicies"]),
    ),
    "PoliciesPerGroup": (
        lambda things, n: things.iam.attach_group_policy(GroupName=things.name, PolicyArn=things.new_policy(n)),
        lambda things: len(things.iam.list_attached_group_policies(GroupName=things.name)["AttachedPolicies"]),
    ),
    "PoliciesPerRole": (
        lambda things, n: things.iam.attach_role_policy(RoleName=things.name, PolicyArn=things.new_policy(n)),
        lambda things: len(things.iam.list_attached_role_policies(RoleName=things.name)["AttachedPolicies"]),
    ),
    "VersionsPerPolicy": (
        lambda things, n: (
            things.iam.create_policy_version(PolicyArn=things.policy_arn, PolicyDocument=ALLOW) if n else None
        ),
        lambda things: len(things.iam.list_policy_versions(PolicyArn=things.policy_arn)["Versions"]),
    ),
    "ClientIdsPerOpenIdConnectProvider": (
        lambda things, n: things.iam.add_client_id_to_open_id_connect_provider(
            OpenIDConnectProviderArn=things.provider_arn, ClientID=f"client-{n}"
        ),
        lambda things: len(
            things.iam.get_open_id_connect_provider(OpenIDConnectProviderArn=things.provider_arn)["ClientIDList"]
        ),
    ),
    "TagsPerResource": (
        lambda things, n: things.iam.tag_role(RoleName=things.name, Tags=[{"Key": f"tag-{n}", "Value": ""}]),
        lambda things: len(things.iam.list_role_tags(RoleName=things.name)["Tags"]),
    ),
}
_WORDS = {
    "VersionsPerPolicy": "A managed policy can have up to 5 versions. Before you create a new version, you must delete "
    "an existing version."
}


@pytest.mark.parametrize("quota", OF_ENTITIES)
def test_an_entity_has_so_many_and_no_more(iam: Any, account_id: str, quota: str) -> None:
    things, (make, count) = Things(iam, account_id, quota), OF_ENTITIES[quota]
    most = QUOTAS[quota]
    for number in range(most):
        make(things, number)
    assert count(things) == most
    refused(quota, lambda: make(things, most), _WORDS.get(quota))
    assert count(things) == most


# --- sizes


def put_inline(kind: str) -> Callable[[Things, str], Any]:
    member = f"{kind.capitalize()}Name"

    def put(things: Things, text: str) -> Any:
        act = getattr(things.iam, f"put_{kind}_policy")
        return act(**{member: things.name}, PolicyName="p", PolicyDocument=text)

    return put


# Quota -> what is put, a text of some length, and AWS's sentence where it is its own.
SIZES: dict[str, tuple[Callable[[Things, str], Any], Callable[[Things, int], str], str | None]] = {
    "PolicySize": (
        lambda things, text: things.iam.create_policy_version(PolicyArn=things.policy_arn, PolicyDocument=text),
        lambda _, characters: sized(characters),
        None,
    ),
    "ACLSizePerRole": (
        lambda things, text: things.iam.update_assume_role_policy(RoleName=things.name, PolicyDocument=text),
        lambda things, characters: sized_trust(things.account_id, characters),
        None,
    ),
    **{
        f"{kind.capitalize()}PolicySize": (
            put_inline(kind),
            lambda _, characters: sized(characters),
            f"Maximum policy size of {most} bytes exceeded for {kind} {kind.capitalize()}PolicySize",
        )
        for kind, most in (("user", 2048), ("group", 5120), ("role", 10240))
    },
}


@pytest.mark.parametrize("quota", SIZES)
def test_a_policy_is_so_long_and_no_longer(iam: Any, account_id: str, quota: str) -> None:
    things, (put, text, sentence) = Things(iam, account_id, quota), SIZES[quota]
    put(things, text(things, QUOTAS[quota]))
    refused(quota, lambda: put(things, text(things, QUOTAS[quota] + 1)), sentence)


def test_all_inline_policies_of_a_holder_count_together(iam: Any, account_id: str) -> None:
    things = Things(iam, account_id, "together")
    iam.put_user_policy(UserName="together", PolicyName="one", PolicyDocument=sized(1024))
    iam.put_user_policy(UserName="together", PolicyName="two", PolicyDocument=sized(1024))
    sentence = "Maximum policy size of 2048 bytes exceeded for user together"
    refused("", lambda: put_inline("user")(things, sized(200)), sentence)
    iam.put_user_policy(UserName="together", PolicyName="two", PolicyDocument=sized(1000))  # replaces, and counts once


def test_every_quota_is_tried_here() -> None:
    assert {*OF_ACCOUNTS, *OF_ENTITIES, *SIZES} == set(QUOTAS)


def test_the_summary_says_what_is_enforced(iam: Any) -> None:
    shown = iam.get_account_summary()["SummaryMap"]
    assert {name: shown[name] for name in SUMMARY} == {name: QUOTAS[quota] for name, quota in SUMMARY.items()}
    assert shown["AccountAccessKeysPresent"] == 1 and shown["AccountMFAEnabled"] == 0


def test_two_workers_at_once_make_no_more_than_fit(tmp_path: Path) -> None:
    with open_house(tmp_path / "house", workers=2) as house:
        workers = [house.client("iam", worker=number) for number in (0, 1)]
        workers[0].create_user(UserName="racer")

        def create(number: int) -> bool:
            try:
                workers[number % 2].create_access_key(UserName="racer")
            except ClientError as refused:
                assert refused.response["Error"]["Code"] == "LimitExceeded"
                return False
            return True

        with ThreadPoolExecutor(8) as threads:
            made = list(threads.map(create, range(8)))
        kept = workers[0].list_access_keys(UserName="racer")["AccessKeyMetadata"]
        assert sum(made) == len(kept) == QUOTAS["AccessKeysPerUser"]

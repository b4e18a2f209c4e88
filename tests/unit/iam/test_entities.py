"""Tags of every kind of entity, who may give them, the whole of an account in one list, and what is not to be had."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from s3al.iam.operations import absent
from support.house import House
from support.people import allow, deny, document, give, make_user, trust

ALLOW = document(allow("s3:GetObject"))
TAGS = [{"Key": "team", "Value": "blue"}]
FULL = "arn:aws:iam::aws:policy/IAMFullAccess"


def code_of(act: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as refused:
        act()
    return str(refused.value.response["Error"]["Code"])


# Kind as in the names of operations -> creation, and how the operations on tags name it.
KINDS: dict[str, tuple[Callable[[Any, str, str, Any], Any], Callable[[str, str], dict[str, str]]]] = {
    "user": (
        lambda iam, _, name, tags: iam.create_user(UserName=name, **tags),
        lambda _, name: {"UserName": name},
    ),
    "role": (
        lambda iam, account, name, tags: iam.create_role(
            RoleName=name, AssumeRolePolicyDocument=trust({"AWS": account}), **tags
        ),
        lambda _, name: {"RoleName": name},
    ),
    "policy": (
        lambda iam, _, name, tags: iam.create_policy(PolicyName=name, PolicyDocument=ALLOW, **tags),
        lambda account, name: {"PolicyArn": f"arn:aws:iam::{account}:policy/{name}"},
    ),
    "open_id_connect_provider": (
        lambda iam, _, name, tags: iam.create_open_id_connect_provider(Url=f"https://{name}.example.com", **tags),
        lambda account, name: {"OpenIDConnectProviderArn": f"arn:aws:iam::{account}:oidc-provider/{name}.example.com"},
    ),
}
ACTION = {"open_id_connect_provider": "OpenIDConnectProvider"}


@pytest.mark.parametrize("kind", KINDS)
def test_tags_are_given_changed_listed_and_taken(iam: Any, account_id: str, kind: str) -> None:
    create, named = KINDS[kind]
    create(iam, account_id, "tagged", {"Tags": TAGS})
    who = named(account_id, "tagged")
    shown = getattr(iam, f"list_{kind}_tags")
    assert shown(**who)["Tags"] == TAGS
    getattr(iam, f"tag_{kind}")(**who, Tags=[{"Key": "Team", "Value": "red"}, {"Key": "x", "Value": ""}])
    assert shown(**who)["Tags"] == [{"Key": "Team", "Value": "red"}, {"Key": "x", "Value": ""}]
    page = shown(**who, MaxItems=1)
    assert page["IsTruncated"] and shown(**who, Marker=page["Marker"])["Tags"] == [{"Key": "x", "Value": ""}]
    getattr(iam, f"untag_{kind}")(**who, TagKeys=["Team", "never-there"])
    assert shown(**who)["Tags"] == [{"Key": "x", "Value": ""}]
    absent_one = named(account_id, "absent")
    for act in ("tag", "untag", "list"):
        more = {"tag": {"Tags": TAGS}, "untag": {"TagKeys": ["a"]}, "list": {}}[act]
        operation = getattr(iam, f"list_{kind}_tags" if act == "list" else f"{act}_{kind}")
        assert code_of(lambda operation=operation, more=more: operation(**absent_one, **more)) == "NoSuchEntity"


@pytest.mark.parametrize("kind", KINDS)
def test_tags_at_the_creation_need_the_permission_to_tag(
    house: House, database: Any, iam: Any, account_id: str, kind: str
) -> None:
    server_key = house.workers[0].gateway.services["iam"].ports.server_key
    who = database.write_now(lambda rows: make_user(rows, server_key, account_id, f"tagger-of-{kind}"))
    theirs = house.client("iam", **who.keys)
    create, named = KINDS[kind]
    action = f"iam:Tag{ACTION.get(kind, kind.capitalize())}"
    database.write_now(lambda rows: give(rows, who.arn, allow("iam:*"), deny(action)))
    create(theirs, account_id, "plain", {})
    assert code_of(lambda: create(theirs, account_id, "refused", {"Tags": TAGS})) == "AccessDenied"
    assert code_of(lambda: getattr(iam, f"list_{kind}_tags")(**named(account_id, "refused"))) == "NoSuchEntity"
    only_blue = deny(action, Condition={"StringNotEquals": {"aws:RequestTag/team": "blue"}})
    database.write_now(lambda rows: give(rows, who.arn, allow("iam:*"), only_blue))
    create(theirs, account_id, "blue", {"Tags": TAGS})
    red = {"Tags": [{"Key": "team", "Value": "red"}]}
    assert code_of(lambda: create(theirs, account_id, "refused", red)) == "AccessDenied"


def test_a_policy_of_awss_has_no_tags_and_takes_none(iam: Any) -> None:
    assert iam.list_policy_tags(PolicyArn=FULL)["Tags"] == []
    assert code_of(lambda: iam.tag_policy(PolicyArn=FULL, Tags=TAGS)) == "AccessDenied"


# --- the account as a whole


@pytest.fixture(scope="module")
def peopled(house: House) -> Any:
    """The root's client of an account that has one of each."""
    made = house.own_api("CreateAccount", name="peopled")
    keys = {"aws_access_key_id": made["access_key_id"], "aws_secret_access_key": made["secret_access_key"]}
    iam = house.client("iam", **keys)
    policy = iam.create_policy(PolicyName="mine", PolicyDocument=ALLOW)["Policy"]["Arn"]
    for name in ("anna", "bert"):
        iam.create_user(UserName=name, PermissionsBoundary=policy, Tags=TAGS)
    iam.create_group(GroupName="staff")
    iam.add_user_to_group(GroupName="staff", UserName="anna")
    iam.put_user_policy(UserName="anna", PolicyName="inline", PolicyDocument=ALLOW)
    iam.attach_group_policy(GroupName="staff", PolicyArn=policy)
    iam.create_role(RoleName="ship", AssumeRolePolicyDocument=trust({"AWS": made["account_id"]}), Description="d")
    iam.attach_role_policy(RoleName="ship", PolicyArn=FULL)
    iam.create_policy_version(PolicyArn=policy, PolicyDocument=document(deny("s3:*")))
    return iam


def test_the_details_of_an_account_are_complete(peopled: Any) -> None:
    shown = peopled.get_account_authorization_details()
    anna, bert = shown["UserDetailList"]
    assert (anna["UserName"], anna["GroupList"], anna["Tags"]) == ("anna", ["staff"], TAGS)
    assert anna["UserPolicyList"] == [{"PolicyName": "inline", "PolicyDocument": json.loads(ALLOW)}]
    assert anna["PermissionsBoundary"]["PermissionsBoundaryArn"].endswith(":policy/mine")
    assert (bert["UserPolicyList"], bert["GroupList"]) == ([], [])
    (staff,) = shown["GroupDetailList"]
    assert [each["PolicyName"] for each in staff["AttachedManagedPolicies"]] == ["mine"]
    (ship,) = shown["RoleDetailList"]
    assert ship["AttachedManagedPolicies"] == [{"PolicyName": "IAMFullAccess", "PolicyArn": FULL}]
    mine = next(each for each in shown["Policies"] if each["PolicyName"] == "mine")
    assert [each["VersionId"] for each in mine["PolicyVersionList"]] == ["v2", "v1"]
    assert (mine["AttachmentCount"], mine["PermissionsBoundaryUsageCount"]) == (1, 2)
    assert FULL in {each["Arn"] for each in shown["Policies"]}
    assert not shown["IsTruncated"]


def test_the_details_come_in_pages_across_kinds(peopled: Any) -> None:
    pages = list(
        peopled.get_paginator("get_account_authorization_details").paginate(
            Filter=["User", "Role", "LocalManagedPolicy"], PaginationConfig={"PageSize": 1}
        )
    )
    found = [
        entry.get("UserName") or entry.get("RoleName") or entry.get("PolicyName")
        for page in pages
        for member in ("UserDetailList", "GroupDetailList", "RoleDetailList", "Policies")
        for entry in page[member]
    ]
    assert found == ["anna", "bert", "ship", "mine"] and len(pages) == 4
    marker = "OTkv"  # 99/ in base64: no kind has this number
    assert code_of(lambda: peopled.get_account_authorization_details(Marker=marker)) == "ValidationError"
    assert code_of(lambda: peopled.get_account_authorization_details(Filter=["Everyone"])) == "ValidationError"


def test_lists_and_renames_are_as_before_for_each_kind(peopled: Any) -> None:
    assert [each["UserName"] for each in peopled.list_users()["Users"]] == ["anna", "bert"]
    assert [each["GroupName"] for each in peopled.list_groups()["Groups"]] == ["staff"]
    assert [each["RoleName"] for each in peopled.list_roles(PathPrefix="/")["Roles"]] == ["ship"]
    assert peopled.list_roles(PathPrefix="/none/")["Roles"] == []
    peopled.update_group(GroupName="staff", NewGroupName="crew", NewPath="/deck/")
    (crew,) = peopled.list_groups_for_user(UserName="anna")["Groups"]
    assert crew["Arn"].endswith(":group/deck/crew")
    assert code_of(lambda: peopled.update_user(UserName="anna", NewUserName="Bert")) == "EntityAlreadyExists"
    peopled.update_group(GroupName="crew", NewGroupName="staff", NewPath="/")


# --- what no user has here


ARGUMENTS: dict[str, dict[str, str]] = {
    "DeactivateMFADevice": {"SerialNumber": "arn:aws:iam::111122223333:mfa/x"},
    "DeleteSSHPublicKey": {"SSHPublicKeyId": "A" * 20},
    "DeleteSigningCertificate": {"CertificateId": "A" * 24},
    "DeleteServiceSpecificCredential": {"ServiceSpecificCredentialId": "A" * 20},
}


def ask(iam: Any, operation: str, **who: str) -> Any:
    name = next(method for method, each in iam.meta.method_to_api_mapping.items() if each == operation)
    members = iam.meta.service_model.operation_model(operation).input_shape
    return getattr(iam, name)(**{key: value for key, value in who.items() if members and key in members.members},
                              **ARGUMENTS.get(operation, {}))  # fmt: skip


@pytest.mark.parametrize("operation", sorted(absent.EMPTY))
def test_a_list_of_what_nobody_has_is_empty(peopled: Any, operation: str) -> None:
    about, member = absent.EMPTY[operation]
    answer = ask(peopled, operation, UserName="anna", RoleName="ship")
    assert answer[member] == [] and not answer.get("IsTruncated")
    if about is not absent.ACCOUNT:
        absent_one = {"UserName": "nobody", "RoleName": "nobody"}
        assert code_of(lambda: ask(peopled, operation, **absent_one)) == "NoSuchEntity"


@pytest.mark.parametrize("operation", sorted(absent.NO_SUCH))
def test_what_nobody_has_is_no_such_entity(peopled: Any, operation: str) -> None:
    with pytest.raises(ClientError) as refused:
        ask(peopled, operation, UserName="anna")
    assert refused.value.response["Error"]["Code"] == "NoSuchEntity"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert "{" not in refused.value.response["Error"]["Message"]
    if absent.NO_SUCH[operation][0] is not absent.ACCOUNT:
        with pytest.raises(ClientError, match="user with name nobody cannot be found"):
            ask(peopled, operation, UserName="nobody")


def test_a_root_may_ask_for_its_own_second_factors(peopled: Any) -> None:
    assert peopled.list_mfa_devices()["MFADevices"] == []


# --- conditions and renames


@pytest.mark.parametrize("kind", ["user", "group"])
def test_a_rename_needs_the_permission_on_what_it_becomes(
    house: House, iam: Any, database: Any, account_id: str, kind: str
) -> None:
    name = f"mover-{kind}"
    server_key = house.workers[0].gateway.services["iam"].ports.server_key
    person = database.write_now(lambda rows: make_user(rows, server_key, account_id, name))
    mine = f"arn:aws:iam::{account_id}:{kind}/dev/*"
    database.write_now(lambda rows: give(rows, person.arn, allow(f"iam:Update{kind.capitalize()}", mine)))
    named, new = f"{kind.capitalize()}Name", f"New{kind.capitalize()}Name"
    getattr(iam, f"create_{kind}")(**{named: f"one-{kind}", "Path": "/dev/"})
    update = getattr(house.client("iam", **person.keys), f"update_{kind}")
    assert code_of(lambda: update(**{named: f"one-{kind}", "NewPath": "/admin/"})) == "AccessDenied"
    update(**{named: f"one-{kind}", new: f"two-{kind}"})
    update(**{named: f"two-{kind}", "NewPath": "/dev/deeper/"})
    assert code_of(lambda: update(**{named: f"two-{kind}", "NewPath": "/"})) == "AccessDenied"
    shown = getattr(iam, f"get_{kind}")(**{named: f"two-{kind}"})[kind.capitalize()]
    assert shown["Path"] == "/dev/deeper/"


def test_conditions_on_tags_hold_at_the_creation_and_after(
    house: House, iam: Any, database: Any, account_id: str
) -> None:
    server_key = house.workers[0].gateway.services["iam"].ports.server_key
    person = database.write_now(lambda rows: make_user(rows, server_key, account_id, "tagger"))
    only = {"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}, "StringEquals": {"aws:RequestTag/team": "blue"}}
    database.write_now(
        lambda rows: give(rows, person.arn, allow("iam:CreateUser"), allow("iam:TagUser", Condition=only))
    )
    mine = house.client("iam", **person.keys)
    wrong = [
        [{"Key": "team", "Value": "red"}],
        [{"Key": "team", "Value": "blue"}, {"Key": "admin", "Value": "yes"}],
        [{"Key": "admin", "Value": "yes"}],
    ]
    for tags in wrong:
        assert code_of(lambda tags=tags: mine.create_user(UserName="held", Tags=tags)) == "AccessDenied"
    twice = [{"Key": "team", "Value": "blue"}, {"Key": "Team", "Value": "red"}]
    assert code_of(lambda: mine.create_user(UserName="held", Tags=twice)) in ("AccessDenied", "InvalidInput")
    mine.create_user(UserName="held", Tags=TAGS)
    for tags in wrong:
        assert code_of(lambda tags=tags: mine.tag_user(UserName="held", Tags=tags)) == "AccessDenied"
    mine.tag_user(UserName="held", Tags=TAGS)
    assert iam.list_user_tags(UserName="held")["Tags"] == TAGS


def test_a_boundary_that_a_condition_requires_is_required_of_every_way(
    house: House, iam: Any, database: Any, account_id: str
) -> None:
    server_key = house.workers[0].gateway.services["iam"].ports.server_key
    person = database.write_now(lambda rows: make_user(rows, server_key, account_id, "delegate"))
    bounds = iam.create_policy(PolicyName="bounds", PolicyDocument=ALLOW)["Policy"]["Arn"]
    required = {"StringEquals": {"iam:PermissionsBoundary": bounds}}
    names = ("CreateUser", "PutUserPolicy", "AttachUserPolicy", "PutUserPermissionsBoundary")
    actions = [f"iam:{name}" for name in names]
    database.write_now(lambda rows: give(rows, person.arn, allow(actions, Condition=required)))
    mine = house.client("iam", **person.keys)
    assert code_of(lambda: mine.create_user(UserName="bounded")) == "AccessDenied"
    assert code_of(lambda: mine.create_user(UserName="bounded", PermissionsBoundary=FULL)) == "AccessDenied"
    mine.create_user(UserName="bounded", PermissionsBoundary=bounds)
    mine.put_user_policy(UserName="bounded", PolicyName="p", PolicyDocument=ALLOW)
    assert code_of(lambda: mine.put_user_permissions_boundary(UserName="bounded", PermissionsBoundary=FULL)) == (
        "AccessDenied"
    )
    assert code_of(lambda: mine.delete_user_permissions_boundary(UserName="bounded")) == "AccessDenied"
    iam.create_user(UserName="unbounded")
    for act in (
        lambda: mine.put_user_policy(UserName="unbounded", PolicyName="p", PolicyDocument=ALLOW),
        lambda: mine.attach_user_policy(UserName="unbounded", PolicyArn=bounds),
    ):
        assert code_of(act) == "AccessDenied"

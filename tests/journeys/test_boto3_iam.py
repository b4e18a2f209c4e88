"""IAM by boto3, as its users use it: everything made, listed, changed and removed, and what it decides at once."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.settings import new_account, new_bucket

ALLOW_S3 = json.dumps({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}})
TOO_LONG = ALLOW_S3.replace('"*"', '"arn:aws:s3:::bucket/' + "a" * 2048 + '"')
NO_STS = json.dumps(
    {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject"}}
)
READ_ONLY = "arn:aws:iam::aws:policy/ReadOnlyAccess"


@pytest.fixture
def iam(standing_server) -> Any:
    return standing_server.client("iam")


@pytest.fixture
def account_id(standing_server) -> str:
    return standing_server.client("sts").get_caller_identity()["Account"]


def name(kind: str) -> str:
    return f"{kind}-{os.urandom(4).hex()}"


def trust(account_id: str) -> str:
    who = {"AWS": f"arn:aws:iam::{account_id}:root"}
    return json.dumps(
        {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Principal": who, "Action": "sts:AssumeRole"}}
    )


def refused(code: str) -> Any:
    return pytest.raises(ClientError, match=rf"\({code}\)")


def new_user(iam: Any, **options: Any) -> str:
    user = name("user")
    iam.create_user(UserName=user, **options)
    return user


def as_user(server: Any, iam: Any, user: str, service: str = "s3") -> tuple[Any, str]:
    made = iam.create_access_key(UserName=user)["AccessKey"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    return server.client(service, **keys), made["AccessKeyId"]


def test_a_user_is_made_shown_renamed_tagged_and_removed(iam, account_id):
    user, other = name("User"), name("other")
    made = iam.create_user(UserName=user, Path="/team/", Tags=[{"Key": "a", "Value": "b"}])["User"]
    assert made["Arn"] == f"arn:aws:iam::{account_id}:user/team/{user}"
    assert made["UserId"].startswith("AIDA")
    with refused("EntityAlreadyExists"):
        iam.create_user(UserName=user.lower())
    iam.tag_user(UserName=user, Tags=[{"Key": "c", "Value": "d"}])
    iam.untag_user(UserName=user, TagKeys=["a"])
    assert iam.get_user(UserName=user)["User"]["Tags"] == [{"Key": "c", "Value": "d"}]
    iam.update_user(UserName=user, NewUserName=other, NewPath="/")
    with refused("NoSuchEntity"):
        iam.get_user(UserName=user)
    assert iam.get_user(UserName=other)["User"]["UserId"] == made["UserId"]
    iam.delete_user(UserName=other)
    with refused("NoSuchEntity"):
        iam.delete_user(UserName=other)


def test_a_policy_attached_or_taken_decides_the_next_request(standing_server, iam):
    user, bucket = new_user(iam), new_bucket(standing_server)
    s3, access_key_id = as_user(standing_server, iam, user)
    for _ in range(4):  # both workers
        with refused("AccessDenied"):
            s3.put_object(Bucket=bucket, Key="x", Body=b"x")
    iam.put_user_policy(UserName=user, PolicyName="all", PolicyDocument=ALLOW_S3)
    for _ in range(4):
        s3.put_object(Bucket=bucket, Key="x", Body=b"x")
    iam.delete_user_policy(UserName=user, PolicyName="all")
    for _ in range(4):
        with refused("AccessDenied"):
            s3.get_object(Bucket=bucket, Key="x")
    assert iam.get_policy(PolicyArn=READ_ONLY)["Policy"]["PolicyName"] == "ReadOnlyAccess"
    iam.attach_user_policy(UserName=user, PolicyArn=READ_ONLY)
    assert s3.get_object(Bucket=bucket, Key="x")["Body"].read() == b"x"
    with refused("AccessDenied"):
        s3.put_object(Bucket=bucket, Key="x", Body=b"x")
    iam.update_access_key(UserName=user, AccessKeyId=access_key_id, Status="Inactive")
    for _ in range(4):
        with refused("InvalidAccessKeyId"):
            s3.get_object(Bucket=bucket, Key="x")


def test_groups_and_boundaries_decide_too(standing_server, iam):
    user, group, bucket = new_user(iam), name("group"), new_bucket(standing_server)
    s3, _ = as_user(standing_server, iam, user)
    iam.create_group(GroupName=group)
    iam.put_group_policy(GroupName=group, PolicyName="all", PolicyDocument=ALLOW_S3)
    iam.add_user_to_group(GroupName=group, UserName=user)
    s3.put_object(Bucket=bucket, Key="x", Body=b"x")
    assert [each["UserName"] for each in iam.get_group(GroupName=group)["Users"]] == [user]
    assert [each["GroupName"] for each in iam.list_groups_for_user(UserName=user)["Groups"]] == [group]
    iam.put_user_permissions_boundary(UserName=user, PermissionsBoundary=READ_ONLY)
    with refused("AccessDenied"):
        s3.put_object(Bucket=bucket, Key="x", Body=b"x")
    assert s3.get_object(Bucket=bucket, Key="x")["Body"].read() == b"x"
    iam.delete_user_permissions_boundary(UserName=user)
    s3.put_object(Bucket=bucket, Key="x", Body=b"y")
    iam.remove_user_from_group(GroupName=group, UserName=user)
    with refused("AccessDenied"):
        s3.get_object(Bucket=bucket, Key="x")


def test_managed_policies_have_versions_of_which_one_speaks(standing_server, iam):
    user, bucket = new_user(iam), new_bucket(standing_server)
    s3, _ = as_user(standing_server, iam, user)
    arn = iam.create_policy(PolicyName=name("policy"), PolicyDocument=ALLOW_S3)["Policy"]["Arn"]
    iam.attach_user_policy(UserName=user, PolicyArn=arn)
    s3.put_object(Bucket=bucket, Key="x", Body=b"x")
    deny = ALLOW_S3.replace("Allow", "Deny")
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=deny, SetAsDefault=True)
    with refused("AccessDenied"):
        s3.get_object(Bucket=bucket, Key="x")
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v1")
    s3.get_object(Bucket=bucket, Key="x")["Body"].read()
    assert iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]["Document"] == json.loads(deny)
    with refused("DeleteConflict"):
        iam.delete_policy(PolicyArn=arn)
    with refused("DeleteConflict"):
        iam.delete_policy_version(PolicyArn=arn, VersionId="v1")
    for _ in range(3):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=deny)
    with refused("LimitExceeded"):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=deny)
    assert [each["UserName"] for each in iam.list_entities_for_policy(PolicyArn=arn)["PolicyUsers"]] == [user]
    iam.detach_user_policy(UserName=user, PolicyArn=arn)
    for version in iam.list_policy_versions(PolicyArn=arn)["Versions"]:
        if not version["IsDefaultVersion"]:
            iam.delete_policy_version(PolicyArn=arn, VersionId=version["VersionId"])
    iam.delete_policy(PolicyArn=arn)


def test_a_role_is_made_taken_changed_and_removed(standing_server, iam, account_id):
    role, user = name("role"), new_user(iam)
    made = iam.create_role(
        RoleName=role, AssumeRolePolicyDocument=trust(account_id), MaxSessionDuration=7200, Description="d"
    )["Role"]
    assert made["AssumeRolePolicyDocument"] == json.loads(trust(account_id))
    sts, _ = as_user(standing_server, iam, user, "sts")
    take = {"RoleArn": made["Arn"], "RoleSessionName": "session"}
    with refused("AccessDenied"):
        sts.assume_role(**take)
    let = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": made["Arn"]}
    iam.put_user_policy(
        UserName=user, PolicyName="take", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": let})
    )
    held = sts.assume_role(**take)["Credentials"]
    keys = {
        "aws_access_key_id": held["AccessKeyId"],
        "aws_secret_access_key": held["SecretAccessKey"],
        "aws_session_token": held["SessionToken"],
    }
    s3, bucket = standing_server.client("s3", **keys), new_bucket(standing_server)
    with refused("AccessDenied"):
        s3.put_object(Bucket=bucket, Key="x", Body=b"x")
    iam.put_role_policy(RoleName=role, PolicyName="all", PolicyDocument=ALLOW_S3)
    s3.put_object(Bucket=bucket, Key="x", Body=b"x")
    with refused("DeleteConflict"):
        iam.delete_role(RoleName=role)
    iam.delete_role_policy(RoleName=role, PolicyName="all")
    iam.delete_role(RoleName=role)
    with refused("InvalidAccessKeyId"):
        s3.get_object(Bucket=bucket, Key="x")


def test_lists_come_in_pages(iam):
    path = f"/{name('page')}/"
    users = sorted(new_user(iam, Path=path) for _ in range(5))
    pages = iam.get_paginator("list_users").paginate(PathPrefix=path, PaginationConfig={"PageSize": 2})
    sizes = [[each["UserName"] for each in page["Users"]] for page in pages]
    assert [len(size) for size in sizes] == [2, 2, 1]
    assert [each for size in sizes for each in size] == users


@pytest.mark.parametrize(
    ("act", "code"),
    [
        (lambda iam, user: iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument="{"),
         "MalformedPolicyDocument"),
        (lambda iam, user: iam.put_user_policy(UserName=user, PolicyName="p", PolicyDocument=TOO_LONG),
         "LimitExceeded"),
        (lambda iam, user: iam.attach_user_policy(UserName=user, PolicyArn="arn:aws:iam::111122223333:policy/none"),
         "NoSuchEntity"),
        (lambda iam, user: iam.create_user(UserName="no spaces"), "ValidationError"),
        (lambda iam, user: iam.create_role(RoleName=name("r"), AssumeRolePolicyDocument=trust("999999999999")),
         "MalformedPolicyDocument"),
        (lambda iam, user: [iam.create_access_key(UserName=user) for _ in range(3)], "LimitExceeded"),
        (lambda iam, user: iam.list_users(Marker="///"), "ValidationError"),
        (lambda iam, user: iam.update_access_key(UserName=user, AccessKeyId="A" * 20, Status="Expired"),
         "ValidationError"),
        (lambda iam, user: iam.update_access_key(UserName=user, AccessKeyId="A" * 20, Status="Active"), "NoSuchEntity"),
        (lambda iam, user: iam.create_role(RoleName=name("r"), AssumeRolePolicyDocument=NO_STS),
         "MalformedPolicyDocument"),
        (lambda iam, user: iam.tag_user(UserName=user, Tags=[{"Key": "aws:x", "Value": ""}]), "InvalidInput"),
        (lambda iam, user: iam.create_policy_version(PolicyArn=READ_ONLY, PolicyDocument=ALLOW_S3), "AccessDenied"),
        (lambda iam, user: iam.tag_user(UserName=user, Tags=[{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}]),
         "InvalidInput"),
        (lambda iam, user: iam.create_open_id_connect_provider(Url="http://id.example.com"), "InvalidInput"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_in_iams_words(iam, act, code):
    user = new_user(iam)
    with refused(code):
        act(iam, user)


def test_another_account_has_names_of_its_own(standing_server, iam):
    user = new_user(iam)
    other = new_account(standing_server).client(standing_server, "iam")
    with refused("NoSuchEntity"):
        other.get_user(UserName=user)
    other.create_user(UserName=user)
    assert [each["UserName"] for each in other.list_users()["Users"]] == [user]


def test_who_may_not_is_refused_and_told(standing_server, iam):
    user = new_user(iam)
    theirs, _ = as_user(standing_server, iam, user, "iam")
    with refused("AccessDenied"):
        theirs.create_user(UserName=name("user"))
    for hidden in (user, name("absent")):  # who may not look does not learn which is there
        with refused("AccessDenied"):
            theirs.get_user(UserName=hidden)
    with refused("AccessDenied"):
        theirs.attach_user_policy(UserName=user, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")


def test_providers_are_kept(iam, account_id):
    host = f"{name('id')}.example.com"
    arn = iam.create_open_id_connect_provider(Url=f"https://{host}", ClientIDList=["app"])["OpenIDConnectProviderArn"]
    assert arn == f"arn:aws:iam::{account_id}:oidc-provider/{host}"
    iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="two")
    iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=arn, ClientID="app")
    assert iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)["ClientIDList"] == ["two"]
    assert {"Arn": arn} in iam.list_open_id_connect_providers()["OpenIDConnectProviderList"]
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    with refused("NoSuchEntity"):
        iam.get_open_id_connect_provider(OpenIDConnectProviderArn=arn)

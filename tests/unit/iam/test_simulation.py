"""Simulated policies: they decide as requests are decided, name what decided and what was not known, and change
nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.house import House
from support.people import allow, deny, document, give, make_role, make_user, trust

BUCKET, OBJECT = "arn:aws:s3:::bucket", "arn:aws:s3:::bucket/key"
READ = document(allow("s3:GetObject", f"{BUCKET}/*"))
PLAIN = {"Bool": {"aws:SECURETRANSPORT": "false"}}
BY_ADDRESS = document(
    allow("s3:GetObject", "*", Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
    deny("s3:*", "arn:aws:s3:::${aws:PrincipalTag/team, 'none'}/*", Condition=PLAIN),
)


def decided(answer: Any) -> list[tuple[str, str, str]]:
    return [
        (each["EvalActionName"], each["EvalResourceName"], each["EvalDecision"]) for each in answer["EvaluationResults"]
    ]


def refused(code: str, act: Callable[..., Any], **params: Any) -> str:
    with pytest.raises(ClientError) as raised:
        act(**params)
    assert raised.value.response["Error"]["Code"] == code
    return str(raised.value.response["Error"]["Message"])


@pytest.fixture(scope="module")
def people(house: House) -> dict[str, str]:
    """name -> ARN, in the operator's account."""
    database = house.workers[0].s3.db
    iam = house.client("iam")
    account_id = iam.get_user()["User"]["Arn"].split(":")[4]
    server_key = house.workers[0].gateway.services["iam"].ports.server_key
    anna = database.write_now(lambda rows: make_user(rows, server_key, account_id, "anna")).arn
    ship = database.write_now(lambda rows: make_role(rows, account_id, "ship", trust({"AWS": account_id}))).arn
    database.write_now(lambda rows: give(rows, anna, allow("s3:GetObject", f"{BUCKET}/*"), name="reads"))
    database.write_now(lambda rows: give(rows, ship, deny("kms:*"), name="no-kms"))
    group = iam.create_group(GroupName="staff")["Group"]["Arn"]
    iam.add_user_to_group(GroupName="staff", UserName="anna")
    iam.attach_group_policy(GroupName="staff", PolicyArn="arn:aws:iam::aws:policy/IAMReadOnlyAccess")
    return {"anna": anna, "ship": ship, "staff": group, "account": account_id}


def test_custom_policies_decide_each_action_on_each_resource(iam: Any) -> None:
    answer = iam.simulate_custom_policy(
        PolicyInputList=[READ, document(deny("s3:DeleteObject"))],
        ActionNames=["s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
        ResourceArns=[OBJECT, "arn:aws:s3:::other/key"],
    )
    assert [decision for _, _, decision in decided(answer)] == [
        *("allowed", "implicitDeny"),
        *("implicitDeny", "implicitDeny"),
        *("explicitDeny", "explicitDeny"),
    ]
    first = answer["EvaluationResults"][0]
    matched = [{"SourcePolicyId": "PolicyInputList.1", "SourcePolicyType": "none"}]
    assert first["MatchedStatements"] == matched
    assert first["ResourceSpecificResults"] == [
        {
            "EvalResourceName": OBJECT,
            "EvalResourceDecision": "allowed",
            "MatchedStatements": matched,
            "MissingContextValues": [],
        }
    ]


def test_without_a_resource_the_question_is_about_any(iam: Any) -> None:
    answer = iam.simulate_custom_policy(PolicyInputList=[READ], ActionNames=["s3:GetObject"])
    assert decided(answer) == [("s3:GetObject", "*", "implicitDeny")]
    assert "ResourceSpecificResults" not in answer["EvaluationResults"][0]
    answer = iam.simulate_custom_policy(PolicyInputList=[BY_ADDRESS], ActionNames=["s3:GetObject"])
    missing = answer["EvaluationResults"][0]["MissingContextValues"]
    assert missing == ["aws:PrincipalTag/team", "aws:SECURETRANSPORT", "aws:SourceIp"]


@pytest.mark.parametrize(
    ("entries", "decision"),
    [
        ([("aws:SourceIp", "ip", ["10.1.2.3"])], "allowed"),
        ([("aws:SourceIp", "ip", ["192.0.2.1"])], "implicitDeny"),
        ([("aws:sourceip", "ip", ["10.1.2.3"]), ("aws:SecureTransport", "boolean", ["false"]),
          ("aws:PrincipalTag/team", "string", ["bucket"])], "explicitDeny"),
        ([("aws:SourceIp", "ip", ["10.1.2.3"]), ("aws:SecureTransport", "boolean", ["true"])], "allowed"),
    ],
)  # fmt: skip
def test_context_entries_are_the_condition_keys(iam: Any, entries: Any, decision: str) -> None:
    context = [
        {"ContextKeyName": name, "ContextKeyType": kind, "ContextKeyValues": values} for name, kind, values in entries
    ]
    answer = iam.simulate_custom_policy(
        PolicyInputList=[BY_ADDRESS], ActionNames=["s3:GetObject"], ResourceArns=[OBJECT], ContextEntries=context
    )
    assert decided(answer) == [("s3:GetObject", OBJECT, decision)]
    missing = answer["EvaluationResults"][0]["ResourceSpecificResults"][0]["MissingContextValues"]
    assert not {name.lower() for name in missing} & {name.lower() for name, _, _ in entries}


def test_a_list_of_values_is_a_key_with_several(iam: Any) -> None:
    policy = document(allow("iam:TagUser", Condition={"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}))
    keys = {"ContextKeyName": "aws:TagKeys", "ContextKeyType": "stringList"}
    for values, decision in ((["a", "b"], "allowed"), (["a", "c"], "implicitDeny")):
        answer = iam.simulate_custom_policy(
            PolicyInputList=[policy], ActionNames=["iam:TagUser"], ContextEntries=[{**keys, "ContextKeyValues": values}]
        )
        assert decided(answer) == [("iam:TagUser", "*", decision)]


def test_a_boundary_limits_and_says_so(iam: Any) -> None:
    ask = {"PolicyInputList": [document(allow("*"))], "ActionNames": ["s3:GetObject", "kms:Decrypt"]}
    answer = iam.simulate_custom_policy(**ask, PermissionsBoundaryPolicyInputList=[document(allow("s3:*"))])
    assert [
        (each["EvalDecision"], each["PermissionsBoundaryDecisionDetail"]["AllowedByPermissionsBoundary"])
        for each in answer["EvaluationResults"]
    ] == [("allowed", True), ("implicitDeny", False)]


def test_resource_policies_decide_for_the_simulated_caller(iam: Any, people: dict[str, str]) -> None:
    def ask(principal: str, **more: Any) -> str:
        statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "s3:GetObject", "Resource": OBJECT}
        answer = iam.simulate_custom_policy(
            PolicyInputList=[document(allow("kms:*"))],
            ActionNames=["s3:GetObject"],
            ResourceArns=[OBJECT],
            ResourcePolicy=document(statement),
            CallerArn=people["anna"],
            **more,
        )
        (result,) = answer["EvaluationResults"]
        return str(result["EvalDecision"])

    assert ask(people["anna"]) == "allowed"
    assert ask("arn:aws:iam::111122223333:user/other") == "implicitDeny"
    # Of another account's bucket both sides must allow.
    assert ask(people["anna"], ResourceOwner="arn:aws:iam::111122223333:root") == "implicitDeny"


def test_a_principal_is_simulated_with_all_it_has(iam: Any, people: dict[str, str]) -> None:
    actions = ["s3:GetObject", "iam:ListUsers", "iam:CreateUser"]
    answer = iam.simulate_principal_policy(PolicySourceArn=people["anna"], ActionNames=actions, ResourceArns=[OBJECT])
    assert [decision for _, _, decision in decided(answer)] == ["allowed", "allowed", "implicitDeny"]
    sources = [each["MatchedStatements"] for each in answer["EvaluationResults"]]
    assert sources == [
        [{"SourcePolicyId": "reads", "SourcePolicyType": "user"}],
        [{"SourcePolicyId": "IAMReadOnlyAccess", "SourcePolicyType": "aws-managed"}],
        [],
    ]
    more = iam.simulate_principal_policy(
        PolicySourceArn=people["anna"], ActionNames=actions, PolicyInputList=[document(allow("iam:CreateUser"))]
    )
    assert decided(more)[2][2] == "allowed"
    of_group = iam.simulate_principal_policy(PolicySourceArn=people["staff"], ActionNames=actions)
    assert [decision for _, _, decision in decided(of_group)] == ["implicitDeny", "allowed", "implicitDeny"]
    of_role = iam.simulate_principal_policy(PolicySourceArn=people["ship"], ActionNames=["kms:Decrypt"])
    assert of_role["EvaluationResults"][0]["MatchedStatements"] == [
        {"SourcePolicyId": "no-kms", "SourcePolicyType": "role"}
    ]


def test_what_is_simulated_is_what_a_request_meets(house: House, iam: Any, people: dict[str, str]) -> None:
    """The same three questions, asked of the simulator and of the server."""
    made = iam.create_access_key(UserName="anna")["AccessKey"]
    keys = {"aws_access_key_id": made["AccessKeyId"], "aws_secret_access_key": made["SecretAccessKey"]}
    house.client().create_bucket(Bucket="bucket")
    house.client().put_object(Bucket="bucket", Key="key", Body=b"x")
    s3, theirs = house.client("s3", **keys), house.client("iam", **keys)
    acts: dict[str, Callable[[], Any]] = {
        "s3:GetObject": lambda: s3.get_object(Bucket="bucket", Key="key"),
        "s3:PutObject": lambda: s3.put_object(Bucket="bucket", Key="key", Body=b"y"),
        "iam:CreateUser": lambda: theirs.create_user(UserName="another"),
    }
    answer = iam.simulate_principal_policy(
        PolicySourceArn=people["anna"], ActionNames=list(acts), ResourceArns=[OBJECT]
    )
    for action, _, decision in decided(answer):
        if decision == "allowed":
            acts[action]()
        else:
            refused("AccessDenied", acts[action])


def test_results_come_in_pages(iam: Any) -> None:
    pages = iam.get_paginator("simulate_custom_policy").paginate(
        PolicyInputList=[READ],
        ActionNames=["s3:GetObject", "s3:PutObject", "s3:ListBucket"],
        PaginationConfig={"PageSize": 2},
    )
    assert [[action for action, _, _ in decided(page)] for page in pages] == [
        ["s3:GetObject", "s3:PutObject"],
        ["s3:ListBucket"],
    ]


def test_condition_keys_of_policies_are_named(iam: Any, people: dict[str, str]) -> None:
    keys = ["aws:PrincipalTag/team", "aws:SECURETRANSPORT", "aws:SourceIp"]
    assert iam.get_context_keys_for_custom_policy(PolicyInputList=[BY_ADDRESS, READ])["ContextKeyNames"] == keys
    ask = {"PolicySourceArn": people["anna"]}
    assert iam.get_context_keys_for_principal_policy(**ask)["ContextKeyNames"] == []
    more = iam.get_context_keys_for_principal_policy(**ask, PolicyInputList=[BY_ADDRESS])
    assert more["ContextKeyNames"] == keys


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("InvalidInput", {"PolicyInputList": ["{"]}),
        ("InvalidInput", {"PolicyInputList": [document({"Effect": "Allow", "Action": "s3:*"})]}),
        ("InvalidInput", {"ActionNames": ["s3:Get*"]}),
        ("InvalidInput", {"ActionNames": ["GetObject"]}),
        ("InvalidInput", {"ResourcePolicy": document(allow("s3:*", Principal="*"))}),
        ("InvalidInput", {"CallerArn": "arn:aws:iam::111122223333:role/r"}),
        ("InvalidInput", {"PermissionsBoundaryPolicyInputList": [READ, READ]}),
        ("InvalidInput", {"PermissionsBoundaryPolicyInputList": ["{"]}),
        ("InvalidInput", {"ResourcePolicy": "{", "CallerArn": "arn:aws:iam::111122223333:user/u"}),
        ("InvalidInput", {"ContextEntries": [{"ContextKeyName": "aws:SourceIp", "ContextKeyType": "ip",
                                              "ContextKeyValues": ["10.0.0.1", "10.0.0.2"]}]}),
        ("InvalidInput", {"ContextEntries": [{"ContextKeyName": "aws:SourceIp"}]}),
        ("ValidationError", {"ContextEntries": [{"ContextKeyName": "aws:SourceIp", "ContextKeyType": "number",
                                                 "ContextKeyValues": ["1"]}]}),
        ("ValidationError", {"ResourceHandlingOption": "EC2-VPC-EBS"}),
        ("ValidationError", {"Marker": "AAAA"}),
    ],
)  # fmt: skip
def test_what_cannot_be_simulated_is_refused(iam: Any, code: str, change: dict[str, Any]) -> None:
    good = {"PolicyInputList": [READ], "ActionNames": ["s3:GetObject"]}
    iam.simulate_custom_policy(**good)
    refused(code, iam.simulate_custom_policy, **(good | change))


def test_a_simulation_is_of_the_own_account_and_needs_the_permission(
    house: House, database: Any, iam: Any, people: dict[str, str]
) -> None:
    absent = f"arn:aws:iam::{people['account']}:user/nobody"
    refused("NoSuchEntity", iam.simulate_principal_policy, PolicySourceArn=absent, ActionNames=["s3:GetObject"])
    foreign = "arn:aws:iam::111122223333:user/anna"
    refused("AccessDenied", iam.simulate_principal_policy, PolicySourceArn=foreign, ActionNames=["s3:GetObject"])
    server_key = house.workers[0].gateway.services["iam"].ports.server_key
    who = database.write_now(lambda rows: make_user(rows, server_key, people["account"], "curious"))
    theirs = house.client("iam", **who.keys)
    ask = {"PolicySourceArn": people["anna"], "ActionNames": ["s3:GetObject"]}
    refused("AccessDenied", theirs.simulate_principal_policy, **ask)
    refused("AccessDenied", theirs.simulate_custom_policy, PolicyInputList=[READ], ActionNames=["s3:GetObject"])
    database.write_now(lambda rows: give(rows, who.arn, allow("iam:SimulatePrincipalPolicy", people["anna"])))
    assert theirs.simulate_principal_policy(**ask)["EvaluationResults"]
    refused("AccessDenied", theirs.simulate_principal_policy, **(ask | {"PolicySourceArn": people["ship"]}))


def test_more_pairs_than_anybody_has_memory_for_are_answered_a_page_at_a_time(iam: Any) -> None:
    actions, resources = [f"s3:Get{number}" for number in range(900)], [f"{BUCKET}/{number}" for number in range(900)]
    asked = {"PolicyInputList": [READ], "ActionNames": actions, "ResourceArns": resources}
    first = iam.simulate_custom_policy(**asked, MaxItems=2)
    assert [resource for _, resource, _ in decided(first)] == [f"{BUCKET}/0", f"{BUCKET}/1"]
    second = iam.simulate_custom_policy(**asked, MaxItems=2, Marker=first["Marker"])
    assert [resource for _, resource, _ in decided(second)] == [f"{BUCKET}/2", f"{BUCKET}/3"]


def test_a_page_ends_sooner_where_there_are_many_statements(iam: Any) -> None:
    many = document(*[allow("s3:GetObject", f"{BUCKET}/{number}") for number in range(1000)])
    asked = {"PolicyInputList": [many] * 2, "ActionNames": ["s3:GetObject"] * 25, "ResourceArns": [f"{BUCKET}/999"]}
    pages = [iam.simulate_custom_policy(**asked, MaxItems=1000)]
    while pages[-1]["IsTruncated"]:
        pages.append(iam.simulate_custom_policy(**asked, MaxItems=1000, Marker=pages[-1]["Marker"]))
    assert [len(decided(page)) for page in pages] == [10, 10, 5]
    assert {decision for page in pages for _, _, decision in decided(page)} == {"allowed"}

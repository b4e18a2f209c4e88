"""The documents that put a choice in place: accepted by the policy parser, and deciding as they promise."""

from __future__ import annotations

import json

import pytest

from s3al.advice.documents import Place, documents_for
from s3al.advice.key_policy import MANAGE, USE, separated
from s3al.advice.options import CLIENT_S3_MANAGED, OPTIONS
from s3al.auth.decision import AccessRequest
from s3al.auth.evaluate import evaluate
from s3al.auth.policy import Policy, PolicyKind
from s3al.auth.principal import Principal

ACCOUNT = "111122223333"
KEY = f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1234"
PLACE = Place(bucket="store", account_id=ACCOUNT, kms_key=KEY)
REAL = [option_id for option_id in OPTIONS if option_id != CLIENT_S3_MANAGED]
OWNER = Principal("root", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT)
SSE = "s3:x-amz-server-side-encryption"


def user(name: str) -> Principal:
    return Principal("user", ACCOUNT, f"arn:aws:iam::{ACCOUNT}:user/{name}", f"AIDA{name.upper()}")


def put(option_id: str, **context: str) -> bool:
    text = json.dumps(documents_for(option_id, PLACE).bucket_policy)
    policy = Policy.parse(text, kind=PolicyKind.BUCKET, max_bytes=20480, bucket_name="store")
    asked = AccessRequest(OWNER, "s3:PutObject", "arn:aws:s3:::store/x", {"aws:SecureTransport": "true", **context})
    return evaluate(asked, resource_policy=policy, resource_account=ACCOUNT, owner_allows=True).allows


@pytest.mark.parametrize("option_id", REAL)
def test_plain_http_is_denied(option_id):
    assert not put(option_id, **{"aws:SecureTransport": "false"})


@pytest.mark.parametrize("option_id", [each for each in REAL if each != "sse-c"])
def test_a_put_that_leaves_it_to_the_default_is_not_denied(option_id):
    assert put(option_id)


def test_sse_c_wants_the_customer_key():
    assert not put("sse-c")
    assert put("sse-c", **{f"{SSE}-customer-algorithm": "AES256"})


@pytest.mark.parametrize(
    ("option_id", "mode"), [("sse-s3", "AES256"), ("sse-kms", "aws:kms"), ("dsse-kms", "aws:kms:dsse")]
)
def test_another_mode_is_denied_and_the_chosen_one_is_not(option_id, mode):
    key = {} if mode == "AES256" else {f"{SSE}-aws-kms-key-id": KEY}
    assert put(option_id, **{SSE: mode}, **key)
    for other in {"AES256", "aws:kms", "aws:kms:dsse"} - {mode}:
        assert not put(option_id, **{SSE: other}, **key)


@pytest.mark.parametrize(("option_id", "mode"), [("sse-kms", "aws:kms"), ("dsse-kms", "aws:kms:dsse")])
def test_another_key_and_the_managed_key_are_denied(option_id, mode):
    assert not put(option_id, **{SSE: mode, f"{SSE}-aws-kms-key-id": KEY + "5"})
    assert not put(option_id, **{SSE: mode})


def decides(policy: Policy, principal: Principal, action: str) -> bool:
    asked = AccessRequest(principal, action, KEY, {"aws:PrincipalArn": principal.arn})
    return evaluate(asked, resource_policy=policy, resource_account=ACCOUNT, owner_allows=False).allows


@pytest.fixture
def roles() -> Policy:
    document = separated(
        ACCOUNT,
        administrators=[user("admin").arn, user("both").arn],
        users=[user("user").arn, user("both").arn],
        auditors=[user("auditor").arn],
    )
    return Policy.parse(json.dumps(document), kind=PolicyKind.KEY, max_bytes=32768)


def concrete(actions):
    return [action.replace("*", "") for action in actions]


def test_administrators_manage_and_neither_use_nor_share(roles):
    assert all(decides(roles, user("admin"), action) for action in MANAGE)
    for action in (*concrete(USE), "kms:CreateGrant", "kms:PutKeyPolicy"):
        assert not decides(roles, user("admin"), action), action


def test_users_use_and_do_not_manage(roles):
    assert all(decides(roles, user("user"), action) for action in concrete(USE))
    assert not any(decides(roles, user("user"), action) for action in (*MANAGE, "kms:PutKeyPolicy", "kms:CreateGrant"))


def test_auditors_look(roles):
    assert decides(roles, user("auditor"), "kms:DescribeKey")
    assert not any(decides(roles, user("auditor"), action) for action in (*concrete(USE), *MANAGE))


def test_who_is_both_does_not_use(roles):
    assert not decides(roles, user("both"), "kms:Decrypt")
    assert decides(roles, user("both"), "kms:DisableKey")


def test_the_root_repairs_the_policy_and_does_not_use(roles):
    assert decides(roles, OWNER, "kms:PutKeyPolicy")
    assert not decides(roles, OWNER, "kms:Decrypt")
    assert not decides(roles, user("stranger"), "kms:PutKeyPolicy")


def test_administrators_change_the_policy_where_asked_for():
    document = separated(ACCOUNT, administrators=[user("admin").arn], administrators_change_policy=True)
    policy = Policy.parse(json.dumps(document), kind=PolicyKind.KEY, max_bytes=32768)
    assert decides(policy, user("admin"), "kms:PutKeyPolicy")


@pytest.mark.parametrize("option_id", REAL)
def test_client_code_compiles_and_names_the_bucket(option_id):
    code = documents_for(option_id, PLACE).client_code
    compile(code, option_id, "exec")
    assert '"store"' in code

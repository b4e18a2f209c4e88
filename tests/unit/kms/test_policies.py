from __future__ import annotations

import json
from typing import Any

import pytest

from s3al.errors import RequestError
from s3al.kms.access import MAX_POLICY_BYTES
from s3al.kms.policies import default_policy, managed_s3_policy
from unit.kms.world import ALICE, OURS, REGION, ROOT, THEIRS, World, policy, refusal, statement

MALFORMED = "MalformedPolicyDocumentException"


def refuses(world: World, operation: str, **params: Any) -> tuple[str, str]:
    with pytest.raises(RequestError) as raised:
        world.do(operation, **params)
    return refusal(raised)


def test_a_key_without_a_policy_of_its_own_has_the_default(world: World) -> None:
    key_id = world.create_key()
    answer = world.do("GetKeyPolicy", KeyId=key_id)
    assert answer["PolicyName"] == "default"
    assert json.loads(answer["Policy"]) == {
        "Version": "2012-10-17",
        "Id": "key-default-1",
        "Statement": [
            {
                "Sid": "Enable IAM User Permissions",
                "Effect": "Allow",
                "Principal": {"AWS": f"arn:aws:iam::{OURS}:root"},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }
    assert world.do("ListKeyPolicies", KeyId=key_id) == {"PolicyNames": ["default"], "Truncated": False}


def test_a_policy_is_kept_as_it_was_sent(world: World) -> None:
    text = policy(statement(principal={"AWS": ALICE.arn})).replace('"Version"', '\n\t  "Version"')
    key_id = world.create_key(Policy=text)
    assert world.do("GetKeyPolicy", KeyId=key_id, PolicyName="default")["Policy"] == text
    world.do("PutKeyPolicy", KeyId=key_id, PolicyName="default", Policy=default_policy(OURS))
    assert world.do("GetKeyPolicy", KeyId=key_id)["Policy"] == default_policy(OURS)


def test_there_is_no_policy_of_another_name(world: World) -> None:
    key_id = world.create_key()
    missing = ("NotFoundException", "No such policy exists")
    assert refuses(world, "GetKeyPolicy", KeyId=key_id, PolicyName="other") == missing
    assert refuses(world, "PutKeyPolicy", KeyId=key_id, PolicyName="other", Policy=policy()) == missing


def padded(size: int) -> str:
    text = policy()
    return text[:-1] + " " * (size - len(text)) + "}"


BAD = {
    "no JSON": ("{", MALFORMED),
    "no statement": ('{"Version": "2012-10-17"}', MALFORMED),
    "a duplicate key": (policy().replace('"Effect"', '"Effect": "Deny", "Effect"', 1), MALFORMED),
    "an unknown effect": (policy(statement("Permit")), MALFORMED),
    "a character beyond Latin 1": (policy(statement(principal={"AWS": "*"})).replace("kms:*", "kms:\u0100"), MALFORMED),
    "an account that does not exist": (policy(statement(principal={"AWS": "999999999999"})), MALFORMED),
    "a user of no account": (policy(statement(principal={"AWS": "arn:aws:iam::999999999999:user/x"})), MALFORMED),
    "one byte too long": (padded(MAX_POLICY_BYTES + 1), "LimitExceededException"),
    "the caller locked out": (policy(statement(principal={"AWS": ALICE.arn}), with_root=False), MALFORMED),
    "the caller denied": (policy(statement("Deny", {"AWS": ROOT.arn}, "kms:PutKeyPolicy")), MALFORMED),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("operation", ["CreateKey", "PutKeyPolicy"])
def test_a_policy_that_may_not_be_is_refused_and_changes_nothing(world: World, operation: str, name: str) -> None:
    text, code = BAD[name]
    key_id = world.create_key()
    before = world.row(key_id)
    params = {"KeyId": key_id} if operation == "PutKeyPolicy" else {}
    assert refuses(world, operation, Policy=text, **params)[0] == code
    assert world.row(key_id) == before
    assert len(world.do("ListKeys")["Keys"]) == 1


def test_a_policy_at_the_limit_is_kept(world: World) -> None:
    assert len(padded(MAX_POLICY_BYTES)) == MAX_POLICY_BYTES
    assert world.create_key(Policy=padded(MAX_POLICY_BYTES))


def test_the_lockout_check_can_be_waived(world: World) -> None:
    locked = policy(statement(principal={"AWS": ALICE.arn}, action="kms:Encrypt"), with_root=False)
    message = "The new key policy will not allow you to update the key policy in the future."
    assert refuses(world, "CreateKey", Policy=locked) == (MALFORMED, message)
    key_id = world.create_key(Policy=locked, BypassPolicyLockoutSafetyCheck=True)
    assert refuses(world, "PutKeyPolicy", KeyId=key_id, Policy=policy())[0] == "AccessDeniedException"


def test_a_new_policy_holds_on_the_next_request_on_every_worker(world: World) -> None:
    key_id = world.create_key(Policy=policy(statement(principal={"AWS": ALICE.arn})))
    other = world.worker()
    request = {"by": ALICE, "KeyId": key_id, "Plaintext": b"x", "worker": other}
    assert world.do("Encrypt", **request)
    world.do("PutKeyPolicy", KeyId=key_id, Policy=policy())
    assert refuses(world, "Encrypt", **request)[0] == "AccessDeniedException"


def test_another_account_that_exists_may_be_named(world: World) -> None:
    assert world.create_key(Policy=policy(statement(principal={"AWS": [THEIRS, ALICE.arn]})))


def test_the_policy_of_the_managed_key_is_the_one_aws_publishes() -> None:
    document = json.loads(managed_s3_policy(OURS, REGION))
    through_s3, metadata = document["Statement"]
    assert document["Id"] == "auto-s3-2"
    assert through_s3["Principal"] == {"AWS": "*"}
    assert through_s3["Condition"] == {
        "StringEquals": {"kms:CallerAccount": OURS, "kms:ViaService": f"s3.{REGION}.amazonaws.com"}
    }
    assert metadata["Action"] == ["kms:Describe*", "kms:Get*", "kms:List*"]

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from s3al.errors import RequestError
from s3al.kms.operations.aliases import MAX_ALIASES
from unit.kms.world import ALICE, DAY, NOW, OTHER_ROOT, OURS, REGION, World, policy, refusal, statement

PREFIX = f"arn:aws:kms:{REGION}:{OURS}:"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def refuses(world: World, operation: str, **params: Any) -> tuple[str, str]:
    with pytest.raises(RequestError) as raised:
        world.do(operation, **params)
    return refusal(raised)


def test_an_alias_is_listed_with_its_key_and_times(world: World) -> None:
    first, second = world.create_key(), world.create_key()
    world.do("CreateAlias", AliasName="alias/a", TargetKeyId=first)
    world.now = NOW + 1000
    world.do("UpdateAlias", AliasName="alias/a", TargetKeyId=second)
    assert world.do("ListAliases") == {
        "Aliases": [
            {
                "AliasName": "alias/a",
                "AliasArn": f"{PREFIX}alias/a",
                "TargetKeyId": second,
                "CreationDate": EPOCH + timedelta(milliseconds=NOW),
                "LastUpdatedDate": EPOCH + timedelta(milliseconds=NOW + 1000),
            }
        ],
        "Truncated": False,
    }
    assert world.do("ListAliases", KeyId=first)["Aliases"] == []
    assert len(world.do("ListAliases", KeyId=second)["Aliases"]) == 1
    world.do("DeleteAlias", AliasName="alias/a")
    assert world.do("ListAliases")["Aliases"] == []


NAMES = [
    ("a", "ValidationException"),
    ("alias/", "ValidationException"),
    ("Alias/a", "ValidationException"),
    ("alias/a b", "ValidationException"),
    ("alias/ä", "ValidationException"),
    ("alias/a:b", "ValidationException"),
    ("alias/aws/s3", "NotAuthorizedException"),
    ("alias/aws/mine", "NotAuthorizedException"),
]


@pytest.mark.parametrize(("name", "code"), NAMES)
@pytest.mark.parametrize("operation", ["CreateAlias", "UpdateAlias", "DeleteAlias"])
def test_names_that_are_not_allowed(world: World, operation: str, name: str, code: str) -> None:
    target = {} if operation == "DeleteAlias" else {"TargetKeyId": world.create_key()}
    assert refuses(world, operation, AliasName=name, **target)[0] == code


def test_a_name_is_unique_in_account_and_region(world: World) -> None:
    key_id = world.create_key()
    world.do("CreateAlias", AliasName="alias/a", TargetKeyId=key_id)
    code, message = refuses(world, "CreateAlias", AliasName="alias/a", TargetKeyId=key_id)
    assert (code, message) == ("AlreadyExistsException", f"An alias with the name {PREFIX}alias/a already exists")
    elsewhere = world.create_key(region="eu-west-1")
    world.do("CreateAlias", region="eu-west-1", AliasName="alias/a", TargetKeyId=elsewhere)
    world.do("CreateAlias", by=OTHER_ROOT, AliasName="alias/a", TargetKeyId=world.create_key(by=OTHER_ROOT))
    assert world.do("DescribeKey", KeyId="alias/a")["KeyMetadata"]["KeyId"] == key_id


def test_an_alias_refers_to_keys_and_not_to_aliases(world: World) -> None:
    world.do("CreateAlias", AliasName="alias/a", TargetKeyId=world.create_key())
    for target in ("alias/a", f"{PREFIX}alias/a"):
        answer = refuses(world, "CreateAlias", AliasName="alias/b", TargetKeyId=target)
        assert answer == ("ValidationException", "Aliases must refer to keys. Not aliases")


def test_updating_or_deleting_an_unknown_alias_is_not_found(world: World) -> None:
    answer = ("NotFoundException", f"Alias {PREFIX}alias/x is not found.")
    assert refuses(world, "UpdateAlias", AliasName="alias/x", TargetKeyId=world.create_key()) == answer
    assert refuses(world, "DeleteAlias", AliasName="alias/x") == answer


def test_a_key_has_at_most_fifty_aliases(world: World) -> None:
    key_id = world.create_key()
    for number in range(MAX_ALIASES):
        world.do("CreateAlias", AliasName=f"alias/{number:02d}", TargetKeyId=key_id)
    assert refuses(world, "CreateAlias", AliasName="alias/x", TargetKeyId=key_id)[0] == "LimitExceededException"
    world.do("CreateAlias", AliasName="alias/other", TargetKeyId=world.create_key())
    assert refuses(world, "UpdateAlias", AliasName="alias/other", TargetKeyId=key_id)[0] == "LimitExceededException"
    world.do("UpdateAlias", AliasName="alias/00", TargetKeyId=key_id)
    first = world.do("ListAliases", Limit=40)
    second = world.do("ListAliases", Limit=40, Marker=first["NextMarker"])
    names = [alias["AliasName"] for alias in first["Aliases"] + second["Aliases"]]
    assert names == [f"alias/{number:02d}" for number in range(MAX_ALIASES)] + ["alias/other"]


@pytest.mark.parametrize(
    ("operation", "which"),
    [("CreateAlias", "new"), ("UpdateAlias", "new"), ("UpdateAlias", "old"), ("DeleteAlias", "old")],
)
def test_writing_an_alias_needs_the_right_on_each_key_it_touches(world: World, operation: str, which: str) -> None:
    closed = policy(statement("Deny", {"AWS": f"arn:aws:iam::{OURS}:root"}, f"kms:{operation}"))
    old = world.create_key()
    new = world.create_key(Policy=closed if which == "new" else None)
    if operation != "CreateAlias":
        world.do("CreateAlias", AliasName="alias/a", TargetKeyId=old)
    if which == "old":
        world.do("PutKeyPolicy", KeyId=old, Policy=closed)
    target = {} if operation == "DeleteAlias" else {"TargetKeyId": new}
    assert refuses(world, operation, AliasName="alias/a", **target)[0] == "AccessDeniedException"


def test_a_right_on_the_key_is_not_one_on_the_alias(world: World) -> None:
    key_id = world.create_key(Policy=policy(statement(principal={"AWS": ALICE.arn})))
    answer = refuses(world, "CreateAlias", by=ALICE, AliasName="alias/a", TargetKeyId=key_id)
    assert answer[0] == "AccessDeniedException"


def test_the_alias_of_a_key_that_is_gone_is_free_again(world: World) -> None:
    gone = world.create_key()
    world.do("CreateAlias", AliasName="alias/a", TargetKeyId=gone)
    world.do("ScheduleKeyDeletion", KeyId=gone, PendingWindowInDays=7)
    world.now = NOW + 7 * DAY
    fresh = world.create_key()
    world.do("CreateAlias", AliasName="alias/a", TargetKeyId=fresh)
    assert world.do("DescribeKey", KeyId="alias/a")["KeyMetadata"]["KeyId"] == fresh

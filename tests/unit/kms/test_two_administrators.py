"""Two administrators change one key at the same moment, each on a worker of its own: every interleaving ends as if one
had come after the other, and who has lost the right meanwhile changes nothing."""

# ruff: noqa: B023  (every lambda here is called before its loop goes on)
from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.house import House, open_house
from support.people import Person, allow, give, make_user

ROUNDS = 6
OK = "OK"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("house"), workers=2) as opened:
        yield opened
        assert [event["at"] for event in opened.events("unforeseen")] == []


@pytest.fixture(scope="module")
def people(house: House) -> list[Person]:
    """Two users who may do everything with keys as far as the account decides."""

    def write(rows: Any) -> list[Person]:
        found = [make_user(rows, server_key, account_id, name) for name in ("ann", "bob")]
        for person in found:
            give(rows, person.arn, allow("kms:*"))
        return found

    account_id = house.client("sts").get_caller_identity()["Account"]
    server_key = house.workers[0].gateway.services["iam"].ports.server_key
    return house.workers[0].s3.db.write_now(write)  # type: ignore[no-any-return]


@pytest.fixture
def both(house: House, people: list[Person]) -> list[Any]:
    return [house.client("kms", worker=worker, **person.keys) for worker, person in enumerate(people)]


def code_of(act: Callable[[], Any]) -> str:
    try:
        act()
    except ClientError as refused:
        return str(refused.response["Error"]["Code"])
    return OK


def at_once(*acts: Callable[[], Any]) -> list[str]:
    """What each was answered; all begin together."""
    begin = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> str:
        begin.wait()
        return code_of(act)

    with ThreadPoolExecutor(len(acts)) as threads:
        return list(threads.map(run, acts))


def new_key(kms: Any, **options: Any) -> str:
    return str(kms.create_key(**options)["KeyMetadata"]["KeyId"])


def each(both: list[Any], act: Callable[[Any], Any]) -> list[str]:
    return at_once(*(lambda kms=kms: act(kms) for kms in both))


def test_of_two_policies_that_shut_the_other_out_exactly_one_is_put(both: list[Any], people: list[Person]) -> None:
    """The second is authorized again when it commits, by the policy that the first has put."""
    account_id = people[0].arn.split(":")[4]

    def only(person: Person) -> str:
        root = {"Effect": "Allow", "Principal": {"AWS": account_id}, "Action": "kms:Describe*", "Resource": "*"}
        mine = {"Effect": "Allow", "Principal": {"AWS": person.arn}, "Action": "kms:*", "Resource": "*"}
        return json.dumps({"Version": "2012-10-17", "Statement": [root, mine]})

    for _ in range(ROUNDS):
        key_id = new_key(both[0])
        results = at_once(*(
            lambda kms=kms, person=person: kms.put_key_policy(KeyId=key_id, Policy=only(person))
            for kms, person in zip(both, people, strict=True)
        ))  # fmt: skip
        assert sorted(results) == ["AccessDeniedException", OK]
        winner = both[results.index(OK)]
        assert people[results.index(OK)].arn in winner.get_key_policy(KeyId=key_id)["Policy"]


def test_rotations_on_demand_are_counted_one_by_one(both: list[Any]) -> None:
    key_id = new_key(both[0])
    blobs = []
    for _ in range(12):
        blobs.append(both[0].encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"])
        assert each(both, lambda kms: kms.rotate_key_on_demand(KeyId=key_id)) == [OK, OK]
    blobs.append(both[1].encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"])
    assert sorted(each(both, lambda kms: kms.rotate_key_on_demand(KeyId=key_id))) == ["LimitExceededException", OK]
    assert len(both[0].list_key_rotations(KeyId=key_id)["Rotations"]) == 25
    for number, blob in enumerate(blobs):
        assert both[number % 2].decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"


# What both do with a key or what belongs to it, and how the two are answered.
MEETINGS: dict[str, tuple[dict[str, Any], Callable[[Any, str], Any], list[str]]] = {
    "deletion": ({}, lambda kms, key: kms.schedule_key_deletion(KeyId=key), ["KMSInvalidStateException", OK]),
    "one alias": (
        {},
        lambda kms, key: kms.create_alias(AliasName=f"alias/{key}", TargetKeyId=key),
        ["AlreadyExistsException", OK],
    ),
    "one replica": (
        {"MultiRegion": True},
        lambda kms, key: kms.replicate_key(KeyId=key, ReplicaRegion="eu-west-1"),
        ["AlreadyExistsException", OK],
    ),
    "rotation enabled": ({}, lambda kms, key: kms.enable_key_rotation(KeyId=key), [OK, OK]),
    "description": ({}, lambda kms, key: kms.update_key_description(KeyId=key, Description="same"), [OK, OK]),
}


@pytest.mark.parametrize("what", MEETINGS)
def test_the_same_change_at_once_is_made_once(both: list[Any], what: str) -> None:
    options, act, expected = MEETINGS[what]
    for _ in range(ROUNDS):
        key_id = new_key(both[0], **options)
        assert sorted(each(both, lambda kms: act(kms, key_id))) == expected


def test_disabled_and_enabled_at_once_the_key_is_one_of_both_on_each_worker(both: list[Any]) -> None:
    key_id = new_key(both[0])
    for _ in range(ROUNDS):
        assert at_once(
            lambda: both[0].disable_key(KeyId=key_id), lambda: both[1].enable_key(KeyId=key_id)
        ) == [OK, OK]  # fmt: skip
        states = {kms.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] for kms in both}
        assert len(states) == 1
        uses = {code_of(lambda kms=kms: kms.encrypt(KeyId=key_id, Plaintext=b"x")) for kms in both}
        assert uses == ({OK} if states == {"Enabled"} else {"DisabledException"})


def test_a_grant_asked_for_twice_at_once_under_one_name_is_one(both: list[Any], people: list[Person]) -> None:
    for number in range(ROUNDS):
        key_id = new_key(both[0])
        asked = {"KeyId": key_id, "GranteePrincipal": people[0].arn, "Operations": ["Decrypt"], "Name": f"n{number}"}
        assert each(both, lambda kms: kms.create_grant(**asked)) == [OK, OK]
        assert len(both[0].list_grants(KeyId=key_id)["Grants"]) == 1


def test_tags_given_at_once_stay_within_the_quota(both: list[Any]) -> None:
    for _ in range(ROUNDS):
        key_id = new_key(both[0])
        results = at_once(*(
            lambda kms=kms, who=who: kms.tag_resource(
                KeyId=key_id, Tags=[{"TagKey": f"{who}-{number}", "TagValue": ""} for number in range(30)])
            for who, kms in enumerate(both)
        ))  # fmt: skip
        assert sorted(results) == ["LimitExceededException", OK]
        assert len(both[0].list_resource_tags(KeyId=key_id)["Tags"]) == 30


def test_a_key_scheduled_for_deletion_while_it_rotates_is_whole_when_it_comes_back(both: list[Any]) -> None:
    for _ in range(ROUNDS):
        key_id = new_key(both[0])
        blob = both[0].encrypt(KeyId=key_id, Plaintext=b"x")["CiphertextBlob"]
        rotated, scheduled = at_once(
            lambda: both[0].rotate_key_on_demand(KeyId=key_id),
            lambda: both[1].schedule_key_deletion(KeyId=key_id),
        )
        assert scheduled == OK and rotated in (OK, "KMSInvalidStateException")
        both[0].cancel_key_deletion(KeyId=key_id)
        both[1].enable_key(KeyId=key_id)
        assert both[1].decrypt(CiphertextBlob=blob)["Plaintext"] == b"x"
        assert len(both[0].list_key_rotations(KeyId=key_id)["Rotations"]) == (rotated == OK)

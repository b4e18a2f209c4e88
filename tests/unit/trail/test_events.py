"""Records in CloudTrail's shape: for whom they are, and what becomes of one that is too large."""

from __future__ import annotations

import json
import uuid

from s3al.auth.principal import Principal
from s3al.errors import AccessError
from s3al.service.auditing import Answered, KeyUse
from s3al.service.operation import Call
from s3al.trail.events import encoded, for_owners, is_reading, iso, new_id, of_key_use, of_request, user_name
from s3al.trail.reading import event_time

OURS, THEIRS = "111122223333", "444455556666"
ANNA = Principal("user", OURS, f"arn:aws:iam::{OURS}:user/team/anna", "AIDAANNA", access_key_id="AKIAANNA")
THEIR_KEY = f"arn:aws:kms:eu-central-1:{THEIRS}:key/0000"
NOW = 1_700_000_000_999


def answered(operation: str, **params: object) -> Answered:
    call = Call("kms", operation, dict(params), ANNA, "REQUEST", NOW, "eu-central-1")
    return Answered("kms", operation, "REQUEST", ANNA, "203.0.113.7", "aws-cli", call, {})


def test_a_use_of_another_account_s_key_is_recorded_for_both() -> None:
    use = KeyUse("Decrypt", "eu-central-1", THEIR_KEY, THEIR_KEY, {"a": "b"}, None, "ab")
    ours, theirs = for_owners(of_key_use(answered("Decrypt"), use, NOW))
    assert (ours["recipientAccountId"], theirs["recipientAccountId"]) == (OURS, THEIRS)
    assert ours["sharedEventID"] == theirs["sharedEventID"]
    assert ours["eventID"] != theirs["eventID"]
    assert ours["userIdentity"] == theirs["userIdentity"]


def test_a_refused_use_of_a_key_that_is_not_there_is_its_requester_s_alone() -> None:
    refused = AccessError("NotFoundException", "there is none")
    use = KeyUse("Decrypt", "eu-central-1", "alias/none", None, {}, refused)
    (event,) = for_owners(of_key_use(answered("Decrypt"), use, NOW))
    assert (event["errorCode"], event["errorMessage"], event["resources"]) == ("NotFoundException", "there is none", [])
    assert event["requestParameters"]["keyId"] == "alias/none"
    assert "additionalEventData" not in event


def test_a_record_too_large_keeps_who_did_what() -> None:
    event = of_request(answered("TagResource", Tags=["x" * 1000] * 400), [THEIR_KEY], NOW, "eu-central-1")
    kept = json.loads(encoded(event))
    assert kept["requestParameters"] is None
    assert kept["additionalEventData"]["omitted"] == ["requestParameters", "responseElements"]
    assert (kept["eventName"], user_name(kept)) == ("TagResource", "anna")


def test_ids_are_version_4_uuids_and_times_are_whole_seconds() -> None:
    for _ in range(100):
        made = uuid.UUID(new_id())
        assert (made.version, made.variant) == (4, uuid.RFC_4122)
    assert iso(NOW) == "2023-11-14T22:13:20Z"
    assert event_time(encoded({"a": 1, "eventTime": iso(NOW)})) == iso(NOW)


def test_uses_of_keys_read_and_changes_do_not() -> None:
    for name in ("Decrypt", "GenerateDataKey", "Sign", "VerifyMac", "ListKeys", "DescribeKey", "AssumeRole", "Can"):
        assert is_reading(name), name
    for name in ("PutKeyPolicy", "CreateGrant", "DisableKey", "CancelKeyDeletion", "DeleteUser", "SetBucketTrail"):
        assert not is_reading(name), name

"""What is never recorded: every member that the service models call sensitive or type as bytes, at any depth."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.loaders import Loader

from s3al.trail.redaction import SECRET, recorded
from s3al.wire.operations import ALLOWED

# Sensitive in the models, and recorded by CloudTrail all the same: a use is traced to its key by it, no secret shows.
RECORDED = {"AccessKeyId"}


def sensitive(service: str) -> Iterator[tuple[str, str]]:
    """(operation, member) of every sensitive member that is no bytes, inputs and outputs alike."""
    model = Loader().load_service_model(service, "service-2")
    shapes = model["shapes"]

    def walk(name: str, seen: frozenset[str]) -> Iterator[str]:
        shape = shapes[name]
        if name in seen:
            return
        inner = list(shape.get("members", {}).items())
        inner += [("member", shape[each]) for each in ("member", "value") if each in shape]
        for member, target in inner:
            if shapes[target["shape"]].get("sensitive") and shapes[target["shape"]]["type"] != "blob":
                yield member
            yield from walk(target["shape"], seen | {name})

    for operation in ALLOWED[service]:
        for side in ("input", "output"):
            if side in model["operations"][operation]:
                for member in walk(model["operations"][operation][side]["shape"], frozenset()):
                    yield operation, member


@pytest.mark.parametrize("service", ["kms", "sts", "iam"])
def test_every_sensitive_member_of_the_models_is_left_out(service):
    kept = {(operation, member) for operation, member in sensitive(service) if member.lower() not in SECRET}
    assert {member for _, member in kept} <= RECORDED, kept


def test_bytes_are_left_out_whatever_they_are_called():
    members: dict[str, Any] = {"Anything": b"x", "Deep": {"List": [b"y", {"More": bytearray(b"z")}]}, "Name": "kept"}
    assert recorded(members) == {"name": "kept", "deep": {"list": [{}]}}


def test_the_encryption_context_stays_and_secrets_beside_it_do_not():
    members = {"KeyId": "k", "Plaintext": b"p", "EncryptionContext": {"Plaintext": "a name"}, "GrantTokens": ["t"]}
    assert recorded(members) == {"keyId": "k", "encryptionContext": {"Plaintext": "a name"}}


def test_what_only_calls_itself_an_encryption_context_is_a_parameter_like_others():
    deep: Any = ["innermost"]
    for _ in range(300):
        deep = [deep]
    assert "innermost" not in str(recorded({"EncryptionContext": deep}))
    assert recorded({"EncryptionContext": {"Plaintext": ["p"], "Name": b"x"}}) == {"encryptionContext": {}}


def test_times_are_words_and_nothing_is_none():
    assert recorded({"CreateDate": datetime(2026, 1, 2, tzinfo=UTC)}) == {"createDate": "2026-01-02T00:00:00Z"}
    assert recorded({"SecretAccessKey": "s"}) is None
    assert recorded(None) is None

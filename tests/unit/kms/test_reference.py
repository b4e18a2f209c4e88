"""The generated pages are current, and say of permissions what the operations ask."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from s3al.kms.ports import OPERATIONS
from unit.kms.examples import KEYS, PARAMS, naming
from unit.kms.world import ALICE, REGION, ROOT, World, model

ROOT_FOLDER = Path(__file__).resolve().parents[3]


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kms_reference", ROOT_FOLDER / "script" / "kms_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


REFERENCE = _script()


@pytest.mark.parametrize("name", sorted(REFERENCE.pages()))
def test_the_page_is_current(name: str) -> None:
    page = ROOT_FOLDER / "docs" / "reference" / name
    assert page.read_text(encoding="utf-8") == REFERENCE.pages()[name], "run script/kms_reference.py"


def test_the_page_has_every_operation_of_the_model() -> None:
    assert set(model().operation_names) | REFERENCE.NEWER == set(OPERATIONS) | set(REFERENCE.REFUSED)
    assert not set(OPERATIONS) & set(REFERENCE.REFUSED)


def request(world: World, operation: str, key_id: str) -> dict[str, Any]:
    """A request that is authorized."""
    blob = world.do("Encrypt", KeyId=world.create_key(), Plaintext=b"x")["CiphertextBlob"]
    if operation in ("UpdateAlias", "DeleteAlias"):
        world.do("CreateAlias", AliasName="alias/theirs", TargetKeyId=key_id)
    if operation == "UpdatePrimaryRegion":
        world.do("ReplicateKey", KeyId=key_id, ReplicaRegion="eu-west-1")
    if operation == "RetireGrant":
        granted = world.do("CreateGrant", KeyId=key_id, **PARAMS["CreateGrant"])
        return {"KeyId": key_id, "GrantId": granted["GrantId"]}
    keyless: dict[str, dict[str, Any]] = {
        "CreateKey": {"Tags": [{"TagKey": "a", "TagValue": "b"}]},
        "Decrypt": {"CiphertextBlob": blob},
        "DeleteAlias": {"AliasName": "alias/theirs"},
        "GenerateRandom": {"NumberOfBytes": 1},
        "ListAliases": {},
        "ListKeys": {},
        "ListRetirableGrants": {"RetiringPrincipal": ALICE.arn},
        "ReEncrypt": {"CiphertextBlob": blob, "DestinationKeyId": key_id},
        "ReplicateKey": {"KeyId": key_id, "ReplicaRegion": "eu-west-1", "Tags": [{"TagKey": "a", "TagValue": "b"}]},
    }
    return keyless.get(operation, naming(operation, key_id) if operation not in keyless else {})


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_the_permissions_of_the_page_are_those_that_are_asked(world: World, operation: str) -> None:
    key_id = world.create_key(**KEYS.get(operation, {}))
    call = world.make_call(operation, ROOT, REGION, request(world, operation, key_id))
    asked = world.database.read_now(lambda rows: list(OPERATIONS[operation].checks(call, rows, world.kms)))
    said = REFERENCE.PERMISSIONS.get(operation, f"`kms:{operation}` on the key")
    if operation == "RetireGrant":
        assert {check.action for check in asked} == {"kms:RetireGrant"}
        return
    assert {check.action for check in asked} == set(re.findall(r"`(kms:\w+)`", said))
    on_keys = {check.resource for check in asked if ":key/" in check.resource}
    assert bool(on_keys) is bool(re.search("key|primary|source", re.sub("`[^`]*`", "", said)))
    assert ("*" in {check.resource for check in asked}) is ("on the account" in said)

"""The generated pages are current, and say of permissions what the operations ask."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from s3al.kms.ports import OPERATIONS
from unit.kms.examples import KEYS, authorized_request
from unit.kms.world import REGION, ROOT, World, model

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


def test_every_operation_of_the_model_has_a_journey_and_is_refused_in_tests() -> None:
    rows = {row[0]: row for row in _rows()}
    assert set(rows) == set(OPERATIONS)
    for name in set(rows) & set(model().operation_names):
        *_, journey, refused = rows[name]
        assert journey == "yes", f"{name} is not called in {REFERENCE.JOURNEY.name}"
        assert {"constraint", "permission"} <= set(refused.split(", "))


def _rows() -> list[list[str]]:
    page = REFERENCE.pages()["kms-operations.md"].partition("| operation |")[2].partition("\n\n")[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines()[2:]]


@pytest.mark.parametrize("operation", sorted(OPERATIONS))
def test_the_permissions_of_the_page_are_those_that_are_asked(world: World, operation: str) -> None:
    key_id = world.create_key(**KEYS.get(operation, {}))
    call = world.make_call(operation, ROOT, REGION, authorized_request(world, operation, key_id))
    asked = world.database.read_now(lambda rows: list(OPERATIONS[operation].checks(call, rows, world.kms)))
    said = REFERENCE.PERMISSIONS.get(operation, f"`kms:{operation}` on the key")
    if operation == "RetireGrant":
        assert {check.action for check in asked} == {"kms:RetireGrant"}
        return
    assert {check.action for check in asked} == set(re.findall(r"`(kms:\w+)`", said))
    on_keys = {check.resource for check in asked if ":key/" in check.resource}
    assert bool(on_keys) is bool(re.search("key|primary|source", re.sub("`[^`]*`", "", said)))
    assert ("*" in {check.resource for check in asked}) is ("on the account" in said)

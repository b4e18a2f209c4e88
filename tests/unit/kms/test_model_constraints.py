"""Every required, length, range, pattern and enum constraint of AWS's model, broken once: ValidationException names the
member and the constraint. Generated from the installed model; the same requests go over HTTP in the journeys."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from typing import Any

import pytest
from botocore.loaders import Loader

from s3al.errors import RequestError
from s3al.wire.model import compile_service
from s3al.wire.operations import ALLOWED
from s3al.wire.plan import Route
from s3al.wire.quirks import quirks_of
from support.violations import Violation, valid, violations
from unit.kms.world import model

PLAN = compile_service(
    Loader().load_service_model("kms", "service-2"), operations=ALLOWED["kms"], quirks=quirks_of("kms")
)
OPERATIONS = sorted(PLAN.operations)


def parse(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    plan = PLAN.operations[operation]
    return dict(plan.parse(Route(plan, operation, "kms"), (), {}, json.dumps(request, default=_wire).encode()))


def _wire(value: Any) -> Any:
    return value.timestamp() if isinstance(value, datetime) else base64.b64encode(value).decode()


def of(operation: str) -> list[Violation]:
    shape = model().operation_model(operation).input_shape
    return list(violations(shape)) if shape else []


def test_the_model_gives_hundreds_of_constraints_to_break() -> None:
    assert sum(len(of(operation)) for operation in OPERATIONS) > 400
    assert set(OPERATIONS) == set(model().operation_names) & set(ALLOWED["kms"])


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_request_that_breaks_nothing_is_read(operation: str) -> None:
    shape = model().operation_model(operation).input_shape
    for required_only in (True, False):
        request = valid(shape, required_only=required_only) if shape else {}
        assert parse(operation, request) == request


@pytest.mark.parametrize("operation", OPERATIONS)
def test_each_broken_constraint_is_refused_by_its_name(operation: str) -> None:
    for violation in of(operation):
        with pytest.raises(RequestError) as raised:
            parse(operation, violation.request)
        message = raised.value.message or ""
        assert raised.value.code == "ValidationException", violation
        assert f"'{violation.member}'" in message, (violation, message)
        assert violation.constraint in message, (violation, message)

"""Every required, length, range, pattern and enum constraint of the models of IAM, STS and KMS, broken once and sent
through the whole pipeline without a client's own checks: the service's validation error names the member and the
constraint, and nothing is changed. Generated from the installed models."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.serialize import create_serializer

from s3al.store import catalog
from s3al.wire.operations import ALLOWED
from support.house import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, Answer, House, open_house
from support.violations import valid, violations

HOST = "127.0.0.1:9000"
CODES = {"iam": "ValidationError", "sts": "ValidationError", "kms": "ValidationException"}
MODELS = {name: ServiceModel(Loader().load_service_model(name, "service-2")) for name in CODES}
LEAST = {"iam": 800, "sts": 70, "kms": 400}
CASES = [
    (service, operation)
    for service, model in MODELS.items()
    for operation in sorted(set(ALLOWED[service]) & set(model.operation_names))
    if model.operation_model(operation).input_shape
]
each_operation = pytest.mark.parametrize(("service", "operation"), CASES, ids=[f"{s}-{o}" for s, o in CASES])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("house")) as opened:
        yield opened


def send(house: House, service: str, operation: str, params: dict[str, Any]) -> Answer:
    """As botocore would write it, had it not looked."""
    model = MODELS[service]
    serializer = create_serializer(model.metadata["protocol"], include_validation=False)
    written = serializer.serialize_to_request(params, model.operation_model(operation))
    asked = AWSRequest("POST", f"https://{HOST}/", headers={"Host": HOST, **written["headers"]}, data=written["body"])
    body = asked.prepare().body or b""
    SigV4Auth(Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY), service, REGION).add_auth(asked)
    headers = {name: str(value) for name, value in asked.headers.items()}
    return house.ask("POST", "/", headers, body.encode() if isinstance(body, str) else bytes(body))


def error_of(service: str, answer: Answer) -> tuple[str, str]:
    if service == "kms":
        return answer.document["__type"].rpartition("#")[2], answer.document.get("message", "")
    text = answer.body.decode()
    found = re.search(r"<Code>(.*?)</Code>\s*<Message>(.*?)</Message>", text, re.DOTALL)
    assert found, text
    return found[1], found[2].replace("&#39;", "'").replace("&apos;", "'").replace("&quot;", '"')


def counter(house: House) -> int:
    return int(house.workers[0].s3.db.read_now(catalog.change_counter))


@each_operation
def test_each_broken_constraint_is_refused_and_changes_nothing(house: House, service: str, operation: str) -> None:
    shape, before = MODELS[service].operation_model(operation).input_shape, counter(house)
    for violation in violations(shape):
        answer = send(house, service, operation, violation.request)
        code, message = error_of(service, answer)
        assert (answer.status, code) == (400, CODES[service]), (violation, answer.body)
        assert f"'{violation.member}'" in message, (violation, message)
        assert violation.constraint in message, (violation, message)
    assert counter(house) == before


@each_operation
def test_a_request_that_breaks_nothing_gets_beyond_the_constraints(
    house: House, service: str, operation: str
) -> None:
    """Otherwise what is refused above might be refused for anything."""
    shape = MODELS[service].operation_model(operation).input_shape
    answer = send(house, service, operation, valid(shape))
    if answer.status != 200:
        assert "failed to satisfy constraint" not in error_of(service, answer)[1], answer.body


def test_the_models_give_many_constraints_to_break() -> None:
    for service, least in LEAST.items():
        shapes = [MODELS[service].operation_model(name).input_shape for each, name in CASES if each == service]
        assert sum(len(list(violations(shape))) for shape in shapes) > least

from __future__ import annotations

import re
from pathlib import Path

import pytest
from botocore.loaders import Loader

import s3al.kms
from s3al.errors import AccessError, RequestError
from s3al.iam.errors import IAM_ERRORS
from s3al.kms.errors import KMS_ERRORS, S3_CODES, answered_by_s3
from s3al.kms.ports import OPERATIONS
from s3al.s3.errors import S3_ERRORS
from unit.kms.world import model

SOURCE = Path(s3al.kms.__file__).parent
RAISED = re.compile(r'(?:RequestError|AccessError|Refusal)\(\s*"(\w+)"')


def test_every_code_that_is_raised_stands_in_the_table() -> None:
    own = SOURCE / "own.py"  # of our own API, whose table is that of identities
    raised = {code for file in SOURCE.rglob("*.py") if file != own for code in RAISED.findall(file.read_text())}
    assert len(raised) > 15
    assert raised - {"AccessDenied"} <= set(KMS_ERRORS)
    assert set(RAISED.findall(own.read_text())) <= set(IAM_ERRORS)


def test_statuses_are_what_aws_answers() -> None:
    server = {code for code, (status, _) in KMS_ERRORS.items() if status >= 500}
    assert server == {"DependencyTimeoutException", "KMSInternalException", "KeyUnavailableException"}
    shapes = Loader().load_service_model("kms", "service-2")["shapes"]
    assert {name for name, shape in shapes.items() if shape.get("fault")} == server


def test_every_error_of_the_operations_that_are_built_stands_in_the_table() -> None:
    later = re.compile("CustomKeyStore|CloudHsm|Xks|Import|KeyMaterial|Grant|Mac|Signature")
    named = {
        shape.name
        for operation in set(OPERATIONS) & set(model().operation_names)
        for shape in model().operation_model(operation).error_shapes
    }
    assert {code for code in named if not later.search(code)} <= set(KMS_ERRORS)


def test_every_code_s3_answers_with_stands_in_its_table() -> None:
    assert set(S3_CODES.values()) <= set(S3_ERRORS)
    assert set(S3_CODES) <= set(KMS_ERRORS)


@pytest.mark.parametrize(
    ("error", "family", "code", "message"),
    [
        (RequestError("DisabledException", "x is disabled."), RequestError, "KMS.DisabledException", "x is disabled."),
        (RequestError("NotFoundException"), RequestError, "KMS.NotFoundException", KMS_ERRORS["NotFoundException"][1]),
        (AccessError("AccessDeniedException", "no"), AccessError, "AccessDenied", "no"),
        (RequestError("ThrottlingException"), RequestError, "ThrottlingException", "Rate exceeded"),
        (RequestError("NoCodeOfOurs"), RequestError, "NoCodeOfOurs", None),
    ],
)
def test_an_error_of_the_key_leaves_as_s3_words_it(
    error: RequestError, family: type[RequestError], code: str, message: str | None
) -> None:
    with pytest.raises(RequestError) as raised, answered_by_s3():
        raise error
    assert type(raised.value) is family
    assert (raised.value.code, raised.value.message) == (code, message)

"""The catalogue of errors is complete and well formed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3al.iam.errors import IAM_ERRORS
from s3al.s3.errors import S3_ERRORS

_SOURCE = Path(__file__).parents[3] / "src" / "s3al"
_ROOMS = ("s3", "store")


def _raised_codes() -> Iterator[tuple[str, str]]:
    for room in _ROOMS:
        for path in sorted((_SOURCE / room).glob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                    continue
                if node.func.id in ("RequestError", "AccessError") and node.args:
                    code = node.args[0]
                    if isinstance(code, ast.Constant) and isinstance(code.value, str):
                        yield f"{room}/{path.name}:{node.lineno}", code.value


@pytest.mark.parametrize("room", _ROOMS)
def test_every_code_that_is_raised_stands_in_the_catalogue(room: str) -> None:
    raised = [(where, code) for where, code in _raised_codes() if where.startswith(room)]
    # Of our own API, whose table is that of identities too.
    unknown = [
        (where, code)
        for where, code in raised
        if code not in S3_ERRORS and not ("own.py" in where and code in IAM_ERRORS)
    ]
    assert unknown == []


def test_codes_are_found_at_all() -> None:
    assert len({code for _, code in _raised_codes()}) > 30


@pytest.mark.parametrize("code", sorted(S3_ERRORS))
def test_each_row_has_a_status_of_an_error_and_a_message(code: str) -> None:
    status, message = S3_ERRORS[code]
    assert 300 <= status < 600
    assert message
    assert message == message.strip()


@pytest.mark.parametrize(
    ("code", "status"),
    [  # typed from the API Reference, "List of error codes", not from the table
        ("AccessDenied", 403),
        ("BucketAlreadyExists", 409),
        ("BucketAlreadyOwnedByYou", 409),
        ("BucketNotEmpty", 409),
        ("InvalidBucketName", 400),
        ("InvalidRange", 416),
        ("MethodNotAllowed", 405),
        ("MissingContentLength", 411),
        ("NoSuchBucket", 404),
        ("NoSuchKey", 404),
        ("NoSuchUpload", 404),
        ("NoSuchVersion", 404),
        ("NotImplemented", 501),
        ("OperationAborted", 409),
        ("PreconditionFailed", 412),
        ("SignatureDoesNotMatch", 403),
        ("SlowDown", 503),
        ("InternalError", 500),
        ("ServiceUnavailable", 503),
        ("RequestTimeTooSkewed", 403),
        ("NoSuchTagSet", 404),
        ("InvalidDigest", 400),
        ("IncompleteBody", 400),
    ],
)
def test_status_is_the_one_aws_documents(code: str, status: int) -> None:
    assert S3_ERRORS[code][0] == status

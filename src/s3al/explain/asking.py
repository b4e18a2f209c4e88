"""WhoMayUseKey and Can of our own API: a key's matrix, and one decision with the change that would turn it.

What lives here: the operations. What does not: who may ask (answers), the matrix (matrix), decisions (decisions).

Law: both are read, and authorized, on one snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable

from s3al.auth.authorized import Authorized
from s3al.errors import RequestError
from s3al.explain.answers import answer, asked_key, check_on, is_operators, read_question
from s3al.explain.matrix import ANY_BUCKET, PAGE, Column, columns_of, key_matrix
from s3al.explain.ports import OPERATIONS, Explaining
from s3al.iam.access import read
from s3al.service.operation import Call, Check, Params, Reply
from s3al.service.own import text
from s3al.store.database import Rows
from s3al.store.keystore import KeyRow


def _on_key(call: Call, rows: Rows, ports: Explaining) -> Iterable[Check]:
    key = asked_key(rows, call, text(call.params, "key"))
    return (check_on(call, key.arn, key.account_id),)


@OPERATIONS.operation("WhoMayUseKey", checks=_on_key)
async def who_may_use_key(authorized: Authorized, call: Call, ports: Explaining) -> Reply:
    """Parameters: key (id, ARN, alias), actions (a list; all by default), bucket (for the columns "via S3"), after.
    Answers: key, state, columns, rows, statements (docs/reference/decisions.md), and next, to be given as after."""
    after, bucket = call.params.get("after", ""), call.params.get("bucket", ANY_BUCKET)
    if not isinstance(after, str) or not isinstance(bucket, str):
        raise RequestError("ValidationError", "The members after and bucket must be texts.")

    def reader(rows: Rows) -> Params:
        key = asked_key(rows, call, text(call.params, "key"))
        columns = _columns(key, call.params.get("actions"))
        sees_all = is_operators(rows, call.principal)
        matrix = key_matrix(rows, ports, key, columns, bucket=bucket, after=after, limit=PAGE, sees_all=sees_all)
        return matrix.to_json()

    return Reply(await read(authorized, call, ports.iam, reader))


def _columns(key: KeyRow, actions: object) -> tuple[Column, ...]:
    known = columns_of(key)
    if actions is None:
        return known
    if not isinstance(actions, list) or not actions or not set(map(str, actions)) <= {c.action for c in known}:
        names = ", ".join(sorted({column.action for column in known}))
        raise RequestError("ValidationError", f"The member actions must be a list of some of these: {names}")
    return tuple(column for column in known if column.action in actions)


def _on_question(call: Call, rows: Rows, ports: Explaining) -> Iterable[Check]:
    asked = read_question(rows, call, ports)
    return (check_on(call, asked.question.resource, asked.account),)


@OPERATIONS.operation("Can", checks=_on_question)
async def can(authorized: Authorized, call: Call, ports: Explaining) -> Reply:
    """Parameters: principal, action, resource, context (condition keys). Answers: allowed, principal, verdicts, remedy
    (docs/reference/decisions.md)."""

    def reader(rows: Rows) -> Params:
        return answer(rows, ports, read_question(rows, call, ports))

    return Reply(await read(authorized, call, ports.iam, reader))

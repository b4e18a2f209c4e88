"""Commits are authorized as of their own transaction; operations are declared once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from s3al.auth.authorized import Authorized
from s3al.auth.principal import ANONYMOUS
from s3al.errors import AccessError
from s3al.service.operation import Call, Operations, Reply
from s3al.store import catalog
from support.house import open_house


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Any]:
    with open_house(tmp_path) as house:
        yield house.workers[0].s3.db


def call_of(reauthorize: Any) -> Call:
    return Call("s3", "PutObject", {}, ANONYMOUS, "r", 0, "us-east-1", reauthorize=reauthorize)


def commit(database: Any, call: Call, stamp: int) -> Any:
    def write(rows: Any) -> str:
        catalog.put_meta(rows, "written", "yes")
        return "done"

    return asyncio.run(call.commit(database, Authorized(ANONYMOUS, (), stamp), write))


def written(database: Any) -> bool:
    return database.read_now(lambda rows: catalog.get_meta(rows, "written")) is not None


def test_a_commit_is_not_authorized_again_while_nothing_changed(database: Any) -> None:
    asked: list[Any] = []
    assert commit(database, call_of(asked.append), database.read_now(catalog.change_counter)) == "done"
    assert asked == [] and written(database)


def test_a_commit_is_authorized_again_on_the_rows_of_its_transaction(database: Any) -> None:
    stamp = database.read_now(catalog.change_counter)
    database.write_now(catalog.bump)
    seen: list[int] = []
    assert commit(database, call_of(lambda rows: seen.append(catalog.change_counter(rows))), stamp) == "done"
    assert seen == [stamp + 1] and written(database)


def test_a_commit_that_is_no_longer_allowed_changes_nothing(database: Any) -> None:
    stamp = database.read_now(catalog.change_counter)
    database.write_now(catalog.bump)

    def refuse(_: Any) -> None:
        raise AccessError("AccessDenied")

    with pytest.raises(AccessError):
        commit(database, call_of(refuse), stamp)
    assert not written(database)


def test_a_commit_that_cannot_be_authorized_again_fails_closed(database: Any) -> None:
    with pytest.raises(RuntimeError):
        commit(database, call_of(None), -1)
    assert not written(database)


def test_an_operation_is_declared_once() -> None:
    operations: Operations[None] = Operations()

    async def handle(*_: Any) -> Reply:
        return Reply()

    assert operations.operation("One", checks=lambda *_: ())(handle) is handle
    assert operations["One"].handle is handle
    with pytest.raises(ValueError, match="twice"):
        operations.operation("One", checks=lambda *_: ())(handle)

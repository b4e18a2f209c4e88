"""A house with an account of its own for each file, and IAM as its root asks it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from support.house import House, open_house


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("house")) as opened:
        yield opened


@pytest.fixture
def database(house: House) -> Any:
    return house.workers[0].s3.db


@pytest.fixture
def iam(house: House) -> Any:
    return house.client("iam")


@pytest.fixture
def account_id(house: House) -> str:
    arn: str = house.client("iam").get_user()["User"]["Arn"]
    return arn.split(":")[4]

"""One store for all questions about decisions; tests make their own people, buckets and keys in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.house import open_house
from unit.explain.world import World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_house(tmp_path_factory.mktemp("house"), workers=2) as house:
        yield World(house)

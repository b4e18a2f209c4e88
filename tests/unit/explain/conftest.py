"""One store for all questions about decisions; tests make their own people, buckets and keys in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.house import House, open_house
from unit.explain.world import World


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with open_house(tmp_path_factory.mktemp("house"), workers=2) as house:
        yield World(house)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[House]:
    """A store in which there is nobody yet: for tests that count on everybody being asked about."""
    with open_house(tmp_path / "house") as house:
        yield house

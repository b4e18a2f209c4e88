from __future__ import annotations

import pytest

from unit.kms.world import World


@pytest.fixture
def world() -> World:
    return World()

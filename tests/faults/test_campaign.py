"""A small campaign of kills: the whole one is `make faults`."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from .campaign import Campaign

KILLS = 25
LONGEST_S = 0.5


@pytest.mark.timeout(900)
def test_kills_at_random_instants_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, KILLS, random.SystemRandom().randrange(1 << 32), longest_s=LONGEST_S)
    campaign.run()  # says its seed; pytest shows it when the test fails
    assert sum(campaign.counts[victim] for victim in ("the group", "the main process", "a worker")) >= 3

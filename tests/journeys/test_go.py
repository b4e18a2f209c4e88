"""The AWS SDK for Go v2, by the program in clients/sdk-go, step by step."""

from __future__ import annotations

import pytest

from support.sdk_programs import STEPS, run_steps


@pytest.fixture(scope="module", params=["http", "tls"])
def told(request, tmp_path_factory) -> dict[str, str]:
    """The whole program, run once over each transport."""
    server = request.getfixturevalue("standing_server" if request.param == "http" else "standing_tls_server")
    return run_steps("go", server, tmp_path_factory.mktemp("home"))


@pytest.mark.client("go-sdk-v2")
@pytest.mark.parametrize("step", STEPS)
def test_the_go_sdk_completes(told, step):
    assert told[step] == ""

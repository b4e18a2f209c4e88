"""The AWS SDK for Java v2, by the program in clients/sdk-java, step by step."""

from __future__ import annotations

import pytest

from support.sdk_programs import STEPS, run_steps


@pytest.fixture(scope="module", params=["http", "tls"])
def told(request, tmp_path_factory) -> dict[str, str]:
    """The whole program, run once over each transport."""
    server = request.getfixturevalue("standing_server" if request.param == "http" else "standing_tls_server")
    return run_steps("java", server, tmp_path_factory.mktemp("home"))


@pytest.mark.client("java-sdk-v2")
@pytest.mark.parametrize("step", STEPS)
def test_the_java_sdk_completes(told, step):
    assert told[step] == ""

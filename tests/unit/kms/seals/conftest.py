from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.tokens import Token, softhsm_token


@pytest.fixture(scope="session")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Token]:
    """One for all tests of this process."""
    made = softhsm_token(tmp_path_factory.mktemp("softhsm"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SOFTHSM2_CONF", made.environ["SOFTHSM2_CONF"])
        yield made

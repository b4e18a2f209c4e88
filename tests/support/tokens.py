"""A SoftHSM token for a test: `softhsm_token` makes one in a folder of its own.

The library reads SOFTHSM2_CONF when a process first uses it, so within the tests' own process there is one folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

MODULE = Path("/usr/lib/softhsm/libsofthsm2.so")


@dataclass(frozen=True)
class Token:
    """environ: for a process that is to find it. pin: of its user."""

    label: str
    pin: str
    folder: Path

    @property
    def environ(self) -> dict[str, str]:
        return {"SOFTHSM2_CONF": str(self.folder / "softhsm2.conf")}

    def option(self, key_label: str) -> str:
        return f"pkcs11:token={self.label};object={key_label}?module-path={MODULE}"


def softhsm_token(folder: Path, label: str = "s3al-test", pin: str = "271828") -> Token:
    """Skips the test where SoftHSM is not installed; script/test installs it from Debian."""
    if not MODULE.exists() or not shutil.which("softhsm2-util"):
        pytest.skip("softhsm2 is not installed")
    pytest.importorskip("pkcs11")
    tokens = folder / "tokens"
    tokens.mkdir(parents=True)
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {tokens}\nobjectstore.backend = file\n")
    token = Token(label, pin, folder)
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", label, "--pin", pin, "--so-pin", "314159265"],
        check=True,
        capture_output=True,
        env=os.environ | token.environ,
    )
    return token

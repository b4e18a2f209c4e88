"""Running a script under strace: to see its system calls, or to make some of them fail."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def strace_works() -> bool:
    if shutil.which("strace") is None:
        return False
    tried = subprocess.run(
        ["strace", "-o", "/dev/null", "true"], capture_output=True, check=False
    )  # ptrace may be denied
    return tried.returncode == 0


needs_strace = pytest.mark.skipif(not strace_works(), reason="strace is not installed, or may not trace here")


def run_traced(options: list[str], script: Path, *arguments: str, log: Path) -> str:
    """Returns the script's output. log: where strace writes, with the paths of descriptors."""
    command = ["strace", "-f", "-y", "-qq", "-o", str(log), *options, sys.executable, str(script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout

"""Real clients: where they are, and a skip with the reason when one is not.

A journey marks itself `@pytest.mark.client("rclone")` and asks here for the program; the table at the end of a run
counts by that name.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Name in the table -> places to look, and how to get it.
_PROGRAMS: dict[str, tuple[tuple[str, ...], str]] = {
    "aws-cli-v1": ((str(ROOT / ".venvs/awscli1/bin/aws"),), "script/test installs it into .venvs/awscli1"),
    "aws-cli-v2": (("/usr/bin/aws", "/usr/local/bin/aws", "aws"), "apt-get install awscli"),
    "rclone": (("rclone",), "apt-get install rclone"),
    "s3cmd": (("s3cmd",), "apt-get install s3cmd"),
}
_VERSIONS = {"aws-cli-v1": "aws-cli/1.", "aws-cli-v2": "aws-cli/2."}


def program(name: str) -> str:
    """Path of the client's program; skips the test when there is none of the right version."""
    places, advice = _PROGRAMS[name]
    for place in places:
        path = shutil.which(place)
        if path and _has_version(path, _VERSIONS.get(name, "")):
            return path
    pytest.skip(f"{name} is not here: {advice}")


def run_client(
    name: str, *arguments: str | Path, environ: dict[str, str], cwd: Path | None = None, timeout_s: float = 600
) -> str:
    """Run a client to its end and return its standard output; what it said is in the failure otherwise."""
    done = _run(name, arguments, environ, cwd, timeout_s)
    assert done.returncode == 0, f"{name} {' '.join(map(str, arguments))}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def refused_client(name: str, *arguments: str | Path, environ: dict[str, str], timeout_s: float = 120) -> str:
    """Run a client that must fail, and return all that it said."""
    done = _run(name, arguments, environ, None, timeout_s)
    assert done.returncode != 0, f"{name} {' '.join(map(str, arguments))} was not refused: {done.stdout[-2000:]}"
    return done.stdout + done.stderr


def write_tree(folder: Path, *, large_bytes: int = 0) -> Path:
    """Files of all kinds below `folder`: empty, small, with names that need quoting, and a large one if asked for.

    They are some seconds old: S3 tells times in whole seconds, so that what is sent within the second in which it was
    written looks older there than here, and is sent again.
    """
    for number in range(12):
        file = folder / f"folder {number % 3}" / f"file-{number}.bin"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(number * 9_000))
    (folder / "a+b & c=d é 日本.txt").write_text("text")
    if large_bytes:
        (folder / "large.bin").write_bytes(os.urandom(large_bytes))
    for file in folder.rglob("*"):
        written = file.stat().st_mtime - 5
        os.utime(file, (written, written))
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` by its relative path."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def _run(
    name: str, arguments: Sequence[str | Path], environ: dict[str, str], cwd: Path | None, timeout_s: float
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program(name), *map(str, arguments)],
        env=environ,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


@cache
def _has_version(path: str, start: str) -> bool:
    if not start:
        return True
    told = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return told.stdout.startswith(start) or told.stderr.startswith(start)

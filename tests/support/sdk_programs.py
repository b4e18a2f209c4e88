"""The programs of SDKs in other languages (tests/journeys/clients/sdk-*): built once for a state of their sources,
run with the environment that SDKS.md beside them describes.

Laws: nothing is written into the checkout's own folders, only into `build/`, which git ignores; a toolchain that is
missing or too old skips with the reason, and anything else that goes wrong fails.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.clients import ROOT
from support.server_process import ServerProcess
from support.settings import DSSE_KMS, SSE_KMS, allow_sse_c, new_bucket, new_key, set_default

SOURCES = ROOT / "tests" / "journeys" / "clients"
BUILT = ROOT / "build" / "journeys"
STEPS = (
    "object", "parts", "listing", "copy", "versions", "modes", "defaults", "customer-key", "presigned", "errors", "kms",
)  # fmt: skip
_RUN_WITHIN_S = 240
_BUILD_WITHIN_S = 900


@dataclass(frozen=True, slots=True)
class Toolchain:
    """version: command that tells it. at_least: its first numbers. build: commands, run in a copy of the sources."""

    version: tuple[str, ...]
    at_least: tuple[int, ...]
    build: tuple[tuple[str, ...], ...]
    run: tuple[str, ...]


TOOLCHAINS = {
    "js": Toolchain(
        ("node", "--version"),
        (20,),
        (("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"),),
        ("node", "journey.js"),
    ),
    "go": Toolchain(("go", "version"), (1, 24), (("go", "build", "-o", "journey", "."),), ("./journey",)),
    "java": Toolchain(
        ("java", "-version"),
        (17,),
        (("mvn", "-q", "-B", "compile", "dependency:copy-dependencies"),),
        ("java", "-XX:TieredStopAtLevel=1", "-cp", "target/classes:target/dependency/*", "Journey"),
    ),
}


def run_steps(name: str, server: ServerProcess, home: Path) -> dict[str, str]:
    """Run the program against new buckets of `server`: step -> "" or what went wrong."""
    folder = _built(name)
    environ = server.client_environ(home) | _prepared(server)
    environ["AWS_REGION"] = server.region
    if server.ca_bundle:
        environ["NODE_EXTRA_CA_CERTS"] = server.ca_bundle
    done = subprocess.run(
        TOOLCHAINS[name].run,
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=_RUN_WITHIN_S,
    )
    told = dict.fromkeys(re.findall(r"^ok (\S+)$", done.stdout, re.MULTILINE), "")
    told |= dict(re.findall(r"^failed (\S+): (.*)$", done.stdout, re.MULTILINE))
    for step in STEPS:
        told.setdefault(step, f"not reached: {done.stdout[-1000:]}{done.stderr[-3000:]}")
    return told


def _prepared(server: ServerProcess) -> dict[str, str]:
    s3, key = server.client(), new_key(server)
    names = ("JOURNEY_BUCKET", "JOURNEY_VERSIONED", "JOURNEY_KMS_BUCKET", "JOURNEY_DSSE_BUCKET")
    buckets = {name: new_bucket(server, owner=s3) for name in names}
    allow_sse_c(s3, buckets["JOURNEY_BUCKET"])
    s3.put_bucket_versioning(Bucket=buckets["JOURNEY_VERSIONED"], VersioningConfiguration={"Status": "Enabled"})
    set_default(s3, buckets["JOURNEY_KMS_BUCKET"], SSE_KMS, key)
    set_default(s3, buckets["JOURNEY_DSSE_BUCKET"], DSSE_KMS, key)
    return buckets | {"JOURNEY_KEY": key}


def _built(name: str) -> Path:
    """The folder of the built program; built now if these sources never were."""
    toolchain = TOOLCHAINS[name]
    _require(toolchain)
    source = SOURCES / f"sdk-{name}"
    digest = hashlib.sha256()
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        digest.update(file.relative_to(source).as_posix().encode() + b"\0" + file.read_bytes())
    folder = BUILT / f"sdk-{name}"
    stamp = folder / ".built"
    BUILT.mkdir(parents=True, exist_ok=True)
    with (BUILT / f"sdk-{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != digest.hexdigest():
            shutil.copytree(source, folder, dirs_exist_ok=True)
            for command in toolchain.build:
                done = subprocess.run(
                    command, cwd=folder, capture_output=True, text=True, check=False, timeout=_BUILD_WITHIN_S
                )
                assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
            stamp.write_text(digest.hexdigest())
    return folder


def _require(toolchain: Toolchain) -> None:
    for command in (toolchain.version[0], toolchain.build[0][0]):
        if shutil.which(command) is None:
            pytest.skip(f"{command} is not here")
    told = subprocess.run(toolchain.version, capture_output=True, text=True, check=True)
    found = re.search(r"(\d+)(?:\.(\d+))?", told.stdout + told.stderr)
    assert found, told
    version = tuple(int(number or 0) for number in found.groups())
    if version < toolchain.at_least:
        wanted = ".".join(map(str, toolchain.at_least))
        pytest.skip(f"{toolchain.version[0]} is {'.'.join(map(str, version))}, and {wanted} is needed")

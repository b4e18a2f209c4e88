"""AWS's own encryption clients as line-driven programs: made where they are missing, from what is here.

Each lives below .venvs, which git ignores: the Python client in a virtualenv of its own, the Java client through Maven,
the Go client through Go modules. A toolchain that is not here skips the test, and says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.server_process import ServerProcess

ROOT = Path(__file__).resolve().parents[2]
CLIENTS = Path(__file__).resolve().parent / "clients"
MADE = ROOT / ".venvs"


class Program:
    """One running client. `ask` sends a command and returns what it said."""

    def __init__(self, command: list[str], environ: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def ask(self, command: str, **given: str | Path) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        words = [command, *(f"{name}={value}" for name, value in given.items())]
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def stop(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def start(name: str, server: ServerProcess, home: Path) -> Program:
    command = {"python": _python, "java": _java, "go": _go}[name]()
    environ = server.client_environ(home) | {"AWS_REGION": server.region}
    return Program(command, environ)


def _python() -> list[str]:
    return [python_with_aws_client(), str(CLIENTS / "python/cse.py")]


def python_with_aws_client() -> str:
    """An interpreter that has AWS's Python client, made if it is missing."""
    python = MADE / "s3ec/bin/python"
    if not python.exists():
        _make([sys.executable, "-m", "venv", str(MADE / "s3ec")])
        _make([str(python), "-m", "pip", "install", "-q", "amazon-s3-encryption-client-python==4.0.0"])
    return str(python)


def _java() -> list[str]:
    made = MADE / "java-cse"
    if not (made / "classpath").exists() or not (made / "classes/Cse.class").exists():
        _needs("mvn", "apt-get install maven")
        listing = "org.apache.maven.plugins:maven-dependency-plugin:2.8:build-classpath"
        made.mkdir(parents=True, exist_ok=True)
        target = [f"-Dmdep.outputFile={made / 'classpath'}", f"-Dcse.build={made}"]
        _make(["mvn", "-q", "-B", "compile", listing, *target], cwd=CLIENTS / "java")
    classpath = f"{made / 'classes'}{os.pathsep}{(made / 'classpath').read_text().strip()}"
    return ["java", "-Xmx512m", "-cp", classpath, "Cse"]


def _go() -> list[str]:
    made = MADE / "go-cse"
    if not made.exists():
        _needs("go", "apt-get install golang, at least 1.24")
        _make(["go", "build", "-o", str(made), "."], cwd=CLIENTS / "go")
    return [str(made)]


def _needs(program: str, advice: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not here: {advice}")


def _make(command: list[str], cwd: Path | None = None) -> None:
    MADE.mkdir(exist_ok=True)
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"{command[0]} could not make the client: {(done.stdout + done.stderr)[-500:]}")

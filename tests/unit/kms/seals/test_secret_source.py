from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from s3al.errors import ConfigError
from s3al.kms.seals import secret_source
from s3al.kms.seals.secret_source import SecretSource

SECRET = "correct horse battery staple"


@pytest.fixture
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_source, "_has_terminal", lambda: False)


def credential(folder: Path, name: str, text: str, mode: int = 0o400) -> SecretSource:
    (folder / name).write_text(text)
    (folder / name).chmod(mode)
    return SecretSource({"CREDENTIALS_DIRECTORY": str(folder)})


@pytest.mark.parametrize(("name", "variable"), [("", "S3AL_PASSPHRASE"), ("recovery", "S3AL_PASSPHRASE_RECOVERY")])
def test_the_environment_gives_a_passphrase(name: str, variable: str) -> None:
    assert SecretSource({variable: SECRET}).passphrase(name) == SECRET


@pytest.mark.parametrize(("name", "file"), [("", "s3al.passphrase"), ("recovery", "s3al.passphrase.recovery")])
def test_systemd_gives_a_passphrase(tmp_path: Path, name: str, file: str) -> None:
    assert credential(tmp_path, file, SECRET + "\n").passphrase(name) == SECRET


def test_a_pin_comes_from_its_file_the_environment_or_systemd(tmp_path: Path) -> None:
    source = credential(tmp_path, "s3al.pin", "1234")
    assert source.pin(None) == "1234"
    assert source.pin(tmp_path / "s3al.pin") == "1234"
    assert SecretSource({"S3AL_PIN": "5678"}).pin(None) == "5678"


@pytest.mark.usefixtures("no_terminal")
@pytest.mark.parametrize("environ", [{}, {"S3AL_PASSPHRASE": ""}, {"CREDENTIALS_DIRECTORY": "/nowhere"}])
def test_without_any_source_it_says_where_one_could_be(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="no terminal") as caught:
        SecretSource(environ).passphrase("")
    assert "S3AL_PASSPHRASE" in caught.value.advice
    assert "s3al.passphrase" in caught.value.advice


def test_a_credential_that_others_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="others can read"):
        credential(tmp_path, "s3al.passphrase", SECRET, 0o444).passphrase("")


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfe", b"x" * 5000])
def test_a_credential_that_is_no_line_of_text_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "s3al.pin").write_bytes(content)
    (tmp_path / "s3al.pin").chmod(0o600)
    with pytest.raises(ConfigError, match="no line of text"):
        SecretSource({}).pin(tmp_path / "s3al.pin")


def test_nothing_that_is_shown_holds_a_secret() -> None:
    assert SECRET not in repr(SecretSource({"S3AL_PASSPHRASE": SECRET}))


ASK = """
import sys
from s3al.kms.seals.secret_source import SecretSource
print(len(SecretSource({}).passphrase("", is_new=sys.argv[1] == "new")))
"""


def on_a_terminal(typed: str, *arguments: str) -> str:
    """What a program shows whose controlling terminal is a new one, on which `typed` is typed."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", ASK, *arguments])
    shown = b""
    for line in typed.splitlines(keepends=True):
        while not shown.rstrip().endswith(b":"):
            shown += os.read(terminal, 1024)
        shown += b"|"
        os.write(terminal, line.encode())
    while True:
        try:
            shown += os.read(terminal, 1024)
        except OSError:  # the program has ended
            break
    os.waitpid(pid, 0)
    os.close(terminal)
    return shown.decode()


def test_the_terminal_is_asked_without_showing_what_is_typed() -> None:
    shown = on_a_terminal(SECRET + "\n", "old")
    assert "s3al: passphrase:" in shown
    assert SECRET not in shown
    assert shown.strip().endswith(str(len(SECRET)))


def test_a_new_passphrase_is_asked_twice() -> None:
    assert on_a_terminal(f"{SECRET}\n{SECRET}\n", "new").strip().endswith(str(len(SECRET)))
    assert "were not the same" in on_a_terminal(f"{SECRET}\nsomething else\n", "new")


def test_in_a_session_without_a_terminal_nothing_is_asked() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK, "old"], capture_output=True, text=True, start_new_session=True, check=False
    )
    assert done.returncode == 1
    assert "no terminal to ask" in done.stderr

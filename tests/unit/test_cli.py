"""The command's manners: what goes where, how errors read, and what needs no server libraries."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from s3al import __version__, cli
from s3al.errors import ConfigError, S3alError


def _run(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "s3al", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | (environ or {}))


def test_version_is_one_line():
    done = _run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"s3al {__version__}\n", "")


def test_help_is_plain_text_without_escape_codes():
    done = _run("serve", "--help", environ={"TERM": "xterm-256color", "FORCE_COLOR": "1"})
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    for flag in (
        "--data", "--listen", "--workers", "--tls", "--root-key", "--domain", "--trusted-proxy", "--log-names",
        "--insecure-http", "--json",
    ):  # fmt: skip
        assert flag in done.stdout


REFUSED = [
    (["--listen", "0.0.0.0:0"], "s3al: refusing to serve plain HTTP on 0.0.0.0", "--insecure-http"),
    (["--listen", "nonsense"], "s3al: --listen nonsense: expected HOST:PORT", ""),
    (["--tls", "on"], "s3al: --tls on: expected off, auto, or CERT:KEY", ""),
    (["--tls", "none.pem:none.key", "--listen", "127.0.0.1:0"], "s3al: --tls: there is no file none.pem", ""),
    (["--workers", "0"], "s3al: --workers must be between 1 and 64", ""),
    (["--domain", "*"], "s3al: --domain *: not a DNS name", ""),
    (["--trusted-proxy", "10.0.0.1/8"], "s3al: --trusted-proxy: 10.0.0.1/8 has host bits set", ""),
]


@pytest.mark.parametrize(("flags", "error", "hint"), REFUSED, ids=[" ".join(row[0]) for row in REFUSED])
def test_a_wrong_flag_is_one_line_with_a_hint_and_exit_code_2(flags, error, hint, tmp_path):
    done = _run("serve", "--data", str(tmp_path / "data"), *flags)
    first, *rest = done.stderr.splitlines()
    assert done.returncode == 2
    assert first.startswith(error)
    assert not first.endswith(".")
    assert hint in "".join(rest)
    assert done.stdout == ""
    assert not (tmp_path / "data").exists(), "nothing is made for a server that cannot serve"


def test_an_unknown_flag_is_a_usage_error():
    done = _run("serve", "--no-such-flag")
    assert done.returncode == 2
    assert "--no-such-flag" in done.stderr


def test_half_of_the_root_credentials_is_refused(tmp_path):
    done = _run("serve", "--data", str(tmp_path / "data"), environ={"S3AL_ROOT_ACCESS_KEY_ID": "admin"})
    assert done.returncode == 2
    assert "must be set together" in done.stderr


def test_the_command_starts_without_the_libraries_of_the_server():
    script = (
        "import sys\n"
        "from s3al import cli\n"
        "server = {'granian', 'apsw', 'lxml', 'orjson', 'python_multipart'}\n"
        "print(sorted(server & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_posture_is_told_and_drawn_without_the_libraries_of_the_server():
    script = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('granian', 'apsw', 'lxml', 'orjson', 'awscrt', 'jwt')))\n"
        "from unit.posture.world import troubled\n"
        "from s3al.posture import gathering, kms_keys, objects\n"
        "from s3al.posture.page import page\n"
        "from s3al.posture.report import Report\n"
        "from s3al.posture.rules import judge\n"
        "from s3al.posture.sarif import sarif\n"
        "told = Report(troubled(), judge(troubled()))\n"
        "print(len(sarif(told)['runs']), page(told)[:15])\n"
    )
    tests = str(Path(__file__).resolve().parents[1])
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": tests},
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("1 <!doctype html>\n", "")


def test_serving_without_the_server_extra_says_what_to_install(tmp_path):
    script = (
        "import sys\n"
        "sys.modules['granian'] = None\n"
        "sys.argv = ['s3al', 'serve', '--listen', '127.0.0.1:0']\n"
        "from s3al.cli import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2
    assert "which is not installed" in done.stderr
    assert "pip install 's3al[server]'" in done.stderr


@pytest.mark.parametrize("kind", [ConfigError, S3alError])
def test_names_in_an_error_do_not_write_to_the_terminal(kind, monkeypatch, capsys):
    def fail() -> None:
        raise kind("NoSuchKey: k\x1b[2J\nis not there", advice="look for it")

    monkeypatch.setattr(cli, "cli", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == (2 if kind is ConfigError else 1)
    assert capsys.readouterr().err == "s3al: NoSuchKey: k\\x1b[2J\\x0ais not there\n      look for it\n"

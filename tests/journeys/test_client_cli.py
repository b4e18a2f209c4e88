"""The client's commands, as a user types them, against a real server."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest
from botocore.config import Config
from typer.testing import CliRunner, Result

from s3al.cli import cli
from s3al.client import AesKeyring, InstructionFileConfig, S3EncryptionClient, S3EncryptionClientConfig
from s3al.errors import ConfigError
from support.server_process import ServerProcess
from support.settings import new_bucket, new_key


class Terminal:
    """Runs commands with the server's environment."""

    def __init__(self, server: ServerProcess, folder: Path) -> None:
        self._environ = server.client_environ(folder / "home") | {"AWS_REGION": server.region}

    def run(self, *words: str | Path, stdin: bytes = b"", fails: bool = False) -> Result:
        result = CliRunner().invoke(cli, [str(word) for word in words], input=stdin, env=self._environ)
        assert (result.exit_code != 0) is fails, (result.output, result.exception)
        return result


@pytest.fixture
def terminal(standing_server: ServerProcess, tmp_path: Path) -> Terminal:
    return Terminal(standing_server, tmp_path)


@pytest.fixture
def bucket(standing_server: ServerProcess) -> str:
    return new_bucket(standing_server)


def test_cp_cat_ls_and_rm_with_a_key_of_ones_own_and_a_kms_key(
    terminal: Terminal, bucket: str, standing_server: ServerProcess, tmp_path: Path
) -> None:
    assert terminal.run("cse", "keygen", "aes", tmp_path / "key").stdout.strip() == f"aes:{tmp_path / 'key'}"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    terminal.run("cse", "keygen", "aes", tmp_path / "key", fails=True)
    terminal.run("cse", "keygen", "rsa", tmp_path / "pair")
    body, source = os.urandom(100_000), tmp_path / "source"
    source.write_bytes(body)
    for key in (f"aes:{tmp_path / 'key'}", f"rsa:{tmp_path / 'pair'}", f"kms:{new_key(standing_server)}"):
        for extra in ([], ["--format", "stream"]):
            terminal.run("cp", source, f"s3://{bucket}/dir/", "--key", key, "-q", *extra)
            terminal.run("cp", f"s3://{bucket}/dir/source", tmp_path / "back", "--key", key, "-q")
            assert (tmp_path / "back").read_bytes() == body
        ranged = terminal.run("cat", f"s3://{bucket}/dir/source", "--key", key, "--range", "5-14")
        assert ranged.stdout_bytes == body[5:15]
    rows = json.loads(terminal.run("ls", f"s3://{bucket}", "--json").stdout)
    assert [(row["key"], row["size"]) for row in rows] == [("dir/source", 100_000)]
    terminal.run("cp", "-", f"s3://{bucket}/piped", "--key", key, "-q", stdin=b"from a pipe")
    assert terminal.run("cp", f"s3://{bucket}/piped", "-", "--key", key, "-q").stdout_bytes == b"from a pipe"
    terminal.run("rm", f"s3://{bucket}/dir/", "--recursive")
    assert [row["key"] for row in json.loads(terminal.run("ls", f"s3://{bucket}", "--json").stdout)] == ["piped"]


def test_a_file_that_cannot_be_read_is_said_and_not_thrown(terminal: Terminal, bucket: str, tmp_path: Path) -> None:
    terminal.run("cse", "keygen", "aes", tmp_path / "key")
    key = f"aes:{tmp_path / 'key'}"
    failed = terminal.run("cp", tmp_path / "missing", f"s3://{bucket}/k", "--key", key, "-q", fails=True)
    assert isinstance(failed.exception, ConfigError)
    assert "missing: No such file or directory" in str(failed.exception)


def test_cp_of_a_folder_copies_everything_in_parallel_each_way(
    terminal: Terminal, bucket: str, tmp_path: Path
) -> None:
    terminal.run("cse", "keygen", "aes", tmp_path / "key")
    key, folder, back = f"aes:{tmp_path / 'key'}", tmp_path / "here", tmp_path / "back"
    bodies = {f"sub{n % 2}/file{n}": os.urandom(n * 1000) for n in range(10)}
    for name, body in bodies.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(body)
    for _ in range(2):  # cp asks for no difference: it copies again
        up = terminal.run("cp", "-r", folder, f"s3://{bucket}/p", "--key", key, "--parallel", "4", "--json")
        assert (json.loads(up.stdout)["copied"], json.loads(up.stdout)["failures"]) == (10, [])
    assert "10 copied" in terminal.run("cp", "-r", f"s3://{bucket}/p", back, "--key", key, "-q").stderr
    assert {path.relative_to(back).as_posix(): path.read_bytes() for path in back.rglob("file*")} == bodies


def test_sync_goes_on_where_it_stopped_and_names_never_lead_out(
    terminal: Terminal, bucket: str, standing_server: ServerProcess, tmp_path: Path
) -> None:
    terminal.run("cse", "keygen", "aes", tmp_path / "key")
    key, folder = f"aes:{tmp_path / 'key'}", tmp_path / "here"
    for n in range(20):
        file = folder / f"sub{n % 3}" / f"file{n}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(n * 1000))
        os.utime(file, (1_700_000_000, 1_700_000_000))
    assert "20 copied" in terminal.run("sync", folder, f"s3://{bucket}/p", "--key", key, "-q").stderr
    standing_server.client().delete_object(Bucket=bucket, Key="p/sub1/file4")
    again = terminal.run("sync", folder, f"s3://{bucket}/p", "--key", key, "-q").stderr
    assert "1 copied, 19 unchanged" in again
    there = tmp_path / "there"
    terminal.run("sync", f"s3://{bucket}/p", there, "--key", key, "-q")
    for file in folder.rglob("file*"):
        assert (there / file.relative_to(folder)).read_bytes() == file.read_bytes()
    assert "0 copied, 20 unchanged" in terminal.run("sync", f"s3://{bucket}/p", there, "--key", key, "-q").stderr
    (folder / "sub0/file0").unlink()
    assert "1 removed" in terminal.run("sync", folder, f"s3://{bucket}/p", "--key", key, "-q", "--delete").stderr
    standing_server.client().put_object(Bucket=bucket, Key="p/../../escaped", Body=b"x")
    terminal.run("sync", f"s3://{bucket}/p", there, "--key", key, "-q", fails=True)
    assert not (tmp_path.parent / "escaped").exists()


def test_scan_and_rekey_move_objects_to_another_key(
    terminal: Terminal, bucket: str, standing_server: ServerProcess, tmp_path: Path
) -> None:
    for name in ("old", "new"):
        terminal.run("cse", "keygen", "aes", tmp_path / name)
    old, new = f"aes:{tmp_path / 'old'}", f"aes:{tmp_path / 'new'}"
    source = tmp_path / "source"
    source.write_bytes(b"to be moved")
    terminal.run("cp", source, f"s3://{bucket}/v3", "--key", old, "-q")
    terminal.run("cp", source, f"s3://{bucket}/stream", "--key", old, "-q", "--format", "stream")
    keyring = AesKeyring(base64.b64decode((tmp_path / "old").read_bytes()))
    beside = S3EncryptionClientConfig(
        keyring=keyring, instruction_file_config=InstructionFileConfig(enable_put_object=True)
    )
    s3 = standing_server.client()
    S3EncryptionClient(s3, beside).put_object(Bucket=bucket, Key="beside", Body=b"to be moved")
    s3.put_object(Bucket=bucket, Key="plain", Body=b"in the clear")
    kms_key = new_key(standing_server)
    terminal.run("cp", source, f"s3://{bucket}/kms", "--key", f"kms:{kms_key}", "-q")

    rows = {row["key"]: row for row in json.loads(terminal.run("cse", "scan", f"s3://{bucket}", "--json").stdout)}
    assert {key: row["format"] for key, row in rows.items()} == {
        "v3": "V3", "stream": "stream", "beside": "V3", "plain": "plaintext", "kms": "V3",
    }  # fmt: skip
    assert rows["kms"]["described_by"] == kms_key.rpartition("/")[2]
    terminal.run("rm", f"s3://{bucket}/kms")

    before = s3.head_object(Bucket=bucket, Key="beside")["ETag"]
    told = terminal.run("cse", "rekey", f"s3://{bucket}", "--from", old, "--to", new, "-q").stderr
    assert "2 sealed anew, 1 wrapped anew, 1 left" in told
    assert s3.head_object(Bucket=bucket, Key="beside")["ETag"] == before
    for key in ("v3", "stream", "beside"):
        assert terminal.run("cat", f"s3://{bucket}/{key}", "--key", new).stdout == "to be moved"
        terminal.run("cat", f"s3://{bucket}/{key}", "--key", old, fails=True)


def test_a_key_file_that_others_may_read_is_refused(terminal: Terminal, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(bytes(32))
    (tmp_path / "key").chmod(0o644)
    failed = terminal.run("cat", f"s3://{bucket}/k", "--key", f"aes:{tmp_path / 'key'}", fails=True)
    assert "may be read by others" in str(failed.exception)


@pytest.mark.parametrize("extra", [{}, {"format": "stream"}], ids=["V3", "stream"])
def test_a_presigned_url_is_fetched_and_opened(
    standing_server: ServerProcess, bucket: str, extra: dict[str, str]
) -> None:
    s3 = standing_server.client(config=Config(signature_version="s3v4"))
    client = S3EncryptionClient(s3, S3EncryptionClientConfig(keyring=AesKeyring(bytes(32))))
    client.put_object(Bucket=bucket, Key="k", Body=b"by URL", Metadata={"n": "1"}, **extra)
    url = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    opened = client.get_presigned(url)
    assert opened["Body"].read() == b"by URL"
    assert (opened["ContentLength"], opened["Metadata"]) == (6, {"n": "1"})

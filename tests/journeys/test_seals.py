"""Whole servers behind each kind of seal: a real SoftHSM token, a second s3al as KMS, a passphrase; and a root that is
rotated, or out of reach, while they serve."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from support.processes import children_of, eventually, is_alive
from support.server_process import ServerProcess
from support.tokens import Token, softhsm_token

ONCE = Config(retries={"max_attempts": 0}, connect_timeout=20, read_timeout=30)
WORDS = "correct horse battery staple"


@pytest.fixture
def token(tmp_path: Path) -> Token:
    return softhsm_token(tmp_path / "softhsm")


def s3al(server: ServerProcess, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A command on the machine of the server, and as its operator."""
    return subprocess.run(
        [sys.executable, "-m", "s3al", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        env=server._own_environ() | server.client_environ(server.folder / "home")
        | {"XDG_CONFIG_HOME": str(server.config_home), **server.environ, **environ},
    )  # fmt: skip


def seal(server: ServerProcess, *arguments: str, **environ: str) -> dict[str, Any]:
    """`s3al seal ...` in the server's folder; its answer."""
    where = () if arguments[0] == "status" else ("--data", str(server.data))
    done = s3al(server, "seal", *arguments, *where, "--json", **environ)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def use(server: ServerProcess, bucket: str = "bucket") -> Callable[[], None]:
    """Store something under every kind of key; what is returned reads it again and makes a further key."""
    s3, kms = server.client(), server.client("kms")
    s3.create_bucket(Bucket=bucket)
    key_id = kms.create_key()["KeyMetadata"]["KeyId"]
    s3.put_object(Bucket=bucket, Key="plain", Body=b"of the server")
    s3.put_object(Bucket=bucket, Key="kms", Body=b"x" * 100_000, ServerSideEncryption="aws:kms", SSEKMSKeyId=key_id)
    blob = kms.encrypt(KeyId=key_id, Plaintext=b"text")["CiphertextBlob"]

    def again() -> None:
        s3, kms = server.client(), server.client("kms")
        assert s3.get_object(Bucket=bucket, Key="plain")["Body"].read() == b"of the server"
        assert s3.get_object(Bucket=bucket, Key="kms")["Body"].read() == b"x" * 100_000
        assert kms.decrypt(CiphertextBlob=blob)["Plaintext"] == b"text"
        assert kms.create_key()

    again()
    return again


def page(server: ServerProcess, path: str) -> tuple[int, bytes]:
    import urllib3

    answer = urllib3.request("GET", f"{server.endpoint}/_s3al/{path}", retries=False, timeout=20)
    return answer.status, answer.data.strip()


def start_in_background(server: ServerProcess) -> threading.Thread:
    thread = threading.Thread(target=server.start)
    thread.start()
    return thread


class TestPassphrase:
    def test_it_serves_again_with_the_passphrase_and_not_with_another(self, start_server):
        server = start_server("--workers", "1", "--root-key", "passphrase:", environ={"S3AL_PASSPHRASE": WORDS})
        again = use(server)
        server.stop()
        server.start()
        again()
        server.stop()
        server.environ["S3AL_PASSPHRASE"] = "another passphrase"
        done = s3al(server, "serve", "--data", str(server.data), "--root-key", "passphrase:")
        assert (done.returncode, done.stderr.splitlines()[0]) == (2, "s3al: this is not the passphrase of this store")
        assert "nothing is damaged" in done.stderr
        server.data.joinpath("store.json").write_text(
            server.data.joinpath("store.json").read_text().replace('"lanes": 4', '"lanes": 5')
        )
        done = s3al(server, "serve", "--data", str(server.data), "--root-key", "passphrase:")
        assert (done.returncode, done.stderr.splitlines()[0]) == (1, "s3al: store.json is damaged")

    def test_a_systemd_credential_opens_it_and_stands_in_no_argument_environment_or_log(self, start_server, tmp_path):
        credentials = tmp_path / "credentials"
        credentials.mkdir()
        (credentials / "s3al.passphrase").write_text(WORDS + "\n")
        (credentials / "s3al.passphrase").chmod(0o400)
        server = start_server(
            "--workers", "2", "--root-key", "passphrase:", environ={"CREDENTIALS_DIRECTORY": str(credentials)}
        )
        use(server)()
        for pid in (server.process.pid, server.root_pid(), *server.worker_pids()):
            for file in ("cmdline", "environ"):
                assert WORDS.encode() not in Path(f"/proc/{pid}/{file}").read_bytes()
        assert WORDS not in server.log_path.read_text()
        before = server.root_pid()
        os.kill(before, signal.SIGKILL)
        eventually("it is read again", lambda: before not in server._root_pids() and server._root_pids())
        eventually("keys are made again", lambda: makes_a_key(server))

    def test_without_a_passphrase_and_without_a_terminal_it_says_where_to_put_one(self, server):
        done = s3al(server, "serve", "--data", str(server.folder / "new"), "--root-key", "passphrase:", "--listen",
                    "127.0.0.1:0")  # fmt: skip
        assert done.returncode == 2
        assert "S3AL_PASSPHRASE" in done.stderr


def makes_a_key(server: ServerProcess) -> bool:
    try:
        return bool(server.client("kms", config=ONCE).create_key())
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        return False
    except BotoCoreError:
        return False


class TestPkcs11:
    def test_a_token_opens_the_store_and_its_loss_loses_nothing(self, start_server, token):
        environ = token.environ | {"S3AL_PIN": token.pin}
        server = start_server("--workers", "2", "--root-key", token.option("root"), environ=environ)
        again = use(server)
        server.stop()
        server.start()
        again()
        assert page(server, "health/ready") == (200, b"ready")
        hidden = (token.folder / "tokens").rename(token.folder / "unplugged")
        os.kill(server.root_pid(), signal.SIGKILL)
        eventually("its successor fails", lambda: server.log_events("root_process_failed"))
        assert not makes_a_key(server)
        eventually("health says so", lambda: page(server, "health/ready") == (503, b"root"))
        assert page(server, "health/live") == (200, b"live")
        s3 = server.client(config=ONCE)
        assert s3.get_object(Bucket="bucket", Key="plain")["Body"].read() == b"of the server"
        hidden.rename(token.folder / "tokens")
        eventually("keys are made again", lambda: makes_a_key(server))
        again()
        eventually("health says so too", lambda: page(server, "health/ready") == (200, b"ready"))
        assert token.pin not in server.log_path.read_text()

    def test_started_without_its_token_it_waits_and_then_serves(self, start_server, token):
        environ = token.environ | {"S3AL_PIN": token.pin}
        server = start_server("--workers", "1", "--root-key", token.option("root"), environ=environ)
        again = use(server)
        server.stop()
        hidden = (token.folder / "tokens").rename(token.folder / "unplugged")
        starting = start_in_background(server)
        eventually("it waits", lambda: server.log_events("sealed"))
        eventually("it answers", lambda: answers(server) and page(server, "health/ready") == (503, b"sealed"))
        hidden.rename(token.folder / "tokens")
        starting.join(60)
        again()

    def test_a_pin_that_the_token_refuses_is_tried_once(self, start_server, token):
        environ = token.environ | {"S3AL_PIN": token.pin}
        server = start_server("--workers", "1", "--root-key", token.option("root"), environ=environ)
        server.stop()
        done = s3al(server, "serve", "--data", str(server.data), "--root-key", token.option("root"), S3AL_PIN="999999")
        assert done.returncode == 2
        assert "refuses the PIN" in done.stderr
        assert "999999" not in done.stderr


def answers(server: ServerProcess) -> bool:
    import urllib3

    try:
        return page(server, "health/live")[0] == 200
    except urllib3.exceptions.HTTPError:
        return False


@pytest.fixture
def behind_another(start_server):
    """(the KMS, a server whose root is sealed by a key in it)."""
    kms = start_server("--workers", "1")
    arn = kms.client("kms").create_key()["KeyMetadata"]["Arn"]
    environ = {"AWS_ACCESS_KEY_ID": kms.access_key_id, "AWS_SECRET_ACCESS_KEY": kms.secret_access_key}
    server = start_server("--workers", "2", "--root-key", f"kms:{arn}@{kms.endpoint}", environ=environ)
    return kms, server, arn


class TestAnotherKms:
    def test_while_it_is_down_a_start_waits_says_so_and_recovers_by_itself(self, behind_another):
        kms, server, _ = behind_another
        again = use(server)
        kms.stop()
        again()  # what is open stays open
        server.stop()
        starting = start_in_background(server)
        eventually("it waits", lambda: server.log_events("sealed"))
        eventually("it answers", lambda: answers(server))
        assert page(server, "health/ready") == (503, b"sealed")
        for call in (
            lambda: server.client(config=ONCE).get_object(Bucket="bucket", Key="plain"),
            lambda: server.client(config=ONCE).put_object(Bucket="bucket", Key="new", Body=b"x" * 300_000),
            lambda: server.client("kms", config=ONCE).list_keys(),
            lambda: server.client("sts", config=ONCE).get_caller_identity(),
        ):
            with pytest.raises(ClientError) as caught:
                call()
            assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert starting.is_alive()
        kms.start()
        starting.join(60)
        assert not starting.is_alive()
        again()
        assert page(server, "health/ready") == (200, b"ready")
        assert len(server.log_events("unsealed")) == 1
        assert server.client().list_objects_v2(Bucket="bucket")["KeyCount"] == 2

    def test_a_disabled_key_seals_the_store_until_it_is_enabled(self, behind_another):
        kms, server, arn = behind_another
        again = use(server)
        server.stop()
        kms.client("kms").disable_key(KeyId=arn)
        starting = start_in_background(server)
        eventually("it waits", lambda: server.log_events("sealed"))
        assert "DisabledException" in server.log_events("sealed")[0]["reason"]
        kms.client("kms").enable_key(KeyId=arn)
        starting.join(60)
        again()

    def test_a_sealed_server_ends_when_it_is_told_to(self, behind_another):
        kms, server, _ = behind_another
        server.stop()
        kms.stop()
        refused: list[BaseException] = []

        def start() -> None:
            try:
                server.start()
            except BaseException as error:
                refused.append(error)

        starting = threading.Thread(target=start)
        starting.start()
        eventually("it waits", lambda: server.log_events("sealed"))
        children = children_of(server.process.pid)
        server.process.terminate()
        server.process.wait(30)
        starting.join(30)
        assert refused, "it never served"
        eventually("nothing is left", lambda: not any(is_alive(pid) for pid in children))

    def test_the_root_is_rotated_and_the_last_word_is_the_kms_again(self, behind_another):
        kms, server, arn = behind_another
        again = use(server)
        assert seal(server, "rotate-root", "--root-key", f"kms:{arn}@{kms.endpoint}")["root_version"] == 2
        again()
        server.stop()
        server.start()
        again()


class TestTwoSeals:
    def test_either_opens_the_store_and_one_may_go(self, server):
        use(server)
        added = seal(server, "add", "passphrase:", S3AL_PASSPHRASE=WORDS)
        assert added == {"name": "recovery", "kind": "passphrase"}
        assert [one["kind"] for one in seal(server, "list")["seals"]] == ["keyfile", "passphrase"]
        server.stop()
        (keyfile,) = (server.config_home / "s3al").glob("*.rootkey")
        keyfile.unlink()
        other = ServerProcess(
            server.folder, ("--workers", "1", "--root-key", "passphrase:"), {"S3AL_PASSPHRASE": WORDS}
        )
        other.start()
        assert other.client().get_object(Bucket="bucket", Key="kms")["Body"].read() == b"x" * 100_000
        other.stop()
        done = s3al(server, "seal", "remove", "recovery", "--data", str(server.data), "--root-key", "passphrase:",
                    S3AL_PASSPHRASE=WORDS)  # fmt: skip
        assert done.returncode == 2
        assert "by itself" in done.stderr
        seal(server, "remove", "primary", "--root-key", "passphrase:", S3AL_PASSPHRASE=WORDS)
        done = s3al(server, "seal", "remove", "recovery", "--data", str(server.data), "--root-key", "passphrase:",
                    S3AL_PASSPHRASE=WORDS)  # fmt: skip
        assert "last seal" in done.stderr

    def test_a_server_says_what_its_seals_are_and_that_its_root_is_open(self, server):
        found = seal(server, "status")
        assert found["root"] == "open, version 1"
        assert found["materials_by_root"] == {"1": 1}
        assert [(one["name"], one["kind"]) for one in found["seals"]] == [("primary", "keyfile")]
        plain = s3al(server, "seal", "status").stdout
        assert "seals: primary (keyfile)" in plain
        os.kill(server.root_pid(), signal.SIGSTOP)
        assert seal(server, "status")["root"].startswith("not reachable")
        os.kill(server.root_pid(), signal.SIGCONT)


class Load:
    """Uploads, new keys, rotations and decryptions from several threads, none tried twice."""

    def __init__(self, server: ServerProcess) -> None:
        self.server, self.stopped = server, threading.Event()
        self.objects: dict[str, bytes] = {}
        self.ciphertexts: list[bytes] = []
        self.failures: list[BaseException] = []
        self.threads = [threading.Thread(target=self.run, args=(work, n)) for n in range(2)
                        for work in (self.put, self.make_keys)]  # fmt: skip

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def run(self, work: Callable[[Any, Any, str], None], number: int) -> None:
        count = 0
        while not self.stopped.is_set():
            # New connections each time, so that every worker gets some.
            s3, kms = self.server.client(config=ONCE), self.server.client("kms", config=ONCE)
            try:
                work(s3, kms, f"{number}-{count}")
            except Exception as error:
                self.failures.append(error)
            count += 1

    def put(self, s3: Any, kms: Any, name: str) -> None:
        body = os.urandom(20_000)
        s3.put_object(Bucket="bucket", Key=name, Body=body)
        self.objects[name] = body
        assert s3.get_object(Bucket="bucket", Key=name)["Body"].read() == body

    def make_keys(self, s3: Any, kms: Any, name: str) -> None:
        key_id = kms.create_key()["KeyMetadata"]["KeyId"]
        for _ in range(2):
            made = kms.generate_data_key(KeyId=key_id, KeySpec="AES_256")
            assert kms.decrypt(CiphertextBlob=made["CiphertextBlob"])["Plaintext"] == made["Plaintext"]
            self.ciphertexts.append(made["CiphertextBlob"])
            kms.rotate_key_on_demand(KeyId=key_id)

    def check(self) -> None:
        s3, kms = self.server.client(), self.server.client("kms")
        for name, body in self.objects.items():
            assert s3.get_object(Bucket="bucket", Key=name)["Body"].read() == body
        for blob in self.ciphertexts:
            assert len(kms.decrypt(CiphertextBlob=blob)["Plaintext"]) == 32


def test_the_root_is_rotated_under_load_and_no_request_notices(start_server):
    server = start_server("--workers", "2")
    again = use(server)
    with Load(server) as load:
        for version in (2, 3, 4):
            done = len(load.objects), len(load.ciphertexts)
            assert seal(server, "rotate-root")["root_version"] == version
            eventually(
                "both kinds of requests go on",
                lambda done=done: load.failures
                or (len(load.objects) > done[0] + 3 and len(load.ciphertexts) > done[1] + 3),
            )
    assert load.failures == []
    load.check()
    again()
    found = seal(server, "status")
    assert list(found["materials_by_root"]) == ["4"]
    assert [root["version"] for root in found["roots"]] == [4]
    server.stop()
    server.start()
    load.check()
    again()


def test_a_rotation_that_is_killed_under_load_is_finished_by_the_next(start_server):
    server = start_server("--workers", "2")
    again = use(server)
    with Load(server) as load:
        for pause_s in (0.6, 0.8, 1.0, 1.2):
            process = subprocess.Popen(
                [sys.executable, "-m", "s3al", "seal", "rotate-root", "--data", str(server.data)],
                env=server._own_environ(), stdout=subprocess.DEVNULL,
            )  # fmt: skip
            try:
                process.wait(pause_s)  # wherever it is by then
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        seal(server, "rotate-root")
    assert load.failures == []
    assert len(seal(server, "status")["roots"]) == 1
    server.stop()
    server.start()
    load.check()
    again()

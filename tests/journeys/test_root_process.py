"""The process that holds the root, in a running server: nobody else has it, and the server outlives it."""

from __future__ import annotations

import base64
import os
import secrets
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from s3al.kms.root import open_root, open_store_keys
from s3al.kms.seals.keyfile import KeyfileSeal
from s3al.kms.store_document import StoreDocument
from s3al.store.layout import StoreFolder
from support.memory import found_in, readable
from support.processes import eventually, is_alive
from support.server_process import ServerProcess

ONCE = Config(retries={"max_attempts": 0}, connect_timeout=20, read_timeout=30)


def keyfile(server: ServerProcess) -> Path:
    (path,) = (server.config_home / "s3al").glob("*.rootkey")
    return path


def secrets_of(server: ServerProcess) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """(what the root's process alone may hold, the catalog key), raw and in each form that a program might keep."""
    seal = KeyfileSeal.open(keyfile(server))
    document = StoreFolder(server.data).read_document()
    root = open_root(StoreDocument.from_json(document), seal, random=secrets.token_bytes)
    catalog_key = open_store_keys(document, seal, random=secrets.token_bytes).catalog_key
    alone: dict[str, bytes] = {}
    for name, key in (("root", root._versions[1]), ("seal", seal._key)):
        assert len(key) == 32
        alone[name] = key
        alone[f"{name} in hex"] = key.hex().encode()
        alone[f"{name} in capital hex"] = key.hex().upper().encode()
        alone[f"{name} in base64"] = base64.b64encode(key)[:42]
    return alone, {"catalog key": catalog_key}


def use(server: ServerProcess, bucket: str) -> None:
    """Requests of every kind that needs a key, over new connections, so that each worker gets some."""
    server.client().create_bucket(Bucket=bucket)
    key_id = server.client("kms").create_key()["KeyMetadata"]["KeyId"]
    for number in range(8):
        s3, kms = server.client(), server.client("kms")
        s3.put_object(Bucket=bucket, Key=f"{number}", Body=b"x" * 100_000)
        s3.put_object(Bucket=bucket, Key=f"kms-{number}", Body=b"x", ServerSideEncryption="aws:kms", SSEKMSKeyId=key_id)
        assert s3.get_object(Bucket=bucket, Key=f"kms-{number}")["Body"].read() == b"x"
        sealed = kms.encrypt(KeyId=key_id, Plaintext=b"text")["CiphertextBlob"]
        assert kms.decrypt(CiphertextBlob=sealed)["Plaintext"] == b"text"


def assert_the_root_lies_in_its_process_alone(server: ServerProcess) -> None:
    alone, catalog_key = secrets_of(server)
    assert {"root", "seal"} <= found_in(server.root_pid(), alone), "the search must be able to find"
    for pid in (server.process.pid, *server.worker_pids()):
        assert found_in(pid, alone | catalog_key) == {"catalog key"}


def test_the_root_lies_in_no_memory_but_that_of_its_own_process(start_server):
    server = start_server("--workers", "2")
    if not readable(server.process.pid):
        pytest.skip("only root may read the memory of the server's processes")
    use(server, "new-store")
    assert_the_root_lies_in_its_process_alone(server)
    server.kill_worker()
    end_root(server)
    use(server, "after-deaths")
    assert_the_root_lies_in_its_process_alone(server)
    server.stop()
    server.start()
    use(server, "started-again")
    assert_the_root_lies_in_its_process_alone(server)


def test_nothing_secret_stands_in_its_arguments_or_environment(server):
    alone, catalog_key = secrets_of(server)
    needles = [*alone.values(), *catalog_key.values(), server.secret_access_key.encode()]
    for file in ("cmdline", "environ"):
        content = Path(f"/proc/{server.root_pid()}/{file}").read_bytes()
        assert content
        assert not [needle for needle in needles if needle in content]


def test_it_has_no_socket_but_local_ones_and_no_file_of_the_store(server):
    use(server, "bucket")
    pid = server.root_pid()
    local = {line.split()[6] for line in Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]}
    opened = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    numbers = [name.removeprefix("socket:[").removesuffix("]") for name in opened if name.startswith("socket:")]
    assert len(numbers) >= 3, "the main process, the door, a worker"
    assert set(numbers) <= local
    assert not [
        name for name in opened if name.startswith((str(server.folder), "pipe:")) and name != str(server.log_path)
    ]


def test_it_leaves_no_core_file(server):
    (line,) = (
        line for line in Path(f"/proc/{server.root_pid()}/limits").read_text().splitlines() if "core file" in line
    )
    assert line.split()[4:6] == ["0", "0"]


def end_root(server: ServerProcess, number: signal.Signals = signal.SIGKILL) -> None:
    """Returns when another has taken its place."""
    before = server.root_pid()
    os.kill(before, number)
    eventually("another holds the root", lambda: before not in server._root_pids() and server._root_pids())


class Load:
    """Requests from several threads, none tried twice; remembers what was acknowledged."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.stopped = threading.Event()
        self.objects: dict[str, bytes] = {}
        self.ciphertexts: list[bytes] = []
        self.refusals: list[tuple[int, str]] = []
        self.threads = [threading.Thread(target=self.put, args=(number,)) for number in range(2)]
        self.threads += [threading.Thread(target=self.make_keys) for _ in range(2)]

    def __enter__(self) -> Load:
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def rounds(self) -> Iterator[int]:
        number = 0
        while not self.stopped.is_set():
            yield number
            number += 1

    def put(self, thread: int) -> None:
        for number in self.rounds():
            name, body = f"{thread}-{number}", os.urandom(20_000)
            try:
                s3 = self.server.client(config=ONCE)
                s3.put_object(Bucket="bucket", Key=name, Body=body)
                self.objects[name] = body
                assert s3.get_object(Bucket="bucket", Key=name)["Body"].read() == body
            except ClientError as error:
                self.refused(error)

    def make_keys(self) -> None:
        """Each needs the root to wrap, and to unwrap in a worker that has not met the key."""
        for _ in self.rounds():
            try:
                key_id = self.server.client("kms", config=ONCE).create_key()["KeyMetadata"]["KeyId"]
                made = self.server.client("kms", config=ONCE).generate_data_key(KeyId=key_id, KeySpec="AES_256")
                self.ciphertexts.append(made["CiphertextBlob"])
            except ClientError as error:
                self.refused(error)

    def refused(self, error: ClientError) -> None:
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        self.refusals.append((status, error.response["Error"]["Code"]))


def test_killed_under_load_it_is_replaced_and_nothing_is_lost(start_server):
    server = start_server("--workers", "2")
    server.client().create_bucket(Bucket="bucket")
    workers = server.worker_pids()
    with Load(server) as load:
        for _ in range(5):
            done = len(load.objects), len(load.ciphertexts)
            end_root(server)
            eventually(
                "both kinds of requests go on",
                lambda done=done: len(load.objects) > done[0] + 3 and len(load.ciphertexts) > done[1] + 3,
            )
    assert server.worker_pids() == workers
    assert len(server.log_events("root_process_died")) == len(server.log_events("root_process_started")) == 5
    assert {refusal[0] for refusal in load.refusals} <= {503}, load.refusals
    s3, kms = server.client(), server.client("kms")
    for name, body in load.objects.items():
        assert s3.get_object(Bucket="bucket", Key=name)["Body"].read() == body
    for ciphertext in load.ciphertexts:
        assert len(kms.decrypt(CiphertextBlob=ciphertext)["Plaintext"]) == 32


def test_while_it_cannot_come_back_only_what_needs_it_is_refused(server):
    use(server, "bucket")
    kms = server.client("kms", config=ONCE)
    keys = len(kms.list_keys()["Keys"])
    path = keyfile(server)
    hidden = path.rename(server.folder / "hidden")
    os.kill(server.root_pid(), signal.SIGKILL)
    eventually("its successor fails", lambda: server.log_events("root_process_failed"))
    for _ in range(3):
        with pytest.raises(ClientError) as caught:
            kms.create_key()
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        assert caught.value.response["Error"]["Code"] == "DependencyTimeoutException"
    assert len(kms.list_keys()["Keys"]) == keys
    s3 = server.client(config=ONCE)
    s3.put_object(Bucket="bucket", Key="meanwhile", Body=b"y")
    assert s3.get_object(Bucket="bucket", Key="meanwhile")["Body"].read() == b"y"
    assert s3.get_object(Bucket="bucket", Key="kms-0")["Body"].read() == b"x"
    hidden.rename(path)
    eventually("keys are made again", lambda: _makes_a_key(server))


def _makes_a_key(server: ServerProcess) -> bool:
    try:
        return bool(server.client("kms", config=ONCE).create_key())
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503
        return False


def test_while_it_is_stopped_a_worker_waits_for_it_once_and_serves_the_rest(server):
    use(server, "bucket")
    os.kill(server.root_pid(), signal.SIGSTOP)
    assert not _makes_a_key(server)
    assert not _makes_a_key(server)
    server.client(config=ONCE).put_object(Bucket="bucket", Key="meanwhile", Body=b"y")
    os.kill(server.root_pid(), signal.SIGCONT)
    eventually("keys are made again", lambda: _makes_a_key(server))
    assert server.log_events("root_process_died") == []


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped"])
def test_it_ends_with_the_main_process(server, stopped):
    root = server.root_pid()
    if stopped:
        os.kill(root, signal.SIGSTOP)
    server.kill_main()
    assert not is_alive(root)


def test_it_ends_after_the_workers_though_every_process_gets_sigterm(server):
    s3 = server.client()
    s3.create_bucket(Bucket="bucket")
    content = os.urandom(16 << 20)
    s3.put_object(Bucket="bucket", Key="key", Body=content)
    root = server.root_pid()
    body = s3.get_object(Bucket="bucket", Key="key")["Body"]
    received = body.read(1 << 20)
    os.killpg(server.process.pid, signal.SIGTERM)
    eventually("it stops", lambda: server.log_events("stopping"))
    assert is_alive(root)
    assert received + body.read() == content
    assert server.process.wait() == 0
    assert not is_alive(root)
    assert server.log_events("root_process_died") == []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.chmod(0o644), "others can read the keyfile"),
        (lambda path: path.unlink(), "no keyfile at"),
        (lambda path: path.write_text(secrets.token_hex(32)), "not one of this store's"),
    ],
    ids=["open to others", "gone", "of another store"],
)
def test_what_is_wrong_with_the_seal_reaches_the_terminal_as_two_lines(server, spoil, message):
    server.stop()
    spoil(keyfile(server))
    done = subprocess.run(
        [sys.executable, "-m", "s3al", "serve", "--data", str(server.data), "--listen", "127.0.0.1:0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=server._own_environ(),
    )
    assert done.returncode == 2
    assert done.stderr.startswith("s3al: ")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) <= 2

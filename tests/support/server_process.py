"""`s3al serve` as a subprocess, as a user starts it, and what tests do to it.

Laws: every server gets a fresh data folder and a fresh configuration folder unless a test hands them in; the port is
free and on loopback; the server runs in a session of its own, so that killing its group leaves the tests alive.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from support.processes import arguments_of, children_of, eventually, is_alive
from support.raw_http import RawConnection

ACCESS_KEY_ID = "S3ALTESTROOTKEY00001"
SECRET_ACCESS_KEY = "s3al-test-secret-not-for-any-real-use-01"
REGION = "us-east-1"
START_WITHIN_S = 60
STOP_WITHIN_S = 45
_ROOT_MODULE = "s3al.server.root_process"
_MOST_CLIENTS = 200
_QUESTIONS = {"s3": "list_buckets", "kms": "list_keys", "iam": "list_users", "sts": "get_caller_identity"}
_MAKING_CLIENTS = threading.Lock()  # a session may not be used by two threads at once; its clients may


@cache
def _session() -> Any:
    """One for all clients: reading a service's model anew takes half a second."""
    import boto3

    return boto3.session.Session()


@dataclass
class ServerProcess:
    """A running (or killed) server. `folder` holds data, configuration and log of it."""

    folder: Path
    flags: tuple[str, ...] = ()
    environ: dict[str, str] = field(default_factory=dict)
    access_key_id: str = ACCESS_KEY_ID
    secret_access_key: str = field(default=SECRET_ACCESS_KEY, repr=False)
    region: str = REGION
    process: subprocess.Popen[bytes] = field(init=False, repr=False)
    endpoint: str = field(default="", init=False)
    ca_bundle: str | None = field(default=None, init=False)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def config_home(self) -> Path:
        return self.folder / "config"

    @property
    def log_path(self) -> Path:
        return self.folder / "log.jsonl"

    @property
    def host(self) -> str:
        return urlsplit(self.endpoint).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.endpoint).port or 0

    def start(self) -> ServerProcess:
        """Start, or start again on the same folder and (after the first time) the same port."""
        self.folder.mkdir(parents=True, exist_ok=True)
        listen = f"127.0.0.1:{self.port}"
        command = [sys.executable, "-m", "s3al", "serve", "--json", "--data", str(self.data), *self.flags]
        if "--listen" not in self.flags:
            command += ["--listen", listen]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=self._own_environ(),
                cwd=self.folder,
                start_new_session=True,
            )
        facts = self._first_line()
        self.endpoint = facts["endpoint"]
        self.ca_bundle = facts["ca_bundle"]
        return self

    def worker_pids(self) -> list[int]:
        root = self._root_pids()
        return [pid for pid in children_of(self.process.pid) if pid not in root]

    def root_pid(self) -> int:
        """The process that holds the root, which is started again when it dies."""
        return eventually("the root's process runs", self._root_pids)[0]

    def kill_main(self) -> None:
        """SIGKILL to the main process alone; returns when its workers and the root's process have ended too."""
        workers = [*self.worker_pids(), *self._root_pids()]
        self.process.kill()
        self.process.wait()
        eventually("workers end with the main process", lambda: not any(is_alive(pid) for pid in workers))

    def kill_group(self) -> None:
        """SIGKILL to all processes at once."""
        workers = [*self.worker_pids(), *self._root_pids()]
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        eventually("workers end", lambda: not any(is_alive(pid) for pid in workers))

    def kill_worker(self, index: int = 0) -> None:
        """SIGKILL to one worker; returns when another has taken its place."""
        before = self.worker_pids()
        os.kill(before[index], signal.SIGKILL)
        eventually("the worker is replaced", lambda: before[index] not in (now := self.worker_pids()) and
                   len(now) == len(before))  # fmt: skip

    def stop(self) -> int:
        """SIGTERM and wait. The exit code."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.kill_group()
            raise AssertionError("the server did not stop in time") from None

    def log_events(self, name: str) -> list[dict[str, Any]]:
        """The lines of the log with this event; every line must be JSON."""
        lines = [json.loads(line) for line in self.log_path.read_bytes().splitlines()]
        return [line for line in lines if line["event"] == name]

    def client(self, service: str = "s3", **options: Any) -> Any:
        """A boto3 client. options: as `boto3.client`; credentials and endpoint may be overridden."""
        given: dict[str, Any] = {
            "endpoint_url": self.endpoint,
            "region_name": self.region,
            "aws_access_key_id": self.access_key_id,
            "aws_secret_access_key": self.secret_access_key,
            "verify": self.ca_bundle or True,
        }
        with _MAKING_CLIENTS:
            return _session().client(service, **(given | options))

    def clients_on_every_worker(self, service: str = "s3", **options: Any) -> list[Any]:
        """Clients that together have reached all workers: each is a connection, which stays with the worker that took
        it. options: as for `client`."""
        clients, reached, workers = [], set[int](), len(self.worker_pids())
        while len(reached) < workers:
            assert len(clients) < _MOST_CLIENTS, f"{len(clients)} connections reached {reached} alone"
            clients.append(self.client(service, **options))
            reached.add(self._answers(clients[-1], _QUESTIONS[service]))
        return clients

    def _answers(self, client: Any, question: str) -> int:
        """The process that answers this client, whatever it answers."""
        from botocore.exceptions import ClientError

        try:
            answer = getattr(client, question)()
        except ClientError as refused:
            answer = refused.response
        request_id = answer["ResponseMetadata"]["RequestId"]

        def pid() -> int | None:
            return next((line["pid"] for line in self.log_events("request") if line["request_id"] == request_id), None)

        return eventually("the request is logged", pid)

    def client_environ(self, home: Path) -> dict[str, str]:
        """Environment for command-line clients, with a home of their own so that no file of the user is read."""
        home.mkdir(parents=True, exist_ok=True)
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_PAGER": "",
        }
        if self.ca_bundle:
            environ["AWS_CA_BUNDLE"] = self.ca_bundle
        return environ

    def connection(self) -> RawConnection:
        """A raw connection over plain HTTP."""
        return RawConnection(self.host, self.port)

    def _root_pids(self) -> list[int]:
        return [pid for pid in children_of(self.process.pid) if _ROOT_MODULE in arguments_of(pid)]

    def _own_environ(self) -> dict[str, str]:
        mine = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3AL_"))}
        return mine | {
            "XDG_CONFIG_HOME": str(self.config_home),
            "S3AL_ROOT_ACCESS_KEY_ID": self.access_key_id,
            "S3AL_ROOT_SECRET_ACCESS_KEY": self.secret_access_key,
        } | self.environ  # fmt: skip

    def _first_line(self) -> dict[str, Any]:
        output = self.process.stdout
        assert output is not None
        # The line comes, or the process ends and with it the pipe; pytest's own timeout is the last resort.
        with output:
            line = output.readline()
        if not line:
            code = self.process.wait(START_WITHIN_S)
            raise AssertionError(f"the server ended with {code}: {self.log_path.read_text()[-2000:]}")
        facts: dict[str, Any] = json.loads(line)
        return facts

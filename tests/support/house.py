"""The whole server inside the test's process: real store, real pipeline, real boto3, no socket.

What lives here: `House`, a store with any number of workers on one event loop, stopped and opened again at will;
boto3 clients whose requests go straight into a worker's ASGI application; and the keys of a stopped store. What does
not: forking, HTTP and TLS themselves (support.server_process has them).

An endpoint that begins with https:// makes requests that count as secure.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials

from s3al import app
from s3al.config import RootCredentials, ServeConfig
from s3al.kms.root import StoreKeys
from s3al.kms.seals.opening import SealChoice
from s3al.kms.service_key import ServiceKeys
from s3al.kms.store_keys import open_or_create_keys
from s3al.s3.ports import S3
from s3al.s3.records import Records
from s3al.server.asgi import AbnormalEnd, Edge
from s3al.server.gateway import Gateway
from s3al.server.logs import Log
from s3al.service.tending import Tending
from s3al.store.file_layer import FileLayer
from s3al.store.files import FileBlobs
from s3al.store.layout import StoreFolder, lock_store, open_folder
from s3al.store.sqlite import SqliteDatabase

ACCESS_KEY_ID = "S3ALTESTROOTKEY00001"
SECRET_ACCESS_KEY = "s3al-test-secret-not-for-any-real-use-01"
REGION = "us-east-1"
_PIECE = 1 << 18
OPERATING_SYSTEM = FileLayer()


class Aborted(Exception):
    """The server broke the response off: the client saw the connection end too early."""


@dataclass
class Answer:
    """status: 0 when the connection ended before a head was sent."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    aborted: bool = False

    @property
    def document(self) -> Any:
        return json.loads(self.body)


class _Raw(io.BytesIO):
    """What urllib3 would hand to botocore."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.body)
        self._aborted = answer.aborted

    def read(self, amt: int | None = -1, **_: Any) -> bytes:
        got = super().read(-1 if amt is None else amt)
        if self._aborted and self.tell() == len(self.getvalue()):
            raise Aborted(f"after {self.tell()} bytes")
        return got

    def stream(self, **_: Any) -> Iterator[bytes]:
        yield self.read()


@dataclass
class Worker:
    """One worker: its ASGI application and its pipeline."""

    edge: Edge
    gateway: Gateway
    tending: Tending
    loop: asyncio.AbstractEventLoop

    @property
    def s3(self) -> S3:
        ports: S3 = self.gateway.services["s3"].ports
        return ports

    def ask(self, method: str, target: str, headers: Mapping[str, str], body: bytes = b"", *, secure: bool) -> Answer:
        """One request, from the thread of the test."""
        slow = self.begin(method, target, headers, secure=secure)
        pieces = [body[at : at + _PIECE] for at in range(0, len(body), _PIECE)]
        for number, piece in enumerate(pieces, 1):
            slow.send(piece, last=number == len(pieces))
        return slow.take()

    def begin(
        self, method: str, target: str, headers: Mapping[str, str], *, secure: bool = True, held: bool = False
    ) -> SlowRequest:
        """A request without its body."""
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "scheme": "https" if secure else "http",
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 40000),
        }
        return SlowRequest(self, scope, held=held)


class SlowRequest:
    """A request whose body comes when the test sends it, and whose answer's body is taken when the test takes it."""

    def __init__(self, worker: Worker, scope: dict[str, Any], *, held: bool) -> None:
        """held: the client takes one piece of the answer's body and no more until `take`."""
        self._loop, self._answer = worker.loop, Answer()
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._taking, self._begun = asyncio.Event(), threading.Event()
        if not held:
            self._taking.set()
        self._done = asyncio.run_coroutine_threadsafe(self._run(worker.edge, scope), self._loop)

    def send(self, body: bytes, *, last: bool = False) -> None:
        message = {"type": "http.request", "body": body, "more_body": not last}
        self._loop.call_soon_threadsafe(self._incoming.put_nowait, message)

    def hang_up(self) -> None:
        self._loop.call_soon_threadsafe(self._incoming.put_nowait, {"type": "http.disconnect"})

    def await_first_piece(self) -> None:
        assert self._begun.wait(60)

    def take(self) -> Answer:
        """The whole answer."""
        self._loop.call_soon_threadsafe(self._taking.set)
        return self._done.result(60)

    async def _run(self, edge: Edge, scope: dict[str, Any]) -> Answer:
        try:
            await edge(scope, self._incoming.get, self._receive_answer)
        except AbnormalEnd:
            self._answer.aborted = True
        finally:
            self._begun.set()
        return self._answer

    async def _receive_answer(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._answer.status = message["status"]
            self._answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        self._answer.body += message["body"]
        self._begun.set()
        await self._taking.wait()


class RootHere:
    """The root in this process instead of one of its own: what `app` asks of a RootKeeper."""

    def __init__(self) -> None:
        self._keys: StoreKeys | None = None

    def begin(self, data: Path, seal: SealChoice) -> None:
        self._keys = open_or_create_keys(StoreFolder(data), seal, now_ms=time.time_ns() // 1_000_000, random=os.urandom)

    def opened(self) -> tuple[bytes, bytes]:
        assert self._keys
        return self._keys.store_id, self._keys.catalog_key

    def connect(self) -> Any:
        assert self._keys
        return _Connection(self._keys.root)


class _Connection:
    """A root that can be hung up on."""

    def __init__(self, root: Any) -> None:
        self._root = root

    def __getattr__(self, name: str) -> Any:
        return getattr(self._root, name)

    def close(self) -> None:
        return


class House:
    """A store in a folder. `open` makes workers; `close` stops them, so that the store may be altered."""

    def __init__(self, folder: Path, *, workers: int = 1, layer: FileLayer = OPERATING_SYSTEM, **config: Any) -> None:
        self.folder, self.layer = folder, layer
        given: dict[str, Any] = {"root_credentials": RootCredentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY)} | config
        self.config = ServeConfig(
            data=folder / "data", config_home=folder / "config" / "s3al", workers=workers, **given
        )
        self.workers: list[Worker] = []
        self.log_path = folder / "log.jsonl"
        self._session = boto3.session.Session()
        self._clients: dict[tuple[Any, ...], Any] = {}
        self._prepared: app.Prepared | None = None
        self._log_fd = -1

    def open(self) -> House:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._log_fd = os.open(self.log_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._prepared = replace(app.prepare(self.config, RootHere()), log=Log(fd=self._log_fd))
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        for _ in range(self.config.workers):
            self.workers.append(self._run(self._worker(self._prepared)))
        return self

    async def _worker(self, prepared: app.Prepared) -> Worker:
        made: list[Gateway] = []

        def seen(**parts: Any) -> Gateway:
            made.append(Gateway(**parts))
            return made[0]

        app.Gateway = seen  # type: ignore[misc, assignment]
        app.FileBlobs = lambda folder: FileBlobs(folder, layer=self.layer)  # type: ignore[misc, assignment]
        try:
            edge = app.worker(prepared)
        finally:
            app.Gateway, app.FileBlobs = Gateway, FileBlobs  # type: ignore[misc]
        assert isinstance(edge, Edge) and edge.start
        tending = edge.start.__self__  # type: ignore[attr-defined]
        await edge.start()
        return Worker(edge, made[0], tending, self.loop)

    @property
    def thread_ident(self) -> int | None:
        """The thread that all loops' work is done in."""
        return self._thread.ident

    def _run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def close(self) -> None:
        if self._prepared is None:
            return
        for worker in self.workers:
            assert worker.edge.stop
            self._run(worker.edge.stop())
        self.workers.clear()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
        self._prepared.store_lock.release()
        self._prepared = None
        os.close(self._log_fd)

    def client(self, service: str = "s3", *, worker: int = 0, secure: bool = True, **options: Any) -> Any:
        """A boto3 client of one worker. options: as boto3.client. Making one takes long, so each is kept."""
        wanted = (service, worker, secure, repr(sorted(options.items())))
        if wanted not in self._clients:
            self._clients[wanted] = self._new_client(service, worker, secure, options)
        return self._clients[wanted]

    def _new_client(self, service: str, worker: int, secure: bool, options: dict[str, Any]) -> Any:
        scheme = "https" if secure else "http"
        given: dict[str, Any] = {
            "endpoint_url": f"{scheme}://127.0.0.1:9000",
            "region_name": REGION,
            "aws_access_key_id": ACCESS_KEY_ID,
            "aws_secret_access_key": SECRET_ACCESS_KEY,
            "config": Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        }
        client = self._session.client(service, **(given | options))
        client.meta.events.register("before-send.*", lambda request, **_: self._deliver(worker, request))
        return client

    def ask(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"", *,
        worker: int = 0, secure: bool = True,
    ) -> Answer:  # fmt: skip
        """A request as it is, with Host and Content-Length added."""
        whole = {"host": "127.0.0.1:9000"} | {name.lower(): value for name, value in (headers or {}).items()}
        if body:
            whole.setdefault("content-length", str(len(body)))
        return self.workers[worker].ask(method, target, whole, body, secure=secure)

    def own_api(self, operation: str, **members: Any) -> Any:
        """An operation of our own API, by the operator, which must succeed."""
        host, target, body = "127.0.0.1:9000", f"/_s3al/v1/{operation}", json.dumps(members).encode()
        asked = AWSRequest("POST", f"https://{host}{target}", data=body, headers={"Host": host})
        SigV4Auth(Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY), "s3al", REGION).add_auth(asked)
        answer = self.ask("POST", target, {name: str(value) for name, value in asked.headers.items()}, body)
        assert answer.status == 200, answer.body
        return answer.document

    def _deliver(self, worker: int, request: Any) -> AWSResponse:
        parts = urlsplit(request.url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        body = request.body or b""
        if not isinstance(body, bytes | bytearray):
            body = body.encode() if isinstance(body, str) else b"".join(iter(lambda: body.read(_PIECE), b""))
        text = {
            name: value.decode("latin-1") if isinstance(value, bytes) else str(value)
            for name, value in request.headers.items()
        }
        headers = {"host": parts.netloc, **text}
        answer = self.workers[worker].ask(request.method, target, headers, bytes(body), secure=parts.scheme == "https")
        return AWSResponse(request.url, answer.status, answer.headers, _Raw(answer))

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.log_path.read_bytes().splitlines()]
        return [line for line in lines if line["event"] == name]

    @contextmanager
    def stopped(self) -> Iterator[StoppedStore]:
        """Closed, with its keys in hand; opened again afterwards."""
        self.close()
        with stopped_store(self.config) as store:
            yield store
        self.open()


@dataclass
class StoppedStore:
    """A store that no server holds, as whoever has its root key sees it."""

    folder: Any
    keys: StoreKeys
    database: SqliteDatabase
    records: Records

    def change(self, sql: str, *params: Any) -> int:
        return self.database.write_now(lambda rows: rows.run(sql, params))

    def all(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        return self.database.read_now(lambda rows: rows.all(sql, params))

    def write(self, fn: Callable[[Any], Any]) -> Any:
        return self.database.write_now(fn)

    def blob(self, name: str) -> Path:
        incarnation, _, rest = name.partition("/")
        path: Path = self.folder.blobs / incarnation / rest[:2] / rest
        return path


@contextmanager
def stopped_store(config: ServeConfig) -> Iterator[StoppedStore]:
    folder = open_folder(config.data)
    lock = lock_store(folder)
    try:
        keys = app.open_keys(folder, config)
        database = app.open_database(folder, keys.catalog_key)
        try:
            server_key = ServiceKeys(database, keys.root, store_id=keys.store_id, random=os.urandom)
            yield StoppedStore(folder, keys, database, Records(keys.store_id, server_key, os.urandom))
        finally:
            database.close()
    finally:
        lock.release()


@contextmanager
def open_house(folder: Path, **options: Any) -> Iterator[House]:
    house = House(folder, **options)
    try:
        yield house.open()
    finally:
        house.close()

"""A bare S3 for benchmarks: it swallows bodies as fast as sockets give them, or keeps them and gives them back.

What is measured against it is the client: no signature is looked at, nothing is hashed, encrypted or synced. It speaks
just what put_object, get_object and multipart uploads need, on HTTP with Content-Length, in threads of its own process.
Objects whose key begins with `swallowed` are not kept. `with Sink() as sink: sink.endpoint`.
"""

from __future__ import annotations

import re
import secrets
import socket
import subprocess
import sys
import threading
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

_COMPLETED = b"<CompleteMultipartUploadResult><ETag>&quot;x-1&quot;</ETag></CompleteMultipartUploadResult>"


class Sink:
    """A sink in a process of its own."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.pid = self._process.pid
        self.endpoint = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


class _Store:
    """(metadata headers, parts of the body) by path; uploads by their id."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[list[bytes], list[bytes]]] = {}
        self.uploads: dict[str, tuple[list[bytes], dict[int, bytes]]] = {}

    def answer(self, method: str, target: str, headers: list[bytes], body: bytes) -> tuple[list[bytes], list[Any]]:
        parts = urlsplit(target)
        query = parse_qs(parts.query, keep_blank_values=True)
        upload_id = query.get("uploadId", [""])[0]
        metadata = [line for line in headers if line.lower().startswith((b"x-amz-meta-", b"x-amz-checksum"))]
        if method == "POST" and "uploads" in query:
            upload_id = secrets.token_hex(8)
            self.uploads[upload_id] = (metadata, {})
            told = f"<InitiateMultipartUploadResult><UploadId>{upload_id}</UploadId></InitiateMultipartUploadResult>"
            return [], [told.encode()]
        if method == "POST":
            first, numbered = self.uploads.pop(upload_id)
            self.objects[parts.path] = (first, [numbered[number] for number in sorted(numbered)])
            return [], [_COMPLETED]
        if method == "PUT":
            if upload_id:
                self.uploads[upload_id][1][int(query["partNumber"][0])] = body
            else:
                self.objects[parts.path] = (metadata, [body])
            return [b'ETag: "x"'], []
        kept, pieces = self.objects[parts.path]
        return [b'ETag: "x"', *kept], list(pieces)


def _swallowed(reader: Any, scratch: bytearray, length: int) -> bytes:
    with memoryview(scratch) as view:
        while length:
            length -= reader.readinto(view[: min(length, len(view))])
    return b""


def _serve(connection: socket.socket, store: _Store) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader, scratch = connection.makefile("rb", buffering=1 << 16), bytearray(1 << 18)
    while line := reader.readline():
        method, target, _ = line.decode("latin-1").split(" ", 2)
        headers = []
        while (line := reader.readline().strip()) != b"":
            headers.append(line)
        head = b"\n".join(headers).lower()
        length = re.search(rb"^content-length: *(\d+)", head, re.MULTILINE)
        if b"100-continue" in head:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        expected = int(length.group(1)) if length else 0
        body = _swallowed(reader, scratch, expected) if b"/swallowed" in target.encode() else reader.read(expected)
        more, pieces = store.answer(method, target, headers, body)
        total = sum(len(piece) for piece in pieces)
        connection.sendall(b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: %d" % total, *more, b"", b""]))
        for piece in pieces:
            connection.sendall(piece)


def _main() -> None:
    store, listener = _Store(), socket.create_server(("127.0.0.1", 0), backlog=64)
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(connection, store), daemon=True).start()


if __name__ == "__main__":
    _main()

"""HTTP by hand, for what no client library would send and for looking at what exactly came back."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class RawResponse:
    """complete: the body arrived in the length that the head announced."""

    status: int
    headers: dict[str, str]
    body: bytes
    complete: bool


class RawConnection:
    """One connection; close it, or use it as a context manager."""

    def __init__(self, host: str, port: int, *, tls: ssl.SSLContext | None = None, timeout_s: float = 20) -> None:
        connection = socket.create_connection((host, port), timeout=timeout_s)
        self.socket = tls.wrap_socket(connection, server_hostname=host) if tls else connection
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.socket.sendall(piece)

    def receive_head(self) -> tuple[int, dict[str, str]]:
        """Status and headers of the next response; ConnectionError if the connection ends before."""
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return int(status_line.split(" ")[1]), headers

    def receive(self, *, head_only: bool = False) -> RawResponse:
        """The next response that is not 100-continue."""
        status, headers = self.receive_head()
        while status == 100:
            status, headers = self.receive_head()
        length = 0 if head_only else int(headers.get("content-length", "0"))
        complete = True
        try:
            while len(self._rest) < length:
                self._more()
        except ConnectionError:
            complete = False
        body, self._rest = self._rest[:length], self._rest[length:]
        return RawResponse(status, headers, body, complete)

    def is_closed_by_peer(self) -> bool:
        """Waits until the peer closes, or says False when it keeps the connection open for a second."""
        self.socket.settimeout(1)
        try:
            return self.socket.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True

    def _more(self) -> None:
        piece = self.socket.recv(65536)
        if not piece:
            raise ConnectionError("the server closed the connection")
        self._rest += piece


def request(method: str, target: str, *headers: str, body: bytes = b"", host: str = "localhost") -> bytes:
    """The bytes of a request. Content-Length is added when there is a body and no header speaks of it."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers]
    framed = any(header.lower().startswith(("content-length", "transfer-encoding")) for header in headers)
    if body and not framed:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body

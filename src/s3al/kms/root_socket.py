"""The root in a process of its own: its port over sockets that a worker inherits.

What lives here: the `door` at which workers knock, `RemoteRoot`, which a worker holds in place of `Root`, and
`serve_root`, which the process that holds the root runs. What does not: starting that process
(server.root_keeper), the root itself (root).

Laws: over the sockets go only materials, in the clear to the worker and wrapped from it; the root and the
catalog key never do, and nothing but a material's place is served; a request that is not understood ends the
connection; after a failure a connection is not used again, so that no answer is taken for another's. A worker
waits once for a root's process that has died, and until another answers it refuses at once, as retryable:
nothing is written before what it needs is wrapped. Not protected: a worker that is taken over may ask for any
material that the rows hold, for as long as it lives.

The door is a pair of sockets without a name: whoever holds the outer end makes a pair of its own and hands one
end in. It outlives the process that serves it, so who knocks while another is being started is let in then.

Source: docs/adr, "Where the root key lives"; unix(7), SCM_RIGHTS.
"""

from __future__ import annotations

import os
import selectors
import socket
import struct
import threading

from s3al.crypto.encoding import canonical
from s3al.errors import IntegrityError, S3alError, StoreError
from s3al.kms.root import RootPort, Wrapped

TIMEOUT_S = 2.0  # a round trip takes microseconds; after this the other side is stuck, and the worker stood still
GRACE_S = 0.5  # to be let in: most restarts of the root's process take less, and the worker stands still meanwhile
MOST_CONNECTIONS = 256  # four for each of the most workers there may be
_MESSAGE_BYTES = 1 << 14  # the longest private key of any key spec, wrapped, and its place
_HEAD = struct.Struct(">cII")  # what is asked, root version, length of the place; then the place, then the secret
_VERSION, _WRAP, _UNWRAP = b"v", b"w", b"u"
_DONE, _REFUSED, _UNABLE = b"+", b"-", b"?"
_KNOCK, _WELCOME = b"k", b"h"
_MATERIAL_PLACE = canonical(b"s3al material v1")


def door() -> tuple[socket.socket, socket.socket]:
    """(outer end, for the workers; inner end, for the process that holds the root)."""
    return _pair()


class RemoteRoot:
    """A `RootPort` whose root is in another process. Threads may share it, processes may not.

    outer: the door's end of the workers; stays the caller's.
    """

    def __init__(self, outer: socket.socket) -> None:
        self._outer = outer
        self._end: socket.socket | None = None
        self._welcome = False
        self._turn = threading.Lock()

    def __repr__(self) -> str:
        return "RemoteRoot()"

    @property
    def current_version(self) -> int:
        return int.from_bytes(self._ask(_VERSION, 0, b"", b""), "big")

    def wrap(self, secret: bytes, *, version: int, place: bytes) -> Wrapped:
        return Wrapped(version, self._ask(_WRAP, version, place, secret))

    def unwrap(self, wrapped: Wrapped, *, place: bytes) -> bytes:
        return self._ask(_UNWRAP, wrapped.root_version, place, wrapped.sealed)

    def connect(self, within_s: float) -> None:
        """Wait to be let in, unless that has happened before. Raises StoreError if nobody does in time."""
        with self._turn:
            self._connected(within_s, again_s=within_s)

    def close(self) -> None:
        with self._turn:
            self._drop()

    def _ask(self, what: bytes, version: int, place: bytes, secret: bytes) -> bytes:
        request = _HEAD.pack(what, version, len(place)) + place + secret
        if len(request) > _MESSAGE_BYTES:
            raise IntegrityError("what is to be unwrapped is longer than anything that the root wraps")
        with self._turn:
            try:
                answer = self._exchange(request)
            except ConnectionError:
                # Its process ended since the last request. Nothing that is asked changes anything: ask its successor.
                answer = self._exchange_or_fail(request)
        if answer[:1] == _UNABLE:
            raise StoreError("the root cannot be reached", retryable=True)
        if answer[:1] != _DONE:
            raise IntegrityError("the root does not open this here")
        return answer[1:]

    def _exchange_or_fail(self, request: bytes) -> bytes:
        try:
            return self._exchange(request)
        except ConnectionError as error:
            raise StoreError("the process that holds the root is gone", retryable=True) from error

    def _exchange(self, request: bytes) -> bytes:
        """Raises ConnectionError if the other process is gone, StoreError if it does not answer."""
        end = self._connected(GRACE_S)
        try:
            end.settimeout(TIMEOUT_S)
            end.sendall(request)
            answer = end.recv(_MESSAGE_BYTES)
            if not answer:
                raise ConnectionResetError
        except TimeoutError as error:
            self._drop()
            raise StoreError("the process that holds the root does not answer", retryable=True) from error
        except OSError as error:
            self._drop()
            raise ConnectionResetError from error
        return answer

    def _connected(self, within_s: float, *, again_s: float = 0) -> socket.socket:
        """The connection. Waits `within_s` to be let in after knocking, and `again_s` each time after that."""
        wait_s = again_s
        if self._end is None:
            self._end, self._welcome, wait_s = self._knock(), False, within_s
        if not self._welcome:
            self._end.settimeout(wait_s)
            try:
                self._welcome = self._end.recv(len(_WELCOME)) == _WELCOME
            except (TimeoutError, BlockingIOError) as error:
                raise StoreError("the process that holds the root is not there", retryable=True) from error
            except OSError:
                self._welcome = False
            if not self._welcome:
                self._drop()
                raise ConnectionResetError
        return self._end

    def _knock(self) -> socket.socket:
        mine, theirs = _pair()
        with theirs:
            try:
                socket.send_fds(self._outer, [_KNOCK], [theirs.fileno()], socket.MSG_DONTWAIT)
            except OSError as error:
                mine.close()
                raise StoreError("the process that holds the root cannot be reached", retryable=True) from error
        return mine

    def _drop(self) -> None:
        if self._end is not None:
            self._end.close()
            self._end = None


def serve_root(inner: socket.socket, root: RootPort) -> None:
    """Let in whoever knocks and answer them, one message after the other, until nobody can knock any more."""
    with selectors.DefaultSelector() as selector:
        selector.register(inner, selectors.EVENT_READ)
        ends: set[socket.socket] = set()
        try:
            while True:
                for key, _ in selector.select():
                    if key.fileobj is not inner:
                        end: socket.socket = key.fileobj  # type: ignore[assignment]  # nothing else is registered
                        if not _serve_once(end, root):
                            selector.unregister(end)
                            ends.remove(end)
                            end.close()
                        continue
                    knocked, is_open = _open_door(inner)
                    if not is_open:
                        return
                    if knocked is not None and len(ends) < MOST_CONNECTIONS and _send(knocked, _WELCOME):
                        ends.add(knocked)
                        selector.register(knocked, selectors.EVENT_READ)
                    elif knocked is not None:
                        knocked.close()
        finally:
            for end in ends:
                end.close()


def _open_door(inner: socket.socket) -> tuple[socket.socket | None, bool]:
    """(who knocked, if it was done properly; whether anybody can knock again)."""
    message, descriptors, _, _ = socket.recv_fds(inner, len(_KNOCK), 1, socket.MSG_CMSG_CLOEXEC)
    return (_end_of_pair(descriptors[0]) if descriptors else None), bool(message)


def _end_of_pair(descriptor: int) -> socket.socket | None:
    """The descriptor as a connection, unless it leads anywhere but to a process on this machine."""
    try:
        end = socket.socket(fileno=descriptor)
    except OSError:
        os.close(descriptor)
        return None
    if (end.family, end.type) != (socket.AF_UNIX, socket.SOCK_SEQPACKET):
        end.close()
        return None
    end.setblocking(False)
    return end


def _serve_once(end: socket.socket, root: RootPort) -> bool:
    """Answer one request. False: this connection has ended, or must."""
    try:
        request = end.recv(_MESSAGE_BYTES + 1)
    except OSError:
        return False
    return _HEAD.size <= len(request) <= _MESSAGE_BYTES and _send(end, _answer(request, root))


def _send(end: socket.socket, message: bytes) -> bool:
    """Never waits: who asks without reading the answers is not served."""
    try:
        end.sendall(message)
    except OSError:
        return False
    return True


def _answer(request: bytes, root: RootPort) -> bytes:
    what, version, place_bytes = _HEAD.unpack_from(request)
    place = request[_HEAD.size : _HEAD.size + place_bytes]
    secret = request[_HEAD.size + place_bytes :]
    if what == _VERSION:
        return _DONE + root.current_version.to_bytes(4, "big")
    if what not in (_WRAP, _UNWRAP) or not place.startswith(_MATERIAL_PLACE):
        return _REFUSED
    try:
        if what == _WRAP:
            return _DONE + root.wrap(secret, version=version, place=place).sealed
        return _DONE + root.unwrap(Wrapped(version, secret), place=place)
    except IntegrityError:
        return _REFUSED
    except S3alError:  # store.json could not be read just now
        return _UNABLE


def _pair() -> tuple[socket.socket, socket.socket]:
    """Message boundaries are kept."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

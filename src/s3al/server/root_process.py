"""What runs in the process that holds the root: it opens the store, then serves workers at the door.

What lives here: its `main`, and the one order and one answer that pass between it and the main process. What does
not: starting it (root_keeper), opening seals and serving (kms), dying with the main process (hardening).

Laws: started by exec, so that it inherits nothing of the main process but two sockets, and nobody inherits anything
of it; arguments are the numbers of these two, the order says where store and seal lie and holds no secret. It has no
other socket, listens on nothing, takes no signal but SIGKILL, leaves no core file and cannot be traced by the user's
other processes. To the main process it hands the catalog key, once, and to nobody else; the root and the seal's key
never leave. It has nothing to finish: it ends by being killed, by the kernel or by its own lifeline, when the main
process closes its end or ends.

Source: docs/adr, "Where the root key lives".
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from s3al.errors import ConfigError, IntegrityError, S3alError, StoreError
from s3al.kms.root import StoreKeys
from s3al.kms.root_socket import serve_root
from s3al.kms.seals.opening import SealChoice
from s3al.kms.store_document import STORE_ID_BYTES
from s3al.kms.store_keys import open_keys, open_or_create_keys
from s3al.server.hardening import die_with, forbid_dumps, name_process
from s3al.server.logs import Log
from s3al.store.layout import StoreFolder

MOST_BYTES = 1 << 16
PROCESS_NAME = "s3al root"
_OPENED, _FAILED = b"+", b"!"
_FAMILIES = {family.__name__: family for family in (ConfigError, IntegrityError, StoreError, S3alError)}


@dataclass(frozen=True, slots=True)
class Order:
    """Which store to open, and with what. supervisor_pid: of the process to end with.

    store_id: None at the server's start, when the store may be a new one, and the answer is waited for; else the
    store that this process's predecessor had open, and nobody waits.
    """

    supervisor_pid: int
    data: Path
    seal: SealChoice
    store_id: bytes | None = None

    def to_bytes(self) -> bytes:
        document = {
            "supervisor_pid": self.supervisor_pid,
            "data": str(self.data),
            "root_key": self.seal.option,
            "config_home": str(self.seal.config_home),
            "store_id": self.store_id.hex() if self.store_id else None,
        }
        return json.dumps(document).encode()

    @classmethod
    def from_bytes(cls, message: bytes) -> Order:
        document = json.loads(message)
        seal = SealChoice(document["root_key"], Path(document["config_home"]))
        store_id = bytes.fromhex(document["store_id"]) if document["store_id"] else None
        return cls(document["supervisor_pid"], Path(document["data"]), seal, store_id)


def has_store(data: Path) -> bool:
    return StoreFolder(data).has_document()


def opened(answer: bytes) -> tuple[bytes, bytes]:
    """(store id, catalog key), as the main process reads the answer. Raises the S3alError that is told in it."""
    if answer[:1] == _OPENED:
        return answer[1 : 1 + STORE_ID_BYTES], answer[1 + STORE_ID_BYTES :]
    if answer[:1] != _FAILED:
        raise S3alError("the root's process ended before it had opened the store", advice="the log says more")
    family, message, advice = json.loads(answer[1:])
    raise _FAMILIES[family](message, advice=advice)


def main(control_number: int, inner_number: int) -> None:
    """Returns, or ends this process, when the main process is gone."""
    forbid_dumps()
    name_process(PROCESS_NAME)
    with socket.socket(fileno=control_number) as control, socket.socket(fileno=inner_number) as inner:
        message = control.recv(MOST_BYTES)
        if not message:
            return
        order = Order.from_bytes(message)
        # Its own descriptor: it waits until this process ends, also when the lines below fail and close the other.
        die_with(order.supervisor_pid, os.dup(control.fileno()))
        if order.store_id is None:
            root = _open_and_tell(order, control).root
        else:
            root = _open_again(order, order.store_id).root
        serve_root(inner, root)


def _open_and_tell(order: Order, control: socket.socket) -> StoreKeys:
    try:
        keys = open_or_create_keys(
            StoreFolder(order.data), order.seal, now_ms=time.time_ns() // 1_000_000, random=secrets.token_bytes
        )
    except S3alError as exc:
        family = next(name for name, family in _FAMILIES.items() if isinstance(exc, family))
        control.sendall(_FAILED + json.dumps([family, str(exc), exc.advice]).encode())
        raise SystemExit(1) from None
    control.sendall(_OPENED + keys.store_id + keys.catalog_key)
    return keys


def _open_again(order: Order, store_id: bytes) -> StoreKeys:
    keys = open_keys(StoreFolder(order.data), order.seal, random=secrets.token_bytes)
    if keys.store_id != store_id:
        raise IntegrityError("store.json belongs to another store")
    return keys


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), int(sys.argv[2]))
    except Exception as exc:  # noqa: BLE001 - the end of this process; logged by type and place
        Log().failure("root_process_failed", exc)
        raise SystemExit(1) from None

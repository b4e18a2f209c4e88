"""A proof from beginning to end: with the root key if the seal is found, else by structure and look alone.

What lives here: `prove`, `report`. What does not: its steps (authenticating, files, signing), printing
(commands.prove).
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from s3al.app import open_keys
from s3al.config import ServeConfig
from s3al.errors import ConfigError
from s3al.kms.root import StoreKeys
from s3al.prove.authenticating import authenticate
from s3al.prove.files import prove_files
from s3al.prove.opening import OpenedStore, opened_store
from s3al.prove.proof import CLOSED, Progress, Proof, Seen
from s3al.prove.signing import signed, signer_of
from s3al.store.database import Rows
from s3al.store.inspection import inspect_blobs, inspect_rows
from s3al.store.layout import StoreFolder, lock_store, open_folder
from s3al.trail.reading import TrailFolder
from s3al.trail.verification import verify_store


def _silent(_proof: Proof, _done: int, _total: int) -> None:
    return


def prove(config: ServeConfig, *, progress: Progress = _silent) -> dict[str, Any]:
    """The signed report. Raises ConfigError if no store lies there, IntegrityError if its catalog cannot be read at
    all."""
    folder = open_folder(config.data)
    began = time.monotonic()
    proof = Proof(
        store_id=str(folder.read_document().get("store_id", "")), at=datetime.now(UTC).isoformat(timespec="seconds")
    )
    try:
        lock = lock_store(folder)
    except ConfigError:
        lock, proof.beside_a_server = None, True
    signer = None
    try:
        try:
            keys = open_keys(folder, config)
        except ConfigError:
            keys = None
        total = _bytes_in(folder)
        ways: dict[str, str] | None = None
        if keys:
            ways, signer = _prove_opened(folder, keys, proof, progress, total)
        prove_files(folder, ways, proof, progress, total)
    finally:
        if lock:
            lock.release()
    proof.seconds = round(time.monotonic() - began, 3)
    return signed(proof, signer)


def _bytes_in(folder: StoreFolder) -> int:
    total = 0
    for path in folder.path.rglob("*"):
        with suppress(OSError):
            total += path.lstat().st_size
    return total


def _prove_opened(
    folder: StoreFolder, keys: StoreKeys, proof: Proof, progress: Progress, total: int
) -> tuple[dict[str, str], Any]:
    """How each explained blob is covered, and the key that signs."""
    proof.opened = True
    with opened_store(folder, keys) as store:
        proof.findings += [Seen("catalog-page", text[:80]) for text in store.database.verify()]
        ways = authenticate(store, proof, progress, total)
        explained = _prove_rows(store, proof)
        _prove_trail(store, proof)
        signer = store.database.read_now(lambda rows: signer_of(rows, store.service_key))
        # A blob that is named and did not open is in the findings; it is not unexplained too.
        return {name: ways.get(name, CLOSED) for name in explained}, signer


def _prove_rows(store: OpenedStore, proof: Proof) -> set[str]:
    """The names of all blobs that are explained."""

    def read(rows: Rows) -> set[str]:
        proof.findings.extend(Seen(found.what, found.where) for found in inspect_rows(rows))
        explained = {name for name, _ in store.blobs.names()}
        live = store.blobs.live_incarnations() if proof.beside_a_server else set()
        for found in inspect_blobs(rows, store.blobs):
            if found.is_garbage:
                # Of a process that lives it may be an upload that is under way.
                if found.where.partition("/")[0] not in live:
                    explained.discard(found.where)
            else:
                proof.findings.append(Seen(found.what, found.where))
        return explained

    return store.database.read_now(read)


def _prove_trail(store: OpenedStore, proof: Proof) -> None:
    """Every record of every chain, against the checkpoints."""
    folder = TrailFolder(store.folder.trail, store.service_key, store.keys.store_id)
    verified, _ = verify_store(store.database, folder)
    proof.trail_records = verified.records
    proof.findings += [Seen("trail-altered", f"trail/{found.where}") for found in verified.findings]

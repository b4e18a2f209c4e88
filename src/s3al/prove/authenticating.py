"""Every segment of every stream, opened and thrown away; every private record; every key material.

What lives here: `authenticate`. What does not: which streams (targets), files by their look (files).

Laws: large streams are shared among the processors, in pieces that are read at once; no two threads open layers of one
stream side by side where the inner is read through the outer. What a server beside us has deleted since its page was
read is no finding.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import local
from typing import Final

from s3al.auth.principal import ANONYMOUS
from s3al.errors import IntegrityError, StoreError
from s3al.kms.materials import material_place
from s3al.kms.root import Wrapped
from s3al.prove.opening import KeyGoneError, OpenedStore
from s3al.prove.proof import AUTHENTICATED, CLOSED, Progress, Proof, Seen
from s3al.prove.targets import Target, pages, path_of
from s3al.s3 import sse
from s3al.s3.streams import ObjectReader, OpenedStream, StreamAt, stored_bytes
from s3al.service.clock import wall_ms
from s3al.service.operation import Call
from s3al.store import catalog
from s3al.store.database import Rows

_TARGETS_AT_ONCE: Final = 4
_PIECE_BYTES: Final = 1 << 20
_SHARED_BYTES: Final = 8 << 20  # from here on a stream is shared among the threads


@dataclass(slots=True)
class _Outcome:
    """Of one target. ways: blob -> how its bytes are covered."""

    findings: list[Seen] = field(default_factory=list)
    authenticated_bytes: int = 0
    closed_bytes: int = 0
    ways: dict[str, str] = field(default_factory=dict)


def authenticate(store: OpenedStore, proof: Proof, progress: Progress, total_bytes: int) -> dict[str, str]:
    """Blob -> how it is covered, of all that a record names and that were sound; the rest is in the findings."""
    ways: dict[str, str] = {}
    _prove_materials(store, proof)
    with ThreadPoolExecutor(_TARGETS_AT_ONCE) as targets, ThreadPoolExecutor(os.cpu_count() or 1) as pieces:
        prover = _Prover(store, pieces)
        for page in pages(store, proof):
            for outcome in targets.map(prover.prove, page):
                proof.findings += outcome.findings
                proof.authenticated_bytes += outcome.authenticated_bytes
                proof.closed_bytes += outcome.closed_bytes
                ways |= outcome.ways
                progress(proof, proof.authenticated_bytes + proof.closed_bytes, total_bytes)
    return ways


class _Prover:
    def __init__(self, store: OpenedStore, pieces: ThreadPoolExecutor) -> None:
        self._store, self._s3, self._pieces = store, store.s3, pieces
        self._room = local()

    def prove(self, target: Target) -> _Outcome:
        layers = sse.layers_of(target.envelope.mode)
        size = sum(stored_bytes(at.stream, layers) for at in target.streams)
        names = [at.blob_name for at in target.streams if at.blob_name]
        if target.envelope.mode == sse.SSE_C:
            return self._closed(target, size, names)
        try:
            keys = self._keys(target)
            reader = ObjectReader(self._s3, keys, target.place.bucket_id, target.place.object_id)
            for stream_id, sealed in target.private:
                self._s3.records.open_private(
                    keys.record_key, target.place.bucket_id, target.place.object_id, stream_id, sealed
                )
            for at in target.streams:
                self._check(reader, at, shared=layers == 1)
        except KeyGoneError:
            return self._closed(target, size, names)
        except (IntegrityError, StoreError):
            return _Outcome() if self._is_gone(target) else _Outcome([Seen("record-altered", target.where)])
        return _Outcome(authenticated_bytes=size, ways=dict.fromkeys(names, AUTHENTICATED))

    def _keys(self, target: Target) -> sse.DataKeys:
        call = Call("s3", "Prove", {}, ANONYMOUS, "", wall_ms(), self._s3.region)

        def read(rows: Rows) -> sse.DataKeys:
            return sse.open_keys(rows, self._s3, call, target.place, target.envelope, customer=None)

        return self._store.database.read_now(read)

    def _check(self, reader: ObjectReader, at: StreamAt, *, shared: bool) -> None:
        opened = reader.opened(at)
        try:
            stream = opened.stream
            at_once = max(1, _PIECE_BYTES // at.stream.segment_bytes)
            ranges = [
                range(first, min(first + at_once, stream.segments)) for first in range(0, stream.segments, at_once)
            ]
            if shared and at.blob_name is not None and at.stream.size_bytes >= _SHARED_BYTES:
                step = -(-len(ranges) // (4 * (os.cpu_count() or 1)))
                parts = [ranges[first : first + step] for first in range(0, len(ranges), step)]
                list(self._pieces.map(lambda part: self._check_ranges(stream, part, at.stream.segment_bytes), parts))
            else:
                self._check_ranges(stream, ranges, at.stream.segment_bytes)
        finally:
            opened.close()

    def _check_ranges(self, stream: OpenedStream, ranges: list[range], segment_bytes: int) -> None:
        into = getattr(self._room, "into", None)
        if into is None or len(into) < segment_bytes:
            into = self._room.into = bytearray(segment_bytes)
        for wanted in ranges:
            stream.check(wanted, into)

    def _closed(self, target: Target, size: int, names: list[str]) -> _Outcome:
        outcome = _Outcome(list(self._lengths(target)), closed_bytes=size)
        outcome.ways = dict.fromkeys(names, CLOSED)
        return outcome

    def _lengths(self, target: Target) -> Iterator[Seen]:
        """All that can be said of what no key here opens."""
        layers = sse.layers_of(target.envelope.mode)
        for at in target.streams:
            if at.blob_name is None:
                size = len(at.sealed_body or b"")
            else:
                try:
                    with self._store.blobs.open(at.blob_name) as blob:
                        size = blob.size_bytes
                except IntegrityError:
                    continue  # it is missing, and the rows will say so
            if size != stored_bytes(at.stream, layers):
                yield Seen("blob-size", path_of(at.blob_name) if at.blob_name else target.place.object_id.hex())

    def _is_gone(self, target: Target) -> bool:
        """Whether a server beside us has deleted or replaced it since the page was read."""
        stored = self._store.database.read_now(lambda rows: catalog.streams_of(rows, target.place.object_id))
        return {at.stream.stream_id for at in target.streams} - {stream.stream_id for stream in stored} != set()


def _prove_materials(store: OpenedStore, proof: Proof) -> None:
    """Those that were deleted on purpose keep an empty row."""

    def read(rows: Rows) -> list[tuple[str, bytes, int, bytes]]:
        return rows.all("SELECT key_id, material_id, root_version, wrapped FROM kms_materials")

    for key_id, material_id, root_version, wrapped in store.database.read_now(read):
        if not wrapped:
            continue
        proof.materials += 1
        place = material_place(key_id, bytes(material_id))
        try:
            store.keys.root.unwrap(Wrapped(root_version, bytes(wrapped)), place=place)
        except (IntegrityError, StoreError):
            proof.findings.append(Seen("material-altered", f"{key_id}/{bytes(material_id).hex()}"))

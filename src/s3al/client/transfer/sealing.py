"""From a body to sealed parts: one sequential pass, whoever sends them.

What lives here: `SealedParts`. What does not: sending, and threads.

Laws: at most one part is made at a time, when it is asked for; how many are in flight is the sender's bound. Memory of
parts that were sent is used again: fresh memory costs more, page by page, than sealing into it.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from s3al.client.errors import ObjectTooLargeError
from s3al.client.formats.content import Sealer
from s3al.client.formats.suites import MAX_GCM_PLAINTEXT_BYTES, AlgorithmSuite
from s3al.client.formats.suites import STREAM as STREAM_SUITE
from s3al.client.transfer.sources import CHUNK_BYTES, Source

MAX_PARTS: Final = 10_000
_GROWTH_EVERY: Final = 1_000  # parts double so often, so that bodies of unknown length fit into 10,000 parts
_LARGEST_PART: Final = 512 * 1024 * 1024


class SealedParts:
    """The ciphertext of one body: one part up to `whole_bytes`, parts of `part_bytes` beyond."""

    def __init__(self, source: Source, sealer: Sealer, *, whole_bytes: int, part_bytes: int) -> None:
        self._source = source
        self._sealer = sealer
        self._part_bytes = part_bytes
        # A body that says it is longer need not be gathered up to the bound first.
        self._target = part_bytes if source.length is not None and source.length > whole_bytes else whole_bytes
        self._number = 0
        self._ahead = memoryview(b"")  # read already: else a body that fills its last part would need one more
        self._sent: deque[bytearray] = deque()
        self.ended = False

    def reuse(self, part: bytearray) -> None:
        """Give back a part that nobody reads any more; from any thread."""
        self._sent.append(part)

    def next_part(self) -> bytearray:
        """The next part, at least as large as asked for unless it is the last (`ended`). Raises SourceError."""
        self._number += 1
        if self._number > MAX_PARTS:
            raise ObjectTooLargeError("the body needs more than 10,000 parts")
        target, at = self._target, 0
        remaining = self._source.length
        part = self._memory(self._room(target if remaining is None else min(target, remaining)))
        piece = self._ahead or self._source.read()
        while piece and at < target:
            needed = at + self._sealer.room_bytes(len(piece))
            if needed > len(part):
                part.extend(bytes(max(needed - len(part), min(self._room(target) - len(part), len(part)))))
            with memoryview(part) as view:
                at += self._sealer.update_into(piece, view[at:])
            piece = self._source.read()
        self._ahead, self.ended = piece, not piece
        last = self._sealer.finalize() if self.ended else b""
        part[at:] = last
        self._target = min(_LARGEST_PART, self._part_bytes << (self._number // _GROWTH_EVERY))
        return part

    def _memory(self, room_bytes: int) -> bytearray:
        if not self._sent:
            return bytearray(room_bytes)
        part = self._sent.popleft()
        part.extend(bytes(max(0, room_bytes - len(part))))
        return part

    def _room(self, plaintext_bytes: int) -> int:
        return self._sealer.room_bytes(min(CHUNK_BYTES, plaintext_bytes)) + plaintext_bytes


def check_length(suite: AlgorithmSuite, length: int | None) -> None:
    """Refuse at once what is known to be too long. Raises ObjectTooLargeError."""
    if length is not None and suite is not STREAM_SUITE and length > MAX_GCM_PLAINTEXT_BYTES:
        raise ObjectTooLargeError("the body is longer than 2^36-32 bytes")

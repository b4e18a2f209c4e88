"""Which segment size serves whole objects and ranges alike: the figures behind `DEFAULT_SEGMENT_BYTES`.

Run it as `python bench/segment_size.py`. For each size: sealing and opening 64 MiB segment by segment, against one
bare AES-GCM over the same pieces; a read of a random range out of a file (page cache warm, what is measured is the work
of this program); and what one segment costs in memory and time to first byte. The best of several runs counts.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from collections.abc import Callable

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from s3al.crypto.stream import (
    HEADER_BYTES,
    STREAM_RANDOM_BYTES,
    TAG_BYTES,
    SegmentOpener,
    SegmentSealer,
    plaintext_offset,
    segment_span,
    segments_for,
)

MIB = 1024 * 1024
KEY, PLACE = bytes(range(32)), b"bench"


def best_s(work: Callable[[], object], runs: int) -> float:
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return min(times)


def raw(plaintext: memoryview, segment_bytes: int) -> None:
    """The same pieces through bare AES-GCM into one buffer: the bound to stay close to."""
    cipher, room = AESGCM(KEY), memoryview(bytearray(segment_bytes))
    capacity = segment_bytes - TAG_BYTES
    for number, at in enumerate(range(0, len(plaintext), capacity)):
        piece = plaintext[at : at + capacity]
        cipher.encrypt_into(number.to_bytes(12, "big"), piece, None, room[: len(piece) + TAG_BYTES])


def seal(
    plaintext: memoryview, segment_bytes: int, write: Callable[[memoryview | bytes], object] | None = None
) -> None:
    sealer = SegmentSealer(KEY, PLACE, random=bytes(STREAM_RANDOM_BYTES), segment_bytes=segment_bytes)
    room, at = bytearray(segment_bytes), 0
    if write:
        write(sealer.header)
    while True:
        piece = plaintext[at : at + sealer.capacity]
        at += len(piece)
        sealed = sealer.seal(piece, last=at == len(plaintext), into=room)
        if write:
            write(sealed)
        if at == len(plaintext):
            return


def read_range(file: int, opener: SegmentOpener, offset: int, length: int) -> bytes:
    """One read for all segments of the range, then each opened."""
    segment_bytes = opener.segment_bytes
    needed = segments_for(offset, length, opener.plaintext_bytes, segment_bytes)
    start, _ = segment_span(needed[0], opener.sealed_bytes, segment_bytes)
    last_start, last_bytes = segment_span(needed[-1], opener.sealed_bytes, segment_bytes)
    sealed = memoryview(os.pread(file, last_start + last_bytes - start, start))
    opened = []
    for index in needed:
        at, size = segment_span(index, opener.sealed_bytes, segment_bytes)
        opened.append(opener.open(index, sealed[at - start : at - start + size]))
    skipped = offset - plaintext_offset(needed[0], segment_bytes)
    return b"".join(opened)[skipped : skipped + length]


def measure(segment_bytes: int, plaintext: memoryview, runs: int) -> str:
    total = len(plaintext)
    raw_s = best_s(lambda: raw(plaintext, segment_bytes), runs)
    seal_s = best_s(lambda: seal(plaintext, segment_bytes), runs)
    with tempfile.TemporaryFile(buffering=0) as stored:
        seal(plaintext, segment_bytes, stored.write)
        file, size = stored.fileno(), os.fstat(stored.fileno()).st_size
        header, positions = os.pread(file, HEADER_BYTES, 0), random.Random(1)

        def opener() -> SegmentOpener:
            return SegmentOpener(KEY, PLACE, header=header, sealed_bytes=size, segment_bytes=segment_bytes)

        def whole() -> None:
            one, room = opener(), bytearray(segment_bytes)
            for index in range(one.segments):
                start, length = segment_span(index, size, segment_bytes)
                one.open_into(index, os.pread(file, length, start), room)

        def ranges(length: int, count: int) -> Callable[[], None]:
            offsets = [positions.randrange(total - length) for _ in range(count)]
            return lambda: [read_range(file, opener(), at, length) for at in offsets] and None

        open_s = best_s(whole, runs)
        small_us = best_s(ranges(4096, 200), runs) / 200 * 1e6
        middle_us = best_s(ranges(64 * 1024, 100), runs) / 100 * 1e6
        large_us = best_s(ranges(MIB, 40), runs) / 40 * 1e6
    gigabytes = total / 1e9
    return (
        f"| {segment_bytes // 1024:>5} KiB | {gigabytes / raw_s:5.2f} | {gigabytes / seal_s:5.2f} "
        f"| {seal_s / raw_s * 100 - 100:+5.1f} % | {gigabytes / open_s:5.2f} | {small_us:7.1f} | {middle_us:7.1f} "
        f"| {large_us:7.1f} | {segment_bytes / 4096:4.0f} x | {100 * (size - total) / total:.3f} % |"
    )


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--mib", type=int, default=64, help="size of the object")
    arguments.add_argument("--runs", type=int, default=7, help="runs of which the best counts")
    given = arguments.parse_args()
    plaintext = memoryview(os.urandom(given.mib * MIB))
    print(
        "|  segment  |  raw  | seal  | over raw | open, read | 4 KiB us | 64 KiB us | 1 MiB us | 4 KiB reads | stored |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for exponent in range(12, 23):
        print(measure(1 << exponent, plaintext, given.runs), flush=True)


if __name__ == "__main__":
    main()
